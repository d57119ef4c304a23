//! Ids, handed out from blocks that the database has given to this process.
//!
//! No clock and no process number is in an id: a block is taken by raising the one row of
//! `id_block`, and what is left of a block when the process ends is lost. All kinds of ids come from
//! the same row, so an id names one thing in the whole database.

use std::sync::Mutex;

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait};
use tokio::sync::Notify;

/// How many ids a block has.
pub const BLOCK: i64 = 4096;
/// Below this many free ids the next commit takes further blocks.
const LOW_WATER: i64 = 4 * BLOCK;
/// Ids below this one are for those who choose them (the first mini-program).
const FIRST: i64 = 1 << 20;
const ROW: &str = "id";

/// The ids that this process may use.
#[derive(Default)]
pub struct Ids {
    free: Mutex<Vec<std::ops::Range<i64>>>,
    refilled: Notify,
}

impl Ids {
    /// Takes `count` ids, or none when so many are not there.
    pub fn try_draw(&self, count: usize) -> Option<Vec<i64>> {
        let mut free = self.lock();
        let wanted = i64::try_from(count).ok()?;
        if left(&free) < wanted {
            return None;
        }
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let range = free.first_mut()?;
            match range.next() {
                Some(id) => drawn.push(id),
                None => drop(free.remove(0)),
            }
        }
        Some(drawn)
    }

    /// Takes `count` ids, waiting for the next block when there is none left.
    pub async fn draw(&self, count: usize) -> Vec<i64> {
        loop {
            let refilled = self.refilled.notified();
            if let Some(ids) = self.try_draw(count) {
                return ids;
            }
            refilled.await;
        }
    }

    /// Takes one id.
    pub async fn draw_one(&self) -> i64 {
        loop {
            if let [id] = self.draw(1).await[..] {
                return id;
            }
        }
    }

    /// How many blocks the next commit should take so that `needed` ids are there.
    pub fn blocks_wanted(&self, needed: usize) -> i64 {
        let needed = i64::try_from(needed).unwrap_or(i64::MAX / 2);
        let missing = Ord::max(0, needed + LOW_WATER - left(&self.lock()));
        (missing + BLOCK - 1) / BLOCK
    }

    /// Adds blocks that a commit has taken.
    pub fn add(&self, block: std::ops::Range<i64>) {
        self.lock().push(block);
        self.refilled.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<std::ops::Range<i64>>> {
        self.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn left(free: &[std::ops::Range<i64>]) -> i64 {
    free.iter().map(|range| range.end - range.start).sum()
}

/// Takes blocks inside a transaction; they may be used once it has committed.
pub async fn take_blocks(
    db: &impl ConnectionTrait,
    blocks: i64,
) -> Result<std::ops::Range<i64>, DbErr> {
    use entity::id_block::{Column, Entity};
    let first = Query::insert()
        .into_table(Entity)
        .columns([Column::Name, Column::Next])
        .values_panic([ROW.into(), FIRST.into()])
        .on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned())
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

    #[tokio::test]
    async fn blocks_of_a_database_do_not_overlap() {
        let db = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
        crate::store::migrate::up(&db).await.unwrap();
        let first = take_blocks(&db, 1).await.unwrap();
        let second = take_blocks(&db, 2).await.unwrap();
        assert_eq!(first.end, second.start);
        assert_eq!(second.end - second.start, 2 * BLOCK);
    }
}
