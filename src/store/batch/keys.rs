//! Idempotency keys: claimed by a batch, looked up before something is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use entity::idempotency;
use futures_util::TryStreamExt as _;
use sea_orm::{ConnectionTrait, EntityTrait, Set};

use super::super::db::{Readers, StoreError};
use super::insert::insert_free;
use super::key_text::{Text, statements};
use crate::domain::books::{Books, KeyBinding, KeyRef, Operation};
use crate::domain::fold::{Command, KeyClaim, Place};
use crate::domain::id::{GoodsId, IdempotencyKey, OrderId};
use crate::domain::time::Timestamp;

/// What saving needs to know of the loading.
#[derive(Debug, Default)]
pub struct Claims {
    /// The keys that this batch has claimed, and for which order.
    pub(super) keys: BTreeMap<KeyRef, KeyBinding>,
    /// Goods that were locked, because something is counted for them.
    pub(super) locked_goods: BTreeSet<i64>,
    /// How long it took to have the SKUs locked.
    pub locking: Duration,
    /// The sales of the goods as they were read, perhaps without a lock.
    pub(super) sales: BTreeMap<GoodsId, i64>,
}

fn places(commands: &[Command]) -> impl Iterator<Item = &Place> {
    commands.iter().filter_map(|command| match command {
        Command::Place(place) => Some(place),
        _ => None,
    })
}

/// Inserts the claims that are free. Unless all of them were, or where the database cannot tell, it
/// reads back in a new statement whose each key is.
pub(super) async fn claim_keys(
    db: &impl ConnectionTrait,
    commands: &[Command],
    books: &mut Books,
    now: Timestamp,
) -> Result<Claims, StoreError> {
    let mut wanted: BTreeMap<&KeyRef, (&KeyClaim, OrderId)> = BTreeMap::new();
    for place in places(commands) {
        wanted.entry(&place.key.key).or_insert((&place.key, place.order));
    }
    if wanted.is_empty() {
        return Ok(Claims::default());
    }
    let rows = wanted.values().map(|(claim, order)| claim_row(claim, *order, now)).collect();
    let inserted = insert_free(db, rows, &[idempotency::Column::Key]).await?;
    if inserted.is_some_and(|inserted| usize::try_from(inserted) == Ok(wanted.len())) {
        return Ok(all_ours(wanted));
    }
    let mut claims = Claims::default();
    let keys: Vec<&KeyRef> = wanted.keys().copied().collect();
    for (key, binding) in read_keys(db, &keys).await? {
        let ours = wanted.get(&key).is_some_and(|(_, order)| *order == binding.result);
        if ours {
            claims.keys.insert(key, binding);
        } else {
            books.keys.insert(key, binding);
        }
    }
    Ok(claims)
}

/// All keys were free, so each is bound to what it was claimed for.
fn all_ours(wanted: BTreeMap<&KeyRef, (&KeyClaim, OrderId)>) -> Claims {
    let claim = |(key, (claim, result)): (&KeyRef, (&KeyClaim, OrderId))| {
        (key.clone(), KeyBinding { request_hash: claim.request_hash.clone(), result })
    };
    Claims { keys: wanted.into_iter().map(claim).collect(), ..Claims::default() }
}

fn claim_row(claim: &KeyClaim, order: OrderId, now: Timestamp) -> idempotency::ActiveModel {
    idempotency::ActiveModel {
        wxapp_id: Set(claim.key.wxapp.get()),
        user_id: Set(claim.key.user.get()),
        operation: Set(claim.key.operation.as_str().to_owned()),
        key: Set(claim.key.key.as_str().to_owned()),
        request_hash: Set(claim.request_hash.clone()),
        result_id: Set(order.get()),
        created_at: Set(now.as_millis()),
    }
}

/// What keys are bound to.
pub(super) async fn read_keys(
    db: &impl ConnectionTrait,
    keys: &[&KeyRef],
) -> Result<Vec<(KeyRef, KeyBinding)>, StoreError> {
    let mut found = Vec::new();
    for statement in statements(db, Text::Select, keys) {
        let rows = idempotency::Entity::find().from_raw_sql(statement).all(db).await?;
        for row in rows {
            found.push(read_key(row)?);
        }
    }
    Ok(found)
}

/// Gives keys back whose members were refused.
pub(super) async fn delete_keys(
    db: &impl ConnectionTrait,
    keys: &[&KeyRef],
) -> Result<(), StoreError> {
    for statement in statements(db, Text::Delete, keys) {
        db.execute_raw(statement).await?;
    }
    Ok(())
}

/// What some keys are bound to, of those that are.
pub async fn bindings(
    readers: &Readers,
    keys: &[&KeyRef],
) -> Result<Vec<(KeyRef, KeyBinding)>, StoreError> {
    read_keys(readers.db(), keys).await
}

/// Shows all bound keys, row by row, of one statement and so of one snapshot: keys that are bound
/// or deleted meanwhile hide no other.
pub async fn each_key(readers: &Readers, mut show: impl FnMut(&KeyRef)) -> Result<(), StoreError> {
    let mut rows = idempotency::Entity::find().stream(readers.db()).await?;
    while let Some(row) = rows.try_next().await? {
        show(&read_key(row)?.0);
    }
    Ok(())
}

fn read_key(row: idempotency::Model) -> Result<(KeyRef, KeyBinding), StoreError> {
    let bad = |error| StoreError::row("idempotency", error);
    let key = KeyRef {
        wxapp: row.wxapp_id.try_into().map_err(bad)?,
        user: row.user_id.try_into().map_err(bad)?,
        operation: Operation::PlaceOrder,
        key: IdempotencyKey::parse(row.key).map_err(bad)?,
    };
    let result = OrderId::parse(row.result_id).map_err(bad)?;
    Ok((key, KeyBinding { request_hash: row.request_hash, result }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sea_orm::TransactionTrait as _;

    use super::super::key_text::KEYS_MAX;
    use super::*;
    use crate::domain::fold::tests::world::*;
    use crate::store::db::begin_write;
    use crate::store::test_databases::{Kind, TestReaders};

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    /// An order for each key, in this order; the number of the buyer is the key.
    fn orders(first: i64, keys: impl Iterator<Item = i64>) -> Vec<Command> {
        let order = |(nth, buyer): (usize, i64)| {
            let mut place = place(first + i64::try_from(nth).unwrap(), 1, &[(11, 1)]);
            place.key.key = key(1, &buyer.to_string());
            place.key.request_hash = format!("{first}");
            Command::from(place)
        };
        keys.enumerate().map(order).collect()
    }

    async fn claim(readers: &Readers, commands: &[Command]) -> (Claims, Books) {
        let mut books = Books::default();
        let txn = begin_write(&readers.connection()).await.unwrap();
        let claims = claim_keys(&txn, commands, &mut books, NOW).await.unwrap();
        txn.commit().await.unwrap();
        (claims, books)
    }

    fn results(of: &BTreeMap<KeyRef, KeyBinding>) -> Vec<(String, i64, String)> {
        let line = |(key, binding): (&KeyRef, &KeyBinding)| {
            let hash = binding.request_hash.clone();
            (key.key.as_str().to_owned(), binding.result.get(), hash)
        };
        of.iter().map(line).collect()
    }

    #[tokio::test]
    async fn free_keys_are_ours_and_taken_ones_tell_whose_they_are() {
        let readers = TestReaders::small().await;
        let (claims, books) = claim(&readers, &orders(1_001, 1..=3)).await;
        let first = |key: i64, order| (key.to_string(), order, "1001".to_owned());
        let expected = [first(1, 1_001), first(2, 1_002), first(3, 1_003)];
        assert_eq!((results(&claims.keys), results(&books.keys)), (expected.to_vec(), vec![]));
        // The fourth key twice: the first of the two is the one that claims it.
        let (claims, books) = claim(&readers, &orders(2_001, [4, 2, 4, 5].into_iter())).await;
        let second = |key: i64, order| (key.to_string(), order, "2001".to_owned());
        assert_eq!(results(&claims.keys), [second(4, 2_001), second(5, 2_004)]);
        assert_eq!(results(&books.keys), [first(2, 1_002)]);
    }

    /// Each number of keys up to the next text, and more than one text takes.
    #[tokio::test]
    async fn as_many_keys_as_there_are_are_read_and_given_back() {
        let readers = TestReaders::small().await;
        let many = 2 * i64::try_from(KEYS_MAX).unwrap() + 3;
        claim(&readers, &orders(1_001, 1..=many)).await;
        let refs: Vec<KeyRef> = (1..=many).map(|n| key(1, &n.to_string())).collect();
        let strange = key(2, "1");
        for count in [0, 1, 2, 4, 5, 17, 65, 256, 257, refs.len()] {
            let asked: Vec<&KeyRef> = refs[..count].iter().chain([&strange]).collect();
            let found = bindings(&readers, &asked).await.unwrap();
            assert_eq!(found.len(), count);
            for (key, binding) in found {
                assert_eq!(key.key.as_str(), (binding.result.get() - 1_000).to_string());
            }
        }
        let txn = readers.connection().begin().await.unwrap();
        delete_keys(&txn, &[]).await.unwrap();
        delete_keys(&txn, &refs[..300].iter().collect::<Vec<_>>()).await.unwrap();
        txn.commit().await.unwrap();
        let found = bindings(&readers, &refs.iter().collect::<Vec<_>>()).await.unwrap();
        assert_eq!(found.len(), refs.len() - 300);
    }

    /// Else two processes that give keys back wait for each other.
    #[tokio::test]
    async fn whoever_gives_a_key_back_locks_no_other_on_mariadb() {
        if Kind::chosen() != Kind::Mariadb {
            return;
        }
        let readers = TestReaders::small().await;
        claim(&readers, &orders(1_001, 1..=100)).await;
        let refs: Vec<KeyRef> = (1..=4).map(|n| key(1, &n.to_string())).collect();
        for count in 1..=4 {
            let asked: Vec<&KeyRef> = refs[..count].iter().collect();
            let [mut delete] = statements(readers.db(), Text::Delete, &asked).try_into().unwrap();
            delete.sql.insert_str(0, "EXPLAIN ");
            let plan = readers.db().query_one_raw(delete).await.unwrap().unwrap();
            let rows: String = plan.try_get("", "rows").unwrap();
            assert!(rows.parse::<i64>().unwrap() <= 4, "{count} of 100 keys: {rows} are looked at");
        }
    }

    /// Keys differ by each of their four parts, and by the case of a letter.
    #[tokio::test]
    async fn a_key_is_not_its_neighbour() {
        let readers = TestReaders::small().await;
        let mut command = orders(1_001, 1..=1);
        let Command::Place(place) = &mut command[0] else { panic!() };
        place.key.key = key(1, "it's\\\"A\"?");
        let bound = place.key.key.clone();
        claim(&readers, &command).await;
        let lower = KeyRef { key: IdempotencyKey::parse("it's\\\"a\"?").unwrap(), ..bound.clone() };
        let buyer = KeyRef { user: user_id(2), ..bound.clone() };
        let found = bindings(&readers, &[&lower, &buyer, &bound]).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, bound);
    }
}
