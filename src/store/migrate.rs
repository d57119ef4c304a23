//! Brings the schema up to date, under a lock, and refuses a binary that is too old for it.
//!
//! Two processes that start at the same moment take turns: on SQLite and PostgreSQL all of it is
//! one transaction, which takes the write lock or an advisory lock first; on MySQL and MariaDB,
//! where a schema is not changed by transactions, a named lock is held meanwhile, and a step that
//! was cut off in the middle is run again from its beginning. (On Galera a named lock holds on one
//! node only: `buynow migrate` is run once there, and a server that starts only looks,
//! [`at_start`].) What a newer binary has added is left alone.

use std::collections::HashSet;

use migration::{
    Migrator, MigratorTrait, SchemaManager, SchemaManagerConnection, seaql_migrations,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, IntoActiveModel, Statement,
};

use super::connect::is_galera;
use super::db::{StoreError, begin_write};
use super::errors::{Trouble, trouble};

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("this database needs buynow {needed} or newer; this is {ours}: use the newer binary")]
    BinaryTooOld { needed: String, ours: &'static str },
    #[error(
        "the tables of this Galera cluster are not up to date, and a node cannot lock the others \
         out: run `buynow migrate` once, then serve"
    )]
    Behind,
    #[error("another process has been migrating this database for {LOCK_SECONDS} seconds")]
    Busy,
}

impl From<sea_orm::DbErr> for MigrateError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// Runs what is missing.
pub async fn up(db: &DatabaseConnection) -> Result<(), MigrateError> {
    if db.get_database_backend() == DbBackend::MySql {
        up_under_named_lock(db).await?;
    } else {
        let txn = begin_write(db).await?;
        if txn.get_database_backend() == DbBackend::Postgres {
            txn.execute_unprepared(&advisory_lock()).await?;
        }
        run_pending(&SchemaManager::new(&txn)).await?;
        txn.commit().await?;
    }
    check_binary(db, env!("CARGO_PKG_VERSION")).await
}

/// What a server does at its start: runs what is missing, but on Galera only looks whether
/// something is, since two nodes do not see each other's named locks.
pub async fn at_start(db: &DatabaseConnection) -> Result<(), MigrateError> {
    if !is_galera(db).await? {
        return up(db).await;
    }
    let done = match seaql_migrations::Entity::find().all(db).await {
        // There is no such table yet.
        Err(error) if trouble(&error) == Trouble::Content => Vec::new(),
        done => done?,
    };
    let is_done = |name: &str| done.iter().any(|row| row.version == name);
    if !Migrator::migrations().iter().all(|step| is_done(step.name())) {
        return Err(MigrateError::Behind);
    }
    check_binary(db, env!("CARGO_PKG_VERSION")).await
}

/// How long the migrations of another process are waited for.
const LOCK_SECONDS: u32 = 120;
/// Any number that nobody else uses on this database.
const ADVISORY_KEY: i64 = 0x6275_796e_6f77;

/// Held to the end of the transaction; DDL may have to wait for the statements of a server too.
fn advisory_lock() -> String {
    format!(
        "SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SELECT pg_advisory_xact_lock({ADVISORY_KEY})"
    )
}

/// `db` has one connection, so lock and migrations are of one session.
async fn up_under_named_lock(db: &DatabaseConnection) -> Result<(), MigrateError> {
    let name = "CONCAT('buynow.', LEFT(SHA1(DATABASE()), 32))";
    let take = format!("SELECT CAST(GET_LOCK({name}, {LOCK_SECONDS}) AS SIGNED) AS taken");
    let taken = db.query_one_raw(Statement::from_string(DbBackend::MySql, take)).await?;
    let taken: Option<i64> = taken.map(|row| row.try_get("", "taken")).transpose()?.flatten();
    if taken != Some(1) {
        return Err(MigrateError::Busy);
    }
    let done = run_pending(&SchemaManager::new(db)).await;
    let give = format!("SELECT RELEASE_LOCK({name})");
    let given = db.query_one_raw(Statement::from_string(DbBackend::MySql, give)).await;
    done?;
    given?;
    Ok(())
}

/// Each is recorded when it is done.
async fn run_pending(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let done: HashSet<String> = applied(db).await?;
    // For people; nothing depends on it.
    let now = crate::clock::Clock::system().now();
    for step in Migrator::migrations() {
        let name = step.name().to_owned();
        if done.contains(&name) {
            continue;
        }
        tracing::info!(name, "migrating");
        step.up(manager).await?;
        let row = seaql_migrations::Model { version: name, applied_at: now.as_millis() / 1_000 };
        seaql_migrations::Entity::insert(row.into_active_model())
            .exec_without_returning(db)
            .await?;
    }
    Ok(())
}

async fn applied(db: &SchemaManagerConnection<'_>) -> Result<HashSet<String>, DbErr> {
    let rows = Migrator::get_migration_models(db).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Refuses when the database says that it needs a newer binary.
pub async fn check_binary(db: &DatabaseConnection, ours: &'static str) -> Result<(), MigrateError> {
    let info = entity::schema_info::Entity::find_by_id(1).one(db).await?;
    let needed = info.map(|row| row.min_binary).unwrap_or_default();
    if version(ours) < version(&needed) {
        return Err(MigrateError::BinaryTooOld { needed, ours });
    }
    Ok(())
}

fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::store::test_databases::{Kind, TestDatabase};

    #[tokio::test]
    async fn migrations_run_twice_and_back() {
        let database = TestDatabase::fresh().await;
        let db = database.stranger().await;
        up(&db).await.unwrap();
        up(&db).await.unwrap();
        Migrator::down(&db, None).await.unwrap();
        up(&db).await.unwrap();
    }

    #[tokio::test]
    async fn a_binary_below_the_databases_is_refused() {
        let database = TestDatabase::fresh().await;
        let db = database.stranger().await;
        up(&db).await.unwrap();
        db.execute_unprepared("UPDATE schema_info SET min_binary = '99.0.0'").await.unwrap();
        let error = up(&db).await.unwrap_err();
        assert!(error.to_string().contains("99.0.0"), "{error}");
    }

    #[tokio::test]
    async fn two_processes_that_start_at_the_same_moment_both_come_up() {
        let database = TestDatabase::fresh().await;
        let (one, other) = (database.stranger().await, database.stranger().await);
        let (first, second) = tokio::join!(up(&one), up(&other));
        first.unwrap();
        second.unwrap();
        let applied = applied(&SchemaManagerConnection::Connection(&one)).await.unwrap();
        assert_eq!(applied.len(), Migrator::migrations().len());
    }

    #[tokio::test]
    async fn what_a_newer_binary_has_added_is_left_alone() {
        let database = TestDatabase::fresh().await;
        let db = database.stranger().await;
        up(&db).await.unwrap();
        let later = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2999_later', 0)";
        db.execute_unprepared(later).await.unwrap();
        up(&db).await.unwrap();
    }

    /// Where a schema is not changed by transactions.
    #[tokio::test]
    async fn a_step_that_was_cut_off_in_the_middle_is_run_again() {
        if Kind::chosen() != Kind::Mariadb {
            return;
        }
        let database = TestDatabase::fresh().await;
        let db = database.stranger().await;
        up(&db).await.unwrap();
        for sql in [
            "DELETE FROM seaql_migrations",
            "DROP TABLE message_grant",
            "DROP INDEX order_goods_sku_id_idx ON order_goods",
        ] {
            db.execute_unprepared(sql).await.unwrap();
        }
        up(&db).await.unwrap();
        db.execute_unprepared("DROP INDEX order_goods_sku_id_idx ON order_goods").await.unwrap();
        db.execute_unprepared("SELECT * FROM message_grant").await.unwrap();
    }

    /// Keys of buyers and of WeChat differ by case and by spaces at their end.
    #[tokio::test]
    async fn text_is_compared_by_its_bytes() {
        if Kind::chosen() != Kind::Mariadb {
            return;
        }
        let database = TestDatabase::fresh().await.migrated().await;
        let sql = "SELECT CONCAT(table_name, '.', column_name) AS name \
                   FROM information_schema.columns WHERE table_schema = DATABASE() \
                   AND table_name <> 'seaql_migrations' AND collation_name <> 'utf8mb4_bin'";
        let other = Statement::from_string(DbBackend::MySql, sql);
        let other = database.stranger().await.query_all_raw(other).await.unwrap();
        let name = |row: &sea_orm::QueryResult| row.try_get::<String>("", "name").unwrap();
        assert_eq!(other.iter().map(name).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert!(version("1.0") > version("0.99.99"));
    }
}
