//! Goods and SKUs: what may be sold, and what is left.

use serde::{Deserialize, Serialize};

use super::id::{GoodsId, SkuId, WxappId};
use super::money::Money;
use super::time::Timestamp;

/// When stock is deducted (减库存方式).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeductStock {
    /// 下单减库存: with the order; an unpaid order holds its pieces until it is closed.
    Order,
    /// 付款减库存: with the payment; who pays first gets the piece.
    Payment,
}

impl DeductStock {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "order" => Some(Self::Order),
            "payment" => Some(Self::Payment),
            _ => None,
        }
    }
}

/// The terms of goods, as far as they decide a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goods {
    pub id: GoodsId,
    pub wxapp: WxappId,
    pub name: String,
    pub image_url: String,
    pub deduct_stock: DeductStock,
    pub on_sale: bool,
    pub sale_starts_at: Option<Timestamp>,
    pub sale_ends_at: Option<Timestamp>,
    /// Pieces that one buyer may have in live orders.
    pub limit_per_user: Option<i64>,
    /// Pieces paid for.
    pub sales: i64,
    /// Counts every change of terms; of two copies the higher is the newer.
    pub version: i64,
}

/// A SKU, as far as it decides a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sku {
    pub id: SkuId,
    pub wxapp: WxappId,
    pub goods: GoodsId,
    pub attr: String,
    pub image_url: String,
    pub price: Money,
    pub weight_g: i64,
    /// Pieces not yet deducted.
    pub stock: i64,
    /// Number of the latest ledger entry.
    pub seq: i64,
    /// Counts every change of stock or terms; of two copies the higher is the newer.
    pub version: i64,
    pub retired: bool,
}

/// Whether a SKU can be sold at this moment, stock aside.
pub fn is_on_sale(goods: &Goods, sku: &Sku, now: Timestamp) -> bool {
    goods.on_sale
        && !sku.retired
        && goods.sale_starts_at.is_none_or(|starts| starts <= now)
        && goods.sale_ends_at.is_none_or(|ends| now < ends)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub fn a_goods(id: i64) -> Goods {
        Goods {
            id: GoodsId::parse(id).unwrap(),
            wxapp: WxappId::parse(10001).unwrap(),
            name: "茶".into(),
            image_url: String::new(),
            deduct_stock: DeductStock::Order,
            on_sale: true,
            sale_starts_at: None,
            sale_ends_at: None,
            limit_per_user: None,
            sales: 0,
            version: 1,
        }
    }

    pub fn a_sku(id: i64, goods: i64, stock: i64) -> Sku {
        Sku {
            id: SkuId::parse(id).unwrap(),
            wxapp: WxappId::parse(10001).unwrap(),
            goods: GoodsId::parse(goods).unwrap(),
            attr: "大".into(),
            image_url: String::new(),
            price: Money::from_fen(100),
            weight_g: 0,
            stock,
            seq: 1,
            version: 1,
            retired: false,
        }
    }

    #[test]
    fn a_sale_has_a_beginning_and_an_end() {
        let mut goods = a_goods(1);
        goods.sale_starts_at = Some(Timestamp::from_seconds(10));
        goods.sale_ends_at = Some(Timestamp::from_seconds(20));
        for (second, expected) in [(9, false), (10, true), (19, true), (20, false)] {
            let now = Timestamp::from_seconds(second);
            assert_eq!(is_on_sale(&goods, &a_sku(1, 1, 1), now), expected, "{second}");
        }
    }

    #[test]
    fn neither_goods_taken_off_sale_nor_retired_skus_are_sold() {
        let now = Timestamp::from_seconds(0);
        let off = Goods { on_sale: false, ..a_goods(1) };
        assert!(!is_on_sale(&off, &a_sku(1, 1, 1), now));
        let retired = Sku { retired: true, ..a_sku(1, 1, 1) };
        assert!(!is_on_sale(&a_goods(1), &retired, now));
    }
}
