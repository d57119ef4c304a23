//! The fold over a batch through the database is the pure fold; what is saved is what is loaded.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use entity::{
    audit_entry, idempotency, incident, notification, order_address, order_event, stock_entry,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, QueryOrder,
    TransactionTrait,
};

use super::{load, save};
use crate::domain::books::{Books, Kept, KeyRef};
use crate::domain::fold::tests::properties::{everything, saved};
use crate::domain::fold::tests::steps::{Step, Wish, play, small_shop, wish};
use crate::domain::fold::tests::world::*;
use crate::domain::fold::*;
use crate::domain::goods::DeductStock;
use crate::domain::id::{OutRefundNo, RefundId};
use crate::domain::notification::Facts;
use crate::domain::order::CloseReason;
use crate::domain::payment::RefundEvent;
use crate::domain::time::Timestamp;
use crate::domain::timeline::Happening;
use crate::store::audit::audit;
use crate::store::db::begin_write;
use crate::store::rows::shipments::happening;
use crate::store::test_databases::{Kind, TestReaders};
use crate::store::testing::{insert_buyer, insert_goods, insert_sku};

/// The same shop as a [`World`], in a database.
struct Shop {
    readers: TestReaders,
    now: Timestamp,
    next_id: i64,
}

impl Shop {
    async fn like(world: &World) -> Self {
        let readers = TestReaders::small().await;
        let db = readers.db();
        for goods in world.books.goods.values() {
            insert_goods(db, goods.get()).await;
        }
        for sku in world.books.skus.values() {
            insert_sku(db, sku.get()).await;
        }
        for (id, (buyer, address)) in &world.books.address_book {
            insert_buyer(db, wxapp(), *buyer, *id, address).await;
        }
        Self { now: world.now, next_id: world.next_id, readers }
    }

    fn db(&self) -> &DatabaseConnection {
        self.readers.db()
    }

    /// One batch: lock, fold, write.
    async fn commit(&mut self, commands: &[Command]) -> Vec<Outcome> {
        let txn = begin_write(self.readers.db()).await.unwrap();
        let (mut books, claims) = load(&txn, commands, self.now).await.unwrap();
        let mut outcomes = Vec::new();
        for command in commands {
            give_ids(&mut books, &mut self.next_id);
            outcomes.push(fold(&mut books, command.clone(), self.now));
        }
        save(&txn, &books, &claims, self.now).await.unwrap();
        txn.commit().await.unwrap();
        outcomes
    }

    /// Commands in batches of those sizes, over and over; anything else stands between two batches.
    async fn take(&mut self, steps: &[Step], sizes: &[usize]) {
        let (mut batch, mut sizes) = (Vec::new(), sizes.iter().cycle());
        let mut size = *sizes.next().unwrap();
        for step in steps {
            if let Step::Do(command) = step {
                if is_early(&batch, command) {
                    self.commit(&std::mem::take(&mut batch)).await;
                }
                batch.push((**command).clone());
                if batch.len() < size {
                    continue;
                }
            }
            self.commit(&std::mem::take(&mut batch)).await;
            size = *sizes.next().unwrap();
            self.change(step).await;
        }
        self.commit(&batch).await;
    }

    async fn change(&mut self, step: &Step) {
        let sql = match step {
            Step::Do(_) => return,
            Step::Wait(seconds) => return self.now = self.now.plus_seconds(*seconds),
            Step::SwitchMode(goods, mode) => {
                format!("UPDATE goods SET deduct_stock = '{}' WHERE id = {goods}", mode.as_str())
            }
            Step::Reprice(order, by) => format!(
                "UPDATE \"order\" SET adjust_fen = adjust_fen + {by}, pay_fen = pay_fen + {by}, \
                 version = version + 1 WHERE id = {order}"
            ),
        };
        self.db().execute_unprepared(&sql).await.unwrap();
    }

    /// Everything, as later batches would load it.
    async fn read(&self, like: &Books) -> Books {
        let mut commands: Vec<Command> = Vec::new();
        let everything = [ORDER_SKUS[0], ORDER_SKUS[1], PAYMENT_SKU, FREE_SKU].map(|sku| (sku, 1));
        commands.extend(BUYERS.map(|buyer| place(777_000 + buyer, buyer, &everything).into()));
        for order in like.orders.keys() {
            commands.push(begin_closing(order.get(), CloseReason::Staff).into());
            let refund = RefundId::parse(1).unwrap();
            let change = ChangeRefund {
                refund,
                order: *order,
                number: OutRefundNo::parse("r-1").unwrap(),
                event: RefundEvent::Request,
                found: Vec::new(),
            };
            commands.push(change.into());
            commands.push(desk(None, ship(order.get(), "SF99999", &[])).into());
            for form in 0..3 {
                let note = Act::Note { order: *order, text: String::new() };
                commands.push(desk(Some(&format!("form-{form}")), note).into());
            }
        }
        for attempt in like.attempts.keys() {
            commands.push(settle(attempt.get(), "NONE", 1).into());
        }
        let txn = self.db().begin().await.unwrap();
        let (mut books, _) = load(&txn, &commands, self.now).await.unwrap();
        rollback(txn).await;
        books.keys = self.keys(like).await;
        books
    }

    async fn keys(&self, like: &Books) -> BTreeMap<KeyRef, crate::domain::books::KeyBinding> {
        let rows = idempotency::Entity::find().all(self.db()).await.unwrap();
        let refs: Vec<KeyRef> = rows.iter().map(|row| key(row.user_id, &row.key)).collect();
        assert_eq!(refs.len(), like.keys.len(), "a key for each order, and none for a refusal");
        super::keys::read_keys(self.db(), &refs.iter().collect::<Vec<_>>())
            .await
            .unwrap()
            .into_iter()
            .collect()
    }

    /// What no later fold reads.
    async fn check_log(&self, log: &Log) {
        let db = self.db();
        let rows = stock_entry::Entity::find().order_by_asc(stock_entry::Column::SkuId);
        let rows = rows.order_by_asc(stock_entry::Column::Seq).all(db).await.unwrap();
        let rows: Vec<_> = rows.into_iter().filter(|row| row.order_id.is_some()).collect();
        let mut entries: Vec<_> = log.entries.iter().collect();
        entries.sort_by_key(|entry| (entry.sku, entry.seq));
        assert_eq!(rows.len(), entries.len());
        for (row, entry) in rows.iter().zip(entries) {
            let written =
                (row.id, row.seq, row.kind.as_str(), row.delta, row.balance, row.created_at);
            let at = entry.at.as_millis();
            let kind = entry.kind.as_str();
            assert_eq!(written, (entry.id.get(), entry.seq, kind, entry.delta, entry.balance, at));
            let about = (row.sku_id, row.order_id, row.order_goods_id);
            let (order, line) = (Some(entry.order.get()), Some(entry.line.get()));
            assert_eq!(about, (entry.sku.get(), order, line));
        }
        self.check_messages(log).await;
        self.check_desk(log).await;
        let addresses = order_address::Entity::find().all(db).await.unwrap();
        assert_eq!(addresses.len(), log.addresses.len());
    }

    /// Timelines, and what staff have done.
    async fn check_desk(&self, log: &Log) {
        let rows = order_event::Entity::find().order_by_asc(order_event::Column::Id);
        let rows = rows.all(self.db()).await.unwrap();
        let written: Vec<Happening> = rows.into_iter().map(|row| happening(row).unwrap()).collect();
        let mut happened = log.timeline.clone();
        happened.sort_by_key(|happening| happening.id);
        assert_eq!(written, happened);
        let rows = audit_entry::Entity::find().order_by_asc(audit_entry::Column::Id);
        let rows = rows.all(self.db()).await.unwrap();
        let mut done: Vec<_> = log.audit.iter().collect();
        done.sort_by_key(|entry| entry.id);
        let in_words = rows.iter().map(|row| (row.id, row.action.as_str(), row.subject_id));
        let expected = done.iter().map(|done| (done.id.get(), done.action, done.subject.id()));
        assert_eq!(in_words.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let adjusted = stock_entry::Entity::find().all(self.db()).await.unwrap();
        let adjusted = adjusted.iter().filter(|row| row.kind == "adjust").count();
        assert_eq!(adjusted, log.adjustments.len());
    }

    async fn check_messages(&self, log: &Log) {
        let rows = notification::Entity::find().order_by_asc(notification::Column::Id);
        let rows = rows.all(self.db()).await.unwrap();
        let mut told: Vec<_> = log.notifications.iter().collect();
        told.sort_by_key(|message| message.id);
        assert_eq!(rows.len(), told.len());
        for (row, message) in rows.iter().zip(told) {
            let facts: Facts = serde_json::from_str(&row.payload).unwrap();
            assert_eq!(facts, message.facts);
            let written =
                (row.id, row.order_id, row.event.as_str(), row.ref_id, row.form_id.clone());
            let event = message.event.as_str();
            let (id, order) = (message.id.get(), message.order.get());
            assert_eq!(written, (id, order, event, message.ref_id, message.form_id.clone()));
            assert_eq!((row.state.as_str(), row.user_id), ("waiting", message.user.get()));
        }
        let mut incidents: Vec<_> = incident::Entity::find().all(self.db()).await.unwrap();
        incidents.sort_by(|left, right| left.transaction_id.cmp(&right.transaction_id));
        let mut kept: Vec<_> = log.incidents.iter().collect();
        kept.sort_by(|left, right| left.transaction.cmp(&right.transaction));
        let in_words = incidents.iter().map(|i| (i.transaction_id.as_str(), i.reason.as_str()));
        let expected = kept.iter().map(|i| (i.transaction.as_str(), i.reason.as_str()));
        assert_eq!(in_words.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

/// Word of an attempt comes only after the commit of the attempt.
fn is_early(batch: &[Command], command: &Command) -> bool {
    let attempt = match command {
        Command::Settle(settle) => settle.attempt,
        Command::RecordPrepay(record) => record.attempt,
        _ => return false,
    };
    batch.iter().any(|member| matches!(member, Command::StartAttempt(start) if start.id == attempt))
}

async fn rollback(txn: DatabaseTransaction) {
    txn.rollback().await.unwrap();
}

/// The same wishes in a world and in a database end in the same rows.
async fn check_same(wishes: Vec<Wish>, stock: i64, limit: Option<i64>, sizes: Vec<usize>) {
    let mut world = small_shop(stock, limit);
    let mut shop = Shop::like(&world).await;
    let steps = play(&mut world, wishes, |_| {});
    shop.take(&steps, &sizes).await;
    let world = saved(world);
    let read = shop.read(&world.books).await;
    assert_eq!(everything(&read), everything(&world.books));
    assert!(read.orders.values().all(|kept| !kept.is_changed() && !Kept::is_new(kept)));
    shop.check_log(&world.log).await;
    let report = audit(&shop.readers, shop.now).await.unwrap();
    assert_eq!(report.breaches, []);
}

#[test]
fn a_batch_through_the_database_is_the_pure_fold() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cases = if Kind::chosen() == Kind::Sqlite { 24 } else { 6 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let wishes = prop::collection::vec(wish(), 20..80);
    let sizes = prop::collection::vec(1_usize..12, 1..4);
    let limit = prop::option::of(1_i64..5);
    TestRunner::new(config)
        .run(&(wishes, 1_i64..6, limit, sizes), |(wishes, stock, limit, sizes)| {
            runtime.block_on(check_same(wishes, stock, limit, sizes));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn two_members_with_one_key_are_one_order() {
    let mut shop = Shop::like(&World::new(5)).await;
    let first = place(1001, 1, &[(11, 1)]);
    let again = Place { order: order_id(1002), order_no: number_of(1002), ..first.clone() };
    let outcomes = shop.commit(&[first.clone().into(), again.clone().into()]).await;
    let replayed = |outcome: &Outcome| match outcome {
        Outcome::Placed(Ok(Placed::Replay(order))) => Some(order.get()),
        _ => None,
    };
    assert_eq!(outcomes.iter().map(replayed).collect::<Vec<_>>(), [None, Some(1001)]);
    let outcomes = shop.commit(&[again.into(), first.into()]).await;
    assert_eq!(outcomes.iter().map(replayed).collect::<Vec<_>>(), [Some(1001), Some(1001)]);
}

#[tokio::test]
async fn a_key_goes_to_the_member_that_was_taken() {
    let mut shop = Shop::like(&World::new(2)).await;
    let greedy = place(1001, 1, &[(11, 3)]);
    let claim = KeyClaim { request_hash: "modest".into(), ..greedy.key.clone() };
    let modest = Place { key: claim, ..place(1002, 1, &[(11, 2)]) };
    let outcomes = shop.commit(&[greedy.clone().into(), modest.into()]).await;
    assert!(matches!(outcomes[0], Outcome::Placed(Err(_))));
    assert!(matches!(outcomes[1], Outcome::Placed(Ok(Placed::New(_)))));
    let bound = idempotency::Entity::find().all(shop.db()).await.unwrap();
    let bound: Vec<_> =
        bound.iter().map(|row| (row.result_id, row.request_hash.as_str())).collect();
    assert_eq!(bound, [(1002, "modest")]);
}

#[tokio::test]
async fn a_refused_member_leaves_no_row() {
    let mut shop = Shop::like(&World::new(2)).await;
    shop.commit(&[place(1001, 1, &[(11, 3)]).into()]).await;
    assert!(idempotency::Entity::find().all(shop.db()).await.unwrap().is_empty());
    assert!(entity::order::Entity::find().all(shop.db()).await.unwrap().is_empty());
    assert!(order_address::Entity::find().all(shop.db()).await.unwrap().is_empty());
    let moved = stock_entry::Entity::find().all(shop.db()).await.unwrap();
    assert!(moved.iter().all(|entry| entry.kind == "initial"));
}

/// As many as the configuration allows, each with several lines: statements stay within what SQLite
/// takes.
#[tokio::test]
async fn the_largest_batch_fits() {
    let world = World::new(10_000);
    let mut shop = Shop::like(&world).await;
    let items = [(11, 1), (12, 1), (PAYMENT_SKU, 1)];
    let order = |id| Command::from(place(id, BUYERS[0], &items));
    let mut batch: Vec<Command> = (1..=1_024).map(order).collect();
    batch.extend((2_001..=3_024).map(|id| Command::from(place(id, 2, &[(11, 99_999)]))));
    let outcomes = shop.commit(&batch).await;
    let taken = |o: &&Outcome| matches!(o, Outcome::Placed(Ok(Placed::New(_))));
    assert_eq!(outcomes.iter().filter(taken).count(), 1_024);
    let report = audit(&shop.readers, shop.now).await.unwrap();
    assert_eq!((report.orders, report.breaches), (1_024, vec![]));
    let close = |id| Command::from(begin_closing(id, CloseReason::Buyer));
    shop.commit(&(1..=1_024).map(close).collect::<Vec<_>>()).await;
    let report = audit(&shop.readers, shop.now).await.unwrap();
    assert_eq!(report.breaches, []);
}

/// Further SKUs of goods 1, with five pieces each.
async fn add_skus(shop: &Shop, ids: std::ops::RangeInclusive<i64>) {
    let (first, last) = ids.into_inner();
    let rows = |row: fn(i64) -> String| (first..=last).map(row).collect::<Vec<_>>().join(", ");
    let entries = rows(|i| format!("({i}, 10001, {i}, 1, 'initial', 5, 5, '', '', 0)"));
    let skus =
        rows(|i| format!("({i}, 10001, 1, '{i}', '', '[]', 100, 0, 5, 1, 1, 0, '', 0, 0, 0)"));
    let insert = format!(
        "INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, delta, balance, who, reason, \
         created_at) VALUES {entries}; INSERT INTO sku (id, wxapp_id, goods_id, code, attr, \
         spec_value_ids, price_fen, line_price_fen, stock, seq, version, weight_g, image_url, \
         sort, created_at, updated_at) VALUES {skus}"
    );
    shop.db().execute_unprepared(&insert).await.unwrap();
}

/// An order of twenty lines; no two orders have a SKU in common.
fn order_of_twenty(n: i64) -> Command {
    let items: Vec<_> = (0..20).map(|line| (1_001 + 20 * n + line, 1)).collect();
    place(10_001 + n, 1, &items).into()
}

/// All lines that a batch may have, each of a SKU of its own.
#[tokio::test]
async fn a_batch_over_two_thousand_skus_fits() {
    let mut shop = Shop::like(&World::new(5)).await;
    add_skus(&shop, 1_001..=3_000).await;
    shop.commit(&(0..100).map(order_of_twenty).collect::<Vec<_>>()).await;
    let report = audit(&shop.readers, shop.now).await.unwrap();
    assert_eq!((report.orders, report.stock_entries, report.breaches), (100, 4_004, vec![]));
}

/// The lines of closings are not counted when a batch is taken from the queue.
#[tokio::test]
async fn closings_over_five_thousand_skus_fit_in_one_batch() {
    let mut shop = Shop::like(&World::new(5)).await;
    add_skus(&shop, 1_001..=6_000).await;
    let orders: Vec<_> = (0..250).map(order_of_twenty).collect();
    for part in orders.chunks(50) {
        shop.commit(part).await;
    }
    let close = |n: i64| Command::from(begin_closing(10_001 + n, CloseReason::Buyer));
    shop.commit(&(0..250).map(close).collect::<Vec<_>>()).await;
    let report = audit(&shop.readers, shop.now).await.unwrap();
    assert_eq!((report.orders, report.stock_entries, report.breaches), (250, 15_004, vec![]));
    let skus = entity::sku::Entity::find().all(shop.db()).await.unwrap();
    assert!(skus.iter().all(|sku| sku.stock == 5));
}

#[tokio::test]
async fn books_with_something_missing_are_not_written() {
    let shop = Shop::like(&World::new(5)).await;
    let txn = shop.db().begin().await.unwrap();
    let commands = [Command::from(place(1001, 1, &[(11, 1)]))];
    let (mut books, claims) = load(&txn, &commands, shop.now).await.unwrap();
    fold(&mut books, commands[0].clone(), shop.now);
    let error = save(&txn, &books, &claims, shop.now).await.unwrap_err();
    assert!(error.to_string().contains("a free id is missing"), "{error}");
}

/// Lines that were not read must not pass for an order that deducts nothing.
#[tokio::test]
async fn word_of_an_attempt_in_the_batch_that_starts_it_is_not_written() {
    let mut shop = Shop::like(&World::new(5)).await;
    shop.commit(&[place(1001, 1, &[(PAYMENT_SKU, 1)]).into()]).await;
    let txn = shop.db().begin().await.unwrap();
    let commands: [Command; 2] = [start(2001, 1001).into(), settle(2001, "TX1", 100).into()];
    let (mut books, claims) = load(&txn, &commands, shop.now).await.unwrap();
    for command in commands {
        give_ids(&mut books, &mut shop.next_id);
        fold(&mut books, command, shop.now);
    }
    let error = save(&txn, &books, &claims, shop.now).await.unwrap_err();
    assert!(error.to_string().contains("the lines of an order is missing"), "{error}");
}

#[tokio::test]
async fn a_mode_switched_between_order_and_payment_is_the_lines_no_more() {
    let mut shop = Shop::like(&World::new(5)).await;
    shop.commit(&[place(1001, 1, &[(11, 1), (PAYMENT_SKU, 1)]).into()]).await;
    shop.change(&Step::SwitchMode(1, DeductStock::Payment)).await;
    shop.change(&Step::SwitchMode(2, DeductStock::Order)).await;
    shop.commit(&[start(2001, 1001).into()]).await;
    shop.commit(&[settle(2001, "TX1", 200).into()]).await;
    let report = audit(&shop.readers, shop.now).await.unwrap();
    assert_eq!(report.breaches, []);
    let skus = entity::sku::Entity::find().order_by_asc(entity::sku::Column::Id);
    let skus = skus.all(shop.db()).await.unwrap();
    let left: Vec<_> = skus.iter().map(|sku| (sku.id, sku.stock)).collect();
    assert_eq!(left, [(11, 4), (12, 5), (PAYMENT_SKU, 4), (FREE_SKU, 5)]);
}

/// Columns that are null in all rows are left out of an INSERT, which is the same as long as none
/// of them has a default.
#[tokio::test]
async fn what_may_be_null_is_null_where_it_is_left_out() {
    let readers = TestReaders::small().await;
    let sql = match Kind::chosen() {
        Kind::Sqlite => {
            "SELECT c.name AS name FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND c.\"notnull\" = 0 AND c.dflt_value IS NOT NULL"
        }
        Kind::Postgres => {
            "SELECT CAST(column_name AS TEXT) AS name FROM information_schema.columns \
             WHERE table_schema = current_schema() AND is_nullable = 'YES' \
             AND column_default IS NOT NULL"
        }
        Kind::Mariadb => {
            "SELECT column_name AS name FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND is_nullable = 'YES' \
             AND COALESCE(column_default, 'NULL') <> 'NULL'"
        }
    };
    let statement = sea_orm::Statement::from_string(readers.db().get_database_backend(), sql);
    let rows = readers.db().query_all_raw(statement).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.try_get("", "name").unwrap()).collect();
    assert_eq!(names, [] as [String; 0]);
}
