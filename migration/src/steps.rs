//! How tables and indexes are made so that all databases keep the same values and tell the same
//! values apart.
//!
//! MySQL and MariaDB: text is utf8mb4 and compared by its bytes, because keys, order numbers and
//! openids differ by case; and since DDL is not transactional there, what a step has made before
//! the process died is found and left as it is when the step runs again.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::sqlx::{self, mysql::MySqlDatabaseError};
use sea_orm_migration::sea_orm::{DbBackend, RuntimeErr};

const DUPLICATE_INDEX: u16 = 1061;

/// The ways in which migrations make things; use these and not those of the manager.
#[async_trait::async_trait]
pub trait Steps {
    async fn make_table(&self, table: TableCreateStatement) -> Result<(), DbErr>;
    async fn make_index(&self, index: IndexCreateStatement) -> Result<(), DbErr>;
}

#[async_trait::async_trait]
impl Steps for SchemaManager<'_> {
    async fn make_table(&self, mut table: TableCreateStatement) -> Result<(), DbErr> {
        if self.get_database_backend() == DbBackend::MySql {
            table.if_not_exists().engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
        }
        self.create_table(table).await
    }

    async fn make_index(&self, index: IndexCreateStatement) -> Result<(), DbErr> {
        match self.create_index(index).await {
            Err(error) if mysql_number(&error) == Some(DUPLICATE_INDEX) => Ok(()),
            made => made,
        }
    }
}

fn mysql_number(error: &DbErr) -> Option<u16> {
    let DbErr::Exec(RuntimeErr::SqlxError(error)) = error else { return None };
    let sqlx::Error::Database(error) = error.as_ref() else { return None };
    Some(error.try_downcast_ref::<MySqlDatabaseError>()?.number())
}
