//! Whether a cart can be ordered now, and for how much: one rule, used by the goods actor on its
//! memory and by the fold on the locked rows.

use super::cart::{Cart, CartItem};
use super::goods::{Goods, Sku, is_on_sale};
use super::id::{GoodsId, SkuId};
use super::money::Money;
use super::price::{Amounts, FreightPolicy, TooExpensive, amounts};
use super::time::Timestamp;

/// Why an order is not taken. Each has its own code in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceRefusal {
    #[error("SKU {0} does not exist")]
    UnknownSku(SkuId),
    #[error("the address does not exist")]
    UnknownAddress,
    #[error("SKU {0} is not on sale")]
    OffSale(SkuId),
    #[error("SKU {sku} has {available} left")]
    SoldOut { sku: SkuId, available: i64 },
    #[error(transparent)]
    TooExpensive(#[from] TooExpensive),
    #[error("the price is now {pay}")]
    PriceChanged { pay: Money },
    #[error("goods {goods} are limited to {limit} pieces for each buyer")]
    LimitExceeded { goods: GoodsId, limit: i64 },
    #[error("the idempotency key was used for another request")]
    KeyConflict,
}

/// What is known of a SKU when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub sku: &'a Sku,
    pub goods: &'a Goods,
    /// Pieces that can still be promised: stock less holds.
    pub available: i64,
}

/// A line with its price.
#[derive(Debug, Clone, Copy)]
pub struct PricedLine<'a> {
    pub offer: Offer<'a>,
    pub item: CartItem,
    pub total: Money,
}

/// A cart that can be ordered as it stands.
#[derive(Debug, Clone)]
pub struct Priced<'a> {
    pub lines: Vec<PricedLine<'a>>,
    pub amounts: Amounts,
}

/// The conditions under which a cart is checked.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    pub freight: &'a FreightPolicy,
    /// The most that one order may cost.
    pub max: Money,
    /// What the buyer was shown, if he says so.
    pub expect_pay: Option<Money>,
    pub now: Timestamp,
}

/// Checks every line; the first refusal is the answer.
pub fn admit<'a>(
    cart: &Cart,
    offer: impl Fn(SkuId) -> Option<Offer<'a>>,
    conditions: &Conditions<'_>,
) -> Result<Priced<'a>, PlaceRefusal> {
    let mut lines = Vec::with_capacity(cart.items().len());
    for item in cart.items() {
        lines.push(admit_line(*item, offer(item.sku), conditions)?);
    }
    let priced = lines.iter().map(|line| (line.offer.sku.price, line.item.quantity));
    let amounts = amounts(priced, conditions.freight, conditions.max)?;
    match conditions.expect_pay {
        Some(expected) if expected != amounts.pay => {
            Err(PlaceRefusal::PriceChanged { pay: amounts.pay })
        }
        _ => Ok(Priced { lines, amounts }),
    }
}

fn admit_line<'a>(
    item: CartItem,
    offer: Option<Offer<'a>>,
    conditions: &Conditions<'_>,
) -> Result<PricedLine<'a>, PlaceRefusal> {
    let offer = offer.ok_or(PlaceRefusal::UnknownSku(item.sku))?;
    if !is_on_sale(offer.goods, offer.sku, conditions.now) {
        return Err(PlaceRefusal::OffSale(item.sku));
    }
    if offer.available < item.quantity.pieces() {
        return Err(PlaceRefusal::SoldOut { sku: item.sku, available: offer.available.max(0) });
    }
    let too_expensive = TooExpensive { max: conditions.max };
    let total = offer.sku.price.checked_mul(item.quantity).ok_or(too_expensive)?;
    Ok(PricedLine { offer, item, total })
}

/// Pieces of each goods in a cart: what a limit per buyer counts.
pub fn pieces_by_goods(priced: &Priced<'_>) -> Vec<(GoodsId, i64)> {
    let mut sums: Vec<(GoodsId, i64)> = Vec::new();
    for line in &priced.lines {
        let pieces = line.item.quantity.pieces();
        match sums.iter_mut().find(|(goods, _)| *goods == line.offer.goods.id) {
            Some((_, sum)) => *sum += pieces,
            None => sums.push((line.offer.goods.id, pieces)),
        }
    }
    sums
}
