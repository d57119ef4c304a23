//! Deletes rows that have served: idempotency keys after their days, sessions of buyers and staff
//! that have run out, claims that nobody came back for.

use entity::{admin_session, idempotency, session, work_claim};
use sea_orm::sea_query::{DeleteStatement, Query};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, Order, QueryFilter, QueryTrait, StatementBuilder,
};

use super::db::Write;
use crate::domain::time::Timestamp;

/// Rows of each kind that one sweep deletes at the most, so that no commit becomes long.
const ROWS_MAX: u64 = 5_000;
/// A claim that ran out so long ago is about nothing that is still to do.
const CLAIM_SECONDS: i64 = 24 * 3600;

/// One sweep.
pub fn sweep(backend: DbBackend, keys_before: Timestamp, now: Timestamp) -> Write {
    let keys = old_keys(backend, keys_before);
    let sessions =
        session::Entity::delete_many().filter(session::Column::ExpiresAt.lt(now.as_millis()));
    let staff = admin_session::Entity::delete_many()
        .filter(admin_session::Column::ExpiresAt.lt(now.as_millis()));
    let run_out = now.plus_seconds(-CLAIM_SECONDS).as_millis();
    let claims = work_claim::Entity::delete_many().filter(work_claim::Column::Until.lt(run_out));
    Write::one(StatementBuilder::build(&keys, &backend))
        .and(sessions.build(backend))
        .and(staff.build(backend))
        .and(claims.build(backend))
}

/// MySQL bounds a DELETE itself, and reads no table in a subquery that it deletes from.
fn old_keys(backend: DbBackend, before: Timestamp) -> DeleteStatement {
    let is_old = idempotency::Column::CreatedAt.lt(before.as_millis());
    let mut keys = Query::delete().from_table(idempotency::Entity).to_owned();
    if backend == DbBackend::MySql {
        let created_at = idempotency::Column::CreatedAt;
        return keys.and_where(is_old).order_by(created_at, Order::Asc).limit(ROWS_MAX).take();
    }
    let newest = Query::select()
        .column(idempotency::Column::CreatedAt)
        .from(idempotency::Entity)
        .and_where(is_old)
        .order_by(idempotency::Column::CreatedAt, Order::Asc)
        .limit(ROWS_MAX)
        .to_owned();
    keys.and_where(idempotency::Column::CreatedAt.in_subquery(newest)).take()
}
