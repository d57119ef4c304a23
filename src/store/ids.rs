//! Ids, handed out from blocks that the database has given to this process.
//!
//! No clock and no process number is in an id: a block is taken by raising the one row of
//! `id_block`, and what is left of a block when the process ends is lost. All kinds of ids come
//! from the same row, so an id names one thing in the whole database.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, QuerySelect as _};
use tokio::sync::Notify;

/// How many ids a block has.
pub const BLOCK: i64 = 4096;
/// Below this many free ids the next commit takes further blocks.
const LOW_WATER: i64 = 4 * BLOCK;
/// Ids below this one are for those who choose them (the first mini-program).
const FIRST: i64 = 1 << 20;
const ROW: &str = "id";

/// How long a caller waits for the next block, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// The database has given no ids in time; whoever wanted one tries again later.
#[derive(Debug, thiserror::Error)]
#[error("the database gives no ids")]
pub struct NoIds;

/// The ids that this process may use.
pub struct Ids {
    pool: Mutex<Pool>,
    refilled: Notify,
    thirst: Notify,
    patience: Duration,
}

impl Default for Ids {
    fn default() -> Self {
        Self::new(PATIENCE)
    }
}

#[derive(Default)]
struct Pool {
    free: VecDeque<Range<i64>>,
    /// The most that somebody waits for.
    asked: i64,
}

impl Ids {
    /// None yet. `patience`: how long a caller waits for the next block.
    pub fn new(patience: Duration) -> Self {
        let (pool, refilled, thirst) = (Mutex::default(), Notify::new(), Notify::new());
        Self { pool, refilled, thirst, patience }
    }

    /// Takes `count` ids, or none when so many are not there.
    pub fn try_draw(&self, count: usize) -> Option<Vec<i64>> {
        let wanted = i64::try_from(count).ok()?;
        let mut pool = self.lock();
        (pool.left() >= wanted).then(|| pool.take(count))
    }

    /// The same; what is not there is asked for.
    fn draw_or_ask(&self, count: usize) -> Option<Vec<i64>> {
        let wanted = i64::try_from(count).ok()?;
        let mut pool = self.lock();
        if pool.left() < wanted {
            pool.asked = Ord::max(pool.asked, wanted);
            return None;
        }
        Some(pool.take(count))
    }

    /// Takes as many as there are, at most `count`.
    pub fn draw_up_to(&self, count: usize) -> Vec<i64> {
        self.lock().take(count)
    }

    /// Takes back ids that were drawn and not used; they are the next to be drawn.
    pub fn give_back(&self, mut ids: Vec<i64>) {
        ids.sort_unstable();
        let mut pool = self.lock();
        for run in ids.chunk_by(|left, right| left + 1 == *right).rev() {
            if let [first, ..] = run {
                let length = i64::try_from(run.len()).unwrap_or(0);
                pool.free.push_front(*first..first + length);
            }
        }
        drop(pool);
        self.refilled.notify_waiters();
    }

    /// Takes `count` ids, far fewer than a block has; waits for the next block when so many are
    /// not there.
    pub async fn draw(&self, count: usize) -> Result<Vec<i64>, NoIds> {
        tokio::time::timeout(self.patience, self.draw_in_time(count)).await.map_err(|_| NoIds)
    }

    async fn draw_in_time(&self, count: usize) -> Vec<i64> {
        loop {
            let refilled = self.refilled.notified();
            if let Some(ids) = self.draw_or_ask(count) {
                return ids;
            }
            self.cry();
            refilled.await;
        }
    }

    /// Takes one id.
    pub async fn draw_one(&self) -> Result<i64, NoIds> {
        self.draw(1).await?.pop().ok_or(NoIds)
    }

    /// Asks for blocks although nothing else is to be committed.
    pub fn cry(&self) {
        self.thirst.notify_one();
    }

    /// Waits until somebody has asked for blocks.
    pub async fn thirst(&self) {
        self.thirst.notified().await;
    }

    /// Whether there are fewer ids than somebody waits for.
    pub fn is_short(&self) -> bool {
        let mut pool = self.lock();
        let is_short = pool.left() < pool.asked;
        if !is_short {
            pool.asked = 0;
        }
        is_short
    }

    /// How many blocks the next commit should take so that `needed` ids are there.
    pub fn blocks_wanted(&self, needed: usize) -> i64 {
        let needed = i64::try_from(needed).unwrap_or(i64::MAX / 2);
        let missing = Ord::max(0, needed + LOW_WATER - self.lock().left());
        (missing + BLOCK - 1) / BLOCK
    }

    /// Whether `needed` ids are free.
    pub fn has(&self, needed: usize) -> bool {
        i64::try_from(needed).is_ok_and(|needed| self.lock().left() >= needed)
    }

    /// Adds blocks that a commit has taken.
    pub fn add(&self, block: Range<i64>) {
        self.lock().free.push_back(block);
        self.refilled.notify_waiters();
    }

    /// How many ids are free.
    #[cfg(test)]
    pub fn left(&self) -> i64 {
        self.lock().left()
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn left(&self) -> i64 {
        self.free.iter().map(|range| range.end - range.start).sum()
    }

    fn take(&mut self, count: usize) -> Vec<i64> {
        let mut drawn = Vec::new();
        while let Some(range) = self.free.front_mut() {
            drawn.extend(range.by_ref().take(count - drawn.len()));
            if range.is_empty() {
                self.free.pop_front();
            }
            if drawn.len() == count {
                break;
            }
        }
        drawn
    }
}

/// Takes blocks inside a transaction; they may be used once it has committed.
pub async fn take_blocks(db: &impl ConnectionTrait, blocks: i64) -> Result<Range<i64>, DbErr> {
    use entity::id_block::{Column, Entity};
    let first = Query::insert()
        .into_table(Entity)
        .columns([Column::Name, Column::Next])
        .values_panic([ROW.into(), FIRST.into()])
        .on_conflict(OnConflict::column(Column::Name).do_nothing_on([Column::Name]).to_owned())
        .to_owned();
    let size = blocks * BLOCK;
    let raise = Query::update()
        .table(Entity)
        .value(Column::Next, Expr::col(Column::Next).add(size))
        .and_where(Expr::col(Column::Name).eq(ROW))
        .to_owned();
    if db.execute(&raise).await?.rows_affected() == 0 {
        db.execute(&first).await?;
        db.execute(&raise).await?;
    }
    let row = Entity::find_by_id(ROW).one(db).await?;
    let next = row.map(|row| row.next).ok_or_else(|| DbErr::RecordNotFound(ROW.into()))?;
    Ok(next - size..next)
}

/// As [`take_blocks`]; none while another transaction is taking some.
pub async fn take_free_blocks(
    db: &impl ConnectionTrait,
    blocks: i64,
) -> Result<Option<Range<i64>>, DbErr> {
    use entity::id_block::Entity;
    if db.get_database_backend() != DbBackend::Sqlite {
        let row = Entity::find_by_id(ROW);
        let free = row.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        if free.one(db).await?.is_none() {
            return Ok(None);
        }
    }
    take_blocks(db, blocks).await.map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn draws_are_whole_and_never_repeat() {
        let ids = Ids::default();
        assert_eq!(ids.try_draw(1), None);
        ids.add(10..12);
        ids.add(20..23);
        assert_eq!(ids.try_draw(3), Some(vec![10, 11, 20]));
        assert_eq!(ids.try_draw(3), None);
        assert_eq!(ids.try_draw(2), Some(vec![21, 22]));
    }

    #[test]
    fn ids_that_were_not_used_come_back_in_one_piece() {
        let ids = Ids::default();
        ids.add(10..20);
        ids.add(30..32);
        let mut drawn = ids.draw_up_to(100);
        assert_eq!(drawn.len(), 12);
        drawn.reverse();
        ids.give_back(drawn.split_off(4));
        assert_eq!(ids.lock().free.len(), 1, "runs, not single ids");
        assert_eq!(ids.try_draw(8), Some((10..18).collect()));
        assert!(ids.draw_up_to(1).is_empty());
    }

    #[tokio::test]
    async fn whoever_finds_no_id_asks_for_blocks() {
        let ids = Ids::default();
        let refill = async {
            ids.thirst().await;
            ids.add(1..3);
        };
        let (drawn, ()) = tokio::join!(ids.draw(2), refill);
        assert_eq!(drawn.unwrap(), [1, 2]);
    }

    #[tokio::test]
    async fn nobody_waits_for_ids_for_ever() {
        let ids = Ids::new(Duration::from_millis(1));
        assert!(ids.draw_one().await.is_err());
        ids.add(1..2);
        assert_eq!(ids.draw_one().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn blocks_of_a_database_do_not_overlap() {
        let readers = crate::store::test_databases::TestReaders::small().await;
        let first = take_blocks(readers.db(), 1).await.unwrap();
        let second = take_blocks(readers.db(), 2).await.unwrap();
        assert_eq!(first.end, second.start);
        assert_eq!(second.end - second.start, 2 * BLOCK);
    }
}
