//! The payment actor: see [`super::protocol`].

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared};

use tracing::Instrument as _;

use super::protocol::*;
use super::provider::PaymentProvider;
use super::turn::UnderWay;
use super::{closing, inquire, notify, prepay, refund};
use crate::actors::journal::JournalHandle;
use crate::clock::Clock;
use crate::domain::fold::{Command, Outcome};
use crate::domain::id::{AttemptId, OrderId, UserId};
use crate::store::Readers;
use crate::store::ids::Ids;
use crate::store::wxapps::Wxapp;

/// What the payment actor works with.
pub struct PaymentDeps {
    pub wxapp: Arc<Wxapp>,
    pub provider: Box<dyn PaymentProvider>,
    pub journal: JournalHandle,
    pub readers: Readers,
    pub ids: Arc<Ids>,
    pub clock: Clock,
    /// Where WeChat sends its notifications.
    pub notify_url: String,
    /// After this long no unifiedorder can still be on its way, in whatever process it was sent.
    pub in_flight_seconds: i64,
    /// How long a piece of work stays this process's own.
    pub claim_seconds: i64,
    /// Longest call to WeChat.
    pub call_seconds: i64,
    pub mailbox: usize,
}

/// What its futures share.
pub(super) struct Inner {
    pub deps: PaymentDeps,
    /// Attempts whose unifiedorder is under way in this process.
    pub opening: RefCell<HashSet<AttemptId>>,
    pub opened: tokio::sync::Notify,
    pub closing: UnderWay,
}

impl Inner {
    /// Puts a command into the journal.
    pub async fn submit(&self, command: Command) -> Result<Outcome, PaymentError> {
        Ok(self.deps.journal.submit(self.deps.wxapp.id, command, None).await?)
    }

    /// Waits until no unifiedorder of this attempt is under way here.
    pub async fn settled(&self, attempt: AttemptId) {
        loop {
            let opened = self.opened.notified();
            if !self.opening.borrow().contains(&attempt) {
                return;
            }
            opened.await;
        }
    }
}

type PrepayResult = Result<RequestPayment, PrepayError>;
/// A prepay under way.
type Flight = Shared<LocalBoxFuture<'static, PrepayResult>>;

/// Payments of one mini-program.
pub struct PaymentActor {
    inner: Rc<Inner>,
    /// One prepay at a time for each order and buyer; he joins his own. A stranger's ends in
    /// "unknown order" without touching anything, and must not be what the owner joins.
    prepaying: Rc<RefCell<HashMap<(OrderId, UserId), Flight>>>,
}

impl PaymentActor {
    pub fn new(deps: PaymentDeps) -> Self {
        let (opening, opened) = (RefCell::default(), tokio::sync::Notify::new());
        let inner = Inner { deps, opening, opened, closing: UnderWay::default() };
        Self { inner: Rc::new(inner), prepaying: Rc::default() }
    }
}

impl Actor for PaymentActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.inner.deps.mailbox);
    }
}

impl Handler<Prepay> for PaymentActor {
    type Result = ResponseFuture<PrepayResult>;

    fn handle(&mut self, wanted: Prepay, _: &mut Self::Context) -> Self::Result {
        let (flight, span) = ((wanted.order, wanted.user), wanted.span.clone());
        if let Some(under_way) = self.prepaying.borrow().get(&flight) {
            return under_way.clone().boxed_local();
        }
        let (inner, prepaying) = (self.inner.clone(), self.prepaying.clone());
        let outcome = async move {
            let outcome = prepay::prepay(&inner, wanted).await;
            prepaying.borrow_mut().remove(&flight);
            outcome
        };
        let outcome = outcome.instrument(span).boxed_local().shared();
        self.prepaying.borrow_mut().insert(flight, outcome.clone());
        outcome.boxed_local()
    }
}

impl Handler<Notify> for PaymentActor {
    type Result = ResponseFuture<NotifyReply>;

    fn handle(&mut self, notice: Notify, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        let span = notice.span;
        let body = notice.body;
        Box::pin(async move { notify::notify(&inner, &body).await }.instrument(span))
    }
}

impl Handler<CloseOrder> for PaymentActor {
    type Result = ResponseFuture<Result<Closed, PaymentError>>;

    fn handle(&mut self, close: CloseOrder, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        Box::pin(
            async move { closing::close_order(&inner, close.order).await }.instrument(close.span),
        )
    }
}

impl Handler<AskWechat> for PaymentActor {
    type Result = ResponseFuture<Result<(), PaymentError>>;

    fn handle(&mut self, ask: AskWechat, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        Box::pin(async move { closing::ask(&inner, ask.order).await }.instrument(ask.span))
    }
}

impl Handler<Inquire> for PaymentActor {
    type Result = ResponseFuture<Result<Vec<Inquired>, PaymentError>>;

    fn handle(&mut self, about: Inquire, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        Box::pin(async move { inquire::inquire(&inner, about.order).await }.instrument(about.span))
    }
}

impl Handler<AskAgain> for PaymentActor {
    type Result = ResponseFuture<Result<(), PaymentError>>;

    fn handle(&mut self, ask: AskAgain, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        Box::pin(async move { closing::ask_again(&inner, ask).await })
    }
}

impl Handler<WorkOnRefund> for PaymentActor {
    type Result = ResponseFuture<Result<(), PaymentError>>;

    fn handle(&mut self, work: WorkOnRefund, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        Box::pin(async move { refund::work(&inner, work).await })
    }
}
