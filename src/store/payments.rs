//! What the payment actor, the reaper and the notifier read. Nothing here locks or writes; what is
//! decided on it is decided again in the fold.

use entity::{order, payment, payment_attempt, refund, user};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::claims;
use super::db::{Readers, StoreError, readable};
use super::rows;
use crate::domain::attempt::Attempt;
use crate::domain::id::{OrderId, PaymentId, RefundId, UserId, WxappId};
use crate::domain::order::{Line, Order};
use crate::domain::payment::Refund;
use crate::domain::time::Timestamp;

/// An order with all its attempts, oldest first.
pub async fn order_with_attempts(
    readers: &Readers,
    wxapp: WxappId,
    id: OrderId,
) -> Result<Option<(Order, Vec<Attempt>)>, StoreError> {
    let row = order::Entity::find_by_id(id.get())
        .filter(order::Column::WxappId.eq(wxapp.get()))
        .one(readers.db())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let attempts = payment_attempt::Entity::find()
        .filter(payment_attempt::Column::OrderId.eq(id.get()))
        .order_by_asc(payment_attempt::Column::Id)
        .all(readers.db())
        .await?;
    let attempts = attempts.into_iter().map(rows::payments::attempt).collect::<Result<_, _>>()?;
    Ok(Some((rows::orders::order(row)?, attempts)))
}

/// Lines of an order.
pub async fn lines(readers: &Readers, id: OrderId) -> Result<Vec<Line>, StoreError> {
    let found = entity::order_goods::Entity::find()
        .filter(entity::order_goods::Column::OrderId.eq(id.get()))
        .order_by_asc(entity::order_goods::Column::Id)
        .all(readers.db())
        .await?;
    found.into_iter().map(rows::orders::line).collect()
}

/// The attempt with this number at this merchant.
pub async fn attempt_by_no(
    readers: &Readers,
    mch_id: &str,
    out_trade_no: &str,
) -> Result<Option<Attempt>, StoreError> {
    let row = payment_attempt::Entity::find()
        .filter(payment_attempt::Column::MchId.eq(mch_id))
        .filter(payment_attempt::Column::OutTradeNo.eq(out_trade_no))
        .one(readers.db())
        .await?;
    row.map(rows::payments::attempt).transpose()
}

/// The openid of a buyer.
pub async fn openid(readers: &Readers, id: UserId) -> Result<Option<String>, StoreError> {
    Ok(user::Entity::find_by_id(id.get()).one(readers.db()).await?.map(|row| row.openid))
}

/// One refund.
pub async fn refund(readers: &Readers, id: RefundId) -> Result<Option<Refund>, StoreError> {
    let row = refund::Entity::find_by_id(id.get()).one(readers.db()).await?;
    row.map(rows::payments::refund).transpose()
}

/// The attempt that brought a payment.
pub async fn attempt_of_payment(
    readers: &Readers,
    id: PaymentId,
) -> Result<Option<Attempt>, StoreError> {
    let payment = payment::Entity::find_by_id(id.get()).one(readers.db()).await?;
    let Some(attempt) = payment.and_then(|row| row.attempt_id) else { return Ok(None) };
    let row = payment_attempt::Entity::find_by_id(attempt).one(readers.db()).await?;
    row.map(rows::payments::attempt).transpose()
}

/// A piece of work: whose it is, and which order it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderRef {
    pub wxapp: WxappId,
    pub order: OrderId,
}

pub(super) fn order_ref((wxapp, order): (i64, i64)) -> Result<OrderRef, StoreError> {
    let bad = |error| StoreError::row("order", error);
    Ok(OrderRef {
        wxapp: WxappId::parse(wxapp).map_err(bad)?,
        order: OrderId::parse(order).map_err(bad)?,
    })
}

/// Unpaid orders whose time is over and that are not being closed yet.
pub async fn expired(
    readers: &Readers,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<OrderRef>, StoreError> {
    let found: Vec<(i64, i64)> = order::Entity::find()
        .select_only()
        .column(order::Column::WxappId)
        .column(order::Column::Id)
        .filter(order::Column::State.eq("unpaid"))
        .filter(order::Column::ClosingAt.is_null())
        .filter(order::Column::ExpiresAt.lte(now.as_millis()))
        .order_by_asc(order::Column::ExpiresAt)
        .limit(limit)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(order_ref)))
}

/// Orders that are being closed and are due for another try; somebody may be at it.
pub async fn closings_due(
    readers: &Readers,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<OrderRef>, StoreError> {
    let found: Vec<(i64, i64)> = order::Entity::find()
        .select_only()
        .column(order::Column::WxappId)
        .column(order::Column::Id)
        .filter(order::Column::State.eq("unpaid"))
        .filter(order::Column::CloseNextAt.lte(now.as_millis()))
        .order_by_asc(order::Column::CloseNextAt)
        .limit(limit)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(order_ref)))
}

/// Since when the oldest order has been closing.
pub async fn oldest_closing(readers: &Readers) -> Result<Option<Timestamp>, StoreError> {
    let oldest: Option<Option<i64>> = order::Entity::find()
        .select_only()
        .column(order::Column::ClosingAt)
        .filter(order::Column::State.eq("unpaid"))
        // Set together with `closing_at`, and part of an index; else all unpaid orders are read.
        .filter(order::Column::CloseNextAt.is_not_null())
        .order_by_asc(order::Column::ClosingAt)
        .limit(1)
        .into_tuple()
        .one(readers.db())
        .await?;
    Ok(oldest.flatten().map(Timestamp::from_millis))
}

/// A place in the row of all attempts by age: time of creation, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptMark {
    pub created_at: Timestamp,
    pub id: i64,
}

/// Attempts that may bring money without a notification, oldest first: created after the mark and
/// by `to`, and not asked about by others `now`. With the mark behind the last of them.
pub async fn attempts_to_ask(
    readers: &Readers,
    after: AttemptMark,
    to: Timestamp,
    now: Timestamp,
    limit: u64,
) -> Result<(Vec<Attempt>, AttemptMark), StoreError> {
    let at = after.created_at.as_millis();
    let later = Condition::any().add(payment_attempt::Column::CreatedAt.gt(at)).add(
        Condition::all()
            .add(payment_attempt::Column::CreatedAt.eq(at))
            .add(payment_attempt::Column::Id.gt(after.id)),
    );
    let found = payment_attempt::Entity::find()
        .filter(payment_attempt::Column::State.is_in(["open", "requesting"]))
        .filter(payment_attempt::Column::CreatedAt.gte(at))
        .filter(payment_attempt::Column::CreatedAt.lte(to.as_millis()))
        .filter(later)
        .filter(claims::free_to_ask(payment_attempt::Column::Id, now))
        .order_by_asc(payment_attempt::Column::CreatedAt)
        .order_by_asc(payment_attempt::Column::Id)
        .limit(limit)
        .all(readers.db())
        .await?;
    let mark = found.last().map_or(after, |row| AttemptMark {
        created_at: Timestamp::from_millis(row.created_at),
        id: row.id,
    });
    Ok((readable(found.into_iter().map(rows::payments::attempt)), mark))
}

/// Attempts that somebody took up to ask about and did not, because he died or stood still.
pub async fn forgotten_attempts(
    readers: &Readers,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Attempt>, StoreError> {
    let ids = claims::forgotten_asks(readers, now, limit).await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = payment_attempt::Entity::find().filter(payment_attempt::Column::Id.is_in(ids));
    Ok(readable(found.all(readers.db()).await?.into_iter().map(rows::payments::attempt)))
}

/// Stopped attempts of orders that are paid or closed already, and that nobody works on now.
pub async fn stopped_attempts(
    readers: &Readers,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<OrderRef>, StoreError> {
    let found: Vec<(i64, i64)> = payment_attempt::Entity::find()
        .select_only()
        .column(payment_attempt::Column::WxappId)
        .column(payment_attempt::Column::OrderId)
        .join(sea_orm::JoinType::InnerJoin, attempt_to_order())
        .filter(payment_attempt::Column::State.eq("closing"))
        .filter(order::Column::State.ne("unpaid"))
        .filter(claims::free_to_close(payment_attempt::Column::OrderId, now))
        .order_by_asc(payment_attempt::Column::CreatedAt)
        .limit(limit)
        .into_tuple()
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(order_ref)))
}

fn attempt_to_order() -> sea_orm::RelationDef {
    payment_attempt::Entity::belongs_to(order::Entity)
        .from(payment_attempt::Column::OrderId)
        .to(order::Column::Id)
        .into()
}

/// Refunds that must be asked for, or looked after, by now, of orders that nobody works on.
pub async fn refunds_due(
    readers: &Readers,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Refund>, StoreError> {
    let found = refund::Entity::find()
        .filter(refund::Column::State.is_in(["due", "requested", "processing", "abnormal"]))
        .filter(refund::Column::NextAt.lte(now.as_millis()))
        .filter(claims::free_to_refund(refund::Column::OrderId, now))
        .order_by_asc(refund::Column::NextAt)
        .limit(limit)
        .all(readers.db())
        .await?;
    Ok(readable(found.into_iter().map(rows::payments::refund)))
}

/// Since when the oldest refund has not come to its end.
pub async fn oldest_refund(readers: &Readers) -> Result<Option<Timestamp>, StoreError> {
    let oldest: Option<i64> = refund::Entity::find()
        .select_only()
        .column(refund::Column::CreatedAt)
        .filter(refund::Column::State.is_in(["due", "requested", "processing", "abnormal"]))
        .order_by_asc(refund::Column::CreatedAt)
        .limit(1)
        .into_tuple()
        .one(readers.db())
        .await?;
    Ok(oldest.map(Timestamp::from_millis))
}

/// When WeChat was last asked for a refund of this order, other than this one.
pub async fn last_other_request(
    readers: &Readers,
    about: &Refund,
) -> Result<Option<Timestamp>, StoreError> {
    let other = Condition::all()
        .add(refund::Column::OrderId.eq(about.order.get()))
        .add(refund::Column::Id.ne(about.id.get()))
        .add(refund::Column::RequestedAt.is_not_null());
    let latest: Option<Option<i64>> = refund::Entity::find()
        .select_only()
        .column(refund::Column::RequestedAt)
        .filter(other)
        .order_by_desc(refund::Column::RequestedAt)
        .limit(1)
        .into_tuple()
        .one(readers.db())
        .await?;
    Ok(latest.flatten().map(Timestamp::from_millis))
}
