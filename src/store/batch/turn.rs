//! Whose turn it is at a hot SKU, among the processes of one database.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement};

use super::super::db::StoreError;
use crate::domain::id::SkuId;

/// Our part of the database's advisory locks.
const CLASS: i32 = 0x62_6e;

/// Whether this database has turns: locks that are no row's, wait in line, and end with the
/// transaction. On MySQL named locks belong to the session, and on Galera to one node.
pub fn has_turns(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// Waits until no other transaction has the turn at this SKU; ours ends with the transaction. It
/// must be asked for before any row, so that nobody who waits for it holds what others wait for.
/// SKUs that share a turn, as their ids are alike in 31 bits, only wait for each other in vain.
///
/// # Errors
/// As for a row that stays locked, and whatever the database says.
pub async fn wait_for_turn(txn: &DatabaseTransaction, sku: SkuId) -> Result<(), StoreError> {
    let key = i32::try_from(sku.get() & i64::from(i32::MAX)).unwrap_or_default();
    let sql = "SELECT pg_advisory_xact_lock($1, $2)";
    let values = [CLASS.into(), key.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    txn.execute_raw(statement).await?;
    Ok(())
}
