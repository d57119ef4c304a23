//! Orders whose goods change under them, and orders that cost nothing.

use serde_json::json;

use crate::desk::*;
use crate::support::TestApp;

/// Goods of which the owner changes how their stock is deducted, and leaves the stock as it is.
async fn goods(app: &TestApp, deduct_stock: &str, stock: i64) -> i64 {
    let sku = json!({ "code": "tea", "price_fen": 500, "stock": stock });
    let goods = json!({ "name": "茶", "code": "tea", "deduct_stock": deduct_stock, "skus": [sku] });
    app.seed(json!({ "goods": [goods] })).await[0]
}

#[actix_rt::test]
async fn an_order_deducts_by_the_mode_of_its_day() {
    for (then, today) in [("order", "payment"), ("payment", "order")] {
        let app = TestApp::start().await;
        let sku = goods(&app, then, 5).await;
        let shopper = app.shopper("alice").await;
        let placed = shopper.buys(sku, 2).await.expect(201);
        goods(&app, today, app.stock(sku).await).await;
        app.advance(1);
        shopper.pays(placed.payment()).await;
        assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
        app.advance(1);
        assert_eq!(app.stock(sku).await, 3, "{then} then, {today} today");
        app.audit_is_clean().await;
        app.stop().await;
    }
}

#[actix_rt::test]
async fn a_closed_order_returns_what_its_ledger_shows_whatever_the_mode_is_today() {
    for (then, today) in [("order", "payment"), ("payment", "order")] {
        let app = TestApp::start().await;
        let sku = goods(&app, then, 5).await;
        let shopper = app.shopper("alice").await;
        let order = shopper.buys(sku, 2).await.expect(201).order_id();
        goods(&app, today, app.stock(sku).await).await;
        app.advance(1);
        assert_eq!(state_of(&shopper.cancels(order).await.expect(200).body), "closed");
        app.advance(1);
        assert_eq!(app.stock(sku).await, 5, "{then} then, {today} today");
        app.audit_is_clean().await;
        app.stop().await;
    }
}

#[actix_rt::test]
async fn an_order_that_costs_nothing_is_paid_when_it_is_placed() {
    for mode in ["order", "payment"] {
        let app = TestApp::start().await;
        let sku = app.a_sku_of(mode, 0, 3).await;
        let shopper = app.shopper("alice").await;
        shopper.agree_to_messages().await;
        let placed = shopper.buys(sku, 2).await.expect(201);
        assert_eq!(placed.body["order"]["state"], json!("paid"), "{}", placed.text);
        assert_eq!(placed.body["payment"], json!(null));
        assert_eq!(placed.body["payment_error"], json!(null));
        assert_eq!(calls(&app, OPEN).count, 0);
        let order = shopper.order(placed.order_id()).await;
        assert_eq!((state_of(&order), &order["transaction_id"]), ("paid", &json!(null)));
        assert_eq!(app.stock(sku).await, 1);
        shopper.asks_to_pay(placed.order_id()).await.refused(409, "invalid_state");
        assert_eq!(app.run_notifier().await, 1);
        assert_eq!(app.sandbox.messages(None, Some("alice")).len(), 1);
        app.audit_is_clean().await;
        app.stop().await;
    }
}

#[actix_rt::test]
async fn goods_that_cost_nothing_and_ran_out_are_sold_out_like_others() {
    let app = TestApp::start().await;
    let sku = app.a_sku_of("payment", 0, 1).await;
    let (first, second) = (app.shopper("first").await, app.shopper("second").await);
    first.buys(sku, 1).await.expect(201);
    second.buys(sku, 1).await.refused(409, "sold_out");
    assert_eq!(app.stock(sku).await, 0);
    app.audit_is_clean().await;
    app.stop().await;
}
