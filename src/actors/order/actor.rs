//! The order actor: see [`super::protocol`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture, Shared};
use rand::Rng as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use tracing::Instrument as _;

use super::keys::{KeySet, UnderWay};
use super::lookups::{Lookups, Unknown};
use super::protocol::*;
use crate::actors::goods::{Admit, AdmitError, GoodsActor};
use crate::actors::journal::{JournalError, JournalHandle, LateAnswer};
use crate::clock::Clock;
use crate::domain::admission::PlaceRefusal;
use crate::domain::books::{KeyRef, Operation};
use crate::domain::cart::CartItem;
use crate::domain::digits::hexadecimal;
use crate::domain::fold::{
    BeginClosing, Command, KeyClaim, Outcome, Place, Placed, Receive, Receiver,
};
use crate::domain::id::{AddressId, OrderId, OutTradeNo, UserId, WxappId};
use crate::domain::money::Money;
use crate::domain::order::{CloseReason, Order};
use crate::store::Readers;
use crate::store::ids::Ids;
use crate::store::order_views::{self, OrderView};

/// What the order actor works with.
#[derive(Clone)]
pub struct OrderDeps {
    pub wxapp: WxappId,
    pub goods: Addr<GoodsActor>,
    pub journal: JournalHandle,
    pub readers: Readers,
    pub ids: Arc<Ids>,
    pub keys: Arc<KeySet>,
    pub clock: Clock,
    pub expire_seconds: i64,
    /// The most that one order may cost.
    pub max: Money,
    pub mailbox: usize,
    /// None: the journal.
    pub placer: Option<Arc<dyn Placer>>,
}

/// Writes an order in some other way than the journal does. Only the benchmark has one: it measures
/// the journal against one transaction for each order, behind the same edge and actors.
pub trait Placer: Send + Sync {
    fn place(&self, order: Place) -> BoxFuture<'static, Result<Outcome, JournalError>>;
}

/// Orders of one mini-program.
pub struct OrderActor {
    deps: Rc<OrderDeps>,
    lookups: Rc<Lookups>,
    in_flight: Rc<RefCell<HashMap<KeyRef, InFlight>>>,
}

/// A request under way; others with the same key and content join it.
struct InFlight {
    request_hash: String,
    outcome: Shared<LocalBoxFuture<'static, PlaceResult>>,
}

type PlaceResult = Result<PlacedOrder, PlaceError>;

impl OrderActor {
    pub fn new(deps: OrderDeps) -> Self {
        let lookups = Lookups::new(deps.readers.clone());
        Self { deps: Rc::new(deps), lookups, in_flight: Rc::default() }
    }
}

impl Actor for OrderActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.deps.mailbox);
    }
}

impl Handler<PlaceOrder> for OrderActor {
    type Result = ResponseFuture<PlaceResult>;

    fn handle(&mut self, order: PlaceOrder, _: &mut Self::Context) -> Self::Result {
        let (request_hash, span) = (request_hash(&order), order.span.clone());
        let key = KeyRef {
            wxapp: self.deps.wxapp,
            user: order.user,
            operation: Operation::PlaceOrder,
            key: order.key.clone(),
        };
        if let Some(under_way) = self.in_flight.borrow().get(&key) {
            if under_way.request_hash != request_hash {
                return Box::pin(async { Err(PlaceRefusal::KeyConflict.into()) });
            }
            return under_way.outcome.clone().map(repeated).boxed_local();
        }
        let (deps, lookups) = (self.deps.clone(), self.lookups.clone());
        let (in_flight, done) = (self.in_flight.clone(), key.clone());
        let claim = KeyClaim { key: key.clone(), request_hash: request_hash.clone() };
        let under_way = self.deps.keys.begin(&key);
        let outcome = async move {
            let mut late = None;
            let outcome = place(&deps, &lookups, order, claim, &mut late).await;
            forget(in_flight, done, under_way, late);
            outcome
        };
        let outcome = outcome.instrument(span).boxed_local().shared();
        let under_way = InFlight { request_hash, outcome: outcome.clone() };
        self.in_flight.borrow_mut().insert(key, under_way);
        outcome.boxed_local()
    }
}

/// What a repeat hears that has joined the first request: the same, but it is not the one that has
/// placed the order.
fn repeated(outcome: PlaceResult) -> PlaceResult {
    outcome.map(|placed| PlacedOrder { replayed: true, ..placed })
}

/// The request is under way until its fate is known. Whoever repeats it before is told
/// `unavailable` again: its own hold would let it look sold out.
fn forget(
    in_flight: Rc<RefCell<HashMap<KeyRef, InFlight>>>,
    key: KeyRef,
    under_way: UnderWay,
    late: Option<LateAnswer>,
) {
    let Some(late) = late else {
        in_flight.borrow_mut().remove(&key);
        return;
    };
    actix_rt::spawn(async move {
        let _outcome = late.await;
        in_flight.borrow_mut().remove(&key);
        drop(under_way);
    });
}

/// `late` is what the caller did not wait for, if the journal's answer takes too long.
async fn place(
    deps: &OrderDeps,
    lookups: &Rc<Lookups>,
    order: PlaceOrder,
    claim: KeyClaim,
    late: &mut Option<LateAnswer>,
) -> PlaceResult {
    let admit = Admit {
        cart: order.cart.clone(),
        freight: order.freight,
        max: deps.max,
        expect_pay: order.expect_pay,
    };
    let admitted = match deps.goods.send(admit).await {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(AdmitError::Refused(refusal))) => {
            return replay_or(deps, lookups, &claim, refusal).await;
        }
        Ok(Err(AdmitError::Unavailable)) | Err(_) => return Err(PlaceError::Unavailable),
    };
    let user = order.user;
    let order = to_command(deps, order, claim.clone()).await?;
    deps.keys.add(&claim.key);
    let outcome = match &deps.placer {
        None => {
            let (wxapp, hold) = (deps.wxapp, Some(admitted.hold));
            let command = Command::Place(order);
            let (outcome, open) = deps.journal.submit_and_follow(wxapp, command, hold).await;
            *late = open;
            outcome
        }
        Some(placer) => {
            admitted.hold.settle();
            placer.place(order).await
        }
    };
    match outcome.map_err(to_place_error)? {
        Outcome::Placed(Ok(Placed::New(new))) => {
            let order = Arc::new(OrderView::of_new(*new));
            Ok(PlacedOrder { order, replayed: false })
        }
        Outcome::Placed(Ok(Placed::Replay(order))) => replay(deps, user, order).await,
        Outcome::Placed(Err(refusal)) => Err(refusal.into()),
        _ => Err(PlaceError::Unavailable),
    }
}

/// Before anything is refused the key is looked up: the buyer of the last piece who lost the answer
/// must not be told that it is sold out. Nor must he while his first request is under way with
/// another generation of this actor: asked before the look-up, because what has ended by then the
/// look-up finds, and after it, because the other one may have come in between.
async fn replay_or(
    deps: &OrderDeps,
    lookups: &Rc<Lookups>,
    claim: &KeyClaim,
    refusal: PlaceRefusal,
) -> PlaceResult {
    if deps.keys.is_shared(&claim.key) {
        return Err(PlaceError::Unavailable);
    }
    let bound = match deps.keys.may_be_bound(&claim.key) {
        true => lookups.binding(&claim.key).await.map_err(|Unknown| PlaceError::Unavailable)?,
        false => None,
    };
    let refused = match bound {
        Some(bound) if bound.request_hash == claim.request_hash => {
            crate::metrics::replayed();
            return replay(deps, claim.key.user, bound.result).await;
        }
        Some(_) => PlaceRefusal::KeyConflict,
        None if deps.keys.is_shared(&claim.key) => return Err(PlaceError::Unavailable),
        None => refusal,
    };
    crate::metrics::refused(&refused);
    Err(refused.into())
}

async fn replay(deps: &OrderDeps, user: UserId, order: OrderId) -> PlaceResult {
    match order_views::order(&deps.readers, deps.wxapp, user, order).await {
        Ok(Some(view)) => Ok(PlacedOrder { order: Arc::new(view), replayed: true }),
        Ok(None) => Err(PlaceError::Unavailable),
        Err(error) => {
            tracing::warn!(%error, "an order could not be read");
            Err(PlaceError::Unavailable)
        }
    }
}

async fn to_command(
    deps: &OrderDeps,
    order: PlaceOrder,
    key: KeyClaim,
) -> Result<Place, PlaceError> {
    let id = deps.ids.draw_one().await.map_err(|_| PlaceError::Unavailable)?;
    Ok(Place {
        order: OrderId::parse(id).map_err(|_| PlaceError::Unavailable)?,
        wxapp: deps.wxapp,
        user: order.user,
        key,
        order_no: order_no(deps.clock.now()),
        cart: order.cart,
        address: order.address,
        remark: order.remark,
        expect_pay: order.expect_pay,
        freight: order.freight,
        max: deps.max,
        expire_seconds: deps.expire_seconds,
    })
}

/// The day in Beijing and 16 random digits; unique for each mini-program, which the database
/// checks.
fn order_no(now: crate::domain::time::Timestamp) -> OutTradeNo {
    let day = crate::wechat::time::to_beijing(now);
    let digits: u64 = rand::rng().random_range(0..10_u64.pow(16));
    let number = format!("{}{digits:016}", &day[..8]);
    OutTradeNo::parse(number).expect("24 digits are an out_trade_no")
}

/// SHA-256 over the request as it was sent; `prepay` is not part of it, because it does not change
/// the order.
fn request_hash(order: &PlaceOrder) -> String {
    let sent = Sent {
        items: &order.items,
        address: order.address,
        remark: &order.remark,
        expect_pay: order.expect_pay,
    };
    let sent = serde_json::to_vec(&sent).expect("numbers and texts are JSON");
    hexadecimal(&Sha256::digest(sent))
}

/// A request in canonical form: these fields in this order. A change of it forgets what the keys of
/// the last days are bound to.
#[derive(Serialize)]
struct Sent<'a> {
    items: &'a [CartItem],
    address: AddressId,
    remark: &'a str,
    expect_pay: Option<Money>,
}

impl Handler<CancelOrder> for OrderActor {
    type Result = ResponseFuture<Result<Order, CancelError>>;

    fn handle(&mut self, cancel: CancelOrder, _: &mut Self::Context) -> Self::Result {
        let (deps, span) = (self.deps.clone(), cancel.span.clone());
        let cancelling = async move {
            let begin = BeginClosing {
                order: cancel.order,
                reason: CloseReason::Buyer,
                user: Some(cancel.user),
            };
            let command = Command::BeginClosing(begin);
            match deps.journal.submit(deps.wxapp, command, None).await {
                Ok(Outcome::Closing(closing)) => Ok(closing?),
                Err(JournalError::Busy) => Err(CancelError::Busy),
                Ok(_) | Err(_) => Err(CancelError::Unavailable),
            }
        };
        Box::pin(cancelling.instrument(span))
    }
}

impl Handler<ConfirmReceipt> for OrderActor {
    type Result = ResponseFuture<Result<Order, ReceiptError>>;

    fn handle(&mut self, confirm: ConfirmReceipt, _: &mut Self::Context) -> Self::Result {
        let (deps, span) = (self.deps.clone(), confirm.span.clone());
        let receiving = async move {
            let receive = Receive { order: confirm.order, by: Receiver::Buyer(confirm.user) };
            match deps.journal.submit(deps.wxapp, Command::Receive(receive), None).await {
                Ok(Outcome::Received(received)) => Ok(received?),
                Err(JournalError::Busy) => Err(ReceiptError::Busy),
                Ok(_) | Err(_) => Err(ReceiptError::Unavailable),
            }
        };
        Box::pin(receiving.instrument(span))
    }
}

fn to_place_error(error: JournalError) -> PlaceError {
    match error {
        JournalError::Busy => PlaceError::Busy,
        JournalError::Unavailable
        | JournalError::Refused
        | JournalError::Overtaken
        | JournalError::Closing => PlaceError::Unavailable,
    }
}
