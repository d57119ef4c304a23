//! Log-ins to the admin site: listed, revocable, limited in idle and in absolute time.

use entity::admin_session::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};

use super::Member;
use crate::domain::id::StaffId;
use crate::domain::time::Timestamp;
use crate::store::db::{Readers, StoreError, Write};

/// A log-in ends when nobody has used it for so long, in seconds: 8 hours.
pub const IDLE_SECONDS: i64 = 8 * 3600;
/// A log-in ends after so long, used or not, in seconds: 7 days.
pub const ABSOLUTE_SECONDS: i64 = 7 * 24 * 3600;
/// The most log-ins that are listed.
const LISTED_MAX: u64 = 100;

/// A log-in of a member of staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminSession {
    /// By which people name it.
    pub id: i64,
    pub staff: StaffId,
    /// What each form of this session carries.
    pub form_token: String,
    /// What the browser said it is, shortened.
    pub client: String,
    pub created_at: Timestamp,
    pub seen_at: Timestamp,
    /// When the password was given last.
    pub confirmed_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The log-in behind the hash of a cookie, and who it is; `None` when there is none that is good
/// now, or when the account is disabled.
pub async fn find(
    readers: &Readers,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<(AdminSession, Member)>, StoreError> {
    let row = Entity::find_by_id(token_hash.to_owned())
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now.as_millis()))
        .filter(Column::SeenAt.gt(now.plus_seconds(-IDLE_SECONDS).as_millis()))
        .one(readers.db())
        .await?;
    let Some(session) = row.map(session).transpose()? else { return Ok(None) };
    let member = super::by_id(readers, session.staff).await?;
    let active = member.filter(|member| member.disabled_at.is_none());
    Ok(active.map(|member| (session, member)))
}

/// The log-ins of one member that are good now, the newest first.
pub async fn of_member(
    readers: &Readers,
    staff: StaffId,
    now: Timestamp,
) -> Result<Vec<AdminSession>, StoreError> {
    let rows = Entity::find()
        .filter(Column::AdminId.eq(staff.get()))
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now.as_millis()))
        .filter(Column::SeenAt.gt(now.plus_seconds(-IDLE_SECONDS).as_millis()))
        .order_by_desc(Column::CreatedAt)
        .limit(LISTED_MAX)
        .all(readers.db())
        .await?;
    rows.into_iter().map(session).collect()
}

fn session(row: Model) -> Result<AdminSession, StoreError> {
    Ok(AdminSession {
        id: row.id,
        staff: StaffId::parse(row.admin_id)
            .map_err(|error| StoreError::row("admin_session", error))?,
        form_token: row.form_token,
        client: row.client,
        created_at: Timestamp::from_millis(row.created_at),
        seen_at: Timestamp::from_millis(row.seen_at),
        confirmed_at: Timestamp::from_millis(row.confirmed_at),
        expires_at: Timestamp::from_millis(row.expires_at),
    })
}

/// Opens a log-in; the cookie's value itself is not kept.
pub fn insert(backend: DbBackend, token_hash: &str, session: &AdminSession) -> Write {
    let row = Model {
        token_hash: token_hash.to_owned(),
        id: session.id,
        admin_id: session.staff.get(),
        form_token: session.form_token.clone(),
        client: session.client.clone(),
        created_at: session.created_at.as_millis(),
        seen_at: session.seen_at.as_millis(),
        confirmed_at: session.confirmed_at.as_millis(),
        expires_at: session.expires_at.as_millis(),
        revoked_at: None,
    };
    Write::one(Entity::insert(row.into_active_model()).build(backend))
}

/// Notes that a log-in was used.
pub fn touch(backend: DbBackend, id: i64, now: Timestamp) -> Write {
    set(backend, id, Column::SeenAt, now)
}

/// Notes that the password was given again.
pub fn confirm(backend: DbBackend, id: i64, now: Timestamp) -> Write {
    set(backend, id, Column::ConfirmedAt, now)
}

fn set(backend: DbBackend, id: i64, column: Column, now: Timestamp) -> Write {
    let update = Entity::update_many()
        .filter(Column::Id.eq(id))
        .col_expr(column, Expr::value(now.as_millis()));
    Write::one(update.build(backend))
}

/// Which log-ins of a member are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    All,
    One(i64),
    AllBut(i64),
}

/// Ends log-ins of one member.
pub fn revoke(backend: DbBackend, staff: StaffId, which: Which, now: Timestamp) -> Write {
    let update = Entity::update_many()
        .filter(Column::AdminId.eq(staff.get()))
        .filter(Column::RevokedAt.is_null())
        .col_expr(Column::RevokedAt, Expr::value(now.as_millis()));
    let update = match which {
        Which::All => update,
        Which::One(id) => update.filter(Column::Id.eq(id)),
        Which::AllBut(id) => update.filter(Column::Id.ne(id)),
    };
    Write::one(update.build(backend))
}
