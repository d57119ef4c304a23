//! An older back-up, put back by `buynow restore`: what happened since is at WeChat and not in it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use buynow::app;
use buynow::config::Config;
use buynow::sandbox::{Notify, PayAction};
use buynow::store::backup::{Existing, back_up, restore};
use serde_json::json;

use crate::desk::*;
use crate::support::storage::skipped_but_on_sqlite;
use crate::support::{Reply, Shopper, TestApp};
use crate::wechat::*;

async fn backed_up(app: &TestApp) -> PathBuf {
    let file = app.storage().folder().join("backup");
    let made = back_up(app.database_url(), &file, Existing::Keep).await.unwrap();
    assert!(made.bytes > 0);
    file
}

/// Stops the shop and serves its back-up in its place.
async fn restored(wechat: &WeChat, app: TestApp, backup: PathBuf) -> TestApp {
    let url = app.database_url().to_owned();
    let folder = app.stop().await;
    let sealer = app::sealer(&Config::default()).unwrap();
    let restored = restore(&url, &backup, &sealer).await.unwrap();
    assert_eq!(restored.aside, Some(folder.folder().join("shop.db.before-restore")));
    wechat.shop_on(folder).await
}

async fn places(shopper: &Shopper, sku: i64) -> Reply {
    let mut body = shopper.order_body(&[(sku, 1)]);
    body["prepay"] = json!(false);
    let key = format!("key-{}", rand::random::<u64>());
    shopper.orders_with(&key, body).await.expect(201)
}

fn numbers(app: &TestApp) -> BTreeSet<String> {
    asked(app, OPEN, "out_trade_no").into_iter().collect()
}

#[actix_rt::test]
async fn a_number_that_was_sent_since_the_back_up_is_never_the_number_of_a_payment_again() {
    if skipped_but_on_sqlite("a back-up is a file") {
        return;
    }
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let orders = [places(&alice, sku).await, places(&alice, sku).await, places(&alice, sku).await];
    let backup = backed_up(&app).await;
    // One is paid since, one is open, one was opened and closed.
    let mut payments = Vec::new();
    for order in &orders {
        payments.push(alice.asks_to_pay(order.order_id()).await.expect(200).body);
    }
    alice.pays(&payments[0]).await;
    app.advance(360);
    assert_eq!(state_of(&alice.cancels(orders[2].order_id()).await.expect(200).body), "closed");
    let known = numbers(&app);
    assert_eq!(known.len(), 3);

    let app = restored(&wechat, app, backup).await;
    let alice = alice.at(&app);
    for order in &orders {
        assert_eq!(state_of(&alice.order(order.order_id()).await), "unpaid");
        alice.asks_to_pay(order.order_id()).await.expect(200);
        let number = latest_number(&app);
        assert!(!known.contains(&number), "{number} was at WeChat before");
        assert!(number.starts_with(&format!("{}-", order.order_no())), "{number}");
    }
    // Money under a number that this copy never sent is for people to look at.
    assert_eq!(incidents(&app).await, 1);
    assert_eq!(wechat.handle.trade(&orders[1].order_no()).unwrap().state, "NOTPAY");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn orders_placed_after_a_restore_share_neither_id_nor_number_with_those_that_are_lost() {
    if skipped_but_on_sqlite("a back-up is a file") {
        return;
    }
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let backup = backed_up(&app).await;
    let mut lost = BTreeSet::new();
    for _ in 0..10 {
        let order = alice.buys(sku, 1).await.expect(201);
        lost.insert((order.order_id(), order.order_no()));
    }
    let app = restored(&wechat, app, backup).await;
    let alice = alice.at(&app);
    assert_eq!(app.stock(sku).await, 99);
    let newest_lost = lost.iter().map(|(id, _)| *id).max().unwrap();
    for _ in 0..10 {
        let order = alice.buys(sku, 1).await.expect(201);
        assert!(order.order_id() > newest_lost, "{}", order.order_id());
        assert!(lost.iter().all(|(_, number)| *number != order.order_no()));
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_for_an_order_that_is_lost_is_an_incident_and_nobody_elses_payment() {
    if skipped_but_on_sqlite("a back-up is a file") {
        return;
    }
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let backup = backed_up(&app).await;
    silent(&app);
    let lost = alice.buys(sku, 1).await.expect(201);
    alice.pays(lost.payment()).await;
    let app = restored(&wechat, app, backup).await;
    let bob = app.shopper("bob").await;
    let placed = bob.buys(sku, 1).await.expect(201);
    let led = Notify::of(&lost.order_no()).forged(at_path(&app, 10_001));
    all_fail(&wechat.handle.notify(&led).await.unwrap());
    assert_eq!(incidents(&app).await, 1);
    assert_eq!(state_of(&bob.order(placed.order_id()).await), "unpaid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_refund_given_since_is_repeated_under_its_number_and_the_money_goes_back_once() {
    if skipped_but_on_sqlite("a back-up is a file") {
        return;
    }
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.acts(placed.payment(), PayAction::Late).await;
    alice.cancels(placed.order_id()).await.expect(200);
    app.advance(3);
    app.sandbox.run_due().await.unwrap();
    // Due when the back-up is made; given since, and given again by what is restored.
    let backup = backed_up(&app).await;
    app.finish_refunds().await;
    let app = restored(&wechat, app, backup).await;
    app.finish_refunds().await;
    let sent = asked(&app, REFUND, "out_refund_no");
    assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), 1, "{sent:?}");
    let refunds = wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.clone();
    assert_eq!(refunds.iter().map(|refund| refund.refund_fen).collect::<Vec<_>>(), [100]);
    let order = alice.at(&app).order(placed.order_id()).await;
    assert_eq!(order["refund"], json!({"state": "full", "refunded_fen": 100}));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn what_was_paid_since_under_a_number_that_the_back_up_knows_is_found_at_wechat() {
    if skipped_but_on_sqlite("a back-up is a file") {
        return;
    }
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let backup = backed_up(&app).await;
    alice.pays(placed.payment()).await;
    assert_eq!(state_of(&alice.order(placed.order_id()).await), "paid");
    let app = restored(&wechat, app, backup).await;
    let alice = alice.at(&app);
    assert_eq!(state_of(&alice.order(placed.order_id()).await), "unpaid");
    let path = format!("/api/v1/orders/{}?refresh=true", placed.order_id());
    assert_eq!(state_of(&alice.get(&path).await.expect(200).body), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}
