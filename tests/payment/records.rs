//! WeChat's own records: what a query finds that no notification told.

use std::time::Duration;

use buynow::config::{Config, SANDBOX_APPID};
use buynow::domain::id::{OutRefundNo, TransactionId};
use buynow::domain::money::Money;
use buynow::sandbox::{Mode, PayAction, RefundStatus, SettingsChange};
use buynow::wechat::pay::{Merchant, PayClient, PayConfig, RefundOf, RefundRequest};
use buynow::wechat::sign::SignType;
use serde_json::json;

use crate::desk::*;
use crate::support::{Reply, Shopper, TestApp};

/// A shop whose buyer has paid without anybody telling it.
struct Paid {
    app: TestApp,
    shopper: Shopper,
    sku: i64,
    placed: Reply,
    transaction: String,
}

impl Paid {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku(1_000, 5).await;
        let shopper = app.shopper("alice").await;
        silent(&app);
        let placed = shopper.buys(sku, 2).await.expect(201);
        let transaction = shopper.pays(placed.payment()).await.transaction_id.unwrap();
        Self { app, shopper, sku, placed, transaction }
    }

    /// Paid when the order was closed already; the money is to go back.
    async fn late() -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku(1_000, 5).await;
        let shopper = app.shopper("alice").await;
        let placed = shopper.buys(sku, 2).await.expect(201);
        let late = shopper.acts(placed.payment(), PayAction::Late).await;
        shopper.cancels(placed.order_id()).await.expect(200);
        app.advance(3);
        app.sandbox.run_due().await.unwrap();
        let transaction = late.transaction_id.unwrap();
        Self { app, shopper, sku, placed, transaction }
    }

    async fn order(&self) -> serde_json::Value {
        self.shopper.order(self.placed.order_id()).await
    }

    async fn refreshes(&self) -> serde_json::Value {
        refreshes(&self.shopper, self.placed.order_id()).await
    }

    /// Somebody gives money back at the merchant platform.
    async fn is_given_back_by_hand(&self, number: &str, fen: i64) {
        let seconds = Duration::from_secs(5);
        let client = PayClient::new(PayConfig {
            base: self.app.sandbox.url().to_owned(),
            base_2: None,
            clock: buynow::clock::Clock::system(),
            connect_timeout: seconds,
            call_timeout: seconds,
            refund_timeout: seconds,
            certificate: None,
            extra_root_pem: None,
        });
        let wxapp = Config::default().wxapp.or_sandbox();
        let merchant = Merchant {
            appid: SANDBOX_APPID.to_owned(),
            mch_id: wxapp.mch_id,
            api_key: wxapp.api_key,
            sign_type: SignType::Md5,
        };
        let request = RefundRequest {
            payment: RefundOf::Transaction(TransactionId::parse(&self.transaction).unwrap()),
            out_refund_no: OutRefundNo::parse(number).unwrap(),
            total_fee: Money::from_fen(2_000),
            refund_fee: Money::from_fen(fen),
            refund_desc: None,
            notify_url: None,
        };
        client.unwrap().refund(&merchant, &request).await.unwrap();
    }

    async fn ends_clean(self) {
        self.app.finish_refunds().await;
        self.app.audit_is_clean().await;
        self.app.stop().await;
    }
}

async fn refreshes(shopper: &Shopper, order: i64) -> serde_json::Value {
    shopper.get(&format!("/api/v1/orders/{order}?refresh=true")).await.expect(200).body
}

#[actix_rt::test]
async fn the_reaper_finds_a_payment_whose_notification_was_lost() {
    let paid = Paid::new().await;
    paid.app.advance(59);
    paid.app.run_reaper().await;
    assert_eq!(state_of(&paid.order().await), "unpaid");
    paid.app.advance(1);
    assert_eq!(paid.app.run_reaper().await.asked, 1);
    let order = paid.order().await;
    assert_eq!((state_of(&order), &order["transaction_id"]), ("paid", &json!(paid.transaction)));
    // The notification comes after all.
    let notify = buynow::sandbox::Notify::of(&paid.placed.order_no()).times(2);
    all_acknowledge(&paid.app.sandbox.notify(&notify).await.unwrap());
    assert_eq!(paid.app.audit_is_clean().await.payments, 1);
    paid.ends_clean().await;
}

#[actix_rt::test]
async fn an_unpaid_order_is_asked_about_a_few_times_only() {
    let app = TestApp::builder().config(|c| c.engine.order_expire_seconds = 7_200).start().await;
    let sku = app.a_sku(1_000, 5).await;
    let shopper = app.shopper("alice").await;
    shopper.buys(sku, 1).await.expect(201);
    for _ in 0..360 {
        app.advance(10);
        app.run_reaper().await;
    }
    assert_eq!(calls(&app, QUERY).count, 4);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_buyer_who_looks_finds_the_payment_whose_notification_was_lost() {
    let paid = Paid::new().await;
    assert_eq!(state_of(&paid.order().await), "unpaid");
    assert_eq!(state_of(&paid.refreshes().await), "paid");
    paid.refreshes().await;
    assert_eq!(calls(&paid.app, QUERY).count, 1);
    paid.ends_clean().await;
}

#[actix_rt::test]
async fn a_buyer_who_looks_again_and_again_asks_wechat_once_a_few_seconds() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 5).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    for _ in 0..5 {
        assert_eq!(state_of(&refreshes(&shopper, placed.order_id()).await), "unpaid");
    }
    assert_eq!(calls(&app, QUERY).count, 1);
    app.advance(3);
    let by_no = format!("/api/v1/orders/by-no/{}?refresh=true", placed.order_no());
    shopper.get(&by_no).await.expect(200);
    assert_eq!(calls(&app, QUERY).count, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_is_shown_as_it_is_when_wechat_does_not_say() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 5).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    fault(&app, QUERY, buynow::sandbox::FaultKind::Garbage);
    assert_eq!(state_of(&refreshes(&shopper, placed.order_id()).await), "unpaid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_that_came_and_went_makes_a_refunded_order_and_frees_the_goods() {
    let paid = Paid::new().await;
    paid.is_given_back_by_hand("by-hand-1", 2_000).await;
    let order = paid.refreshes().await;
    assert_eq!(state_of(&order), "refunded");
    assert_eq!(order["refund"], json!({"state": "full", "refunded_fen": 2_000}));
    assert_eq!(paid.app.stock(paid.sku).await, 5);
    paid.shopper.asks_to_pay(paid.placed.order_id()).await.refused(409, "invalid_state");
    paid.shopper.cancels(paid.placed.order_id()).await.refused(409, "invalid_state");
    let notify = buynow::sandbox::Notify::of(&paid.placed.order_no());
    all_acknowledge(&paid.app.sandbox.notify(&notify).await.unwrap());
    assert_eq!(state_of(&paid.order().await), "refunded");
    assert_eq!(calls(&paid.app, REFUND).count, 1);
    paid.ends_clean().await;
}

#[actix_rt::test]
async fn money_given_back_in_part_leaves_a_paid_order_with_its_refund() {
    let paid = Paid::new().await;
    paid.is_given_back_by_hand("by-hand-1", 300).await;
    paid.app.advance(60);
    paid.is_given_back_by_hand("by-hand-2", 500).await;
    let order = paid.refreshes().await;
    assert_eq!(state_of(&order), "paid");
    assert_eq!(order["refund"], json!({"state": "part", "refunded_fen": 800}));
    assert_eq!(paid.app.stock(paid.sku).await, 3);
    paid.ends_clean().await;
}

#[actix_rt::test]
async fn money_that_is_still_on_its_way_back_makes_no_order_to_ship() {
    let paid = Paid::new().await;
    let by_hand = SettingsChange { refund: Some(Mode::Manual), ..Default::default() };
    paid.app.sandbox.settings(by_hand);
    paid.is_given_back_by_hand("by-hand-1", 2_000).await;
    let order = paid.refreshes().await;
    assert_eq!(state_of(&order), "refunded");
    assert_eq!(order["refund"], json!({"state": "open", "refunded_fen": 0}));
    paid.app.sandbox.set_refund("by-hand-1", RefundStatus::Success).unwrap();
    for _ in 0..10 {
        paid.app.advance(600);
        paid.app.run_reaper().await;
    }
    let refund = json!({"state": "full", "refunded_fen": 2_000});
    assert_eq!(paid.order().await["refund"], refund);
    assert_eq!(calls(&paid.app, REFUND).count, 1);
    paid.ends_clean().await;
}

#[actix_rt::test]
async fn nothing_is_recorded_until_the_refunds_are_known() {
    let paid = Paid::new().await;
    paid.is_given_back_by_hand("by-hand-1", 2_000).await;
    fault(&paid.app, REFUND_QUERY, buynow::sandbox::FaultKind::Http500);
    assert_eq!(state_of(&paid.refreshes().await), "unpaid");
    paid.app.advance(3);
    assert_eq!(state_of(&paid.refreshes().await), "refunded");
    paid.ends_clean().await;
}

#[actix_rt::test]
async fn a_cancel_that_finds_money_come_and_gone_ends_refunded() {
    let paid = Paid::new().await;
    paid.is_given_back_by_hand("by-hand-1", 2_000).await;
    let order = paid.shopper.cancels(paid.placed.order_id()).await.expect(200).body;
    assert_eq!(state_of(&order), "refunded");
    assert_eq!(paid.app.stock(paid.sku).await, 5);
    paid.ends_clean().await;
}

#[actix_rt::test]
async fn late_money_that_staff_gave_back_by_hand_is_not_given_back_twice() {
    let paid = Paid::late().await;
    paid.is_given_back_by_hand("by-hand-1", 2_000).await;
    for _ in 0..10 {
        paid.app.advance(600);
        paid.app.run_reaper().await;
    }
    let payment = paid.app.sandbox.trade(&paid.placed.order_no()).unwrap().payments[0].clone();
    let given_back: i64 = payment.refunds.iter().map(|refund| refund.refund_fen).sum();
    assert_eq!(given_back, 2_000);
    paid.app.audit_is_clean().await;
    paid.app.stop().await;
}

#[actix_rt::test]
async fn money_whose_way_back_got_stuck_makes_no_order_to_ship() {
    let paid = Paid::new().await;
    refund_by_hand(&paid.app);
    paid.is_given_back_by_hand("by-hand-1", 2_000).await;
    paid.app.sandbox.set_refund("by-hand-1", RefundStatus::Change).unwrap();
    assert_eq!(state_of(&paid.refreshes().await), "refunded");
    assert_eq!(paid.app.stock(paid.sku).await, 5);
    paid.ends_clean().await;
}

fn refund_by_hand(app: &TestApp) {
    app.sandbox.settings(SettingsChange { refund: Some(Mode::Manual), ..Default::default() });
}

#[actix_rt::test]
async fn somebody_elses_refund_is_never_asked_for() {
    let paid = Paid::new().await;
    refund_by_hand(&paid.app);
    paid.is_given_back_by_hand("by-hand-1", 800).await;
    paid.refreshes().await;
    let fault = buynow::sandbox::Fault::refuse(REFUND_QUERY, "REFUNDNOTEXIST");
    paid.app.sandbox.fault(fault.times(1_000)).unwrap();
    let asked = calls(&paid.app, REFUND_QUERY).count;
    for _ in 0..60 {
        paid.app.advance(600);
        paid.app.run_reaper().await;
    }
    assert_eq!(calls(&paid.app, REFUND).count, 1, "his own");
    assert_eq!(calls(&paid.app, REFUND_QUERY).count, asked + 1, "again in a day");
    paid.app.audit_is_clean().await;
    paid.app.stop().await;
}

#[actix_rt::test]
async fn late_money_of_which_staff_gave_a_part_back_by_hand_goes_back_whole() {
    let paid = Paid::late().await;
    paid.is_given_back_by_hand("by-hand-1", 800).await;
    for _ in 0..10 {
        paid.app.advance(600);
        paid.app.run_reaper().await;
    }
    let shown = "SELECT kind || ' ' || amount_fen || ' ' || state FROM refund ORDER BY amount_fen";
    assert_eq!(column(&paid.app, shown).await, ["external 800 success", "auto 1200 success"]);
    assert_eq!(paid.order().await["refund"]["state"], json!("full"));
    paid.ends_clean().await;
}
