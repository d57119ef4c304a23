//! The one connection that writes, what it is given to write, and what names a database.

use std::path::{Path, PathBuf};

use sea_orm::sea_query::LockType;
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

pub use super::connect::is_galera;
use super::connect::options;
pub use super::errors::StoreError;
pub use super::readers::{Readers, open_readers};

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
pub struct Write(Vec<Step>);

#[derive(Debug, Clone)]
struct Step {
    statement: Statement,
    /// Without a row to change, nothing of the whole write is done.
    must_meet: bool,
}

impl Write {
    pub(crate) fn one(statement: Statement) -> Self {
        Self::all([statement])
    }
    pub(crate) fn all(statements: impl IntoIterator<Item = Statement>) -> Self {
        let step = |statement| Step { statement, must_meet: false };
        Self(statements.into_iter().map(step).collect())
    }
    /// A condition that only the database can decide: the statement meets a row, or the whole write
    /// is refused. It must really write, or nodes of a Galera cluster do not hear of it.
    pub(crate) fn must_meet(statement: Statement) -> Self {
        Self(vec![Step { statement, must_meet: true }])
    }
    pub(crate) fn and(self, statement: Statement) -> Self {
        self.then(Self::one(statement))
    }
    /// Executes the statements in their order; what must meet a row and does not is an error about
    /// content ([`StoreError::NotMet`]).
    pub(crate) async fn execute(&self, db: &impl ConnectionTrait) -> Result<(), StoreError> {
        for Step { statement, must_meet } in &self.0 {
            let done = db.execute_raw(statement.clone()).await?;
            if *must_meet && done.rows_affected() == 0 {
                return Err(StoreError::NotMet);
            }
        }
        Ok(())
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

/// Opens the one connection that writes; whoever holds it shares it with nobody.
pub async fn open_writer(url: &str) -> Result<DatabaseConnection, StoreError> {
    Ok(Database::connect(options(url, 1)).await?)
}

/// The URL of a database beside this one on the same server, whose name ends with `_<suffix>`; a
/// name that ends so already stays. `None` for SQLite.
pub fn beside(url: &str, suffix: &str) -> Option<String> {
    let (server, path) = split_server(url)?;
    let (name, query) = match path.split_once('?') {
        Some((name, query)) => (name, format!("?{query}")),
        None => (path, String::new()),
    };
    let ending = if name.ends_with(suffix) { String::new() } else { format!("_{suffix}") };
    Some(format!("{server}/{name}{ending}{query}"))
}

/// `postgres://user@host:5432` and `buynow?sslmode=require`.
fn split_server(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://").filter(|_| !url.starts_with("sqlite:"))? + "://".len();
    let slash = start + url[start..].find('/')?;
    Some((&url[..slash], &url[slash + 1..]))
}

/// Makes a database on a server, with the rights of `from`, unless it can be opened already.
pub async fn create_database(from: &str, url: &str) -> Result<(), StoreError> {
    if let Ok(there) = open_writer(url).await {
        return Ok(there.close().await?);
    }
    let name = split_server(url).and_then(|(_, path)| path.split('?').next());
    let name = name.filter(|name| is_plain_name(name));
    let name = name.ok_or_else(|| StoreError::row("(database)", "its name has odd characters"))?;
    let db = open_writer(from).await?;
    let made = db.execute_unprepared(&format!("CREATE DATABASE {name}")).await;
    db.close().await?;
    made?;
    Ok(())
}

/// Needs no quotes.
fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit())
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

/// The lock under which a batch reads the rows that it may change. PostgreSQL has one that lets
/// others go on inserting rows that name this one.
pub(super) fn row_lock(db: &impl ConnectionTrait) -> LockType {
    match db.get_database_backend() {
        DbBackend::Postgres => LockType::NoKeyUpdate,
        _ => LockType::Update,
    }
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
    fn a_database_beside_another_has_a_name_of_its_own() {
        for (url, expected) in [
            ("postgres://u:p@h:1/shop", Some("postgres://u:p@h:1/shop_demo")),
            ("mysql://h/shop?ssl-mode=disabled", Some("mysql://h/shop_demo?ssl-mode=disabled")),
            ("mysql://h/shop_demo", Some("mysql://h/shop_demo")),
            ("sqlite://shop.db", None),
        ] {
            assert_eq!(beside(url, "demo").as_deref(), expected, "{url}");
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
