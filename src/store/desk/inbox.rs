//! What waits for staff beside orders, and what they have done: incidents, messages, audit log,
//! stock ledger.

use entity::{audit_entry, incident, notification, stock_entry};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::db::{Readers, StoreError};
use super::super::page::{After, Page};
use crate::domain::desk::Subject;
use crate::domain::id::{IncidentId, OrderId, SkuId, WxappId};
use crate::domain::time::Timestamp;

/// Word of money that fits nothing we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    pub id: i64,
    pub mch_id: String,
    pub transaction_id: String,
    pub out_trade_no: String,
    pub amount_fen: i64,
    /// `unknown_number`, `wrong_amount`, `wrong_attach`, `wrong_mini_program`.
    pub reason: String,
    /// `open`, `matched`, `refunded`, `dismissed`.
    pub state: String,
    /// How often WeChat has said it.
    pub seen: i64,
    pub created_at: Timestamp,
    pub resolved_by: Option<i64>,
    pub resolution: Option<String>,
    pub order_id: Option<i64>,
}

/// A message of the outbox, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    pub id: i64,
    pub order_id: i64,
    pub event: String,
    /// `waiting`, `sending`, `sent`, `refused`, `probably_delivered`, `parked`, `skipped`.
    pub state: String,
    pub reason: Option<String>,
    pub tries: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What somebody has done. Of a changed address, before and after hold the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub staff_id: i64,
    pub action: String,
    pub subject: String,
    pub subject_id: i64,
    /// JSON.
    pub before: String,
    pub after: String,
    pub reason: String,
    pub at: Timestamp,
}

/// A movement of stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    pub seq: i64,
    pub kind: String,
    pub order_id: Option<i64>,
    pub delta: i64,
    pub balance: i64,
    /// `engine`, `seed`, `staff:ID`.
    pub who: String,
    pub reason: String,
    pub at: Timestamp,
}

/// Incidents in one state, the newest first.
pub async fn incidents(
    readers: &Readers,
    wxapp: WxappId,
    state: &str,
    after: Option<After>,
    limit: u32,
) -> Result<Page<IncidentRow>, StoreError> {
    let select = incident_select(wxapp, state, after).limit(u64::from(limit) + 1);
    let rows: Vec<IncidentRow> =
        select.all(readers.db()).await?.into_iter().map(incident_row).collect();
    Ok(Page::cut(rows, limit, |row| After { key: row.id, id: row.id }))
}

/// One incident of this mini-program.
pub async fn incident(
    readers: &Readers,
    wxapp: WxappId,
    id: IncidentId,
) -> Result<Option<IncidentRow>, StoreError> {
    let found = incident::Entity::find_by_id(id.get())
        .filter(incident::Column::WxappId.eq(wxapp.get()))
        .one(readers.db())
        .await?;
    Ok(found.map(incident_row))
}

pub(super) fn incident_select(
    wxapp: WxappId,
    state: &str,
    after: Option<After>,
) -> Select<incident::Entity> {
    let mut select = incident::Entity::find()
        .filter(incident::Column::WxappId.eq(wxapp.get()))
        .filter(incident::Column::State.eq(state));
    if let Some(after) = after {
        select = select.filter(incident::Column::Id.lt(after.id));
    }
    select.order_by_desc(incident::Column::Id)
}

fn incident_row(row: incident::Model) -> IncidentRow {
    IncidentRow {
        id: row.id,
        mch_id: row.mch_id,
        transaction_id: row.transaction_id,
        out_trade_no: row.out_trade_no,
        amount_fen: row.amount_fen,
        reason: row.reason,
        state: row.state,
        seen: row.seen,
        created_at: Timestamp::from_millis(row.created_at),
        resolved_by: row.resolved_by,
        resolution: row.resolution,
        order_id: row.order_id,
    }
}

/// Messages in one state, those first whose turn was longest ago.
pub async fn messages(
    readers: &Readers,
    wxapp: WxappId,
    state: &str,
    after: Option<After>,
    limit: u32,
) -> Result<Page<MessageRow>, StoreError> {
    let rows = message_select(wxapp, state, after).limit(u64::from(limit) + 1);
    let rows = rows.all(readers.db()).await?;
    let page = Page::cut(rows, limit, |row| After { key: row.next_at, id: row.id });
    Ok(Page { items: page.items.into_iter().map(message_row).collect(), next: page.next })
}

pub(super) fn message_select(
    wxapp: WxappId,
    state: &str,
    after: Option<After>,
) -> Select<notification::Entity> {
    use sea_orm::Condition;
    let mut select = notification::Entity::find()
        .filter(notification::Column::State.eq(state))
        .filter(notification::Column::WxappId.eq(wxapp.get()));
    if let Some(after) = after {
        let equal = Condition::all()
            .add(notification::Column::NextAt.eq(after.key))
            .add(notification::Column::Id.gt(after.id));
        let behind = Condition::any().add(notification::Column::NextAt.gt(after.key)).add(equal);
        select = select.filter(notification::Column::NextAt.gte(after.key)).filter(behind);
    }
    select.order_by_asc(notification::Column::NextAt).order_by_asc(notification::Column::Id)
}

/// Messages of one order, the oldest first.
pub(super) async fn messages_of(
    readers: &Readers,
    order: OrderId,
) -> Result<Vec<MessageRow>, StoreError> {
    let rows = notification::Entity::find()
        .filter(notification::Column::OrderId.eq(order.get()))
        .order_by_asc(notification::Column::Id)
        .limit(100)
        .all(readers.db())
        .await?;
    Ok(rows.into_iter().map(message_row).collect())
}

fn message_row(row: notification::Model) -> MessageRow {
    MessageRow {
        id: row.id,
        order_id: row.order_id,
        event: row.event,
        state: row.state,
        reason: row.reason,
        tries: row.tries,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    }
}

/// What was done, to one thing or to all, the newest first.
pub async fn audit_log(
    readers: &Readers,
    wxapp: WxappId,
    about: Option<Subject>,
    after: Option<After>,
    limit: u32,
) -> Result<Page<AuditRow>, StoreError> {
    let select = audit_select(wxapp, about, after).limit(u64::from(limit) + 1);
    let row = |row: audit_entry::Model| AuditRow {
        id: row.id,
        staff_id: row.staff_id,
        action: row.action,
        subject: row.subject,
        subject_id: row.subject_id,
        before: row.before_json,
        after: row.after_json,
        reason: row.reason,
        at: Timestamp::from_millis(row.created_at),
    };
    let own = |row: &audit_entry::Model| row.wxapp_id == wxapp.get();
    let rows = select.all(readers.db()).await?.into_iter().filter(own);
    let rows: Vec<AuditRow> = rows.map(row).collect();
    Ok(Page::cut(rows, limit, |row| After { key: row.id, id: row.id }))
}

pub(super) fn audit_select(
    wxapp: WxappId,
    about: Option<Subject>,
    after: Option<After>,
) -> Select<audit_entry::Entity> {
    // All entries about one thing are of one mini-program, which is looked at when they are read.
    let select = audit_entry::Entity::find();
    let mut select = match about {
        Some(about) => select
            .filter(audit_entry::Column::Subject.eq(about.kind()))
            .filter(audit_entry::Column::SubjectId.eq(about.id())),
        None => select.filter(audit_entry::Column::WxappId.eq(wxapp.get())),
    };
    if let Some(after) = after {
        select = select.filter(audit_entry::Column::Id.lt(after.id));
    }
    select.order_by_desc(audit_entry::Column::Id)
}

/// The ledger of a SKU, the newest first; the key of its pages is `seq`.
pub async fn stock_ledger(
    readers: &Readers,
    wxapp: WxappId,
    sku: SkuId,
    after: Option<After>,
    limit: u32,
) -> Result<Page<LedgerRow>, StoreError> {
    let select = ledger_select(wxapp, sku, after).limit(u64::from(limit) + 1);
    let row = |row: stock_entry::Model| LedgerRow {
        seq: row.seq,
        kind: row.kind,
        order_id: row.order_id,
        delta: row.delta,
        balance: row.balance,
        who: row.who,
        reason: row.reason,
        at: Timestamp::from_millis(row.created_at),
    };
    let rows: Vec<LedgerRow> = select.all(readers.db()).await?.into_iter().map(row).collect();
    Ok(Page::cut(rows, limit, |row| After { key: row.seq, id: row.seq }))
}

pub(super) fn ledger_select(
    wxapp: WxappId,
    sku: SkuId,
    after: Option<After>,
) -> Select<stock_entry::Entity> {
    let mut select = stock_entry::Entity::find()
        .filter(stock_entry::Column::SkuId.eq(sku.get()))
        .filter(stock_entry::Column::WxappId.eq(wxapp.get()));
    if let Some(after) = after {
        select = select.filter(stock_entry::Column::Seq.lt(after.key));
    }
    select.order_by_desc(stock_entry::Column::Seq)
}
