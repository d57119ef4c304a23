//! The journal on a server that others use too, that falls silent, or that ends our session.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement, TransactionTrait as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::actors::testing::*;
use crate::domain::id::SkuId;
use crate::store::batch::wait_for_turn;
use crate::store::test_databases::Kind;

async fn shared_shop(stock: i64, buyers: i64) -> Option<Shop> {
    if Kind::chosen() == Kind::Sqlite {
        return None;
    }
    Some(Shop::start(stock, buyers).await)
}

fn bought(result: &Result<Bought, NotBought>) -> bool {
    matches!(result, Ok(Bought::New(_)))
}

async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

/// Ends all sessions of this database that are in a transaction, on the server.
async fn end_transactions(db: &DatabaseConnection) -> usize {
    let (find, end): (_, fn(i64) -> String) = match Kind::chosen() {
        Kind::Postgres => (
            "SELECT CAST(pid AS BIGINT) AS n FROM pg_stat_activity \
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
            |id| format!("SELECT pg_terminate_backend({id})"),
        ),
        _ => (
            "SELECT CAST(p.ID AS SIGNED) AS n FROM information_schema.PROCESSLIST p \
             JOIN information_schema.INNODB_TRX t ON t.trx_mysql_thread_id = p.ID \
             WHERE p.DB = DATABASE() AND p.ID <> CONNECTION_ID()",
            |id| format!("KILL {id}"),
        ),
    };
    let found = Statement::from_string(db.get_database_backend(), find);
    let found = db.query_all_raw(found).await.unwrap();
    for row in &found {
        db.execute_unprepared(&end(row.try_get("", "n").unwrap())).await.unwrap();
    }
    found.len()
}

#[actix::test]
async fn a_session_that_the_server_ends_is_never_used_again() {
    let Some(shop) = shared_shop(5, 3).await else { return };
    let mut held = shop.probe.hold(Point::BeforeCommit);
    let mut buying = Box::pin(shop.buy("k", 1, &[(11, 1)]));
    tokio::select! {
        () = held.reached() => {}
        result = &mut buying => panic!("{result:?}"),
    }
    assert_eq!(end_transactions(&shop.stranger().await).await, 1);
    held.release(Verdict::GoOn);
    // COMMIT found nobody: the marker says that it has not happened.
    assert_eq!(buying.await, Err(NotBought::Journal(JournalError::Unavailable)));
    assert_eq!((shop.orders().await.len(), shop.held(11).await), (0, 0));
    assert!(bought(&shop.buy("k", 1, &[(11, 1)]).await));
    assert_eq!(shop.journal.snapshot().await.unwrap().resolved, 1);
    shop.stop().await;
}

#[actix::test]
async fn what_somebody_keeps_locked_waits_aside_and_the_rest_goes_on() {
    let Some(shop) = shared_shop(5, 4).await else { return };
    let stranger = shop.stranger().await;
    let locking = stranger.begin().await.unwrap();
    locking.execute_unprepared("UPDATE sku SET sort = 7 WHERE id = 11").await.unwrap();
    let mut waiting = Box::pin(async {
        tokio::join!(shop.buy("k", 1, &[(11, 1)]), shop.buy("k", 2, &[(12, 1), (11, 1)]),)
    });
    let rest = async { tokio::join!(shop.buy("k", 3, &[(12, 1)]), shop.journal.write(sort())) };
    tokio::select! {
        both = &mut waiting => panic!("{both:?}"),
        (order, write) = rest => {
            assert!(bought(&order), "{order:?}");
            write.unwrap();
        }
    }
    // A later one of the same SKU does not hold up the others for another lock timeout.
    let mut later = Box::pin(shop.buy("l", 1, &[(11, 1)]));
    begin(&mut later).await;
    tokio::select! {
        order = &mut later => panic!("{order:?}"),
        order = shop.buy("l", 4, &[(12, 1)]) => assert!(bought(&order), "{order:?}"),
    }
    assert_eq!(shop.held(11).await, 3, "holds stay");
    locking.rollback().await.unwrap();
    let ((one, two), three) = tokio::join!(waiting, later);
    assert!(bought(&one) && bought(&two) && bought(&three), "{one:?} {two:?} {three:?}");
    assert_eq!((shop.stock(11).await, shop.stock(12).await), (2, 2));
    shop.stop().await;
}

fn sort() -> crate::store::Write {
    let sql = "UPDATE goods SET sort = 3 WHERE id = 3";
    let backend = match Kind::chosen() {
        Kind::Postgres => sea_orm::DbBackend::Postgres,
        _ => sea_orm::DbBackend::MySql,
    };
    crate::store::Write::one(Statement::from_string(backend, sql))
}

#[actix::test]
async fn two_processes_sell_what_there_is_and_no_more() {
    let Some(shop) = shared_shop(30, 60).await else { return };
    let other = shop.beside(Duration::from_secs(60)).await;
    let here = join_all((1..=30).map(|buyer| shop.buy("k", buyer, &[(11, 1), (12, 1)])));
    let there = join_all((31..=60).map(|buyer| other.buy("k", buyer, &[(12, 1), (11, 1)])));
    let (here, there) = tokio::join!(here, there);
    let sold = here.iter().chain(&there).filter(|result| bought(result)).count();
    assert_eq!((sold, shop.stock(11).await, shop.stock(12).await), (30, 0, 0));
    assert_eq!(shop.orders().await.len(), 30);
    other.journal.drain().await;
    shop.journal.drain().await;
}

#[actix::test]
async fn one_key_at_two_processes_at_once_is_one_order() {
    let Some(shop) = shared_shop(30, 2).await else { return };
    let other = shop.beside(Duration::from_secs(60)).await;
    let items = [(11, 1)];
    let (here, there) = tokio::join!(shop.buy("k", 1, &items), other.buy("k", 1, &items));
    let orders: Vec<_> = [here, there]
        .into_iter()
        .map(|result| match result.unwrap() {
            Bought::New(order) | Bought::Replay(order) => order,
        })
        .collect();
    assert_eq!(orders[0], orders[1]);
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (1, 29));
    other.journal.drain().await;
    shop.journal.drain().await;
}

/// Until somebody has waited for a lock of this database for a while.
async fn until_waiting(db: &DatabaseConnection) {
    let sql = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
               AND wait_event_type = 'Lock' \
               AND clock_timestamp() - query_start > INTERVAL '100 milliseconds'";
    let waiting = async { while number(db, sql).await == 0 {} };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("nobody waits");
}

/// A shop whose last batch has waited for SKU 11, so that the next asks for its turn.
async fn contended_shop() -> Option<Shop> {
    if Kind::chosen() != Kind::Postgres {
        return None;
    }
    let shop = Shop::start(30, 6).await;
    let (stranger, watch) = (shop.stranger().await, shop.stranger().await);
    let locking = stranger.begin().await.unwrap();
    locking.execute_unprepared("UPDATE sku SET sort = 7 WHERE id = 11").await.unwrap();
    let unlock = async {
        until_waiting(&watch).await;
        locking.rollback().await.unwrap();
    };
    let (first, ()) = tokio::join!(shop.buy("k", 6, &[(11, 1)]), unlock);
    assert!(bought(&first), "{first:?}");
    Some(shop)
}

#[actix::test]
async fn a_batch_takes_in_what_arrives_while_it_waits_for_its_turn() {
    let Some(shop) = contended_shop().await else { return };
    let (stranger, watch) = (shop.stranger().await, shop.stranger().await);
    let turn = stranger.begin().await.unwrap();
    wait_for_turn(&turn, SkuId::parse(11).unwrap()).await.unwrap();
    let items = [(11, 1)];
    let mut first = Box::pin(shop.buy("k", 1, &items));
    tokio::select! {
        () = until_waiting(&watch) => {}
        result = &mut first => panic!("{result:?}"),
    }
    let mut more = Box::pin(join_all((2..=5).map(|buyer| shop.buy("k", buyer, &items))));
    until_queued(&shop, &mut more, 4).await;
    turn.rollback().await.unwrap();
    let (first, more) = tokio::join!(first, more);
    assert!(bought(&first) && more.iter().all(bought), "{first:?} {more:?}");
    assert_eq!(shop.journal.snapshot().await.unwrap().largest_batch, 5);
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (6, 24));
    shop.stop().await;
}

#[actix::test]
async fn a_turn_that_never_comes_is_done_without() {
    let Some(shop) = contended_shop().await else { return };
    let stranger = shop.stranger().await;
    let turn = stranger.begin().await.unwrap();
    wait_for_turn(&turn, SkuId::parse(11).unwrap()).await.unwrap();
    assert!(bought(&shop.buy("k", 1, &[(11, 1)]).await));
    turn.rollback().await.unwrap();
    shop.stop().await;
}

/// Passes bytes on to the server until it falls silent: then it takes all and passes on nothing.
struct SilentWire {
    port: u16,
    silent: Arc<AtomicBool>,
}

impl SilentWire {
    async fn before(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = Arc::new(AtomicBool::new(false));
        let falls = silent.clone();
        actix_rt::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.unwrap();
                let ((from, to), (back, forth)) = (client.into_split(), server.into_split());
                actix_rt::spawn(pass(from, forth, falls.clone()));
                actix_rt::spawn(pass(back, to, Arc::default()));
            }
        });
        Self { port, silent }
    }
}

/// A connection that has met the silence stays silent; later ones are not.
async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    silent: Arc<AtomicBool>,
) {
    let (mut buffer, mut dead) = (vec![0; 65_536], false);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        dead = dead || silent.swap(false, Ordering::SeqCst);
        if !dead && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // What is dead keeps its connection to the server.
    if dead {
        std::future::pending::<()>().await;
    }
}

/// Host and port of a URL, and the URL by way of another port.
fn by_port(url: &str, port: u16) -> (String, String) {
    let start = url.find("://").unwrap() + 3;
    let host = url[start..].find('@').map_or(start, |at| start + at + 1);
    let end = host + url[host..].find('/').unwrap();
    let way = format!("{}127.0.0.1:{port}{}", &url[..host], &url[end..]);
    (url[host..end].to_owned(), way)
}

/// COMMIT goes out and never arrives, the session stays open and keeps its locks.
#[actix::test]
async fn a_commit_into_silence_is_settled_by_its_marker() {
    let Some(shop) = shared_shop(5, 3).await else { return };
    let (address, _) = by_port(&shop.database.url, 0);
    let wire = SilentWire::before(address).await;
    let (_, way) = by_port(&shop.database.url, wire.port);
    let ours = shop.by_way_of(way, Duration::from_secs(2)).await;
    assert!(bought(&ours.buy("k", 1, &[(11, 1)]).await));
    let mut held = ours.probe.hold(Point::BeforeCommit);
    let mut buying = Box::pin(ours.buy("k", 2, &[(11, 1)]));
    tokio::select! {
        () = held.reached() => {}
        result = &mut buying => panic!("{result:?}"),
    }
    wire.silent.store(true, Ordering::SeqCst);
    held.release(Verdict::GoOn);
    assert_eq!(buying.await, Err(NotBought::Journal(JournalError::Unavailable)));
    assert_eq!(ours.journal.snapshot().await.unwrap().resolved, 1);
    assert!(bought(&ours.buy("k", 2, &[(11, 1)]).await), "the locks of the dead are gone");
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (2, 3));
    ours.journal.drain().await;
    shop.journal.drain().await;
}

/// Silence before COMMIT: the batch is tried again on another connection, and is there once.
#[actix::test]
async fn silence_in_the_middle_of_a_batch_is_survived() {
    let Some(shop) = shared_shop(5, 3).await else { return };
    let (address, _) = by_port(&shop.database.url, 0);
    let wire = SilentWire::before(address).await;
    let (_, way) = by_port(&shop.database.url, wire.port);
    let ours = shop.by_way_of(way, Duration::from_secs(2)).await;
    let held = busy(&ours).await;
    let mut buying = Box::pin(ours.buy("k", 1, &[(11, 1)]));
    until_queued(&ours, &mut buying, 1).await;
    // The COMMIT of the harmless batch is the first that is lost.
    held.release(Verdict::GoOn);
    wire.silent.store(true, Ordering::SeqCst);
    let result = buying.await;
    let orders = shop.orders().await.len();
    assert_eq!(usize::from(bought(&result)), orders, "{result:?}");
    assert!(ours.buy("k", 1, &[(11, 1)]).await.is_ok());
    assert_eq!((shop.orders().await.len(), shop.stock(11).await), (1, 4));
    ours.journal.drain().await;
    shop.journal.drain().await;
}

#[actix::test]
async fn no_lock_is_left_by_a_journal_that_rests() {
    let Some(shop) = shared_shop(5, 1).await else { return };
    assert!(bought(&shop.buy("k", 1, &[(11, 1)]).await));
    let db = shop.stranger().await;
    db.execute_unprepared("UPDATE sku SET sort = 1").await.unwrap();
    assert_eq!(number(&db, "SELECT COUNT(*) AS n FROM sku WHERE sort = 1").await, 4);
    shop.stop().await;
}
