//! What a buyer wants: SKUs and quantities.

use serde::Serialize;

use super::id::SkuId;
use super::money::Quantity;

/// One SKU and how many pieces of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct CartItem {
    pub sku: SkuId,
    pub quantity: Quantity,
}

/// A cart that can be ordered: not empty, not too long, each SKU once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart(Vec<CartItem>);

/// Why a list of items is not a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCart {
    #[error("nothing is in it")]
    Empty,
    #[error("it has more than {max} lines")]
    TooLong { max: usize },
    #[error("the quantities of SKU {0} add up to too many")]
    Quantity(SkuId),
}

impl Cart {
    /// Items of the same SKU become one; the first mention keeps its place.
    pub fn parse(items: &[CartItem], lines_max: usize) -> Result<Self, InvalidCart> {
        if items.is_empty() {
            return Err(InvalidCart::Empty);
        }
        if items.len() > lines_max {
            return Err(InvalidCart::TooLong { max: lines_max });
        }
        let mut lines: Vec<CartItem> = Vec::with_capacity(items.len());
        for item in items {
            match lines.iter_mut().find(|line| line.sku == item.sku) {
                None => lines.push(*item),
                Some(line) => {
                    let sum = line.quantity.checked_add(item.quantity);
                    line.quantity = sum.map_err(|_| InvalidCart::Quantity(item.sku))?;
                }
            }
        }
        Ok(Self(lines))
    }

    pub fn items(&self) -> &[CartItem] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn item(sku: i64, quantity: i64) -> CartItem {
        CartItem { sku: SkuId::parse(sku).unwrap(), quantity: Quantity::parse(quantity).unwrap() }
    }

    #[test]
    fn two_lines_of_one_sku_count_together() {
        let cart = Cart::parse(&[item(1, 2), item(2, 1), item(1, 3)], 10).unwrap();
        assert_eq!(cart.items(), [item(1, 5), item(2, 1)]);
    }

    #[test]
    fn a_cart_has_bounds() {
        assert_eq!(Cart::parse(&[], 10), Err(InvalidCart::Empty));
        assert_eq!(Cart::parse(&[item(1, 1), item(2, 1)], 1), Err(InvalidCart::TooLong { max: 1 }));
        let sku = SkuId::parse(1).unwrap();
        assert_eq!(Cart::parse(&[item(1, 99_999), item(1, 1)], 9), Err(InvalidCart::Quantity(sku)));
    }
}
