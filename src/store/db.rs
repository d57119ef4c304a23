//! Connections: a pool of readers, and the one connection that writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::domain::time::Timestamp;

/// The database could not do what was asked, or holds what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database: {0}")]
    Database(#[from] DbErr),
    #[error("a row of `{table}` does not make sense: {what}")]
    Row { table: &'static str, what: String },
}

impl StoreError {
    pub fn row(table: &'static str, what: impl std::fmt::Display) -> Self {
        Self::Row { table, what: what.to_string() }
    }

    /// Refused for what was said, not for how the database is doing: the same again meets the same.
    pub fn is_about_content(&self) -> bool {
        let error = match self {
            Self::Row { .. } => return true,
            Self::Database(DbErr::Exec(RuntimeErr::SqlxError(error))) => error,
            Self::Database(DbErr::Query(RuntimeErr::SqlxError(error))) => error,
            Self::Database(_) => return false,
        };
        let code = error.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| is_content_code(&code))
    }
}

/// SQLite: error, too big, constraint, mismatch, range, of whichever extended kind; PostgreSQL and
/// MySQL: data exceptions and integrity violations, which have letters or five digits.
fn is_content_code(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 1 | 18 | 19 | 20 | 25),
        Ok(_) | Err(_) => code.starts_with("22") || code.starts_with("23"),
    }
}

/// What can be read of many rows. One that cannot is for people to look at, and no reason to leave
/// the work on the others undone.
pub(super) fn readable<T>(rows: impl Iterator<Item = Result<T, StoreError>>) -> Vec<T> {
    let or_log = |row: Result<T, StoreError>| match row {
        Ok(row) => Some(row),
        Err(error) => {
            tracing::error!(%error, "a row cannot be read and is left out");
            None
        }
    };
    rows.filter_map(or_log).collect()
}

/// Statements that the journal executes, as they stand, with its next commit.
#[derive(Debug, Clone, Default)]
pub struct Write(pub(crate) Vec<Statement>);

impl Write {
    pub(crate) fn one(statement: Statement) -> Self {
        Self(vec![statement])
    }
    pub(crate) fn and(mut self, statement: Statement) -> Self {
        self.0.push(statement);
        self
    }
    /// Both, in this order, in one commit.
    pub fn then(mut self, other: Write) -> Self {
        self.0.extend(other.0);
        self
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A pool of connections that only read. Clones share it.
#[derive(Clone)]
pub struct Readers(pub(crate) DatabaseConnection);

impl Readers {
    pub(crate) fn db(&self) -> &DatabaseConnection {
        &self.0
    }
    pub fn backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }
    /// Whether this process is the only one that serves on the database.
    pub fn serve_alone(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.0.ping().await?)
    }
    /// The database's own time: the one place where SQL is asked what time it is.
    pub async fn database_time(&self) -> Result<Timestamp, StoreError> {
        let sql = match self.backend() {
            DbBackend::Sqlite => {
                "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now_ms"
            }
            DbBackend::Postgres => {
                "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms"
            }
            _ => "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED) AS now_ms",
        };
        let statement = Statement::from_string(self.backend(), sql);
        let row = self.0.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| StoreError::row("(none)", "no time"))?;
        Ok(Timestamp::from_millis(row.try_get("", "now_ms")?))
    }
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.0.close().await?)
    }
}

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const WAL_SIZE_LIMIT: &str = "67108864";
const STATEMENT_CACHE: usize = 512;

/// A parameter of an SQLite URL that bounds the file, in pages of 4 KiB: `?max_page_count=250000`.
/// SQLite applies it to a connection; one that would grow the file further is refused with
/// "database or disk is full". A bound below what the file has is what it has.
const MAX_PAGES: &str = "max_page_count=";

/// The URL without [`MAX_PAGES`], and its value.
fn take_max_pages(url: &str) -> (String, Option<u32>) {
    let Some((file, query)) = url.split_once('?').filter(|_| url.starts_with("sqlite:")) else {
        return (url.to_owned(), None);
    };
    let bound = |part: &str| part.strip_prefix(MAX_PAGES)?.parse().ok();
    let max_pages = query.split('&').find_map(bound);
    let rest: Vec<&str> = query.split('&').filter(|part| bound(part).is_none()).collect();
    let separator = if rest.is_empty() { "" } else { "?" };
    (format!("{file}{separator}{}", rest.join("&")), max_pages)
}

fn options(url: &str, connections: u32) -> ConnectOptions {
    let (url, max_pages) = take_max_pages(url);
    let mut options = ConnectOptions::new(creating(&url));
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_timeout(Duration::from_secs(5))
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let bounded = match max_pages {
                Some(pages) => sqlite.pragma("max_page_count", pages.to_string()),
                None => sqlite,
            };
            bounded
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .auto_vacuum(SqliteAutoVacuum::None)
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("journal_size_limit", WAL_SIZE_LIMIT)
                .statement_cache_capacity(STATEMENT_CACHE)
        });
    options
}

/// Opens the pool of readers. A database file that is not there yet is made.
pub async fn open_readers(url: &str, connections: u32) -> Result<Readers, StoreError> {
    Ok(Readers(Database::connect(options(url, connections)).await?))
}

/// Opens the one connection that writes; whoever holds it shares it with nobody.
pub async fn open_writer(url: &str) -> Result<DatabaseConnection, StoreError> {
    Ok(Database::connect(options(url, 1)).await?)
}

/// Begins a transaction that may write at once: on SQLite IMMEDIATE, so that it cannot fail later
/// for want of the write lock.
pub async fn begin_write(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    db.begin_with_options(TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    })
    .await
}

fn creating(url: &str) -> String {
    if !url.starts_with("sqlite:") || url.contains("mode=") || url.contains(":memory:") {
        return url.to_owned();
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}mode=rwc")
}

/// The file behind an SQLite URL; `None` for other databases and for memory.
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split('?').next().unwrap_or_default();
    (!path.is_empty() && !path.contains(":memory:")).then(|| PathBuf::from(path))
}

/// Why a second server on the same SQLite file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ServeLockError {
    #[error(
        "{0} is in use by another `buynow serve`: SQLite carries one process; \
         for several use PostgreSQL or MariaDB"
    )]
    Held(PathBuf),
    #[error("cannot lock {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
}

/// Held for as long as this process serves on an SQLite file.
#[derive(Debug)]
pub struct ServeLock(#[allow(dead_code, reason = "held for its lock")] std::fs::File);

/// Takes the lock `<file>.serve-lock`, without waiting.
pub fn take_serve_lock(database: &Path) -> Result<ServeLock, ServeLockError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".serve-lock");
    let path = PathBuf::from(name);
    let io = |source| ServeLockError::Io { path: path.clone(), source };
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(ServeLock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(ServeLockError::Held(database.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_told_from_the_state_of_the_database() {
        for code in ["19", "1299", "1555", "2067", "1", "20", "23505", "22001", "23000"] {
            assert!(is_content_code(code), "{code}");
        }
        for code in ["5", "6", "13", "10", "778", "14", "8", "261", "40001", "57014", "53100"] {
            assert!(!is_content_code(code), "{code}");
        }
    }

    #[test]
    fn the_file_of_an_sqlite_url_is_found() {
        for (url, file) in [
            ("sqlite://buynow.db", Some("buynow.db")),
            ("sqlite:///var/lib/buynow.db?mode=rwc", Some("/var/lib/buynow.db")),
            ("sqlite::memory:", None),
            ("postgres://localhost/buynow", None),
        ] {
            assert_eq!(sqlite_file(url), file.map(PathBuf::from), "{url}");
        }
    }

    #[test]
    fn the_bound_of_the_file_is_taken_out_of_the_url() {
        for (url, rest, bound) in [
            ("sqlite://a.db", "sqlite://a.db", None),
            ("sqlite://a.db?max_page_count=9", "sqlite://a.db", Some(9)),
            ("sqlite://a.db?mode=rw&max_page_count=9", "sqlite://a.db?mode=rw", Some(9)),
            ("sqlite://a.db?max_page_count=x", "sqlite://a.db?max_page_count=x", None),
        ] {
            assert_eq!(take_max_pages(url), (rest.to_owned(), bound));
        }
    }

    #[test]
    fn a_second_server_on_the_same_file_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let database = dir.path().join("shop.db");
        let first = take_serve_lock(&database).expect("the first server takes the lock");
        assert!(matches!(take_serve_lock(&database), Err(ServeLockError::Held(_))));
        drop(first);
        assert!(take_serve_lock(&database).is_ok());
    }
}
