//! What an order costs.

use serde::{Deserialize, Serialize};

use super::money::{Money, Quantity};

/// What delivery costs: one flat amount, waived from a certain value of goods on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreightPolicy {
    pub flat: Money,
    /// Goods value from which delivery is free.
    pub free_from: Option<Money>,
}

impl FreightPolicy {
    pub fn freight(&self, goods: Money) -> Money {
        match self.free_from {
            Some(threshold) if goods >= threshold => Money::ZERO,
            _ => self.flat,
        }
    }
}

/// The sums of an order: `pay = goods + freight - discount + adjust`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    pub goods: Money,
    pub freight: Money,
    pub discount: Money,
    /// A price change by staff; signed.
    pub adjust: Money,
    pub pay: Money,
}

impl Amounts {
    /// The same order with another price change by staff; none: the sum is no amount.
    pub fn adjusted(&self, adjust: Money) -> Option<Self> {
        let pay = self.pay.checked_sub(self.adjust)?.checked_add(adjust)?;
        Some(Self { adjust, pay, ..*self })
    }
}

/// The order is worth more than one order may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order may not exceed {max}")]
pub struct TooExpensive {
    pub max: Money,
}

/// Sums up lines of price and quantity in checked arithmetic.
pub fn amounts(
    lines: impl IntoIterator<Item = (Money, Quantity)>,
    freight: &FreightPolicy,
    max: Money,
) -> Result<Amounts, TooExpensive> {
    let total = lines.into_iter().try_fold(Money::ZERO, |sum, (price, quantity)| {
        sum.checked_add(price.checked_mul(quantity)?)
    });
    let goods = total.ok_or(TooExpensive { max })?;
    let freight = freight.freight(goods);
    let pay = goods.checked_add(freight).filter(|pay| *pay <= max).ok_or(TooExpensive { max })?;
    Ok(Amounts { goods, freight, pay, ..Amounts::default() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MAX: Money = Money::from_fen(1_000_000);

    fn lines(items: &[(i64, i64)]) -> Vec<(Money, Quantity)> {
        let line = |(fen, n): &(i64, i64)| (Money::from_fen(*fen), Quantity::parse(*n).unwrap());
        items.iter().map(line).collect()
    }

    #[test]
    fn lines_and_freight_add_up() {
        let freight =
            FreightPolicy { flat: Money::from_fen(800), free_from: Some(Money::from_fen(5000)) };
        let sums = amounts(lines(&[(1000, 2), (99, 3)]), &freight, MAX).unwrap();
        assert_eq!(
            (sums.goods.as_fen(), sums.freight.as_fen(), sums.pay.as_fen()),
            (2297, 800, 3097)
        );
        let sums = amounts(lines(&[(5000, 1)]), &freight, MAX).unwrap();
        assert_eq!((sums.freight.as_fen(), sums.pay.as_fen()), (0, 5000));
    }

    #[test]
    fn what_is_too_much_is_refused_not_wrapped() {
        for items in [&[(1_000_001, 1)][..], &[(i64::MAX, 2)], &[(i64::MAX, 1), (1, 1)]] {
            assert!(amounts(lines(items), &FreightPolicy::default(), MAX).is_err());
        }
    }
}
