//! The journal actor: takes entries in, and keeps one writer at work on them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::FutureExt as _;
use tokio::sync::{Notify, oneshot, watch};

use super::probe::CommitProbe;
use super::protocol::*;
use super::queue::{Queue, refuse};
use super::writer::Writer;
use crate::actors::goods::Listener;
use crate::clock::Clock;
use crate::domain::id::WxappId;
use crate::store::ids::Ids;
use crate::store::servers::Servers;

/// What the journal is told at its start.
#[derive(Clone)]
pub struct JournalSettings {
    pub servers: Servers,
    pub batch_max: usize,
    /// Entries that may wait, for each of the two queues and for plain writes.
    pub queue_max: usize,
    pub ids: Arc<Ids>,
    pub clock: Clock,
    pub probe: Arc<dyn CommitProbe>,
    /// A transaction that takes longer is left to itself, on a server.
    pub transaction_limit: Duration,
    /// Turns false when the journal can write no more: the process must end.
    pub alive: watch::Sender<bool>,
}

/// What actor and writer share: both live on the journal's arbiter.
#[derive(Default)]
pub(super) struct Shared {
    pub queue: RefCell<Queue>,
    pub listeners: RefCell<HashMap<WxappId, Listener>>,
    pub wake: Notify,
    pub snapshot: RefCell<Snapshot>,
    pub draining: RefCell<Option<oneshot::Sender<()>>>,
    /// The writer writes no more.
    pub ended: Cell<bool>,
}

/// Takes entries in; the writer beside it commits them.
pub struct JournalActor {
    settings: JournalSettings,
    shared: Rc<Shared>,
    closing: bool,
}

impl JournalActor {
    pub fn new(settings: JournalSettings) -> Self {
        Self { settings, shared: Rc::default(), closing: false }
    }
}

impl Actor for JournalActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.settings.queue_max);
        let writer = Writer::new(self.settings.clone(), self.shared.clone());
        let (alive, shared) = (self.settings.alive.clone(), self.shared.clone());
        actix_rt::spawn(async move {
            let panicked = AssertUnwindSafe(writer.run()).catch_unwind().await.is_err();
            shared.ended.set(true);
            if let Some(drained) = shared.draining.take() {
                let _gone = drained.send(());
            }
            if panicked {
                tracing::error!("the journal's writer has panicked; the process must end");
                shared.queue.borrow_mut().refuse_all(JournalError::Unavailable);
                alive.send_replace(false);
            }
        });
    }
}

impl Handler<Submit> for JournalActor {
    type Result = ();

    fn handle(&mut self, entry: Submit, _: &mut Self::Context) {
        if self.closing || !*self.settings.alive.borrow() {
            return refuse(entry.reply, JournalError::Closing);
        }
        self.shared.queue.borrow_mut().push(entry, self.settings.queue_max);
        self.shared.wake.notify_one();
    }
}

impl Handler<WriteRows> for JournalActor {
    type Result = ();

    fn handle(&mut self, write: WriteRows, _: &mut Self::Context) {
        if self.closing || !*self.settings.alive.borrow() {
            return refuse(write.reply, JournalError::Closing);
        }
        self.shared.queue.borrow_mut().push_write(write, self.settings.queue_max);
        self.shared.wake.notify_one();
    }
}

impl Handler<ChangeClaim> for JournalActor {
    type Result = ();

    fn handle(&mut self, claim: ChangeClaim, _: &mut Self::Context) {
        if self.closing || !*self.settings.alive.borrow() {
            return refuse(claim.reply, JournalError::Closing);
        }
        self.shared.queue.borrow_mut().push_claim(claim, self.settings.queue_max);
        self.shared.wake.notify_one();
    }
}

impl Handler<Listen> for JournalActor {
    type Result = ();

    fn handle(&mut self, listen: Listen, _: &mut Self::Context) {
        self.shared.listeners.borrow_mut().insert(listen.wxapp, listen.goods);
    }
}

impl Handler<Drain> for JournalActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        self.closing = true;
        if self.shared.ended.get() {
            return Box::pin(std::future::ready(()));
        }
        let (done, drained) = oneshot::channel();
        *self.shared.draining.borrow_mut() = Some(done);
        self.shared.wake.notify_one();
        Box::pin(async move { drop(drained.await) })
    }
}

impl Handler<GetSnapshot> for JournalActor {
    type Result = Snapshot;

    fn handle(&mut self, _: GetSnapshot, _: &mut Self::Context) -> Snapshot {
        let queued = self.shared.queue.borrow().len();
        Snapshot { queued, ..*self.shared.snapshot.borrow() }
    }
}
