//! Each call of the API does what the contract says, and refuses by name what it must.

use awc::http::Method;
use buynow::sandbox::{Mode, SettingsChange};
use serde_json::{Value, json};

use crate::support::{Reply, Shopper, TestApp};

const TEA: &str = r#"{"goods":[
    {"name":"龙井茶","category":"茶","skus":[
        {"code":"TEA-S","attr":"小","price_fen":1000,"stock":5},
        {"code":"TEA-L","attr":"大","price_fen":2500,"stock":1}]},
    {"name":"赠品","deduct_stock":"payment","skus":[{"code":"GIFT","price_fen":0,"stock":9}]}]}"#;

/// A shop with tea: its small and its large SKU.
async fn tea_shop(app: &TestApp) -> (i64, i64) {
    let skus = app.seed(serde_json::from_str(TEA).unwrap()).await;
    (skus[0], skus[1])
}

/// Code and detail of a refusal, which must have the form of one.
#[track_caller]
fn refusal(reply: &Reply) -> (u16, &str, &Value) {
    assert_eq!(reply.body["type"], "about:blank", "{}", reply.text);
    assert_eq!(reply.body["status"], reply.status);
    assert!(!reply.body["message"].as_str().unwrap().is_empty());
    (reply.status, reply.code(), &reply.body["detail"])
}

async fn call(app: &TestApp, shopper: &Shopper, method: Method, path: &str, body: Value) -> Reply {
    let body = (!body.is_null()).then(|| body.to_string().into());
    app.call(method, path, Some(&shopper.token), &[], body).await
}

fn home() -> Value {
    json!({"name": "王小明", "phone": "13800138000", "province": "广东省", "city": "广州市",
        "district": "天河区", "detail": "体育西路 1 号"})
}

#[actix_web::test]
async fn a_quote_says_what_an_order_would_cost_and_what_stands_in_its_way() {
    let app = TestApp::builder().config(|config| config.wxapp.freight_fen = 800).start().await;
    let (small, large) = tea_shop(&app).await;
    let shopper = app.shopper("alice").await;
    let body =
        json!({"items": [{"sku_id": small, "quantity": 2}, {"sku_id": large, "quantity": 3}]});
    let quote = shopper.post("/api/v1/checkout", body).await.expect(200).body;
    let sums =
        ["goods_fen", "freight_fen", "discount_fen", "pay_fen"].map(|sum| quote[sum].as_i64());
    assert_eq!(sums, [Some(9500), Some(800), Some(0), Some(10_300)]);
    assert_eq!(quote["lines"][0]["goods_name"], "龙井茶");
    assert_eq!(quote["address"]["id"], shopper.address);
    assert_eq!(quote["deliverable"], true);
    let problem = json!([{"code": "sold_out", "sku_id": large, "message": "库存不足"}]);
    assert_eq!(quote["problems"], problem);
    assert_eq!(app.stock(large).await, 1);
    let unknown = json!({"items": [{"sku_id": 999, "quantity": 1}]});
    let unknown = shopper.post("/api/v1/checkout", unknown).await;
    assert_eq!(refusal(&unknown).1, "not_found");
    let elsewhere = json!({"items": [{"sku_id": small, "quantity": 1}], "address_id": 999});
    let elsewhere = shopper.post("/api/v1/checkout", elsewhere).await;
    assert_eq!(refusal(&elsewhere).2, &json!({"field": "address_id"}));
}

#[actix_web::test]
async fn an_order_has_the_shape_of_the_contract() {
    let app = TestApp::start().await;
    let (small, _) = tea_shop(&app).await;
    let shopper = app.shopper("alice").await;
    let mut body = shopper.order_body(&[(small, 2)]);
    body["remark"] = "快点\n谢谢".into();
    body["expect_pay_fen"] = 2000.into();
    let placed = shopper.orders_with("k1", body.clone()).await.expect(201).body;
    let order = &placed["order"];
    let id = order["id"].as_i64().unwrap();
    for (field, value) in [
        ("state", json!("unpaid")),
        ("closing", json!(false)),
        ("goods_fen", json!(2000)),
        ("adjust_fen", json!(0)),
        ("pay_fen", json!(2000)),
        ("refund", json!({"state": "none", "refunded_fen": 0})),
        ("remark", json!("快点 谢谢")),
        ("shipments", json!([])),
        ("express", Value::Null),
        ("transaction_id", Value::Null),
        ("created_at", json!("2026-11-25T10:00:00Z")),
        ("expires_at", json!("2026-11-25T10:15:00Z")),
        ("paid_at", Value::Null),
        ("close_reason", Value::Null),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    let line = &order["lines"][0];
    assert_eq!(line["sku_id"], small);
    assert_eq!(
        (&line["attr"], &line["price_fen"], &line["total_fen"]),
        (&json!("小"), &json!(1000), &json!(2000))
    );
    assert_eq!(order["address"]["city"], "深圳市");
    assert_eq!(order["address"]["id"], Value::Null);
    assert_eq!(placed["payment_error"], Value::Null);
    let payment = placed["payment"].as_object().unwrap();
    let names: Vec<_> = payment.keys().map(String::as_str).collect();
    assert_eq!(names, ["nonceStr", "package", "paySign", "signType", "timeStamp"]);
    assert_eq!(shopper.order(id).await, *order);
    let again = shopper.orders_with("k1", body).await.expect(200).body;
    assert_eq!(again["order"], *order);
    assert_eq!(again["payment"]["package"], placed["payment"]["package"]);
}

#[actix_web::test]
async fn an_order_can_be_given_up_and_its_goods_are_there_again() {
    let app = TestApp::start().await;
    let (_, large) = tea_shop(&app).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(large, 1).await.expect(201);
    let second = shopper.buys(large, 1).await;
    let (status, code, detail) = refusal(&second);
    assert_eq!((status, code), (409, "sold_out"));
    assert_eq!(detail, &json!({"sku_id": large, "available": 0}));
    let cancelled = shopper.cancels(placed.order_id()).await.expect(200).body;
    let (state, reason) = (&cancelled["state"], &cancelled["close_reason"]);
    assert_eq!((state, reason), (&json!("closed"), &json!("buyer")));
    assert_eq!(shopper.cancels(placed.order_id()).await.expect(200).body["state"], "closed");
    shopper.asks_to_pay(placed.order_id()).await.refused(409, "invalid_state");
    shopper.buys(large, 1).await.expect(201);
    app.audit_is_clean().await;
}

#[actix_web::test]
async fn nothing_to_pay_is_paid_at_once() {
    let app = TestApp::start().await;
    let skus = app.seed(serde_json::from_str(TEA).unwrap()).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(skus[2], 1).await.expect(201);
    assert_eq!(placed.body["order"]["state"], "paid");
    assert_eq!((placed.payment(), &placed.body["payment_error"]), (&Value::Null, &Value::Null));
    assert_eq!(app.stock(skus[2]).await, 8);
    app.audit_is_clean().await;
}

#[actix_web::test]
async fn orders_are_listed_found_and_refreshed() {
    let app = TestApp::start().await;
    let (small, _) = tea_shop(&app).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    let first = alice.buys(small, 1).await.expect(201);
    let second = alice.buys(small, 1).await.expect(201);
    let page = alice.get("/api/v1/orders?state=unpaid&limit=1").await.expect(200).body;
    assert_eq!(page["items"][0]["id"], second.order_id());
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("/api/v1/orders?state=unpaid&limit=1&cursor={cursor}");
    let page = alice.get(&path).await.expect(200).body;
    assert_eq!(page["items"][0]["id"], first.order_id());
    assert_eq!(page["next_cursor"], Value::Null);
    let no_cursor_of_goods = format!("/api/v1/goods?cursor={cursor}");
    app.get(&no_cursor_of_goods, None).await.refused(400, "invalid_request");

    let by_no = format!("/api/v1/orders/by-no/{}", first.order_no());
    assert_eq!(alice.get(&by_no).await.expect(200).body["id"], first.order_id());
    bob.get(&by_no).await.refused(404, "not_found");
    let by_id = format!("/api/v1/orders/{}", first.order_id());
    bob.get(&by_id).await.refused(404, "not_found");
    bob.asks_to_pay(first.order_id()).await.refused(404, "not_found");
    bob.cancels(first.order_id()).await.refused(404, "not_found");
    let theirs = bob.orders_with("k", alice.order_body(&[(small, 1)])).await;
    assert_eq!(refusal(&theirs), (404, "not_found", &json!({"field": "address_id"})));

    app.sandbox.settings(SettingsChange { notify: Some(Mode::Manual), ..Default::default() });
    alice.pays(first.payment()).await;
    assert_eq!(alice.get(&by_id).await.expect(200).body["state"], "unpaid");
    let asked = app.sandbox.calls("/pay/orderquery").count;
    let refreshed = alice.get(&format!("{by_id}?refresh=true")).await.expect(200).body;
    assert_eq!(refreshed["state"], "paid");
    let other = format!("/api/v1/orders/{}?refresh=true", second.order_id());
    alice.get(&other).await.expect(200);
    alice.get(&other).await.expect(200);
    assert_eq!(app.sandbox.calls("/pay/orderquery").count, asked + 2);
    app.audit_is_clean().await;
}

#[actix_web::test]
async fn the_address_book_keeps_one_default_and_its_owner() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    let second = alice.post("/api/v1/addresses", home()).await.expect(201).body;
    assert_eq!(second["is_default"], false);
    let path = format!("/api/v1/addresses/{}", second["id"]);
    let default = call(&app, &alice, Method::PUT, &format!("{path}/default"), Value::Null).await;
    assert_eq!(default.expect(200).body["is_default"], true);
    let mut moved = home();
    moved["detail"] = "新街 2 号".into();
    let changed = call(&app, &alice, Method::PUT, &path, moved.clone()).await.expect(200).body;
    assert_eq!((&changed["detail"], &changed["is_default"]), (&json!("新街 2 号"), &json!(true)));
    call(&app, &bob, Method::PUT, &path, moved).await.refused(404, "not_found");
    call(&app, &bob, Method::DELETE, &path, Value::Null).await.refused(404, "not_found");
    let book = alice.get("/api/v1/addresses").await.expect(200).body;
    let book = book["items"].as_array().unwrap();
    let defaults: Vec<_> = book.iter().map(|entry| &entry["is_default"]).collect();
    assert_eq!(defaults, [&json!(true), &json!(false)]);
    call(&app, &alice, Method::DELETE, &path, Value::Null).await.expect(204);
    let book = alice.get("/api/v1/addresses").await.expect(200).body;
    assert_eq!(book["items"].as_array().unwrap().len(), 1);
    for (field, value) in [("phone", json!("12")), ("name", json!("")), ("city", json!(7))] {
        let mut bad = home();
        bad[field] = value;
        let refused = alice.post("/api/v1/addresses", bad).await;
        assert_eq!(refusal(&refused).2["field"], field);
    }
}

#[actix_web::test]
async fn a_log_in_ends_with_log_out_or_after_thirty_days() {
    let app = TestApp::start().await;
    let alice = app.shopper("alice").await;
    let changed =
        call(&app, &alice, Method::PATCH, "/api/v1/me", json!({"nickname": "小明"})).await;
    assert_eq!(changed.expect(200).body["nickname"], "小明");
    call(&app, &alice, Method::DELETE, "/api/v1/session", Value::Null).await.expect(204);
    alice.get("/api/v1/me").await.refused(401, "unauthorized");
    let bad = app.post("/api/v1/session", None, json!({"code": "no such code"})).await;
    assert_eq!(refusal(&bad).2["field"], "code");
    let again = app.shopper("alice").await;
    assert_eq!(again.get("/api/v1/me").await.expect(200).body["nickname"], "小明");
    app.advance(30 * 24 * 3600);
    again.get("/api/v1/me").await.refused(401, "unauthorized");
}

#[actix_web::test]
async fn bad_orders_are_refused_by_name_and_change_nothing() {
    let app = TestApp::start().await;
    let (sku, _) = tea_shop(&app).await;
    let shopper = app.shopper("alice").await;
    let address = shopper.address;
    let order = |items: Value| json!({"items": items, "address_id": address});
    let good = json!([{"sku_id": sku, "quantity": 1}]);
    for (body, code, field) in [
        (order(json!([])), "invalid_request", "items"),
        (order(json!([{"sku_id": sku, "quantity": 0}])), "invalid_request", "items[0].quantity"),
        (order(json!([{"sku_id": sku, "quantity": -1}])), "invalid_request", "items[0].quantity"),
        (
            order(json!([{"sku_id": sku, "quantity": 100000}])),
            "invalid_request",
            "items[0].quantity",
        ),
        (order(json!([{"sku_id": sku, "quantity": 1e30}])), "invalid_request", "items[0].quantity"),
        (order(json!([{"sku_id": "1", "quantity": 1}])), "invalid_request", "items[0].sku_id"),
        (order(json!([{"sku_id": sku, "quantity": 1, "x": 1}])), "invalid_request", "items[0].x"),
        (order(json!([{"sku_id": 999, "quantity": 1}])), "not_found", "items[0].sku_id"),
        (json!({"cart": true, "address_id": address}), "invalid_request", "cart"),
        (json!({"items": good}), "invalid_request", "address_id"),
        (json!({"items": good, "address_id": 999}), "not_found", "address_id"),
        (
            json!({"items": good, "address_id": address, "remark": "x".repeat(256)}),
            "invalid_request",
            "remark",
        ),
    ] {
        let refused = shopper.orders_with("k", body.clone()).await;
        let (_, said, detail) = refusal(&refused);
        assert_eq!((said, detail["field"].as_str()), (code, Some(field)), "{body}");
    }
    let large = order(json!([{"sku_id": sku, "quantity": 99_999}]));
    shopper.orders_with("k", large).await.refused(409, "sold_out");
    let unnamed = shopper.post("/api/v1/orders", order(good.clone())).await;
    unnamed.refused(400, "idempotency_key_missing");
    let named = shopper.orders_with("two words", order(good.clone())).await;
    assert_eq!(refusal(&named).2["field"], "Idempotency-Key");
    let cheaper = json!({"items": good, "address_id": address, "expect_pay_fen": 1});
    let cheaper = shopper.orders_with("k", cheaper).await;
    assert_eq!(refusal(&cheaper), (409, "price_changed", &json!({"pay_fen": 1000})));
    shopper.orders_with("k", order(good)).await.expect(201);
    let other = order(json!([{"sku_id": sku, "quantity": 2}]));
    shopper.orders_with("k", other).await.refused(409, "idempotency_conflict");
    let page = shopper.get("/api/v1/orders").await.expect(200).body;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.stock(sku).await, 4);
}

#[actix_web::test]
async fn bad_questions_are_refused_by_name() {
    let app = TestApp::start().await;
    let shopper = app.shopper("alice").await;
    for (path, status, field) in [
        ("/api/v1/orders/77", 404, "id"),
        ("/api/v1/orders/x", 400, "id"),
        ("/api/v1/orders/-1", 400, "id"),
        ("/api/v1/orders/by-no/20261125999999", 404, "out_trade_no"),
        ("/api/v1/orders?state=lost", 400, "state"),
        ("/api/v1/orders?limit=0", 400, "limit"),
        ("/api/v1/orders?limit=101", 400, "limit"),
        ("/api/v1/orders?cursor=x", 400, "cursor"),
        ("/api/v1/goods?colour=red", 400, "colour"),
        ("/api/v1/goods?sort=best", 400, "sort"),
        ("/api/v1/goods?category_id=x", 400, "category_id"),
        ("/api/v1/goods/77", 404, "id"),
        ("/api/v1/nothing", 404, "path"),
    ] {
        let refused = shopper.get(path).await;
        let (said, _, detail) = refusal(&refused);
        assert_eq!((said, detail["field"].as_str()), (status, Some(field)), "{path}");
    }
}

#[actix_web::test]
async fn strangers_and_large_bodies_are_refused() {
    let app = TestApp::start().await;
    app.get("/api/v1/me", None).await.refused(401, "unauthorized");
    app.get("/api/v1/me", Some("AAAA")).await.refused(401, "unauthorized");
    let elsewhere = [("X-WX-APPID", "wxffffffffffffffff")];
    let refused = app.call(Method::GET, "/api/v1/goods", None, &elsewhere, None).await;
    assert_eq!(refusal(&refused).2["field"], "X-WX-APPID");
    let english = [("Accept-Language", "en-GB,en;q=0.9")];
    let refused = app.call(Method::GET, "/api/v1/me", None, &english, None).await;
    assert_eq!(refused.body["message"], "Please log in first");
    let large = Some(vec![b' '; 10 << 20]);
    let refused = app.call(Method::POST, "/api/v1/session", None, &[], large).await;
    refused.refused(413, "too_large");
    let method = app.call(Method::PUT, "/api/v1/goods", None, &[], None).await;
    assert_eq!(refusal(&method).0, 405);
    for garbage in [&b"\xff\xfe"[..], b"{", b"[]", b"null", b"\"x\""] {
        let body = Some(garbage.to_vec());
        let refused = app.call(Method::POST, "/api/v1/session", None, &[], body).await;
        refused.refused(400, "invalid_request");
    }
}

#[actix_web::test]
async fn a_notification_that_makes_no_sense_fails_in_wechats_form() {
    let app = TestApp::start().await;
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "b">]><xml><return_code>&a;</return_code></xml>"#;
    for (path, body) in [
        ("/wechat/pay/v2/notify/10001", bomb.as_bytes().to_vec()),
        ("/wechat/pay/v2/notify/10001", b"garbage".to_vec()),
        ("/wechat/pay/v2/notify/10001", vec![b'x'; 200_000]),
        ("/wechat/pay/v2/notify/99", b"<xml></xml>".to_vec()),
        ("/wechat/pay/v2/notify/x", b"<xml></xml>".to_vec()),
    ] {
        let answer = app.call(Method::POST, path, None, &[], Some(body)).await.expect(200);
        let fail = "<xml><return_code><![CDATA[FAIL]]></return_code>";
        assert!(answer.text.starts_with(fail), "{}", answer.text);
    }
}

#[actix_web::test]
async fn the_server_says_how_it_is_and_what_it_can() {
    let app = TestApp::start().await;
    app.get("/healthz", None).await.expect(200);
    app.get("/readyz", None).await.expect(200);
    let document = app.get("/api/openapi.json", None).await.expect(200).body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/orders"]["post"].is_object());
    let page = app.get("/api/docs/", None).await.expect(200);
    assert!(page.text.contains("swagger"));
    let metrics = app.get("/metrics", None).await.expect(200);
    assert!(metrics.text.contains("buynow_http_requests_total"), "{}", metrics.text);
}

#[actix_web::test]
async fn one_buyer_who_asks_too_much_waits_and_others_do_not() {
    let change = |config: &mut buynow::config::Config| {
        config.server.buyer_requests_per_second = 1;
        config.server.buyer_burst = 4;
    };
    let app = TestApp::builder().config(change).start().await;
    let alice = app.shopper("alice").await;
    // As many as a slow machine needs to be faster than one in a second.
    let mut asked = 0;
    let refused = loop {
        let reply = alice.get("/api/v1/me").await;
        if reply.status == 429 {
            break reply.refused(429, "rate_limited");
        }
        asked += 1;
        assert!(asked < 100, "nobody is told to wait");
    };
    assert!(asked >= 3 && refused.retry_after, "{asked}");
    app.shopper("bob").await.get("/api/v1/me").await.expect(200);
}

#[actix_web::test]
async fn what_a_client_reports_as_accepted_is_only_a_hint() {
    let app = TestApp::start().await;
    let shopper = app.shopper("alice").await;
    let templates = app.get("/api/v1/message-templates", None).await.expect(200).body;
    assert_eq!(templates["items"][0]["event"], "order_paid");
    let id = templates["items"][0]["template_id"].clone();
    shopper.post("/api/v1/message-grants", json!({"template_ids": [id]})).await.expect(204);
    let unknown = json!({"template_ids": [id, "no template"]});
    let unknown = shopper.post("/api/v1/message-grants", unknown).await;
    assert_eq!(refusal(&unknown).2["field"], "template_ids[1]");
    let many = json!({"template_ids": [id, id, id, id, id, id]});
    shopper.post("/api/v1/message-grants", many).await.refused(400, "invalid_request");
}
