//! What staff do (员工操作), and the log of it: every change with before and after.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::address::Address;
use super::books::Kept;
use super::id::{
    AuditId, GoodsId, IdempotencyKey, IncidentId, NotificationId, OrderId, ShipmentId, StaffId,
    WxappId,
};
use super::notification::Facts;
use super::payment::IncidentReason;
use super::sheet::Sheet;
use super::stock::Adjustment;
use super::time::Timestamp;

/// An entry of the audit log (操作日志), in the commit of what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: AuditId,
    pub wxapp: WxappId,
    pub staff: StaffId,
    /// The action's name, as `Act::name` gives it.
    pub action: &'static str,
    pub subject: Subject,
    pub before: Facts,
    pub after: Facts,
    pub reason: String,
    pub key: Option<DeskKey>,
    pub at: Timestamp,
}

/// What an action was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Order(i64),
    Sku(i64),
    Goods(i64),
    Incident(i64),
    Message(i64),
}

impl Subject {
    pub fn kind(self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::Sku(_) => "sku",
            Self::Goods(_) => "goods",
            Self::Incident(_) => "incident",
            Self::Message(_) => "message",
        }
    }
    pub fn id(self) -> i64 {
        match self {
            Self::Order(id)
            | Self::Sku(id)
            | Self::Goods(id)
            | Self::Incident(id)
            | Self::Message(id) => id,
        }
    }
}

/// The one-time key of a form, and what the form said: a double click acts once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeskKey {
    pub key: IdempotencyKey,
    /// SHA-256 of the action, hexadecimal.
    pub request_hash: String,
}

/// How staff end an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Resolution {
    /// It belongs to this order; what that means for the order, staff have seen to.
    Matched(OrderId),
    /// Given back at the merchant platform.
    Refunded,
    /// Nothing is to be done.
    Dismissed,
}

impl Resolution {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matched(_) => "matched",
            Self::Refunded => "refunded",
            Self::Dismissed => "dismissed",
        }
    }
}

/// An incident as staff find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentCase {
    pub id: IncidentId,
    pub wxapp: WxappId,
    pub reason: IncidentReason,
    pub amount_fen: i64,
    /// None: open.
    pub resolved: Option<Resolved>,
}

/// That and how an incident was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub how: Resolution,
    pub by: StaffId,
    pub reason: String,
    pub at: Timestamp,
}

/// A message as staff find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageCase {
    pub id: NotificationId,
    pub wxapp: WxappId,
    pub order: OrderId,
    /// Given up; only then it can be sent again.
    pub parked: bool,
}

/// The message about a parcel that nobody has begun to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentMessage {
    pub id: NotificationId,
    pub facts: Facts,
    /// It is not to be sent: the parcel was taken back.
    pub is_void: bool,
}

/// A code by which an import knows goods or a SKU: each is there once in a mini-program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodeOf {
    Goods(String),
    Sku(String),
}

/// What a batch reads and makes for staff, beside the rows of orders, goods and money.
#[derive(Debug, Default)]
pub struct DeskBooks {
    pub addresses: BTreeMap<OrderId, Kept<Address>>,
    pub incidents: BTreeMap<IncidentId, Kept<IncidentCase>>,
    pub messages: BTreeMap<NotificationId, Kept<MessageCase>>,
    /// By the parcel that they tell of.
    pub unsent: BTreeMap<ShipmentId, Kept<UnsentMessage>>,
    /// Parcels that are no more.
    pub taken_back: Vec<ShipmentId>,
    /// Goods put on or off sale.
    pub sale: BTreeMap<GoodsId, bool>,
    /// Sheets of goods that are written.
    pub sheets: BTreeMap<GoodsId, Kept<Sheet>>,
    /// Whose the codes are that sheets of this batch want.
    pub codes: BTreeMap<(WxappId, CodeOf), i64>,
    /// Orders whose buyer was reminded to pay.
    pub reminded: BTreeSet<OrderId>,
    pub adjustments: Vec<Adjustment>,
    pub log: Vec<AuditEntry>,
    /// Keys that have acted, with what they said.
    pub done: BTreeMap<(StaffId, IdempotencyKey), String>,
}
