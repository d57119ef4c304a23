//! Carts of several lines: all or nothing, each piece once, limits for each buyer.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Reply, TestApp};

/// Goods of one SKU each, with these stocks, at 10 yuan.
async fn shelf(app: &TestApp, stocks: &[i64]) -> Vec<i64> {
    let goods = |(number, stock): (usize, &i64)| {
        json!({"name": format!("商品 {number}"), "skus": [
            {"code": format!("S{number}"), "price_fen": 1_000, "stock": stock}]})
    };
    let goods: Vec<Value> = stocks.iter().enumerate().map(goods).collect();
    app.seed(json!({ "goods": goods })).await
}

/// How many replies have this status, and this code when it is not empty.
fn count(replies: &[Reply], status: u16, code: &str) -> usize {
    let fits = |reply: &&Reply| reply.status == status && (code.is_empty() || reply.code() == code);
    replies.iter().filter(fits).count()
}

#[actix_rt::test]
async fn an_order_of_several_goods_has_their_lines_in_the_order_of_the_cart() {
    let app = TestApp::start().await;
    let skus = shelf(&app, &[5, 5, 5]).await;
    let shopper = app.shopper("alice").await;
    let cart = [(skus[2], 1), (skus[0], 3), (skus[1], 2)];
    let placed = shopper.orders(&cart).await.expect(201);
    assert_eq!(placed.body["order"]["pay_fen"], 6_000);
    let order = shopper.order(placed.order_id()).await;
    let lines = order["lines"].as_array().unwrap();
    let lines: Vec<(i64, i64)> = lines
        .iter()
        .map(|line| (line["sku_id"].as_i64().unwrap(), line["quantity"].as_i64().unwrap()))
        .collect();
    assert_eq!(lines, cart);
    assert_eq!(app.stock(skus[0]).await, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn the_same_sku_on_two_lines_counts_together() {
    let app = TestApp::start().await;
    let skus = shelf(&app, &[5]).await;
    let shopper = app.shopper("alice").await;
    let refused = shopper.orders(&[(skus[0], 3), (skus[0], 3)]).await.refused(409, "sold_out");
    assert_eq!(refused.body["detail"], json!({"sku_id": skus[0], "available": 5}));
    let placed = shopper.orders(&[(skus[0], 3), (skus[0], 2)]).await.expect(201);
    let lines = placed.body["order"]["lines"].as_array().unwrap();
    assert_eq!((lines.len(), lines[0]["quantity"].as_i64()), (1, Some(5)));
    assert_eq!(app.stock(skus[0]).await, 0);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn one_line_that_does_not_fit_refuses_the_whole_order() {
    let app = TestApp::start().await;
    let skus = shelf(&app, &[5, 1]).await;
    let shopper = app.shopper("alice").await;
    shopper.orders(&[(skus[0], 1), (skus[1], 2)]).await.refused(409, "sold_out");
    assert_eq!((app.stock(skus[0]).await, app.stock(skus[1]).await), (5, 1));
    shopper.orders(&[(skus[0], 5), (skus[1], 1)]).await.expect(201);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn carts_that_cross_each_other_sell_every_piece_once_and_none_twice() {
    let app = TestApp::start().await;
    let skus = shelf(&app, &[10, 10, 10, 10]).await;
    let crowd = app.crowd(40).await;
    let cart = |number: usize| {
        [(skus[number % 4], 1), (skus[(number + 1) % 4], 1), (skus[(number + 3) % 4], 2)]
    };
    let orders = crowd.iter().enumerate().map(|(number, buyer)| {
        let cart = cart(number);
        async move { buyer.orders(&cart).await }
    });
    let replies = join_all(orders).await;
    // Each cart takes four of the forty pieces.
    let placed = count(&replies, 201, "");
    assert_eq!(placed + count(&replies, 409, "sold_out"), 40);
    let mut left = 0;
    for sku in &skus {
        left += app.stock(*sku).await;
    }
    assert_eq!(left, 40 - 4 * i64::try_from(placed).unwrap());
    assert!(placed >= 5, "{placed}");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_may_mix_goods_that_are_deducted_now_and_when_paid() {
    let app = TestApp::start().await;
    let now = app.a_sku_of("order", 1_000, 2).await;
    let later = app.a_sku_of("payment", 2_000, 1).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    let first = alice.orders(&[(now, 1), (later, 1)]).await.expect(201);
    let second = bob.orders(&[(later, 1), (now, 1)]).await.expect(201);
    assert_eq!((app.stock(now).await, app.stock(later).await), (0, 1));
    alice.pays(first.payment()).await;
    bob.pays(second.payment()).await;
    assert_eq!(alice.order(first.order_id()).await["state"], "paid");
    let lost = bob.order(second.order_id()).await;
    assert_eq!((&lost["state"], &lost["close_reason"]), (&json!("closed"), &json!("sold_out")));
    assert_eq!((app.stock(now).await, app.stock(later).await), (1, 0));
    app.finish_refunds().await;
    assert_eq!(bob.order(second.order_id()).await["refund"]["state"], "full");
    app.audit_is_clean().await;
    app.stop().await;
}

/// Goods of two SKUs of which a buyer may have three pieces.
async fn limited(app: &TestApp) -> Vec<i64> {
    let goods = json!({"name": "限购", "limit_per_user": 3, "skus": [
        {"code": "L1", "attr": "红", "price_fen": 100, "stock": 50},
        {"code": "L2", "attr": "蓝", "price_fen": 100, "stock": 50}]});
    app.seed(json!({ "goods": [goods] })).await
}

#[actix_rt::test]
async fn a_buyer_who_orders_ten_times_at_once_gets_no_more_than_the_limit() {
    let app = TestApp::start().await;
    let skus = limited(&app).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    let replies = join_all((0..10).map(|number| alice.buys(skus[number % 2], 1))).await;
    assert_eq!((count(&replies, 201, ""), count(&replies, 409, "limit_exceeded")), (3, 7));
    let refused = replies.iter().find(|reply| reply.status == 409).unwrap();
    assert_eq!(refused.body["detail"]["limit"], 3, "{}", refused.text);
    bob.orders(&[(skus[0], 2), (skus[1], 1)]).await.expect(201);
    assert_eq!(app.stock(skus[0]).await + app.stock(skus[1]).await, 100 - 6);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_that_is_given_up_no_longer_counts_against_the_limit() {
    let app = TestApp::start().await;
    let skus = limited(&app).await;
    let alice = app.shopper("alice").await;
    alice.orders(&[(skus[0], 2), (skus[1], 2)]).await.refused(409, "limit_exceeded");
    let placed = alice.buys(skus[0], 3).await.expect(201);
    alice.buys(skus[1], 1).await.refused(409, "limit_exceeded");
    alice.cancels(placed.order_id()).await.expect(200);
    alice.buys(skus[1], 3).await.expect(201);
    app.audit_is_clean().await;
    app.stop().await;
}
