//! The stock ledger (库存流水): every movement of stock, and why.

use super::id::{LineId, OrderId, SkuId, StaffId, StockEntryId, WxappId};
use super::time::Timestamp;

/// An entry of the stock ledger (库存流水).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockEntry {
    pub id: StockEntryId,
    pub wxapp: WxappId,
    pub sku: SkuId,
    /// Gapless for each SKU.
    pub seq: i64,
    pub kind: EntryKind,
    pub order: OrderId,
    pub line: LineId,
    pub delta: i64,
    /// Stock after this entry.
    pub balance: i64,
    pub at: Timestamp,
}

/// An entry that staff have made, of no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub id: StockEntryId,
    pub wxapp: WxappId,
    pub sku: SkuId,
    pub seq: i64,
    pub delta: i64,
    /// Stock after this entry.
    pub balance: i64,
    pub by: StaffId,
    pub reason: String,
    pub at: Timestamp,
}

/// Why stock moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Deducted when the order was placed.
    Order,
    /// Deducted when it was paid.
    Payment,
    Cancel,
    Expire,
    Refund,
    /// By staff, with a reason.
    Adjust,
}

impl EntryKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::Refund => "refund",
            Self::Adjust => "adjust",
        }
    }
}
