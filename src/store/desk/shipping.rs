//! What the shipping desk looks at: a clerk's last scan, what is to be shipped, what was printed.

use std::collections::BTreeMap;

use entity::{notification, order, shipment, slip_print};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, IntoActiveModel as _, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait as _, Select,
};

use super::super::db::{Readers, StoreError, Write};
use super::super::order_views::{self, ListState, OrderView};
use super::super::page::{After, Page};
use super::super::rows;
use crate::domain::id::{OrderId, ShipmentId, StaffId, WxappId};
use crate::domain::notification::Event;
use crate::domain::time::Timestamp;

/// Numbers that are looked for at a time.
const CHUNK: usize = 200;

/// The parcel that a clerk has shipped last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastScan {
    pub order: OrderId,
    pub order_no: String,
    pub parcel: ShipmentId,
    pub company_code: String,
    pub company: String,
    pub number: String,
    pub shipped_at: Timestamp,
    /// Until when the buyer's message waits; none: it may have left, and the scan stays.
    pub held_until: Option<Timestamp>,
}

/// What this clerk has shipped last in this mini-program.
pub async fn last_scan(
    readers: &Readers,
    wxapp: WxappId,
    staff: StaffId,
) -> Result<Option<LastScan>, StoreError> {
    let found = last_select(wxapp, staff).limit(1).one(readers.db()).await?;
    let Some(row) = found else { return Ok(None) };
    let order_no: Option<String> = order::Entity::find_by_id(row.order_id)
        .select_only()
        .column(order::Column::OrderNo)
        .into_tuple()
        .one(readers.db())
        .await?;
    let message = notification::Entity::find()
        .filter(notification::Column::OrderId.eq(row.order_id))
        .filter(notification::Column::Event.eq(Event::OrderShipped.as_str()))
        .filter(notification::Column::RefId.eq(row.id))
        .one(readers.db())
        .await?;
    let held_until = match &message {
        Some(message) => {
            rows::desk::unsent(message)?.map(|_| Timestamp::from_millis(message.next_at))
        }
        None => None,
    };
    let bad = |error| StoreError::row("shipment", error);
    Ok(Some(LastScan {
        order: OrderId::parse(row.order_id).map_err(bad)?,
        order_no: order_no.unwrap_or_default(),
        parcel: ShipmentId::parse(row.id).map_err(bad)?,
        company_code: row.company_code,
        company: row.company,
        number: row.number,
        shipped_at: Timestamp::from_millis(row.shipped_at),
        held_until,
    }))
}

/// Ids of two processes do not tell which was first; times do.
pub(super) fn last_select(wxapp: WxappId, staff: StaffId) -> Select<shipment::Entity> {
    shipment::Entity::find()
        .filter(shipment::Column::WxappId.eq(wxapp.get()))
        .filter(shipment::Column::StaffId.eq(staff.get()))
        .order_by_desc(shipment::Column::ShippedAt)
        .order_by_desc(shipment::Column::Id)
}

/// Orders that wait to be shipped, the oldest first: those behind a place in the list.
pub async fn to_ship(
    readers: &Readers,
    wxapp: WxappId,
    after: Option<After>,
    limit: u32,
) -> Result<Page<OrderView>, StoreError> {
    let select = to_ship_select(wxapp, after).limit(u64::from(limit) + 1);
    let rows = select.all(readers.db()).await?;
    let page = Page::cut(rows, limit, |row| After { key: row.created_at, id: row.id });
    let items = order_views::views(readers, page.items).await?;
    Ok(Page { items, next: page.next })
}

pub(super) fn to_ship_select(wxapp: WxappId, after: Option<After>) -> Select<order::Entity> {
    let mut orders = order::Entity::find()
        .filter(order::Column::WxappId.eq(wxapp.get()))
        .filter(order::Column::State.eq(ListState::Paid.as_str()));
    if let Some(after) = after {
        let equal = Condition::all()
            .add(order::Column::CreatedAt.eq(after.key))
            .add(order::Column::Id.gt(after.id));
        let behind = Condition::any().add(order::Column::CreatedAt.gt(after.key)).add(equal);
        orders = orders.filter(order::Column::CreatedAt.gte(after.key)).filter(behind);
    }
    orders.order_by_asc(order::Column::CreatedAt).order_by_asc(order::Column::Id)
}

/// How many orders wait to be shipped; no more than `max` are counted.
pub async fn count_to_ship(readers: &Readers, wxapp: WxappId, max: u64) -> Result<u64, StoreError> {
    let ids = to_ship_select(wxapp, None).select_only().column(order::Column::Id);
    let ids: Vec<i64> = ids.limit(max).into_tuple().all(readers.db()).await?;
    Ok(ids.len() as u64)
}

/// The orders with these numbers, in no order; at most as many as are asked for.
pub async fn by_numbers(
    readers: &Readers,
    wxapp: WxappId,
    numbers: &[&str],
) -> Result<Vec<OrderView>, StoreError> {
    let mut found = Vec::new();
    for numbers in numbers.chunks(CHUNK) {
        let rows = order::Entity::find()
            .filter(order::Column::WxappId.eq(wxapp.get()))
            .filter(order::Column::OrderNo.is_in(numbers.iter().copied()));
        found.extend(order_views::views(readers, rows.all(readers.db()).await?).await?);
    }
    Ok(found)
}

/// The orders with these ids, the oldest first.
pub async fn by_ids(
    readers: &Readers,
    wxapp: WxappId,
    ids: &[i64],
) -> Result<Vec<OrderView>, StoreError> {
    let rows = order::Entity::find()
        .filter(order::Column::WxappId.eq(wxapp.get()))
        .filter(order::Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(order::Column::CreatedAt)
        .order_by_asc(order::Column::Id);
    order_views::views(readers, rows.all(readers.db()).await?).await
}

/// Express numbers that parcels have already, each with the order of one of these parcels.
pub async fn numbers_in_use(
    readers: &Readers,
    wxapp: WxappId,
    numbers: &[&str],
) -> Result<Vec<(String, i64)>, StoreError> {
    let mut found = Vec::new();
    for numbers in numbers.chunks(CHUNK) {
        let rows: Vec<(String, i64)> = shipment::Entity::find()
            .select_only()
            .columns([shipment::Column::Number, shipment::Column::OrderId])
            .filter(shipment::Column::WxappId.eq(wxapp.get()))
            .filter(shipment::Column::Number.is_in(numbers.iter().copied()))
            .into_tuple()
            .all(readers.db())
            .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// That a slip was printed: with which others, by whom, how often, and when the last time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Print {
    pub job: i64,
    pub staff: i64,
    pub copies: i64,
    pub at: Timestamp,
}

fn print(row: slip_print::Model) -> Result<(OrderId, Print), StoreError> {
    let order =
        OrderId::parse(row.order_id).map_err(|error| StoreError::row("slip_print", error))?;
    let at = Timestamp::from_millis(row.printed_at);
    Ok((order, Print { job: row.job_id, staff: row.staff_id, copies: row.copies, at }))
}

/// Which of these orders have a slip on paper.
pub async fn prints(
    readers: &Readers,
    wxapp: WxappId,
    orders: &[i64],
) -> Result<BTreeMap<OrderId, Print>, StoreError> {
    let rows = slip_print::Entity::find()
        .filter(slip_print::Column::WxappId.eq(wxapp.get()))
        .filter(slip_print::Column::OrderId.is_in(orders.iter().copied()));
    rows.all(readers.db()).await?.into_iter().map(print).collect()
}

/// What this person has printed together, but for what was printed again since.
pub async fn print_job(
    readers: &Readers,
    wxapp: WxappId,
    job: i64,
    staff: StaffId,
) -> Result<BTreeMap<OrderId, Print>, StoreError> {
    let rows = job_select(wxapp, job, staff).all(readers.db()).await?;
    rows.into_iter().map(print).collect()
}

pub(super) fn job_select(wxapp: WxappId, job: i64, staff: StaffId) -> Select<slip_print::Entity> {
    slip_print::Entity::find()
        .filter(slip_print::Column::WxappId.eq(wxapp.get()))
        .filter(slip_print::Column::JobId.eq(job))
        .filter(slip_print::Column::StaffId.eq(staff.get()))
}

/// Marks slips as printed. One that has a mark refuses the whole write, unless it is printed
/// `again`: then it is counted, and is no part of the former print any more.
pub fn mark_printed(
    backend: DbBackend,
    wxapp: WxappId,
    orders: &[OrderId],
    print: &Print,
    again: bool,
) -> Write {
    use slip_print::Column;
    let row = |order: &OrderId| slip_print::Model {
        order_id: order.get(),
        wxapp_id: wxapp.get(),
        job_id: print.job,
        staff_id: print.staff,
        copies: print.copies,
        printed_at: print.at.as_millis(),
    };
    let rows = orders.iter().map(|order| row(order).into_active_model());
    let insert = slip_print::Entity::insert_many(rows);
    if !again {
        return Write::one(insert.build(backend));
    }
    let mut marked = OnConflict::column(Column::OrderId);
    marked
        .value(Column::Copies, Expr::col((slip_print::Entity, Column::Copies)).add(1))
        .value(Column::JobId, print.job)
        .value(Column::StaffId, print.staff)
        .value(Column::PrintedAt, print.at.as_millis());
    Write::one(insert.on_conflict(marked).build(backend))
}
