//! One order, with everything that staff may want to know of it.

use entity::{order, order_event, payment, payment_attempt, refund};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::super::db::{Readers, StoreError};
use super::super::rows;
use super::inbox::{MessageRow, messages_of};
use super::list::{StaffOrder, staff_orders};
use crate::domain::attempt::Attempt;
use crate::domain::id::{HappeningId, OrderId, WxappId};
use crate::domain::notification::Facts;
use crate::domain::payment::{Payment, Refund};
use crate::domain::time::Timestamp;
use crate::domain::timeline::{Happening, What, Who};

/// Entries of a timeline that are shown; the oldest ones.
const TIMELINE_MAX: u64 = 500;
const ROWS_MAX: u64 = 100;

/// An order with its timeline, money and messages.
#[derive(Debug, Clone)]
pub struct OrderDetail {
    pub order: StaffOrder,
    /// The oldest first; it begins with the order being placed.
    pub timeline: Vec<Happening>,
    pub attempts: Vec<Attempt>,
    pub payments: Vec<Payment>,
    pub refunds: Vec<Refund>,
    pub messages: Vec<MessageRow>,
}

/// One order of this mini-program.
pub async fn detail(
    readers: &Readers,
    wxapp: WxappId,
    id: OrderId,
) -> Result<Option<OrderDetail>, StoreError> {
    let row = order::Entity::find_by_id(id.get())
        .filter(order::Column::WxappId.eq(wxapp.get()))
        .one(readers.db())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let placed = placed(&row)?;
    let Some(order) = staff_orders(readers, vec![row]).await?.pop() else { return Ok(None) };
    Ok(Some(OrderDetail {
        order,
        timeline: timeline(readers, id, placed).await?,
        attempts: attempts(readers, id).await?,
        payments: payments(readers, id).await?,
        refunds: refunds(readers, id).await?,
        messages: messages_of(readers, id).await?,
    }))
}

/// That it was placed stands in the order itself, not in its timeline.
fn placed(row: &order::Model) -> Result<Happening, StoreError> {
    let bad = |error| StoreError::row("order", error);
    Ok(Happening {
        id: HappeningId::parse(row.id).map_err(bad)?,
        wxapp: WxappId::parse(row.wxapp_id).map_err(bad)?,
        order: OrderId::parse(row.id).map_err(bad)?,
        what: What::Placed,
        who: Who::Buyer,
        detail: Facts::new(),
        at: Timestamp::from_millis(row.created_at),
    })
}

async fn timeline(
    readers: &Readers,
    id: OrderId,
    placed: Happening,
) -> Result<Vec<Happening>, StoreError> {
    let rows = order_event::Entity::find()
        .filter(order_event::Column::OrderId.eq(id.get()))
        .order_by_asc(order_event::Column::Id)
        .limit(TIMELINE_MAX)
        .all(readers.db())
        .await?;
    let mut timeline: Vec<Happening> = std::iter::once(Ok(placed))
        .chain(rows.into_iter().map(rows::shipments::happening))
        .collect::<Result<_, _>>()?;
    // Ids come in blocks, so those of two processes do not tell which was first.
    timeline.sort_by_key(|happening| happening.at);
    Ok(timeline)
}

async fn attempts(readers: &Readers, id: OrderId) -> Result<Vec<Attempt>, StoreError> {
    let rows = payment_attempt::Entity::find()
        .filter(payment_attempt::Column::OrderId.eq(id.get()))
        .order_by_asc(payment_attempt::Column::Id)
        .limit(ROWS_MAX)
        .all(readers.db())
        .await?;
    rows.into_iter().map(rows::payments::attempt).collect()
}

async fn payments(readers: &Readers, id: OrderId) -> Result<Vec<Payment>, StoreError> {
    let rows = payment::Entity::find()
        .filter(payment::Column::OrderId.eq(id.get()))
        .order_by_asc(payment::Column::Id)
        .limit(ROWS_MAX)
        .all(readers.db())
        .await?;
    rows.into_iter().map(rows::payments::payment).collect()
}

async fn refunds(readers: &Readers, id: OrderId) -> Result<Vec<Refund>, StoreError> {
    let rows = refund::Entity::find()
        .filter(refund::Column::OrderId.eq(id.get()))
        .order_by_asc(refund::Column::Id)
        .limit(ROWS_MAX)
        .all(readers.db())
        .await?;
    rows.into_iter().map(rows::payments::refund).collect()
}
