//! Taking an order, and starting an attempt to pay it.

use crate::domain::address::Address;
use crate::domain::admission::{Conditions, Offer, PlaceRefusal, Priced, admit, over_limit};
use crate::domain::attempt::{Attempt, AttemptState, AttemptTerms, NotPayable, check_payable};
use crate::domain::books::{Books, EntryKind, Kept, KeyBinding, KeyRef};
use crate::domain::cart::Cart;
use crate::domain::goods::DeductStock;
use crate::domain::id::{AddressId, AttemptId, OrderId, OutTradeNo, UserId, WxappId};
use crate::domain::money::Money;
use crate::domain::order::{Line, Order, OrderEvent, OrderState, Paid};
use crate::domain::price::{Amounts, FreightPolicy};
use crate::domain::time::Timestamp;

/// An order that a buyer wants to place.
#[derive(Debug, Clone)]
pub struct Place {
    /// Drawn before, so that the key can be claimed for it.
    pub order: OrderId,
    pub wxapp: WxappId,
    pub user: UserId,
    pub key: KeyClaim,
    pub order_no: OutTradeNo,
    pub cart: Cart,
    pub address: AddressId,
    pub remark: String,
    pub expect_pay: Option<Money>,
    pub freight: FreightPolicy,
    pub max: Money,
    /// How long the order may stay unpaid.
    pub expire_seconds: i64,
}

/// The key of a request, and what the request said.
#[derive(Debug, Clone)]
pub struct KeyClaim {
    pub key: KeyRef,
    pub request_hash: String,
}

/// What came of an order that was not refused.
#[derive(Debug, Clone)]
pub enum Placed {
    New(Box<NewOrder>),
    /// The same request has placed this order before.
    Replay(OrderId),
}

/// An order just placed, whole.
#[derive(Debug, Clone)]
pub struct NewOrder {
    pub order: Order,
    pub lines: Vec<Line>,
    pub address: Address,
}

pub(super) fn place(
    books: &mut Books,
    place: Place,
    now: Timestamp,
) -> Result<Placed, PlaceRefusal> {
    if let Some(bound) = books.keys.get(&place.key.key) {
        if bound.request_hash != place.key.request_hash {
            return Err(PlaceRefusal::KeyConflict);
        }
        return Ok(Placed::Replay(bound.result));
    }
    let (owner, address) =
        books.address_book.get(&place.address).cloned().ok_or(PlaceRefusal::UnknownAddress)?;
    if owner != place.user {
        return Err(PlaceRefusal::UnknownAddress);
    }
    let priced = check(books, &place, now)?;
    let amounts = priced.amounts;
    let mut drafts = lines(&priced, place.order);
    for line in &mut drafts {
        if let Some(id) = books.draw() {
            line.id = id;
        }
    }
    Ok(Placed::New(Box::new(enter(books, place, address, amounts, drafts, now))))
}

fn check<'a>(books: &'a Books, place: &Place, now: Timestamp) -> Result<Priced<'a>, PlaceRefusal> {
    let conditions =
        Conditions { freight: &place.freight, max: place.max, expect_pay: place.expect_pay, now };
    let offer = |id| {
        let sku = books.skus.get(&id)?.get();
        let goods = books.goods.get(&sku.goods)?.get();
        (sku.wxapp == place.wxapp).then_some(Offer { sku, goods, available: sku.stock })
    };
    let priced = admit(&place.cart, offer, &conditions)?;
    let bought = |goods| books.bought.get(&(place.user, goods)).copied().unwrap_or(0);
    over_limit(&priced.lines, bought).map_or(Ok(priced), Err)
}

fn lines(priced: &Priced<'_>, order: OrderId) -> Vec<Line> {
    let line = |line: &crate::domain::admission::PricedLine<'_>| {
        let (sku, goods) = (line.offer.sku, line.offer.goods);
        let image = if sku.image_url.is_empty() { &goods.image_url } else { &sku.image_url };
        Some(Line {
            // Replaced by an id of its own before it is entered.
            id: order.get().try_into().ok()?,
            order,
            goods: goods.id,
            sku: sku.id,
            goods_name: goods.name.clone(),
            attr: sku.attr.clone(),
            image_url: image.clone(),
            price: sku.price,
            quantity: line.item.quantity,
            total: line.total,
            weight_g: sku.weight_g,
            deduct_stock: goods.deduct_stock,
        })
    };
    priced.lines.iter().filter_map(line).collect()
}

fn enter(
    books: &mut Books,
    place: Place,
    address: Address,
    amounts: Amounts,
    lines: Vec<Line>,
    now: Timestamp,
) -> NewOrder {
    let order = Order {
        id: place.order,
        wxapp: place.wxapp,
        user: place.user,
        order_no: place.order_no,
        amounts,
        refunded: Money::ZERO,
        remark: place.remark,
        created_at: now,
        expires_at: now.plus_seconds(place.expire_seconds),
        state: OrderState::Unpaid(None),
        repricing: None,
        version: 1,
    };
    for line in &lines {
        if line.deduct_stock == DeductStock::Order {
            books.move_stock(line, -line.quantity.pieces(), EntryKind::Order, now);
        }
        if let Some(bought) = books.bought.get_mut(&(place.user, line.goods)) {
            *bought += line.quantity.pieces();
        }
    }
    let binding = KeyBinding { request_hash: place.key.request_hash, result: order.id };
    books.keys.insert(place.key.key, binding);
    books.addresses.push((order.id, order.wxapp, address.clone()));
    books.orders.insert(order.id, Kept::new(order.clone()));
    books.lines.insert(order.id, lines.clone());
    settle_free_order(books, &order, now);
    let order = books.orders.get(&order.id).map_or(order, |kept| kept.get().clone());
    NewOrder { order, lines, address }
}

/// Nothing to pay: paid in the commit that creates it, without WeChat. The guard on stock has
/// passed for every line, so the lines that wait for the payment fit too.
fn settle_free_order(books: &mut Books, order: &Order, now: Timestamp) {
    if order.amounts.pay.is_zero() {
        let paid = Paid { at: now, transaction: None };
        let settled = super::transition(books, order.id, OrderEvent::Pay(paid), now);
        debug_assert!(settled.is_ok(), "a new order can be paid");
    }
}

/// A first or further attempt to pay an order.
#[derive(Debug, Clone)]
pub struct StartAttempt {
    pub id: AttemptId,
    pub order: OrderId,
    pub out_trade_no: OutTradeNo,
    pub terms: AttemptTerms,
}

/// Why an attempt may not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartRefusal {
    #[error("the order does not exist")]
    UnknownOrder,
    #[error(transparent)]
    NotPayable(#[from] NotPayable),
    /// Another one may still bring money; it is the answer, so that the caller can go on with it.
    #[error("attempt {} may still be paid", .0.id)]
    Live(Box<Attempt>),
}

pub(super) fn start_attempt(
    books: &mut Books,
    start: StartAttempt,
    now: Timestamp,
) -> Result<Attempt, StartRefusal> {
    let order = books.orders.get(&start.order).ok_or(StartRefusal::UnknownOrder)?.get();
    check_payable(order, now)?;
    if let Some(live) = books.attempts_of(start.order).find(|attempt| attempt.state.is_live()) {
        return Err(StartRefusal::Live(Box::new(live.clone())));
    }
    let attempt = Attempt {
        id: start.id,
        wxapp: order.wxapp,
        order: order.id,
        user: order.user,
        out_trade_no: start.out_trade_no,
        amount: order.amounts.pay,
        terms: start.terms,
        time_expire: crate::domain::attempt::time_expire(order, now),
        prepay: None,
        state: AttemptState::Requesting,
        created_at: now,
    };
    books.attempts.insert(attempt.id, Kept::new(attempt.clone()));
    Ok(attempt)
}
