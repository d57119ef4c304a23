//! `buynow restore`: a copy in the place of a database that nobody uses.

use std::path::{Path, PathBuf};

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};

use super::files::{self, Partial};
use super::{BackupError, Contents, copies, database_file};
use crate::store::db::{self, Readers, ServeLock, ServeLockError};
use crate::store::seal::Sealer;
use crate::store::wxapps;

/// What a restore has done.
#[derive(Debug, PartialEq, Eq)]
pub struct Restored {
    pub contents: Contents,
    /// Where the former database is now; none when there was none.
    pub aside: Option<PathBuf>,
}

/// How far ids jump. Those that were given out after the copy was made are on phones, in logs and
/// in people's notes: they must not name other orders now. Ids last for two million such jumps.
const IDS_SKIPPED: i64 = 1 << 32;

/// Puts a copy of `from` in the place of the database behind `url`, and keeps what was there.
/// `sealer` must open the secrets in it: without the key the shop could not be served.
pub async fn restore(url: &str, from: &Path, sealer: &Sealer) -> Result<Restored, BackupError> {
    let database = database_file(url)?;
    if !from.is_file() {
        return Err(BackupError::NoDatabase(from.to_owned()));
    }
    if files::same(&database, from) {
        return Err(BackupError::Itself(from.to_owned()));
    }
    if let Some(journal) = files::live_journal(from) {
        return Err(BackupError::NotABackup { journal, file: from.to_owned() });
    }
    let _held_to_the_end = lock(&database)?;
    let copy = Partial::copy_of(from, &database)?;
    let contents = make_ready(&copy, from, sealer).await?;
    copy.take_permissions_of(&database)?;
    copy.sync()?;
    settle(&database).await?;
    let aside = files::set_aside(&database)?;
    copy.replace(&database)?;
    Ok(Restored { contents, aside })
}

fn lock(database: &Path) -> Result<ServeLock, BackupError> {
    db::take_serve_lock(database).map_err(|error| match error {
        ServeLockError::Held(_) => BackupError::Served(database.to_owned()),
        ServeLockError::Io { path, source } => {
            BackupError::File { doing: "lock", file: path, source }
        }
    })
}

/// Verifies the very bytes that will be served; errors name the file they came from.
async fn make_ready(copy: &Partial, from: &Path, sealer: &Sealer) -> Result<Contents, BackupError> {
    let store = |error| BackupError::store(from, error);
    let db = copies::open_alone(copy.path()).await.map_err(store)?;
    copies::check_soundness(from, &db).await?;
    copies::check_schema(from, &db).await?;
    let secrets = wxapps::all(&Readers::from(db.clone()), sealer).await;
    secrets.map_err(|source| BackupError::Secrets { file: from.to_owned(), source })?;
    skip_ids(&db).await.map_err(|error| BackupError::store(from, error))?;
    let contents = copies::contents(from, &db).await?;
    db.close().await.map_err(|error| BackupError::store(from, error))?;
    Ok(contents)
}

async fn skip_ids(db: &DatabaseConnection) -> Result<(), sea_orm::DbErr> {
    use entity::id_block::{Column, Entity};
    let next = Expr::col(Column::Next).add(IDS_SKIPPED);
    let skip = Query::update().table(Entity).value(Column::Next, next).to_owned();
    db.execute(&skip).await?;
    Ok(())
}

/// Brings the present database into its one file, and finds out whether anybody has it open. One
/// that is damaged is kept as it is.
async fn settle(database: &Path) -> Result<(), BackupError> {
    // To open what is no database does nothing for it, and SQLite may delete its journal when that
    // connection closes, which happens in a thread of its own and perhaps only after us.
    if !files::begins_as_database(database) {
        return Ok(());
    }
    let settled = match copies::open_alone(database).await {
        Ok(db) => db.close().await.map_err(|error| BackupError::store(database, error)),
        Err(error) => Err(BackupError::store(database, error)),
    };
    match settled {
        Err(BackupError::Busy(file)) => Err(BackupError::Busy(file)),
        Ok(()) | Err(_) => Ok(()),
    }
}
