//! The rules of databases that several processes share. Each failed without its rule.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    Statement, TransactionTrait,
};
use tokio::sync::Barrier;

use super::audit::audit;
use super::batch::{blocked, load, save};
use super::db::{StoreError, begin_write};
use super::errors::{Trouble, trouble};
use super::ids::{BLOCK, take_blocks};
use super::test_databases::{Kind, TestDatabase, TestReaders};
use super::testing::{insert_buyer, insert_goods, insert_sku};
use crate::domain::admission::PlaceRefusal;
use crate::domain::fold::tests::world::*;
use crate::domain::fold::{Command, Outcome, Place, Placed, fold};
use crate::domain::id::IdempotencyKey;

/// A shop that several processes use; on SQLite there is none.
async fn shared_shop(world: &World) -> Option<TestReaders> {
    if Kind::chosen() == Kind::Sqlite {
        return None;
    }
    let shop = TestReaders::small().await;
    for goods in world.books.goods.values() {
        insert_goods(shop.db(), goods.get()).await;
    }
    for sku in world.books.skus.values() {
        insert_sku(shop.db(), sku.get()).await;
    }
    for (id, (buyer, address)) in &world.books.address_book {
        insert_buyer(shop.db(), wxapp(), *buyer, *id, address).await;
    }
    Some(shop)
}

/// Lock, fold and write; COMMIT is the caller's.
async fn write(
    db: &DatabaseConnection,
    commands: &[Command],
) -> Result<(DatabaseTransaction, Vec<Outcome>), StoreError> {
    let txn = begin_write(db).await?;
    match write_in(&txn, commands).await {
        Ok(outcomes) => Ok((txn, outcomes)),
        Err(error) => {
            txn.rollback().await?;
            Err(error)
        }
    }
}

async fn write_in(
    txn: &DatabaseTransaction,
    commands: &[Command],
) -> Result<Vec<Outcome>, StoreError> {
    let (mut books, claims) = load(txn, commands, START).await?;
    let ids = take_blocks(txn, 1).await?;
    books.ids = ids.rev().collect();
    let outcomes = commands.iter().map(|command| fold(&mut books, command.clone(), START));
    let outcomes = outcomes.collect();
    save(txn, &books, &claims, START).await?;
    Ok(outcomes)
}

fn is_new(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Placed(Ok(Placed::New(_))))
}

fn place_with_key(id: i64, buyer: i64, key: &str, items: &[(i64, i64)]) -> Command {
    let mut order = place(id, buyer, items);
    order.key.key.key = IdempotencyKey::parse(key).unwrap();
    order.into()
}

async fn number(db: &impl ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

async fn text(db: &impl ConnectionTrait, sql: &str) -> String {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "s").unwrap()
}

#[tokio::test]
async fn every_connection_of_a_pool_is_set_up() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    let questions: &[(&str, &str)] = match shop.backend() {
        DbBackend::Postgres => &[
            ("SELECT current_setting('transaction_isolation') AS s", "read committed"),
            ("SELECT current_setting('lock_timeout') AS s", "1500ms"),
            ("SELECT current_setting('idle_in_transaction_session_timeout') AS s", "10s"),
            ("SELECT current_setting('tcp_keepalives_idle') AS s", "5"),
            ("SELECT current_setting('application_name') AS s", "buynow"),
            ("SELECT current_setting('synchronous_commit') AS s", "on"),
        ],
        _ => &[
            ("SELECT @@tx_isolation AS s", "READ-COMMITTED"),
            ("SELECT CAST(@@innodb_lock_wait_timeout AS CHAR) AS s", "2"),
            ("SELECT CAST(@@idle_transaction_timeout AS CHAR) AS s", "10"),
            ("SELECT CAST(FIND_IN_SET('STRICT_ALL_TABLES', @@sql_mode) > 0 AS CHAR) AS s", "1"),
            ("SELECT @@collation_connection AS s", "utf8mb4_bin"),
        ],
    };
    // Both are open at once, so they are two connections.
    let (one, other) = (shop.db().begin().await.unwrap(), shop.db().begin().await.unwrap());
    for (question, answer) in questions {
        assert_eq!(text(&one, question).await, *answer, "{question}");
        assert_eq!(text(&other, question).await, *answer, "{question}");
    }
}

/// A server whose defaults are worse is overruled; so is one that does not wait for its disk.
#[tokio::test]
async fn a_server_that_does_not_wait_for_its_disk_is_told_to() {
    if Kind::chosen() != Kind::Postgres {
        return;
    }
    let database = TestDatabase::fresh().await;
    let db = database.stranger().await;
    let name = text(&db, "SELECT current_database() AS s").await;
    for worse in ["synchronous_commit = off", "default_transaction_isolation = 'serializable'"] {
        db.execute_unprepared(&format!("ALTER DATABASE {name} SET {worse}")).await.unwrap();
    }
    let later = database.stranger().await;
    let commit = text(&later, "SELECT current_setting('synchronous_commit') AS s").await;
    let isolation = text(&later, "SELECT current_setting('transaction_isolation') AS s").await;
    assert_eq!((commit.as_str(), isolation.as_str()), ("on", "read committed"));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_not_cut() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    let long = format!("UPDATE sku SET attr = '{}'", "规".repeat(129));
    let error = shop.db().execute_unprepared(&long).await.unwrap_err();
    assert_eq!(trouble(&error), Trouble::Content, "{error}");
    let fits = format!("UPDATE sku SET attr = '{}'", "规".repeat(128));
    shop.db().execute_unprepared(&fits).await.unwrap();
}

#[tokio::test]
async fn keys_that_differ_by_case_are_two() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    let commands = [
        place_with_key(1001, 1, "Key-1", &[(11, 1)]),
        place_with_key(1002, 1, "key-1", &[(11, 1)]),
    ];
    let (txn, outcomes) = write(shop.db(), &commands).await.unwrap();
    txn.commit().await.unwrap();
    assert!(outcomes.iter().all(is_new), "{outcomes:?}");
    let commands = [
        place_with_key(1003, 1, "Key-1", &[(11, 1)]),
        place_with_key(1004, 1, "key-1", &[(11, 1)]),
    ];
    let (txn, outcomes) = write(shop.db(), &commands).await.unwrap();
    txn.commit().await.unwrap();
    let replayed = outcomes.iter().map(|outcome| match outcome {
        Outcome::Placed(Ok(Placed::Replay(order))) => order.get(),
        other => panic!("{other:?}"),
    });
    assert_eq!(replayed.collect::<Vec<_>>(), [1001, 1002]);
}

/// The second waits for the fate of the first, and then reads whose the key is.
#[tokio::test]
async fn one_key_in_two_processes_is_one_order() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    for first_commits in [true, false] {
        let base = if first_commits { 1000 } else { 2000 };
        let key = format!("key-{base}");
        let first = place_with_key(base + 1, 1, &key, &[(11, 1)]);
        let second = place_with_key(base + 2, 1, &key, &[(12, 1)]);
        let (txn, _) = write(shop.db(), &[first]).await.unwrap();
        let other = shop.database.stranger().await;
        let waiting = tokio::spawn(async move {
            let (txn, outcomes) = write(&other, &[second]).await.unwrap();
            txn.commit().await.unwrap();
            outcomes
        });
        until_somebody_waits(&shop).await;
        if first_commits {
            txn.commit().await.unwrap();
        } else {
            txn.rollback().await.unwrap();
        }
        let outcomes = waiting.await.unwrap();
        let sql = format!("SELECT result_id AS n FROM idempotency WHERE \"key\" = '{key}'");
        let bound = number(shop.db(), &sql).await;
        assert_eq!(is_new(&outcomes[0]), !first_commits, "{outcomes:?}");
        assert_eq!(bound, if first_commits { base + 1 } else { base + 2 });
    }
}

/// Until a transaction of this database waits for a lock.
pub(super) async fn until_somebody_waits(shop: &TestReaders) {
    let sql = match shop.backend() {
        DbBackend::Postgres => {
            "SELECT COUNT(*) AS n FROM pg_stat_activity \
             WHERE wait_event_type = 'Lock' AND datname = current_database()"
        }
        _ => {
            // What InnoDB shows of its locks is not renewed while it is asked for all the time.
            "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE DB = DATABASE() \
             AND ID <> CONNECTION_ID() AND COMMAND <> 'Sleep' AND TIME_MS > 200"
        }
    };
    for _ in 0..500 {
        if number(shop.db(), sql).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

/// What a limit counts is read after the lock.
#[tokio::test]
async fn a_buyer_does_not_pass_a_limit_through_two_processes() {
    let mut world = World::new(50);
    for goods in world.books.goods.values_mut() {
        goods.change().limit_per_user = Some(1);
    }
    let Some(shop) = shared_shop(&world).await else { return };
    let (txn, outcomes) = write(shop.db(), &[place(1001, 1, &[(11, 1)]).into()]).await.unwrap();
    assert!(is_new(&outcomes[0]));
    let other = shop.database.stranger().await;
    // Another SKU of the same goods: only the goods stand between the two.
    let waiting = tokio::spawn(async move {
        let (txn, outcomes) = write(&other, &[place(1002, 1, &[(12, 1)]).into()]).await.unwrap();
        txn.commit().await.unwrap();
        outcomes
    });
    until_somebody_waits(&shop).await;
    txn.commit().await.unwrap();
    let outcomes = waiting.await.unwrap();
    let limited = matches!(outcomes[0], Outcome::Placed(Err(PlaceRefusal::LimitExceeded { .. })));
    assert!(limited, "{outcomes:?}");
}

/// Goods without a limit are not locked: orders of different SKUs do not wait for each other.
#[tokio::test]
async fn orders_of_other_skus_of_the_same_goods_do_not_wait() {
    let Some(shop) = shared_shop(&World::new(50)).await else { return };
    let (txn, _) = write_without_ids(shop.db(), &[place(1001, 1, &[(11, 1)]).into()]).await;
    let other = shop.database.stranger().await;
    let (second, _) = write_without_ids(&other, &[place(1002, 2, &[(12, 1)]).into()]).await;
    second.commit().await.unwrap();
    txn.commit().await.unwrap();
}

/// Blocks of ids are taken rarely, so they are no part of this.
async fn write_without_ids(
    db: &DatabaseConnection,
    commands: &[Command],
) -> (DatabaseTransaction, Vec<Outcome>) {
    let txn = begin_write(db).await.unwrap();
    let (mut books, claims) = load(&txn, commands, START).await.unwrap();
    let first = commands.iter().find_map(|command| match command {
        Command::Place(Place { order, .. }) => Some(1_000 * order.get()),
        _ => None,
    });
    books.ids = (first.unwrap()..first.unwrap() + 100).collect();
    let outcomes =
        commands.iter().map(|command| fold(&mut books, command.clone(), START)).collect();
    save(&txn, &books, &claims, START).await.unwrap();
    (txn, outcomes)
}

/// Carts in any order, many processes: rows are locked in one order, so nobody is in a circle.
#[tokio::test]
async fn random_carts_in_several_processes_never_deadlock() {
    let mut world = World::new(40);
    if let Some(goods) = world.books.goods.values_mut().next() {
        goods.change().limit_per_user = Some(30);
    }
    let Some(shop) = shared_shop(&world).await else { return };
    let (barrier, mut processes) = (Arc::new(Barrier::new(4)), Vec::new());
    for process in 0..4 {
        let (db, barrier) = (shop.database.stranger().await, barrier.clone());
        processes.push(tokio::spawn(async move {
            barrier.wait().await;
            let mut troubles = Vec::new();
            for batch in 0..25 {
                let commands = random_carts(100_000 * (process + 1) + 100 * batch);
                match write(&db, &commands).await {
                    Ok((txn, _)) => txn.commit().await.unwrap(),
                    Err(error) => troubles.push(error.trouble()),
                }
            }
            troubles
        }));
    }
    for troubles in join_all(processes).await {
        // On a loaded machine somebody may wait for longer than the lock timeout.
        let troubles = troubles.unwrap();
        assert!(!troubles.contains(&Trouble::Collision), "{troubles:?}");
    }
    assert_eq!(audit(&shop, START).await.unwrap().breaches, []);
}

fn random_carts(first: i64) -> Vec<Command> {
    let mut rng = rand::rng();
    let mut carts = Vec::new();
    for order in first..first + 6 {
        let mut skus = [11, 12, PAYMENT_SKU, FREE_SKU];
        skus.shuffle(&mut rng);
        let lines = rng.random_range(1..=skus.len());
        let items: Vec<_> = skus[..lines].iter().map(|sku| (*sku, 1)).collect();
        let buyer = BUYERS[rng.random_range(0..BUYERS.len())];
        carts.push(place_with_key(order, buyer, &format!("key-{order}"), &items));
    }
    carts
}

#[tokio::test]
async fn blocks_of_ids_are_never_given_twice() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    let take = async |_| {
        let db = shop.database.stranger().await;
        let txn = begin_write(&db).await.unwrap();
        let block = take_blocks(&txn, 1).await.unwrap();
        txn.commit().await.unwrap();
        block
    };
    let mut blocks = join_all((0..6).map(take)).await;
    blocks.sort_by_key(|block| block.start);
    for pair in blocks.windows(2) {
        assert_eq!(pair[0].end, pair[1].start);
        assert_eq!(pair[0].end - pair[0].start, BLOCK);
    }
}

async fn lock_sku(db: &DatabaseConnection, sku: i64) -> DatabaseTransaction {
    let txn = begin_write(db).await.unwrap();
    update_sku(&txn, sku).await.unwrap();
    txn
}

async fn update_sku(txn: &DatabaseTransaction, sku: i64) -> Result<(), DbErr> {
    let sql = format!("UPDATE sku SET sort = sort + 1 WHERE id = {sku}");
    txn.execute_unprepared(&sql).await.map(drop)
}

#[tokio::test]
async fn a_circle_of_waiting_is_told_from_a_long_wait() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    let (one, other) = (shop.database.stranger().await, shop.database.stranger().await);
    let (first, second) = (lock_sku(&one, 11).await, lock_sku(&other, 12).await);
    let (left, right) = tokio::join!(update_sku(&first, 12), async {
        until_somebody_waits(&shop).await;
        update_sku(&second, 11).await
    });
    let lost: Vec<_> = [left, right].into_iter().filter_map(Result::err).collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(trouble(&lost[0]), Trouble::Collision, "{lost:?}");
    first.rollback().await.unwrap();
    second.rollback().await.unwrap();

    let held = lock_sku(&one, 11).await;
    let error = write(&other, &[place(1001, 1, &[(11, 1)]).into()]).await.unwrap_err();
    assert_eq!(error.trouble(), Trouble::Locked, "{error}");
    // The statement alone was rolled back on MariaDB; after ROLLBACK nothing is left of it.
    let left = number(&other, "SELECT COUNT(*) AS n FROM idempotency").await;
    assert_eq!(left, 0);
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn who_needs_a_locked_row_is_found_without_waiting() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    let commands: Vec<Command> = vec![
        place(1001, 1, &[(11, 1)]).into(),
        place(1002, 2, &[(12, 1)]).into(),
        place(1003, 2, &[(PAYMENT_SKU, 1), (11, 1)]).into(),
        place(1004, 2, &[(999, 1)]).into(),
    ];
    let stranger = shop.database.stranger().await;
    let held = lock_sku(&stranger, 11).await;
    let db = shop.database.stranger().await;
    let ask = async || {
        let txn = begin_write(&db).await.unwrap();
        let found = blocked(&txn, &commands).await.unwrap();
        txn.rollback().await.unwrap();
        found
    };
    let found = ask().await;
    assert_eq!(found.commands, [true, false, true, false], "what is not there blocks nobody");
    assert!(found.concerns(&commands[2]) && !found.concerns(&commands[1]));
    held.rollback().await.unwrap();
    assert!(ask().await.is_empty());
}

/// All that an audit reads is of one moment.
#[tokio::test]
async fn an_audit_sees_one_moment() {
    let Some(shop) = shared_shop(&World::new(5)).await else { return };
    let snapshot = super::audit::begin_snapshot(&shop).await.unwrap();
    let count = "SELECT COUNT(*) AS n FROM \"order\"";
    assert_eq!(number(&snapshot, count).await, 0);
    let (txn, _) = write(shop.db(), &[place(1001, 1, &[(11, 1)]).into()]).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(number(&snapshot, count).await, 0);
    assert_eq!(number(&snapshot, "SELECT stock AS n FROM sku WHERE id = 11").await, 5);
    snapshot.rollback().await.unwrap();
    assert_eq!(entity::order::Entity::find().all(shop.db()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_database_tells_its_time() {
    let shop = TestReaders::small().await;
    let ours = crate::clock::Clock::system().now().as_millis();
    let theirs = shop.database_time().await.unwrap().as_millis();
    assert!((ours - theirs).abs() < 60_000, "{ours} {theirs}");
}
