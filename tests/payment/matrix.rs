//! Every call to WeChat, and every way in which it may go wrong: a day in the life of three orders,
//! one that is paid, one that expires, one whose money comes late, must end the same.

use buynow::sandbox::{Fault, FaultKind, Mode, PayAction, SettingsChange};
use serde_json::Value;

use crate::desk::*;
use crate::support::{Shopper, TestApp};

/// Shorter than the patience of any test; longer than an answer on a busy machine takes.
const CALL_TIMEOUT_MS: u64 = 400;
const STOCK: i64 = 10;
const PAID: &str = "付款成功通知";

/// What may become of one call, by name.
fn ways(path: &'static str) -> Vec<(&'static str, Fault)> {
    let next = |kind| Fault::next(path, kind);
    let busy =
        if path == SEND { Fault::refuse(path, "-1") } else { Fault::refuse(path, "SYSTEMERROR") };
    let mut ways = vec![
        ("slow", next(FaultKind::DelayAnswer)),
        ("silent, and takes effect", next(FaultKind::DelayAnswer)),
        ("silent", next(FaultKind::Delay)),
        ("5xx", next(FaultKind::Http500)),
        ("5xx, and takes effect", next(FaultKind::Http500).with_effect()),
        ("garbage", next(FaultKind::Garbage)),
        ("garbage, and takes effect", next(FaultKind::Garbage).with_effect()),
        ("broken off before", next(FaultKind::DropBefore)),
        ("broken off, and takes effect", next(FaultKind::DropAfter)),
        ("busy", busy),
    ];
    if path != SEND {
        ways.push(("badly signed", next(FaultKind::BadSign)));
    }
    ways
}

/// Three orders of one buyer.
struct Day {
    app: TestApp,
    alice: Shopper,
    sku: i64,
    /// What goes wrong.
    path: &'static str,
    paid: i64,
    expires: i64,
    late: i64,
}

fn notify(app: &TestApp, mode: Mode) {
    app.sandbox.settings(SettingsChange { notify: Some(mode), ..SettingsChange::default() });
}

/// Asks for payment parameters until WeChat gives some.
async fn payment(app: &TestApp, alice: &Shopper, order: i64) -> Value {
    for _ in 0..8 {
        let asked = alice.asks_to_pay(order).await;
        if asked.status == 200 {
            return asked.body;
        }
        app.advance(5);
    }
    panic!("no payment parameters for order {order}");
}

impl Day {
    async fn begin(path: &'static str, fault: Fault, slow: bool) -> Self {
        let app = TestApp::builder()
            .config(|config| {
                config.wechat.call_timeout_ms = CALL_TIMEOUT_MS;
                config.wechat.refund_timeout_ms = CALL_TIMEOUT_MS;
                config.engine.cancel_wait_ms = 2 * CALL_TIMEOUT_MS;
            })
            .start()
            .await;
        app.sandbox
            .settings(SettingsChange { refund_seconds: Some(30), ..SettingsChange::default() });
        let sku = app.a_sku(990, STOCK).await;
        let alice = app.shopper("alice").await;
        alice.agree_to_messages().await;
        if slow {
            answer_late(&app, path);
        }
        app.sandbox.fault(fault).unwrap();
        let mut orders = [0; 3];
        for order in &mut orders {
            *order = alice.buys(sku, 1).await.expect(201).order_id();
        }
        let [paid, expires, late] = orders;
        Self { app, alice, sku, path, paid, expires, late }
    }

    /// The first is paid and its notification is lost; the money of the third is on its way.
    async fn pay(&self) {
        notify(&self.app, Mode::Manual);
        let payment = payment(&self.app, &self.alice, self.paid).await;
        self.alice.pays(&payment).await;
        notify(&self.app, Mode::Auto);
        let payment = self::payment(&self.app, &self.alice, self.late).await;
        self.alice.acts(&payment, PayAction::Late).await;
        let cancelled = self.alice.cancels(self.late).await;
        assert!(matches!(cancelled.status, 200 | 502), "{cancelled:?}");
    }

    async fn is_over(&self) -> bool {
        let [paid, expired, late] = [
            self.alice.order(self.paid).await,
            self.alice.order(self.expires).await,
            self.alice.order(self.late).await,
        ];
        let told = self.app.sandbox.messages(None, Some("alice"));
        state_of(&paid) == "paid"
            && state_of(&expired) == "closed"
            && told.iter().any(|message| message.title == PAID)
            && match state_of(&late) {
                "closed" => late["refund"]["state"] == "full",
                // The money came before the shop heard that WeChat has closed.
                state => state == "paid",
            }
    }

    /// The money of the third either bought or went back, once.
    async fn late_money_is_at_its_place(&self) -> i64 {
        let late = self.alice.order(self.late).await;
        let number = late["order_no"].as_str().unwrap().to_owned();
        let refunds = &self.app.sandbox.trade(&number).unwrap().payments[0].refunds;
        let back = refunds.iter().map(|refund| refund.refund_fen).sum::<i64>();
        let bought = state_of(&late) == "paid";
        assert_eq!(back, if bought { 0 } else { 990 });
        i64::from(bought)
    }

    async fn ends_well(self) {
        for _ in 0..60 {
            self.app.advance(61);
            // Nobody waits for what is still held.
            self.app.sandbox.release(self.path);
            self.app.sandbox.run_due().await.unwrap();
            self.app.run_reaper().await;
            self.app.run_notifier().await;
            self.app.audit_is_clean().await;
            if self.is_over().await {
                break;
            }
        }
        assert!(self.is_over().await);
        let bought = 1 + self.late_money_is_at_its_place().await;
        assert_eq!(self.app.stock(self.sku).await, STOCK - bought);
        // He has agreed to one message of this kind.
        let told = self.app.sandbox.messages(None, Some("alice"));
        let of_payment = told.iter().filter(|message| message.title == PAID).count();
        assert_eq!(of_payment, 1, "{told:?}");
        self.app.audit_is_clean().await;
        self.app.stop().await;
    }
}

/// Lets a held call go on as soon as it is held, so that the answer comes late and in time.
fn answer_late(app: &TestApp, path: &str) {
    let (sandbox, path) = (app.sandbox.clone(), path.to_owned());
    drop(actix_rt::spawn(async move {
        sandbox.wait_for_held(&path, 1).await.unwrap();
        sandbox.release(&path);
    }));
}

async fn every_way_ends_well(path: &'static str) {
    for (way, fault) in ways(path) {
        println!("{path} {way}");
        // A message is tried once more after a lost answer, not twice.
        let times = if path == SEND { 1 } else { 2 };
        let slow = way == "slow";
        let day = Day::begin(path, fault.times(if slow { 1 } else { times }), slow).await;
        day.pay().await;
        day.ends_well().await;
    }
}

#[actix_rt::test]
async fn whatever_goes_wrong_with_unifiedorder_the_day_ends_well() {
    every_way_ends_well(OPEN).await;
}

#[actix_rt::test]
async fn whatever_goes_wrong_with_orderquery_the_day_ends_well() {
    every_way_ends_well(QUERY).await;
}

#[actix_rt::test]
async fn whatever_goes_wrong_with_closeorder_the_day_ends_well() {
    every_way_ends_well(CLOSE).await;
}

#[actix_rt::test]
async fn whatever_goes_wrong_with_refund_the_day_ends_well() {
    every_way_ends_well(REFUND).await;
}

#[actix_rt::test]
async fn whatever_goes_wrong_with_refundquery_the_day_ends_well() {
    every_way_ends_well(REFUND_QUERY).await;
}

#[actix_rt::test]
async fn whatever_goes_wrong_with_a_message_the_day_ends_well() {
    every_way_ends_well(SEND).await;
}
