//! Tests of the goods actor, with the journal behind it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;

use super::*;
use crate::actors::journal::{Point, Verdict};
use crate::actors::testing::*;
use crate::domain::admission::PlaceRefusal;
use crate::domain::fold::Place;
use crate::domain::fold::tests::world::*;
use crate::domain::goods::Goods;
use crate::domain::money::Money;
use crate::domain::price::FreightPolicy;

fn sold_out(sku: i64, available: i64) -> NotBought {
    NotBought::Refused(PlaceRefusal::SoldOut { sku: sku_id(sku), available })
}

fn quote(items: &[(i64, i64)]) -> Quote {
    Quote { cart: cart(items), freight: FreightPolicy::default(), max: fen(1_000_000) }
}

/// As another process adds stock: the row, its ledger, its version.
async fn add_stock(shop: &Shop, sku: i64, pieces: i64) {
    let db = shop.stranger().await;
    let sql = format!(
        "UPDATE sku SET stock = stock + {pieces}, seq = seq + 1, version = version + 1 WHERE id = {sku}; \
         INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, delta, balance, who, reason, created_at) \
         SELECT 900000 + seq, wxapp_id, id, seq, 'adjust', {pieces}, stock, 'staff', '', 0 FROM sku WHERE id = {sku}"
    );
    db.execute_unprepared(&sql).await.unwrap();
    db.close().await.unwrap();
}

#[actix::test]
async fn two_hundred_buyers_for_fifty_pieces_buy_exactly_fifty() {
    let shop = Shop::start(50, 200).await;
    let bought =
        join_all((1..=200).map(async |buyer| shop.buy("k", buyer, &[(11, 1)]).await)).await;
    let taken = bought.iter().filter(|result| result.is_ok()).count();
    let refused = bought.iter().filter(|result| **result == Err(sold_out(11, 0))).count();
    assert_eq!((taken, refused, shop.stock(11).await), (50, 150, 0));
    assert_eq!(shop.orders().await.len(), 50);
    shop.stop().await;
}

#[actix::test]
async fn carts_of_several_skus_are_taken_whole_and_nothing_is_left_that_somebody_wanted() {
    let shop = Shop::start(60, 200).await;
    let cart_of = |buyer: i64| match buyer % 4 {
        0 => vec![(11, 1)],
        1 => vec![(11, 1), (12, 2)],
        2 => vec![(12, 1), (FREE_SKU, 1)],
        _ => vec![(FREE_SKU, 2), (11, 1), (12, 1)],
    };
    let results =
        join_all((1..=200).map(async |buyer| shop.buy("k", buyer, &cart_of(buyer)).await)).await;
    let mut left = [(11, 60), (12, 60), (FREE_SKU, 60)];
    for (buyer, result) in (1..=200).zip(&results) {
        for (sku, quantity) in cart_of(buyer) {
            let of_sku = left.iter_mut().find(|(id, _)| *id == sku).unwrap();
            of_sku.1 -= if result.is_ok() { quantity } else { 0 };
        }
    }
    for (sku, expected) in left {
        assert_eq!(shop.stock(sku).await, expected, "SKU {sku}");
        assert!(expected >= 0);
    }
    for (buyer, result) in (1..=200).zip(&results) {
        let fits =
            |(sku, quantity): &(i64, i64)| left.iter().any(|(id, n)| id == sku && n >= quantity);
        assert!(result.is_ok() || !cart_of(buyer).iter().all(fits), "buyer {buyer}: {result:?}");
    }
    shop.stop().await;
}

#[actix::test]
async fn a_replaced_goods_actor_never_oversells() {
    let shop = Shop::start(50, 200).await;
    let places = (1..=80).map(async |buyer| shop.place("k", buyer, &[(11, 1)]).await);
    let places: Vec<_> = join_all(places).await;
    let (first, second) = places.split_at(40);
    let held = busy(&shop).await;
    let mut early = Box::pin(join_all(first.iter().map(async |place| send(&shop, place).await)));
    until_queued(&shop, &mut early, 40).await;
    let old = shop.replace_goods();
    let late = Box::pin(join_all(second.iter().map(async |place| send(&shop, place).await)));
    let late = in_one_batch(&shop, held, late, 80).await;
    let early = early.await;
    assert!(early.iter().all(Result::is_ok), "{early:?}");
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (50, 0), "{late:?}");
    let refused = late.iter().filter(|result| **result == Err(sold_out(11, 0))).count();
    assert_eq!(refused, 30, "the fold refused what the new memory had admitted");
    assert!(old.connected());
    shop.stop().await;
}

async fn send(shop: &Shop, place: &Place) -> Result<Bought, NotBought> {
    shop.send(&shop.journal, place.clone()).await
}

#[actix::test]
async fn a_crowd_in_front_of_an_unknown_sku_makes_one_read() {
    let shop = Shop::start(1_000, 1).await;
    let wanted = quote(&[(11, 1), (12, 1)]);
    let quotes = join_all((0..100).map(|_| shop.goods().send(wanted.clone()))).await;
    assert!(quotes.iter().all(|quote| quote.as_ref().unwrap().is_ok()));
    assert_eq!(shop.goods_snapshot().await.reads, 1);
    shop.stop().await;
}

#[actix::test]
async fn stock_that_another_process_adds_is_sold_when_memory_is_old() {
    let shop = Shop::start(1, 3).await;
    shop.buy("k", 1, &[(11, 1)]).await.unwrap();
    add_stock(&shop, 11, 2).await;
    assert_eq!(shop.buy("k", 2, &[(11, 1)]).await, Err(sold_out(11, 0)), "memory is fresh");
    let reads = shop.goods_snapshot().await.reads;
    shop.clock.advance(Duration::from_millis(u64::try_from(REFRESH_MS).unwrap()));
    assert_eq!(shop.buy("k", 2, &[(11, 1)]).await, Err(sold_out(11, 0)), "just fresh enough");
    assert_eq!(shop.goods_snapshot().await.reads, reads);
    shop.clock.advance(Duration::from_millis(1));
    shop.buy("k", 2, &[(11, 2)]).await.unwrap();
    assert_eq!(shop.goods_snapshot().await.reads, reads + 1);
    assert_eq!(shop.buy("k", 3, &[(11, 1)]).await, Err(sold_out(11, 0)));
    shop.stop().await;
}

#[actix::test]
async fn what_does_not_exist_is_unknown_and_known_once_it_does() {
    let shop = Shop::start(1, 1).await;
    let unknown = NotBought::Refused(PlaceRefusal::UnknownSku(sku_id(13)));
    assert_eq!(shop.buy("k", 1, &[(13, 1)]).await, Err(unknown));
    let db = shop.stranger().await;
    crate::store::testing::insert_sku(&db, &crate::domain::goods::tests::a_sku(13, 1, 1)).await;
    db.close().await.unwrap();
    shop.buy("k", 1, &[(13, 1)]).await.unwrap();
    shop.stop().await;
}

#[actix::test]
async fn with_the_database_away_nothing_is_called_sold_out() {
    let shop = Shop::start(1, 3).await;
    shop.buy("k", 1, &[(11, 1)]).await.unwrap();
    shop.readers.clone().close().await.unwrap();
    let place = shop.place("k", 2, &[(11, 1)]).await;
    let fresh = shop.goods().send(admit(&place)).await.unwrap().unwrap_err();
    assert_eq!(fresh, PlaceRefusal::SoldOut { sku: sku_id(11), available: 0 }.into());
    shop.clock.advance(Duration::from_secs(1));
    for items in [&[(11, 1)][..], &[(12, 1)], &[(99, 1)]] {
        assert_eq!(shop.buy("k", 2, items).await, Err(NotBought::NoStock), "{items:?}");
        let quoted = shop.goods().send(quote(items)).await.unwrap();
        assert_eq!(quoted.unwrap_err(), AdmitError::Unavailable);
    }
    shop.journal.drain().await;
}

#[actix::test]
async fn memory_admits_without_the_database() {
    let shop = Shop::start(5, 3).await;
    shop.buy("k", 1, &[(11, 1)]).await.unwrap();
    shop.readers.clone().close().await.unwrap();
    shop.clock.advance(Duration::from_secs(1));
    assert!(matches!(shop.buy("k", 2, &[(11, 1)]).await, Ok(Bought::New(_))));
    shop.journal.drain().await;
}

#[actix::test]
async fn a_hold_that_nobody_carries_on_is_given_back() {
    let shop = Shop::start(5, 1).await;
    let place = shop.place("k", 1, &[(11, 3), (12, 1)]).await;
    let admitted = shop.goods().send(admit(&place)).await.unwrap().unwrap();
    assert_eq!((shop.held(11).await, shop.held(12).await), (3, 1));
    drop(admitted);
    assert_eq!((shop.held(11).await, shop.held(12).await), (0, 0));
    shop.stop().await;
}

#[actix::test]
async fn a_caller_who_leaves_during_the_read_keeps_nothing() {
    let shop = Shop::start(5, 1).await;
    let place = shop.place("k", 1, &[(11, 3)]).await;
    let mut asked = Box::pin(shop.goods().send(admit(&place)));
    begin(&mut asked).await;
    drop(asked);
    // Joins the same read, and is answered after the one that has left.
    shop.goods().send(quote(&[(11, 1)])).await.unwrap().unwrap();
    assert_eq!(shop.goods_snapshot().await.reads, 1);
    shop.stop().await;
}

#[actix::test]
async fn only_lines_deducted_with_the_order_are_held() {
    let shop = Shop::start(5, 3).await;
    let place = shop.place("k", 1, &[(11, 2), (PAYMENT_SKU, 5)]).await;
    let admitted = shop.goods().send(admit(&place)).await.unwrap().unwrap();
    assert_eq!((shop.held(11).await, shop.held(PAYMENT_SKU).await), (2, 0));
    assert_eq!(admitted.amounts.pay, fen(700));
    let refusal =
        shop.goods().send(admit(&shop.place("k", 2, &[(PAYMENT_SKU, 6)]).await)).await.unwrap();
    let sold_out = PlaceRefusal::SoldOut { sku: sku_id(PAYMENT_SKU), available: 5 };
    assert_eq!(refusal.unwrap_err(), sold_out.into());
    drop(admitted);
    shop.stop().await;
}

#[actix::test]
async fn tokens_of_a_predecessor_end_nothing() {
    let shop = Shop::start(5, 1).await;
    let place = shop.place("k", 1, &[(11, 2)]).await;
    let foreign = shop.goods().send(admit(&place)).await.unwrap().unwrap().hold.settle();
    shop.replace_goods();
    let own = shop.goods().send(admit(&place)).await.unwrap().unwrap();
    let done = |holds| BatchDone { holds, skus: vec![], goods: vec![] };
    shop.goods().do_send(done(vec![foreign]));
    shop.goods().do_send(ReleaseHold(foreign));
    assert_eq!(shop.held(11).await, 2);
    let own = own.hold.settle();
    shop.goods().do_send(done(vec![own, own]));
    assert_eq!(shop.held(11).await, 0, "ended once, however often it is told");
    shop.stop().await;
}

#[actix::test]
async fn an_older_row_is_ignored() {
    let shop = Shop::start(5, 1).await;
    shop.buy("k", 1, &[(11, 2)]).await.unwrap();
    let old = crate::domain::goods::tests::a_sku(11, 1, 5);
    shop.goods().do_send(BatchDone { holds: vec![], skus: vec![old], goods: vec![] });
    shop.stop().await;
}

#[actix::test]
async fn a_quote_tells_each_lines_problem_and_holds_nothing() {
    let shop = Shop::start(3, 1).await;
    let held =
        shop.goods().send(admit(&shop.place("k", 1, &[(11, 2)]).await)).await.unwrap().unwrap();
    let quoted = shop.goods().send(quote(&[(11, 2), (12, 3), (99, 1)])).await.unwrap().unwrap();
    let problems: Vec<_> = quoted.lines.iter().map(|line| line.problem).collect();
    let sold_out = PlaceRefusal::SoldOut { sku: sku_id(11), available: 1 };
    assert_eq!(problems, [Some(sold_out), None, Some(PlaceRefusal::UnknownSku(sku_id(99)))]);
    assert_eq!(quoted.amounts.unwrap().pay, fen(500));
    assert_eq!(shop.goods_snapshot().await.holds, 1);
    let dear = Quote { max: Money::from_fen(499), ..quote(&[(11, 2), (12, 3)]) };
    assert_eq!(shop.goods().send(dear).await.unwrap().unwrap().amounts, None);
    drop(held);
    shop.stop().await;
}

#[actix::test]
async fn a_quote_from_old_memory_looks_again() {
    let shop = Shop::start(1, 1).await;
    let available = async || {
        let quoted = shop.goods().send(quote(&[(11, 1)])).await.unwrap().unwrap();
        quoted.lines[0].offer.as_ref().unwrap().available
    };
    assert_eq!(available().await, 1);
    add_stock(&shop, 11, 4).await;
    assert_eq!(available().await, 1);
    shop.clock.advance(Duration::from_millis(501));
    assert_eq!(available().await, 5);
    shop.stop().await;
}

#[actix::test]
async fn holds_are_numbered_apart() {
    let shop = Shop::start(100, 1).await;
    let place = shop.place("k", 1, &[(11, 1)]).await;
    let admitted = join_all((0..50).map(|_| shop.goods().send(admit(&place)))).await;
    let ids: BTreeSet<_> =
        admitted.into_iter().map(|answer| answer.unwrap().unwrap().hold.settle().number).collect();
    assert_eq!((ids.len(), shop.held(11).await), (50, 50));
    shop.journal.drain().await;
}

/// Such a read sees the pieces as sold while they are still held here.
#[actix::test]
async fn a_read_between_a_commit_and_word_of_it_counts_no_piece_twice() {
    let shop = Shop::start(2, 2).await;
    let mut held = shop.probe.hold(Point::AfterCommit);
    let mut first = Box::pin(shop.buy("k", 1, &[(11, 1)]));
    tokio::select! {
        () = held.reached() => {}
        result = &mut first => panic!("{result:?}"),
    }
    assert_eq!(shop.stock(11).await, 1, "one is left, and nobody else wants it");
    shop.clock.advance(Duration::from_millis(501));
    let quoted = shop.goods().send(quote(&[(11, 1)])).await.unwrap().unwrap();
    assert_eq!(quoted.lines[0].problem, None);
    let place = shop.place("k", 2, &[(11, 1)]).await;
    let admitted = shop.goods().send(admit(&place)).await.unwrap().unwrap();
    held.release(Verdict::GoOn);
    first.await.unwrap();
    drop(admitted);
    shop.stop().await;
}

#[actix::test]
async fn stock_added_while_pieces_are_held_is_sold_as_soon_as_they_are_given_back() {
    let shop = Shop::start(1, 2).await;
    let place = shop.place("k", 1, &[(11, 1)]).await;
    let admitted = shop.goods().send(admit(&place)).await.unwrap().unwrap();
    add_stock(&shop, 11, 2).await;
    shop.clock.advance(Duration::from_millis(501));
    let reads = shop.goods_snapshot().await.reads;
    for _ in 0..3 {
        assert_eq!(shop.buy("k", 2, &[(11, 1)]).await, Err(sold_out(11, 0)), "held");
    }
    assert_eq!(shop.goods_snapshot().await.reads, reads + 1, "one look, however many ask");
    drop(admitted);
    shop.buy("k", 2, &[(11, 3)]).await.unwrap();
    assert_eq!(shop.goods_snapshot().await.reads, reads + 2);
    shop.stop().await;
}

#[actix::test]
async fn stock_added_to_a_sku_that_is_always_held_comes_with_the_next_commit() {
    let shop = Shop::start(2, 3).await;
    let place = shop.place("k", 1, &[(11, 1)]).await;
    let always = shop.goods().send(admit(&place)).await.unwrap().unwrap();
    add_stock(&shop, 11, 2).await;
    shop.clock.advance(Duration::from_millis(501));
    assert_eq!(shop.buy("k", 2, &[(11, 3)]).await, Err(sold_out(11, 1)));
    shop.buy("k", 2, &[(11, 1)]).await.unwrap();
    shop.buy("k", 3, &[(11, 2)]).await.unwrap();
    assert_eq!(shop.held(11).await, 1);
    drop(always);
    shop.stop().await;
}

#[actix::test]
async fn older_terms_of_goods_are_ignored() {
    let shop = Shop::start(5, 1).await;
    let on_sale = async || {
        let quoted = shop.goods().send(quote(&[(11, 1)])).await.unwrap().unwrap();
        quoted.lines[0].problem.is_none()
    };
    assert!(on_sale().await);
    let tell = |on_sale, version| {
        let goods = Goods { on_sale, version, ..crate::domain::goods::tests::a_goods(1) };
        shop.goods().do_send(BatchDone { holds: vec![], skus: vec![], goods: vec![goods] });
    };
    for (told, version, expected) in [(false, 2, false), (true, 1, false), (true, 3, true)] {
        tell(told, version);
        assert_eq!(on_sale().await, expected, "version {version}");
    }
    shop.stop().await;
}

/// What the buyer has bought before is not known here; more than the limit at once is.
#[actix::test]
async fn a_cart_beyond_the_limit_takes_no_hold() {
    let mut world = World::new(9);
    world.change_goods(1, |goods| goods.limit_per_user = Some(3));
    let shop = Shop::start_with(world, 1, QUEUE_MAX).await;
    let limit = PlaceRefusal::LimitExceeded { goods: goods_id(1), limit: 3 };
    let place = shop.place("k", 1, &[(11, 2), (FREE_SKU, 5), (12, 2)]).await;
    let refused = shop.goods().send(admit(&place)).await.unwrap().unwrap_err();
    assert_eq!(refused, limit.into());
    assert_eq!(shop.goods_snapshot().await.holds, 0);
    shop.buy("k", 1, &[(11, 2), (12, 1)]).await.unwrap();
    assert_eq!(shop.buy("k2", 1, &[(11, 1)]).await, Err(NotBought::Refused(limit)));
    shop.stop().await;
}
