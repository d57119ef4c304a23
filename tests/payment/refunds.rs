//! Giving money back: lost answers, a short balance, refunds that WeChat closes, one call a minute.

use buynow::sandbox::{
    Fault, FaultKind, Mode, PayAction, PaymentView, RefundStatus, SettingsChange,
};

use crate::desk::*;
use crate::support::{Shopper, TestApp};

/// A closed order whose money came late and is to go back.
struct Late {
    app: TestApp,
    shopper: Shopper,
    order: i64,
    number: String,
    refund_no: String,
}

impl Late {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku(12_900, 3).await;
        let shopper = app.shopper("alice").await;
        let placed = shopper.buys(sku, 1).await.expect(201);
        let paid = shopper.acts(placed.payment(), PayAction::Late).await.transaction_id.unwrap();
        shopper.cancels(placed.order_id()).await.expect(200);
        app.advance(3);
        app.sandbox.run_due().await.unwrap();
        let (order, number) = (placed.order_id(), placed.order_no());
        Self { app, shopper, order, number, refund_no: format!("r{paid}-1") }
    }

    fn setting(&self, change: SettingsChange) {
        self.app.sandbox.settings(change);
    }

    fn refund_by_hand(&self) {
        self.setting(SettingsChange { refund: Some(Mode::Manual), ..Default::default() });
    }

    async fn later(&self, seconds: u64) {
        self.app.advance(seconds);
        self.app.run_reaper().await;
    }

    async fn progress(&self) -> String {
        let order = self.shopper.order(self.order).await;
        assert_eq!(state_of(&order), "closed");
        order["refund"]["state"].as_str().unwrap().to_owned()
    }

    fn payment(&self) -> PaymentView {
        self.app.sandbox.trade(&self.number).unwrap().payments[0].clone()
    }

    /// All of the money went back, once.
    async fn ends_refunded(self) {
        self.later(24 * 3_600).await;
        self.app.finish_refunds().await;
        assert_eq!(self.progress().await, "full");
        let back = self.payment().refunds.into_iter();
        let back = back.filter(|refund| refund.status == RefundStatus::Success);
        assert_eq!(back.map(|refund| refund.refund_fen).collect::<Vec<_>>(), [12_900]);
        self.app.audit_is_clean().await;
        self.app.stop().await;
    }
}

#[actix_rt::test]
async fn a_refund_whose_answer_was_lost_is_found_by_a_query() {
    for kind in [FaultKind::DropAfter, FaultKind::BadSign] {
        let late = Late::new().await;
        fault(&late.app, REFUND, kind);
        late.later(0).await;
        assert_eq!(late.progress().await, "open");
        for _ in 0..10 {
            late.later(60).await;
        }
        assert_eq!(late.progress().await, "full");
        assert_eq!(calls(&late.app, REFUND).count, 1, "{kind:?}");
        assert!(calls(&late.app, REFUND_QUERY).count >= 1);
        late.ends_refunded().await;
    }
}

#[actix_rt::test]
async fn a_refund_that_never_arrived_is_repeated_under_its_number() {
    for kind in [FaultKind::DropBefore, FaultKind::Http500, FaultKind::Garbage] {
        let late = Late::new().await;
        fault(&late.app, REFUND, kind);
        for _ in 0..10 {
            late.later(60).await;
        }
        let numbers = asked(&late.app, REFUND, "out_refund_no");
        assert_eq!(numbers, [late.refund_no.as_str(), late.refund_no.as_str()], "{kind:?}");
        let said = requests(&late.app, REFUND);
        assert_eq!(said[0], said[1]);
        late.ends_refunded().await;
    }
}

#[actix_rt::test]
async fn busy_answers_to_a_refund_are_repeated_under_its_number() {
    for code in ["SYSTEMERROR", "BIZERR_NEED_RETRY", "FREQUENCY_LIMITED", "INVALID_REQ_TOO_MUCH"] {
        let late = Late::new().await;
        late.app.sandbox.fault(Fault::refuse(REFUND, code)).unwrap();
        for _ in 0..10 {
            late.later(60).await;
        }
        let numbers = asked(&late.app, REFUND, "out_refund_no");
        assert_eq!(numbers, [late.refund_no.as_str(), late.refund_no.as_str()], "{code}");
        late.ends_refunded().await;
    }
}

#[actix_rt::test]
async fn a_short_balance_delays_a_refund_and_is_asked_ever_more_rarely() {
    let late = Late::new().await;
    late.setting(SettingsChange { balance_fen: Some(Some(12_899)), ..Default::default() });
    let mut before = 0;
    for day in 1..=4 {
        for _ in 0..24 {
            late.later(3_600).await;
        }
        let asked = calls(&late.app, REFUND).count;
        assert!(asked > before, "nobody asked on day {day}");
        before = asked;
    }
    assert!(before <= 16, "a refund was asked for {before} times in four days");
    assert_eq!(late.progress().await, "open");
    late.app.audit_is_clean().await;
    late.setting(SettingsChange { balance_fen: Some(None), ..Default::default() });
    late.later(24 * 3_600).await;
    let numbers = asked(&late.app, REFUND, "out_refund_no");
    assert!(numbers.iter().all(|number| *number == late.refund_no), "{numbers:?}");
    late.ends_refunded().await;
}

#[actix_rt::test]
async fn only_a_refund_that_wechat_closed_gets_the_next_number() {
    let late = Late::new().await;
    late.refund_by_hand();
    late.later(0).await;
    late.app.sandbox.set_refund(&late.refund_no, RefundStatus::RefundClose).unwrap();
    late.later(60).await;
    late.later(60).await;
    let second = late.refund_no.replace("-1", "-2");
    assert_eq!(asked(&late.app, REFUND, "out_refund_no"), [late.refund_no.clone(), second.clone()]);
    assert_eq!(late.progress().await, "open");
    late.app.sandbox.set_refund(&second, RefundStatus::Success).unwrap();
    late.ends_refunded().await;
}

#[actix_rt::test]
async fn a_refund_under_way_is_looked_after_and_not_asked_for_again() {
    let late = Late::new().await;
    late.refund_by_hand();
    for _ in 0..30 {
        late.later(60).await;
    }
    assert_eq!(late.progress().await, "open");
    assert_eq!(calls(&late.app, REFUND).count, 1);
    assert!(calls(&late.app, REFUND_QUERY).count <= 16);
    late.app.sandbox.set_refund(&late.refund_no, RefundStatus::Success).unwrap();
    late.later(24 * 3_600).await;
    late.ends_refunded().await;
}

#[actix_rt::test]
async fn a_refund_that_the_bank_sends_back_waits_for_staff() {
    let late = Late::new().await;
    late.refund_by_hand();
    late.later(0).await;
    late.app.sandbox.set_refund(&late.refund_no, RefundStatus::Change).unwrap();
    for _ in 0..10 {
        late.later(600).await;
    }
    assert_eq!(late.progress().await, "open");
    assert_eq!(calls(&late.app, REFUND).count, 1);
    let warnings = late.app.audit_is_clean().await.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("abnormal")), "{warnings:?}");
    // Staff finish it at the merchant platform.
    late.app.sandbox.set_refund(&late.refund_no, RefundStatus::Success).unwrap();
    late.later(24 * 3_600).await;
    late.ends_refunded().await;
}

#[actix_rt::test]
async fn a_refund_refused_for_good_is_shown_to_staff_and_not_repeated() {
    let late = Late::new().await;
    late.app.sandbox.fault(Fault::refuse(REFUND, "TRADE_OVERDUE")).unwrap();
    for _ in 0..10 {
        late.later(600).await;
    }
    assert_eq!(calls(&late.app, REFUND).count, 1);
    assert_eq!(late.progress().await, "open");
    let warnings = late.app.audit_is_clean().await.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("failed")), "{warnings:?}");
    late.app.stop().await;
}

#[actix_rt::test]
async fn refunds_of_one_order_are_a_minute_apart() {
    let app = TestApp::start().await;
    let sku = app.a_sku(700, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    for _ in 0..2 {
        money_for(&app, &placed.order_no()).await;
    }
    app.run_reaper().await;
    assert_eq!(calls(&app, REFUND).count, 1);
    app.advance(59);
    app.run_reaper().await;
    assert_eq!(calls(&app, REFUND).count, 1);
    app.advance(1);
    app.run_reaper().await;
    assert_eq!(calls(&app, REFUND).count, 2);
    let done = calls(&app, REFUND).recent;
    let succeeded = |call: &buynow::sandbox::Call| call.outcome.as_deref() == Some("SUCCESS");
    assert!(done.iter().all(succeeded), "{done:?}");
    app.finish_refunds().await;
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_renumbered_refund_keeps_the_minute_too() {
    let late = Late::new().await;
    late.refund_by_hand();
    late.later(0).await;
    late.app.sandbox.set_refund(&late.refund_no, RefundStatus::RefundClose).unwrap();
    for _ in 0..240 {
        late.later(1).await;
    }
    let done = calls(&late.app, REFUND).recent;
    let outcomes: Vec<_> = done.iter().map(|call| call.outcome.as_deref()).collect();
    assert_eq!(outcomes, [Some("SUCCESS"), Some("SUCCESS")]);
    late.setting(SettingsChange { refund: Some(Mode::Auto), ..Default::default() });
    late.app
        .sandbox
        .set_refund(&late.refund_no.replace("-1", "-2"), RefundStatus::Success)
        .unwrap();
    late.ends_refunded().await;
}

#[actix_rt::test]
async fn refunds_of_different_orders_go_on_side_by_side() {
    let app = TestApp::start().await;
    let sku = app.a_sku(700, 9).await;
    for name in ["alice", "bob", "carol"] {
        let shopper = app.shopper(name).await;
        let placed = shopper.buys(sku, 1).await.expect(201);
        shopper.acts(placed.payment(), PayAction::Twice).await;
    }
    app.sandbox.fault(Fault::next(REFUND, FaultKind::DelayAnswer).times(3)).unwrap();
    let together = async {
        app.sandbox.wait_for_held(REFUND, 3).await.unwrap();
        app.sandbox.release(REFUND);
    };
    futures_util::future::join(app.run_reaper(), together).await;
    app.finish_refunds().await;
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_stuck_refund_that_a_query_does_not_find_is_looked_at_once_a_day() {
    let late = Late::new().await;
    late.refund_by_hand();
    late.later(0).await;
    late.app.sandbox.set_refund(&late.refund_no, RefundStatus::Change).unwrap();
    late.later(600).await;
    late.app.sandbox.fault(Fault::refuse(REFUND_QUERY, "REFUNDNOTEXIST").times(1000)).unwrap();
    late.later(25 * 3_600).await;
    let before = calls(&late.app, REFUND_QUERY).count;
    for _ in 0..48 {
        late.later(1_800).await;
    }
    assert_eq!(calls(&late.app, REFUND_QUERY).count - before, 1);
    assert_eq!(calls(&late.app, REFUND).count, 1);
    late.app.stop().await;
}

#[actix_rt::test]
async fn a_refund_under_way_is_asked_about_less_and_less_often() {
    let late = Late::new().await;
    late.refund_by_hand();
    late.later(0).await;
    let mut asked = Vec::new();
    for minute in 1..=200 {
        late.later(60).await;
        let count = calls(&late.app, REFUND_QUERY).count;
        asked.extend((asked.len()..usize::try_from(count).unwrap()).map(|_| minute));
    }
    assert_eq!(asked, [1, 6, 16, 36, 66, 126, 186]);
    late.app.sandbox.set_refund(&late.refund_no, RefundStatus::Success).unwrap();
    late.ends_refunded().await;
}
