//! What staff do, decided like everything else: on the rows, all or nothing.
//!
//! One command for all of it, because all of it is alike: somebody of the staff, perhaps a
//! one-time key, an action, an entry in the audit log in the same commit. An action with a key that
//! has acted before changes nothing and says so.

mod goods;
mod money;
mod order;
mod parcels;
mod shop;

use serde::Serialize;

use crate::domain::address::Address;
use crate::domain::books::{Books, Kept};
use crate::domain::desk::{AuditEntry, DeskKey, Resolution, Subject};
use crate::domain::id::{
    GoodsId, IncidentId, LineId, NotificationId, OrderId, ShipmentId, SkuId, StaffId, TrackingNo,
    WxappId,
};
use crate::domain::money::{Money, Quantity};
use crate::domain::notification::Facts;
use crate::domain::order::{Order, TransitionError};
use crate::domain::sheet::Sheet;
use crate::domain::shipment::Carrier;
use crate::domain::time::Timestamp;

/// An action of somebody who works for the shop.
#[derive(Debug, Clone)]
pub struct Desk {
    /// Only what belongs to this mini-program is found.
    pub wxapp: WxappId,
    pub staff: StaffId,
    /// None: a repeat acts again, or is refused by the state that the first has left.
    pub key: Option<DeskKey>,
    pub act: Act,
}

/// What is to be done. Reasons are for the audit log; that of a refund is read by the buyer too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Act {
    /// A parcel leaves. No lines: everything that is left.
    Ship {
        order: OrderId,
        carrier: Carrier,
        number: TrackingNo,
        lines: Vec<(LineId, Quantity)>,
        /// How long the buyer's message waits: until then it can be taken back.
        #[serde(skip_serializing_if = "is_none")]
        hold_seconds: i64,
    },
    /// A parcel has not left after all. Only while nobody has begun to tell the buyer of it.
    TakeBack {
        order: OrderId,
        shipment: ShipmentId,
    },
    /// Another carrier or number for a parcel. WeChat takes one such change.
    CorrectNumber {
        order: OrderId,
        shipment: ShipmentId,
        carrier: Carrier,
        number: TrackingNo,
    },
    /// A note of the staff for the staff.
    Note {
        order: OrderId,
        text: String,
    },
    /// Until the first parcel leaves.
    ChangeAddress {
        order: OrderId,
        address: Address,
    },
    /// `adjust` becomes this; the attempt at the former price is closed at WeChat first.
    Reprice {
        order: OrderId,
        adjust: Money,
        max: Money,
        reason: String,
    },
    /// An unpaid order is given up; WeChat is asked first.
    Cancel {
        order: OrderId,
        reason: String,
    },
    /// Closes an order whose attempt WeChat does not confirm as closed.
    Release {
        order: OrderId,
        reason: String,
    },
    /// The buyer has it, as far as the shop knows.
    Complete {
        order: OrderId,
        reason: String,
    },
    /// All that was paid and has not gone back yet.
    Refund {
        order: OrderId,
        reason: String,
    },
    ResolveIncident {
        incident: IncidentId,
        how: Resolution,
        reason: String,
    },
    AdjustStock {
        sku: SkuId,
        delta: i64,
        reason: String,
    },
    SetSale {
        goods: GoodsId,
        on_sale: bool,
    },
    /// A sheet over the goods that had this version; over none: new goods.
    SaveGoods {
        over: Option<(GoodsId, i64)>,
        sheet: Box<Sheet>,
    },
    /// A message that was given up is tried again.
    Resend {
        message: NotificationId,
    },
}

fn is_none(seconds: &i64) -> bool {
    *seconds == 0
}

impl Act {
    /// In the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ship { .. } => "ship",
            Self::TakeBack { .. } => "take_back",
            Self::CorrectNumber { .. } => "correct_number",
            Self::Note { .. } => "note",
            Self::ChangeAddress { .. } => "change_address",
            Self::Reprice { .. } => "reprice",
            Self::Cancel { .. } => "cancel",
            Self::Release { .. } => "release",
            Self::Complete { .. } => "complete",
            Self::Refund { .. } => "refund",
            Self::ResolveIncident { .. } => "resolve_incident",
            Self::AdjustStock { .. } => "adjust_stock",
            Self::SetSale { .. } => "set_sale",
            Self::SaveGoods { .. } => "save_goods",
            Self::Resend { .. } => "resend",
        }
    }
    /// The order that it is about.
    pub fn order(&self) -> Option<OrderId> {
        match self {
            Self::Ship { order, .. }
            | Self::TakeBack { order, .. }
            | Self::CorrectNumber { order, .. }
            | Self::Note { order, .. }
            | Self::ChangeAddress { order, .. }
            | Self::Reprice { order, .. }
            | Self::Cancel { order, .. }
            | Self::Release { order, .. }
            | Self::Complete { order, .. }
            | Self::Refund { order, .. }
            | Self::ResolveIncident { how: Resolution::Matched(order), .. } => Some(*order),
            Self::ResolveIncident { .. }
            | Self::AdjustStock { .. }
            | Self::SetSale { .. }
            | Self::SaveGoods { .. }
            | Self::Resend { .. } => None,
        }
    }
    /// Whether goods of its order go back on sale.
    pub fn moves_goods(&self) -> bool {
        matches!(self, Self::Cancel { .. } | Self::Release { .. })
    }
    /// Whether lines, payments and refunds of its order are needed.
    pub fn needs_lines_and_money(&self) -> bool {
        matches!(self, Self::Ship { .. } | Self::Refund { .. })
    }
    /// How many things it may make that need ids of their own.
    pub fn makes(&self) -> usize {
        match self {
            Self::SaveGoods { sheet, .. } => 1 + sheet.skus.len(),
            _ => 0,
        }
    }
    /// Whether parcels of its order are needed.
    pub fn needs_parcels(&self) -> bool {
        match self {
            Self::Ship { .. } | Self::ChangeAddress { .. } => true,
            _ => self.needs_message().is_some(),
        }
    }
    /// The parcel whose message is needed, if it has not been sent.
    pub fn needs_message(&self) -> Option<ShipmentId> {
        match self {
            Self::TakeBack { shipment, .. } | Self::CorrectNumber { shipment, .. } => {
                Some(*shipment)
            }
            _ => None,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acted {
    /// The key had acted before; nothing has changed.
    pub repeated: bool,
    /// The parcel that left.
    pub shipment: Option<ShipmentId>,
    /// The goods that were written.
    pub goods: Option<GoodsId>,
}

/// Why nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeskRefusal {
    #[error("unknown {0}")]
    Unknown(&'static str),
    #[error("the key belongs to another action")]
    KeyConflict,
    #[error(transparent)]
    Transition(#[from] TransitionError),
    #[error("money of the order is going back")]
    RefundOpen,
    #[error("an order has at most ten parcels, and the last one takes all that is left")]
    TooManyParcels,
    #[error("{left} pieces of line {line} are left")]
    TooManyPieces { line: LineId, left: i64 },
    #[error("another parcel of the order has this number")]
    NumberTaken,
    #[error("a parcel has left already")]
    ParcelLeft,
    #[error("the buyer has been told of the parcel")]
    BuyerTold,
    #[error("nothing would change")]
    NothingChanges,
    #[error("at least one fen must be left to pay")]
    PriceTooLow,
    #[error("an order may not exceed {max}")]
    PriceTooHigh { max: Money },
    #[error("its price is being changed")]
    Repricing,
    #[error("the time to pay is over")]
    Expired,
    #[error("WeChat has not been asked yet")]
    NotAskedYet,
    #[error("there is nothing to give back")]
    NothingToRefund,
    #[error("five refunds of this payment have failed; finish it at the merchant platform")]
    TooManyRefunds,
    #[error("{stock} pieces are in stock")]
    NotEnough { stock: i64 },
    #[error("somebody has changed the goods meanwhile")]
    Stale,
    /// By SKUs of the sheet; none: that of the goods.
    #[error("something else of the shop has this code")]
    CodeTaken { row: Option<usize> },
    #[error("no such amount of stock")]
    BadDelta,
    #[error("the incident is not open")]
    AlreadyResolved,
    #[error("only a message that was given up can be sent again")]
    NotParked,
}

pub(super) fn act(books: &mut Books, desk: Desk, now: Timestamp) -> Result<Acted, DeskRefusal> {
    if let Some(key) = &desk.key
        && let Some(said) = books.desk.done.get(&(desk.staff, key.key.clone()))
    {
        if *said != key.request_hash {
            return Err(DeskRefusal::KeyConflict);
        }
        return Ok(Acted { repeated: true, shipment: None, goods: None });
    }
    let clerk = Clerk { wxapp: desk.wxapp, staff: desk.staff, now };
    let name = desk.act.name();
    let change = perform(books, &clerk, desk.act)?;
    if let Some(key) = &desk.key {
        books.desk.done.insert((desk.staff, key.key.clone()), key.request_hash.clone());
    }
    if let Some(id) = books.draw() {
        books.desk.log.push(AuditEntry {
            id,
            wxapp: desk.wxapp,
            staff: desk.staff,
            action: name,
            subject: change.subject,
            before: change.before,
            after: change.after,
            reason: change.reason,
            key: desk.key,
            at: now,
        });
    }
    Ok(Acted { repeated: false, shipment: change.shipment, goods: change.goods })
}

/// Who acts, where and when.
struct Clerk {
    wxapp: WxappId,
    staff: StaffId,
    now: Timestamp,
}

/// What has changed, for the audit log.
struct Change {
    subject: Subject,
    before: Facts,
    after: Facts,
    reason: String,
    shipment: Option<ShipmentId>,
    goods: Option<GoodsId>,
}

impl Change {
    fn new(subject: Subject, before: Facts, after: Facts) -> Self {
        Self { subject, before, after, reason: String::new(), shipment: None, goods: None }
    }
    fn of(order: OrderId, before: Facts, after: Facts) -> Self {
        Self::new(Subject::Order(order.get()), before, after)
    }
    fn because(self, reason: String) -> Self {
        Self { reason, ..self }
    }
}

fn perform(books: &mut Books, clerk: &Clerk, act: Act) -> Result<Change, DeskRefusal> {
    match act {
        Act::Ship { order, carrier, number, lines, hold_seconds } => {
            let parcel = parcels::Parcel { carrier, number };
            parcels::ship(books, clerk, order, parcel, (&lines, hold_seconds))
        }
        Act::TakeBack { order, shipment } => parcels::take_back(books, clerk, order, shipment),
        Act::CorrectNumber { order, shipment, carrier, number } => {
            parcels::correct(books, clerk, order, shipment, parcels::Parcel { carrier, number })
        }
        Act::Note { order, text } => order::note(books, clerk, order, text),
        Act::ChangeAddress { order, address } => {
            order::change_address(books, clerk, order, address)
        }
        Act::Reprice { order, adjust, max, reason } => {
            money::reprice(books, clerk, order, adjust, max).map(|change| change.because(reason))
        }
        Act::Cancel { order, reason } => order::cancel(books, clerk, order, reason),
        Act::Release { order, reason } => order::release(books, clerk, order, reason),
        Act::Complete { order, reason } => order::complete(books, clerk, order, reason),
        Act::Refund { order, reason } => money::refund(books, clerk, order, reason),
        Act::ResolveIncident { incident, how, reason } => {
            shop::resolve(books, clerk, incident, how, reason)
        }
        Act::AdjustStock { sku, delta, reason } => {
            shop::adjust_stock(books, clerk, sku, delta, reason)
        }
        Act::SetSale { goods, on_sale } => shop::set_sale(books, clerk, goods, on_sale),
        Act::SaveGoods { over, sheet } => goods::save(books, clerk, over, *sheet),
        Act::Resend { message } => shop::resend(books, clerk, message),
    }
}

/// The order, if it is one of this mini-program.
fn find(books: &Books, clerk: &Clerk, order: OrderId) -> Result<Order, DeskRefusal> {
    let found = books.orders.get(&order).map(Kept::get).filter(|o| o.wxapp == clerk.wxapp);
    found.cloned().ok_or(DeskRefusal::Unknown("order"))
}

fn facts<const N: usize>(facts: [(&str, String); N]) -> Facts {
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
