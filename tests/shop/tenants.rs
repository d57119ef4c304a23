//! Two mini-programs on one server do not see each other.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{SECOND_APPID, SECOND_SHOP, Shopper, TestApp};

/// Both shops with tea: the app and a SKU of each.
async fn two_shops() -> (TestApp, i64, i64) {
    let app = TestApp::builder().second_shop().start().await;
    let tea = json!({"goods": [{"name": "茶", "category": "饮品", "skus": [
        {"code": "TEA", "price_fen": 1_000, "stock": 5}]}]});
    let first = app.seed(tea.clone()).await[0];
    let second = app.seed_shop(SECOND_SHOP, tea).await[0];
    (app, first, second)
}

async fn stock(shopper: &Shopper) -> Value {
    let goods = shopper.get("/api/v1/goods").await.expect(200).body;
    let detail = format!("/api/v1/goods/{}", goods["items"][0]["id"]);
    shopper.get(&detail).await.expect(200).body["skus"][0]["stock"].clone()
}

#[actix_rt::test]
async fn each_mini_program_sells_its_own_goods_to_its_own_buyers() {
    let (app, first, second) = two_shops().await;
    let (alice, bob) = (app.shopper("alice").await, app.second_shopper("alice").await);
    let (one, two) =
        (alice.buys(first, 2).await.expect(201), bob.buys(second, 1).await.expect(201));
    alice.pays(one.payment()).await;
    bob.pays(two.payment()).await;
    assert_eq!(alice.order(one.order_id()).await["state"], "paid");
    assert_eq!(bob.order(two.order_id()).await["state"], "paid");
    assert_eq!((stock(&alice).await, stock(&bob).await), (json!(3), json!(4)));
    let mine = |shopper: Shopper| async move {
        let page = shopper.get("/api/v1/orders").await.expect(200).body;
        page["items"].as_array().unwrap().iter().map(|order| order["id"].as_i64()).collect()
    };
    let (mine, theirs): (Vec<_>, Vec<_>) = (mine(alice).await, mine(bob).await);
    assert_eq!((mine, theirs), (vec![Some(one.order_id())], vec![Some(two.order_id())]));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn nothing_of_another_mini_program_is_found() {
    let (app, first, second) = two_shops().await;
    let (alice, bob) = (app.shopper("alice").await, app.second_shopper("bob").await);
    let order = alice.buys(first, 1).await.expect(201);
    let goods = alice.get("/api/v1/goods").await.expect(200).body["items"][0]["id"].clone();
    let id = order.order_id();
    for path in [
        format!("/api/v1/goods/{goods}"),
        format!("/api/v1/orders/{id}"),
        format!("/api/v1/orders/{id}?refresh=true"),
        format!("/api/v1/orders/by-no/{}", order.order_no()),
    ] {
        bob.get(&path).await.refused(404, "not_found");
    }
    bob.asks_to_pay(id).await.refused(404, "not_found");
    bob.cancels(id).await.refused(404, "not_found");
    let address = format!("/api/v1/addresses/{}", alice.address);
    bob.call(Method::DELETE, &address, &[], None).await.refused(404, "not_found");
    let default = format!("{address}/default");
    bob.call(Method::PUT, &default, &[], None).await.refused(404, "not_found");
    bob.buys(first, 1).await.refused(404, "not_found");
    let theirs = json!({"items": [{"sku_id": second, "quantity": 1}], "address_id": alice.address});
    bob.orders_with("k", theirs).await.refused(404, "not_found");
    let quote = json!({"items": [{"sku_id": first, "quantity": 1}]});
    bob.post("/api/v1/checkout", quote).await.refused(404, "not_found");
    assert_eq!(alice.order(id).await["state"], "unpaid");
    assert_eq!((stock(&alice).await, stock(&bob).await), (json!(4), json!(5)));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_token_opens_only_the_mini_program_that_gave_it() {
    let (app, _, _) = two_shops().await;
    let alice = app.shopper("alice").await;
    let header = [("X-WX-APPID", SECOND_APPID)];
    for path in ["/api/v1/me", "/api/v1/orders", "/api/v1/addresses"] {
        let refused = app.call(Method::GET, path, Some(&alice.token), &header, None).await;
        refused.refused(401, "unauthorized");
    }
    // The token itself says which mini-program is meant.
    app.get("/api/v1/me", Some(&alice.token)).await.expect(200);
    // A code of one mini-program is good for nothing in another.
    let code = app.sandbox.login(Some(&alice.appid), "alice").unwrap().code;
    let body = json!({ "code": code }).to_string();
    let crossed = app.call(Method::POST, "/api/v1/session", None, &header, Some(body.into())).await;
    crossed.refused(400, "invalid_request");
    app.stop().await;
}

#[actix_rt::test]
async fn with_two_mini_programs_a_stranger_has_to_say_which_one_he_means() {
    let (app, _, _) = two_shops().await;
    for path in ["/api/v1/goods", "/api/v1/categories", "/api/v1/message-templates"] {
        let refused = app.get(path, None).await.refused(400, "invalid_request");
        assert_eq!(refused.body["detail"]["field"], "X-WX-APPID");
        let header = [("X-WX-APPID", SECOND_APPID)];
        app.call(Method::GET, path, None, &header, None).await.expect(200);
    }
    app.stop().await;
}

#[actix_rt::test]
async fn the_same_key_in_two_mini_programs_is_two_keys() {
    let (app, first, second) = two_shops().await;
    let (alice, bob) = (app.shopper("alice").await, app.second_shopper("alice").await);
    let one = alice.orders_with("k", alice.order_body(&[(first, 1)])).await.expect(201);
    let two = bob.orders_with("k", bob.order_body(&[(second, 2)])).await.expect(201);
    assert_ne!(one.order_id(), two.order_id());
    app.audit_is_clean().await;
    app.stop().await;
}
