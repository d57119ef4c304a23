//! Identities: one type for each thing, so that an order cannot be taken for a SKU.

use serde::{Deserialize, Serialize};

/// Why a text or number is not an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(pub &'static str);

/// Ids stay below 2^53, so that JavaScript keeps them exactly.
pub const ID_MAX: i64 = (1 << 53) - 1;

macro_rules! numeric_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// Refuses what is not between 1 and 2^53 - 1.
            pub fn parse(value: i64) -> Result<Self, InvalidId> {
                if (1..=ID_MAX).contains(&value) { Ok(Self(value)) } else { Err(InvalidId(stringify!($name))) }
            }
            pub fn get(self) -> i64 {
                self.0
            }
        }
        impl TryFrom<i64> for $name {
            type Error = InvalidId;
            fn try_from(value: i64) -> Result<Self, InvalidId> {
                Self::parse(value)
            }
        }
        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )+};
}

numeric_id! {
    /// A mini-program (小程序), the tenant.
    WxappId,
    /// A buyer (买家).
    UserId,
    /// An address in a buyer's address book (收货地址).
    AddressId,
    /// A category of goods (分类).
    CategoryId,
    /// Goods (商品).
    GoodsId,
    /// A stock keeping unit (规格).
    SkuId,
    /// An order (订单).
    OrderId,
    /// A line of an order (订单商品).
    LineId,
    /// An attempt to pay (支付尝试).
    AttemptId,
    /// Money received (支付记录).
    PaymentId,
    /// Money given back (退款).
    RefundId,
    /// An entry of the stock ledger (库存流水).
    StockEntryId,
    /// A message in the outbox (消息).
    NotificationId,
    /// Word of WeChat that fits nothing we know (异常通知).
    IncidentId,
    /// A parcel (发货单).
    ShipmentId,
    /// Somebody who works for the shop (店员).
    StaffId,
    /// An entry of an order's timeline (订单动态).
    HappeningId,
    /// An entry of the audit log (操作日志).
    AuditId,
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident ($min:literal..=$max:literal, $allowed:expr)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn parse(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                let allowed: fn(u8) -> bool = $allowed;
                if ($min..=$max).contains(&value.len()) && value.bytes().all(allowed) {
                    Ok(Self(value))
                } else {
                    Err(InvalidId(stringify!($name)))
                }
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::parse(value)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

fn number_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte)
}

text_id! {
    /// Our number of an attempt at WeChat (商户订单号): 6 to 32 of `0-9A-Za-z_-|*@`.
    /// Rule: unifiedorder, `out_trade_no`.
    OutTradeNo(6..=32, number_character),
    /// WeChat's number of a payment (微信支付订单号): digits in practice. Our refund numbers are made of
    /// it, so it has no character that they may not have.
    TransactionId(1..=32, number_character),
    /// Our number of a refund at WeChat (商户退款单号): 1 to 64 of `0-9A-Za-z_-|*@`.
    OutRefundNo(1..=64, number_character),
    /// The number of a parcel (快递单号): 5 to 40 letters, digits and hyphens. What a spreadsheet has
    /// made of one (`7.3E+13`) is none.
    TrackingNo(5..=40, |byte| byte.is_ascii_alphanumeric() || byte == b'-'),
    /// The key under which a request may be repeated (幂等键): 1 to 64 visible ASCII characters.
    IdempotencyKey(1..=64, |byte| byte.is_ascii_graphic()),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lie_between_one_and_two_to_the_53() {
        assert!(OrderId::parse(0).is_err());
        assert!(OrderId::parse(-5).is_err());
        assert!(OrderId::parse(ID_MAX + 1).is_err());
        assert_eq!(OrderId::parse(ID_MAX).map(OrderId::get), Ok(ID_MAX));
    }

    #[test]
    fn a_tracking_number_has_no_spaces_and_was_not_rounded() {
        for good in ["SF1234567890123", "773123456789012", "JDVA-12345"] {
            assert!(TrackingNo::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1234", "7.3E+13", "SF 123456", "单号12345", &"1".repeat(41)] {
            assert!(TrackingNo::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_out_trade_no_keeps_wechats_alphabet_and_length() {
        for good in ["20261125123456", "T-1_2|3*4@5"] {
            assert!(OutTradeNo::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "12345", "1234567 ", "订单订单订单", &"1".repeat(33)] {
            assert!(OutTradeNo::parse(bad).is_err(), "{bad}");
        }
    }
}
