//! A copy of an older database, started against the same merchant.

use buynow::sandbox::{FaultKind, Notify, PayAction, PayResult};
use serde_json::json;

use crate::desk::*;
use crate::support::{Reply, Shopper, TestApp};
use crate::wechat::*;

async fn order_without_attempt(shopper: &Shopper, sku: i64) -> Reply {
    let mut body = shopper.order_body(&[(sku, 1)]);
    body["prepay"] = json!(false);
    let key = format!("key-{}", rand::random::<u64>());
    shopper.orders_with(&key, body).await.expect(201)
}

/// A shop, and a copy of its data from before the latest news, both against the same merchant.
struct Copied {
    original: TestApp,
    copy: TestApp,
}

impl Copied {
    /// Stops the shop for its copy; both run on.
    async fn of(wechat: &WeChat, app: TestApp) -> Self {
        let storage = app.stop().await;
        let copied = storage.copy().await;
        let original = wechat.shop_on(storage).await;
        Self { original, copy: wechat.shop_on(copied).await }
    }

    async fn end(self) {
        for app in [self.original, self.copy] {
            app.audit_is_clean().await;
            app.stop().await;
        }
    }
}

#[actix_rt::test]
async fn money_of_the_original_does_not_pay_the_copys_order_of_the_same_number() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = order_without_attempt(&alice, sku).await;
    let shops = Copied::of(&wechat, app).await;
    // The original takes the number, and its money.
    let original = alice.at(&shops.original);
    let payment = original.asks_to_pay(placed.order_id()).await.expect(200).body;
    original.pays(&payment).await;
    assert_eq!(state_of(&original.order(placed.order_id()).await), "paid");
    // The copy never sent that number: ORDERPAID is not its money.
    let copy = alice.at(&shops.copy);
    copy.asks_to_pay(placed.order_id()).await.expect(200);
    let second = latest_number(&shops.copy);
    assert_ne!(second, placed.order_no());
    assert_eq!(state_of(&copy.order(placed.order_id()).await), "unpaid");
    assert_eq!(incidents(&shops.copy).await, 1);
    // Nor is it when the notification is led there.
    let led = Notify::of(&placed.order_no()).forged(at_path(&shops.copy, 10_001));
    all_fail(&shops.copy.sandbox.notify(&led).await.unwrap());
    assert_eq!(state_of(&copy.order(placed.order_id()).await), "unpaid");
    // The copy gives up its own number and leaves the original's money alone.
    assert_eq!(state_of(&copy.cancels(placed.order_id()).await.expect(200).body), "closed");
    assert!(wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.is_empty());
    assert_eq!(incidents(&shops.copy).await, 1);
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_does_not_close_the_number_that_the_original_has_open() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = order_without_attempt(&alice, sku).await;
    let shops = Copied::of(&wechat, app).await;
    let (original, copy) = (alice.at(&shops.original), alice.at(&shops.copy));
    let payment = original.asks_to_pay(placed.order_id()).await.expect(200).body;
    copy.asks_to_pay(placed.order_id()).await.expect(200);
    assert_ne!(latest_number(&shops.copy), placed.order_no());
    assert_eq!(wechat.handle.trade(&placed.order_no()).unwrap().state, "NOTPAY");
    assert_eq!(original.pays(&payment).await.result, PayResult::Ok);
    assert_eq!(state_of(&original.order(placed.order_id()).await), "paid");
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_that_cancels_an_unsent_number_leaves_the_originals_open() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = order_without_attempt(&alice, sku).await;
    let shops = Copied::of(&wechat, app).await;
    let (original, copy) = (alice.at(&shops.original), alice.at(&shops.copy));
    let payment = original.asks_to_pay(placed.order_id()).await.expect(200).body;
    // The copy's own attempt under that number never reached WeChat.
    fault(&shops.copy, OPEN, FaultKind::DropBefore);
    copy.asks_to_pay(placed.order_id()).await.refused(502, "wechat_error");
    copy.cancels(placed.order_id()).await.expect(200);
    wechat.clock.advance(std::time::Duration::from_secs(60));
    shops.copy.run_reaper().await;
    assert_eq!(state_of(&copy.order(placed.order_id()).await), "closed");
    assert_eq!(wechat.handle.trade(&placed.order_no()).unwrap().state, "NOTPAY");
    assert_eq!(original.pays(&payment).await.result, PayResult::Ok);
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_finds_what_was_paid_since_under_attempts_that_it_knows() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let storage = app.stop().await;
    let copied = storage.copy().await;
    let original = wechat.shop_on(storage).await;
    silent(&original);
    alice.at(&original).pays(placed.payment()).await;
    original.stop().await;
    // The back-up is put in the original's place.
    let restored = wechat.shop_on(copied).await;
    let alice = alice.at(&restored);
    assert_eq!(state_of(&alice.order(placed.order_id()).await), "unpaid");
    restored.advance(900);
    restored.run_reaper().await;
    assert_eq!(state_of(&alice.order(placed.order_id()).await), "paid");
    assert_eq!(restored.stock(sku).await, 8);
    restored.audit_is_clean().await;
    restored.stop().await;
}

#[actix_rt::test]
async fn a_copy_repeats_a_refund_under_its_number_and_the_money_goes_back_once() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.acts(placed.payment(), PayAction::Late).await;
    alice.cancels(placed.order_id()).await.expect(200);
    app.advance(3);
    app.sandbox.run_due().await.unwrap();
    // The refund is due when the copy is made; both give it.
    let shops = Copied::of(&wechat, app).await;
    shops.original.finish_refunds().await;
    shops.copy.finish_refunds().await;
    let refunds = wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.clone();
    assert_eq!(refunds.iter().map(|refund| refund.refund_fen).collect::<Vec<_>>(), [100]);
    for app in [&shops.original, &shops.copy] {
        let order = alice.at(app).order(placed.order_id()).await;
        assert_eq!(order["refund"], json!({"state": "full", "refunded_fen": 100}));
    }
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_from_before_a_refund_finds_the_money_come_and_gone() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let shops = Copied::of(&wechat, app).await;
    silent(&shops.original);
    let original = alice.at(&shops.original);
    let late = original.acts(placed.payment(), PayAction::Late).await.transaction_id;
    original.cancels(placed.order_id()).await.expect(200);
    shops.original.advance(3);
    shops.original.sandbox.run_due().await.unwrap();
    let led = Notify::of(&placed.order_no()).forged(at_path(&shops.original, 10_001));
    all_acknowledge(&wechat.handle.notify(&led).await.unwrap());
    shops.original.finish_refunds().await;
    // The copy still holds the order unpaid.
    shops.copy.advance(900);
    shops.copy.run_reaper().await;
    let order = alice.at(&shops.copy).order(placed.order_id()).await;
    assert_eq!(state_of(&order), "refunded");
    assert_eq!(order["transaction_id"].as_str(), late.as_deref());
    assert_eq!(shops.copy.stock(sku).await, 9);
    shops.copy.finish_refunds().await;
    let refunds = wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.clone();
    assert_eq!(refunds.len(), 1);
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_that_cancels_finds_the_originals_money_and_leaves_it_there() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = order_without_attempt(&alice, sku).await;
    let shops = Copied::of(&wechat, app).await;
    let (original, copy) = (alice.at(&shops.original), alice.at(&shops.copy));
    fault(&shops.copy, OPEN, FaultKind::DropBefore);
    copy.asks_to_pay(placed.order_id()).await.refused(502, "wechat_error");
    let payment = original.asks_to_pay(placed.order_id()).await.expect(200).body;
    original.pays(&payment).await;
    assert_eq!(state_of(&copy.cancels(placed.order_id()).await.expect(200).body), "closed");
    assert_eq!(incidents(&shops.copy).await, 1);
    shops.copy.finish_refunds().await;
    assert!(wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.is_empty());
    assert_eq!(state_of(&original.order(placed.order_id()).await), "paid");
    shops.end().await;
}
