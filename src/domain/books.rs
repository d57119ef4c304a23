//! The books that a batch works on: the rows it has read under lock, and what it has made of them.

use std::collections::BTreeMap;

use super::address::Address;
use super::attempt::Attempt;
use super::desk::DeskBooks;
use super::goods::{Goods, Sku};
use super::id::{
    AddressId, AttemptId, GoodsId, IdempotencyKey, LineId, OrderId, PaymentId, RefundId,
    ShipmentId, SkuId, UserId, WxappId,
};
use super::notification::{Facts, NewNotification};
use super::order::{Line, Order};
use super::payment::{Incident, Payment, Refund};
use super::shipment::Shipment;
pub use super::stock::{EntryKind, StockEntry};
use super::time::Timestamp;
use super::timeline::{Happening, What, Who};

/// A row and whether it must be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept<T> {
    value: T,
    mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Loaded,
    Changed,
    New,
}

impl<T> Kept<T> {
    pub fn loaded(value: T) -> Self {
        Self { value, mark: Mark::Loaded }
    }
    pub fn new(value: T) -> Self {
        Self { value, mark: Mark::New }
    }
    pub fn get(&self) -> &T {
        &self.value
    }
    /// The row, to be changed.
    pub fn change(&mut self) -> &mut T {
        if self.mark == Mark::Loaded {
            self.mark = Mark::Changed;
        }
        &mut self.value
    }
    pub fn is_new(&self) -> bool {
        self.mark == Mark::New
    }
    pub fn is_changed(&self) -> bool {
        self.mark == Mark::Changed
    }
}

/// What an idempotency key belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRef {
    pub wxapp: WxappId,
    pub user: UserId,
    pub operation: Operation,
    pub key: IdempotencyKey,
}

/// The calls that take an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    PlaceOrder,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlaceOrder => "place_order",
        }
    }
}

/// The request that a key is bound to, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBinding {
    /// SHA-256 of the request in canonical form, hexadecimal.
    pub request_hash: String,
    pub result: OrderId,
}

/// All that one batch has read and made. Filled by the store, worked on by the fold, written by the
/// store. Nothing in it reaches the database unless the whole of it does.
#[derive(Debug, Default)]
pub struct Books {
    pub goods: BTreeMap<GoodsId, Kept<Goods>>,
    pub skus: BTreeMap<SkuId, Kept<Sku>>,
    pub orders: BTreeMap<OrderId, Kept<Order>>,
    pub lines: BTreeMap<OrderId, Vec<Line>>,
    pub attempts: BTreeMap<AttemptId, Kept<Attempt>>,
    pub payments: BTreeMap<PaymentId, Kept<Payment>>,
    pub refunds: BTreeMap<RefundId, Kept<Refund>>,
    /// Parcels, of orders that are shipped or refunded by this batch.
    pub shipments: BTreeMap<ShipmentId, Kept<Shipment>>,
    /// Pieces that the ledger shows as deducted for a line, and not returned.
    pub deducted: BTreeMap<LineId, i64>,
    /// Pieces in live orders of a buyer, for goods that have a limit.
    pub bought: BTreeMap<(UserId, GoodsId), i64>,
    pub keys: BTreeMap<KeyRef, KeyBinding>,
    /// Entries of address books that orders of this batch name, with their owners.
    pub address_book: BTreeMap<AddressId, (UserId, Address)>,
    pub addresses: Vec<(OrderId, WxappId, Address)>,
    pub entries: Vec<StockEntry>,
    pub notifications: Vec<NewNotification>,
    pub incidents: Vec<Incident>,
    pub timeline: Vec<Happening>,
    pub desk: DeskBooks,
    /// Who makes happen what the command under way does.
    pub(super) acting: Who,
    /// Free ids, the next one last.
    pub ids: Vec<i64>,
    /// The first thing that a command needed and did not find. Such books must not be written.
    pub(super) missing: Option<&'static str>,
}

impl Books {
    /// Attempts of one order, oldest first.
    pub fn attempts_of(&self, order: OrderId) -> impl Iterator<Item = &Attempt> {
        self.attempts.values().map(Kept::get).filter(move |attempt| attempt.order == order)
    }

    /// Lines of one order.
    pub fn lines_of(&self, order: OrderId) -> &[Line] {
        self.lines.get(&order).map_or(&[], Vec::as_slice)
    }

    /// Parcels of one order.
    pub fn shipments_of(&self, order: OrderId) -> impl Iterator<Item = &Shipment> {
        self.shipments.values().map(Kept::get).filter(move |shipment| shipment.order == order)
    }

    /// Writes what happened to an order into its timeline.
    pub(super) fn happened(&mut self, order: OrderId, what: What, detail: Facts, at: Timestamp) {
        let Some(wxapp) = self.orders.get(&order).map(|kept| kept.get().wxapp) else { return };
        let Some(id) = self.draw() else { return };
        let who = self.acting;
        self.timeline.push(Happening { id, wxapp, order, what, who, detail, at });
    }

    /// What a command needed and did not find, although the store should have read it or put it in.
    /// None: the books may be written.
    pub fn missing(&self) -> Option<&'static str> {
        self.missing
    }

    /// Something is not here that should be: whatever was half done because of it must not last.
    pub(super) fn miss(&mut self, what: &'static str) {
        self.missing.get_or_insert(what);
    }

    /// Takes a free id. The journal puts in as many as [`super::fold::ids_needed`] says.
    pub(super) fn draw<T: TryFrom<i64>>(&mut self) -> Option<T> {
        let id = self.ids.pop().and_then(|id| T::try_from(id).ok());
        if id.is_none() {
            self.miss("a free id");
        }
        id
    }

    /// Moves stock of one line and writes the ledger entry. Callers have checked that it fits.
    pub(super) fn move_stock(&mut self, line: &Line, delta: i64, kind: EntryKind, at: Timestamp) {
        let Some(id) = self.draw() else { return };
        let Some(kept) = self.skus.get_mut(&line.sku) else {
            return self.miss("the SKU of a line");
        };
        let sku = kept.change();
        sku.stock += delta;
        sku.seq += 1;
        sku.version += 1;
        let (wxapp, seq, balance) = (sku.wxapp, sku.seq, sku.stock);
        *self.deducted.entry(line.id).or_default() -= delta;
        self.entries.push(StockEntry {
            id,
            wxapp,
            sku: line.sku,
            seq,
            kind,
            order: line.order,
            line: line.id,
            delta,
            balance,
            at,
        });
    }
}
