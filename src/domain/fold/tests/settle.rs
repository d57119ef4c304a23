//! Money that comes: what it pays, what goes back, and how refunds end.

use super::invariants::check;
use super::world::*;
use crate::domain::attempt::AttemptState;
use crate::domain::books::EntryKind;
use crate::domain::fold::*;
use crate::domain::goods::DeductStock;
use crate::domain::id::OutRefundNo;
use crate::domain::money::Money;
use crate::domain::notification::Event;
use crate::domain::order::{CloseReason, OrderState};
use crate::domain::payment::{IncidentReason, PaymentKind, RefundEvent, RefundKind, RefundState};

fn paid_world() -> World {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 2)]);
    assert_eq!(world.settled(settle(1001, "TX1", 200)), Settlement::Settled);
    world
}

/// Exactly one refund of everything, and word of it.
#[track_caller]
fn check_goes_back(world: &World, order: i64, reason: SurplusReason, amount: i64) {
    let refunds = world.refunds();
    let refund = refunds.last().unwrap();
    assert_eq!((refund.amount, refund.kind), (fen(amount), RefundKind::Auto));
    assert_eq!((refund.state.clone(), refund.reason.as_str()), (RefundState::Due, reason.text()));
    let number = format!("r{}-1", refund.transaction);
    assert_eq!(refund.out_refund_no.as_str(), number);
    assert_eq!(world.messages().last(), Some(&(order, Event::OrderRefunded)));
    check(world);
}

#[test]
fn the_right_money_pays_the_order() {
    let world = paid_world();
    assert!(matches!(&world.order(1001).state, OrderState::Paid(paid)
        if paid.transaction == Some(transaction("TX1")) && paid.at == START.plus_seconds(5)));
    assert_eq!(world.attempt(1001).state, AttemptState::Paid);
    assert_eq!(world.kinds(), [PaymentKind::Settled]);
    assert_eq!(world.messages(), [(1001, Event::OrderPaid)]);
    assert_eq!(world.books.notifications[0].form_id.as_deref(), Some("wx-prepay-1001"));
    assert_eq!(world.books.notifications[0].facts["amount"], "2.00");
    assert_eq!((world.stock(11), world.books.goods[&goods_id(1)].get().sales), (3, 2));
    check(&world);
}

#[test]
fn goods_deducted_with_the_payment_are_deducted_by_it() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(PAYMENT_SKU, 2), (11, 1)]);
    assert_eq!(world.settled(settle(1001, "TX1", 300)), Settlement::Settled);
    assert_eq!(world.ledger(), [(11, -1, EntryKind::Order), (PAYMENT_SKU, -2, EntryKind::Payment)]);
    check(&world);
}

#[test]
fn a_line_keeps_the_mode_of_its_order() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1), (PAYMENT_SKU, 2)]);
    world.change_goods(1, |goods| goods.deduct_stock = DeductStock::Payment);
    world.change_goods(2, |goods| goods.deduct_stock = DeductStock::Order);
    assert_eq!(world.settled(settle(1001, "TX1", 300)), Settlement::Settled);
    assert_eq!((world.stock(11), world.stock(PAYMENT_SKU)), (4, 3));
    check(&world);
}

#[test]
fn the_same_word_again_changes_nothing() {
    let mut world = paid_world();
    let before = format!("{:?}", world.books.orders);
    for _ in 0..3 {
        assert_eq!(world.settled(settle(1001, "TX1", 200)), Settlement::AlreadyRecorded);
    }
    assert_eq!(format!("{:?}", world.books.orders), before);
    assert_eq!((world.payments().len(), world.messages().len()), (1, 1));
    check(&world);
}

#[test]
fn money_of_an_unknown_attempt_is_nobodys() {
    let mut world = paid_world();
    assert_eq!(world.settled(settle(4444, "TX2", 200)), Settlement::UnknownAttempt);
    assert_eq!(world.payments().len(), 1);
}

#[test]
fn another_amount_is_an_incident() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 2)]);
    for _ in 0..2 {
        let settlement = world.settled(settle(1001, "TX1", 199));
        assert_eq!(settlement, Settlement::Incident(IncidentReason::WrongAmount));
    }
    assert_eq!(world.books.incidents.len(), 1);
    assert_eq!((world.state(1001), world.payments().len()), ("unpaid", 0));
    assert_eq!(world.attempt(1001).state, AttemptState::Open);
    assert_eq!(world.settled(settle(1001, "TX2", 200)), Settlement::Settled);
    check(&world);
}

#[test]
fn a_second_payment_goes_back() {
    let mut world = paid_world();
    let settlement = world.settled(settle(1001, "TX2", 200));
    assert_eq!(settlement, Settlement::Surplus(SurplusReason::AlreadyPaid));
    assert_eq!(world.kinds(), [PaymentKind::Settled, PaymentKind::Surplus]);
    check_goes_back(&world, 1001, SurplusReason::AlreadyPaid, 200);
}

#[test]
fn both_attempts_paid_settle_once() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.closing(close_attempt(1001, 1001)).unwrap();
    world.started(2001, 1001);
    world.fold(prepaid(2001, START));
    assert_eq!(world.settled(settle(1001, "TX1", 100)), Settlement::Settled);
    assert_eq!(
        world.attempt(2001).state,
        AttemptState::Closing,
        "nobody shall pay this one any more"
    );
    let second = world.settled(settle(2001, "TX2", 100));
    assert_eq!(second, Settlement::Surplus(SurplusReason::AlreadyPaid));
    check_goes_back(&world, 1001, SurplusReason::AlreadyPaid, 100);
}

#[test]
fn money_for_a_closed_order_goes_back() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    world.closing(close_attempt(1001, 1001)).unwrap();
    let late = world.settled(settle(1001, "TX1", 100));
    assert_eq!(late, Settlement::Surplus(SurplusReason::OrderClosed));
    assert_eq!((world.state(1001), world.stock(11)), ("closed", 5));
    check_goes_back(&world, 1001, SurplusReason::OrderClosed, 100);
}

#[test]
fn money_for_goods_that_ran_out_closes_the_order_and_goes_back() {
    let mut world = World::new(3);
    world.open_order(1001, 1, &[(11, 1), (PAYMENT_SKU, 2)]);
    world.open_order(1002, 2, &[(PAYMENT_SKU, 2)]);
    assert_eq!(world.settled(settle(1002, "TX2", 200)), Settlement::Settled);
    let late = world.settled(settle(1001, "TX1", 300));
    assert_eq!(late, Settlement::Surplus(SurplusReason::SoldOut));
    let closed = OrderState::Closed { at: world.now, reason: CloseReason::SoldOut };
    assert_eq!(world.order(1001).state, closed);
    assert_eq!((world.stock(11), world.stock(PAYMENT_SKU)), (3, 1));
    check_goes_back(&world, 1001, SurplusReason::SoldOut, 300);
}

#[test]
fn a_price_changed_since_the_attempt_sends_the_money_back() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.reprice(1001, 50);
    let settlement = world.settled(settle(1001, "TX1", 100));
    assert_eq!(settlement, Settlement::Surplus(SurplusReason::OtherAmount));
    assert_eq!((world.state(1001), world.stock(11)), ("unpaid", 4));
    check_goes_back(&world, 1001, SurplusReason::OtherAmount, 100);
    world.started(2001, 1001);
    assert_eq!(world.settled(settle(2001, "TX2", 150)), Settlement::Settled);
    check(&world);
}

#[test]
fn money_that_came_and_went_refunds_the_order() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1), (PAYMENT_SKU, 1)]);
    let refunds = vec![found_refund("x1", 150, true), found_refund("x2", 50, false)];
    let settlement = world.settled(Settle { refunds, ..settle(1001, "TX1", 200) });
    assert_eq!(settlement, Settlement::Surplus(SurplusReason::Refunded));
    assert_eq!((world.state(1001), world.stock(11), world.stock(PAYMENT_SKU)), ("refunded", 5, 5));
    assert_eq!(world.order(1001).refunded, fen(150));
    let states: Vec<_> = world.refunds().iter().map(|r| (r.kind, r.state.clone())).collect();
    assert_eq!(
        states,
        [
            (RefundKind::External, RefundState::Success),
            (RefundKind::External, RefundState::Processing)
        ]
    );
    check(&world);
}

#[test]
fn money_of_which_a_part_went_back_pays() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 2)]);
    let refunds = vec![found_refund("x1", 50, true)];
    assert_eq!(world.settled(Settle { refunds, ..settle(1001, "TX1", 200) }), Settlement::Settled);
    assert_eq!((world.state(1001), world.order(1001).refunded), ("paid", fen(50)));
    check(&world);
}

#[test]
fn surplus_of_which_a_part_went_back_returns_the_rest() {
    let mut world = paid_world();
    let refunds = vec![found_refund("x1", 50, true)];
    let settlement = world.settled(Settle { refunds, ..settle(1001, "TX2", 200) });
    assert_eq!(settlement, Settlement::Surplus(SurplusReason::AlreadyPaid));
    check_goes_back(&world, 1001, SurplusReason::AlreadyPaid, 150);
}

#[test]
fn refund_numbers_of_another_merchant_are_others() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 2)]);
    let found = || vec![found_refund("x1", 50, true)];
    world.settled(Settle { refunds: found(), ..settle(1001, "TX1", 200) });
    world.placed(1002, 1, &[(11, 2)]);
    let mut other = start(2002, 1002);
    other.terms.mch_id = "1900000110".into();
    world.fold(other);
    world.settled(Settle { refunds: found(), ..settle(2002, "TX1", 200) });
    assert_eq!(world.refunds().len(), 2);
    assert_eq!((world.order(1001).refunded, world.order(1002).refunded), (fen(50), fen(50)));
    check(&world);
}

/// A copy of an older database finds the refund that its later self has asked for.
#[test]
fn a_refund_that_a_later_copy_asked_for_is_found_again() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    world.closing(close_attempt(1001, 1001)).unwrap();
    let refunds = vec![found_refund("rTX1-1", 100, false)];
    let settlement = world.settled(Settle { refunds, ..settle(1001, "TX1", 100) });
    assert_eq!(settlement, Settlement::Surplus(SurplusReason::OrderClosed));
    let refund = world.refunds()[0].clone();
    assert_eq!((world.refunds().len(), refund.kind), (1, RefundKind::Auto), "it is ours");
    let change = |event| ChangeRefund::of(&refund, event, Vec::new());
    world.fold(change(RefundEvent::ClosedByWechat));
    assert_eq!(world.refunds()[0].out_refund_no.as_str(), "rTX1-2");
    check(&world);
}

#[test]
fn a_refund_counts_when_it_has_succeeded_and_once() {
    let mut world = paid_world();
    world.settled(settle(1001, "TX2", 200));
    let refund = world.refunds()[0].clone();
    let change = |event| ChangeRefund::of(&refund, event, Vec::new());
    let changed = |outcome| matches!(outcome, Outcome::RefundChanged(true));
    assert!(changed(world.fold(change(RefundEvent::Request))));
    assert_eq!(world.order(1001).refunded, Money::ZERO);
    let at = START.plus_seconds(60);
    assert!(changed(world.fold(change(RefundEvent::Succeeded { at }))));
    assert!(!changed(world.fold(change(RefundEvent::Succeeded { at }))));
    assert_eq!(world.order(1001).refunded, fen(200));
    assert_eq!(world.state(1001), "paid", "surplus money says nothing of the order");
    check(&world);
}

/// Two workers hear that a number was closed; the second tells it when the first has asked again.
#[test]
fn word_about_a_former_number_of_a_refund_is_void() {
    let mut world = paid_world();
    world.settled(settle(1001, "TX2", 200));
    let refund = world.refunds()[0].clone();
    let change = |event| ChangeRefund::of(&refund, event, Vec::new());
    world.fold(change(RefundEvent::ClosedByWechat));
    let next = world.refunds()[0].clone();
    assert_eq!((next.number, next.out_refund_no.as_str()), (2, "rTX2-2"));
    for stale in [RefundEvent::ClosedByWechat, RefundEvent::Request, RefundEvent::Abnormal] {
        assert!(matches!(world.fold(change(stale)), Outcome::RefundChanged(false)));
    }
    assert_eq!(*world.refunds()[0], next);
    check(&world);
}

#[test]
fn an_unknown_refund_is_not_changed() {
    let mut world = paid_world();
    let refund = crate::domain::id::RefundId::parse(77).unwrap();
    let change = ChangeRefund {
        refund,
        order: order_id(1001),
        number: OutRefundNo::parse("r-1").unwrap(),
        event: RefundEvent::Abnormal,
        found: Vec::new(),
    };
    assert!(matches!(world.fold(change), Outcome::RefundChanged(false)));
}

#[test]
fn every_transaction_has_a_number_for_its_refund() {
    for text in ["4200001234202611251234567890", "T-1_2|3*4@5", &"9".repeat(32)] {
        let number = crate::domain::payment::out_refund_no(&transaction(text), 1);
        assert_eq!(number, OutRefundNo::parse(format!("r{text}-1")).ok());
        assert!(number.is_some(), "{text}");
    }
    for bad in ["", "T/1", "T.1", "单", &"9".repeat(33)] {
        assert!(crate::domain::id::TransactionId::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_same_word_of_nothing_known_is_kept_once() {
    let mut world = World::new(1);
    let keep = |number: &str| KeepIncident {
        wxapp: wxapp(),
        mch_id: "1900000109".into(),
        transaction: transaction("TX9"),
        out_trade_no: number.into(),
        amount: fen(1),
        reason: IncidentReason::UnknownNumber,
    };
    world.fold(keep("N1"));
    world.fold(keep("N1"));
    assert_eq!(world.books.incidents.len(), 1);
}
