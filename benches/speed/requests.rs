//! What buyers, and WeChat, send.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::Write as _;

use buynow::wechat::sign::{SignType, sign};
use buynow::wechat::xml::{self, Fields};
use secrecy::SecretString;

use super::fill::{self, PRICE_FEN};
use super::load::Load;
use super::server::{Kind, Server};

/// What the simulation gives every shop; nothing secret.
const API_KEY: &str = "sandboxsandboxsandboxsandbox0001";

/// `POST /orders` of one piece of the hot SKU, without prepay, each under a new key.
pub fn hot_sku(server: &Server) -> Load {
    orders(name(server), server, |body, _| item(body, fill::hot_sku()))
}

/// The same of one piece of one of so many SKUs.
pub fn many_skus(server: &Server, skus: i64) -> Load {
    orders(name(server), server, move |body, random| item(body, any_sku(random, skus)))
}

/// The same of three SKUs.
pub fn carts(server: &Server, skus: i64) -> Load {
    orders(name(server), server, move |body, random| {
        for line in 0..3 {
            body.extend_from_slice(if line == 0 { b"" } else { b"," });
            // Three thirds, so that no two lines are of one SKU.
            item(body, any_sku(random >> (8 * line), skus / 3) + i64::from(line) * (skus / 3));
        }
    })
}

/// The same of what is gone.
pub fn sold_out(server: &Server) -> Load {
    orders("sold out", server, |body, _| item(body, fill::sold_out_sku()))
}

fn name(server: &Server) -> &'static str {
    match server.kind {
        Kind::Journal => "group commit",
        Kind::OneByOne => "one transaction per order",
    }
}

fn any_sku(random: u64, skus: i64) -> i64 {
    fill::sku(i64::try_from(random % u64::try_from(skus).unwrap()).unwrap())
}

fn item(body: &mut Vec<u8>, sku: i64) {
    write!(body, r#"{{"sku_id":{sku},"quantity":1}}"#).unwrap();
}

fn orders(
    name: &'static str,
    server: &Server,
    items: impl Fn(&mut Vec<u8>, u64) + 'static,
) -> Load {
    let run: u64 = rand::random();
    let count = Cell::new(0_u64);
    Load::new(name, &server.address, move |connection, request| {
        count.set(count.get() + 1);
        let mut body = Vec::with_capacity(256);
        body.extend_from_slice(br#"{"items":["#);
        items(&mut body, rand::random());
        let address = fill::address(connection);
        write!(body, r#"],"address_id":{address},"prepay":false}}"#).unwrap();
        let key = format!("idempotency-key: {run:016x}{:016x}\r\n", count.get());
        post(request, connection, "/api/v1/orders", &key, &body);
        true
    })
}

/// A short JSON answer from memory that passes the same middleware, limits included, and is sent
/// with the same headers. It looks up no log-in and reads no body.
pub fn plain(server: &Server) -> Load {
    get("plain JSON answer", server, |_| "/api/v1/message-templates".to_owned())
}

/// `POST /checkout` with as many SKUs as one request takes, until each was asked for.
pub fn every_sku(server: &Server, skus: i64) -> Load {
    let next = Cell::new(0);
    Load::new("checkout", &server.address, move |connection, request| {
        let first = next.get();
        next.set(first + LINES);
        let mut body = br#"{"items":["#.to_vec();
        for nth in first..skus.min(first + LINES) {
            body.extend_from_slice(if nth == first { b"" } else { b"," });
            item(&mut body, fill::sku(nth));
        }
        body.extend_from_slice(b"]}");
        post(request, connection, "/api/v1/checkout", "", &body);
        first < skus
    })
}

/// Most lines of one request.
const LINES: i64 = 50;

fn post(request: &mut Vec<u8>, connection: usize, path: &str, headers: &str, body: &[u8]) {
    write!(
        request,
        "POST {path} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {}\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        fill::token(connection),
        body.len(),
    )
    .unwrap();
    request.extend_from_slice(body);
}

/// The first page of the goods.
pub fn goods_list(server: &Server) -> Load {
    get("list of goods", server, |_| "/api/v1/goods".to_owned())
}

/// One of the goods with its SKUs.
pub fn goods_detail(server: &Server, goods: i64) -> Load {
    get("detail of goods", server, move |random| {
        let nth = i64::try_from(random % u64::try_from(goods).unwrap()).unwrap();
        format!("/api/v1/goods/{}", fill::goods(nth))
    })
}

fn get(name: &'static str, server: &Server, path: impl Fn(u64) -> String + 'static) -> Load {
    Load::new(name, &server.address, move |connection, request| {
        let (path, token) = (path(rand::random()), fill::token(connection));
        write!(
            request,
            "GET {path} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        true
    })
}

/// WeChat's word that an unpaid order has been paid, for each once. Signed before the run: WeChat
/// has machines of its own.
pub fn notifications(server: &Server, orders: std::ops::Range<i64>) -> Load {
    let key = SecretString::from(API_KEY);
    let signed = orders.map(|nth| notification(nth, &key)).collect();
    let waiting: RefCell<VecDeque<String>> = RefCell::new(signed);
    Load::new("payment notifications", &server.address, move |_, request| {
        let Some(body) = waiting.borrow_mut().pop_front() else { return false };
        write!(
            request,
            "POST /wechat/pay/v2/notify/{} HTTP/1.1\r\nhost: shop\r\ncontent-type: text/xml\r\n\
             content-length: {}\r\n\r\n{body}",
            fill::WXAPP,
            body.len(),
        )
        .unwrap();
        true
    })
}

fn notification(nth: i64, key: &SecretString) -> String {
    let (number, attach) = fill::out_trade_no(nth);
    let (transaction, fen) = (format!("43{nth}"), PRICE_FEN.to_string());
    let mut fields = Fields::from_iter([
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", fill::APPID),
        ("mch_id", fill::MCH_ID),
        ("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"),
        ("openid", "bench"),
        ("out_trade_no", &number),
        ("attach", &attach),
        ("transaction_id", &transaction),
        ("total_fee", &fen),
        ("cash_fee", &fen),
        ("bank_type", "OTHERS"),
        ("time_end", "20261125083015"),
        ("trade_type", "JSAPI"),
        ("sign_type", "HMAC-SHA256"),
    ]);
    let signature = sign(&fields, key, SignType::HmacSha256);
    fields.insert("sign", signature);
    xml::write(&fields)
}
