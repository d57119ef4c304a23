//! Parcels (发货单): what of an order is on its way, and by whom.

use serde::Serialize;

use super::express;
use super::id::{LineId, OrderId, ShipmentId, StaffId, TrackingNo, WxappId};
use super::money::Quantity;
use super::time::Timestamp;

/// Parcels that one order may have.
/// Rule: upload_shipping_info, "shipping_list" of a split delivery: 10 to 15 by its age.
pub const PARCELS_MAX: usize = 10;
/// How often WeChat takes other data for what it was told is shipped (10060003).
pub const RESHIPMENTS_AT_WECHAT: i64 = 1;
/// How long the buyer's message about a parcel of the shipping desk waits, so that a scan can be
/// taken back. Ours: a clerk sees a wrong scan at once, and a buyer does not miss a minute.
pub const HOLD_SECONDS: i64 = 60;
const NAME_MAX: usize = 32;

/// A parcel on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    pub id: ShipmentId,
    pub wxapp: WxappId,
    pub order: OrderId,
    pub carrier: Carrier,
    pub number: TrackingNo,
    pub lines: Vec<Packed>,
    pub shipped_at: Timestamp,
    pub by: StaffId,
    /// How often carrier or number were corrected. WeChat takes [`RESHIPMENTS_AT_WECHAT`].
    pub corrections: i64,
    pub corrected_at: Option<Timestamp>,
}

/// So many pieces of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    pub line: LineId,
    pub quantity: Quantity,
}

/// Who carries a parcel: a company of the list, or another under its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Carrier {
    code: String,
    name: String,
}

/// The carrier is not in the list, or one that is not has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an express company")]
pub struct UnknownCarrier;

impl Carrier {
    /// `name` counts for [`express::OTHER`] only: 1 to 32 characters.
    pub fn parse(code: &str, name: Option<&str>) -> Result<Self, UnknownCarrier> {
        let listed = express::find(code).ok_or(UnknownCarrier)?;
        let name = match name.map(str::trim) {
            Some(name) if code == express::OTHER => name,
            None if code == express::OTHER => return Err(UnknownCarrier),
            _ => listed.name,
        };
        if name.is_empty() || name.chars().count() > NAME_MAX {
            return Err(UnknownCarrier);
        }
        Ok(Self { code: code.to_owned(), name: name.to_owned() })
    }
    /// As it was stored; the list may have changed since.
    pub fn stored(code: String, name: String) -> Self {
        Self { code, name }
    }
    pub fn code(&self) -> &str {
        &self.code
    }
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Shipment {
    /// Pieces of a line in this parcel.
    pub fn pieces_of(&self, line: LineId) -> i64 {
        let of_line = self.lines.iter().filter(|packed| packed.line == line);
        of_line.map(|packed| packed.quantity.pieces()).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_carrier_is_listed_or_has_a_name() {
        for (code, name, expected) in [
            ("SF", None, Some("顺丰速运")),
            ("SF", Some("whatever"), Some("顺丰速运")),
            ("OTHER", Some(" 骑手小王 "), Some("骑手小王")),
            ("OTHER", Some("  "), None),
            ("OTHER", None, None),
            ("XX", Some("x"), None),
        ] {
            let carrier = Carrier::parse(code, name);
            assert_eq!(carrier.as_ref().ok().map(Carrier::name), expected, "{code} {name:?}");
        }
        let long = "长".repeat(33);
        assert!(Carrier::parse("OTHER", Some(&long)).is_err());
    }
}
