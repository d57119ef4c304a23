//! What has happened to an order (订单动态): every event, who, when.
//!
//! Written in the commit of the event. That an order was placed is not written: the order's own row
//! says it, and a flash sale has better things to do.

use super::id::{HappeningId, OrderId, StaffId, WxappId};
use super::notification::Facts;
use super::time::Timestamp;

/// Who made something happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Who {
    Buyer,
    Staff(StaffId),
    /// Time has come.
    #[default]
    System,
    Wechat,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Buyer => f.write_str("buyer"),
            Self::Staff(id) => write!(f, "staff:{id}"),
            Self::System => f.write_str("system"),
            Self::Wechat => f.write_str("wechat"),
        }
    }
}

impl Who {
    /// What [`Who`] shows itself as.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "buyer" => Some(Self::Buyer),
            "system" => Some(Self::System),
            "wechat" => Some(Self::Wechat),
            _ => {
                let id = text.strip_prefix("staff:")?.parse().ok()?;
                StaffId::parse(id).ok().map(Self::Staff)
            }
        }
    }
}

/// An entry of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    pub id: HappeningId,
    pub wxapp: WxappId,
    pub order: OrderId,
    pub what: What,
    pub who: Who,
    /// Amounts, numbers, reasons; never a name, phone or address.
    pub detail: Facts,
    pub at: Timestamp,
}

macro_rules! whats {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum What {
            $($(#[$doc])* $name),+
        }
        impl What {
            pub const ALL: &[What] = &[$(Self::$name),+];
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

whats! {
    Placed = "placed",
    /// It shall be closed; WeChat is asked first.
    Closing = "closing",
    Closed = "closed",
    /// Staff closed it although WeChat had not confirmed.
    Released = "released",
    Paid = "paid",
    /// Money that pays nothing and goes back.
    Surplus = "surplus",
    PriceChanging = "price_changing",
    PriceChanged = "price_changed",
    /// It was paid or closed before the price could change.
    PriceKept = "price_kept",
    AddressChanged = "address_changed",
    Noted = "noted",
    ShippedPart = "shipped_part",
    Shipped = "shipped",
    NumberCorrected = "number_corrected",
    /// A parcel that had been scanned did not leave.
    TakenBack = "taken_back",
    Completed = "completed",
    RefundOrdered = "refund_ordered",
    RefundSucceeded = "refund_succeeded",
    /// The bank refused (CHANGE); staff finish it at the merchant platform.
    RefundStuck = "refund_stuck",
    RefundFailed = "refund_failed",
    Refunded = "refunded",
    /// Staff found the order that word of money belongs to.
    IncidentMatched = "incident_matched",
    MessageResent = "message_resent",
}

impl What {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|what| what.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for what in What::ALL {
            assert_eq!(What::parse(what.as_str()), Some(*what));
        }
        let staff = Who::Staff(StaffId::parse(7).unwrap());
        for who in [Who::Buyer, Who::System, Who::Wechat, staff] {
            assert_eq!(Who::parse(&who.to_string()), Some(who));
        }
        assert_eq!(Who::parse("staff:0"), None);
    }
}
