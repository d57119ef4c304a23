//! The simulation as its users meet it: a real server, spoken to over HTTP by awc, and a shop of
//! three lines that it notifies.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, rt, web};
use futures_util::{StreamExt, future};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::notice::ACKNOWLEDGED;
use super::terms::tests::APPID;
use super::trade::tests::NOON;
use super::*;
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::{self, Fields};

const MCH_ID: &str = "1900012345";
const NUMBER: &str = "20261125000001";

fn api_key() -> SecretString {
    SecretString::from("8934e7d15453e97507ef794cf7b0519d")
}

/// Records what it is told and answers what it is set to.
#[derive(Clone, Default)]
struct Shop {
    told: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<usize>>,
}

async fn receive(shop: Data<Shop>, body: Bytes) -> HttpResponse {
    let body = String::from_utf8(body.to_vec()).unwrap();
    shop.told.lock().unwrap().push(body);
    let mut refusals = shop.refusals.lock().unwrap();
    if *refusals > 0 {
        *refusals -= 1;
        return HttpResponse::Ok().body("<xml><return_code><![CDATA[FAIL]]></return_code></xml>");
    }
    HttpResponse::Ok().body(ACKNOWLEDGED)
}

impl Shop {
    fn open(&self) -> String {
        let shop = Data::new(self.clone());
        let server = HttpServer::new(move || {
            let notify = web::post().to(receive);
            App::new().app_data(shop.clone()).route("/notify", notify)
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        rt::spawn(server.run());
        format!("http://{address}/notify")
    }

    fn told(&self) -> Vec<Fields> {
        let told = self.told.lock().unwrap();
        told.iter().map(|body| xml::parse(body.as_bytes()).unwrap()).collect()
    }

    fn refuse(&self, times: usize) {
        *self.refusals.lock().unwrap() = times;
    }
}

/// A running simulation, a shop, and a client.
struct Town {
    sandbox: SandboxHandle,
    clock: Clock,
    shop: Shop,
    notify_url: String,
    client: awc::Client,
}

impl Town {
    fn new() -> Self {
        let clock = Clock::manual(NOON);
        let template = SandboxTemplate {
            template_id: "paid".to_owned(),
            title: "支付成功通知".to_owned(),
            fields: vec![("thing1".to_owned(), "商品".to_owned())],
        };
        let app = SandboxApp {
            appid: APPID.to_owned(),
            secret: SecretString::from("app-secret"),
            mch_id: MCH_ID.to_owned(),
            api_key: api_key(),
            templates: vec![template],
        };
        let config = SandboxConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            clock: clock.clone(),
            apps: vec![app],
        };
        let shop = Shop::default();
        Self {
            sandbox: Sandbox::start(config).unwrap(),
            clock,
            notify_url: shop.open(),
            shop,
            client: awc::Client::default(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.url())
    }

    /// Sends signed fields; the parsed answer, or why there is none.
    async fn try_pay_call(&self, path: &str, mut fields: Fields) -> Result<Fields, String> {
        fields.insert(sign::SIGN, sign::sign(&fields, &api_key(), SignType::Md5));
        let request = self.client.post(self.url(path));
        let sent = request.send_body(xml::write(&fields)).await;
        let mut response = sent.map_err(|error| error.to_string())?;
        let body = response.body().await.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(response.status().to_string());
        }
        xml::parse(&body).map_err(|error| error.to_string())
    }

    async fn pay_call(&self, path: &str, changes: &[(&str, &str)]) -> Fields {
        let base = [("appid", APPID), ("mch_id", MCH_ID), ("nonce_str", "n")];
        let fields = base.into_iter().chain(changes.iter().copied());
        self.try_pay_call(path, Fields::from_iter(fields)).await.unwrap()
    }

    fn order(&self) -> Fields {
        let openid = openid(APPID, "alice");
        super::terms::tests::fields_with(&[
            ("openid", Some(&openid)),
            ("notify_url", Some(&self.notify_url)),
            ("attach", Some("attempt-1")),
        ])
    }

    async fn try_place(&self) -> Result<Fields, String> {
        self.try_pay_call("/pay/unifiedorder", self.order()).await
    }

    async fn place(&self) -> String {
        let answer = self.try_place().await.unwrap();
        assert_eq!(sign::verify(&answer, &api_key(), SignType::Md5), Ok(()));
        answer.get("prepay_id").unwrap().to_owned()
    }

    fn sheet(&self, prepay_id: &str) -> Value {
        let mut fields = Fields::from_iter([
            ("appId", APPID.to_owned()),
            ("nonceStr", "n".to_owned()),
            ("package", format!("prepay_id={prepay_id}")),
            ("signType", "MD5".to_owned()),
            ("timeStamp", "1795500000".to_owned()),
        ]);
        let signature = sign::sign(&fields, &api_key(), SignType::Md5);
        fields.insert("paySign", signature);
        fields.remove("appId");
        serde_json::to_value(fields.iter().collect::<std::collections::BTreeMap<_, _>>()).unwrap()
    }

    /// Pays and waits until the shop has been told once.
    async fn pay(&self, action: PayAction) -> PayOutcome {
        let prepay_id = self.place().await;
        let sheet = PaySheet::new(APPID, &self.sheet(&prepay_id), action).unwrap();
        let outcome = self.sandbox.pay(&sheet);
        if action != PayAction::Late {
            for transaction_id in &outcome.transaction_ids {
                self.sandbox.told(NUMBER, transaction_id).await.unwrap();
            }
        }
        outcome
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(self.url(path));
        let mut response = request.send_json(&body).await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let mut response = self.client.get(self.url(path)).send().await.unwrap();
        response.json().await.unwrap()
    }

    async fn token(&self) -> String {
        let body = json!({"grant_type": "client_credential", "appid": APPID,
            "secret": "app-secret"});
        let (_, answer) = self.post("/cgi-bin/stable_token", body).await;
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn state(&self) -> String {
        self.sandbox.trade(NUMBER).unwrap().state
    }
}

fn message() -> Value {
    json!({"touser": openid(APPID, "alice"), "template_id": "paid", "page": "pages/order",
        "data": {"thing1": {"value": "茶"}}})
}

#[actix_web::test]
async fn a_purchase_from_login_to_message() {
    let town = Town::new();
    let (_, login) = town.post("/sandbox/login", json!({"buyer": "alice"})).await;
    let code = login["code"].as_str().unwrap();
    let session = town
        .get(&format!(
            "/sns/jscode2session?appid={APPID}&secret=app-secret&js_code={code}&grant_type=authorization_code"
        ))
        .await;
    assert_eq!(session["openid"], openid(APPID, "alice"));

    let prepay_id = town.place().await;
    let mut sheet = town.sheet(&prepay_id);
    sheet["appid"] = json!(APPID);
    sheet["wait"] = json!(true);
    let (status, paid) = town.post("/sandbox/pay", sheet).await;
    assert_eq!((status, &paid["result"]), (200, &json!("ok")));
    assert_eq!(paid["notified"][0]["body"], ACKNOWLEDGED);
    let told = town.shop.told();
    assert_eq!(told.len(), 1);
    assert_eq!(sign::verify(&told[0], &api_key(), SignType::Md5), Ok(()));
    assert_eq!(told[0].get("attach"), Some("attempt-1"));
    assert_eq!(told[0].get("transaction_id"), paid["transaction_id"].as_str());

    let grant = json!({"buyer": "alice", "template_ids": ["paid", "unknown"]});
    let (_, accepted) = town.post("/sandbox/subscribe", grant).await;
    assert_eq!(accepted, json!({"accepted": ["paid"]}));
    let send = format!("/cgi-bin/message/subscribe/send?access_token={}", town.token().await);
    let (_, sent) = town.post(&send, message()).await;
    assert_eq!(sent["errcode"], 0);
    let messages =
        town.get(&format!("/sandbox/messages?appid={APPID}&buyer=alice&at_least=1")).await;
    assert_eq!(messages[0]["title"], "支付成功通知");
    assert_eq!(messages[0]["lines"][0]["label"], "商品");
    assert_eq!(messages[0]["kind"], "subscribe");
    assert_eq!(messages[0]["sent_at"], "2026-11-24T06:00:00Z");
}

#[actix_web::test]
async fn an_unacknowledged_notification_comes_again_by_the_clock() {
    let town = Town::new();
    town.shop.refuse(2);
    town.pay(PayAction::Pay).await;
    assert_eq!(town.sandbox.run_due().await, Ok(0), "not yet due");
    town.clock.advance(Duration::from_secs(15));
    assert_eq!(town.sandbox.run_due().await, Ok(1));
    town.clock.advance(Duration::from_secs(15));
    assert_eq!(town.sandbox.run_due().await, Ok(1));
    town.clock.advance(Duration::from_secs(100_000));
    assert_eq!(town.sandbox.run_due().await, Ok(0), "acknowledged");
    assert_eq!(town.shop.told().len(), 3);
    let trade = town.sandbox.trade(NUMBER).unwrap();
    assert!(trade.payments[0].acknowledged);
    assert_eq!(trade.payments[0].told, 3);
}

#[actix_web::test]
async fn an_unreachable_shop_is_told_later() {
    let mut town = Town::new();
    let reachable = std::mem::replace(&mut town.notify_url, "http://127.0.0.1:1/x".to_owned());
    let outcome = town.pay(PayAction::Pay).await;
    let id = outcome.transaction_id.unwrap();
    let answer = town.sandbox.told(NUMBER, &id).await.unwrap();
    assert_eq!(answer.status, 0);
    let forge = Forge { notify_url: Some(reachable), ..Forge::default() };
    let notify = Notify::of(NUMBER).forged(forge);
    let answers = town.sandbox.notify(&notify).await.unwrap();
    assert!(answers[0].acknowledges());
    let next = &town.sandbox.trade(NUMBER).unwrap().payments[0].next_notification_at;
    assert!(next.is_some(), "a delivery elsewhere acknowledges nothing");
}

#[actix_web::test]
async fn notifications_are_sent_again_and_forged_on_command() {
    let town = Town::new();
    let body = json!({"notify": "manual"});
    let (_, settings) = town.post("/sandbox/settings", body).await;
    assert_eq!(settings["notify"], "manual");
    let prepay_id = town.place().await;
    let sheet = PaySheet::new(APPID, &town.sheet(&prepay_id), PayAction::Pay).unwrap();
    assert_eq!(town.sandbox.pay(&sheet).result, PayResult::Ok);
    assert_eq!(town.sandbox.run_due().await, Ok(0));
    assert!(town.shop.told().is_empty());

    let again = json!({"out_trade_no": NUMBER, "times": 3, "together": true});
    let (_, answers) = town.post("/sandbox/notify", again).await;
    assert_eq!(answers["answers"].as_array().unwrap().len(), 3);
    assert_eq!(answers["answers"][2], json!({"status": 200, "body": ACKNOWLEDGED}));
    let forged = json!({"out_trade_no": NUMBER, "forge": {"bad_sign": true, "amount": 1}});
    town.post("/sandbox/notify", forged).await;
    let told = town.shop.told();
    assert_eq!(told.len(), 4);
    assert_eq!(told[3].get("total_fee"), Some("1"));
    assert!(sign::verify(&told[3], &api_key(), SignType::Md5).is_err());
}

#[actix_web::test]
async fn a_double_payment_is_notified_under_both_ids() {
    let town = Town::new();
    let outcome = town.pay(PayAction::Twice).await;
    let told = town.shop.told();
    let mut ids: Vec<_> = told.iter().map(|f| f.get("transaction_id").unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, outcome.transaction_ids);
    for id in ids {
        let answer = town.pay_call("/pay/orderquery", &[("transaction_id", id)]).await;
        assert_eq!(answer.get("transaction_id"), Some(id));
    }
}

#[actix_web::test]
async fn late_money_lands_after_the_close_and_is_notified() {
    let town = Town::new();
    town.pay(PayAction::Late).await;
    let close = town.pay_call("/pay/closeorder", &[("out_trade_no", NUMBER)]).await;
    assert_eq!(close.get("result_code"), Some("SUCCESS"));
    let query = town.pay_call("/pay/orderquery", &[("out_trade_no", NUMBER)]).await;
    assert_eq!(query.get("trade_state"), Some("CLOSED"));
    assert_eq!(town.sandbox.run_due().await, Ok(0));
    town.clock.advance(Duration::from_secs(2));
    town.sandbox.run_due().await.unwrap();
    assert_eq!(town.shop.told().len(), 1);
    assert_eq!(town.state(), "SUCCESS");
}

#[actix_web::test]
async fn a_lost_answer_has_taken_effect_and_a_lost_request_has_not() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::DropBefore)).unwrap();
    assert!(town.try_place().await.is_err());
    assert!(town.sandbox.trade(NUMBER).is_err());
    town.sandbox.fault(Fault::next(path, FaultKind::DropAfter)).unwrap();
    assert!(town.try_place().await.is_err());
    assert_eq!(town.state(), "NOTPAY");
    town.place().await;
    let calls = town.sandbox.calls(path);
    assert_eq!((calls.count, calls.done), (3, 3));
    assert_eq!(calls.recent[2].outcome.as_deref(), Some("SUCCESS"));
    assert!(calls.recent[2].request.get("sign").is_none());
    assert_eq!(calls.recent[2].request["body"], "shop - tea");
}

#[actix_web::test]
async fn answers_go_wrong_on_command() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    let order = |fault: Value| {
        let town = &town;
        async move {
            let (status, _) = town.post("/sandbox/fault", fault).await;
            assert_eq!(status, 200);
            town.try_place().await
        }
    };
    let http = order(json!({"path": path, "kind": "http_500"})).await;
    assert_eq!(http.unwrap_err(), "500 Internal Server Error");
    let garbage = order(json!({"path": path, "kind": "garbage"})).await;
    assert!(garbage.is_err());
    let code = json!({"path": path, "kind": "errcode", "code": "SYSTEMERROR"});
    let refused = order(code).await.unwrap();
    assert_eq!(refused.get("err_code"), Some("SYSTEMERROR"));
    assert_eq!(sign::verify(&refused, &api_key(), SignType::Md5), Ok(()));
    assert!(town.sandbox.trade(NUMBER).is_err(), "nothing has happened yet");
    let code = json!({"path": path, "kind": "errcode", "code": "SYSTEMERROR", "effect": true});
    let refused = order(code).await.unwrap();
    assert_eq!(refused.get("err_code"), Some("SYSTEMERROR"));
    assert_eq!(town.state(), "NOTPAY", "and yet it has taken effect");
    let spoilt = order(json!({"path": path, "kind": "bad_sign"})).await.unwrap();
    assert!(sign::verify(&spoilt, &api_key(), SignType::Md5).is_err());
    town.place().await;
}

#[actix_web::test]
async fn a_delayed_call_is_held_until_it_is_released() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let test = async {
        let calls = town.sandbox.wait_for_calls(path, 1).await.unwrap();
        assert_eq!((calls.count, calls.done), (1, 0));
        assert!(town.sandbox.trade(NUMBER).is_err(), "held before its effect");
        let (_, released) = town.post("/sandbox/release", json!({"path": path})).await;
        assert_eq!(released, json!({"released": 1}));
    };
    let (answer, ()) = future::join(town.try_place(), test).await;
    assert!(answer.unwrap().filled("prepay_id").is_some());
    assert_eq!(town.sandbox.release(path), 0);
}

#[actix_web::test]
async fn a_held_call_lands_even_when_the_client_has_gone() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let placing = town.try_place();
    let held = town.sandbox.wait_for_held(path, 1);
    match future::select(Box::pin(placing), Box::pin(held)).await {
        future::Either::Right((held, placing)) => {
            held.unwrap();
            drop(placing);
        }
        future::Either::Left(_) => panic!("the call was not held"),
    }
    town.sandbox.release(path);
    town.sandbox.wait_for_calls_done(path, 1).await.unwrap();
    assert_eq!(town.state(), "NOTPAY");
}

#[actix_web::test]
async fn a_delayed_answer_is_held_after_its_effect() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::DelayAnswer)).unwrap();
    let test = async {
        town.sandbox.wait_for_held(path, 1).await.unwrap();
        assert_eq!(town.state(), "NOTPAY");
        town.sandbox.release(path);
    };
    let (answer, ()) = future::join(town.try_place(), test).await;
    assert!(answer.is_ok());
}

#[actix_web::test]
async fn two_sends_at_once_to_one_buyer_are_refused() {
    let town = Town::new();
    let path = "/cgi-bin/message/subscribe/send";
    let ids = ["paid".to_owned()];
    town.sandbox.subscribe(None, "alice", &ids).unwrap();
    let send = format!("{path}?access_token={}", town.token().await);
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let second = async {
        town.sandbox.wait_for_held(path, 1).await.unwrap();
        let (_, answer) = town.post(&send, message()).await;
        town.sandbox.release(path);
        answer
    };
    let ((_, first), second) = future::join(town.post(&send, message()), second).await;
    assert_eq!((&first["errcode"], &second["errcode"]), (&json!(0), &json!(43108)));
    let (_, third) = town.post(&send, message()).await;
    assert_eq!(third["errcode"], 43101, "serial again, and the grant used up");
}

#[actix_web::test]
async fn a_revoked_token_is_refused_until_a_new_one_is_fetched() {
    let town = Town::new();
    town.sandbox.subscribe(None, "alice", &["paid".to_owned()]).unwrap();
    let send = |token: String| {
        let town = &town;
        async move {
            let path = format!("/cgi-bin/message/subscribe/send?access_token={token}");
            let (_, answer) = town.post(&path, message()).await;
            answer["errcode"].as_i64().unwrap()
        }
    };
    let old = town.token().await;
    town.sandbox.token(None, TokenAction::Expire).unwrap();
    assert_eq!(send(old.clone()).await, 42001);
    town.sandbox.token(None, TokenAction::Revoke).unwrap();
    assert_eq!(send(old.clone()).await, 40001);
    let new = town.token().await;
    assert_ne!(new, old);
    assert_eq!(send(new).await, 0);
    let listed = town.sandbox.messages(Some(APPID), Some("alice"));
    assert_eq!(listed.len(), 1);
}

#[actix_web::test]
async fn refunds_are_accepted_queried_and_set() {
    let town = Town::new();
    town.pay(PayAction::Pay).await;
    let refund = [
        ("out_trade_no", NUMBER),
        ("out_refund_no", "r1"),
        ("total_fee", "1290"),
        ("refund_fee", "1290"),
    ];
    town.post("/sandbox/settings", json!({"balance_fen": 0, "refund": "manual"})).await;
    let short = town.pay_call("/secapi/pay/refund", &refund).await;
    assert_eq!(short.get("err_code"), Some("NOTENOUGH"));
    town.post("/sandbox/settings", json!({"balance_fen": null})).await;
    let soon = town.pay_call("/secapi/pay/refund", &refund).await;
    assert_eq!(soon.get("err_code"), Some("INVALID_REQ_TOO_MUCH"));
    town.clock.advance(Duration::from_secs(60));
    let accepted = town.pay_call("/secapi/pay/refund", &refund).await;
    assert_eq!(accepted.get("result_code"), Some("SUCCESS"));
    let status = async || {
        let query = [("out_refund_no", "r1")];
        let answer = town.pay_call("/pay/refundquery", &query).await;
        answer.get("refund_status_0").unwrap().to_owned()
    };
    assert_eq!(status().await, "PROCESSING");
    let set = json!({"status": "REFUNDCLOSE"});
    let (_, view) = town.post("/sandbox/refunds/r1", set).await;
    assert_eq!(view["status"], "REFUNDCLOSE");
    assert_eq!(status().await, "REFUNDCLOSE");
    assert_eq!(town.state(), "REFUND");
}

#[actix_web::test]
async fn messages_stream_as_they_arrive() {
    let town = Town::new();
    let ids = ["paid".to_owned()];
    town.sandbox.subscribe(None, "alice", &ids).unwrap();
    town.sandbox.subscribe(None, "alice", &ids).unwrap();
    let send = format!("/cgi-bin/message/subscribe/send?access_token={}", town.token().await);
    let url = town.url(&format!("/sandbox/messages/stream?appid={APPID}&buyer=alice"));
    let origin = ("Origin", "http://localhost:8080");
    let response = town.client.get(url).insert_header(origin).send().await;
    let mut response = response.unwrap();
    let allowed = response.headers().get("access-control-allow-origin");
    assert_eq!(allowed.unwrap(), "http://localhost:8080");
    assert_eq!(response.next().await.unwrap().unwrap(), ": connected\n\n");
    for id in 1..=2 {
        town.post(&send, message()).await;
        let event = response.next().await.unwrap().unwrap();
        let event = std::str::from_utf8(&event).unwrap();
        let start = format!("event: message\nid: {id}\ndata: {{\"id\":{id},");
        assert!(event.starts_with(&start), "{event}");
        assert!(event.ends_with("\n\n"));
    }
}

#[actix_web::test]
async fn what_the_control_api_does_not_know_it_refuses() {
    let town = Town::new();
    for (path, body, status, code) in [
        ("/sandbox/login", json!({"buyer": ""}), 400, "invalid"),
        ("/sandbox/login", json!({"buyer": "a", "x": 1}), 400, "invalid"),
        ("/sandbox/login", json!({"appid": "wx0", "buyer": "a"}), 404, "unknown_app"),
        ("/sandbox/notify", json!({"out_trade_no": "000000"}), 404, "unknown_trade"),
        ("/sandbox/settings", json!({"notfy": "auto"}), 400, "invalid"),
        ("/sandbox/fault", json!({"path": "/a", "kind": "errcode"}), 400, "invalid"),
        ("/sandbox/refunds/r9", json!({"status": "SUCCESS"}), 404, "unknown_refund"),
    ] {
        let (found, answer) = town.post(path, body).await;
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{path}");
    }
    town.place().await;
    let unpaid = json!({"out_trade_no": NUMBER});
    let (_, answer) = town.post("/sandbox/notify", unpaid).await;
    assert_eq!(answer["code"], "unknown_payment");
}

#[actix_web::test]
async fn templates_are_registered_while_it_runs() {
    let town = Town::new();
    let template = json!({"appid": APPID, "template_id": "shipped", "title": "发货通知",
        "fields": [{"key": "thing1", "label": "商品"}]});
    let (status, _) = town.post("/sandbox/templates", template).await;
    assert_eq!(status, 200);
    let accepted = town.sandbox.subscribe(Some(APPID), "bob", &["shipped".to_owned()]);
    assert_eq!(accepted.unwrap(), ["shipped"]);
    assert_eq!(town.sandbox.grants(APPID, "bob", "shipped"), 1);
}

#[actix_web::test]
async fn oversized_and_wrongly_sent_requests_are_refused() {
    let town = Town::new();
    let mut get = town.client.get(town.url("/pay/unifiedorder")).send().await.unwrap();
    let fields = xml::parse(&get.body().await.unwrap()).unwrap();
    assert_eq!(fields.get("return_msg"), Some("请使用post方法"));
    let huge = town.client.post(town.url("/pay/unifiedorder"));
    let huge = huge.send_body("x".repeat(xml::LIMIT_BYTES + 1)).await.unwrap();
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[actix_web::test]
async fn it_stops_at_once_and_frees_its_port() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let held =
        future::select(Box::pin(town.try_place()), Box::pin(town.sandbox.wait_for_held(path, 1)));
    drop(held.await);
    let address = town.sandbox.url().trim_start_matches("http://").to_owned();
    town.sandbox.stop();
    std::net::TcpListener::bind(address).unwrap();
    assert_eq!(town.sandbox.run_due().await, Err(ControlError::Stopped));
}

#[test]
fn contradicting_mini_programs_do_not_start() {
    let app = super::world::tests::sandbox_app();
    let mut other = app.clone();
    other.appid = "wxother".to_owned();
    other.api_key = SecretString::from("another key");
    let start = |apps| {
        Sandbox::start(SandboxConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            clock: Clock::system(),
            apps,
        })
    };
    assert!(start(vec![app.clone(), app.clone()]).is_err());
    assert!(start(vec![app, other]).is_err());
}
