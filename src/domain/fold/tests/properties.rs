//! What holds whatever happens, in whichever order.

use proptest::prelude::*;

use super::invariants::check;
use super::steps::*;
use super::world::*;
use crate::domain::books::{Books, Kept};
use crate::domain::fold::*;
use crate::domain::order::CloseReason;
use crate::domain::payment::PaymentKind;

/// All rows of some books, in words.
pub fn everything(books: &Books) -> Vec<String> {
    let mut all = Vec::new();
    all.extend(books.skus.values().map(|kept| format!("{:?}", kept.get())));
    all.extend(books.goods.values().map(|kept| format!("{:?}", kept.get())));
    all.extend(books.orders.values().map(|kept| format!("{:?}", kept.get())));
    all.extend(books.lines.values().map(|lines| format!("{lines:?}")));
    all.extend(books.attempts.values().map(|kept| format!("{:?}", kept.get())));
    all.extend(books.payments.values().map(|kept| format!("{:?}", kept.get())));
    all.extend(books.refunds.values().map(|kept| format!("{:?}", kept.get())));
    all.extend(books.shipments.values().map(|kept| format!("{:?}", kept.get())));
    all.extend(books.desk.done.iter().map(|done| format!("{done:?}")));
    all.extend(books.keys.iter().map(|bound| format!("{bound:?}")));
    all.extend(books.deducted.iter().map(|deducted| format!("{deducted:?}")));
    all.extend(books.bought.iter().map(|bought| format!("{bought:?}")));
    all
}

/// Lines that the ledger knows nothing of have no entry after a read.
pub fn saved(mut world: World) -> World {
    world.save_and_reload();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_commands_breaks_an_invariant(
        wishes in prop::collection::vec(wish(), 1..60),
        stock in 1_i64..6,
        limit in prop::option::of(1_i64..5),
    ) {
        let mut world = small_shop(stock, limit);
        play(&mut world, wishes, |world| check(world));
    }

    #[test]
    fn a_batch_is_its_members_one_by_one(
        wishes in prop::collection::vec(wish(), 1..60),
        stock in 1_i64..6,
        limit in prop::option::of(1_i64..5),
    ) {
        let mut at_once = small_shop(stock, limit);
        let steps = play(&mut at_once, wishes, |_| {});
        let mut one_by_one = small_shop(stock, limit);
        for step in &steps {
            one_by_one.take(step);
            one_by_one.save_and_reload();
        }
        let (at_once, one_by_one) = (saved(at_once), saved(one_by_one));
        prop_assert_eq!(&at_once.log, &one_by_one.log);
        let (left, right) = (everything(&at_once.books), everything(&one_by_one.books));
        for (left, right) in left.iter().zip(&right) {
            prop_assert_eq!(left, right);
        }
        prop_assert_eq!(left.len(), right.len());
        check(&one_by_one);
    }

    #[test]
    fn words_of_money_in_any_order_end_in_the_same_money(
        order in Just((0..WORDS).collect::<Vec<usize>>()).prop_shuffle(),
        repeats in prop::collection::vec(0..WORDS, 0..12),
    ) {
        let mut world = two_paid_attempts();
        for word in order.iter().chain(&repeats) {
            world.settled(word_of_money(*word));
            check(&world);
        }
        let settled = world.payments().iter().filter(|p| p.kind == PaymentKind::Settled).count();
        prop_assert_eq!(settled, 1);
        prop_assert_eq!(world.state(1001), "paid");
        prop_assert_eq!(world.payments().len(), 3, "three transactions of the right amount");
        prop_assert_eq!(world.refunds().len(), 2);
        prop_assert_eq!(world.stock(PAYMENT_SKU), 3);
        prop_assert_eq!(world.books.incidents.len(), 1);
    }

    #[test]
    fn a_cancel_among_words_of_money_never_keeps_both(
        place in 0_usize..8,
        confirm in 0_usize..8,
        words in prop::collection::vec(0..WORDS, 1..6),
    ) {
        let mut world = two_paid_attempts();
        for (turn, word) in words.iter().enumerate() {
            if turn == place {
                let _refused_when_paid = world.closing(begin_closing(1001, CloseReason::Buyer));
            }
            if turn == confirm {
                let _order = world.closing(close_attempt(1001, 2002));
            }
            world.settled(word_of_money(*word));
            check(&world);
        }
    }

    #[test]
    fn who_pays_first_gets_the_piece(
        order in Just((0..6_i64).collect::<Vec<i64>>()).prop_shuffle(),
        stock in 0_i64..6,
    ) {
        let mut world = small_shop(6, None);
        for buyer in 0..6 {
            world.open_order(1001 + buyer, 1 + buyer % 3, &[(PAYMENT_SKU, 1)]);
        }
        world.initial.insert(sku_id(PAYMENT_SKU), stock);
        world.change_sku(PAYMENT_SKU, |sku| sku.stock = stock);
        for (turn, buyer) in order.iter().enumerate() {
            let settlement = world.settled(settle(1001 + buyer, &format!("TX{buyer}"), 100));
            let in_time = i64::try_from(turn).unwrap() < stock;
            let expected = if in_time { Settlement::Settled } else { Settlement::Surplus(SurplusReason::SoldOut) };
            prop_assert_eq!(settlement, expected);
            check(&world);
        }
        prop_assert_eq!(world.stock(PAYMENT_SKU), 0);
    }
}

const WORDS: usize = 5;

/// One order with a closed and an open attempt, both of which were paid at WeChat.
fn two_paid_attempts() -> World {
    let mut world = World::new(5);
    world.placed(1001, 1, &[(PAYMENT_SKU, 2)]);
    world.started(2001, 1001);
    world.fold(prepaid(2001, START));
    world.closing(close_attempt(1001, 2001)).unwrap();
    world.started(2002, 1001);
    world.fold(prepaid(2002, START));
    world
}

/// Right, late, double, wrong in its amount, of nobody.
fn word_of_money(word: usize) -> Settle {
    match word {
        0 => settle(2002, "TX1", 200),
        1 => settle(2001, "TX2", 200),
        2 => settle(2002, "TX3", 200),
        3 => settle(2002, "TX4", 199),
        _ => settle(4444, "TX5", 200),
    }
}

#[test]
fn a_reloaded_world_is_the_same() {
    let mut world = small_shop(5, Some(4));
    world.open_order(1001, 1, &[(11, 1), (PAYMENT_SKU, 1)]);
    world.settled(settle(1001, "TX1", 200));
    world.open_order(1002, 1, &[(12, 1)]);
    let world = saved(world);
    let once = everything(&world.books);
    assert_eq!(everything(&saved(world).books), once);
    let books = &saved(small_shop(5, None)).books;
    assert!(books.skus.values().all(|kept| !kept.is_changed() && !Kept::is_new(kept)));
}
