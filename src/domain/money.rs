//! Money in fen (分) and quantities in pieces (件). Neither turns into the other.

use serde::{Deserialize, Serialize};

/// An amount of money in integer fen, 1/100 yuan. Never a float, never a bare number.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    pub const ZERO: Money = Money(0);

    pub const fn from_fen(fen: i64) -> Self {
        Self(fen)
    }
    /// Yuan as people type them: `12.3`, `¥0.05`; at most nine digits and two decimals. Nothing
    /// else is an amount: no sign, no exponent, no thousands.
    pub fn parse_yuan(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches(['¥', '￥']);
        let (yuan, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let short = (1..=9).contains(&yuan.len()) && (1..=2).contains(&part.len());
        if !short || !digits(yuan) || !digits(part) {
            return None;
        }
        format!("{yuan}{part:0<2}").parse().ok().map(Self)
    }
    pub const fn as_fen(self) -> i64 {
        self.0
    }
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.0.checked_sub(other.0).map(Money)
    }
    /// Price times quantity.
    pub fn checked_mul(self, quantity: Quantity) -> Option<Money> {
        self.0.checked_mul(i64::from(quantity.get())).map(Money)
    }
}

/// For people: yuan with two decimals, `12.30`.
impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", fen / 100, fen % 100)
    }
}

/// How many pieces are bought: 1 to 99,999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Quantity(u32);

/// The number is not a quantity one can buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is a whole number from 1 to {}", Quantity::MAX)]
pub struct InvalidQuantity;

impl Quantity {
    pub const MAX: i64 = 99_999;

    pub fn parse(value: i64) -> Result<Self, InvalidQuantity> {
        match u32::try_from(value) {
            Ok(pieces) if (1..=Self::MAX).contains(&value) => Ok(Self(pieces)),
            _ => Err(InvalidQuantity),
        }
    }
    pub fn get(self) -> u32 {
        self.0
    }
    pub fn pieces(self) -> i64 {
        i64::from(self.0)
    }
    /// Two lines of the same SKU count together.
    pub fn checked_add(self, other: Quantity) -> Result<Quantity, InvalidQuantity> {
        Self::parse(self.pieces() + other.pieces())
    }
}

impl TryFrom<i64> for Quantity {
    type Error = InvalidQuantity;
    fn try_from(value: i64) -> Result<Self, InvalidQuantity> {
        Self::parse(value)
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> i64 {
        quantity.pieces()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_as_yuan() {
        for (fen, text) in [(0, "0.00"), (5, "0.05"), (1230, "12.30"), (-101, "-1.01")] {
            assert_eq!(Money::from_fen(fen).to_string(), text);
        }
    }

    #[test]
    fn yuan_are_read_exactly_or_not_at_all() {
        for (text, fen) in
            [("12.3", 1230), (" ¥0.05 ", 5), ("￥7", 700), ("999999999.99", 99_999_999_999)]
        {
            assert_eq!(Money::parse_yuan(text), Some(Money(fen)), "{text}");
        }
        for bad in ["", ".5", "5.", "1.234", "-1", "+1", "1e3", "1,000", "1000000000", "١"] {
            assert_eq!(Money::parse_yuan(bad), None, "{bad}");
        }
        for fen in [0, 1, 99, 100, 1990, 99_999_999_999] {
            assert_eq!(Money::parse_yuan(&Money(fen).to_string()), Some(Money(fen)));
        }
    }

    #[test]
    fn overflow_is_told_not_wrapped() {
        let two = Quantity::parse(2).expect("2 is a quantity");
        assert_eq!(Money::from_fen(i64::MAX).checked_mul(two), None);
        assert_eq!(Money::from_fen(i64::MAX).checked_add(Money::from_fen(1)), None);
    }

    #[test]
    fn quantities_start_at_one() {
        for bad in [0, -1, 100_000, i64::MAX, i64::MIN] {
            assert_eq!(Quantity::parse(bad), Err(InvalidQuantity));
        }
        assert_eq!(Quantity::parse(99_999).map(Quantity::pieces), Ok(99_999));
    }
}
