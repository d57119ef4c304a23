//! An SQLite database as one file beside it, and back again.
//!
//! [`back_up`] reads one snapshot while a server writes on; [`restore`] puts a copy in the place of
//! a database that nobody uses, and keeps what was there. Neither ever leaves half a file under the
//! name that it was asked for: a copy is made under another name, verified, synced and renamed.
//! Other databases have their own tools, and are refused with a line that names them.

mod copies;
mod files;
mod restore;
mod take;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::db::{self, StoreError};
use super::wxapps::WxappError;
use crate::domain::time::Timestamp;

pub use restore::{Restored, restore};
pub use take::{Existing, back_up};

/// What was seen in a copy while it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    pub bytes: u64,
    pub orders: i64,
    /// When the newest order was placed.
    pub newest_order: Option<Timestamp>,
}

/// Why no copy was made, or none was put in place. Except for [`BackupError::Sync`] everything is
/// as it was before.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(
        "this works on SQLite only; for PostgreSQL use pg_dump or pg_basebackup, see docs/backup.md"
    )]
    Postgres,
    #[error(
        "this works on SQLite only; for MariaDB and MySQL use mariadb-dump (mysqldump) or \
         mariadb-backup (mariabackup), see docs/backup.md"
    )]
    MySql,
    #[error("this works on a database in a file only")]
    NoFile,
    #[error("there is no database file {}", .0.display())]
    NoDatabase(PathBuf),
    #[error("{} is there already; --force replaces it", .0.display())]
    Exists(PathBuf),
    #[error("{} is the database itself", .0.display())]
    Itself(PathBuf),
    #[error(
        "{} is there: {} is in use as a database; take another name",
        .journal.display(), .file.display()
    )]
    InUseAsDatabase { journal: PathBuf, file: PathBuf },
    #[error(
        "{} is there: {} is not a back-up but a database with news beside it; \
         back that one up with `buynow backup` first", .journal.display(), .file.display()
    )]
    NotABackup { journal: PathBuf, file: PathBuf },
    #[error("{} is being served; stop `buynow serve` first", .0.display())]
    Served(PathBuf),
    #[error("{} is in use by another program; end it first", .0.display())]
    Busy(PathBuf),
    #[error("{} is damaged: {what}", .file.display())]
    Damaged { file: PathBuf, what: String },
    #[error("{} is not a database of buynow", .0.display())]
    Foreign(PathBuf),
    #[error(
        "{} has tables of a newer buynow ({step}), and this is {ours}: use the newer binary",
        .file.display()
    )]
    NewerSchema { file: PathBuf, step: String, ours: &'static str },
    #[error("{}: {source}", .file.display())]
    Binary { file: PathBuf, source: super::migrate::MigrateError },
    #[error("the tables were changed meanwhile; make the back-up again")]
    Changed,
    #[error("{}: {source}; set the key that it was made with", .file.display())]
    Secrets { file: PathBuf, source: WxappError },
    #[error("cannot {doing} {}: {source}", .file.display())]
    File { doing: &'static str, file: PathBuf, source: std::io::Error },
    #[error("cannot read {}: {source}", .file.display())]
    Store { file: PathBuf, source: StoreError },
    /// It is in place, but a power cut in the next moments may undo that.
    #[error("{} is in place, but its folder cannot be synced: {source}", .file.display())]
    Sync { file: PathBuf, source: std::io::Error },
}

impl BackupError {
    fn damaged(file: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), what: what.into() }
    }

    /// SQLite's word on a file that it cannot read is about the file.
    fn store(file: &Path, error: impl Into<StoreError>) -> Self {
        let (file, source) = (file.to_owned(), error.into());
        match copies::sqlite_code(&source) {
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged { file, what: source.to_string() },
            Some(BUSY | LOCKED) => Self::Busy(file),
            _ => Self::Store { file, source },
        }
    }
}

/// SQLite's primary result codes.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

/// The file of the database that the settings name.
fn database_file(url: &str) -> Result<PathBuf, BackupError> {
    match url.split(':').next().unwrap_or_default() {
        "postgres" | "postgresql" => Err(BackupError::Postgres),
        "mysql" | "mariadb" => Err(BackupError::MySql),
        _ => db::sqlite_file(url).ok_or(BackupError::NoFile),
    }
}
