//! The small shop: who may order what, the rows of its database, and how a batch works on them.
//!
//! A [`Db`] is what commits have left. Rows are shared between states; a batch reads them all into
//! [`Books`], has the real fold work on them, and writes back what the books call changed or new.

use std::collections::BTreeMap;
use std::rc::Rc;

use buynow::domain::address::Address;
use buynow::domain::attempt::{Attempt, AttemptTerms};
use buynow::domain::books::{Books, Kept, KeyBinding, KeyRef, Operation, StockEntry};
use buynow::domain::cart::{Cart, CartItem};
use buynow::domain::desk::UnsentMessage;
use buynow::domain::fold::{
    Command, KeyClaim, LINES_MAX, Outcome, Place, StartAttempt, ids_needed,
};
use buynow::domain::goods::{DeductStock, Goods, Sku};
use buynow::domain::id::*;
use buynow::domain::money::{Money, Quantity};
use buynow::domain::notification::Event;
use buynow::domain::order::{Line, Order};
use buynow::domain::payment::{Payment, Refund};
use buynow::domain::price::FreightPolicy;
use buynow::domain::shipment::Shipment;
use buynow::domain::time::Timestamp;

use super::mutants::{Mutant, fold_as};

pub const START: Timestamp = Timestamp::from_seconds(1_000_000);
pub const PRICE: i64 = 100;
pub const MCH_ID: &str = "1";
/// Deducts with the order, and with the payment.
pub const SKUS: [i64; 2] = [11, 21];

/// Somebody wants something.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub buyer: i64,
    /// Requests of one buyer with the same key are the same request, repeated.
    pub key: &'static str,
    /// Pieces of each of [`SKUS`].
    pub pieces: [i64; 2],
}

/// What can go wrong around the fold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Every call to WeChat is two steps, and a step of ours can come between: an answer may be
    /// lost, come late, or be acted upon much later. Without: a call and its answer are one step.
    pub fine: bool,
    /// The same for refunds.
    pub fine_refunds: bool,
    /// WeChat refuses a unifiedorder for good.
    pub rejects: bool,
    /// A closing is worked on by another process than the one whose unifiedorder is on its way.
    pub foreign_closer: bool,
    /// One number is paid by two transactions.
    pub double_charge: bool,
    /// Money comes for a number that WeChat has called closed.
    pub late_money: bool,
    /// WeChat once does not find a number that it has.
    pub forgetful: bool,
    /// Staff give money back at the merchant platform.
    pub by_hand: bool,
    /// Refunds get stuck or are closed by WeChat.
    pub refund_trouble: bool,
    /// How many may work on one refund at the same time.
    pub refund_workers: usize,
    /// Staff ship, give money back, release by hand, and change prices.
    pub staff: bool,
}

/// A shop, what is asked of it, and what can go wrong.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub stock: [i64; 2],
    /// Pieces of the first goods that one buyer may have.
    pub limit: Option<i64>,
    pub requests: &'static [Request],
    /// Of each order.
    pub attempts: usize,
    /// How long an order may stay unpaid.
    pub expire_seconds: i64,
    /// The moments that there are, in seconds after [`START`].
    pub moments: &'static [i64],
    pub faults: Faults,
}

/// The rows, as commits have left them.
#[derive(Debug, Clone, Default)]
pub struct Db {
    pub goods: Rows<GoodsId, Goods>,
    pub skus: Rows<SkuId, Sku>,
    pub orders: Rows<OrderId, Order>,
    pub lines: Rows<OrderId, Vec<Line>>,
    pub attempts: Rows<AttemptId, Attempt>,
    pub payments: Rows<PaymentId, Payment>,
    pub refunds: Rows<RefundId, Refund>,
    pub shipments: Rows<ShipmentId, Shipment>,
    pub keys: BTreeMap<KeyRef, KeyBinding>,
    pub entries: Vec<Rc<StockEntry>>,
    pub messages: Vec<(OrderId, Event)>,
    /// Transactions in the incident inbox.
    pub incidents: Vec<TransactionId>,
    next_id: i64,
}

pub type Rows<K, T> = BTreeMap<K, Rc<T>>;

fn loaded<K: Ord + Copy, T: Clone>(rows: &Rows<K, T>) -> BTreeMap<K, Kept<T>> {
    rows.iter().map(|(key, row)| (*key, Kept::loaded((**row).clone()))).collect()
}

fn written<K: Ord, T: Clone>(rows: &mut Rows<K, T>, kept: BTreeMap<K, Kept<T>>) {
    for (key, kept) in kept {
        if kept.is_new() || kept.is_changed() {
            rows.insert(key, Rc::new(kept.get().clone()));
        }
    }
}

impl Db {
    pub fn new(scenario: &Scenario) -> Self {
        let mut db = Self { next_id: 10_000, ..Self::default() };
        let modes = [DeductStock::Order, DeductStock::Payment];
        for (nth, mode) in modes.into_iter().enumerate() {
            let limit = scenario.limit.filter(|_| nth == 0);
            let goods = goods(nth as i64 + 1, mode, limit);
            let sku = sku(SKUS[nth], goods.id, scenario.stock[nth]);
            db.goods.insert(goods.id, Rc::new(goods));
            db.skus.insert(sku.id, Rc::new(sku));
        }
        db
    }

    /// Everything under lock, as the store would read it for these commands.
    pub fn books(&self, commands: &[Command]) -> (Books, usize) {
        let mut books = Books::default();
        books.goods = loaded(&self.goods);
        books.skus = loaded(&self.skus);
        books.orders = loaded(&self.orders);
        books.lines = self.lines.iter().map(|(id, lines)| (*id, (**lines).clone())).collect();
        books.attempts = loaded(&self.attempts);
        books.payments = loaded(&self.payments);
        books.refunds = loaded(&self.refunds);
        books.shipments = loaded(&self.shipments);
        // Whoever takes back is before whoever sends: the other way is a refusal on one row.
        books.desk.unsent = self.shipments.keys().map(unsent).collect();
        books.keys = self.keys.clone();
        for entry in &self.entries {
            *books.deducted.entry(entry.line).or_default() -= entry.delta;
        }
        for buyer in [1, 2] {
            let user = UserId::parse(buyer).unwrap();
            books.address_book.insert(address_of(buyer), (user, address()));
            for goods in self.goods.values().filter(|goods| goods.limit_per_user.is_some()) {
                books.bought.insert((user, goods.id), self.live_pieces(user, goods.id));
            }
        }
        // Exactly as many ids as the journal would put in: one too few fails the batch.
        let ids = ids_needed(&books, commands);
        books.ids = (self.next_id..self.next_id + ids as i64).rev().collect();
        (books, ids)
    }

    pub fn live_pieces(&self, user: UserId, goods: GoodsId) -> i64 {
        let live = self.orders.values().filter(|order| order.user == user && order.state.is_live());
        let lines = live.flat_map(|order| self.lines[&order.id].iter());
        lines.filter(|line| line.goods == goods).map(|line| line.quantity.pieces()).sum()
    }

    /// One batch, in one transaction.
    pub fn commit(
        &mut self,
        mutant: Option<Mutant>,
        commands: Vec<Command>,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, String> {
        let (mut books, ids) = self.books(&commands);
        let mut outcomes = Vec::new();
        for command in commands {
            outcomes.push(fold_as(mutant, &mut books, command, now));
        }
        if let Some(what) = books.missing() {
            return Err(format!("a member did not find {what}"));
        }
        if outcomes.len() == 1 && is_refusal(&outcomes[0]) && is_touched(&books) {
            return Err(format!("a refusal left a trace: {:?}", outcomes[0]));
        }
        self.next_id += ids as i64;
        self.write(books);
        Ok(outcomes)
    }

    fn write(&mut self, books: Books) {
        written(&mut self.goods, books.goods);
        written(&mut self.skus, books.skus);
        written(&mut self.orders, books.orders);
        written(&mut self.attempts, books.attempts);
        written(&mut self.payments, books.payments);
        written(&mut self.refunds, books.refunds);
        written(&mut self.shipments, books.shipments);
        for parcel in &books.desk.taken_back {
            let order = self.shipments.remove(parcel).unwrap().order;
            let told = (order, Event::OrderShipped);
            let told = self.messages.iter().position(|message| *message == told).unwrap();
            self.messages.remove(told);
        }
        for (order, mut lines) in books.lines {
            lines.sort_by_key(|line| line.id);
            self.lines.entry(order).or_insert_with(|| Rc::new(lines));
        }
        self.keys = books.keys;
        self.entries.extend(books.entries.into_iter().map(Rc::new));
        self.messages.extend(books.notifications.iter().map(|told| (told.order, told.event)));
        for incident in books.incidents {
            if !self.incidents.contains(&incident.transaction) {
                self.incidents.push(incident.transaction);
            }
        }
    }
}

fn unsent(parcel: &ShipmentId) -> (ShipmentId, Kept<UnsentMessage>) {
    let id = NotificationId::parse(parcel.get()).unwrap();
    let message = UnsentMessage { id, facts: Default::default(), is_void: false };
    (*parcel, Kept::loaded(message))
}

fn is_refusal(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Placed(placed) => placed.is_err(),
        Outcome::AttemptStarted(started) => started.is_err(),
        Outcome::Closing(closing) => closing.is_err(),
        Outcome::RefundChanged(changed) => !changed,
        Outcome::Received(received) => received.is_err(),
        Outcome::Reminded(told) => !told,
        Outcome::Acted(acted) => acted.is_err(),
        Outcome::PrepayRecorded(_) | Outcome::Settled(_) | Outcome::IncidentKept => false,
    }
}

fn is_touched(books: &Books) -> bool {
    fn any<K, T>(rows: &BTreeMap<K, Kept<T>>) -> bool {
        rows.values().any(|kept| kept.is_new() || kept.is_changed())
    }
    any(&books.goods)
        || any(&books.skus)
        || any(&books.orders)
        || any(&books.attempts)
        || any(&books.payments)
        || any(&books.refunds)
        || any(&books.shipments)
        || !books.desk.taken_back.is_empty()
        || !books.timeline.is_empty()
        || !books.desk.log.is_empty()
        || !books.entries.is_empty()
        || !books.notifications.is_empty()
        || !books.incidents.is_empty()
}

fn goods(id: i64, deduct_stock: DeductStock, limit_per_user: Option<i64>) -> Goods {
    Goods {
        id: GoodsId::parse(id).unwrap(),
        wxapp: wxapp(),
        name: String::new(),
        image_url: String::new(),
        deduct_stock,
        on_sale: true,
        sale_starts_at: None,
        sale_ends_at: None,
        limit_per_user,
        sales: 0,
        version: 1,
    }
}

fn sku(id: i64, goods: GoodsId, stock: i64) -> Sku {
    Sku {
        id: SkuId::parse(id).unwrap(),
        wxapp: wxapp(),
        goods,
        attr: String::new(),
        image_url: String::new(),
        price: Money::from_fen(PRICE),
        weight_g: 0,
        stock,
        seq: 1,
        version: 1,
        retired: false,
    }
}

fn address() -> Address {
    let none = String::new;
    Address {
        name: none(),
        phone: none(),
        province: none(),
        city: none(),
        district: none(),
        detail: none(),
    }
}

pub fn wxapp() -> WxappId {
    WxappId::parse(10001).unwrap()
}

fn address_of(buyer: i64) -> AddressId {
    AddressId::parse(100 + buyer).unwrap()
}

/// The order that request `slot` would make.
pub fn order_id(slot: usize) -> OrderId {
    OrderId::parse(1001 + slot as i64).unwrap()
}

pub fn attempt_id(slot: usize) -> AttemptId {
    AttemptId::parse(2001 + slot as i64).unwrap()
}

pub fn place(slot: usize, scenario: &Scenario) -> Place {
    let request = &scenario.requests[slot];
    let item = |(sku, pieces): (&i64, &i64)| {
        let quantity = Quantity::parse(*pieces).ok()?;
        Some(CartItem { sku: SkuId::parse(*sku).unwrap(), quantity })
    };
    let items: Vec<CartItem> = SKUS.iter().zip(&request.pieces).filter_map(item).collect();
    let user = UserId::parse(request.buyer).unwrap();
    let key = IdempotencyKey::parse(request.key).unwrap();
    let key = KeyRef { wxapp: wxapp(), user, operation: Operation::PlaceOrder, key };
    Place {
        order: order_id(slot),
        wxapp: wxapp(),
        user,
        key: KeyClaim { key, request_hash: format!("{:?}", request.pieces) },
        order_no: OutTradeNo::parse(format!("N{slot:06}")).unwrap(),
        cart: Cart::parse(&items, LINES_MAX).unwrap(),
        address: address_of(request.buyer),
        remark: String::new(),
        expect_pay: None,
        freight: FreightPolicy::default(),
        max: Money::from_fen(1_000_000),
        expire_seconds: scenario.expire_seconds,
    }
}

pub fn start(attempt: usize, order: usize) -> StartAttempt {
    let none = String::new;
    StartAttempt {
        id: attempt_id(attempt),
        order: order_id(order),
        out_trade_no: OutTradeNo::parse(format!("A{attempt:06}")).unwrap(),
        terms: AttemptTerms {
            mch_id: MCH_ID.into(),
            appid: none(),
            provider: none(),
            sign_type: none(),
            key_version: 1,
            notify_url: none(),
            body: none(),
            attach: none(),
            openid: none(),
            client_ip: none(),
        },
    }
}
