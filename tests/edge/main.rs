//! The HTTP API against the real engine and the simulated WeChat: each call does what the contract
//! says, and refuses what it must.
#![allow(clippy::unwrap_used)]

mod shop;

use awc::http::Method;
use buynow::sandbox::{Mode, PaySheet, SettingsChange};
use serde_json::{Value, json};
use shop::{APPID, Shop, home};

/// The pay sheet of the phone, for these parameters.
fn sheet(payment: &Value) -> PaySheet {
    let mut sheet = payment.clone();
    sheet["appid"] = APPID.into();
    serde_json::from_value(sheet).unwrap()
}

#[actix_web::test]
async fn one_purchase_from_log_in_to_message() {
    let shop = Shop::open().await;
    let buyer = shop.buyer("alice").await;
    let sku = shop.sku("TEA-S");
    let address = buyer.address().await;

    let quote = json!({"items": [{"sku_id": sku, "quantity": 2}], "address_id": address});
    let quote = buyer.post("/api/v1/checkout", quote).await.expect(200);
    assert_eq!(quote["goods_fen"], 2000);
    assert_eq!(quote["freight_fen"], 800);
    assert_eq!(quote["pay_fen"], 2800);
    assert_eq!(quote["problems"], json!([]));
    assert_eq!(quote["lines"][0]["goods_name"], "龙井茶");

    let templates = shop.get("/api/v1/message-templates").await.expect(200);
    assert_eq!(templates, json!({"items": [{"event": "order_paid", "template_id": "paid"}]}));
    shop.sandbox.subscribe(Some(APPID), "alice", &["paid".to_owned()]).unwrap();
    buyer.post("/api/v1/message-grants", json!({"template_ids": ["paid"]})).await.expect(204);

    let body = json!({"items": [{"sku_id": sku, "quantity": 2}], "address_id": address,
        "remark": "快点\n谢谢", "expect_pay_fen": 2800});
    let placed = buyer.order("k1", body.clone()).await.expect(201);
    let order = &placed["order"];
    assert_eq!(order["state"], "unpaid");
    assert_eq!(order["remark"], "快点 谢谢");
    assert_eq!(order["refund"], json!({"state": "none", "refunded_fen": 0}));
    assert_eq!(order["lines"][0]["total_fen"], 2000);
    assert_eq!(order["address"]["city"], "广州市");
    assert_eq!(placed["payment_error"], Value::Null);
    assert_eq!(placed["payment"]["signType"], "HMAC-SHA256");

    let paid = shop.sandbox.pay(&sheet(&placed["payment"]));
    let number = order["order_no"].as_str().unwrap();
    let transaction = paid.transaction_id.clone().unwrap();
    shop.sandbox.told(number, &transaction).await.unwrap();
    let path = format!("/api/v1/orders/{}", order["id"]);
    let order = buyer.get(&path).await.expect(200);
    assert_eq!(order["state"], "paid", "{paid:?}");
    let again = buyer.order("k1", body).await.expect(200);
    assert_eq!(again["order"]["state"], "paid");
    assert_eq!(again["payment"], Value::Null);

    shop.run_notifier().await;
    let messages = shop.sandbox.wait_for_messages(1).await.unwrap();
    assert_eq!(messages[0].lines[0].value, "龙井茶");
    let me = buyer.get("/api/v1/me").await.expect(200);
    assert_eq!(me["order_counts"], json!({"unpaid": 0, "paid": 1, "shipped": 0}));
    let goods =
        shop.get("/api/v1/goods?keyword=%E9%BE%99%E4%BA%95&sort=price_asc").await.expect(200);
    let goods = shop.get(&format!("/api/v1/goods/{}", goods["items"][0]["id"])).await.expect(200);
    assert_eq!(goods["skus"][0]["stock"], 3);
    assert_eq!(shop.audit().await.breaches, []);
}

#[actix_web::test]
async fn an_order_can_be_given_up_and_its_goods_are_there_again() {
    let shop = Shop::open().await;
    let buyer = shop.buyer("alice").await;
    let address = buyer.address().await;
    let body =
        json!({"items": [{"sku_id": shop.sku("TEA-L"), "quantity": 1}], "address_id": address});
    let placed = buyer.order("k1", body.clone()).await.expect(201);
    let (status, code, detail) = buyer.order("k2", body.clone()).await.refused();
    assert_eq!((status, code.as_str()), (409, "sold_out"));
    assert_eq!(detail, json!({"sku_id": shop.sku("TEA-L"), "available": 0}));
    let cancel = format!("/api/v1/orders/{}/cancel", placed["order"]["id"]);
    let order = buyer.post(&cancel, Value::Null).await.expect(200);
    assert_eq!((&order["state"], &order["close_reason"]), (&json!("closed"), &json!("buyer")));
    assert_eq!(buyer.post(&cancel, Value::Null).await.expect(200)["state"], "closed");
    let pay = format!("/api/v1/orders/{}/payment", placed["order"]["id"]);
    assert_eq!(buyer.post(&pay, Value::Null).await.refused().1, "invalid_state");
    buyer.order("k3", body).await.expect(201);
    assert_eq!(shop.audit().await.breaches, []);
}

#[actix_web::test]
async fn nothing_to_pay_is_paid_at_once() {
    let shop = Shop::open().await;
    let buyer = shop.buyer("alice").await;
    let address = buyer.address().await;
    // Freight is still to be paid for a gift that is sent.
    let body = json!({"items": [{"sku_id": shop.sku("GIFT"), "quantity": 1}],
        "address_id": address, "prepay": false});
    let placed = buyer.order("k1", body).await.expect(201);
    assert_eq!(placed["order"]["pay_fen"], 800);
    assert_eq!(placed["payment"], Value::Null);
    assert_eq!(placed["payment_error"], Value::Null);
    let pay = format!("/api/v1/orders/{}/payment", placed["order"]["id"]);
    let payment = buyer.post(&pay, Value::Null).await.expect(200);
    assert!(payment["package"].as_str().unwrap().starts_with("prepay_id="));
}

#[actix_web::test]
async fn orders_are_listed_found_and_refreshed() {
    let shop = Shop::open().await;
    let (alice, bob) = (shop.buyer("alice").await, shop.buyer("bob").await);
    let address = alice.address().await;
    let body =
        json!({"items": [{"sku_id": shop.sku("TEA-S"), "quantity": 1}], "address_id": address});
    let first = alice.order("k1", body.clone()).await.expect(201);
    let second = alice.order("k2", body.clone()).await.expect(201);
    let page = alice.get("/api/v1/orders?state=unpaid&limit=1").await.expect(200);
    assert_eq!(page["items"][0]["id"], second["order"]["id"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = alice.get(&format!("/api/v1/orders?state=unpaid&limit=1&cursor={cursor}")).await;
    let page = page.expect(200);
    assert_eq!(page["items"][0]["id"], first["order"]["id"]);
    assert_eq!(page["next_cursor"], Value::Null);

    let number = first["order"]["order_no"].as_str().unwrap();
    let by_no = format!("/api/v1/orders/by-no/{number}");
    assert_eq!(alice.get(&by_no).await.expect(200)["id"], first["order"]["id"]);
    assert_eq!(bob.get(&by_no).await.refused().1, "not_found");
    let by_id = format!("/api/v1/orders/{}", first["order"]["id"]);
    assert_eq!(bob.get(&by_id).await.refused().1, "not_found");
    let theirs = bob.order("k1", body).await.refused();
    assert_eq!((theirs.1.as_str(), &theirs.2), ("not_found", &json!({"field": "address_id"})));

    shop.sandbox.settings(SettingsChange { notify: Some(Mode::Manual), ..Default::default() });
    shop.sandbox.pay(&sheet(&first["payment"]));
    assert_eq!(alice.get(&by_id).await.expect(200)["state"], "unpaid");
    let refreshed = alice.get(&format!("{by_id}?refresh=true")).await.expect(200);
    assert_eq!(refreshed["state"], "paid");
    assert_eq!(shop.audit().await.breaches, []);
}

#[actix_web::test]
async fn the_address_book_keeps_one_default() {
    let shop = Shop::open().await;
    let (alice, bob) = (shop.buyer("alice").await, shop.buyer("bob").await);
    let first = alice.post("/api/v1/addresses", home()).await.expect(201);
    assert_eq!(first["is_default"], true);
    let second = alice.address().await;
    let path = format!("/api/v1/addresses/{second}");
    let default =
        alice.call(Method::PUT, &format!("{path}/default"), Value::Null).await.expect(200);
    assert_eq!(default["is_default"], true);
    let mut moved = home();
    moved["detail"] = "新街 2 号".into();
    let changed = alice.call(Method::PUT, &path, moved.clone()).await.expect(200);
    assert_eq!((&changed["detail"], &changed["is_default"]), (&json!("新街 2 号"), &json!(true)));
    assert_eq!(bob.call(Method::PUT, &path, moved).await.refused().1, "not_found");
    assert_eq!(bob.call(Method::DELETE, &path, Value::Null).await.refused().1, "not_found");
    let book = alice.get("/api/v1/addresses").await.expect(200);
    let defaults: Vec<_> =
        book["items"].as_array().unwrap().iter().map(|a| &a["is_default"]).collect();
    assert_eq!(defaults, [&json!(true), &json!(false)]);
    assert_eq!(alice.call(Method::DELETE, &path, Value::Null).await.status, 204);
    assert_eq!(
        alice.get("/api/v1/addresses").await.expect(200)["items"].as_array().unwrap().len(),
        1
    );
}

#[actix_web::test]
async fn a_log_in_ends_with_log_out() {
    let shop = Shop::open().await;
    let buyer = shop.buyer("alice").await;
    let changed = buyer.call(Method::PATCH, "/api/v1/me", json!({"nickname": "小明"})).await;
    assert_eq!(changed.expect(200)["nickname"], "小明");
    assert_eq!(buyer.call(Method::DELETE, "/api/v1/session", Value::Null).await.status, 204);
    assert_eq!(buyer.get("/api/v1/me").await.refused().1, "unauthorized");
    let code = json!({"code": "no such code"}).to_string();
    let refused = shop.call(Method::POST, "/api/v1/session", &[], code).await.refused();
    assert_eq!((refused.0, refused.2["field"].as_str()), (400, Some("code")));
    let again = shop.buyer("alice").await;
    assert_eq!(again.get("/api/v1/me").await.expect(200)["nickname"], "小明");
    shop.clock.advance(std::time::Duration::from_secs(30 * 24 * 3600));
    assert_eq!(again.get("/api/v1/me").await.refused().1, "unauthorized");
}

#[actix_web::test]
async fn bad_input_is_refused_by_name_and_changes_nothing() {
    let shop = Shop::open().await;
    let buyer = shop.buyer("alice").await;
    let address = buyer.address().await;
    let sku = shop.sku("TEA-S");
    let order = |items: Value| json!({"items": items, "address_id": address});
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
        (order(json!([{"sku_id": 999, "quantity": 1}])), "not_found", "items[0].sku_id"),
        (
            order(json!([{"sku_id": sku, "quantity": 1, "size": 1}])),
            "invalid_request",
            "items[0].size",
        ),
        (json!({"cart": true, "address_id": address}), "invalid_request", "cart"),
        (json!({"items": [{"sku_id": sku, "quantity": 1}]}), "invalid_request", "address_id"),
        (
            json!({"items": [{"sku_id": sku, "quantity": 1}], "address_id": 999}),
            "not_found",
            "address_id",
        ),
        (
            json!({"items": [{"sku_id": sku, "quantity": 1}], "address_id": address,
                "remark": "x".repeat(256)}),
            "invalid_request",
            "remark",
        ),
    ] {
        let (_, said, detail) = buyer.order("k", body.clone()).await.refused();
        assert_eq!((said.as_str(), detail["field"].as_str()), (code, Some(field)), "{body}");
    }
    let good = order(json!([{"sku_id": sku, "quantity": 1}]));
    let unnamed = buyer.post("/api/v1/orders", good.clone()).await.refused();
    assert_eq!((unnamed.0, unnamed.1.as_str()), (400, "idempotency_key_missing"));
    let named = buyer.order("two words", good.clone()).await.refused();
    assert_eq!(named.2["field"], "Idempotency-Key");
    let changed = json!({"items": [{"sku_id": sku, "quantity": 1}], "address_id": address,
        "expect_pay_fen": 1});
    let refused = buyer.order("k", changed).await.refused();
    assert_eq!((refused.1.as_str(), refused.2), ("price_changed", json!({"pay_fen": 1800})));
    buyer.order("k", good).await.expect(201);
    let other = order(json!([{"sku_id": sku, "quantity": 2}]));
    assert_eq!(buyer.order("k", other).await.refused().1, "idempotency_conflict");
    assert_eq!(buyer.get("/api/v1/orders/77").await.refused().1, "not_found");
    assert_eq!(buyer.get("/api/v1/orders/x").await.refused().1, "invalid_request");
    assert_eq!(buyer.get("/api/v1/orders?state=lost").await.refused().2["field"], "state");
    assert_eq!(shop.get("/api/v1/goods?colour=red").await.refused().2["field"], "colour");
    assert_eq!(shop.get("/api/v1/nothing").await.refused().0, 404);
    let page = buyer.get("/api/v1/orders").await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn strangers_and_large_bodies_are_refused() {
    let shop = Shop::open().await;
    assert_eq!(shop.get("/api/v1/me").await.refused().0, 401);
    let forged = [("Authorization", "Bearer AAAA")];
    assert_eq!(shop.call(Method::GET, "/api/v1/me", &forged, "").await.refused().0, 401);
    let other = [("X-WX-APPID", "wxffffffffffffffff")];
    let refused = shop.call(Method::GET, "/api/v1/goods", &other, "").await.refused();
    assert_eq!((refused.0, refused.2["field"].as_str()), (400, Some("X-WX-APPID")));
    let ours = [("X-WX-APPID", APPID), ("Accept-Language", "en")];
    shop.call(Method::GET, "/api/v1/goods", &ours, "").await.expect(200);
    let english = shop.call(Method::GET, "/api/v1/me", &ours, "").await;
    assert_eq!(english.body["message"], "Please log in first");
    let large = vec![b' '; 10 << 20];
    let refused = shop.call(Method::POST, "/api/v1/session", &[], large).await.refused();
    assert_eq!((refused.0, refused.1.as_str()), (413, "too_large"));
    let method = shop.call(Method::PUT, "/api/v1/goods", &[], "").await.refused();
    assert_eq!(method.0, 405);
}

#[actix_web::test]
async fn a_notification_that_does_not_verify_fails_in_wechats_form() {
    let shop = Shop::open().await;
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "b">]><xml><return_code>&a;</return_code></xml>"#;
    for (path, body) in [
        ("/wechat/pay/v2/notify/10001", bomb.as_bytes().to_vec()),
        ("/wechat/pay/v2/notify/10001", b"garbage".to_vec()),
        ("/wechat/pay/v2/notify/10001", vec![b'x'; 200_000]),
        ("/wechat/pay/v2/notify/99", b"<xml></xml>".to_vec()),
        ("/wechat/pay/v2/notify/x", b"<xml></xml>".to_vec()),
    ] {
        let answer = shop.call(Method::POST, path, &[], body).await;
        assert_eq!(answer.status, 200);
        let text = answer.body.as_str().unwrap();
        assert!(text.starts_with("<xml><return_code><![CDATA[FAIL]]></return_code>"), "{text}");
    }
}

#[actix_web::test]
async fn the_server_says_how_it_is() {
    let shop = Shop::open().await;
    shop.get("/healthz").await.expect(200);
    shop.get("/readyz").await.expect(200);
    let document = shop.get("/api/openapi.json").await.expect(200);
    assert_eq!(document["info"]["title"], "buynow");
    let page = shop.get("/api/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.as_str().unwrap().contains("swagger"));
    let answer = shop.get("/healthz").await;
    assert!(answer.headers.contains_key("x-request-id"));
    shop.ready.send_replace(false);
    assert_eq!(shop.get("/readyz").await.refused().0, 503);
}

#[actix_web::test]
async fn too_many_requests_of_one_buyer_wait() {
    let shop = Shop::open_with(|config| {
        config.server.buyer_requests_per_second = 1;
        config.server.buyer_burst = 3;
    })
    .await;
    let buyer = shop.buyer("alice").await;
    for _ in 0..3 {
        buyer.get("/api/v1/me").await.expect(200);
    }
    let refused = buyer.get("/api/v1/me").await;
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.refused().1, "rate_limited");
    shop.buyer("bob").await.get("/api/v1/me").await.expect(200);
}
