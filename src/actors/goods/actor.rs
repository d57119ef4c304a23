//! The goods actor: see [`super::protocol`].

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::prelude::*;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared};

use super::board::{Board, Chalk};
use super::protocol::*;
use crate::clock::Clock;
use crate::domain::admission::{Conditions, Offer, PlaceRefusal, admit};
use crate::domain::cart::{Cart, CartItem};
use crate::domain::goods::{DeductStock, Goods, Sku, is_on_sale};
use crate::domain::id::{GoodsId, SkuId, WxappId};
use crate::domain::price::amounts;
use crate::domain::time::Timestamp;
use crate::store::Readers;
use crate::store::stock::{self, StockRows};

static INCARNATIONS: AtomicU64 = AtomicU64::new(1);

/// Older than any memory may be.
const NEVER: Timestamp = Timestamp::from_millis(0);

/// Admission for one mini-program.
pub struct GoodsActor {
    wxapp: WxappId,
    readers: Readers,
    clock: Clock,
    refresh_ms: i64,
    mailbox: usize,
    incarnation: u64,
    goods: HashMap<GoodsId, Goods>,
    skus: HashMap<SkuId, Known>,
    holds: HashMap<u64, Vec<(SkuId, i64)>>,
    next_hold: u64,
    /// Reads under way, by SKU, so that a crowd in front of one SKU makes one read.
    flights: HashMap<SkuId, Flight>,
    /// What others may read without asking.
    chalk: Chalk,
    admitted: u64,
    refused: u64,
    reads: u64,
}

/// A SKU as last seen.
struct Known {
    sku: Sku,
    held: i64,
    read_at: Timestamp,
    /// The newest version that a read has shown while pieces were held.
    passed_over: i64,
}

/// A read that several messages wait for; none: the database did not answer.
type Flight = Shared<LocalBoxFuture<'static, Option<Rc<StockRows>>>>;

impl GoodsActor {
    /// `refresh_ms`: how old memory may be when it refuses or quotes.
    pub fn new(
        wxapp: WxappId,
        readers: Readers,
        clock: Clock,
        refresh_ms: i64,
        mailbox: usize,
    ) -> Self {
        Self {
            wxapp,
            readers,
            clock,
            refresh_ms,
            mailbox,
            incarnation: INCARNATIONS.fetch_add(1, Ordering::Relaxed),
            goods: HashMap::new(),
            skus: HashMap::new(),
            holds: HashMap::new(),
            next_hold: 1,
            flights: HashMap::new(),
            chalk: Chalk::default(),
            admitted: 0,
            refused: 0,
            reads: 0,
        }
    }

    /// The same, with a board beside its door.
    pub fn with_board(self, board: Board) -> Self {
        Self { chalk: Chalk::new(board), ..self }
    }

    fn offer(&self, id: SkuId) -> Option<Offer<'_>> {
        let known = self.skus.get(&id)?;
        let goods = self.goods.get(&known.sku.goods)?;
        Some(Offer { sku: &known.sku, goods, available: known.sku.stock - known.held })
    }

    /// Decides on memory alone.
    fn decide(
        &mut self,
        wanted: &Admit,
        owner: &Recipient<ReleaseHold>,
    ) -> Result<Admitted, PlaceRefusal> {
        let conditions = Conditions {
            freight: &wanted.freight,
            max: wanted.max,
            expect_pay: wanted.expect_pay,
            now: self.clock.now(),
        };
        let priced = admit(&wanted.cart, |id| self.offer(id), &conditions)?;
        let amounts = priced.amounts;
        let deducting =
            priced.lines.iter().filter(|line| line.offer.goods.deduct_stock == DeductStock::Order);
        let held = deducting.map(|line| (line.item.sku, line.item.quantity.pieces())).collect();
        Ok(Admitted { hold: self.hold(held, owner.clone()), amounts })
    }

    fn hold(&mut self, pieces: Vec<(SkuId, i64)>, owner: Recipient<ReleaseHold>) -> HoldToken {
        for (sku, quantity) in &pieces {
            self.chalk.wipe(*sku);
            if let Some(known) = self.skus.get_mut(sku) {
                known.held += quantity;
            }
        }
        let number = self.next_hold;
        self.next_hold += 1;
        self.holds.insert(number, pieces);
        HoldToken::new(HoldId { incarnation: self.incarnation, number }, owner)
    }

    fn end_hold(&mut self, hold: HoldId) {
        if hold.incarnation != self.incarnation {
            return;
        }
        for (sku, quantity) in self.holds.remove(&hold.number).unwrap_or_default() {
            self.chalk.wipe(sku);
            if let Some(known) = self.skus.get_mut(&sku) {
                known.held -= quantity;
                // The hold has ended without word of a row as new as one that was passed over.
                if known.held == 0 && known.passed_over > known.sku.version {
                    known.read_at = NEVER;
                }
            }
        }
    }

    fn count(&mut self, result: &Result<Admitted, AdmitError>) {
        match result {
            Ok(_) => self.admitted += 1,
            Err(_) => self.refused += 1,
        }
        if let Err(AdmitError::Refused(PlaceRefusal::SoldOut { sku, available })) = result {
            self.publish(*sku, *available);
        }
    }

    /// Puts a refusal on the board for as long as memory may be believed and the sale lasts.
    fn publish(&mut self, sku: SkuId, available: i64) {
        let Some(offer) = self.offer(sku) else { return };
        let read_at = self.skus.get(&sku).map_or(NEVER, |known| known.read_at);
        let fresh = read_at.plus_millis(self.refresh_ms);
        let until = offer.goods.sale_ends_at.map_or(fresh, |ends| fresh.min(ends.plus_millis(-1)));
        self.chalk.write(sku, available, until);
    }

    /// Whether anything said of these SKUs rests on memory that is too old, or on none.
    fn is_stale(&self, cart: &Cart) -> bool {
        let oldest = self.clock.now().plus_millis(-self.refresh_ms);
        let fresh =
            |item: &CartItem| self.skus.get(&item.sku).is_some_and(|known| known.read_at >= oldest);
        !cart.items().iter().all(fresh)
    }

    /// Reads the SKUs of a cart, joining what is under way.
    fn read(&mut self, cart: &Cart) -> LocalBoxFuture<'static, Vec<Option<Rc<StockRows>>>> {
        let ids: Vec<SkuId> = cart.items().iter().map(|item| item.sku).collect();
        let missing: Vec<SkuId> =
            ids.iter().copied().filter(|id| !self.flights.contains_key(id)).collect();
        if !missing.is_empty() {
            self.reads += 1;
            let flight =
                read(self.readers.clone(), self.wxapp, missing.clone(), self.clock.clone());
            let flight = flight.boxed_local().shared();
            self.flights.extend(missing.into_iter().map(|id| (id, flight.clone())));
        }
        let flights: Vec<Flight> =
            ids.iter().filter_map(|id| self.flights.get(id).cloned()).collect();
        futures_util::future::join_all(flights).boxed_local()
    }

    /// Takes over what was read; says whether all of it was.
    fn learn(&mut self, cart: &Cart, reads: Vec<Option<Rc<StockRows>>>) -> bool {
        for item in cart.items() {
            // Another message may have started a new read since this one ended.
            let ended = |flight: &Flight| flight.peek().is_some();
            if self.flights.get(&item.sku).is_some_and(ended) {
                self.flights.remove(&item.sku);
            }
        }
        let complete = reads.iter().all(Option::is_some);
        for rows in reads.into_iter().flatten() {
            for goods in &rows.goods {
                self.see_goods(goods.clone());
            }
            for sku in &rows.skus {
                self.look_at(sku, rows.read_at);
            }
        }
        complete
    }

    /// Takes over a row that was read, unless pieces of it are held: it may show a commit whose
    /// holds have not ended here yet, and would count their pieces twice. Word of that commit
    /// brings its row and ends them at once; so does the next commit with this SKU, whoever has
    /// changed it.
    fn look_at(&mut self, sku: &Sku, at: Timestamp) {
        match self.skus.get_mut(&sku.id) {
            Some(known) if known.held > 0 => {
                known.passed_over = known.passed_over.max(sku.version);
                // Nobody looks again before it may have changed.
                known.read_at = known.read_at.max(at);
            }
            _ => self.see(sku.clone(), at),
        }
    }

    /// The newer of two copies of a row stays. Sales count without a version: they decide nothing.
    fn see_goods(&mut self, goods: Goods) {
        if self.goods.get(&goods.id).is_none_or(|known| known.version != goods.version) {
            self.chalk.wipe_all();
        }
        match self.goods.get_mut(&goods.id) {
            Some(known) if known.version > goods.version => {}
            Some(known) => *known = goods,
            None => drop(self.goods.insert(goods.id, goods)),
        }
    }

    /// The newer of two copies of a row stays.
    fn see(&mut self, sku: Sku, at: Timestamp) {
        self.chalk.wipe(sku.id);
        match self.skus.get_mut(&sku.id) {
            None => {
                let known = Known { sku, held: 0, read_at: at, passed_over: 0 };
                self.skus.insert(known.sku.id, known);
            }
            Some(known) => {
                if sku.version >= known.sku.version {
                    known.sku = sku;
                    known.read_at = known.read_at.max(at);
                }
            }
        }
    }

    fn quote(&self, wanted: &Quote) -> Quoted {
        let line = |item: &CartItem| self.quote_line(*item);
        let lines: Vec<QuotedLine> = wanted.cart.items().iter().map(line).collect();
        let known = lines
            .iter()
            .filter_map(|line| Some((line.offer.as_ref()?.sku.price, line.item.quantity)));
        let amounts = amounts(known, &wanted.freight, wanted.max).ok();
        Quoted { lines, amounts }
    }

    fn quote_line(&self, item: CartItem) -> QuotedLine {
        let Some(offer) = self.offer(item.sku) else {
            let problem = Some(PlaceRefusal::UnknownSku(item.sku));
            return QuotedLine { item, offer: None, problem };
        };
        let problem = if !is_on_sale(offer.goods, offer.sku, self.clock.now()) {
            Some(PlaceRefusal::OffSale(item.sku))
        } else if offer.available < item.quantity.pieces() {
            let available = offer.available.max(0);
            Some(PlaceRefusal::SoldOut { sku: item.sku, available })
        } else {
            None
        };
        let (sku, goods) = (offer.sku.clone(), offer.goods.clone());
        let offer = QuotedOffer { sku, goods, available: offer.available.max(0) };
        QuotedLine { item, offer: Some(offer), problem }
    }
}

async fn read(
    readers: Readers,
    wxapp: WxappId,
    skus: Vec<SkuId>,
    clock: Clock,
) -> Option<Rc<StockRows>> {
    let read_at = clock.now();
    match stock::read(&readers, wxapp, &skus, read_at).await {
        Ok(rows) => Some(Rc::new(rows)),
        Err(error) => {
            tracing::warn!(%wxapp, %error, "stock could not be read");
            None
        }
    }
}

impl Actor for GoodsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox);
    }
}

impl Handler<Admit> for GoodsActor {
    type Result = ActorResponse<Self, Result<Admitted, AdmitError>>;

    fn handle(&mut self, wanted: Admit, ctx: &mut Self::Context) -> Self::Result {
        let owner = ctx.address().recipient();
        let decided = self.decide(&wanted, &owner).map_err(AdmitError::from);
        if decided.is_ok() || !self.is_stale(&wanted.cart) {
            self.count(&decided);
            return ActorResponse::reply(decided);
        }
        let read = self.read(&wanted.cart).into_actor(self);
        ActorResponse::r#async(read.map(move |rows, actor, _| {
            let complete = actor.learn(&wanted.cart, rows);
            let decided = match actor.decide(&wanted, &owner) {
                Err(_) if !complete => Err(AdmitError::Unavailable),
                decided => decided.map_err(AdmitError::from),
            };
            actor.count(&decided);
            decided
        }))
    }
}

impl Handler<Quote> for GoodsActor {
    type Result = ActorResponse<Self, Result<Quoted, AdmitError>>;

    fn handle(&mut self, wanted: Quote, _: &mut Self::Context) -> Self::Result {
        if !self.is_stale(&wanted.cart) {
            return ActorResponse::reply(Ok(self.quote(&wanted)));
        }
        let read = self.read(&wanted.cart).into_actor(self);
        ActorResponse::r#async(read.map(move |rows, actor, _| {
            if actor.learn(&wanted.cart, rows) {
                Ok(actor.quote(&wanted))
            } else {
                Err(AdmitError::Unavailable)
            }
        }))
    }
}

impl Handler<BatchDone> for GoodsActor {
    type Result = ();

    fn handle(&mut self, done: BatchDone, _: &mut Self::Context) {
        let now = self.clock.now();
        for goods in done.goods {
            self.see_goods(goods);
        }
        for sku in done.skus {
            self.see(sku, now);
        }
        for hold in done.holds {
            self.end_hold(hold);
        }
        self.chalk.heard();
    }
}

impl Handler<ReleaseHold> for GoodsActor {
    type Result = ();

    fn handle(&mut self, ReleaseHold(hold): ReleaseHold, _: &mut Self::Context) {
        self.end_hold(hold);
    }
}

impl Handler<GetSnapshot> for GoodsActor {
    type Result = Snapshot;

    fn handle(&mut self, _: GetSnapshot, _: &mut Self::Context) -> Snapshot {
        let mut stock: Vec<_> =
            self.skus.values().map(|known| (known.sku.id, known.sku.stock, known.held)).collect();
        stock.sort_unstable();
        Snapshot {
            skus_known: self.skus.len(),
            holds: self.holds.len(),
            admitted: self.admitted,
            refused: self.refused,
            reads: self.reads,
            stock,
        }
    }
}
