//! Claims: which process works on what on the engine's own account, and until when.
//!
//! Work that calls WeChat and that nobody outside has asked for is taken by a claim first: a row
//! with a token that nobody else knows and a deadline. Past the deadline anybody may take it, and
//! the former owner's results are not written any more. Called by the journal inside its
//! transaction, before it locks anything else; a claim is no state of an order, and the fold knows
//! of none.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use entity::work_claim::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use super::db::{Readers, StoreError};
use crate::domain::id::{AttemptId, OrderId};
use crate::domain::time::Timestamp;

/// What can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// To close at WeChat what is not to be paid any more of an order.
    Close(OrderId),
    /// To ask what became of an attempt whose notification did not come.
    Ask(AttemptId),
    /// To give back money of an order; one call at a time.
    Refund(OrderId),
    /// To delete rows that have served.
    Sweep,
}

/// As it stands in the table.
type Key = (&'static str, i64);

const CLOSE: &str = "close";
const ASK: &str = "ask";
const REFUND: &str = "refund";
const SWEEP: &str = "sweep";

impl Work {
    fn key(self) -> Key {
        match self {
            Self::Close(order) => (CLOSE, order.get()),
            Self::Ask(attempt) => (ASK, attempt.get()),
            Self::Refund(order) => (REFUND, order.get()),
            Self::Sweep => (SWEEP, 0),
        }
    }
}

/// A piece of work that is ours until the deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub work: Work,
    pub token: String,
    pub until: Timestamp,
    /// How often it has been taken without coming to its end, this time included.
    pub tries: i64,
}

/// What happens to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimChange {
    /// Takes the work unless somebody has it, or it rests.
    Take { work: Work, token: String, until: Timestamp },
    /// The work is done, or given back.
    End { work: Work, token: String },
    /// The work is done for now, and nobody takes it before `until`.
    Rest { work: Work, token: String, until: Timestamp },
}

impl ClaimChange {
    fn work(&self) -> Work {
        match self {
            Self::Take { work, .. } | Self::End { work, .. } | Self::Rest { work, .. } => *work,
        }
    }
}

/// What has come of the claims of a batch.
#[derive(Debug, Default)]
pub struct Settled {
    /// For each change: how often the work has been taken; none: it is another's.
    pub changed: Vec<Option<i64>>,
    /// The tokens that still hold their work.
    held: HashSet<String>,
}

impl Settled {
    /// Whether what was done under this claim may be written.
    pub fn holds(&self, claim: &Claim) -> bool {
        self.held.contains(&claim.token)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    token: Option<String>,
    until: Timestamp,
    tries: i64,
}

/// Locks the claims of a batch, ascending, and changes them: three statements, however many.
pub async fn settle(
    db: &impl ConnectionTrait,
    changes: &[ClaimChange],
    fences: &[&Claim],
    now: Timestamp,
) -> Result<Settled, StoreError> {
    let changed = changes.iter().map(ClaimChange::work);
    let keys: BTreeSet<Key> =
        changed.chain(fences.iter().map(|fence| fence.work)).map(Work::key).collect();
    if keys.is_empty() {
        return Ok(Settled::default());
    }
    make_rows(db, changes).await?;
    let before = lock_rows(db, &keys).await?;
    let is_held = |claim: &&&Claim| {
        let row = before.get(&claim.work.key());
        row.is_some_and(|row| row.token.as_deref() == Some(claim.token.as_str()))
    };
    let held = fences.iter().filter(is_held).map(|claim| claim.token.clone()).collect();
    let mut after = before.clone();
    let changed = changes.iter().map(|change| apply(&mut after, change, now)).collect();
    save_rows(db, &before, &after).await?;
    Ok(Settled { changed, held })
}

/// What a change makes of the rows; none: the work is not ours to change.
fn apply(rows: &mut BTreeMap<Key, Row>, change: &ClaimChange, now: Timestamp) -> Option<i64> {
    let key = change.work().key();
    let row = rows.get_mut(&key)?;
    let ours = |token: &String| row.token.as_ref() == Some(token);
    match change {
        ClaimChange::Take { token, until, .. } if row.until <= now => {
            row.tries += 1;
            (row.token, row.until) = (Some(token.clone()), *until);
            Some(row.tries)
        }
        ClaimChange::Rest { token, until, .. } if ours(token) => {
            (row.token, row.until) = (None, *until);
            Some(row.tries)
        }
        ClaimChange::End { token, .. } if ours(token) => rows.remove(&key).map(|row| row.tries),
        ClaimChange::Take { .. } | ClaimChange::Rest { .. } | ClaimChange::End { .. } => None,
    }
}

/// A row for everything that is to be taken, so that there is something to lock.
async fn make_rows(db: &impl ConnectionTrait, changes: &[ClaimChange]) -> Result<(), StoreError> {
    let takes = |change: &&ClaimChange| matches!(change, ClaimChange::Take { .. });
    let keys: BTreeSet<Key> =
        changes.iter().filter(takes).map(|change| change.work().key()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let free = Row { token: None, until: Timestamp::from_millis(0), tries: 0 };
    let there = OnConflict::columns([Column::Kind, Column::SubjectId])
        .do_nothing_on([Column::Kind, Column::SubjectId])
        .to_owned();
    let rows = keys.into_iter().map(|key| active(key, &free));
    match Entity::insert_many(rows).on_conflict(there).exec_without_returning(db).await {
        Ok(_) | Err(DbErr::RecordNotInserted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn lock_rows(
    db: &impl ConnectionTrait,
    keys: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Row>, StoreError> {
    let found = Entity::find()
        .filter(any_of(keys.iter().copied()))
        .order_by_asc(Column::Kind)
        .order_by_asc(Column::SubjectId)
        .lock_exclusive()
        .all(db)
        .await?;
    let row = |found: entity::work_claim::Model| {
        let key = keys.iter().find(|key| (key.0, key.1) == (&*found.kind, found.subject_id))?;
        let until = Timestamp::from_millis(found.until);
        Some((*key, Row { token: found.token, until, tries: found.tries }))
    };
    Ok(found.into_iter().filter_map(row).collect())
}

async fn save_rows(
    db: &impl ConnectionTrait,
    before: &BTreeMap<Key, Row>,
    after: &BTreeMap<Key, Row>,
) -> Result<(), StoreError> {
    let changed: Vec<ActiveModel> = after
        .iter()
        .filter(|(key, row)| before.get(key) != Some(row))
        .map(|(key, row)| active(*key, row))
        .collect();
    if !changed.is_empty() {
        let whole = OnConflict::columns([Column::Kind, Column::SubjectId])
            .update_columns([Column::Token, Column::Until, Column::Tries])
            .to_owned();
        Entity::insert_many(changed).on_conflict(whole).exec_without_returning(db).await?;
    }
    let mut ended = before.keys().copied().filter(|key| !after.contains_key(key)).peekable();
    if ended.peek().is_some() {
        Entity::delete_many().filter(any_of(ended)).exec(db).await?;
    }
    Ok(())
}

fn active((kind, subject): Key, row: &Row) -> ActiveModel {
    ActiveModel {
        kind: Set(kind.to_owned()),
        subject_id: Set(subject),
        token: Set(row.token.clone()),
        until: Set(row.until.as_millis()),
        tries: Set(row.tries),
    }
}

/// One alternative for each kind.
fn any_of(keys: impl Iterator<Item = Key>) -> Condition {
    let mut by_kind: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (kind, subject) in keys {
        by_kind.entry(kind).or_default().push(subject);
    }
    let one = |(kind, subjects): (&str, Vec<i64>)| {
        Condition::all().add(Column::Kind.eq(kind)).add(Column::SubjectId.is_in(subjects))
    };
    by_kind.into_iter().map(one).fold(Condition::any(), Condition::add)
}

/// Holds for rows of which nobody does this work, nor rests it. `subject` is the column with what
/// the work is about.
fn is_free(kind: &str, subject: impl ColumnTrait, now: Timestamp) -> Expr {
    let taken = Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Column::Kind.eq(kind))
        .and_where(Expr::col((Entity, Column::SubjectId)).equals(subject.as_column_ref()))
        .and_where(Column::Until.gt(now.as_millis()))
        .to_owned();
    Expr::not_exists(taken)
}

/// Orders that nobody closes.
pub(super) fn free_to_close(order: impl ColumnTrait, now: Timestamp) -> Expr {
    is_free(CLOSE, order, now)
}

/// Orders of which nobody gives money back.
pub(super) fn free_to_refund(order: impl ColumnTrait, now: Timestamp) -> Expr {
    is_free(REFUND, order, now)
}

/// Attempts that nobody asks about.
pub(super) fn free_to_ask(attempt: impl ColumnTrait, now: Timestamp) -> Expr {
    is_free(ASK, attempt, now)
}

/// Attempts that somebody took up to ask about, and never did.
pub async fn forgotten_asks(
    readers: &Readers,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<i64>, StoreError> {
    let found = Entity::find()
        .select_only()
        .column(Column::SubjectId)
        .filter(Column::Until.lte(now.as_millis()))
        .filter(Column::Kind.eq(ASK))
        .filter(Column::Token.is_not_null())
        .order_by_asc(Column::Until)
        .limit(limit);
    Ok(found.into_tuple().all(readers.db()).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn work() -> Work {
        Work::Close(OrderId::parse(7).unwrap())
    }

    fn at(seconds: i64) -> Timestamp {
        NOW.plus_seconds(seconds)
    }

    fn take(token: &str, until: Timestamp) -> ClaimChange {
        ClaimChange::Take { work: work(), token: token.into(), until }
    }

    fn end(token: &str) -> ClaimChange {
        ClaimChange::End { work: work(), token: token.into() }
    }

    fn rest(token: &str, until: Timestamp) -> ClaimChange {
        ClaimChange::Rest { work: work(), token: token.into(), until }
    }

    fn claim(token: &str) -> Claim {
        Claim { work: work(), token: token.into(), until: at(60), tries: 1 }
    }

    async fn database() -> crate::store::test_databases::TestReaders {
        crate::store::test_databases::TestReaders::small().await
    }

    /// What a batch with one change says, and which of `a` and `b` may write in it.
    async fn step(
        readers: &Readers,
        change: ClaimChange,
        now: Timestamp,
    ) -> (Option<i64>, [bool; 2]) {
        let (a, b) = (claim("a"), claim("b"));
        let settled = settle(readers.db(), &[change], &[&a, &b], now).await.unwrap();
        (settled.changed[0], [settled.holds(&a), settled.holds(&b)])
    }

    #[tokio::test]
    async fn a_claim_is_one_owners_until_its_deadline_and_then_the_next_ones() {
        let readers = database().await;
        let neither = [false, false];
        assert_eq!(step(&readers, take("a", at(60)), NOW).await, (Some(1), neither));
        assert_eq!(step(&readers, take("b", at(99)), at(59)).await, (None, [true, false]));
        assert_eq!(step(&readers, take("b", at(120)), at(60)).await, (Some(2), [true, false]));
        assert_eq!(step(&readers, end("a"), at(61)).await, (None, [false, true]));
        assert_eq!(step(&readers, rest("a", at(500)), at(61)).await, (None, [false, true]));
        assert_eq!(step(&readers, end("b"), at(62)).await, (Some(2), [false, true]));
        assert_eq!(step(&readers, take("a", at(200)), at(62)).await, (Some(1), neither));
    }

    #[tokio::test]
    async fn work_that_rests_is_nobodys_and_is_not_taken_before_its_time() {
        let readers = database().await;
        step(&readers, take("a", at(60)), NOW).await;
        assert_eq!(step(&readers, rest("a", at(300)), at(1)).await, (Some(1), [true, false]));
        assert_eq!(step(&readers, take("b", at(400)), at(299)).await, (None, [false, false]));
        assert_eq!(step(&readers, take("b", at(400)), at(300)).await.0, Some(2));
    }

    #[tokio::test]
    async fn of_two_that_take_the_same_work_in_one_batch_one_has_it() {
        let readers = database().await;
        let changes = [take("a", at(60)), take("b", at(60))];
        let settled = settle(readers.db(), &changes, &[], NOW).await.unwrap();
        assert_eq!(settled.changed, [Some(1), None]);
    }
}
