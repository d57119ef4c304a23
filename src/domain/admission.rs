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

/// Checks every line, then what the lines come to; the first refusal is the answer. Of a limit per
/// buyer only what the cart alone exceeds is seen here: what he has bought before the fold counts.
pub fn admit<'a>(
    cart: &Cart,
    offer: impl Fn(SkuId) -> Option<Offer<'a>>,
    conditions: &Conditions<'_>,
) -> Result<Priced<'a>, PlaceRefusal> {
    let mut lines = Vec::with_capacity(cart.items().len());
    for item in cart.items() {
        lines.push(admit_line(*item, offer(item.sku), conditions)?);
    }
    if let Some(refusal) = over_limit(&lines, |_| 0) {
        return Err(refusal);
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

/// The first goods of which the lines together are more than one buyer may have, given what he has
/// already.
pub fn over_limit(
    lines: &[PricedLine<'_>],
    bought: impl Fn(GoodsId) -> i64,
) -> Option<PlaceRefusal> {
    let limited = lines.iter().map(|line| line.offer.goods);
    let mut limited = limited.filter_map(|goods| Some((goods.id, goods.limit_per_user?)));
    limited.find_map(|(goods, limit)| {
        let of_goods = lines.iter().filter(|line| line.offer.goods.id == goods);
        let pieces: i64 = of_goods.map(|line| line.item.quantity.pieces()).sum();
        (bought(goods) + pieces > limit).then_some(PlaceRefusal::LimitExceeded { goods, limit })
    })
}
