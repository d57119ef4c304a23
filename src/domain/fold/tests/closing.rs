//! Closing orders and giving stock back.

use super::invariants::check;
use super::world::*;
use crate::domain::attempt::AttemptState;
use crate::domain::books::EntryKind;
use crate::domain::fold::*;
use crate::domain::goods::DeductStock;
use crate::domain::order::{CloseReason, OrderState, TransitionError};

#[test]
fn an_order_that_nobody_tried_to_pay_closes_at_once() {
    for (reason, kind) in [
        (CloseReason::Buyer, EntryKind::Cancel),
        (CloseReason::Staff, EntryKind::Cancel),
        (CloseReason::Expired, EntryKind::Expire),
    ] {
        let mut world = World::new(5);
        world.placed(1001, 1, &[(11, 2)]);
        world.wait(EXPIRE_SECONDS);
        let order = world.closing(begin_closing(1001, reason)).unwrap();
        assert_eq!(order.state, OrderState::Closed { at: world.now, reason });
        assert_eq!(world.ledger(), [(11, -2, EntryKind::Order), (11, 2, kind)]);
        assert_eq!(world.stock(11), 5);
        check(&world);
    }
}

#[test]
fn stock_stays_held_until_wechat_confirms() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 2)]);
    let order = world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    assert!(
        matches!(order.state, OrderState::Unpaid(Some(closing)) if closing.reason == CloseReason::Buyer)
    );
    assert_eq!((world.stock(11), world.attempt(1001).state.clone()), (3, AttemptState::Closing));
    let next_at = world.now.plus_seconds(30);
    let later = PostponeClosing { order: order_id(1001), next_at };
    let order = world.closing(later).unwrap();
    assert!(
        matches!(order.state, OrderState::Unpaid(Some(c)) if c.next_at == next_at && c.tries == 1)
    );
    let order = world.closing(close_attempt(1001, 1001)).unwrap();
    assert_eq!(order.state.as_str(), "closed");
    assert_eq!((world.stock(11), world.attempt(1001).state.clone()), (5, AttemptState::Closed));
    check(&world);
}

#[test]
fn an_unknown_number_is_not_closed_once_it_was_opened() {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(11, 2)]);
    world.started(2001, 1001);
    let heard = CloseAttempt { unheard_of: true, ..close_attempt(1001, 2001) };
    world.fold(prepaid(2001, world.now));
    world.closing(heard.clone()).unwrap();
    assert_eq!(world.attempt(2001).state, AttemptState::Open);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    world.closing(heard.clone()).unwrap();
    assert_eq!((world.state(1001), world.stock(11)), ("closing", 3));
    world.closing(close_attempt(1001, 2001)).unwrap();
    assert_eq!((world.state(1001), world.stock(11)), ("closed", 5));
    world.placed(1002, 1, &[(11, 1)]);
    world.started(2002, 1002);
    let heard = CloseAttempt { unheard_of: true, ..close_attempt(1002, 2002) };
    world.closing(heard).unwrap();
    assert_eq!(world.attempt(2002).state, AttemptState::Closed, "nobody has opened this one");
    check(&world);
}

#[test]
fn closing_is_refused_by_name() {
    let transition = ClosingRefusal::Transition;
    let mut world = World::new(5);
    let begin = |reason| begin_closing(1001, reason);
    assert_eq!(world.closing(begin(CloseReason::Buyer)), Err(ClosingRefusal::UnknownOrder));
    assert_eq!(world.closing(close_attempt(1001, 1001)), Err(ClosingRefusal::UnknownOrder));
    world.open_order(1001, 1, &[(11, 1)]);
    let anothers = BeginClosing { user: Some(user_id(2)), ..begin(CloseReason::Buyer) };
    assert_eq!(world.closing(anothers), Err(ClosingRefusal::UnknownOrder));
    let later = PostponeClosing { order: order_id(1001), next_at: START };
    assert_eq!(world.closing(later.clone()), Err(transition(TransitionError::NotClosing)));
    world.wait(EXPIRE_SECONDS - 1);
    let early = world.closing(begin(CloseReason::Expired));
    assert_eq!(early, Err(transition(TransitionError::NotClosing)));
    let own = BeginClosing { user: Some(user_id(1)), ..begin(CloseReason::Buyer) };
    world.closing(own).unwrap();
    let twice = world.closing(begin(CloseReason::Buyer));
    assert_eq!(twice, Err(transition(TransitionError::AlreadyClosing)));
    world.closing(close_attempt(1001, 1001)).unwrap();
    let closed = world.closing(begin(CloseReason::Buyer));
    assert_eq!(closed, Err(transition(TransitionError::AlreadyClosed)));
    assert_eq!(world.closing(later), Err(transition(TransitionError::AlreadyClosed)));
    world.open_order(1002, 1, &[(11, 1)]);
    world.settled(settle(1002, "TX1", 100));
    let paid = world.closing(begin_closing(1002, CloseReason::Buyer));
    assert_eq!(paid, Err(transition(TransitionError::AlreadyPaid)));
    check(&world);
}

#[test]
fn a_refunded_order_is_not_closed() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    let refunds = vec![found_refund("x1", 100, true)];
    world.settled(Settle { refunds, ..settle(1001, "TX1", 100) });
    let refused = world.closing(begin_closing(1001, CloseReason::Staff));
    assert_eq!(refused, Err(ClosingRefusal::Transition(TransitionError::AlreadyRefunded)));
}

#[test]
fn unifiedorder_refused_while_closing_closes_the_order() {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(11, 2), (12, 3)]);
    world.started(2001, 1001);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    assert_eq!(world.state(1001), "closing");
    world.fold(prepay_refused(2001));
    assert_eq!(world.state(1001), "closed");
    assert_eq!((world.stock(11), world.stock(12)), (5, 5));
    check(&world);
}

/// As many ids are drawn for a command as it may need, whichever command it is.
#[test]
fn ids_are_drawn_for_all_that_a_command_may_do() {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(11, 2), (12, 3)]);
    world.started(2001, 1001);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    let refused = Command::from(prepay_refused(2001));
    world.books.ids =
        (9_000_000..).take(ids_needed(&world.books, std::slice::from_ref(&refused))).collect();
    fold(&mut world.books, refused, START);
    assert_eq!((world.state(1001), world.stock(11), world.stock(12)), ("closed", 5, 5));
    assert_eq!(world.books.missing(), None);
}

/// Somebody who sends ids that he has made up must not use up those of the process.
#[test]
fn what_is_not_there_needs_no_ids() {
    let mut world = World::new(5);
    let need = |world: &World, commands: &[Command]| ids_needed(&world.books, commands);
    let close = Command::from(begin_closing(1001, CloseReason::Buyer));
    let refused = Command::from(prepay_refused(2001));
    assert_eq!(need(&world, &[close.clone(), refused.clone()]), 0);
    let here = [place(1001, 1, &[(11, 2), (12, 3)]).into(), close.clone()];
    assert_eq!(need(&world, &here), 6 + 6, "it comes with the same batch");
    world.placed(1001, 1, &[(11, 2), (12, 3)]);
    assert_eq!(need(&world, std::slice::from_ref(&close)), 6);
    assert_eq!(need(&world, &[start(2001, 1001).into(), refused.clone()]), 6);
    world.started(2001, 1001);
    assert_eq!(need(&world, std::slice::from_ref(&refused)), 6);
    assert_eq!(need(&world, &[prepaid(2001, START).into()]), 0, "an attempt that lives on");
    world.books.lines.clear();
    assert_eq!(need(&world, &[refused]), LINES_MAX + 4, "lines that were not read");
}

#[test]
fn books_that_lack_an_id_say_so() {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(11, 2)]);
    world.books.ids.clear();
    fold(&mut world.books, begin_closing(1001, CloseReason::Buyer).into(), START);
    assert!(world.books.missing().is_some(), "stock that did not move must not be committed");
}

#[test]
fn an_answer_in_the_middle_of_closing_keeps_the_attempt_alive() {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(11, 2)]);
    world.started(2001, 1001);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    world.fold(prepaid(2001, START));
    assert_eq!(
        (world.state(1001), world.attempt(2001).state.clone()),
        ("closing", AttemptState::Closing)
    );
    world.fold(prepay_refused(2001));
    assert_eq!(
        world.state(1001),
        "closing",
        "WeChat knows this number: a refusal says nothing of its money"
    );
    check(&world);
}

#[test]
fn an_attempt_is_closed_only_for_its_own_order() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.open_order(1002, 1, &[(11, 1)]);
    world.closing(close_attempt(1001, 1002)).unwrap();
    assert_eq!(world.attempt(1002).state, AttemptState::Open);
}

#[test]
fn what_is_returned_is_what_the_ledger_shows() {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(11, 2), (PAYMENT_SKU, 1)]);
    world.change_goods(1, |goods| goods.deduct_stock = DeductStock::Payment);
    world.change_goods(2, |goods| goods.deduct_stock = DeductStock::Order);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    assert_eq!((world.stock(11), world.stock(PAYMENT_SKU)), (5, 5));
    assert_eq!(world.ledger(), [(11, -2, EntryKind::Order), (11, 2, EntryKind::Cancel)]);
    check(&world);
}

#[test]
fn a_cancel_before_the_notification_and_after() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    assert_eq!(world.settled(settle(1001, "TX1", 100)), Settlement::Settled);
    assert_eq!((world.state(1001), world.stock(11)), ("paid", 4));
    check(&world);

    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    assert_eq!(world.settled(settle(1001, "TX1", 100)), Settlement::Settled);
    let refused = world.closing(begin_closing(1001, CloseReason::Buyer));
    assert_eq!(refused, Err(ClosingRefusal::Transition(TransitionError::AlreadyPaid)));
    assert_eq!((world.state(1001), world.stock(11)), ("paid", 4));
    check(&world);
}

/// Nothing may be left that only a closer with something to close would come back to.
#[test]
fn a_closing_order_whose_last_attempt_was_paid_wrongly_closes() {
    let mut world = World::new(5);
    world.open_order(1001, 1, &[(11, 1)]);
    world.reprice(1001, 50);
    world.closing(begin_closing(1001, CloseReason::Buyer)).unwrap();
    let settlement = world.settled(settle(1001, "TX1", 100));
    assert_eq!(settlement, Settlement::Surplus(SurplusReason::OtherAmount));
    assert_eq!((world.state(1001), world.stock(11)), ("closed", 5));
    check(&world);
}
