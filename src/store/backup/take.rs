//! `buynow backup`: one snapshot of a database, served or not, into a file of its own.

use std::path::Path;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use super::files::{self, Partial};
use super::{BackupError, Contents, copies, database_file};
use crate::store::db::{self, Readers};

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and no copy is made.
    Keep,
    Replace,
}

/// Copies the database behind `url` into `target`: every commit that was acknowledged before this
/// began, none by half. A server may write meanwhile; it waits for nothing, but its write-ahead
/// log cannot shrink until the copy is read.
pub async fn back_up(
    url: &str,
    target: &Path,
    existing: Existing,
) -> Result<Contents, BackupError> {
    let database = database_file(url)?;
    if !database.exists() {
        return Err(BackupError::NoDatabase(database));
    }
    check_target(&database, target, existing)?;
    let copy = Partial::create(target)?;
    let shape = copy_into(url, &database, copy.path()).await?;
    let contents = verify(copy.path(), &shape).await?;
    copy.sync()?;
    match existing {
        Existing::Keep => copy.place(target)?,
        Existing::Replace => copy.replace(target)?,
    }
    Ok(contents)
}

fn check_target(database: &Path, target: &Path, existing: Existing) -> Result<(), BackupError> {
    if files::same(database, target) {
        return Err(BackupError::Itself(target.to_owned()));
    }
    if existing == Existing::Keep && target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    match files::live_journal(target) {
        Some(journal) => Err(BackupError::InUseAsDatabase { journal, file: target.to_owned() }),
        None => Ok(()),
    }
}

/// The copy is made by `VACUUM INTO`, in one read transaction; the answer is the schema before it.
async fn copy_into(url: &str, database: &Path, copy: &Path) -> Result<Vec<String>, BackupError> {
    let store = |error| BackupError::store(database, error);
    let readers = db::open_readers(url, 1).await.map_err(store)?;
    let copied = vacuum_into(&readers, copy).await;
    readers.close().await.map_err(store)?;
    copied.map_err(|error| BackupError::store(database, error))
}

async fn vacuum_into(readers: &Readers, copy: &Path) -> Result<Vec<String>, sea_orm::DbErr> {
    let shape = copies::shape(readers.db()).await?;
    let name = copy.to_string_lossy().into_owned();
    let vacuum = "VACUUM INTO ?";
    let vacuum = Statement::from_sql_and_values(DbBackend::Sqlite, vacuum, [name.into()]);
    readers.db().execute_raw(vacuum).await?;
    Ok(shape)
}

async fn verify(copy: &Path, shape: &[String]) -> Result<Contents, BackupError> {
    let store = |error| BackupError::store(copy, error);
    let db = copies::open_alone(copy).await.map_err(store)?;
    copies::check_soundness(copy, &db).await?;
    let copied = copies::shape(&db).await.map_err(|error| BackupError::store(copy, error))?;
    if copied != shape {
        return Err(BackupError::Changed);
    }
    let contents = copies::contents(copy, &db).await?;
    db.close().await.map_err(|error| BackupError::store(copy, error))?;
    Ok(contents)
}
