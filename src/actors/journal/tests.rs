//! Tests of the journal: what callers hear, what is written, and when holds end.
#![allow(clippy::unwrap_used)]

use futures_util::future::join_all;
use sea_orm::{DbBackend, EntityTrait as _, QueryOrder as _, Statement};
use tokio::sync::oneshot;

use super::queue::{Batch, Queue};
use super::*;
use crate::actors::testing::*;
use crate::domain::admission::PlaceRefusal;
use crate::domain::fold::tests::world::*;
use crate::domain::fold::{Command, Outcome, Place, Placed, Settlement, SurplusReason};
use crate::domain::id::WxappId;
use crate::domain::order::CloseReason;
use crate::store::Write;

fn sql(text: &str) -> Write {
    Write::one(Statement::from_string(DbBackend::Sqlite, text))
}

fn harmless() -> Write {
    sql("UPDATE goods SET sort = sort")
}

#[actix::test]
async fn an_entry_is_written_although_its_caller_gave_up() {
    let shop = Shop::start(5, 1).await;
    let held = busy(&shop).await;
    let mut buying = Box::pin(shop.buy("k", 1, &[(11, 2)]));
    until_queued(&shop, &mut buying, 1).await;
    assert_eq!(shop.held(11).await, 2);
    drop(buying);
    held.release(Verdict::GoOn);
    let order = match shop.buy("k", 1, &[(11, 2)]).await {
        Ok(Bought::Replay(order)) => order,
        other => panic!("the order was lost: {other:?}"),
    };
    assert_eq!(shop.orders().await[0].id, order.get());
    assert_eq!(shop.stock(11).await, 3);
    shop.stop().await;
}

#[actix::test]
async fn a_batch_that_the_store_loses_leaves_nothing() {
    let shop = Shop::start(5, 20).await;
    let held = busy(&shop).await;
    shop.probe.say(Point::BeforeCommit, Verdict::Fail);
    let all = join_all((1..=5).map(|buyer| Box::pin(shop.buy("k", buyer, &[(11, 1)]))));
    let results = in_one_batch(&shop, held, Box::pin(all), 5).await;
    let unavailable = Err(NotBought::Journal(JournalError::Unavailable));
    assert!(results.iter().all(|result| *result == unavailable), "{results:?}");
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (0, 5));
    shop.check().await;
    assert_eq!(shop.journal.snapshot().await.unwrap().failed_batches, 1);
    let again = join_all((1..=6).map(async |buyer| shop.buy("k", buyer, &[(11, 1)]).await)).await;
    assert_eq!(again.iter().filter(|result| result.is_ok()).count(), 5);
    shop.stop().await;
}

#[actix::test]
async fn a_late_answer_is_unavailable_and_the_key_brings_the_order() {
    let shop = Shop::start(1, 2).await;
    let mut held = shop.probe.hold(Point::BeforeCommit);
    let impatient = shop.impatient();
    let place = shop.place("k", 1, &[(11, 1)]).await;
    let (late, ()) = tokio::join!(shop.send(&impatient, place.clone()), held.reached());
    assert_eq!(late, Err(NotBought::Journal(JournalError::Unavailable)));
    assert_eq!(shop.held(11).await, 1, "its fate is not known: nobody else gets the piece");
    held.release(Verdict::GoOn);
    let again = Place { order: order_id(999), order_no: number_of(999), ..place.clone() };
    let replayed = shop.submit(again).await.unwrap();
    assert!(matches!(replayed, Outcome::Placed(Ok(Placed::Replay(order))) if order == place.order));
    shop.stop().await;
}

#[actix::test]
async fn a_lost_answer_of_a_commit_is_found_out() {
    let shop = Shop::start(5, 1).await;
    shop.probe.say(Point::AfterCommit, Verdict::Fail);
    assert!(matches!(shop.buy("k", 1, &[(11, 1)]).await, Ok(Bought::New(_))));
    let snapshot = shop.journal.snapshot().await.unwrap();
    assert_eq!((snapshot.resolved, snapshot.failed_batches, shop.stock(11).await), (1, 0, 4));
    shop.stop().await;
}

#[actix::test]
async fn a_commit_that_did_not_happen_is_found_out() {
    let shop = Shop::start(5, 2).await;
    shop.probe.say(Point::BeforeCommit, Verdict::Vanish);
    let lost = shop.buy("k", 1, &[(11, 1)]).await;
    assert_eq!(lost, Err(NotBought::Journal(JournalError::Unavailable)));
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (0, 5));
    shop.check().await;
    assert!(matches!(shop.buy("k", 1, &[(11, 1)]).await, Ok(Bought::New(_))), "the key is free");
    shop.stop().await;
}

#[actix::test]
async fn our_own_fence_is_not_the_batchs_marker() {
    let shop = Shop::start(5, 2).await;
    shop.probe.say(Point::BeforeCommit, Verdict::Vanish);
    shop.probe.say(Point::AfterFence, Verdict::Fail);
    let lost = shop.buy("k", 1, &[(11, 1)]).await;
    assert_eq!(lost, Err(NotBought::Journal(JournalError::Unavailable)));
    assert_eq!(shop.orders().await.len(), 0);
    shop.stop().await;
}

#[actix::test]
async fn while_the_fate_is_unknown_holds_stay_and_nothing_else_is_written() {
    let shop = Shop::start(1, 2).await;
    shop.probe.say(Point::BeforeCommit, Verdict::Vanish);
    let mut held = shop.probe.hold(Point::AfterFence);
    let mut buying = Box::pin(shop.buy("k", 1, &[(11, 1)]));
    tokio::select! {
        () = held.reached() => {}
        result = &mut buying => panic!("{result:?}"),
    }
    assert_eq!(shop.held(11).await, 1);
    let sold_out = PlaceRefusal::SoldOut { sku: sku_id(11), available: 0 };
    assert_eq!(shop.buy("k", 2, &[(11, 1)]).await, Err(NotBought::Refused(sold_out)));
    let mut write = Box::pin(shop.journal.write(harmless()));
    begin(&mut write).await;
    held.release(Verdict::GoOn);
    assert_eq!(buying.await, Err(NotBought::Journal(JournalError::Unavailable)));
    write.await.unwrap();
    assert!(shop.buy("k", 2, &[(11, 1)]).await.is_ok());
    shop.stop().await;
}

#[actix::test]
async fn one_member_that_cannot_be_written_fails_alone() {
    let shop = Shop::start(50, 20).await;
    let first = shop.place("k", 1, &[(11, 1)]).await;
    let number = first.order_no.clone();
    assert!(shop.send(&shop.journal, first).await.is_ok());
    let mut places =
        join_all((2..=10).map(async |buyer| shop.place("k", buyer, &[(11, 1)]).await)).await;
    places[4].order_no = number;
    let sends = places.iter().map(|place| shop.send(&shop.journal, place.clone()));
    let bad = shop.journal.write(sql("INSERT INTO sku SELECT * FROM sku"));
    let null = shop.journal.write(sql("UPDATE goods SET name = NULL"));
    let good = shop.journal.write(sql("UPDATE goods SET sort = 7"));
    let all = Box::pin(async { tokio::join!(join_all(sends), bad, null, good) });
    let (results, bad, null, good) = in_one_batch(&shop, busy(&shop).await, all, 12).await;
    let refused = NotBought::Journal(JournalError::Refused);
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), index != 4, "member {index}: {result:?}");
    }
    assert_eq!(results[4], Err(refused));
    let error = Err(JournalError::Refused);
    assert_eq!((bad, null, good), (error, error, Ok(())));
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (9, 41));
    shop.stop().await;
}

#[actix::test]
async fn two_requests_with_one_key_in_one_batch_are_one_order() {
    let shop = Shop::start(5, 1).await;
    let all = Box::pin(async {
        tokio::join!(shop.buy("same", 1, &[(11, 1)]), shop.buy("same", 1, &[(11, 1)]))
    });
    let (first, second) = in_one_batch(&shop, busy(&shop).await, all, 2).await;
    let ((Ok(Bought::New(order)), other) | (other, Ok(Bought::New(order)))) = (first, second)
    else {
        panic!("{first:?} {second:?}");
    };
    assert_eq!(other, Ok(Bought::Replay(order)));
    assert_eq!(shop.stock(11).await, 4);
    shop.stop().await;
}

/// An order whose attempt may be paid.
async fn open_order(shop: &Shop) -> i64 {
    let Ok(Bought::New(order)) = shop.buy("k", 1, &[(11, 1)]).await else { panic!("no order") };
    let id = order.get();
    shop.submit(start(id, id)).await.unwrap();
    shop.submit(prepaid(id, START)).await.unwrap();
    id
}

#[actix::test]
async fn cancel_and_pay_in_one_batch_keep_the_money_and_the_goods_together() {
    for cancel_first in [true, false] {
        let shop = Shop::start(5, 1).await;
        let order = open_order(&shop).await;
        let cancel = shop.submit(begin_closing(order, CloseReason::Buyer));
        let pay = shop.submit(settle(order, "TX1", 100));
        let (cancelled, paid) = if cancel_first {
            in_one_batch(&shop, busy(&shop).await, Box::pin(async { tokio::join!(cancel, pay) }), 2)
                .await
        } else {
            let all = Box::pin(async { tokio::join!(pay, cancel) });
            let (paid, cancelled) = in_one_batch(&shop, busy(&shop).await, all, 2).await;
            (cancelled, paid)
        };
        assert!(matches!(paid.unwrap(), Outcome::Settled(Settlement::Settled)));
        let Outcome::Closing(cancelled) = cancelled.unwrap() else { panic!("not a closing") };
        assert_eq!(cancelled.is_ok(), cancel_first, "the second sees the first");
        assert_eq!((shop.orders().await[0].state.as_str(), shop.stock(11).await), ("paid", 4));
        shop.stop().await;
    }
}

#[actix::test]
async fn one_notification_five_times_in_one_batch_counts_once() {
    let shop = Shop::start(5, 1).await;
    let order = open_order(&shop).await;
    let all = join_all((0..5).map(|_| shop.submit(settle(order, "TX1", 100))).map(Box::pin));
    let outcomes = in_one_batch(&shop, busy(&shop).await, Box::pin(all), 5).await;
    let settled = |outcome: &&Result<Outcome, _>| {
        matches!(outcome, Ok(Outcome::Settled(Settlement::Settled)))
    };
    assert_eq!(outcomes.iter().filter(settled).count(), 1);
    let late = shop.submit(settle(order, "TX2", 100)).await.unwrap();
    let surplus = Settlement::Surplus(SurplusReason::AlreadyPaid);
    assert!(matches!(late, Outcome::Settled(settlement) if settlement == surplus));
    shop.stop().await;
}

#[actix::test]
async fn a_drain_writes_all_that_is_queued() {
    let shop = Shop::start(50, 30).await;
    let held = busy(&shop).await;
    let mut all =
        Box::pin(join_all((1..=30).map(|buyer| Box::pin(shop.buy("k", buyer, &[(11, 1)])))));
    until_queued(&shop, &mut all, 30).await;
    let mut drained = Box::pin(shop.journal.drain());
    begin(&mut drained).await;
    let too_late = shop.submit(begin_closing(1, CloseReason::Buyer)).await;
    assert_eq!(too_late.unwrap_err(), JournalError::Closing);
    held.release(Verdict::GoOn);
    drained.await;
    let results = all.await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (30, 20));
    assert_eq!(shop.journal.write(harmless()).await, Err(JournalError::Closing));
    shop.journal.drain().await;
    shop.stop().await;
}

#[actix::test]
async fn a_writer_that_panics_is_fatal_and_never_silent() {
    let mut shop = Shop::start(5, 5).await;
    let held = busy(&shop).await;
    shop.probe.panic(Point::BeforeCommit);
    let all = join_all((1..=3).map(|buyer| Box::pin(shop.buy("k", buyer, &[(11, 1)]))));
    let results = in_one_batch(&shop, held, Box::pin(all), 3).await;
    let unavailable = Err(NotBought::Journal(JournalError::Unavailable));
    assert!(results.iter().all(|result| *result == unavailable), "{results:?}");
    shop.alive.wait_for(|alive| !alive).await.unwrap();
    assert_eq!(shop.journal.write(harmless()).await, Err(JournalError::Closing));
    assert_eq!(shop.orders().await.len(), 0);
    shop.stop().await;
}

#[actix::test]
async fn a_full_queue_is_busy_and_keeps_no_hold() {
    let shop = Shop::start_with(World::new(50), 10, 4).await;
    let held = busy(&shop).await;
    let mut all =
        Box::pin(join_all((1..=10).map(|buyer| Box::pin(shop.buy("k", buyer, &[(11, 1)])))));
    while shop.goods_snapshot().await.admitted < 10 || shop.held(11).await > 4 {
        begin(&mut all).await;
    }
    held.release(Verdict::GoOn);
    let results = all.await;
    let busy = Err(NotBought::Journal(JournalError::Busy));
    assert_eq!(results.iter().filter(|result| **result == busy).count(), 6);
    assert_eq!(shop.orders().await.len(), 4);
    shop.stop().await;
}

#[actix::test]
async fn ids_never_run_dry_without_a_commit() {
    let shop = Shop::start(5, 1).await;
    drop(shop.ids.draw_up_to(usize::MAX));
    let drawn = shop.ids.draw(1_000).await.unwrap();
    assert_eq!(drawn.len(), 1_000);
    shop.probe.say(Point::BeforeCommit, Verdict::Fail);
    drop(shop.ids.draw_up_to(usize::MAX));
    shop.ids.draw_one().await.unwrap();
    shop.stop().await;
}

#[actix::test]
async fn a_lost_batch_gives_its_ids_back() {
    let shop = Shop::start(5, 1).await;
    let place = shop.place("k", 1, &[(11, 1), (12, 1)]).await;
    let before = shop.ids.left();
    shop.probe.say(Point::BeforeCommit, Verdict::Fail);
    assert!(shop.send(&shop.journal, place.clone()).await.is_err());
    assert_eq!(shop.ids.left(), before);
    assert!(shop.send(&shop.journal, place).await.is_ok());
    let lines = entity::order_goods::Entity::find().order_by_asc(entity::order_goods::Column::Id);
    let lines = lines.all(shop.readers.db()).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.sku_id).collect::<Vec<_>>(), [11, 12]);
    shop.stop().await;
}

// The queue by itself.

fn entry(wxapp: i64, command: impl Into<Command>) -> Submit {
    let (reply, _) = oneshot::channel();
    let wxapp = WxappId::parse(wxapp).unwrap();
    Submit { wxapp, command: command.into(), hold: None, claim: None, locked_since: None, reply }
}

fn order_of(wxapp: i64) -> Submit {
    entry(wxapp, place(1001, 1, &[(11, 1)]))
}

fn urgent() -> Submit {
    entry(1, settle(1001, "TX1", 100))
}

fn queue(entries: impl IntoIterator<Item = Submit>) -> Queue {
    let mut queue = Queue::default();
    for entry in entries {
        queue.push(entry, 1_000);
    }
    queue
}

fn take(queue: &mut Queue, max: usize) -> Batch {
    let mut batch = Batch::default();
    queue.fill(&mut batch, max);
    batch
}

/// How many of each mini-program a batch takes.
fn shares(queue: &mut Queue, max: usize) -> (usize, usize) {
    let batch = take(queue, max);
    let of = |wxapp| batch.entries.iter().filter(|entry| entry.wxapp.get() == wxapp).count();
    (of(1), of(2))
}

#[test]
fn a_mini_program_takes_half_while_another_waits() {
    let mut queue = queue((0..100).map(|_| order_of(1)).chain((0..15).map(|_| order_of(2))));
    assert_eq!(shares(&mut queue, 20), (10, 10));
    assert_eq!(shares(&mut queue, 20), (10, 5));
    assert_eq!(shares(&mut queue, 20), (20, 0));
    assert_eq!(queue.len(), 60);
}

#[test]
fn urgent_entries_go_first_and_leave_their_room_to_orders() {
    let mut queue = queue((0..30).map(|_| order_of(1)).chain((0..12).map(|_| urgent())));
    let batch = take(&mut queue, 20);
    let first =
        batch.entries.iter().take_while(|e| matches!(e.command, Command::Settle(_))).count();
    assert_eq!((first, batch.entries.len()), (12, 20));
    assert_eq!(queue.len(), 22);
}

#[test]
fn orders_keep_their_turn() {
    let numbered = |wxapp, id| entry(wxapp, place(id, 1, &[(11, 1)]));
    let mut queue =
        queue((1..=6).map(|id| numbered(1, id)).chain([numbered(2, 7), numbered(2, 8)]));
    let mut turns = Vec::new();
    while queue.len() > 0 {
        for entry in take(&mut queue, 4).entries {
            if let Command::Place(place) = entry.command {
                turns.push(place.order.get());
            }
        }
    }
    assert_eq!(turns, [1, 2, 7, 8, 3, 4, 5, 6]);
}

#[test]
fn lines_of_a_batch_are_bounded() {
    let items: Vec<(i64, i64)> = (1..=100).map(|sku| (sku, 1)).collect();
    let mut queue = queue((0..50).map(|_| entry(1, place(1001, 1, &items))));
    assert_eq!(take(&mut queue, 1_000).entries.len(), 20);
    assert_eq!(queue.len(), 30);
}

#[test]
fn a_full_queue_refuses_its_own_kind_only() {
    let mut queue = Queue::default();
    for _ in 0..5 {
        queue.push(order_of(1), 3);
    }
    queue.push(urgent(), 3);
    assert_eq!(queue.len(), 4);
}
