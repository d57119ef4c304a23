//! What staff do beside parcels and refunds, and the log of it.

use super::invariants::check;
use super::words::*;
use super::world::*;
use crate::domain::address::Address;
use crate::domain::books::{EntryKind, Kept};
use crate::domain::desk::{IncidentCase, MessageCase, Resolution};
use crate::domain::fold::*;
use crate::domain::id::{IncidentId, NotificationId};
use crate::domain::notification::{Event, Facts};
use crate::domain::order::{CloseReason, TransitionError};
use crate::domain::payment::IncidentReason;
use crate::domain::timeline::What;

#[track_caller]
fn refused(world: &mut World, act: Act, expected: DeskRefusal) {
    let (log, timeline) = (world.books.desk.log.len(), world.books.timeline.len());
    assert_eq!(world.acts(act), Err(expected));
    assert_eq!((world.books.desk.log.len(), world.books.timeline.len()), (log, timeline));
    check(world);
}

/// The latest entry of the log: action, before, after, reason.
fn logged(world: &World) -> (&'static str, Facts, Facts, String) {
    let entry = world.books.desk.log.last().unwrap();
    (entry.action, entry.before.clone(), entry.after.clone(), entry.reason.clone())
}

fn fact(name: &str, value: &str) -> Facts {
    Facts::from([(name.to_owned(), value.to_owned())])
}

#[test]
fn a_price_without_an_attempt_changes_at_once() {
    let mut world = World::new(9);
    world.placed(1001, 1, &[(11, 2)]);
    world.acts(reprice(1001, -50)).unwrap();
    let amounts = world.order(1001).amounts;
    assert_eq!((amounts.adjust, amounts.pay), (fen(-50), fen(150)));
    let (action, before, after, reason) = logged(&world);
    assert_eq!((action, &*reason), ("reprice", "老客户"));
    assert_eq!((&*before["pay_fen"], &*after["pay_fen"]), ("200", "150"));
    assert_eq!(world.timeline(1001), [(What::PriceChanged, "staff:7".to_owned())]);
    world.acts(reprice(1001, 30)).unwrap();
    assert_eq!(world.order(1001).amounts.pay, fen(230));
    check(&world);
}

#[test]
fn a_price_waits_until_the_former_attempt_is_closed() {
    let mut world = World::new(9);
    world.open_order(1001, 1, &[(11, 1)]);
    world.acts(reprice(1001, -10)).unwrap();
    assert_eq!((world.order(1001).amounts.pay, world.state(1001)), (fen(100), "unpaid"));
    assert_eq!(world.attempt(1001).state.as_str(), "closing");
    let blocked = StartRefusal::NotPayable(crate::domain::attempt::NotPayable::Repricing);
    assert_eq!(world.start_refused(2001, 1001), blocked);
    refused(&mut world, reprice(1001, -20), DeskRefusal::Repricing);
    let next_at = world.now.plus_seconds(5);
    let postponed = world.closing(PostponeClosing { order: order_id(1001), next_at }).unwrap();
    assert_eq!(postponed.next_try().map(|next| (next.at, next.tries)), Some((next_at, 1)));
    world.closing(close_attempt(1001, 1001)).unwrap();
    assert_eq!(world.order(1001).amounts.pay, fen(90));
    assert_eq!(world.started(2001, 1001).amount, fen(90));
    let what: Vec<What> = world.timeline(1001).into_iter().map(|(what, _)| what).collect();
    assert_eq!(what, [What::PriceChanging, What::PriceChanged]);
    check(&world);
}

#[test]
fn who_pays_the_former_price_in_time_has_bought() {
    let mut world = World::new(9);
    world.open_order(1001, 1, &[(11, 1)]);
    world.acts(reprice(1001, -10)).unwrap();
    assert_eq!(world.settled(settle(1001, "TX1", 100)), Settlement::Settled);
    assert_eq!((world.state(1001), world.order(1001).amounts.pay), ("paid", fen(100)));
    let what: Vec<What> = world.timeline(1001).into_iter().map(|(what, _)| what).collect();
    assert_eq!(what, [What::PriceChanging, What::PriceKept, What::Paid]);
    check(&world);
}

#[test]
fn an_order_that_is_closed_keeps_its_price() {
    let mut world = World::new(9);
    world.open_order(1001, 1, &[(11, 1)]);
    world.acts(reprice(1001, -10)).unwrap();
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    world.closing(close_attempt(1001, 1001)).unwrap();
    assert_eq!((world.state(1001), world.order(1001).amounts.pay), ("closed", fen(100)));
    check(&world);
}

#[test]
fn a_price_is_at_least_a_fen_and_not_too_high() {
    let mut world = World::new(9);
    world.placed(1001, 1, &[(11, 1)]);
    refused(&mut world, reprice(1001, -100), DeskRefusal::PriceTooLow);
    refused(&mut world, reprice(1001, -101), DeskRefusal::PriceTooLow);
    let max = fen(1_000_000);
    refused(&mut world, reprice(1001, 999_901), DeskRefusal::PriceTooHigh { max });
    refused(&mut world, reprice(1001, i64::MAX), DeskRefusal::PriceTooHigh { max });
    refused(&mut world, reprice(1001, 0), DeskRefusal::NothingChanges);
    world.acts(reprice(1001, -99)).unwrap();
    world.wait(EXPIRE_SECONDS);
    refused(&mut world, reprice(1001, -98), DeskRefusal::Expired);
}

#[test]
fn only_an_unpaid_order_changes_its_price() {
    let mut world = World::new(9);
    world.paid_order(1001, 1);
    refused(&mut world, reprice(1001, -1), TransitionError::AlreadyPaid.into());
    world.open_order(1002, 1, &[(12, 1)]);
    world.closing(begin_closing(1002, CloseReason::Buyer)).unwrap();
    refused(&mut world, reprice(1002, -1), TransitionError::AlreadyClosing.into());
}

#[test]
fn staff_cancel_what_is_unpaid() {
    let cancel = |order| Act::Cancel { order: order_id(order), reason: "重复下单".into() };
    let mut world = World::new(9);
    world.placed(1001, 1, &[(11, 2)]);
    world.acts(cancel(1001)).unwrap();
    assert_eq!((world.state(1001), world.stock(11)), ("closed", 9));
    let staff = || "staff:7".to_owned();
    assert_eq!(world.timeline(1001), [(What::Closing, staff()), (What::Closed, staff())]);
    let (action, before, after, reason) = logged(&world);
    assert_eq!(
        (action, before, after),
        ("cancel", fact("state", "unpaid"), fact("state", "closed"))
    );
    assert_eq!(reason, "重复下单");
    refused(&mut world, cancel(1001), TransitionError::AlreadyClosed.into());
    world.paid_order(1002, 1);
    refused(&mut world, cancel(1002), TransitionError::AlreadyPaid.into());
    check(&world);
}

#[test]
fn what_wechat_does_not_confirm_is_released_by_hand() {
    let release = || Act::Release { order: order_id(1001), reason: "微信不回答".into() };
    let mut world = World::new(9);
    world.open_order(1001, 1, &[(11, 1)]);
    refused(&mut world, release(), TransitionError::NotClosing.into());
    world.closing(begin_closing(1001, CloseReason::Expired)).unwrap_err();
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    refused(&mut world, release(), DeskRefusal::NotAskedYet);
    let next_at = world.now.plus_seconds(5);
    world.closing(PostponeClosing { order: order_id(1001), next_at }).unwrap();
    world.acts(release()).unwrap();
    assert_eq!((world.state(1001), world.stock(11)), ("closed", 9));
    assert_eq!(world.attempt(1001).state.as_str(), "closing", "WeChat is still asked");
    let late = world.settled(settle(1001, "TX1", 100));
    assert_eq!(late, Settlement::Surplus(SurplusReason::OrderClosed));
    check(&world);
}

#[test]
fn an_address_changes_until_a_parcel_leaves() {
    let to = |detail: &str| Act::ChangeAddress {
        order: order_id(1001),
        address: Address { detail: detail.into(), ..an_address() },
    };
    let mut world = World::new(9);
    world.placed(1001, 1, &[(11, 1)]);
    world.acts(to("2 号")).unwrap();
    assert_eq!(world.books.addresses[0].2.detail, "2 号");
    world.save_and_reload();
    world.acts(to("3 号")).unwrap();
    let kept = &world.books.desk.addresses[&order_id(1001)];
    assert!(kept.is_changed() && kept.get().detail == "3 号");
    let (_, before, after, _) = logged(&world);
    assert_eq!((&*before["detail"], &*after["detail"]), ("2 号", "3 号"));
    refused(&mut world, to("3 号"), DeskRefusal::NothingChanges);

    let mut world = World::new(9);
    world.paid_order(1001, 2);
    let line = world.books.lines_of(order_id(1001))[0].id.get();
    world.acts(to("2 号")).unwrap();
    world.acts(ship(1001, "SF10001", &[(line, 1)])).unwrap();
    refused(&mut world, to("3 号"), DeskRefusal::ParcelLeft);
    world.acts(ship(1001, "SF10002", &[])).unwrap();
    refused(&mut world, to("3 号"), TransitionError::AlreadyShipped.into());
}

#[test]
fn the_timeline_never_shows_where_somebody_lives() {
    let mut world = World::new(9);
    world.placed(1001, 1, &[(11, 1)]);
    let address = Address { detail: "新街 9 号".into(), ..an_address() };
    world.acts(Act::ChangeAddress { order: order_id(1001), address }).unwrap();
    assert_eq!(world.books.timeline[0].detail, Facts::new());
}

#[test]
fn stock_moves_by_pieces_with_a_reason() {
    let adjust = |delta| Act::AdjustStock { sku: sku_id(11), delta, reason: "盘点".into() };
    let mut world = World::new(3);
    world.acts(adjust(4)).unwrap();
    world.acts(adjust(-7)).unwrap();
    assert_eq!(world.stock(11), 0);
    let entry = world.books.desk.adjustments[1].clone();
    assert_eq!((entry.seq, entry.delta, entry.balance), (3, -7, 0));
    assert_eq!((entry.by, &*entry.reason), (staff(), "盘点"));
    refused(&mut world, adjust(-1), DeskRefusal::NotEnough { stock: 0 });
    for delta in [0, 10_000_001, i64::MIN + 1, i64::MIN] {
        refused(&mut world, adjust(delta), DeskRefusal::BadDelta);
    }
    let unknown = Act::AdjustStock { sku: sku_id(99), delta: 1, reason: "盘点".into() };
    refused(&mut world, unknown, DeskRefusal::Unknown("sku"));
    assert!(world.ledger().iter().all(|(_, _, kind)| *kind != EntryKind::Adjust));
}

#[test]
fn goods_taken_off_sale_are_refused_by_the_same_batch() {
    let mut world = World::new(3);
    let version = world.books.skus[&sku_id(11)].get().version;
    world.acts(Act::SetSale { goods: goods_id(1), on_sale: false }).unwrap();
    assert_eq!(world.books.skus[&sku_id(11)].get().version, version + 1);
    let refusal = world.refused(place(1001, 1, &[(11, 1)]));
    assert_eq!(refusal, crate::domain::admission::PlaceRefusal::OffSale(sku_id(11)));
    let off = Act::SetSale { goods: goods_id(1), on_sale: false };
    refused(&mut world, off, DeskRefusal::NothingChanges);
    world.acts(Act::SetSale { goods: goods_id(1), on_sale: true }).unwrap();
    world.placed(1002, 1, &[(11, 1)]);
}

#[test]
fn an_incident_is_ended_once() {
    let mut world = World::new(3);
    world.placed(1001, 1, &[(11, 1)]);
    let id = IncidentId::parse(5).unwrap();
    let case = IncidentCase {
        id,
        wxapp: wxapp(),
        reason: IncidentReason::UnknownNumber,
        amount_fen: 100,
        resolved: None,
    };
    world.books.desk.incidents.insert(id, Kept::loaded(case));
    let end = |how| Act::ResolveIncident { incident: id, how, reason: "已核对".into() };
    let nobodys = Resolution::Matched(order_id(4711));
    refused(&mut world, end(nobodys), DeskRefusal::Unknown("order"));
    world.acts(end(Resolution::Matched(order_id(1001)))).unwrap();
    assert_eq!(world.timeline(1001).last().unwrap().0, What::IncidentMatched);
    assert_eq!(&*logged(&world).2["order_id"], "1001");
    refused(&mut world, end(Resolution::Dismissed), DeskRefusal::AlreadyResolved);
}

#[test]
fn only_a_parked_message_is_sent_again() {
    let mut world = World::new(3);
    world.placed(1001, 1, &[(11, 1)]);
    let id = NotificationId::parse(5).unwrap();
    let case = MessageCase { id, wxapp: wxapp(), order: order_id(1001), parked: true };
    world.books.desk.messages.insert(id, Kept::loaded(case));
    world.acts(Act::Resend { message: id }).unwrap();
    refused(&mut world, Act::Resend { message: id }, DeskRefusal::NotParked);
}

#[test]
fn a_buyer_is_reminded_once_and_only_while_he_can_pay() {
    let remind = |world: &mut World| {
        matches!(world.fold(Remind { order: order_id(1001) }), Outcome::Reminded(true))
    };
    let mut world = World::new(3);
    assert!(!remind(&mut world), "there is no such order");
    world.open_order(1001, 1, &[(11, 1)]);
    assert!(remind(&mut world));
    world.save_and_reload();
    assert!(!remind(&mut world));
    assert_eq!(world.messages(), [(1001, Event::OrderExpiring)]);
    let mut world = World::new(3);
    world.placed(1001, 1, &[(11, 1)]);
    world.wait(EXPIRE_SECONDS);
    assert!(!remind(&mut world), "too late");
}

#[test]
fn a_note_changes_nothing_but_the_timeline() {
    let mut world = World::new(3);
    world.placed(1001, 1, &[(11, 1)]);
    let before = world.order(1001).clone();
    world.acts(Act::Note { order: order_id(1001), text: "下午三点后送".into() }).unwrap();
    assert_eq!(world.order(1001), &before);
    assert_eq!(world.books.timeline[0].detail, fact("text", "下午三点后送"));
    let unknown = Act::Note { order: order_id(4711), text: "?".into() };
    refused(&mut world, unknown, DeskRefusal::Unknown("order"));
}
