//! Refunds that WeChat shows beside ours: what is kept, what is asked for, under which number.

use super::invariants::check;
use super::words::*;
use super::world::*;
use crate::domain::fold::*;
use crate::domain::order::CloseReason;
use crate::domain::payment::{Refund, RefundEvent, RefundKind, RefundState};

fn closed_world() -> World {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    world.closing(close_attempt(1001, 1001)).unwrap();
    world
}

/// Kind, number, amount and state of every refund.
fn shown(world: &World) -> Vec<(RefundKind, String, i64, &'static str)> {
    let show = |refund: &Refund| {
        let number = refund.out_refund_no.as_str().to_owned();
        (refund.kind, number, refund.amount.as_fen(), refund.state.as_str())
    };
    world.refunds().into_iter().map(show).collect()
}

fn change(world: &mut World, event: RefundEvent, found: Vec<FoundRefund>) -> bool {
    let refunds = world.refunds();
    let refund = refunds.iter().find(|refund| refund.kind == RefundKind::Auto).unwrap();
    let change = ChangeRefund::of(refund, event, found);
    matches!(world.fold(change), Outcome::RefundChanged(true))
}

fn refused() -> RefundEvent {
    RefundEvent::Failed { code: "ERROR".into() }
}

#[test]
fn money_that_is_stuck_on_its_way_back_pays_nothing() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    let stuck = FoundRefund { state: FoundState::Abnormal, ..found_refund("x1", 100, false) };
    let settlement = world.settled(Settle { refunds: vec![stuck], ..settle(1001, "TX1", 100) });
    assert_eq!(settlement, Settlement::Surplus(SurplusReason::Refunded));
    assert_eq!((world.state(1001), world.order(1001).refunded), ("refunded", fen(0)));
    assert_eq!(shown(&world), [(RefundKind::External, "x1".into(), 100, "abnormal")]);
    check(&world);
}

#[test]
fn a_refund_without_a_time_of_success_has_succeeded_all_the_same() {
    let mut world = closed_world();
    let found = FoundRefund { state: FoundState::Success(None), ..found_refund("x1", 100, true) };
    world.settled(Settle { refunds: vec![found], ..settle(1001, "TX1", 100) });
    assert_eq!(world.refunds()[0].state, RefundState::Success);
    assert!(world.refunds()[0].success_at.is_some());
    check(&world);
}

#[test]
fn the_rest_takes_a_number_that_is_free() {
    let mut world = closed_world();
    let refunds = vec![found_refund("rTX1-1", 30, true), found_refund("rTX1-2", 30, false)];
    world.settled(Settle { refunds, ..settle(1001, "TX1", 100) });
    assert_eq!(
        shown(&world),
        [
            (RefundKind::External, "rTX1-1".into(), 30, "success"),
            (RefundKind::External, "rTX1-2".into(), 30, "processing"),
            (RefundKind::Auto, "rTX1-3".into(), 40, "due"),
        ]
    );
    check(&world);
}

#[test]
fn a_refusal_because_of_a_part_that_went_back_asks_for_the_rest() {
    let mut world = closed_world();
    world.settled(settle(1001, "TX1", 100));
    assert!(change(&mut world, RefundEvent::Request, vec![]));
    let found = vec![found_refund("by-hand", 30, true), found_refund("rTX1-2", 10, false)];
    assert!(change(&mut world, refused(), found));
    assert_eq!(
        shown(&world),
        [
            (RefundKind::Auto, "rTX1-3".into(), 60, "due"),
            (RefundKind::External, "by-hand".into(), 30, "success"),
            (RefundKind::External, "rTX1-2".into(), 10, "processing"),
        ]
    );
    assert_eq!(world.order(1001).refunded, fen(30));
    check(&world);
}

#[test]
fn a_refusal_that_nothing_explains_stays_one() {
    for found in [vec![], vec![found_refund("by-hand", 100, true)]] {
        let mut world = closed_world();
        world.settled(settle(1001, "TX1", 100));
        assert!(change(&mut world, refused(), found));
        assert_eq!(world.refunds()[0].state.as_str(), "failed");
        check(&world);
    }
}

#[test]
fn the_number_after_a_closed_one_is_free() {
    let mut world = closed_world();
    let refunds = vec![found_refund("rTX1-1", 60, false), found_refund("rTX1-2", 40, true)];
    world.settled(Settle { refunds, ..settle(1001, "TX1", 100) });
    assert!(change(&mut world, RefundEvent::ClosedByWechat, vec![]));
    assert_eq!(world.refunds()[0].out_refund_no.as_str(), "rTX1-3");
    check(&world);
}
