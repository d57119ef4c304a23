//! What is in a copy: whether SQLite finds it sound, whose tables it has, how new it is.

use std::path::Path;
use std::time::Duration;

use migration::{Migrator, MigratorTrait as _};
use sea_orm::sqlx::sqlite::SqliteJournalMode;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, QueryResult,
    RuntimeErr, Statement,
};

use super::{BackupError, Contents};
use crate::domain::time::Timestamp;
use crate::store::db::StoreError;
use crate::store::migrate;

/// Opens a file without a write-ahead log, so that it stays one file. Turning the log of a database
/// off needs the file for oneself: with anybody else in it this fails as busy.
pub(super) async fn open_alone(file: &Path) -> Result<DatabaseConnection, StoreError> {
    // The name goes in by the option: in a URL some of its characters would mean something.
    let name = file.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(1)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&name)
                .in_memory(false)
                .shared_cache(false)
                .journal_mode(SqliteJournalMode::Delete)
                .busy_timeout(Duration::from_secs(1))
        });
    Ok(Database::connect(options).await?)
}

/// The primary result code of SQLite, when it is SQLite that complains.
pub(super) fn sqlite_code(error: &StoreError) -> Option<u32> {
    let StoreError::Database(error) = error else { return None };
    let error = match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => error,
        _ => return None,
    };
    let code = error.as_database_error()?.code()?.parse::<u32>().ok()?;
    Some(code & 0xff)
}

/// Everything that SQLite checks in a file: pages, indexes, constraints, foreign keys.
pub(super) async fn check_soundness(
    file: &Path,
    db: &DatabaseConnection,
) -> Result<(), BackupError> {
    let found = texts(db, "PRAGMA integrity_check(1)", "integrity_check").await;
    match found.map_err(|error| BackupError::store(file, error))?.as_slice() {
        [fine] if fine == "ok" => {}
        [first, ..] => return Err(BackupError::damaged(file, first.as_str())),
        [] => return Err(BackupError::damaged(file, "it cannot be checked")),
    }
    let orphans = rows(db, "PRAGMA foreign_key_check").await;
    if let Some(row) = orphans.map_err(|error| BackupError::store(file, error))?.first() {
        let table: String = row.try_get("", "table").unwrap_or_default();
        return Err(BackupError::damaged(file, format!("a row of {table} refers to none")));
    }
    Ok(())
}

/// Tables, indexes and triggers, as they were made.
pub(super) async fn shape(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT type || ' ' || name || ' ' || COALESCE(sql, '') AS made FROM sqlite_schema \
               WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name";
    texts(db, sql, "made").await
}

/// Refuses what is not a database of buynow, or one of a newer buynow.
pub(super) async fn check_schema(file: &Path, db: &DatabaseConnection) -> Result<(), BackupError> {
    let store = |error: DbErr| BackupError::store(file, error);
    let ours = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                AND name IN ('schema_info', 'seaql_migrations', 'order', 'sku')";
    if texts(db, ours, "name").await.map_err(store)?.len() < 4 {
        return Err(BackupError::Foreign(file.to_owned()));
    }
    let binary = migrate::check_binary(db, env!("CARGO_PKG_VERSION")).await;
    binary.map_err(|source| BackupError::Binary { file: file.to_owned(), source })?;
    let known: Vec<String> = Migrator::migrations().iter().map(|m| m.name().to_owned()).collect();
    let steps = "SELECT version FROM seaql_migrations ORDER BY version";
    let steps = texts(db, steps, "version").await.map_err(store)?;
    match steps.into_iter().find(|step| !known.contains(step)) {
        None => Ok(()),
        Some(step) => {
            let ours = env!("CARGO_PKG_VERSION");
            Err(BackupError::NewerSchema { file: file.to_owned(), step, ours })
        }
    }
}

/// How much is in a file, and how new it is.
pub(super) async fn contents(
    file: &Path,
    db: &DatabaseConnection,
) -> Result<Contents, BackupError> {
    let sql = "SELECT COUNT(*) AS orders, MAX(created_at) AS newest FROM \"order\"";
    let rows = rows(db, sql).await.map_err(|error| BackupError::store(file, error))?;
    let row = rows.first().ok_or_else(|| BackupError::damaged(file, "it does not count"))?;
    let newest: Option<i64> =
        row.try_get("", "newest").map_err(|error| BackupError::store(file, error))?;
    let bytes = std::fs::metadata(file).map_err(super::files::doing("read", file))?.len();
    Ok(Contents {
        bytes,
        orders: row.try_get("", "orders").map_err(|error| BackupError::store(file, error))?,
        newest_order: newest.map(Timestamp::from_millis),
    })
}

async fn rows(db: &impl ConnectionTrait, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await
}

async fn texts(db: &impl ConnectionTrait, sql: &str, column: &str) -> Result<Vec<String>, DbErr> {
    rows(db, sql).await?.iter().map(|row| row.try_get("", column)).collect()
}
