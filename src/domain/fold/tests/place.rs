//! Taking orders and starting to pay them: every refusal, keys, limits, stock.

use super::invariants::check;
use super::world::*;
use crate::domain::admission::PlaceRefusal;
use crate::domain::attempt::{AttemptState, EXPIRE_AHEAD_SECONDS, NotPayable};
use crate::domain::books::{Books, EntryKind};
use crate::domain::fold::*;
use crate::domain::goods::DeductStock;
use crate::domain::id::{AddressId, WxappId};
use crate::domain::money::Money;
use crate::domain::notification::Event;
use crate::domain::order::{CloseReason, OrderState};
use crate::domain::price::{FreightPolicy, TooExpensive};

/// A refused order must leave nothing behind, its key included.
#[track_caller]
fn check_refused(world: &mut World, wanted: Place, expected: PlaceRefusal) {
    let before = snapshot(world);
    let key = wanted.key.key.clone();
    let bound = world.books.keys.get(&key).cloned();
    assert_eq!(world.refused(wanted), expected);
    assert_eq!(snapshot(world), before, "a refusal leaves no trace");
    assert_eq!(world.books.keys.get(&key).cloned(), bound, "a refusal binds no key");
    check(world);
}

/// All that an order could have touched.
fn snapshot(world: &World) -> String {
    let Books { goods, skus, orders, lines, deducted, bought, addresses, entries, .. } =
        &world.books;
    let notifications = &world.books.notifications;
    format!(
        "{goods:?}{skus:?}{orders:?}{lines:?}{deducted:?}{bought:?}{addresses:?}{entries:?}{notifications:?}"
    )
}

#[test]
fn an_order_takes_its_goods_at_once() {
    let mut world = World::new(5);
    let new = world.placed(1001, 1, &[(11, 2), (12, 1)]);
    assert_eq!((world.stock(11), world.stock(12)), (3, 4));
    assert_eq!(new.order.amounts.pay, fen(300));
    assert_eq!(new.order.expires_at, START.plus_seconds(EXPIRE_SECONDS));
    assert_eq!(new.lines.iter().map(|line| line.sku.get()).collect::<Vec<_>>(), [11, 12]);
    assert!(
        new.lines[0].id < new.lines[1].id,
        "lines are read back by id, in the order of the cart"
    );
    assert_eq!(world.ledger(), [(11, -2, EntryKind::Order), (12, -1, EntryKind::Order)]);
    assert_eq!(world.messages(), []);
    check(&world);
}

#[test]
fn goods_deducted_with_the_payment_wait_for_it() {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(PAYMENT_SKU, 5)]);
    world.placed(1002, 2, &[(PAYMENT_SKU, 5)]);
    assert_eq!(world.stock(PAYMENT_SKU), 5);
    assert_eq!(world.ledger(), []);
    check(&world);
}

#[test]
fn an_unknown_sku_is_refused() {
    let mut world = World::new(5);
    check_refused(
        &mut world,
        place(1001, 1, &[(11, 1), (99, 1)]),
        PlaceRefusal::UnknownSku(sku_id(99)),
    );
}

#[test]
fn a_sku_of_another_mini_program_is_unknown() {
    let mut world = World::new(5);
    world.change_sku(12, |sku| sku.wxapp = WxappId::parse(20002).unwrap());
    check_refused(
        &mut world,
        place(1001, 1, &[(11, 1), (12, 1)]),
        PlaceRefusal::UnknownSku(sku_id(12)),
    );
}

#[test]
fn an_address_is_the_buyers_own() {
    let mut world = World::new(5);
    let elsewhere = Place { address: AddressId::parse(999).unwrap(), ..place(1001, 1, &[(11, 1)]) };
    check_refused(&mut world, elsewhere, PlaceRefusal::UnknownAddress);
    let anothers = Place { address: address_of(2), ..place(1001, 1, &[(11, 1)]) };
    check_refused(&mut world, anothers, PlaceRefusal::UnknownAddress);
}

#[test]
fn what_is_off_sale_is_refused() {
    let off_sale = PlaceRefusal::OffSale(sku_id(11));
    let mut world = World::new(5);
    world.change_goods(1, |goods| goods.on_sale = false);
    check_refused(&mut world, place(1001, 1, &[(11, 1)]), off_sale);
    let mut world = World::new(5);
    world.change_sku(11, |sku| sku.retired = true);
    check_refused(&mut world, place(1001, 1, &[(11, 1)]), off_sale);
    let mut world = World::new(5);
    world.change_goods(1, |goods| goods.sale_starts_at = Some(START.plus_seconds(1)));
    check_refused(&mut world, place(1001, 1, &[(11, 1)]), off_sale);
    world.wait(1);
    world.placed(1001, 1, &[(11, 1)]);
}

#[test]
fn the_last_piece_is_sold_once() {
    let mut world = World::new(1);
    world.placed(1001, 1, &[(11, 1)]);
    let sold_out = PlaceRefusal::SoldOut { sku: sku_id(11), available: 0 };
    check_refused(&mut world, place(1002, 2, &[(11, 1)]), sold_out);
}

#[test]
fn a_cart_is_taken_whole_or_not_at_all() {
    let mut world = World::new(3);
    let sold_out = PlaceRefusal::SoldOut { sku: sku_id(12), available: 3 };
    check_refused(&mut world, place(1001, 1, &[(11, 1), (12, 4)]), sold_out);
    assert_eq!(world.stock(11), 3);
}

#[test]
fn the_same_sku_on_two_lines_counts_together() {
    let mut world = World::new(3);
    let sold_out = PlaceRefusal::SoldOut { sku: sku_id(11), available: 3 };
    check_refused(&mut world, place(1001, 1, &[(11, 2), (12, 1), (11, 2)]), sold_out);
    let new = world.placed(1002, 1, &[(11, 2), (12, 1), (11, 1)]);
    assert_eq!((new.lines.len(), world.stock(11)), (2, 0));
    check(&world);
}

#[test]
fn an_order_above_the_most_is_refused() {
    let mut world = World::new(5);
    let dear = |max| Place { max: fen(max), ..place(1001, 1, &[(11, 2)]) };
    let refusal = PlaceRefusal::TooExpensive(TooExpensive { max: fen(199) });
    check_refused(&mut world, dear(199), refusal);
    world.change_sku(11, |sku| sku.price = Money::from_fen(i64::MAX));
    let refusal = PlaceRefusal::TooExpensive(TooExpensive { max: fen(200) });
    check_refused(&mut world, dear(200), refusal);
}

#[test]
fn a_price_other_than_the_one_shown_is_refused() {
    let mut world = World::new(5);
    let freight = FreightPolicy { flat: fen(10), free_from: None };
    let expecting =
        |pay| Place { expect_pay: Some(fen(pay)), freight, ..place(1001, 1, &[(11, 1)]) };
    check_refused(&mut world, expecting(100), PlaceRefusal::PriceChanged { pay: fen(110) });
    assert!(matches!(world.fold(expecting(110)), Outcome::Placed(Ok(Placed::New(_)))));
}

#[test]
fn a_limit_counts_what_the_buyer_has_in_this_batch_too() {
    let mut world = World::new(9);
    world.change_goods(1, |goods| goods.limit_per_user = Some(3));
    let refusal = PlaceRefusal::LimitExceeded { goods: goods_id(1), limit: 3 };
    check_refused(&mut world, place(1001, 1, &[(11, 2), (12, 2)]), refusal);
    world.placed(1002, 1, &[(11, 2)]);
    check_refused(&mut world, place(1003, 1, &[(12, 2)]), refusal);
    world.placed(1004, 1, &[(12, 1)]);
    check_refused(&mut world, place(1005, 1, &[(11, 1)]), refusal);
    world.placed(1006, 2, &[(11, 3)]);
    world.fold(begin_closing(1002, CloseReason::Buyer));
    world.placed(1007, 1, &[(11, 2)]);
    check_refused(&mut world, place(1008, 1, &[(11, 1)]), refusal);
}

#[test]
fn the_same_request_twice_is_one_order() {
    let mut world = World::new(1);
    let first = place(1001, 1, &[(11, 1)]);
    let again = Place { order: order_id(1002), order_no: number_of(1002), ..first.clone() };
    assert!(matches!(world.fold(first.clone()), Outcome::Placed(Ok(Placed::New(_)))));
    for repeat in [again, first] {
        match world.fold(repeat) {
            Outcome::Placed(Ok(Placed::Replay(order))) => assert_eq!(order, order_id(1001)),
            other => panic!("not a replay: {other:?}"),
        }
    }
    assert_eq!(world.books.orders.len(), 1);
    check(&world);
}

#[test]
fn a_key_used_for_another_request_is_a_conflict() {
    let mut world = World::new(5);
    let first = place(1001, 1, &[(11, 1)]);
    world.fold(first.clone());
    let claim = KeyClaim { request_hash: "another".into(), ..first.key };
    let other = Place { key: claim, ..place(1002, 1, &[(11, 2)]) };
    check_refused(&mut world, other, PlaceRefusal::KeyConflict);
}

#[test]
fn a_replay_stands_before_every_other_refusal() {
    let mut world = World::new(1);
    let first = place(1001, 1, &[(11, 1)]);
    world.fold(first.clone());
    world.change_goods(1, |goods| goods.on_sale = false);
    let nowhere = Place { address: AddressId::parse(999).unwrap(), ..first };
    assert!(matches!(world.fold(nowhere), Outcome::Placed(Ok(Placed::Replay(_)))));
}

#[test]
fn keys_of_two_buyers_do_not_meet() {
    let mut world = World::new(5);
    let shared = |user| KeyClaim { key: key(user, "same"), request_hash: "hash".into() };
    world.fold(Place { key: shared(1), ..place(1001, 1, &[(11, 1)]) });
    let other = Place { key: shared(2), ..place(1002, 2, &[(11, 1)]) };
    assert!(matches!(world.fold(other), Outcome::Placed(Ok(Placed::New(_)))));
}

#[test]
fn the_key_of_a_refused_member_is_free_for_the_next() {
    let mut world = World::new(2);
    let claim = KeyClaim { key: key(1, "same"), request_hash: "hash".into() };
    let greedy = Place { key: claim.clone(), ..place(1001, 1, &[(11, 3)]) };
    world.refused(greedy);
    let claim = KeyClaim { request_hash: "other".into(), ..claim };
    let modest = Place { key: claim, ..place(1002, 1, &[(11, 2)]) };
    assert!(matches!(world.fold(modest), Outcome::Placed(Ok(Placed::New(_)))));
}

#[test]
fn nothing_to_pay_is_paid_in_the_creating_commit() {
    let mut world = World::new(5);
    world.change_goods(3, |goods| goods.deduct_stock = DeductStock::Payment);
    let new = world.placed(1001, 1, &[(FREE_SKU, 2)]);
    assert!(matches!(&new.order.state, OrderState::Paid(paid) if paid.transaction.is_none()));
    assert_eq!(world.ledger(), [(FREE_SKU, -2, EntryKind::Payment)]);
    assert_eq!(world.messages(), [(1001, Event::OrderPaid)]);
    assert_eq!(world.books.goods[&goods_id(3)].get().sales, 2);
    assert!(world.payments().is_empty());
    check(&world);
    assert_eq!(world.start_refused(2001, 1001), NotPayable::State("paid").into());
}

#[test]
fn only_a_live_unpaid_order_can_be_paid() {
    let mut world = World::new(5);
    assert_eq!(world.start_refused(2001, 1001), StartRefusal::UnknownOrder);
    world.placed(1001, 1, &[(11, 1)]);
    let attempt = world.started(2001, 1001);
    assert_eq!((attempt.state.clone(), attempt.amount), (AttemptState::Requesting, fen(100)));
    assert_eq!(world.start_refused(2002, 1001), StartRefusal::Live(Box::new(attempt)));
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    assert_eq!(world.start_refused(2002, 1001), NotPayable::Closing.into());
    world.closing(close_attempt(1001, 2001)).unwrap();
    assert_eq!(world.start_refused(2002, 1001), NotPayable::State("closed").into());
    world.placed(1002, 1, &[(11, 1)]);
    world.wait(EXPIRE_SECONDS);
    assert_eq!(world.start_refused(2003, 1002), NotPayable::Expired.into());
    check(&world);
}

#[test]
fn a_further_attempt_starts_when_the_former_is_final() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.closing(close_attempt(1001, 1001)).unwrap();
    assert_eq!(world.attempt(1001).state, AttemptState::Closed);
    assert_eq!(world.state(1001), "unpaid", "only the attempt was closed");
    world.wait(EXPIRE_SECONDS - 1);
    let further = world.started(2001, 1001);
    assert_eq!(further.time_expire, world.now.plus_seconds(EXPIRE_AHEAD_SECONDS));
    world.fold(prepay_refused(2001));
    world.started(2002, 1001);
    check(&world);
}
