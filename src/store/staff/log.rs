//! The audit log (操作日志): who changed what, when, from what and to what.
//!
//! What staff do to orders is written by the batch that does it. Here is the rest, written in the
//! commit of the change it tells: accounts, roles, log-ins, tokens, and looks at personal data.
//! Passwords, secrets and hashes are never part of an entry.

use std::collections::BTreeMap;

use entity::audit_entry::{self, Column, Entity, Model};
use entity::{admin_user, order};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select,
};
use serde_json::Value;

use super::MEMBERS_MAX;
use crate::domain::id::{StaffId, WxappId};
use crate::domain::time::Timestamp;
use crate::store::db::{Readers, StoreError, Write};
pub use crate::store::desk::AuditRow;
use crate::store::page::{After, Page};

/// What stands for the command line where a member of staff is named.
pub const COMMAND_LINE: i64 = 0;
/// What stands for all mini-programs.
const EVERYWHERE: i64 = 0;

/// An entry to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    /// None: the command line.
    pub who: Option<StaffId>,
    /// None: not of one mini-program.
    pub shop: Option<WxappId>,
    /// At most 32 characters, such as `set_roles`.
    pub what: &'static str,
    pub about: About,
    pub before: Value,
    pub after: Value,
    /// The one-time key of the form: of two entries with one key of one person, the second is
    /// refused, and the change with it.
    pub key: Option<String>,
}

/// What stands where the desk's own entries have the hash of what was asked: a key of ours is no
/// key of the desk.
const NOT_OF_THE_DESK: &str = "site";

/// What an entry is about: a kind of at most 16 characters, and the id of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About(pub &'static str, pub i64);

impl About {
    pub fn staff(id: StaffId) -> Self {
        Self("staff", id.get())
    }
    pub fn token(id: i64) -> Self {
        Self("token", id)
    }
    pub fn order(id: i64) -> Self {
        Self("order", id)
    }
}

/// Writes an entry; it belongs into the commit of what it tells.
pub fn entry(backend: DbBackend, entry: Entry, now: Timestamp) -> Write {
    let row = Model {
        id: entry.id,
        wxapp_id: entry.shop.map_or(EVERYWHERE, WxappId::get),
        staff_id: entry.who.map_or(COMMAND_LINE, StaffId::get),
        action: entry.what.to_owned(),
        subject: entry.about.0.to_owned(),
        subject_id: entry.about.1,
        before_json: entry.before.to_string(),
        after_json: entry.after.to_string(),
        reason: String::new(),
        request_hash: entry.key.as_ref().map(|_| NOT_OF_THE_DESK.to_owned()),
        form_key: entry.key,
        created_at: now.as_millis(),
    };
    Write::one(Entity::insert(row.into_active_model()).build(backend))
}

/// The entries of one mini-program, or of what belongs to none; the newest first. `about`: of one
/// thing alone.
pub async fn entries(
    readers: &Readers,
    shop: Option<WxappId>,
    about: Option<(&str, i64)>,
    after: Option<After>,
    limit: u32,
) -> Result<Page<AuditRow>, StoreError> {
    let select = select(shop, about, after).limit(u64::from(limit) + 1);
    let rows = select.all(readers.db()).await?.into_iter().map(row).collect();
    Ok(Page::cut(rows, limit, |row: &AuditRow| After { key: row.at.as_millis(), id: row.id }))
}

pub(in crate::store) fn select(
    shop: Option<WxappId>,
    about: Option<(&str, i64)>,
    after: Option<After>,
) -> Select<Entity> {
    let shop = shop.map_or(EVERYWHERE, WxappId::get);
    let mut select = match about {
        // Not along the index by time, which would walk the whole log for the few about one thing:
        // the sum keeps every database from it.
        Some((kind, id)) => Entity::find()
            .filter(Column::Subject.eq(kind))
            .filter(Column::SubjectId.eq(id))
            .filter(Expr::col(Column::WxappId).add(0).eq(shop)),
        None => Entity::find().filter(Column::WxappId.eq(shop)),
    };
    if let Some(after) = after {
        let equal =
            Condition::all().add(Column::CreatedAt.eq(after.key)).add(Column::Id.lt(after.id));
        let behind = Condition::any().add(Column::CreatedAt.lt(after.key)).add(equal);
        select = select.filter(Column::CreatedAt.lte(after.key)).filter(behind);
    }
    select.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id)
}

/// Whether something was done under this key by this person.
pub async fn has_acted(readers: &Readers, who: StaffId, key: &str) -> Result<bool, StoreError> {
    let row = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::StaffId.eq(who.get()))
        .filter(Column::FormKey.eq(key))
        .into_tuple::<i64>();
    Ok(row.one(readers.db()).await?.is_some())
}

fn row(row: audit_entry::Model) -> AuditRow {
    AuditRow {
        id: row.id,
        staff_id: row.staff_id,
        action: row.action,
        subject: row.subject,
        subject_id: row.subject_id,
        before: row.before_json,
        after: row.after_json,
        reason: row.reason,
        at: Timestamp::from_millis(row.created_at),
    }
}

/// The log-ins of all staff, by id: who an entry or a timeline means.
pub async fn logins(readers: &Readers) -> Result<BTreeMap<i64, String>, StoreError> {
    let rows: Vec<(i64, String)> = admin_user::Entity::find()
        .select_only()
        .columns([admin_user::Column::Id, admin_user::Column::Login])
        .limit(MEMBERS_MAX)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(rows.into_iter().collect())
}

/// The numbers of orders, by id: what an entry about an order shows.
pub async fn order_numbers(
    readers: &Readers,
    ids: Vec<i64>,
) -> Result<BTreeMap<i64, String>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(i64, String)> = order::Entity::find()
        .select_only()
        .columns([order::Column::Id, order::Column::OrderNo])
        .filter(order::Column::Id.is_in(ids))
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(rows.into_iter().collect())
}
