//! What is no proper HTTP, and what is no proper XML at the route that WeChat calls.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use awc::http::Method;

use super::bad_input::{KEY, Shop};
use crate::support::TestApp;

#[actix_rt::test]
async fn headers_without_sense_do_no_harm() {
    let shop = Shop::open().await;
    for (header, value) in [
        ("Accept-Language", "\u{1F375};q=9,,,;;q=-1"),
        ("Accept-Language", "en;q=99999999999999999999"),
        ("Accept", "application/nothing"),
        ("X-Forwarded-For", "999.1.1.1, ::::, \u{4E2D}"),
        ("Cookie", "a=b; a=b; =;"),
        ("Range", "bytes=0-0"),
        ("If-None-Match", "*"),
    ] {
        let reply = shop.alice.call(Method::GET, "/api/v1/me", &[(header, value)], None).await;
        assert!(reply.status < 500, "{header}: {value}");
    }
    let order = Some(shop.alice.order_body(&[(shop.sku, 1)]).to_string().into());
    for (header, value, status, code) in [
        ("X-WX-APPID", "", 401, "unauthorized"),
        ("X-WX-APPID", "wx' OR 1=1", 401, "unauthorized"),
        ("X-WX-APPID", "\u{4E2D}", 401, "unauthorized"),
        ("Idempotency-Key", "\u{4E2D}", 400, "invalid_request"),
        ("Content-Encoding", "\u{4E2D}", 400, "invalid_request"),
    ] {
        let headers = if header == "Idempotency-Key" { vec![] } else { vec![KEY[0]] };
        let headers = [headers, vec![(header, value)]].concat();
        let path = "/api/v1/orders";
        let reply = shop.alice.call(Method::POST, path, &headers, order.clone()).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{header}: {value}");
    }
    shop.closes_untouched().await;
}

/// Sends these bytes and reads what comes, until the server ends the connection or falls silent.
async fn raw(app: &TestApp, bytes: Vec<u8>) -> String {
    let address = app.url.trim_start_matches("http://").to_owned();
    let talk = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // The server may hang up before it has read everything.
        let _sent = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let _ended = stream.take(4096).read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    actix_web::web::block(talk).await.unwrap()
}

#[actix_rt::test]
async fn what_is_no_http_is_hung_up_on() {
    let shop = Shop::open().await;
    let host = "Host: x\r\nConnection: close\r\n";
    let token = &shop.alice.token;
    let body = shop.alice.order_body(&[(shop.sku, 1)]).to_string();
    let order = format!(
        "POST /api/v1/orders HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\nIdempotency-Key: raw\r\n"
    );
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"garbage\r\n\r\n".to_vec(),
        format!("GET / HTTP/9.9\r\n{host}\r\n").into_bytes(),
        format!("GET /api/v1/me HTTP/1.1\r\n{host}X: {}\r\n\r\n", "y".repeat(200_000)).into_bytes(),
        format!("GET /{} HTTP/1.1\r\n{host}\r\n", "y".repeat(200_000)).into_bytes(),
        format!("{order}Content-Length: -5\r\n\r\n{body}").into_bytes(),
        format!("{order}Content-Length: 99999999999999999999\r\n\r\n{body}").into_bytes(),
        format!("{order}Content-Length: 5\r\nContent-Length: 9\r\n\r\n{body}").into_bytes(),
        format!("{order}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
            .into_bytes(),
        format!("{order}Transfer-Encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n").into_bytes(),
        format!("{order}Content-Length: 5\r\n\r\n{body}").into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let answer = raw(&shop.app, bytes).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{shown:?}: {answer}");
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn bombs_at_the_notification_route_fail_in_wechats_form() {
    let shop = Shop::open().await;
    let laughs = (1..30).fold("<!ENTITY a0 \"ha\">".to_owned(), |text, level| {
        let inner = format!("&a{};", level - 1).repeat(10);
        format!("{text}<!ENTITY a{level} \"{inner}\">")
    });
    let laughs = format!("<!DOCTYPE x [{laughs}]><xml><return_code>&a29;</return_code></xml>");
    let outside = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>\
        <xml><return_code>&f;</return_code></xml>";
    let deep = ["<a>".repeat(9_000), "</a>".repeat(9_000)].concat();
    let unsigned = format!(
        "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code>\
         <out_trade_no>{}</out_trade_no><total_fee>2000</total_fee></xml>",
        shop.order.order_no()
    );
    let many: String = (0..3_000).map(|number| format!("<f{number}>1</f{number}>")).collect();
    let bodies: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"garbage".to_vec(),
        b"{\"return_code\":\"SUCCESS\"}".to_vec(),
        b"<xml>".to_vec(),
        b"<xml><return_code>SUCCESS</return_code>".to_vec(),
        b"<xml><return_code>\xff\xfe</return_code></xml>".to_vec(),
        b"<xml><a>1</a><a>2</a></xml>".to_vec(),
        b"<xml><a><b>1</b></a></xml>".to_vec(),
        b"<xml><return_code>&unknown;</return_code></xml>".to_vec(),
        b"<?xml version=\"1.0\" encoding=\"utf-16\"?><xml></xml>".to_vec(),
        laughs.into_bytes(),
        outside.as_bytes().to_vec(),
        deep.into_bytes(),
        format!("<xml>{many}</xml>").into_bytes(),
        unsigned.clone().into_bytes(),
        unsigned.replace("</xml>", "<sign></sign></xml>").into_bytes(),
        unsigned.replace("</xml>", "<sign>00000000000000000000000000000000</sign></xml>").into(),
        vec![b'x'; 10 << 20],
    ];
    let fail = "<xml><return_code><![CDATA[FAIL]]></return_code>";
    for path in ["10001", "10002", "0", "-1", "x", "99999999999999999999"] {
        let path = format!("/wechat/pay/v2/notify/{path}");
        for body in &bodies {
            let headers = [("content-type", "text/xml")];
            let reply =
                shop.app.call(Method::POST, &path, None, &headers, Some(body.clone())).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            assert_eq!(reply.status, 200, "{path} {shown}");
            assert!(reply.text.starts_with(fail), "{path} {shown}: {}", reply.text);
            assert!(!reply.text.contains("root:"), "{path} {shown}");
        }
    }
    shop.closes_untouched().await;
}
