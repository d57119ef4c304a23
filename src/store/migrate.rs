//! Brings the schema up to date, under a lock, and refuses a binary that is too old for it.

use migration::{Migrator, MigratorTrait};
use sea_orm::{DatabaseConnection, EntityTrait};

use super::db::{StoreError, begin_write};

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("this database needs buynow {needed} or newer; this is {ours}: use the newer binary")]
    BinaryTooOld { needed: String, ours: &'static str },
}

impl From<sea_orm::DbErr> for MigrateError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// Runs what is missing. Two processes that start at the same moment take turns: on SQLite all of
/// it is one IMMEDIATE transaction.
pub async fn up(db: &DatabaseConnection) -> Result<(), MigrateError> {
    let txn = begin_write(db).await?;
    Migrator::up(&txn, None).await?;
    txn.commit().await?;
    check_binary(db, env!("CARGO_PKG_VERSION")).await
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
    use sea_orm::{ConnectionTrait, Database};

    use super::*;

    #[tokio::test]
    async fn migrations_run_twice_and_back() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        up(&db).await.unwrap();
        up(&db).await.unwrap();
        Migrator::down(&db, None).await.unwrap();
        up(&db).await.unwrap();
    }

    #[tokio::test]
    async fn a_binary_below_the_databases_is_refused() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        up(&db).await.unwrap();
        db.execute_unprepared("UPDATE schema_info SET min_binary = '99.0.0'").await.unwrap();
        let error = up(&db).await.unwrap_err();
        assert!(error.to_string().contains("99.0.0"), "{error}");
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version("0.10.0") > version("0.9.9"));
        assert!(version("1.0") > version("0.99.99"));
    }
}
