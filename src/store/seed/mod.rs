//! `buynow seed`: goods from a file into the database, repeatable by code, beside a running server.
//!
//! A SKU that is not there yet begins its ledger with `initial`; one whose stock the file changes gets
//! an `import` entry. Every change of stock or terms raises the SKU's version, which is how a running
//! server learns of it. What the file does not mention stays as it is.

pub mod format;
mod rows;
mod specs;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};
use serde::Serialize;

use super::db::{StoreError, begin_write, open_writer};
use crate::domain::id::WxappId;
use crate::domain::time::Timestamp;
pub use format::{SeedFile, SeedFileError, SeedGoods, SeedSku};

/// SKUs in one transaction: large, because each commit waits for the disk and for the server's own.
const SKUS_PER_COMMIT: usize = 2_000;
/// How long the server's commits may keep us from the write lock.
const BEGIN_WAIT: Duration = Duration::from_secs(30);
const BEGIN_PAUSE: Duration = Duration::from_millis(50);

/// Why goods could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error(transparent)]
    File(#[from] SeedFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database was busy for {} seconds", BEGIN_WAIT.as_secs())]
    Busy,
}

impl From<DbErr> for SeedError {
    fn from(error: DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// What a seed has made or found, for people and programs to go on with.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seeded {
    pub goods: Vec<SeededGoods>,
}

/// Goods of the file, with their id.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SeededGoods {
    pub id: i64,
    pub code: String,
    /// Whether this run made it.
    pub created: bool,
    pub skus: Vec<SeededSku>,
}

/// A SKU of the file, with its id.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SeededSku {
    pub id: i64,
    pub code: String,
    pub created: bool,
}

/// Loads the file into a mini-program's shop through a connection of its own.
pub async fn seed_url(
    url: &str,
    wxapp: WxappId,
    file: &SeedFile,
    now: Timestamp,
) -> Result<Seeded, SeedError> {
    let db = open_writer(url).await?;
    let seeded = seed(&db, wxapp, file, now).await;
    db.close().await?;
    seeded
}

/// Loads the file into a mini-program's shop. What was committed before a failure stays: repeat.
pub async fn seed(
    db: &DatabaseConnection,
    wxapp: WxappId,
    file: &SeedFile,
    now: Timestamp,
) -> Result<Seeded, SeedError> {
    let mut seeded = Seeded::default();
    let mut first = 0;
    for part in parts(&file.goods) {
        let txn = begin(db).await?;
        let load = rows::Load { txn: &txn, wxapp, now, first };
        match load.goods(part).await {
            Ok(goods) => {
                txn.commit().await?;
                seeded.goods.extend(goods);
            }
            Err(error) => {
                txn.rollback().await?;
                return Err(error);
            }
        }
        first += part.len();
    }
    Ok(seeded)
}

/// Cuts the goods so that each part has about [`SKUS_PER_COMMIT`] SKUs.
fn parts(goods: &[SeedGoods]) -> impl Iterator<Item = &[SeedGoods]> {
    let mut skus = 0;
    goods.chunk_by(move |left, _| {
        skus += left.skus.len();
        let together = skus < SKUS_PER_COMMIT;
        if !together {
            skus = 0;
        }
        together
    })
}

/// Begins to write, waiting while the server's journal holds the lock.
async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, SeedError> {
    let started = Instant::now();
    loop {
        match begin_write(db).await {
            Ok(txn) => return Ok(txn),
            Err(error) if !is_busy(&error) => return Err(error.into()),
            Err(_) if started.elapsed() >= BEGIN_WAIT => return Err(SeedError::Busy),
            Err(_) => tokio::time::sleep(BEGIN_PAUSE).await,
        }
    }
}

fn is_busy(error: &DbErr) -> bool {
    let text = error.to_string();
    text.contains("database is locked") || text.contains("database table is locked")
}
