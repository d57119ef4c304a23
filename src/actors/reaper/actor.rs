//! The reaper: see [`super::protocol`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use actix::prelude::*;
use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::life::{Life, LifeSettings};
use super::protocol::*;
use crate::actors::directory::Directory;
use crate::actors::journal::{JournalError, JournalHandle};
use crate::actors::payment::{AskAgain, CloseOrder, WorkOnRefund};
use crate::actors::steady::survive;
use crate::clock::{Clock, ClockSync};
use crate::domain::attempt::Attempt;
use crate::domain::fold::{BeginClosing, Command};
use crate::domain::id::{AttemptId, OrderId};
use crate::domain::order::CloseReason;
use crate::domain::payment::Refund;
use crate::domain::time::Timestamp;
use crate::store::claims::Work;
use crate::store::payments::{self, AttemptMark, OrderRef};
use crate::store::{Readers, StoreError, housekeeping, outbox};

/// Calls to WeChat at the same time.
const CONCURRENT: usize = 8;
/// A notification that has not come by these ages of an attempt is asked for.
/// Rule: orderquery, "poll by timer from order creation".
const ASK_AT_SECONDS: [i64; 4] = [60, 180, 600, 1800];
/// An attempt older than this is nobody's unless its order is being closed.
const ASK_UNTIL_SECONDS: i64 = 24 * 3600;
/// Entries that one run puts into the journal at the same time.
const ENTRIES: usize = 128;
const HOUSEKEEPING_SECONDS: i64 = 600;

/// How the reaper works.
#[derive(Debug, Clone, Copy)]
pub struct ReaperSettings {
    /// Rows of each kind in one run.
    pub batch: u64,
    /// How long idempotency keys are kept.
    pub key_seconds: i64,
    pub life: LifeSettings,
}

/// Does what time brings.
pub struct ReaperActor {
    inner: Rc<Inner>,
}

struct Inner {
    directory: Directory,
    journal: JournalHandle,
    readers: Readers,
    clock: Clock,
    settings: ReaperSettings,
    memory: RefCell<Memory>,
    sync: RefCell<ClockSync>,
    stages: Stages,
    running: Cell<usize>,
    stopping: Cell<bool>,
    idle: Notify,
}

/// Which kinds of work are under way. Each is done by one run at a time, and none waits for
/// another: a WeChat that hangs while orders are closed keeps no order from expiring.
#[derive(Default)]
struct Stages {
    expiring: Stage,
    closing: Stage,
    asking: Stage,
    refunding: Stage,
    reminding: Stage,
    completing: Stage,
    keeping_house: Stage,
}

/// One kind of work.
#[derive(Default)]
struct Stage(Cell<bool>);

impl Stage {
    /// Does the work unless it is under way already. A panic in it ends this work only.
    async fn once<T: Default>(&self, work: impl Future<Output = T>) -> T {
        if self.0.replace(true) {
            return T::default();
        }
        let done = survive("reaper", work).await;
        self.0.set(false);
        done
    }
}

/// What may be forgotten: after a restart WeChat is asked once more.
#[derive(Default)]
struct Memory {
    /// How far the attempts have been asked about at each age of the schedule.
    asked: HashMap<i64, AttemptMark>,
    swept: Option<Timestamp>,
}

impl ReaperActor {
    pub fn new(
        directory: Directory,
        journal: JournalHandle,
        readers: Readers,
        clock: Clock,
        settings: ReaperSettings,
    ) -> Self {
        let (memory, sync) = (RefCell::default(), RefCell::default());
        let stages = Stages::default();
        let inner = Inner {
            directory,
            journal,
            readers,
            clock,
            settings,
            memory,
            sync,
            stages,
            running: Cell::new(0),
            stopping: Cell::new(false),
            idle: Notify::new(),
        };
        Self { inner: Rc::new(inner) }
    }
}

impl Actor for ReaperActor {
    type Context = Context<Self>;
}

impl Handler<RunReaper> for ReaperActor {
    type Result = ResponseFuture<Reaped>;

    fn handle(&mut self, _: RunReaper, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        if inner.stopping.get() {
            return Box::pin(std::future::ready(Reaped::default()));
        }
        inner.running.update(|running| running + 1);
        Box::pin(async move {
            let reaped = survive("reaper", run(&inner)).await;
            inner.running.update(|running| running - 1);
            inner.idle.notify_waiters();
            reaped
        })
    }
}

impl Handler<StopReaper> for ReaperActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: StopReaper, _: &mut Self::Context) -> Self::Result {
        let inner = self.inner.clone();
        inner.stopping.set(true);
        Box::pin(async move {
            loop {
                let idle = inner.idle.notified();
                if inner.running.get() == 0 {
                    return;
                }
                idle.await;
            }
        })
    }
}

async fn run(inner: &Inner) -> Reaped {
    if !time_is_certain(inner).await {
        return Reaped::default();
    }
    let counted = |done: Result<usize, StoreError>| {
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, "the reaper could not read");
            0
        })
    };
    let stages = &inner.stages;
    let reaped = Reaped {
        expired: stages.expiring.once(async { counted(begin_closings(inner).await) }).await,
        closings: stages.closing.once(async { counted(close(inner).await) }).await,
        asked: stages.asking.once(async { counted(ask(inner).await) }).await,
        refunds: stages.refunding.once(async { counted(refund(inner).await) }).await,
        ..Reaped::default()
    };
    let life = life(inner);
    let reminded = stages.reminding.once(async { counted(life.remind().await) }).await;
    let completed = stages.completing.once(async { counted(life.complete().await) }).await;
    let reaped = reaped.with_life(reminded, completed);
    stages.keeping_house.once(keep_house(inner)).await;
    reaped
}

fn life(inner: &Inner) -> Life<'_> {
    Life {
        directory: &inner.directory,
        journal: &inner.journal,
        readers: &inner.readers,
        now: inner.clock.now(),
        settings: inner.settings.life,
        batch: inner.settings.batch,
    }
}

async fn keep_house(inner: &Inner) {
    if let Err(error) = measure(inner).await {
        tracing::warn!(%error, "the reaper could not measure");
    }
    sweep(inner).await;
}

/// While clock and database disagree about the time nothing is closed.
async fn time_is_certain(inner: &Inner) -> bool {
    if inner.clock.is_manual() {
        return true;
    }
    match inner.readers.database_time().await {
        Ok(time) => {
            let certain = inner.sync.borrow_mut().observe(&inner.clock, time);
            if !certain {
                tracing::error!("clock and database disagree about the time; nothing is closed");
            }
            certain
        }
        Err(error) => {
            tracing::warn!(%error, "the database's time could not be read");
            false
        }
    }
}

/// Orders whose time is over: from now on nobody can start to pay them.
async fn begin_closings(inner: &Inner) -> Result<usize, StoreError> {
    let due = payments::expired(&inner.readers, inner.clock.now(), inner.settings.batch).await?;
    let begin = |due: OrderRef| async move {
        let begin = BeginClosing { order: due.order, reason: CloseReason::Expired, user: None };
        let command = Command::BeginClosing(begin);
        if let Err(error) = inner.journal.submit(due.wxapp, command, None).await {
            tracing::warn!(order = %due.order, %error, "closing could not begin");
        }
    };
    let count = due.len();
    each(due.into_iter().map(begin), ENTRIES).await;
    Ok(count)
}

async fn each(work: impl Iterator<Item: Future<Output = ()>>, concurrent: usize) {
    futures_util::stream::iter(work).buffer_unordered(concurrent).collect::<Vec<()>>().await;
}

/// Orders that are being closed, and attempts that were stopped because another one paid.
async fn close(inner: &Inner) -> Result<usize, StoreError> {
    let now = inner.clock.now();
    let mut due = payments::closings_due(&inner.readers, now, inner.settings.batch).await?;
    due.extend(payments::stopped_attempts(&inner.readers, now, inner.settings.batch).await?);
    due.sort_unstable();
    due.dedup();
    let count = due.len();
    each(due.into_iter().map(|due| close_one(inner, due)), CONCURRENT).await;
    Ok(count)
}

async fn close_one(inner: &Inner, due: OrderRef) {
    if inner.stopping.get() {
        return;
    }
    let Ok(shop) = inner.directory.shop(due.wxapp).await else { return };
    match shop.payment.send(CloseOrder { order: due.order, span: tracing::Span::none() }).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(order = %due.order, %error, "closing is left for later"),
        Err(error) => tracing::warn!(order = %due.order, %error, "the payment actor is gone"),
    }
}

/// Attempts whose notification may have been lost: those that have come to one of the ages since
/// they were last looked for. Each age has a place of its own, so that a crowd of old attempts does
/// not hide the young ones. Together with those that another process took up and did not ask about.
async fn ask(inner: &Inner) -> Result<usize, StoreError> {
    let now = inner.clock.now();
    let mut due: BTreeMap<AttemptId, Attempt> = BTreeMap::new();
    for (nth, age) in ASK_AT_SECONDS.into_iter().enumerate() {
        let oldest = ASK_AT_SECONDS.get(nth + 1).copied().unwrap_or(ASK_UNTIL_SECONDS);
        let first = AttemptMark { created_at: now.plus_seconds(-oldest), id: i64::MAX };
        let after = inner.memory.borrow().asked.get(&age).copied().unwrap_or(first);
        let (to, limit) = (now.plus_seconds(-age), inner.settings.batch);
        let (found, mark) =
            payments::attempts_to_ask(&inner.readers, after, to, now, limit).await?;
        inner.memory.borrow_mut().asked.insert(age, mark);
        due.extend(found.into_iter().map(|attempt| (attempt.id, attempt)));
    }
    let forgotten = payments::forgotten_attempts(&inner.readers, now, inner.settings.batch).await?;
    due.extend(forgotten.into_iter().map(|attempt| (attempt.id, attempt)));
    let count = due.len();
    each(due.into_values().map(|attempt| ask_one(inner, attempt)), CONCURRENT).await;
    Ok(count)
}

async fn ask_one(inner: &Inner, attempt: Attempt) {
    if inner.stopping.get() {
        return;
    }
    let Ok(shop) = inner.directory.shop(attempt.wxapp).await else { return };
    let next_at = next_age(attempt.created_at, inner.clock.now());
    let ask = AskAgain { order: attempt.order, attempt: attempt.id, next_at };
    if let Ok(Err(error)) = shop.payment.send(ask).await {
        tracing::warn!(order = %attempt.order, %error, "WeChat could not be asked");
    }
}

/// When an attempt comes to the next of the ages.
fn next_age(created_at: Timestamp, now: Timestamp) -> Timestamp {
    let ages = ASK_AT_SECONDS.into_iter().map(|age| created_at.plus_seconds(age));
    let next = ages.into_iter().find(|at| now < *at);
    next.unwrap_or_else(|| created_at.plus_seconds(ASK_UNTIL_SECONDS).max(now))
}

/// Refunds of different orders side by side, those of one order in turn.
async fn refund(inner: &Inner) -> Result<usize, StoreError> {
    let due =
        payments::refunds_due(&inner.readers, inner.clock.now(), inner.settings.batch).await?;
    let count = due.len();
    let mut by_order: HashMap<OrderId, Vec<Refund>> = HashMap::new();
    for refund in due {
        by_order.entry(refund.order).or_default().push(refund);
    }
    each(by_order.into_values().map(|refunds| refund_order(inner, refunds)), CONCURRENT).await;
    Ok(count)
}

async fn refund_order(inner: &Inner, refunds: Vec<Refund>) {
    for refund in refunds {
        if inner.stopping.get() {
            return;
        }
        let Ok(shop) = inner.directory.shop(refund.wxapp).await else { return };
        let work = WorkOnRefund { order: refund.order, refund: refund.id };
        if let Ok(Err(error)) = shop.payment.send(work).await {
            tracing::warn!(order = %refund.order, %error, "a refund is left for later");
        }
    }
}

async fn measure(inner: &Inner) -> Result<(), StoreError> {
    let now = inner.clock.now();
    let seconds = |since: Timestamp| now.millis_since(since) / 1000;
    let closing = payments::oldest_closing(&inner.readers).await?;
    crate::metrics::oldest_closing(closing.map_or(0, seconds));
    let refund = payments::oldest_refund(&inner.readers).await?;
    crate::metrics::oldest_refund(refund.map_or(0, seconds));
    let (waiting, oldest) = outbox::depth(&inner.readers).await?;
    crate::metrics::outbox(waiting, oldest.map_or(0, seconds));
    if let Some(snapshot) = inner.journal.snapshot().await {
        crate::metrics::depth("journal", snapshot.queued);
    }
    Ok(())
}

/// Now and then: rows that have served. One process does it for all.
async fn sweep(inner: &Inner) {
    let now = inner.clock.now();
    let again_at = now.plus_seconds(HOUSEKEEPING_SECONDS);
    let due =
        inner.memory.borrow().swept.is_none_or(|at| at.plus_seconds(HOUSEKEEPING_SECONDS) <= now);
    if !due {
        return;
    }
    inner.memory.borrow_mut().swept = Some(now);
    let keys_before = now.plus_seconds(-inner.settings.key_seconds);
    let swept = match inner.journal.take(Work::Sweep, again_at).await {
        Ok(None) => return,
        // The claim runs out by itself when it is time to sweep again.
        Ok(Some(_)) => {
            let write = housekeeping::sweep(inner.readers.backend(), keys_before, now);
            inner.journal.write(write).await
        }
        Err(error) => Err(error),
    };
    match swept {
        Ok(()) | Err(JournalError::Closing) => {}
        Err(error) => tracing::warn!(%error, "old rows stay for now"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_asked_about_again_at_the_next_age() {
        let created = Timestamp::from_seconds(0);
        for (now, next) in [(60, 180), (179, 180), (180, 600), (1_800, 86_400), (90_000, 90_000)] {
            let next_at = next_age(created, Timestamp::from_seconds(now));
            assert_eq!(next_at, Timestamp::from_seconds(next), "at {now}");
        }
    }
}
