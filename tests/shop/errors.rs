//! Every code of the contract that a buyer can meet is produced once, in both languages and in one
//! form. `not_deliverable` and `internal` cannot be had by asking: freight is flat for now, and
//! nothing is known that fails without a reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use awc::http::Method;
use buynow::actors::journal::{CommitProbe, Point, Verdict};
use buynow::sandbox::{Fault, FaultKind};
use futures_util::future::{BoxFuture, join};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use crate::support::{Reply, Shopper, TestApp};

/// Status and words of each code, as the contract has them.
const CODES: [(&str, u16, &str, &str); 16] = [
    ("invalid_request", 400, "请求内容有误", "The request is not valid"),
    ("unauthorized", 401, "请先登录", "Please log in first"),
    ("forbidden", 403, "没有权限", "This is not allowed"),
    ("not_found", 404, "内容不存在", "There is no such thing"),
    ("sold_out", 409, "库存不足", "Sold out"),
    ("off_sale", 409, "商品已下架", "No longer on sale"),
    ("limit_exceeded", 409, "超出限额", "More than is allowed"),
    ("price_changed", 409, "价格已变动，请重新确认", "The price has changed, please look again"),
    ("invalid_state", 409, "当前状态不能这样操作", "This is not possible in the present state"),
    (
        "idempotency_conflict",
        409,
        "请求编号已用于其他请求",
        "The Idempotency-Key belongs to another request",
    ),
    ("idempotency_key_missing", 400, "缺少请求编号", "The Idempotency-Key is missing"),
    ("too_large", 413, "请求内容过大", "The request is too large"),
    ("rate_limited", 429, "操作太频繁，请稍后再试", "Too many requests, please wait a moment"),
    (
        "wechat_error",
        502,
        "微信暂时无法处理，请稍后再试",
        "WeChat could not do this, please try again",
    ),
    ("busy", 503, "人数较多，请稍后再试", "Very busy, please try again in a moment"),
    ("unavailable", 503, "服务暂时不可用，请稍后重试", "Not available, please try again"),
];

/// A request that is refused.
struct Refused<'a> {
    method: Method,
    path: String,
    token: Option<&'a str>,
    headers: Vec<(&'a str, &'a str)>,
    body: Option<Vec<u8>>,
}

impl<'a> Refused<'a> {
    fn get(path: impl Into<String>, token: Option<&'a str>) -> Self {
        Self { method: Method::GET, path: path.into(), token, headers: Vec::new(), body: None }
    }
    fn post(path: impl Into<String>, token: &'a str, body: Value) -> Self {
        let body = Some(body.to_string().into());
        let (path, token, headers) = (path.into(), Some(token), Vec::new());
        Self { method: Method::POST, path, token, headers, body }
    }
    fn order(shopper: &'a Shopper, key: &'a str, body: Value) -> Self {
        let headers = vec![("Idempotency-Key", key)];
        Self { headers, ..Self::post("/api/v1/orders", &shopper.token, body) }
    }

    async fn ask(&self, app: &TestApp, language: &str) -> Reply {
        let headers = [&self.headers[..], &[("Accept-Language", language)]].concat();
        let (method, body) = (self.method.clone(), self.body.clone());
        app.call(method, &self.path, self.token, &headers, body).await
    }

    /// Refused with this code, in Chinese and in English; the detail.
    #[track_caller]
    fn check(&self, app: &TestApp, code: &str) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let (zh, en) = (self.ask(app, "zh-CN,zh;q=0.9").await, self.ask(app, "en").await);
            let known = CODES.iter().find(|known| known.0 == code).unwrap();
            is_problem(&zh, code, known.2, place);
            is_problem(&en, code, known.3, place);
            assert_eq!(zh.body["detail"], en.body["detail"], "{place}");
            zh.body["detail"].clone()
        }
    }
}

fn is_problem(reply: &Reply, code: &str, message: &str, place: &std::panic::Location<'_>) {
    let status = CODES.iter().find(|known| known.0 == code).unwrap().1;
    let content_type = reply.header("content-type");
    assert_eq!(content_type, Some("application/problem+json"), "{place}: {}", reply.text);
    let mut body: BTreeMap<String, Value> = serde_json::from_value(reply.body.clone()).unwrap();
    assert!(body.remove("detail").unwrap().is_object(), "{place}");
    assert!(!body.remove("title").unwrap().as_str().unwrap().is_empty(), "{place}");
    let expected = [
        ("type".to_owned(), json!("about:blank")),
        ("status".to_owned(), json!(status)),
        ("code".to_owned(), json!(code)),
        ("message".to_owned(), json!(message)),
    ];
    assert_eq!(body, BTreeMap::from(expected), "{place}");
    assert_eq!(reply.status, status, "{place}");
    let retry = matches!(code, "busy" | "unavailable" | "rate_limited");
    assert_eq!(reply.retry_after, retry, "{place}: Retry-After");
}

#[actix_rt::test]
async fn what_is_wrong_with_an_order_is_said_by_code() {
    let app = TestApp::start().await;
    let sku = app.load("TEA", 1_000, 5).await;
    let off = json!({"name": "茶", "on_sale": false,
        "skus": [{"code": "OFF", "price_fen": 1, "stock": 5}]});
    let few = json!({"name": "茶", "limit_per_user": 1,
        "skus": [{"code": "FEW", "price_fen": 1, "stock": 5}]});
    let dear =
        json!({"name": "茶", "skus": [{"code": "DEAR", "price_fen": 9_000_000, "stock": 5}]});
    let others = app.seed(json!({ "goods": [off, few, dear] })).await;
    let alice = app.shopper("alice").await;
    let order = |sku, quantity| alice.order_body(&[(sku, quantity)]);
    let refused = |body| Refused::order(&alice, "k", body);

    let detail = refused(order(sku, 0)).check(&app, "invalid_request").await;
    assert_eq!(detail["field"], "items[0].quantity");
    let detail = refused(order(999, 1)).check(&app, "not_found").await;
    assert_eq!(detail["field"], "items[0].sku_id");
    let detail = refused(order(sku, 6)).check(&app, "sold_out").await;
    assert_eq!(detail, json!({"sku_id": sku, "available": 5}));
    let detail = refused(order(others[0], 1)).check(&app, "off_sale").await;
    assert_eq!(detail, json!({"sku_id": others[0]}));
    let detail = refused(order(others[1], 2)).check(&app, "limit_exceeded").await;
    assert_eq!(detail["limit"], 1);
    let detail = refused(order(others[2], 2)).check(&app, "limit_exceeded").await;
    assert_eq!(detail["max_order_fen"], 10_000_000);
    let mut shown = order(sku, 1);
    shown["expect_pay_fen"] = json!(999);
    let detail = refused(shown).check(&app, "price_changed").await;
    assert_eq!(detail, json!({"pay_fen": 1_000}));
    Refused::post("/api/v1/orders", &alice.token, order(sku, 1))
        .check(&app, "idempotency_key_missing")
        .await;
    alice.orders_with("bound", order(sku, 1)).await.expect(201);
    Refused::order(&alice, "bound", order(sku, 2)).check(&app, "idempotency_conflict").await;
    assert_eq!(app.stock(sku).await, 4);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn what_an_order_does_not_permit_any_more_is_an_invalid_state() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 5).await;
    let alice = app.shopper("alice").await;
    let paid = alice.buys(sku, 1).await.expect(201);
    alice.pays(paid.payment()).await;
    let closed = alice.buys(sku, 1).await.expect(201);
    alice.cancels(closed.order_id()).await.expect(200);
    let (paid, closed) = (paid.order_id(), closed.order_id());
    for (path, state) in [
        (format!("/api/v1/orders/{paid}/payment"), "paid"),
        (format!("/api/v1/orders/{paid}/cancel"), "paid"),
        (format!("/api/v1/orders/{closed}/payment"), "closed"),
    ] {
        let refused = Refused::post(&path, &alice.token, json!({}));
        let detail = refused.check(&app, "invalid_state").await;
        assert_eq!(detail["state"], state, "{path}");
    }
    let expired = alice.buys(sku, 1).await.expect(201).order_id();
    app.advance(901);
    let path = format!("/api/v1/orders/{expired}/payment");
    let detail = Refused::post(path, &alice.token, json!({})).check(&app, "invalid_state").await;
    assert_eq!(detail["expired"], true);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn strangers_unknown_things_and_large_bodies_are_refused() {
    let app = TestApp::start().await;
    let alice = app.shopper("alice").await;
    Refused::get("/api/v1/me", None).check(&app, "unauthorized").await;
    let unknown = Refused::get("/api/v1/orders/77", Some(&alice.token));
    assert_eq!(unknown.check(&app, "not_found").await, json!({"field": "id"}));
    let nowhere = Refused::get("/api/v1/nowhere", None).check(&app, "not_found").await;
    assert_eq!(nowhere, json!({"field": "path"}));
    let large = Refused {
        body: Some(vec![b' '; 70_000]),
        ..Refused::post("/api/v1/checkout", &alice.token, json!({}))
    };
    let detail = large.check(&app, "too_large").await;
    assert_eq!(detail, json!({"max_bytes": 65_536}));
    app.stop().await;
}

#[actix_rt::test]
async fn when_wechat_fails_it_is_a_wechat_error_and_the_order_stands() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 5).await;
    let alice = app.shopper("alice").await;
    let broken = Fault::next("/pay/unifiedorder", FaultKind::Http500).times(20);
    app.sandbox.fault(broken).unwrap();
    let placed = alice.buys(sku, 1).await.expect(201);
    assert_eq!(placed.payment(), &Value::Null);
    let error = json!({"code": "wechat_error", "message": "微信暂时无法处理，请稍后再试"});
    assert_eq!(placed.body["payment_error"], error);
    let id = placed.order_id();
    let again = format!("/api/v1/orders/{id}/payment");
    Refused::post(again, &alice.token, json!({})).check(&app, "wechat_error").await;
    app.sandbox.clear_faults();
    let payment = alice.asks_to_pay(id).await.expect(200).body;
    alice.pays(&payment).await;
    assert_eq!(alice.order(id).await["state"], "paid");

    let broken = Fault::next("/sns/jscode2session", FaultKind::Http500).times(20);
    app.sandbox.fault(broken).unwrap();
    let log_in =
        Refused { token: None, ..Refused::post("/api/v1/session", "", json!({"code": "c"})) };
    log_in.check(&app, "wechat_error").await;
    app.sandbox.clear_faults();
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_user_whom_wechat_has_blocked_is_forbidden() {
    let app = TestApp::start().await;
    app.sandbox.fault(Fault::refuse("/sns/jscode2session", "40226").times(2)).unwrap();
    let log_in =
        Refused { token: None, ..Refused::post("/api/v1/session", "", json!({"code": "c"})) };
    log_in.check(&app, "forbidden").await;
    app.stop().await;
}

#[actix_rt::test]
async fn who_asks_too_often_is_told_to_wait() {
    let few = |config: &mut buynow::config::Config| {
        config.server.buyer_requests_per_second = 1;
        config.server.buyer_burst = 2;
    };
    let app = TestApp::builder().config(few).start().await;
    let alice = app.shopper("alice").await;
    let me = Refused::get("/api/v1/me", Some(&alice.token));
    // As many as a slow machine needs to be faster than one in a second.
    let mut asked = 0;
    while me.ask(&app, "zh").await.status != 429 {
        asked += 1;
        assert!(asked < 100, "nobody is told to wait");
    }
    me.check(&app, "rate_limited").await;
    app.stop().await;
}

/// Holds every commit between `close` and `open`.
struct Gate {
    open: watch::Sender<bool>,
    reached: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Arc<Self> {
        let (open, reached) = (watch::Sender::new(true), Arc::new(Semaphore::new(0)));
        Arc::new(Self { open, reached })
    }
    fn close(&self) {
        self.open.send_replace(false);
    }
    fn open(&self) {
        self.open.send_replace(true);
    }
    /// Until a commit is being held.
    async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }
}

impl CommitProbe for Gate {
    fn at(&self, point: Point) -> BoxFuture<'static, Verdict> {
        let (mut open, reached) = (self.open.subscribe(), self.reached.clone());
        Box::pin(async move {
            if point == Point::BeforeCommit && !*open.borrow_and_update() {
                reached.add_permits(1);
                open.wait_for(|open| *open).await.unwrap();
            }
            Verdict::GoOn
        })
    }
}

#[actix_rt::test]
async fn who_comes_when_too_much_is_under_way_is_told_that_it_is_busy() {
    let gate = Gate::new();
    let narrow = |config: &mut buynow::config::Config| config.engine.queue_max = 1;
    let app = TestApp::builder().config(narrow).probe(gate.clone()).start().await;
    let sku = app.a_sku(1_000, 5).await;
    let alice = app.shopper("alice").await;
    gate.close();
    let too_much = async {
        gate.reached().await;
        let second = Refused::order(&alice, "k2", alice.order_body(&[(sku, 1)]));
        second.check(&app, "busy").await;
        gate.open();
    };
    let (first, ()) = join(alice.buys(sku, 1), too_much).await;
    first.expect(201);
    // Nothing was done under the key.
    alice.orders_with("k2", alice.order_body(&[(sku, 2)])).await.expect(201);
    assert_eq!(app.stock(sku).await, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn while_the_database_does_not_answer_it_is_unavailable_and_the_key_tells_the_rest() {
    let gate = Gate::new();
    let hasty = |config: &mut buynow::config::Config| config.engine.commit_wait_ms = 500;
    let app = TestApp::builder().config(hasty).probe(gate.clone()).start().await;
    let sku = app.a_sku(1_000, 5).await;
    let alice = app.shopper("alice").await;
    gate.close();
    let order = Refused::order(&alice, "k", alice.order_body(&[(sku, 1)]));
    order.check(&app, "unavailable").await;
    gate.open();
    alice.orders_with("k", alice.order_body(&[(sku, 1)])).await.expect(200);
    assert_eq!(app.stock(sku).await, 4);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn without_a_database_to_read_nothing_is_called_missing_or_sold_out() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 5).await;
    let alice = app.shopper("alice").await;
    alice.get("/api/v1/me").await.expect(200);
    app.readers.clone().close().await.unwrap();
    Refused::get("/api/v1/goods", None).check(&app, "unavailable").await;
    let unknown = Refused::get("/api/v1/orders/77", Some(&alice.token));
    unknown.check(&app, "unavailable").await;
    let order = Refused::order(&alice, "k", alice.order_body(&[(sku, 1)]));
    order.check(&app, "unavailable").await;
    let quote = json!({"items": [{"sku_id": sku, "quantity": 1}], "address_id": alice.address});
    Refused::post("/api/v1/checkout", &alice.token, quote).check(&app, "unavailable").await;
    let detail = Refused::get("/readyz", None).check(&app, "unavailable").await;
    assert_eq!(detail, json!({"not_ready": "database"}));
    app.get("/healthz", None).await.expect(200);
    app.stop().await;
}
