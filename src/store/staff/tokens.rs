//! Tokens for `/api/admin/v1`: scoped, expiring, and never worth more than their maker.

use std::collections::BTreeSet;

use entity::admin_token::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};

use super::{Member, scope_from, scope_number};
use crate::domain::id::StaffId;
use crate::domain::staff::{Right, Scope};
use crate::domain::time::Timestamp;
use crate::store::db::{Readers, StoreError, Write};

/// The most tokens that are good at once: all of them are listed.
pub const TOKENS_MAX: usize = 200;

/// A token, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    pub id: i64,
    pub staff: StaffId,
    pub name: String,
    pub rights: BTreeSet<Right>,
    pub scope: Scope,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// The token behind this hash, and whose it is; `None` when there is none that is good now, or when
/// the account is disabled.
pub async fn find(
    readers: &Readers,
    token_hash: &str,
    now: Timestamp,
) -> Result<Option<(AdminToken, Member)>, StoreError> {
    let row = Entity::find()
        .filter(Column::TokenHash.eq(token_hash))
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now.as_millis()))
        .one(readers.db())
        .await?;
    let Some(token) = row.map(token).transpose()? else { return Ok(None) };
    let member = super::by_id(readers, token.staff).await?;
    let active = member.filter(|member| member.disabled_at.is_none());
    Ok(active.map(|member| (token, member)))
}

/// The tokens that are good now, the newest first.
pub async fn all(readers: &Readers, now: Timestamp) -> Result<Vec<AdminToken>, StoreError> {
    let rows = Entity::find()
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now.as_millis()))
        .order_by_desc(Column::CreatedAt)
        .limit(TOKENS_MAX as u64)
        .all(readers.db())
        .await?;
    rows.into_iter().map(token).collect()
}

fn token(row: Model) -> Result<AdminToken, StoreError> {
    Ok(AdminToken {
        id: row.id,
        staff: StaffId::parse(row.admin_id)
            .map_err(|error| StoreError::row("admin_token", error))?,
        name: row.name,
        // A right that this binary does not know gives nothing.
        rights: row.rights.split_whitespace().filter_map(Right::parse).collect(),
        scope: scope_from("admin_token", row.wxapp_id)?,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        used_at: row.used_at.map(Timestamp::from_millis),
    })
}

/// Makes a token; its value itself is not kept.
pub fn insert(backend: DbBackend, token_hash: &str, token: &AdminToken) -> Write {
    let rights: Vec<&str> = token.rights.iter().map(|right| right.as_str()).collect();
    let row = Model {
        id: token.id,
        admin_id: token.staff.get(),
        name: token.name.clone(),
        token_hash: token_hash.to_owned(),
        rights: rights.join(" "),
        wxapp_id: scope_number(token.scope),
        created_at: token.created_at.as_millis(),
        expires_at: token.expires_at.as_millis(),
        used_at: None,
        revoked_at: None,
    };
    Write::one(Entity::insert(row.into_active_model()).build(backend))
}

/// Notes that a token was used.
pub fn touch(backend: DbBackend, id: i64, now: Timestamp) -> Write {
    let update = Entity::update_many()
        .filter(Column::Id.eq(id))
        .col_expr(Column::UsedAt, Expr::value(now.as_millis()));
    Write::one(update.build(backend))
}

/// Ends one token.
pub fn revoke(backend: DbBackend, id: i64, now: Timestamp) -> Write {
    revoke_where(backend, Column::Id, id, now)
}

/// Ends all tokens of one member.
pub fn revoke_all_of(backend: DbBackend, staff: StaffId, now: Timestamp) -> Write {
    revoke_where(backend, Column::AdminId, staff.get(), now)
}

fn revoke_where(backend: DbBackend, column: Column, value: i64, now: Timestamp) -> Write {
    let update = Entity::update_many()
        .filter(column.eq(value))
        .filter(Column::RevokedAt.is_null())
        .col_expr(Column::RevokedAt, Expr::value(now.as_millis()));
    Write::one(update.build(backend))
}
