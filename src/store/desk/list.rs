//! The list of orders: several states at once, by time, SKU and open refunds, page by page.

use entity::{order, order_goods, refund};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::db::{Readers, StoreError};
use super::super::order_views::{self, ListState, OPEN_REFUNDS, OrderView};
use super::super::page::{After, Page};
use crate::domain::id::{SkuId, UserId, WxappId};
use crate::domain::time::Timestamp;

/// An order as staff see it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffOrder {
    pub buyer: UserId,
    pub order: OrderView,
    /// What `adjust_fen` becomes once WeChat has closed the former attempt.
    pub repricing_fen: Option<i64>,
}

/// From a time on, and before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    pub from: Option<Timestamp>,
    pub before: Option<Timestamp>,
}

impl Span {
    fn is_open(self) -> bool {
        self == Self::default()
    }
}

/// Which orders. Sorted by their creation, or by payment when `paid` asks for it; newest first.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// None: all.
    pub states: Vec<ListState>,
    pub created: Span,
    pub paid: Span,
    pub sku: Option<SkuId>,
    /// Only those with a refund that is not at its end.
    pub refund_open: bool,
}

impl OrderFilter {
    /// What the list is sorted by.
    pub(super) fn key(&self) -> order::Column {
        if self.paid.is_open() { order::Column::CreatedAt } else { order::Column::PaidAt }
    }
}

/// How many orders of a SKU are looked up one by one; of more, the list is walked instead, since
/// then one of them comes every few rows.
const RARE: u64 = 2_000;

/// How the orders of a SKU are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BySku {
    Rare(SkuId),
    Common(SkuId),
}

/// One page of orders. `limit` is 1 to 100.
pub async fn orders(
    readers: &Readers,
    wxapp: WxappId,
    filter: &OrderFilter,
    after: Option<After>,
    limit: u32,
) -> Result<Page<StaffOrder>, StoreError> {
    let by_sku = match filter.sku {
        Some(sku) => match how(readers, wxapp, sku).await? {
            Some(how) => Some(how),
            None => return Ok(Page { items: Vec::new(), next: None }),
        },
        None => None,
    };
    let key = filter.key();
    let mut rows = Vec::new();
    for one in each_state(filter) {
        let page = select(wxapp, filter, &one, by_sku, after);
        rows.extend(page.limit(u64::from(limit) + 1).all(readers.db()).await?);
    }
    let place = |row: &order::Model| match key {
        order::Column::PaidAt => (row.paid_at.unwrap_or_default(), row.id),
        _ => (row.created_at, row.id),
    };
    rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
    rows.truncate(limit as usize + 1);
    let page = Page::cut(rows, limit, |row| After { key: place(row).0, id: row.id });
    Ok(Page { items: staff_orders(readers, page.items).await?, next: page.next })
}

/// One query for each state, so that each is found along its index, however rare it is. By time of
/// payment it is one for all of them.
fn each_state(filter: &OrderFilter) -> Vec<Vec<ListState>> {
    let wanted = |state: &ListState| filter.states.is_empty() || filter.states.contains(state);
    let states: Vec<ListState> = ListState::ALL.into_iter().filter(wanted).collect();
    match filter.key() {
        order::Column::PaidAt => vec![states],
        _ => states.into_iter().map(|state| vec![state]).collect(),
    }
}

/// `None`: no order of this mini-program has it. Somebody else's SKU must not make the list be
/// walked to its end.
pub(super) async fn how(
    readers: &Readers,
    wxapp: WxappId,
    sku: SkuId,
) -> Result<Option<BySku>, StoreError> {
    let some: Vec<i64> = order_goods::Entity::find()
        .select_only()
        .column(order_goods::Column::WxappId)
        .filter(order_goods::Column::SkuId.eq(sku.get()))
        .limit(RARE + 1)
        .into_tuple()
        .all(readers.db())
        .await?;
    let rare = u64::try_from(some.len()).unwrap_or(u64::MAX) <= RARE;
    if !some.contains(&wxapp.get()) {
        return Ok(None);
    }
    Ok(Some(if rare { BySku::Rare(sku) } else { BySku::Common(sku) }))
}

/// Rows in these states behind a place in the list.
pub(super) fn select(
    wxapp: WxappId,
    filter: &OrderFilter,
    states: &[ListState],
    by_sku: Option<BySku>,
    after: Option<After>,
) -> Select<order::Entity> {
    let key = filter.key();
    let mut orders = order::Entity::find().filter(order::Column::WxappId.eq(wxapp.get()));
    orders = match states {
        [state] => orders.filter(order::Column::State.eq(state.as_str())),
        _ => orders.filter(order::Column::State.is_in(states.iter().map(|state| state.as_str()))),
    };
    for (column, span) in
        [(order::Column::CreatedAt, filter.created), (order::Column::PaidAt, filter.paid)]
    {
        if let Some(from) = span.from {
            orders = orders.filter(column.gte(from.as_millis()));
        }
        if let Some(before) = span.before {
            orders = orders.filter(column.lt(before.as_millis()));
        }
    }
    if filter.refund_open {
        orders = orders.filter(order::Column::Id.in_subquery(open_refunds(wxapp)));
    }
    if let Some(by_sku) = by_sku {
        orders = orders.filter(has_sku(by_sku));
    }
    if let Some(after) = after {
        // The first condition is the index range; the others only cut its edge.
        let equal = Condition::all().add(key.eq(after.key)).add(order::Column::Id.lt(after.id));
        let behind = Condition::any().add(key.lt(after.key)).add(equal);
        orders = orders.filter(key.lte(after.key)).filter(behind);
    }
    orders.order_by_desc(key).order_by_desc(order::Column::Id)
}

fn open_refunds(wxapp: WxappId) -> sea_orm::sea_query::SelectStatement {
    Query::select()
        .column(refund::Column::OrderId)
        .from(refund::Entity)
        .and_where(refund::Column::WxappId.eq(wxapp.get()))
        .and_where(refund::Column::State.is_in(OPEN_REFUNDS))
        .take()
}

fn has_sku(by: BySku) -> Expr {
    let (BySku::Rare(sku) | BySku::Common(sku)) = by;
    let mut lines = Query::select();
    lines
        .column(order_goods::Column::OrderId)
        .from(order_goods::Entity)
        .and_where(order_goods::Column::SkuId.eq(sku.get()));
    match by {
        BySku::Rare(_) => order::Column::Id.in_subquery(lines.take()),
        BySku::Common(_) => {
            let of_order = Expr::col((order_goods::Entity, order_goods::Column::OrderId))
                .equals((order::Entity, order::Column::Id));
            Expr::exists(lines.and_where(of_order).take())
        }
    }
}

pub(super) async fn staff_orders(
    readers: &Readers,
    rows: Vec<order::Model>,
) -> Result<Vec<StaffOrder>, StoreError> {
    let bad = |error| StoreError::row("order", error);
    let own = |row: &order::Model| Ok((UserId::parse(row.user_id).map_err(bad)?, row.reprice_fen));
    let own: Vec<_> = rows.iter().map(own).collect::<Result<_, StoreError>>()?;
    let views = order_views::views(readers, rows).await?;
    let one = |((buyer, repricing_fen), order)| StaffOrder { buyer, order, repricing_fen };
    Ok(own.into_iter().zip(views).map(one).collect())
}
