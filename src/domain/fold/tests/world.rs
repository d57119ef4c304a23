//! A small shop in books, and short ways to what happens in it.

use std::collections::BTreeMap;

use crate::domain::address::Address;
use crate::domain::attempt::Attempt;
use crate::domain::books::*;
use crate::domain::desk::{AuditEntry, DeskBooks};
use crate::domain::fold::*;
use crate::domain::goods::tests::{a_goods, a_sku};
use crate::domain::goods::{DeductStock, Goods, Sku};
use crate::domain::id::*;
use crate::domain::money::Money;
use crate::domain::notification::{Event, NewNotification};
use crate::domain::order::{Order, OrderState};
use crate::domain::payment::{Incident, Payment, PaymentKind, Refund};
use crate::domain::stock::Adjustment;
use crate::domain::time::Timestamp;
use crate::domain::timeline::{Happening, What};

pub use super::words::*;

pub const START: Timestamp = Timestamp::from_seconds(1_000_000);
pub const EXPIRE_SECONDS: i64 = 900;
pub const BUYERS: [i64; 3] = [1, 2, 3];
/// SKUs of goods 1, which deduct with the order.
pub const ORDER_SKUS: [i64; 2] = [11, 12];
/// The SKU of goods 2, which deducts with the payment.
pub const PAYMENT_SKU: i64 = 21;
/// The SKU of goods 3, which cost nothing.
pub const FREE_SKU: i64 = 31;
/// Free ids that one command of a test may draw.
const IDS_PER_COMMAND: i64 = 64;

pub fn order_id(id: i64) -> OrderId {
    OrderId::parse(id).unwrap()
}
pub fn attempt_id(id: i64) -> AttemptId {
    AttemptId::parse(id).unwrap()
}
pub fn sku_id(id: i64) -> SkuId {
    SkuId::parse(id).unwrap()
}
pub fn goods_id(id: i64) -> GoodsId {
    GoodsId::parse(id).unwrap()
}
pub fn user_id(id: i64) -> UserId {
    UserId::parse(id).unwrap()
}
pub fn address_of(user: i64) -> AddressId {
    AddressId::parse(100 + user).unwrap()
}
pub fn fen(fen: i64) -> Money {
    Money::from_fen(fen)
}
pub fn wxapp() -> WxappId {
    WxappId::parse(10001).unwrap()
}

/// What commits have written and no later fold reads: ledger, outbox, incidents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    pub entries: Vec<StockEntry>,
    pub notifications: Vec<NewNotification>,
    pub incidents: Vec<Incident>,
    pub addresses: Vec<(OrderId, WxappId, Address)>,
    pub adjustments: Vec<Adjustment>,
    pub timeline: Vec<Happening>,
    pub audit: Vec<AuditEntry>,
}

pub struct World {
    pub books: Books,
    pub log: Log,
    pub now: Timestamp,
    /// Stock at the start, which is ledger entry 1.
    pub initial: BTreeMap<SkuId, i64>,
    pub next_id: i64,
}

impl World {
    /// Goods 1 (SKUs 11 and 12, deducted with the order, 100 fen), goods 2 (SKU 21, deducted with
    /// the payment, 100 fen), goods 3 (SKU 31, free), each SKU with that many pieces.
    pub fn new(stock: i64) -> Self {
        let mut world = Self {
            books: Books::default(),
            log: Log::default(),
            now: START,
            initial: BTreeMap::new(),
            next_id: 1_000_000,
        };
        let paid = Goods { deduct_stock: DeductStock::Payment, ..a_goods(2) };
        for goods in [a_goods(1), paid, a_goods(3)] {
            world.books.goods.insert(goods.id, Kept::loaded(goods));
        }
        for id in ORDER_SKUS {
            world.add_sku(a_sku(id, 1, stock));
        }
        world.add_sku(a_sku(PAYMENT_SKU, 2, stock));
        world.add_sku(Sku { price: Money::ZERO, ..a_sku(FREE_SKU, 3, stock) });
        for user in BUYERS {
            world.books.address_book.insert(address_of(user), (user_id(user), an_address()));
        }
        world
    }

    fn add_sku(&mut self, sku: Sku) {
        self.initial.insert(sku.id, sku.stock);
        self.books.skus.insert(sku.id, Kept::loaded(sku));
    }

    pub fn change_goods(&mut self, id: i64, change: impl FnOnce(&mut Goods)) {
        let mut goods = self.books.goods[&goods_id(id)].get().clone();
        change(&mut goods);
        self.books.goods.insert(goods.id, Kept::loaded(goods));
        self.load_bought();
    }

    pub fn change_sku(&mut self, id: i64, change: impl FnOnce(&mut Sku)) {
        let mut sku = self.books.skus[&sku_id(id)].get().clone();
        change(&mut sku);
        sku.version += 1;
        self.books.skus.insert(sku.id, Kept::loaded(sku));
    }

    /// As staff would: the order costs that much more or less.
    pub fn reprice(&mut self, order: i64, by: i64) {
        let mut order = self.order(order).clone();
        order.amounts.adjust = fen(order.amounts.adjust.as_fen() + by);
        order.amounts.pay = fen(order.amounts.pay.as_fen() + by);
        order.version += 1;
        self.books.orders.insert(order.id, Kept::loaded(order));
    }

    /// Pieces in live orders, for goods that have a limit.
    pub fn load_bought(&mut self) {
        self.books.bought.clear();
        let limited = self.books.goods.values().filter(|g| g.get().limit_per_user.is_some());
        let limited: Vec<GoodsId> = limited.map(|goods| goods.get().id).collect();
        for user in BUYERS {
            for goods in &limited {
                let pieces = self.live_pieces(user, *goods);
                self.books.bought.insert((user_id(user), *goods), pieces);
            }
        }
    }

    pub fn live_pieces(&self, user: i64, goods: GoodsId) -> i64 {
        let live = self.books.orders.values().map(Kept::get);
        let live = live.filter(|order| order.user == user_id(user) && order.state.is_live());
        let lines = live.flat_map(|order| self.books.lines_of(order.id));
        lines.filter(|line| line.goods == goods).map(|line| line.quantity.pieces()).sum()
    }

    /// Ids of its own for each command, so that two ways to fold the same commands draw the same.
    pub fn give_ids(&mut self) {
        give_ids(&mut self.books, &mut self.next_id);
    }

    pub fn fold(&mut self, command: impl Into<Command>) -> Outcome {
        self.give_ids();
        fold(&mut self.books, command.into(), self.now)
    }

    /// What a commit and the next read make of the books.
    pub fn save_and_reload(&mut self) {
        let old = std::mem::take(&mut self.books);
        self.log.take(&old);
        let mut desk = DeskBooks {
            addresses: loaded(old.desk.addresses),
            incidents: loaded(old.desk.incidents),
            messages: loaded(old.desk.messages),
            reminded: old.desk.reminded,
            done: old.desk.done,
            ..DeskBooks::default()
        };
        for (order, _, address) in &old.addresses {
            desk.addresses.insert(*order, Kept::loaded(address.clone()));
        }
        let mut books = Books {
            goods: loaded(old.goods),
            skus: loaded(old.skus),
            orders: loaded(old.orders),
            lines: old.lines,
            attempts: loaded(old.attempts),
            payments: loaded(old.payments),
            refunds: loaded(old.refunds),
            shipments: loaded(old.shipments),
            keys: old.keys,
            address_book: old.address_book,
            desk,
            ..Books::default()
        };
        for lines in books.lines.values_mut() {
            lines.sort_by_key(|line| line.id);
        }
        for entry in &self.log.entries {
            *books.deducted.entry(entry.line).or_default() -= entry.delta;
        }
        self.books = books;
        self.load_bought();
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    // Short ways to what tests look at.

    pub fn stock(&self, sku: i64) -> i64 {
        self.books.skus[&sku_id(sku)].get().stock
    }
    pub fn order(&self, id: i64) -> &Order {
        self.books.orders[&order_id(id)].get()
    }
    pub fn state(&self, id: i64) -> &'static str {
        match &self.order(id).state {
            OrderState::Unpaid(Some(_)) => "closing",
            other => other.as_str(),
        }
    }
    pub fn attempt(&self, id: i64) -> &Attempt {
        self.books.attempts[&attempt_id(id)].get()
    }
    pub fn payments(&self) -> Vec<&Payment> {
        self.books.payments.values().map(Kept::get).collect()
    }
    pub fn kinds(&self) -> Vec<PaymentKind> {
        self.payments().iter().map(|payment| payment.kind).collect()
    }
    pub fn refunds(&self) -> Vec<&Refund> {
        self.books.refunds.values().map(Kept::get).collect()
    }
    /// Every message, of this batch and of former ones.
    pub fn messages(&self) -> Vec<(i64, Event)> {
        let void = |message: &&NewNotification| {
            let mut void = self.books.desk.unsent.values().map(Kept::get);
            !void.any(|unsent| unsent.is_void && unsent.id == message.id)
        };
        let all = self.log.notifications.iter().chain(&self.books.notifications).filter(void);
        all.map(|message| (message.order.get(), message.event)).collect()
    }
    /// Every ledger entry, as SKU, delta and kind.
    pub fn ledger(&self) -> Vec<(i64, i64, EntryKind)> {
        let all = self.log.entries.iter().chain(&self.books.entries);
        all.map(|entry| (entry.sku.get(), entry.delta, entry.kind)).collect()
    }

    /// What has happened to an order, with who did it.
    pub fn timeline(&self, order: i64) -> Vec<(What, String)> {
        let all = self.log.timeline.iter().chain(&self.books.timeline);
        let own = all.filter(|entry| entry.order.get() == order);
        own.map(|entry| (entry.what, entry.who.to_string())).collect()
    }

    // Short ways to get somewhere.

    /// Staff 7 do something, without a key.
    pub fn acts(&mut self, act: Act) -> Result<Acted, DeskRefusal> {
        self.acts_with(None, act)
    }

    /// Staff 7 do something under a key, whose content is the action.
    pub fn acts_with(&mut self, key: Option<&str>, act: Act) -> Result<Acted, DeskRefusal> {
        match self.fold(desk(key, act)) {
            Outcome::Acted(acted) => acted,
            other => panic!("not of the desk: {other:?}"),
        }
    }

    /// A paid order: one line of SKU 11 with this many pieces, under transaction `TX{order}`.
    pub fn paid_order(&mut self, order: i64, pieces: i64) {
        self.open_order(order, 1, &[(11, pieces)]);
        let settled = self.settled(settle(order, &format!("TX{order}"), 100 * pieces));
        assert_eq!(settled, Settlement::Settled);
    }

    /// Places an order that must be taken.
    #[track_caller]
    pub fn placed(&mut self, order: i64, user: i64, items: &[(i64, i64)]) -> NewOrder {
        match self.fold(place(order, user, items)) {
            Outcome::Placed(Ok(Placed::New(new))) => *new,
            other => panic!("not placed: {other:?}"),
        }
    }

    /// Places an order that must be refused.
    #[track_caller]
    pub fn refused(&mut self, place: Place) -> crate::domain::admission::PlaceRefusal {
        match self.fold(place) {
            Outcome::Placed(Err(refusal)) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[track_caller]
    pub fn started(&mut self, attempt: i64, order: i64) -> Attempt {
        match self.fold(start(attempt, order)) {
            Outcome::AttemptStarted(Ok(attempt)) => attempt,
            other => panic!("not started: {other:?}"),
        }
    }

    #[track_caller]
    pub fn start_refused(&mut self, attempt: i64, order: i64) -> StartRefusal {
        match self.fold(start(attempt, order)) {
            Outcome::AttemptStarted(Err(refusal)) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[track_caller]
    pub fn settled(&mut self, settle: Settle) -> Settlement {
        match self.fold(settle) {
            Outcome::Settled(settlement) => settlement,
            other => panic!("not settled: {other:?}"),
        }
    }

    #[track_caller]
    pub fn closing(&mut self, command: impl Into<Command>) -> Result<Order, ClosingRefusal> {
        match self.fold(command) {
            Outcome::Closing(closing) => closing,
            other => panic!("not about closing: {other:?}"),
        }
    }

    /// An order with an open attempt of the same number.
    pub fn open_order(&mut self, order: i64, user: i64, items: &[(i64, i64)]) {
        self.placed(order, user, items);
        self.started(order, order);
        self.fold(prepaid(order, self.now));
    }
}

pub fn give_ids(books: &mut Books, next: &mut i64) {
    books.ids = (*next..*next + IDS_PER_COMMAND).rev().collect();
    *next += IDS_PER_COMMAND;
}

fn loaded<K: Ord, T: Clone>(kept: BTreeMap<K, Kept<T>>) -> BTreeMap<K, Kept<T>> {
    kept.into_iter().map(|(key, kept)| (key, Kept::loaded(kept.get().clone()))).collect()
}

impl Log {
    /// Takes over what a commit writes; a repeated incident is one row, as in the database.
    pub fn take(&mut self, books: &Books) {
        self.entries.extend(books.entries.iter().cloned());
        self.notifications.extend(books.notifications.iter().cloned());
        self.addresses.extend(books.addresses.iter().cloned());
        self.adjustments.extend(books.desk.adjustments.iter().cloned());
        self.timeline.extend(books.timeline.iter().cloned());
        self.audit.extend(books.desk.log.iter().cloned());
        for incident in &books.incidents {
            let same = |known: &Incident| {
                known.mch_id == incident.mch_id && known.transaction == incident.transaction
            };
            if !self.incidents.iter().any(same) {
                self.incidents.push(incident.clone());
            }
        }
    }
}
