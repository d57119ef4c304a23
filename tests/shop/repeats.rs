//! `Idempotency-Key`: a request that is sent again places no second order.

use awc::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Reply, TestApp};

#[track_caller]
fn same_order(first: &Reply, again: &Reply) {
    assert_eq!(again.order_id(), first.order_id());
    assert_eq!(again.order_no(), first.order_no());
}

#[actix_rt::test]
async fn the_same_request_many_times_at_once_is_one_order() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 50).await;
    let alice = app.shopper("alice").await;
    let body = alice.order_body(&[(sku, 1)]);
    let replies = join_all((0..10).map(|_| alice.orders_with("k", body.clone()))).await;
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200; 9][..], &[201]].concat());
    for reply in &replies {
        same_order(&replies[0], reply);
        assert_eq!(reply.payment()["package"], replies[0].payment()["package"]);
    }
    assert_eq!(app.stock(sku).await, 49);
    assert_eq!(app.sandbox.calls("/pay/unifiedorder").count, 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn who_lost_the_answer_gets_his_order_though_it_is_sold_out_by_now() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 1).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    let body = alice.order_body(&[(sku, 1)]);
    let first = alice.orders_with("k", body.clone()).await.expect(201);
    bob.buys(sku, 1).await.refused(409, "sold_out");
    app.advance(300);
    let again = alice.orders_with("k", body).await.expect(200);
    same_order(&first, &again);
    assert_ne!(again.payment()["timeStamp"], first.payment()["timeStamp"]);
    alice.pays(again.payment()).await;
    assert_eq!(alice.order(first.order_id()).await["state"], "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_repeat_answers_with_the_order_as_it_is_now() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 9).await;
    let alice = app.shopper("alice").await;
    let body = alice.order_body(&[(sku, 1)]);
    let paid = alice.orders_with("paid", body.clone()).await.expect(201);
    alice.pays(paid.payment()).await;
    let closed = alice.orders_with("closed", body.clone()).await.expect(201);
    alice.cancels(closed.order_id()).await.expect(200);
    for (key, first) in [("paid", paid), ("closed", closed)] {
        let again = alice.orders_with(key, body.clone()).await.expect(200);
        same_order(&first, &again);
        assert_eq!(again.body["order"]["state"], key);
        assert_eq!((again.payment(), &again.body["payment_error"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(app.stock(sku).await, 8);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_repeat_finds_its_order_whatever_has_become_of_goods_price_and_address() {
    let app = TestApp::start().await;
    let sku = app.load("TEA", 1_000, 5).await;
    let alice = app.shopper("alice").await;
    let mut body = alice.order_body(&[(sku, 1)]);
    body["expect_pay_fen"] = json!(1_000);
    let first = alice.orders_with("k", body.clone()).await.expect(201);
    app.load("TEA", 2_000, 4).await;
    app.advance(1);
    same_order(&first, &alice.orders_with("k", body.clone()).await.expect(200));
    let address = format!("/api/v1/addresses/{}", alice.address);
    alice.call(Method::DELETE, &address, &[], None).await.expect(204);
    same_order(&first, &alice.orders_with("k", body.clone()).await.expect(200));
    let off_sale = json!({"name": "高山茶", "code": "TEA", "on_sale": false,
        "skus": [{"code": "TEA", "price_fen": 2_000, "stock": 4}]});
    app.seed(json!({ "goods": [off_sale] })).await;
    app.advance(1);
    app.shopper("bob").await.buys(sku, 1).await.refused(409, "off_sale");
    same_order(&first, &alice.orders_with("k", body).await.expect(200));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_key_belongs_to_the_content_that_it_came_with() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 9).await;
    let alice = app.shopper("alice").await;
    let body = alice.order_body(&[(sku, 2)]);
    alice.orders_with("k", body.clone()).await.expect(201);
    let changed = |field: &str, value: Value| {
        let mut changed = body.clone();
        changed[field] = value;
        changed
    };
    for other in [
        alice.order_body(&[(sku, 3)]),
        alice.order_body(&[(sku, 1), (sku, 1)]),
        changed("remark", json!("快点")),
        changed("expect_pay_fen", json!(2_000)),
        changed("address_id", json!(999)),
        // Refused for another reason as well: the key is looked up first.
        alice.order_body(&[(sku, 99)]),
        alice.order_body(&[(999, 1)]),
    ] {
        let refused = alice.orders_with("k", other.clone()).await;
        assert_eq!(refused.code(), "idempotency_conflict", "{other}");
        assert_eq!(refused.status, 409);
    }
    // How it is paid is no part of the order.
    let later = alice.orders_with("k", changed("prepay", json!(false))).await.expect(200);
    assert_eq!(later.payment(), &Value::Null);
    assert_eq!(app.stock(sku).await, 7);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn two_contents_under_one_key_at_the_same_moment_are_one_order_and_a_conflict() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 9).await;
    let alice = app.shopper("alice").await;
    let orders = (1..=6)
        .map(|quantity| alice.orders_with("k", alice.order_body(&[(sku, quantity % 2 + 1)])));
    let replies = join_all(orders).await;
    let placed: Vec<_> = replies.iter().filter(|reply| reply.status < 300).collect();
    assert_eq!(placed.len(), 3);
    assert!(placed.iter().all(|reply| reply.order_id() == placed[0].order_id()));
    let conflicts = replies.iter().filter(|reply| reply.status == 409);
    assert!(conflicts.clone().all(|reply| reply.code() == "idempotency_conflict"));
    let page = alice.get("/api/v1/orders").await.expect(200);
    assert_eq!(page.body["items"].as_array().unwrap().len(), 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_refused_request_does_not_bind_its_key() {
    let app = TestApp::start().await;
    let sku = app.load("TEA", 1_000, 1).await;
    let alice = app.shopper("alice").await;
    let far = json!({"items": [{"sku_id": sku, "quantity": 1}], "address_id": 999});
    alice.orders_with("k", far).await.refused(404, "not_found");
    alice.orders_with("k", alice.order_body(&[(sku, 2)])).await.refused(409, "sold_out");
    alice.orders_with("k", alice.order_body(&[(sku, 3)])).await.refused(409, "sold_out");
    app.load("TEA", 1_000, 3).await;
    app.advance(1);
    alice.orders_with("k", alice.order_body(&[(sku, 3)])).await.expect(201);
    alice
        .orders_with("k", alice.order_body(&[(sku, 2)]))
        .await
        .refused(409, "idempotency_conflict");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn the_same_key_of_another_buyer_is_another_key() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 9).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    let one = alice.orders_with("k", alice.order_body(&[(sku, 1)])).await.expect(201);
    let two = bob.orders_with("k", bob.order_body(&[(sku, 2)])).await.expect(201);
    assert_ne!(one.order_id(), two.order_id());
    same_order(&two, &bob.orders_with("k", bob.order_body(&[(sku, 2)])).await.expect(200));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_key_is_known_after_a_restart() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 1).await;
    let alice = app.shopper("alice").await;
    let body = alice.order_body(&[(sku, 1)]);
    let first = alice.orders_with("k", body.clone()).await.expect(201);
    let clock = app.clock.clone();
    let storage = app.stop().await;
    let app = TestApp::builder().on(storage, clock).start().await;
    let alice = alice.at(&app);
    let again = alice.orders_with("k", body).await.expect(200);
    same_order(&first, &again);
    let other = alice.order_body(&[(sku, 2)]);
    alice.orders_with("k", other).await.refused(409, "idempotency_conflict");
    alice.buys(sku, 1).await.refused(409, "sold_out");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_key_is_forgotten_after_seven_days() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 9).await;
    let alice = app.shopper("alice").await;
    let body = alice.order_body(&[(sku, 1)]);
    let first = alice.orders_with("k", body.clone()).await.expect(201);
    app.advance(7 * 24 * 3600 - 60);
    app.run_reaper().await;
    same_order(&first, &alice.orders_with("k", body.clone()).await.expect(200));
    // The reaper sweeps once an hour.
    app.advance(2 * 3600);
    app.run_reaper().await;
    let second = alice.orders_with("k", body).await.expect(201);
    assert_ne!(second.order_id(), first.order_id());
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_key_is_one_to_sixty_four_visible_characters() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 9).await;
    let alice = app.shopper("alice").await;
    let body = alice.order_body(&[(sku, 1)]);
    for bad in ["", " ", "two words", "钥匙", &"k".repeat(65)] {
        let refused = alice.orders_with(bad, body.clone()).await.refused(400, "invalid_request");
        assert_eq!(refused.body["detail"]["field"], "Idempotency-Key", "{bad:?}");
    }
    let missing = alice.post("/api/v1/orders", body.clone()).await;
    missing.refused(400, "idempotency_key_missing");
    assert_eq!(app.stock(sku).await, 9);
    for good in ["k", &"~".repeat(64)] {
        alice.orders_with(good, body.clone()).await.expect(201);
    }
    app.audit_is_clean().await;
    app.stop().await;
}
