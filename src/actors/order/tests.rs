//! Tests of the order actor: one order for one request, whatever becomes of its answer.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::join_all;
use tracing::Span;

use super::*;
use crate::actors::journal::{JournalHandle, Point, Verdict};
use crate::actors::testing::*;
use crate::domain::admission::PlaceRefusal;
use crate::domain::fold::tests::world::*;
use crate::domain::id::IdempotencyKey;
use crate::domain::price::FreightPolicy;

fn orders(shop: &Shop, journal: JournalHandle) -> Addr<OrderActor> {
    let keys = Arc::new(KeySet::default());
    keys.set_complete();
    orders_with(shop, journal, keys)
}

fn orders_with(shop: &Shop, journal: JournalHandle, keys: Arc<KeySet>) -> Addr<OrderActor> {
    OrderActor::new(OrderDeps {
        wxapp: wxapp(),
        goods: shop.goods(),
        journal,
        readers: shop.readers.clone(),
        ids: shop.ids.clone(),
        keys,
        clock: shop.clock.clone(),
        expire_seconds: EXPIRE_SECONDS,
        max: fen(1_000_000),
        mailbox: QUEUE_MAX,
        placer: None,
    })
    .start()
}

pub(super) fn buying(key: &str, buyer: i64, items: &[(i64, i64)]) -> PlaceOrder {
    let cart = cart(items);
    PlaceOrder {
        user: user_id(buyer),
        key: IdempotencyKey::parse(key).unwrap(),
        items: cart.items().to_vec(),
        cart,
        address: address_of(buyer),
        remark: String::new(),
        expect_pay: None,
        freight: FreightPolicy::default(),
        span: Span::none(),
        arrival: None,
    }
}

#[actix::test]
async fn a_crowd_with_one_key_is_one_order() {
    let shop = Shop::start(5, 1).await;
    let orders = orders(&shop, shop.journal.clone());
    let answers = join_all((0..50).map(|_| orders.send(buying("k", 1, &[(11, 1)])))).await;
    let placed = answers[0].as_ref().unwrap().as_ref().unwrap().order.id;
    for answer in &answers {
        assert_eq!(answer.as_ref().unwrap().as_ref().unwrap().order.id, placed);
    }
    assert_eq!(shop.stock(11).await, 4);
    shop.stop().await;
}

#[actix::test]
async fn the_buyer_of_the_last_piece_gets_his_order_again() {
    let shop = Shop::start(1, 2).await;
    let orders = orders(&shop, shop.journal.clone());
    let first = orders.send(buying("k", 1, &[(11, 1)])).await.unwrap().unwrap();
    let again = orders.send(buying("k", 1, &[(11, 1)])).await.unwrap().unwrap();
    assert_eq!((again.order.id, again.replayed), (first.order.id, true));
    let other = orders.send(buying("k", 1, &[(11, 2)])).await.unwrap().unwrap_err();
    assert_eq!(other, PlaceRefusal::KeyConflict.into());
    let sold_out = PlaceRefusal::SoldOut { sku: sku_id(11), available: 0 };
    let late = orders.send(buying("k", 2, &[(11, 1)])).await.unwrap().unwrap_err();
    assert_eq!(late, sold_out.into());
    shop.stop().await;
}

/// Nobody is told that the piece is sold out which his own first request still holds.
#[actix::test]
async fn a_repeat_before_the_fate_is_known_is_unavailable() {
    let shop = Shop::start(1, 1).await;
    let orders = orders(&shop, shop.impatient());
    let mut held = shop.probe.hold(Point::BeforeCommit);
    let (first, ()) = tokio::join!(orders.send(buying("k", 1, &[(11, 1)])), held.reached());
    assert_eq!(first.unwrap().unwrap_err(), PlaceError::Unavailable);
    let repeated = orders.send(buying("k", 1, &[(11, 1)])).await.unwrap().unwrap_err();
    assert_eq!(repeated, PlaceError::Unavailable);
    held.release(Verdict::GoOn);
    let placed = loop {
        match orders.send(buying("k", 1, &[(11, 1)])).await.unwrap() {
            Err(PlaceError::Unavailable) => {}
            other => break other.unwrap(),
        }
    };
    assert!(placed.replayed);
    assert_eq!(shop.orders().await[0].id, placed.order.id.get());
    shop.stop().await;
}

#[actix::test]
async fn a_refused_request_leaves_its_key_free() {
    let shop = Shop::start(1, 1).await;
    let orders = orders(&shop, shop.journal.clone());
    let refused = orders.send(buying("k", 1, &[(11, 2)])).await.unwrap();
    assert!(matches!(refused, Err(PlaceError::Refused(_))));
    assert!(orders.send(buying("k", 1, &[(11, 1)])).await.unwrap().is_ok());
    shop.stop().await;
}

/// The goods actor of the new generation knows nothing of the hold of the old one: somebody else
/// has its last piece, in memory, when the repeat comes.
#[actix::test]
async fn a_repeat_at_the_successor_is_not_sold_out_while_the_first_request_is_under_way() {
    let shop = Shop::start(1, 2).await;
    let keys = Arc::new(KeySet::default());
    keys.set_complete();
    let old = orders_with(&shop, shop.journal.clone(), keys.clone());
    let mut held = shop.probe.hold(Point::BeforeCommit);
    let mut first = Box::pin(old.send(buying("k", 1, &[(11, 1)])));
    tokio::select! {
        () = held.reached() => {}
        _ = &mut first => panic!("answered before the commit"),
    }
    let _old_goods = shop.replace_goods();
    let new = orders_with(&shop, shop.journal.clone(), keys);
    let mut other = Box::pin(new.send(buying("k", 2, &[(11, 1)])));
    until_queued(&shop, &mut other, 1).await;
    let repeat = new.send(buying("k", 1, &[(11, 1)])).await.unwrap();
    assert_eq!(repeat.unwrap_err(), PlaceError::Unavailable);
    held.release(Verdict::GoOn);
    let first = first.await.unwrap().unwrap();
    assert!(matches!(other.await.unwrap(), Err(PlaceError::Refused(_))));
    let again = new.send(buying("k", 1, &[(11, 1)])).await.unwrap().unwrap();
    assert_eq!((again.order.id, again.replayed), (first.order.id, true));
    shop.stop().await;
}

/// As at the start of a process, while requests come in.
#[actix::test]
async fn the_keys_that_are_bound_in_the_database_are_read_and_no_others() {
    let shop = Shop::start(2, 3).await;
    let keys = Arc::new(KeySet::default());
    let orders = orders_with(&shop, shop.journal.clone(), keys.clone());
    let bound = |buyer| keys.may_be_bound(&key(buyer, "k"));
    orders.send(buying("k", 1, &[(11, 1)])).await.unwrap().unwrap();
    assert!(bound(1) && bound(3), "nothing has been read");
    keys.read(&shop.readers).await.unwrap();
    assert!(bound(1) && !bound(2));
    orders.send(buying("k", 2, &[(11, 1)])).await.unwrap().unwrap();
    assert!(bound(2), "added with the order");
    keys.add(&key(3, "k"));
    assert!(bound(3), "as a request that the fold then refuses");
    keys.read(&shop.readers).await.unwrap();
    assert!(bound(1) && bound(2) && !bound(3));
    shop.stop().await;
}
