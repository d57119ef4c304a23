//! Shipping, receipt, and the end of orders whose money goes back.

use super::invariants::check;
use super::words::*;
use super::world::*;
use crate::domain::books::Kept;
use crate::domain::desk::UnsentMessage;
use crate::domain::fold::*;
use crate::domain::id::{LineId, ShipmentId};
use crate::domain::notification::Event;
use crate::domain::order::{CloseReason, TransitionError};
use crate::domain::payment::{RefundEvent, RefundKind, RefundState};
use crate::domain::shipment::Carrier;
use crate::domain::timeline::What;

/// Two lines: 2 pieces of SKU 11, 1 of SKU 21 (deducted with the payment); paid.
fn two_lines() -> (World, i64, i64) {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 2), (PAYMENT_SKU, 1)]);
    assert_eq!(world.settled(settle(1001, "TX1", 300)), Settlement::Settled);
    let lines: Vec<i64> =
        world.books.lines_of(order_id(1001)).iter().map(|line| line.id.get()).collect();
    (world, lines[0], lines[1])
}

#[track_caller]
fn refused(world: &mut World, act: Act, expected: DeskRefusal) {
    let messages = world.messages();
    assert_eq!(world.acts(act), Err(expected));
    assert_eq!(world.messages(), messages);
    check(world);
}

fn refund_event(world: &mut World, event: RefundEvent) {
    let change = ChangeRefund::of(world.refunds().last().unwrap(), event, vec![]);
    world.fold(change);
}

#[test]
fn an_order_is_shipped_whole() {
    let (mut world, ..) = two_lines();
    world.acts(ship(1001, "SF10001", &[])).unwrap();
    assert_eq!(world.state(1001), "shipped");
    let shipment = world.books.shipments_of(order_id(1001)).next().unwrap();
    let pieces: Vec<i64> = shipment.lines.iter().map(|packed| packed.quantity.pieces()).collect();
    assert_eq!(pieces, [2, 1]);
    assert_eq!(world.messages().last(), Some(&(1001, Event::OrderShipped)));
    let message = &world.books.notifications.last().unwrap();
    assert_eq!(message.ref_id, shipment.id.get());
    assert_eq!((&*message.facts["company"], &*message.facts["number"]), ("顺丰速运", "SF10001"));
    check(&world);
}

#[test]
fn the_second_of_two_who_ship_is_refused_by_name() {
    let (mut world, ..) = two_lines();
    world.acts(ship(1001, "SF10001", &[])).unwrap();
    refused(&mut world, ship(1001, "SF10002", &[]), TransitionError::AlreadyShipped.into());
    refused(&mut world, ship(1001, "SF10001", &[]), TransitionError::AlreadyShipped.into());
    assert_eq!(world.books.shipments.len(), 1);
}

#[test]
fn a_form_sent_twice_ships_once() {
    let (mut world, line, _) = two_lines();
    let form = || ship(1001, "SF10001", &[(line, 1)]);
    let first = world.acts_with(Some("form-1"), form()).unwrap();
    assert!(!first.repeated && first.shipment.is_some());
    world.save_and_reload();
    let again = world.acts_with(Some("form-1"), form()).unwrap();
    assert!(again.repeated);
    let other = world.acts_with(Some("form-1"), ship(1001, "SF10002", &[(line, 1)]));
    assert_eq!(other, Err(DeskRefusal::KeyConflict));
    assert_eq!(world.books.shipments.len(), 1);
    assert_eq!(world.log.audit.len() + world.books.desk.log.len(), 1);
    check(&world);
}

#[test]
fn parts_add_up_to_the_whole() {
    let (mut world, first, second) = two_lines();
    world.acts(ship(1001, "SF10001", &[(first, 1)])).unwrap();
    assert_eq!(world.state(1001), "paid");
    check(&world);
    let line = LineId::parse(first).unwrap();
    let too_many = DeskRefusal::TooManyPieces { line, left: 1 };
    refused(&mut world, ship(1001, "SF10002", &[(first, 2)]), too_many);
    refused(&mut world, ship(1001, "SF10002", &[(first, 1), (first, 1)]), too_many);
    refused(&mut world, ship(1001, "SF10001", &[(second, 1)]), DeskRefusal::NumberTaken);
    refused(&mut world, ship(1001, "SF10002", &[(9, 1)]), DeskRefusal::Unknown("line"));
    world.acts(ship(1001, "SF10002", &[(first, 1), (second, 1)])).unwrap();
    assert_eq!(world.state(1001), "shipped");
    let what: Vec<What> = world.timeline(1001).into_iter().map(|(what, _)| what).collect();
    assert_eq!(what, [What::Paid, What::ShippedPart, What::Shipped]);
    assert_eq!(world.timeline(1001)[1].1, "staff:7");
    check(&world);
}

#[test]
fn ten_parcels_and_no_more() {
    let mut world = World::new(20);
    world.paid_order(1001, 11);
    let line = world.books.lines_of(order_id(1001))[0].id.get();
    for parcel in 0..9 {
        world.acts(ship(1001, &format!("SF1000{parcel}"), &[(line, 1)])).unwrap();
    }
    refused(&mut world, ship(1001, "SF10009", &[(line, 1)]), DeskRefusal::TooManyParcels);
    world.acts(ship(1001, "SF10009", &[])).unwrap();
    assert_eq!(world.state(1001), "shipped");
    check(&world);
}

#[test]
fn only_a_paid_order_is_shipped() {
    let mut world = World::new(9);
    refused(&mut world, ship(1001, "SF10001", &[]), DeskRefusal::Unknown("order"));
    world.open_order(1001, 1, &[(11, 1)]);
    refused(&mut world, ship(1001, "SF10001", &[]), TransitionError::NotPaid.into());
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    refused(&mut world, ship(1001, "SF10001", &[]), TransitionError::NotPaid.into());
    world.closing(close_attempt(1001, 1001)).unwrap();
    refused(&mut world, ship(1001, "SF10001", &[]), TransitionError::AlreadyClosed.into());
    world.paid_order(1002, 1);
    let mut elsewhere = desk(None, ship(1002, "SF10001", &[]));
    elsewhere.wxapp = crate::domain::id::WxappId::parse(10002).unwrap();
    let elsewhere = world.fold(elsewhere);
    assert!(matches!(elsewhere, Outcome::Acted(Err(DeskRefusal::Unknown("order")))));
}

#[test]
fn money_on_its_way_back_keeps_the_goods_here() {
    let mut world = World::new(9);
    world.paid_order(1001, 2);
    world.acts(refund_order(1001)).unwrap();
    for event in [RefundEvent::Request, RefundEvent::Abnormal] {
        refused(&mut world, ship(1001, "SF10001", &[]), DeskRefusal::RefundOpen);
        refund_event(&mut world, event);
    }
    refused(&mut world, refund_order(1001), DeskRefusal::RefundOpen);
    refund_event(&mut world, RefundEvent::Failed { code: "ERROR".into() });
    world.acts(ship(1001, "SF10001", &[])).unwrap();
    check(&world);
}

#[test]
fn what_was_paid_twice_is_shipped_all_the_same() {
    let mut world = World::new(9);
    world.paid_order(1001, 1);
    assert_eq!(
        world.settled(settle(1001, "TX-TWICE", 100)),
        Settlement::Surplus(SurplusReason::AlreadyPaid)
    );
    world.acts(ship(1001, "SF10001", &[])).unwrap();
    check(&world);
}

#[test]
fn a_full_refund_returns_what_no_parcel_has_taken() {
    let (mut world, first, _) = two_lines();
    world.acts(ship(1001, "SF10001", &[(first, 1)])).unwrap();
    world.acts(refund_order(1001)).unwrap();
    let refund = world.refunds()[0];
    assert_eq!((refund.kind, refund.amount), (RefundKind::Staff, fen(300)));
    assert_eq!((refund.out_refund_no.as_str(), &*refund.reason), ("rTX1-1", "缺货"));
    assert_eq!((world.stock(11), world.stock(PAYMENT_SKU)), (3, 4));
    refund_event(&mut world, RefundEvent::Succeeded { at: START });
    assert_eq!((world.state(1001), world.order(1001).refunded), ("refunded", fen(300)));
    assert_eq!((world.stock(11), world.stock(PAYMENT_SKU)), (4, 5));
    check(&world);
    refused(&mut world, refund_order(1001), TransitionError::AlreadyRefunded.into());
    let what: Vec<(What, String)> = world.timeline(1001).split_off(2);
    let expected = [
        (What::RefundOrdered, "staff:7"),
        (What::RefundSucceeded, "wechat"),
        (What::Refunded, "wechat"),
    ];
    assert_eq!(what, expected.map(|(what, who)| (what, who.to_owned())));
}

#[test]
fn a_completed_order_can_be_given_back() {
    let mut world = World::new(9);
    world.paid_order(1001, 2);
    world.acts(ship(1001, "SF10001", &[])).unwrap();
    assert!(matches!(world.fold(received(1001, 1)), Outcome::Received(Ok(_))));
    assert_eq!(world.state(1001), "completed");
    world.acts(refund_order(1001)).unwrap();
    refund_event(&mut world, RefundEvent::Succeeded { at: START });
    assert_eq!((world.state(1001), world.stock(11)), ("refunded", 7));
    check(&world);
}

#[test]
fn a_refund_that_failed_is_asked_for_again_under_the_next_number() {
    let mut world = World::new(9);
    world.paid_order(1001, 1);
    for number in 1..=5 {
        world.acts(refund_order(1001)).unwrap();
        assert_eq!(
            world.refunds().last().unwrap().out_refund_no.as_str(),
            format!("rTX1001-{number}")
        );
        refund_event(&mut world, RefundEvent::Failed { code: "ERROR".into() });
        check(&world);
    }
    refused(&mut world, refund_order(1001), DeskRefusal::TooManyRefunds);
}

#[test]
fn the_rest_of_what_went_back_by_hand_is_given_back() {
    let mut world = World::new(9);
    world.paid_order(1001, 1);
    world.acts(refund_order(1001)).unwrap();
    refund_event(&mut world, RefundEvent::Request);
    let refund = world.refunds()[0].clone();
    let event = RefundEvent::Failed { code: "ERROR".into() };
    let found = vec![found_refund("by-hand", 30, true)];
    world.fold(ChangeRefund::of(&refund, event, found));
    assert_eq!(
        (world.refunds()[0].amount, &world.refunds()[0].state),
        (fen(70), &RefundState::Due)
    );
    let change = RefundEvent::Succeeded { at: START };
    let change = ChangeRefund::of(world.refunds()[0], change, vec![]);
    world.fold(change);
    assert_eq!((world.state(1001), world.order(1001).refunded), ("refunded", fen(100)));
    check(&world);
}

#[test]
fn unpaid_free_and_closed_orders_have_nothing_to_give_back() {
    let mut world = World::new(9);
    world.open_order(1001, 1, &[(11, 1)]);
    refused(&mut world, refund_order(1001), TransitionError::NotPaid.into());
    world.placed(1002, 1, &[(FREE_SKU, 1)]);
    refused(&mut world, refund_order(1002), DeskRefusal::NothingToRefund);
    world.acts(ship(1002, "SF10001", &[])).unwrap();
    check(&world);
}

#[test]
fn only_the_buyer_or_time_receives() {
    let mut world = World::new(9);
    world.paid_order(1001, 1);
    let by = |world: &mut World, by| match world.fold(Receive { order: order_id(1001), by }) {
        Outcome::Received(received) => received.map(|order| order.state.as_str()),
        other => panic!("{other:?}"),
    };
    let buyer = |user| Receiver::Buyer(user_id(user));
    assert_eq!(by(&mut world, buyer(1)), Err(TransitionError::NotShipped.into()));
    world.acts(ship(1001, "SF10001", &[])).unwrap();
    assert_eq!(by(&mut world, buyer(2)), Err(ReceiptRefusal::UnknownOrder));
    let too_early = Receiver::Time { shipped_by: world.now.plus_seconds(-1) };
    assert_eq!(by(&mut world, too_early), Err(ReceiptRefusal::NotYet));
    let in_time = Receiver::Time { shipped_by: world.now };
    world.acts(refund_order(1001)).unwrap();
    assert_eq!(by(&mut world, in_time), Err(ReceiptRefusal::RefundOpen));
    refund_event(&mut world, RefundEvent::Failed { code: "ERROR".into() });
    assert_eq!(by(&mut world, in_time), Ok("completed"));
    assert_eq!(by(&mut world, in_time), Err(TransitionError::AlreadyCompleted.into()));
    assert_eq!(world.timeline(1001).last(), Some(&(What::Completed, "system".to_owned())));
    check(&world);
}

#[test]
fn a_number_is_corrected_and_counted_until_the_goods_arrive() {
    let mut world = World::new(9);
    world.paid_order(1001, 2);
    let shipment = world.acts(ship(1001, "SF10001", &[])).unwrap().shipment.unwrap();
    let correct = |shipment: ShipmentId, number: &str| Act::CorrectNumber {
        order: order_id(1001),
        shipment,
        carrier: Carrier::parse("YTO", None).unwrap(),
        number: crate::domain::id::TrackingNo::parse(number).unwrap(),
    };
    world.acts(correct(shipment, "YT10001")).unwrap();
    let now = &world.books.shipments[&shipment];
    assert_eq!((now.get().carrier.code(), now.get().corrections), ("YTO", 1));
    refused(&mut world, correct(shipment, "YT10001"), DeskRefusal::NothingChanges);
    let unknown = ShipmentId::parse(9).unwrap();
    refused(&mut world, correct(unknown, "YT10002"), DeskRefusal::Unknown("shipment"));
    world.fold(received(1001, 1));
    let arrived = TransitionError::AlreadyCompleted.into();
    refused(&mut world, correct(shipment, "YT10003"), arrived);
}

/// A parcel of order 1001, shipped at the desk; its message has not been claimed.
fn scanned() -> (World, ShipmentId) {
    let mut world = World::new(9);
    world.paid_order(1001, 2);
    let shipment = world.acts(ship(1001, "SF10001", &[])).unwrap().shipment.unwrap();
    let message = world.books.notifications.last().unwrap();
    let unsent = UnsentMessage { id: message.id, facts: message.facts.clone(), is_void: false };
    world.save_and_reload();
    world.books.desk.unsent.insert(shipment, Kept::loaded(unsent));
    (world, shipment)
}

fn take_back(shipment: ShipmentId) -> Act {
    Act::TakeBack { order: order_id(1001), shipment }
}

#[test]
fn a_scan_is_taken_back_and_leaves_no_parcel_and_no_message() {
    let (mut world, shipment) = scanned();
    world.acts(take_back(shipment)).unwrap();
    assert_eq!(world.state(1001), "paid");
    assert!(world.books.desk.unsent[&shipment].get().is_void);
    assert_eq!(world.books.desk.taken_back, [shipment]);
    assert_eq!(world.timeline(1001).last().unwrap().0, What::TakenBack);
    refused(&mut world, take_back(shipment), DeskRefusal::Unknown("shipment"));
    world.acts(ship(1001, "SF10001", &[])).unwrap();
    assert_eq!(world.state(1001), "shipped", "with the same number, as if nothing had been");
    check(&world);
}

#[test]
fn what_the_buyer_was_told_or_has_received_is_not_taken_back() {
    let (mut world, shipment) = scanned();
    let message = world.books.desk.unsent.remove(&shipment).unwrap();
    refused(&mut world, take_back(shipment), DeskRefusal::BuyerTold);
    world.books.desk.unsent.insert(shipment, message);
    refused(&mut world, take_back(ShipmentId::parse(9).unwrap()), DeskRefusal::Unknown("shipment"));
    world.fold(received(1001, 1));
    refused(&mut world, take_back(shipment), TransitionError::AlreadyCompleted.into());
    assert_eq!(world.books.shipments.len(), 1);
}

#[test]
fn a_part_is_taken_back_alone() {
    let (mut world, first, second) = two_lines();
    world.acts(ship(1001, "SF10001", &[(first, 2)])).unwrap();
    let shipment = world.acts(ship(1001, "SF10002", &[(second, 1)])).unwrap().shipment.unwrap();
    assert_eq!(world.state(1001), "shipped");
    let message = world.books.notifications.last().unwrap();
    let unsent = UnsentMessage { id: message.id, facts: message.facts.clone(), is_void: false };
    world.save_and_reload();
    world.books.desk.unsent.insert(shipment, Kept::loaded(unsent));
    world.acts(take_back(shipment)).unwrap();
    assert_eq!(world.state(1001), "paid");
    assert_eq!(world.books.shipments_of(order_id(1001)).count(), 1);
    check(&world);
}

#[test]
fn a_number_that_is_corrected_in_time_is_the_one_that_the_buyer_reads() {
    let (mut world, shipment) = scanned();
    let correct = Act::CorrectNumber {
        order: order_id(1001),
        shipment,
        carrier: Carrier::parse("YTO", None).unwrap(),
        number: crate::domain::id::TrackingNo::parse("YT10001").unwrap(),
    };
    world.acts(correct).unwrap();
    let facts = &world.books.desk.unsent[&shipment].get().facts;
    assert_eq!((&*facts["company"], &*facts["number"]), ("圆通速递", "YT10001"));
}
