//! Orders as their buyer sees them, with lines, address and what has been refunded. Read only.

use std::collections::HashMap;

use entity::{order, order_address, order_goods, payment, payment_attempt, refund};
use sea_orm::sea_query::Query;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};

use super::db::{Readers, StoreError};
use super::page::{After, Page};
use super::{rows, shipments};
use crate::domain::address::Address;
use crate::domain::fold::NewOrder;
use crate::domain::id::{GoodsId, LineId, OrderId, OutTradeNo, SkuId, UserId, WxappId};
use crate::domain::money::Money;
use crate::domain::order::{CloseReason, Line, OrderState};
use crate::domain::price::Amounts;
use crate::domain::shipment::Shipment;
use crate::domain::time::Timestamp;

/// Where an order stands, as lists are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListState {
    Unpaid,
    Paid,
    Shipped,
    Completed,
    Closed,
    Refunded,
}

impl ListState {
    pub const ALL: [Self; 6] =
        [Self::Unpaid, Self::Paid, Self::Shipped, Self::Completed, Self::Closed, Self::Refunded];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Completed => "completed",
            Self::Closed => "closed",
            Self::Refunded => "refunded",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How much of an order's money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundProgress {
    None,
    /// Some refund is not at its end.
    Open,
    Part,
    /// All that was received has gone back.
    Full,
}

impl RefundProgress {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Open => "open",
            Self::Part => "part",
            Self::Full => "full",
        }
    }
}

/// Refunds in these states are not at their end.
pub(super) const OPEN_REFUNDS: [&str; 5] = ["due", "requested", "processing", "abnormal", "failed"];

/// An order as its buyer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    pub id: OrderId,
    pub order_no: String,
    pub state: ListState,
    /// It is meant to be closed; WeChat has not confirmed yet.
    pub closing: bool,
    pub amounts: Amounts,
    pub refund: RefundProgress,
    pub refunded: Money,
    pub remark: String,
    pub lines: Vec<LineView>,
    pub address: Option<Address>,
    /// The oldest first.
    pub shipments: Vec<Shipment>,
    pub transaction_id: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub paid_at: Option<Timestamp>,
    pub shipped_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub close_reason: Option<CloseReason>,
}

/// A line of an order as its buyer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineView {
    pub id: LineId,
    pub goods: GoodsId,
    pub sku: SkuId,
    pub goods_name: String,
    pub attr: String,
    pub image_url: String,
    pub price: Money,
    pub quantity: i64,
    pub total: Money,
}

/// Which orders are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrderFilter {
    pub state: Option<ListState>,
    /// Only those with a refund that is not at its end.
    pub refund_open: bool,
}

/// One page of a buyer's orders, the newest first.
pub async fn orders_page(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
    filter: OrderFilter,
    after: Option<After>,
    limit: u32,
) -> Result<Page<OrderView>, StoreError> {
    let mut orders = own(wxapp, user);
    if let Some(state) = filter.state {
        orders = orders.filter(order::Column::State.eq(state.as_str()));
    }
    if filter.refund_open {
        orders = orders.filter(has_open_refund());
    }
    if let Some(after) = after {
        let earlier = order::Column::CreatedAt.lt(after.key);
        let equal = order::Column::CreatedAt.eq(after.key).and(order::Column::Id.lt(after.id));
        orders = orders.filter(Condition::any().add(earlier).add(equal));
    }
    let rows = orders
        .order_by_desc(order::Column::CreatedAt)
        .order_by_desc(order::Column::Id)
        .limit(u64::from(limit) + 1)
        .all(readers.db())
        .await?;
    let page = Page::cut(rows, limit, |row| After { key: row.created_at, id: row.id });
    Ok(Page { items: views(readers, page.items).await?, next: page.next })
}

fn own(wxapp: WxappId, user: UserId) -> Select<order::Entity> {
    order::Entity::find()
        .filter(order::Column::WxappId.eq(wxapp.get()))
        .filter(order::Column::UserId.eq(user.get()))
}

fn has_open_refund() -> sea_orm::sea_query::Expr {
    let open = Query::select()
        .column(refund::Column::OrderId)
        .from(refund::Entity)
        .and_where(refund::Column::State.is_in(OPEN_REFUNDS))
        .take();
    order::Column::Id.in_subquery(open)
}

/// One order of this buyer; `None` when it does not exist or is another's.
pub async fn order(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
    order: OrderId,
) -> Result<Option<OrderView>, StoreError> {
    let row = own(wxapp, user).filter(order::Column::Id.eq(order.get())).one(readers.db()).await?;
    Ok(views(readers, row.into_iter().collect()).await?.pop())
}

/// The buyer's order with this number, of any of its attempts: WeChat's order centre links so.
pub async fn order_by_no(
    readers: &Readers,
    wxapp: WxappId,
    user: UserId,
    number: &OutTradeNo,
) -> Result<Option<OrderView>, StoreError> {
    let attempts = Query::select()
        .column(payment_attempt::Column::OrderId)
        .from(payment_attempt::Entity)
        .and_where(payment_attempt::Column::WxappId.eq(wxapp.get()))
        .and_where(payment_attempt::Column::OutTradeNo.eq(number.as_str()))
        .take();
    let row = own(wxapp, user)
        .filter(
            Condition::any()
                .add(order::Column::OrderNo.eq(number.as_str()))
                .add(order::Column::Id.in_subquery(attempts)),
        )
        .one(readers.db())
        .await?;
    Ok(views(readers, row.into_iter().collect()).await?.pop())
}

/// What hangs on a page of orders, by order.
struct Parts {
    lines: HashMap<i64, Vec<LineView>>,
    addresses: HashMap<i64, Address>,
    shipments: HashMap<i64, Vec<Shipment>>,
    received: HashMap<i64, i64>,
    refunds_open: HashMap<i64, bool>,
}

pub(super) async fn views(
    readers: &Readers,
    rows: Vec<order::Model>,
) -> Result<Vec<OrderView>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut parts = Parts {
        lines: lines(readers, &ids).await?,
        addresses: addresses(readers, &ids).await?,
        shipments: parcels(readers, &rows).await?,
        received: received(readers, &ids).await?,
        refunds_open: refunds_open(readers, &ids).await?,
    };
    rows.into_iter().map(|row| view(row, &mut parts)).collect()
}

async fn lines(
    readers: &Readers,
    orders: &[i64],
) -> Result<HashMap<i64, Vec<LineView>>, StoreError> {
    let rows = order_goods::Entity::find()
        .filter(order_goods::Column::OrderId.is_in(orders.iter().copied()))
        .order_by_asc(order_goods::Column::Id)
        .all(readers.db())
        .await?;
    let mut lines: HashMap<i64, Vec<LineView>> = HashMap::new();
    for row in rows {
        lines.entry(row.order_id).or_default().push(line(row)?);
    }
    Ok(lines)
}

fn line(row: order_goods::Model) -> Result<LineView, StoreError> {
    let nonsense = |error| StoreError::row("order_goods", error);
    Ok(LineView {
        id: LineId::parse(row.id).map_err(nonsense)?,
        goods: GoodsId::parse(row.goods_id).map_err(nonsense)?,
        sku: SkuId::parse(row.sku_id).map_err(nonsense)?,
        goods_name: row.goods_name,
        attr: row.attr,
        image_url: row.image_url,
        price: Money::from_fen(row.price_fen),
        quantity: row.quantity,
        total: Money::from_fen(row.total_fen),
    })
}

async fn addresses(readers: &Readers, orders: &[i64]) -> Result<HashMap<i64, Address>, StoreError> {
    let found = order_address::Entity::find()
        .filter(order_address::Column::OrderId.is_in(orders.iter().copied()))
        .all(readers.db())
        .await?;
    Ok(found.into_iter().map(|row| (row.order_id, rows::orders::address(row))).collect())
}

/// Parcels of those orders that may have some.
async fn parcels(
    readers: &Readers,
    orders: &[order::Model],
) -> Result<HashMap<i64, Vec<Shipment>>, StoreError> {
    let ids: Vec<i64> = orders.iter().filter(|o| o.paid_at.is_some()).map(|o| o.id).collect();
    let mut parcels: HashMap<i64, Vec<Shipment>> = HashMap::new();
    if ids.is_empty() {
        return Ok(parcels);
    }
    for shipment in shipments::of_orders(readers.db(), ids.into_iter()).await? {
        parcels.entry(shipment.order.get()).or_default().push(shipment);
    }
    Ok(parcels)
}

/// All money that came for each order, settled or surplus.
async fn received(readers: &Readers, orders: &[i64]) -> Result<HashMap<i64, i64>, StoreError> {
    let rows: Vec<(i64, i64)> = payment::Entity::find()
        .select_only()
        .column(payment::Column::OrderId)
        .column(payment::Column::AmountFen)
        .filter(payment::Column::OrderId.is_in(orders.iter().copied()))
        .into_tuple()
        .all(readers.db())
        .await?;
    let mut received = HashMap::new();
    for (order, amount) in rows {
        *received.entry(order).or_insert(0) += amount;
    }
    Ok(received)
}

async fn refunds_open(readers: &Readers, orders: &[i64]) -> Result<HashMap<i64, bool>, StoreError> {
    let rows: Vec<(i64, String)> = refund::Entity::find()
        .select_only()
        .column(refund::Column::OrderId)
        .column(refund::Column::State)
        .filter(refund::Column::OrderId.is_in(orders.iter().copied()))
        .into_tuple()
        .all(readers.db())
        .await?;
    let mut open = HashMap::new();
    for (order, state) in rows {
        *open.entry(order).or_insert(false) |= OPEN_REFUNDS.contains(&state.as_str());
    }
    Ok(open)
}

fn view(row: order::Model, parts: &mut Parts) -> Result<OrderView, StoreError> {
    let nonsense = |what: &str| StoreError::row("order", what);
    let state = ListState::parse(&row.state).ok_or_else(|| nonsense(&row.state))?;
    let close_reason = row
        .close_reason
        .as_deref()
        .map(|reason| CloseReason::parse(reason).ok_or_else(|| nonsense(reason)));
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    Ok(OrderView {
        id: OrderId::parse(row.id).map_err(|error| StoreError::row("order", error))?,
        closing: state == ListState::Unpaid && row.closing_at.is_some(),
        state,
        amounts: amounts(&row),
        refund: progress(&row, parts),
        refunded: Money::from_fen(row.refunded_fen),
        lines: parts.lines.remove(&row.id).unwrap_or_default(),
        address: parts.addresses.remove(&row.id),
        shipments: parts.shipments.remove(&row.id).unwrap_or_default(),
        order_no: row.order_no,
        remark: row.remark,
        transaction_id: row.transaction_id,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        paid_at: time(row.paid_at),
        shipped_at: time(row.shipped_at),
        completed_at: time(row.completed_at),
        closed_at: time(row.closed_at),
        close_reason: close_reason.transpose()?,
    })
}

fn amounts(row: &order::Model) -> Amounts {
    Amounts {
        goods: Money::from_fen(row.goods_fen),
        freight: Money::from_fen(row.freight_fen),
        discount: Money::from_fen(row.discount_fen),
        adjust: Money::from_fen(row.adjust_fen),
        pay: Money::from_fen(row.pay_fen),
    }
}

fn progress(row: &order::Model, parts: &Parts) -> RefundProgress {
    let received = parts.received.get(&row.id).copied().unwrap_or(0);
    if parts.refunds_open.get(&row.id).copied().unwrap_or(false) {
        RefundProgress::Open
    } else if row.refunded_fen == 0 {
        RefundProgress::None
    } else if row.refunded_fen >= received {
        RefundProgress::Full
    } else {
        RefundProgress::Part
    }
}

impl OrderView {
    /// An order just placed: what a read would show, without the read.
    pub fn of_new(new: NewOrder) -> Self {
        let order = new.order;
        let (state, paid_at) = match &order.state {
            OrderState::Paid(paid) => (ListState::Paid, Some(paid.at)),
            OrderState::Unpaid(_)
            | OrderState::Shipped { .. }
            | OrderState::Completed { .. }
            | OrderState::Closed { .. }
            | OrderState::Refunded { .. } => (ListState::Unpaid, None),
        };
        Self {
            id: order.id,
            order_no: order.order_no.to_string(),
            state,
            closing: false,
            amounts: order.amounts,
            refund: RefundProgress::None,
            refunded: order.refunded,
            remark: order.remark,
            lines: new.lines.into_iter().map(LineView::of).collect(),
            address: Some(new.address),
            shipments: Vec::new(),
            transaction_id: None,
            created_at: order.created_at,
            expires_at: order.expires_at,
            paid_at,
            shipped_at: None,
            completed_at: None,
            closed_at: None,
            close_reason: None,
        }
    }
}

impl LineView {
    fn of(line: Line) -> Self {
        Self {
            id: line.id,
            goods: line.goods,
            sku: line.sku,
            goods_name: line.goods_name,
            attr: line.attr,
            image_url: line.image_url,
            price: line.price,
            quantity: line.quantity.pieces(),
            total: line.total,
        }
    }
}
