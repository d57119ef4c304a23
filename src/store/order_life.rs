//! What the reaper reads of orders that are about to expire, or have been on their way for long.

use entity::{notification, order, payment, refund};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::db::{Readers, StoreError, readable};
use super::payments::{OrderRef, order_ref};
use crate::domain::id::{OrderId, WxappId};
use crate::domain::notification::Event;
use crate::domain::payment::PaymentKind;
use crate::domain::time::Timestamp;

/// Unpaid orders of these mini-programs that expire in this span of time and whose buyers have not
/// been told; the first to expire first.
pub async fn expiring(
    readers: &Readers,
    wxapps: &[WxappId],
    (from, to): (Timestamp, Timestamp),
    limit: u64,
) -> Result<Vec<OrderRef>, StoreError> {
    let told = Query::select()
        .column(notification::Column::OrderId)
        .from(notification::Entity)
        .and_where(
            Expr::col((notification::Entity, notification::Column::OrderId))
                .equals((order::Entity, order::Column::Id)),
        )
        .and_where(notification::Column::Event.eq(Event::OrderExpiring.as_str()))
        .take();
    let found: Vec<(i64, i64)> = order::Entity::find()
        .select_only()
        .column(order::Column::WxappId)
        .column(order::Column::Id)
        .filter(order::Column::State.eq("unpaid"))
        .filter(order::Column::ExpiresAt.gt(from.as_millis()))
        .filter(order::Column::ExpiresAt.lte(to.as_millis()))
        .filter(order::Column::ClosingAt.is_null())
        .filter(order::Column::WxappId.is_in(wxapps.iter().map(|id| id.get())))
        .filter(Expr::exists(told).not())
        .order_by_asc(order::Column::ExpiresAt)
        .limit(limit)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(order_ref)))
}

/// Orders that were shipped by then, nobody has confirmed and whose money does not go back; the
/// longest on their way first.
pub async fn long_shipped(
    readers: &Readers,
    shipped_by: Timestamp,
    limit: u64,
) -> Result<Vec<OrderRef>, StoreError> {
    let goes_back = Query::select()
        .column((refund::Entity, refund::Column::OrderId))
        .from(refund::Entity)
        .inner_join(
            payment::Entity,
            Expr::col((payment::Entity, payment::Column::Id))
                .equals((refund::Entity, refund::Column::PaymentId)),
        )
        .and_where(
            Expr::col((refund::Entity, refund::Column::OrderId))
                .equals((order::Entity, order::Column::Id)),
        )
        .and_where(Expr::col((refund::Entity, refund::Column::State)).is_in([
            "due",
            "requested",
            "processing",
            "abnormal",
        ]))
        .and_where(
            Expr::col((payment::Entity, payment::Column::Kind)).eq(PaymentKind::Settled.as_str()),
        )
        .take();
    let found: Vec<(i64, i64)> = order::Entity::find()
        .select_only()
        .column(order::Column::WxappId)
        .column(order::Column::Id)
        .filter(order::Column::State.eq("shipped"))
        .filter(Expr::exists(goes_back).not())
        .filter(order::Column::ShippedAt.lte(shipped_by.as_millis()))
        .order_by_asc(order::Column::ShippedAt)
        .limit(limit)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(order_ref)))
}

/// Whether an order still waits for its payment.
pub async fn is_unpaid(readers: &Readers, id: OrderId) -> Result<bool, StoreError> {
    let row = order::Entity::find_by_id(id.get()).one(readers.db()).await?;
    Ok(row.is_some_and(|row| row.state == "unpaid" && row.closing_at.is_none()))
}
