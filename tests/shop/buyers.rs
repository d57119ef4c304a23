//! Buyers who do many things with their account at the same moment.

use std::collections::BTreeSet;

use awc::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::TestApp;

fn home(detail: usize) -> Value {
    json!({"name": "王小明", "phone": "13800138000", "province": "广东省", "city": "广州市",
        "district": "天河区", "detail": format!("体育西路 {detail} 号")})
}

#[actix_rt::test]
async fn a_buyer_who_logs_in_for_the_first_time_on_two_phones_is_one_buyer() {
    let app = TestApp::start().await;
    let logins = (0..8).map(|_| async {
        let code = app.sandbox.login(None, "dora").unwrap().code;
        app.post("/api/v1/session", None, json!({ "code": code })).await.expect(200).body
    });
    let sessions = join_all(logins).await;
    let users: BTreeSet<i64> =
        sessions.iter().map(|session| session["user"]["id"].as_i64().unwrap()).collect();
    assert_eq!(users.len(), 1);
    let tokens: BTreeSet<&str> =
        sessions.iter().map(|session| session["token"].as_str().unwrap()).collect();
    assert_eq!(tokens.len(), 8, "each phone has a token of its own");
    let first = tokens.first().copied();
    app.call(Method::DELETE, "/api/v1/session", first, &[], None).await.expect(204);
    for token in &tokens {
        let me = app.get("/api/v1/me", Some(token)).await;
        assert_eq!(me.status, if Some(*token) == first { 401 } else { 200 });
    }
    app.stop().await;
}

#[actix_rt::test]
async fn a_code_of_wx_login_is_good_once() {
    let app = TestApp::start().await;
    let code = app.sandbox.login(None, "dora").unwrap().code;
    let log_in = || app.post("/api/v1/session", None, json!({ "code": code }));
    let replies = join_all((0..4).map(|_| log_in())).await;
    let good = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(good, 1);
    for refused in replies.into_iter().filter(|reply| reply.status != 200) {
        let refused = refused.refused(400, "invalid_request");
        assert_eq!(refused.body["detail"]["field"], "code");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn addresses_added_at_the_same_moment_leave_one_default() {
    let app = TestApp::start().await;
    let alice = app.shopper("alice").await;
    let mine = format!("/api/v1/addresses/{}", alice.address);
    alice.call(Method::DELETE, &mine, &[], None).await.expect(204);
    let adding = join_all((0..6).map(|number| alice.post("/api/v1/addresses", home(number)))).await;
    let ids: Vec<Value> =
        adding.into_iter().map(|reply| reply.expect(201).body["id"].clone()).collect();
    let book = alice.get("/api/v1/addresses").await.expect(200).body;
    let items = book["items"].as_array().unwrap();
    assert_eq!(items.len(), 6);
    assert_eq!(items.iter().filter(|item| item["is_default"] == true).count(), 1, "{book}");
    let choosing = ids.iter().map(|id| {
        let (alice, path) = (&alice, format!("/api/v1/addresses/{id}/default"));
        async move { alice.call(Method::PUT, &path, &[], None).await.expect(200) }
    });
    join_all(choosing).await;
    let book = alice.get("/api/v1/addresses").await.expect(200).body;
    let items = book["items"].as_array().unwrap();
    assert_eq!(items.iter().filter(|item| item["is_default"] == true).count(), 1, "{book}");
    app.stop().await;
}

#[actix_rt::test]
async fn an_address_book_has_fifty_entries_at_the_most() {
    let app = TestApp::start().await;
    let alice = app.shopper("alice").await;
    join_all((1..50).map(|number| alice.post("/api/v1/addresses", home(number)))).await;
    let refused = alice.post("/api/v1/addresses", home(0)).await.refused(409, "limit_exceeded");
    assert_eq!(refused.body["detail"], json!({"max": 50}));
    let book = alice.get("/api/v1/addresses").await.expect(200).body;
    assert_eq!(book["items"].as_array().unwrap().len(), 50);
    app.stop().await;
}

#[actix_rt::test]
async fn a_crowd_that_refreshes_one_order_asks_wechat_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 1).await;
    let alice = app.shopper("alice").await;
    let id = alice.buys(sku, 1).await.expect(201).order_id();
    let path = format!("/api/v1/orders/{id}?refresh=true");
    let looks = join_all((0..10).map(|_| alice.get(&path))).await;
    assert!(looks.iter().all(|look| look.status == 200));
    assert_eq!(app.sandbox.calls("/pay/orderquery").count, 1);
    app.advance(3);
    alice.get(&path).await.expect(200);
    assert_eq!(app.sandbox.calls("/pay/orderquery").count, 2);
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_keeps_the_address_and_the_price_that_it_was_placed_with() {
    let app = TestApp::start().await;
    let sku = app.load("TEA", 1_000, 5).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let path = format!("/api/v1/addresses/{}", alice.address);
    let moved = Some(home(9).to_string().into());
    alice.call(Method::PUT, &path, &[], moved).await.expect(200);
    app.load("TEA", 5_000, 4).await;
    app.advance(1);
    let order = alice.order(placed.order_id()).await;
    assert_eq!(order, placed.body["order"]);
    let again = alice.asks_to_pay(placed.order_id()).await.expect(200).body;
    alice.pays(&again).await;
    let paid = alice.order(placed.order_id()).await;
    assert_eq!((&paid["state"], &paid["pay_fen"]), (&json!("paid"), &json!(1_000)));
    app.audit_is_clean().await;
    app.stop().await;
}
