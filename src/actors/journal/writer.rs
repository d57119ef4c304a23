//! The journal's own task: one batch at a time, until each member has its answer.
//!
//! It runs to its end whatever callers do, and so does each transaction, in a task of its own
//! (`transaction.rs`): nothing here drops one in the middle. A connection whose transaction did not
//! end in a successful COMMIT or ROLLBACK is closed and never used again (`link.rs`).

use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use rand::Rng as _;
use sea_orm::{DatabaseConnection, DatabaseTransaction};

use super::actor::{JournalSettings, Shared};
use super::aside::{Aside, LOOK_EVERY};
use super::fence::fence;
use super::link::{Link, bounded, silent};
use super::protocol::*;
use super::queue::{Batch, Members, refuse};
use super::transaction::{Done, End, Gate, Transaction, new_marker};
use super::turns::{self, Turns};
use crate::actors::goods::{BatchDone, HoldId, HoldToken};
use crate::domain::books::{Books, Kept};
use crate::domain::fold::{Command, Outcome};
use crate::domain::id::WxappId;
use crate::store::StoreError;
use crate::store::backend::Sent;
use crate::store::batch::{Blocked, Marker, blocked};
use crate::store::db::begin_write;
use crate::store::errors::Trouble;

/// How many batches pass between two purges of old markers.
const PURGE_EVERY: u64 = 4096;
/// How often a batch is tried while the database is away.
const RETRIES: u32 = 3;
/// How often a batch is tried that loses against others, who have ended by then.
const COLLISIONS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);
const SHORT_PAUSE: Duration = Duration::from_millis(4);
const PAUSE_MAX: Duration = Duration::from_secs(2);

pub(super) struct Writer {
    settings: Rc<JournalSettings>,
    shared: Rc<Shared>,
    link: Link,
    aside: Aside,
    turns: Turns,
    /// The transaction whose turn has come, and on which connection.
    begun: Option<(u64, DatabaseTransaction)>,
}

/// How a transaction ended.
enum Fate {
    Committed(Box<Done>),
    /// Nothing of it is in the database.
    Lost(StoreError),
    /// COMMIT was sent and not answered.
    Unknown(Box<Done>, Marker),
}

/// The entry's parts that outlive the fold.
struct Waiting {
    wxapp: WxappId,
    hold: Option<HoldToken>,
    reply: Reply<Outcome>,
}

impl Writer {
    pub fn new(settings: JournalSettings, shared: Rc<Shared>) -> Self {
        let link = Link::new(settings.servers.clone(), settings.transaction_limit);
        let (aside, turns) = (Aside::default(), Turns::default());
        Self { settings: Rc::new(settings), shared, link, aside, turns, begun: None }
    }

    /// Writes until the journal is drained.
    pub async fn run(mut self) {
        self.refill_ids().await;
        loop {
            if self.aside.should_look() {
                self.look_aside().await;
            }
            let mut batch = Batch::default();
            self.fill(&mut batch);
            if !batch.is_empty() {
                self.wait_for_turn(&mut batch).await;
                self.write(batch).await;
                continue;
            }
            if self.shared.draining.borrow().is_some() && self.aside.is_empty() {
                return self.link.close().await;
            }
            self.rest().await;
        }
    }

    fn fill(&mut self, batch: &mut Batch) {
        self.shared.queue.borrow_mut().fill(batch, self.settings.batch_max);
        self.aside.sift(batch);
    }

    /// Where another process sells the same SKU, the batch is filled when its turn has come.
    async fn wait_for_turn(&mut self, batch: &mut Batch) {
        if !self.link.has_turns() {
            return;
        }
        let Some(sku) = self.turns.sku(batch) else { return };
        let Ok(db) = self.link.get().await else { return };
        match bounded(self.link.patience(), turns::ask(db, sku).boxed_local()).await {
            Some(Ok(turn)) => {
                self.turns.came(&turn);
                self.begun = Some((self.link.opened(), turn.txn));
                self.fill(batch);
            }
            Some(Err(error)) => {
                tracing::info!(%error, "a batch goes on without its turn");
                self.turns.failed();
                self.link.abandon(Sent::NoCommit);
            }
            None => self.link.abandon(Sent::NoCommit),
        }
    }

    /// Until there is something to do.
    async fn rest(&mut self) {
        let (shared, ids) = (self.shared.clone(), self.settings.ids.clone());
        let wake = pin!(shared.wake.notified());
        let thirst = pin!(ids.thirst());
        let asked = select(wake, thirst);
        let asked = match self.aside.is_empty() {
            true => Some(asked.await),
            false => tokio::time::timeout(LOOK_EVERY, asked).await.ok(),
        };
        if let Some(Either::Right(_)) = asked
            && ids.is_short()
        {
            self.refill_ids().await;
        }
    }

    /// The first ids of this process, and later ones when nothing else is committed. Without luck
    /// it comes back after what is queued.
    async fn refill_ids(&mut self) {
        if self.settings.ids.blocks_wanted(0) == 0 {
            return;
        }
        match self.transact(&Rc::default()).await {
            Fate::Committed(mut done) => self.take_over_ids(&mut done),
            // The blocks may be lost; the next ones are not.
            Fate::Unknown(..) => self.settings.ids.cry(),
            Fate::Lost(error) => {
                tracing::warn!(%error, "no ids yet");
                pause(&mut PAUSE.clone()).await;
                self.settings.ids.cry();
            }
        }
    }

    async fn write(&mut self, batch: Batch) {
        let started = std::time::Instant::now();
        let size = batch.len();
        self.write_or_split(batch).await;
        let mut snapshot = self.shared.snapshot.borrow_mut();
        snapshot.batches += 1;
        snapshot.entries += u64::try_from(size).unwrap_or(u64::MAX);
        snapshot.largest_batch = snapshot.largest_batch.max(size);
        crate::metrics::batch(size, started.elapsed());
    }

    /// Writes a batch; one that the database refuses for what is in it is halved until the member
    /// that is to blame stands alone. Members whose rows are locked for long are put aside.
    async fn write_or_split(&mut self, batch: Batch) {
        let mut todo = vec![batch];
        while let Some(batch) = todo.pop() {
            match self.transact_with_retries(&Rc::new(Members::from(&batch))).await {
                Fate::Committed(done) => self.tell(batch, *done),
                Fate::Unknown(done, marker) => {
                    if self.resolve(&marker).await {
                        self.tell(batch, *done);
                    } else {
                        self.fail(batch, JournalError::Unavailable);
                    }
                }
                Fate::Lost(error) => self.part_or_fail(batch, &error, &mut todo).await,
            }
        }
    }

    async fn part_or_fail(&mut self, batch: Batch, error: &StoreError, todo: &mut Vec<Batch>) {
        match error.trouble() {
            Trouble::Content if batch.len() > 1 => {
                tracing::info!(%error, members = batch.len(), "a batch is halved");
                let (first, second) = batch.halve();
                todo.extend([second, first]);
            }
            Trouble::Locked if batch.locked < RETRIES => {
                tracing::warn!(%error, members = batch.len(), "a batch meets rows that are locked");
                todo.extend(self.put_aside(batch).await);
            }
            trouble => {
                match error {
                    StoreError::NotMet => tracing::info!(%error, "a write is refused"),
                    _ => tracing::error!(%error, members = batch.len(), "a batch is not written"),
                }
                self.fail(
                    batch,
                    match trouble {
                        Trouble::Content => JournalError::Refused,
                        _ => JournalError::Unavailable,
                    },
                );
            }
        }
    }

    /// Puts the members aside whose rows are locked; the rest goes on, in halves where it cannot be
    /// seen whose they are.
    async fn put_aside(&mut self, mut batch: Batch) -> Vec<Batch> {
        batch.locked += 1;
        let commands = batch.entries.iter().map(|entry| entry.command.clone()).collect();
        let locked = match self.look(commands).await {
            Some(locked) if !locked.is_empty() => locked,
            // They are free by now, or something is locked that cannot be seen, such as a key.
            _ if batch.len() > 1 => {
                let (first, second) = batch.halve();
                return vec![second, first];
            }
            _ => return vec![batch],
        };
        let mut is_locked = locked.commands.iter();
        let (waiting, free) = std::mem::take(&mut batch.entries)
            .into_iter()
            .partition(|_| is_locked.next().copied().unwrap_or(false));
        batch.entries = free;
        let late = self.aside.put(waiting, locked);
        self.give_up(late);
        if batch.is_empty() { Vec::new() } else { vec![batch] }
    }

    /// Tries again what was put aside, as far as its rows are free.
    async fn look_aside(&mut self) {
        let (free, late) = match self.look(self.aside.commands()).await {
            Some(locked) => self.aside.take(locked),
            None => (Vec::new(), self.aside.take_late()),
        };
        self.give_up(late);
        let batch = Batch { entries: free, ..Batch::default() };
        if !batch.is_empty() {
            self.write(batch).await;
        }
    }

    fn give_up(&self, entries: Vec<Submit>) {
        if !entries.is_empty() {
            tracing::error!(members = entries.len(), "rows were locked for too long");
            self.fail(Batch { entries, ..Batch::default() }, JournalError::Unavailable);
        }
    }

    /// Which of the commands need rows that somebody has locked; `None`: the database does not say.
    async fn look(&mut self, commands: Vec<Command>) -> Option<Blocked> {
        let db = self.link.get().await.ok()?;
        let looked = bounded(self.link.patience(), look(db, commands).boxed_local()).await;
        match looked {
            Some(Ok(locked)) => Some(locked),
            Some(Err(error)) => {
                tracing::warn!(%error, "it cannot be seen what is locked");
                self.link.abandon(Sent::NoCommit);
                None
            }
            None => {
                self.link.abandon(Sent::NoCommit);
                None
            }
        }
    }

    async fn transact_with_retries(&mut self, members: &Rc<Members>) -> Fate {
        let (mut long, mut short) = (PAUSE, SHORT_PAUSE);
        let (mut away, mut collisions) = (1, 1);
        loop {
            let fate = self.transact(members).await;
            let Fate::Lost(error) = &fate else { return fate };
            crate::metrics::lost(error.code());
            match error.trouble() {
                Trouble::Collision if collisions < self.collisions_max() => {
                    tracing::info!(%error, "the batch is tried again");
                    collisions += 1;
                    pause(&mut short).await;
                }
                Trouble::Gone | Trouble::NotWritable if away < RETRIES => {
                    tracing::warn!(%error, "the batch is tried again");
                    self.link.report(error);
                    away += 1;
                    pause(&mut long).await;
                }
                _ => return fate,
            }
        }
    }

    /// On SQLite each try has waited for seconds already.
    fn collisions_max(&self) -> u32 {
        if self.link.limit().is_none() { RETRIES } else { COLLISIONS }
    }

    /// One transaction: lock, fold, write, commit.
    async fn transact(&mut self, members: &Rc<Members>) -> Fate {
        let db = match self.link.get().await {
            Ok(db) => db,
            Err(error) => return Fate::Lost(error),
        };
        let begun = self.begun.take().filter(|(on, _)| *on == self.link.opened());
        let (marker, gate) = (new_marker(), Rc::new(Gate::default()));
        let transaction = Transaction {
            settings: self.settings.clone(),
            db,
            begun: begun.map(|(_, txn)| txn),
            marker: marker.clone(),
            members: members.clone(),
            is_galera: self.link.is_galera(),
            purge: self.shared.snapshot.borrow().batches % PURGE_EVERY == 1,
            gate: gate.clone(),
        };
        match bounded(self.link.patience(), transaction.run().boxed_local()).await {
            Some(End::Committed(done)) => {
                self.turns.locked(done.waited, done.filling);
                Fate::Committed(done)
            }
            Some(End::Lost { error, clean }) => {
                // Another connection may lead to another server, or forget what has changed.
                if !clean || matches!(error.trouble(), Trouble::NotWritable | Trouble::Gone) {
                    self.link.abandon(Sent::NoCommit);
                }
                Fate::Lost(error)
            }
            Some(End::Unknown(done)) => self.unknown(done, marker),
            Some(End::Late) | None => self.turn_away(&gate, marker),
        }
    }

    /// The transaction takes too long; it is left to itself.
    fn turn_away(&mut self, gate: &Gate, marker: Marker) -> Fate {
        tracing::error!("the database is silent in the middle of a batch");
        match gate.turn_away() {
            Some(done) => self.unknown(done, marker),
            None => {
                self.link.abandon(Sent::NoCommit);
                Fate::Lost(silent())
            }
        }
    }

    fn unknown(&mut self, done: Box<Done>, marker: Marker) -> Fate {
        self.link.abandon(Sent::Commit);
        Fate::Unknown(done, marker)
    }

    /// Finds out whether a batch has committed, however long that takes: until then no other batch
    /// starts and no hold ends. Each try is made on a new connection.
    async fn resolve(&mut self, marker: &Marker) -> bool {
        let mut wait = PAUSE;
        loop {
            match self.try_resolve(marker).await {
                Ok(committed) => {
                    tracing::warn!(committed, "the fate of a batch is known");
                    self.shared.snapshot.borrow_mut().resolved += 1;
                    self.link.forget_former();
                    return committed;
                }
                Err(error) => {
                    tracing::error!(%error, "the fate of a batch is not known yet");
                    self.link.report(&error);
                    self.link.close_quietly();
                    pause(&mut wait).await;
                }
            }
        }
    }

    async fn try_resolve(&mut self, marker: &Marker) -> Result<bool, StoreError> {
        let db = self.link.get().await?;
        let (settings, marker) = (self.settings.clone(), marker.clone());
        let fenced = bounded(self.link.patience(), fence(settings, db, marker).boxed_local()).await;
        fenced.unwrap_or_else(|| Err(silent()))
    }

    /// What a committed batch has left of its ids and blocks is free now.
    fn take_over_ids(&self, done: &mut Done) {
        self.settings.ids.give_back(std::mem::take(&mut done.books.ids));
        if let Some(block) = done.blocks.take().filter(|block| !block.is_empty()) {
            self.settings.ids.add(block);
        }
    }

    /// Tells the goods actors first, so that whoever hears of his order finds memory up to date.
    fn tell(&mut self, batch: Batch, mut done: Done) {
        self.take_over_ids(&mut done);
        let (waiting, claims, writes) = part(batch);
        let waiting = self.end_holds(waiting, &done.books);
        for (reply, outcome) in waiting.into_iter().zip(done.outcomes) {
            match &outcome {
                Ok(outcome) => crate::metrics::outcome(outcome),
                Err(_) => crate::metrics::overtaken(),
            }
            let _gone = reply.send(outcome);
        }
        for (claim, taken) in claims.into_iter().zip(done.claims) {
            let _gone = claim.reply.send(Ok(taken));
        }
        for write in writes {
            let _gone = write.reply.send(Ok(()));
        }
    }

    fn fail(&self, batch: Batch, error: JournalError) {
        self.shared.snapshot.borrow_mut().failed_batches += 1;
        let (waiting, claims, writes) = part(batch);
        for reply in self.end_holds(waiting, &Books::default()) {
            refuse(reply, error);
        }
        for claim in claims {
            refuse(claim.reply, error);
        }
        for write in writes {
            refuse(write.reply, error);
        }
    }

    /// One message for each mini-program: the holds that have ended and how its rows stand now.
    fn end_holds(&self, waiting: Vec<Waiting>, books: &Books) -> Vec<Reply<Outcome>> {
        let mut holds: HashMap<WxappId, Vec<HoldId>> = HashMap::new();
        let mut replies = Vec::with_capacity(waiting.len());
        for entry in waiting {
            let of_wxapp = holds.entry(entry.wxapp).or_default();
            of_wxapp.extend(entry.hold.map(HoldToken::settle));
            replies.push(entry.reply);
        }
        for sku in books.skus.values() {
            holds.entry(sku.get().wxapp).or_default();
        }
        let listeners = self.shared.listeners.borrow();
        for (wxapp, holds) in holds {
            let skus = books.skus.values().map(Kept::get).filter(|sku| sku.wxapp == wxapp);
            let goods = books.goods.values().map(Kept::get).filter(|goods| goods.wxapp == wxapp);
            let skus: Vec<_> = skus.cloned().collect();
            if holds.is_empty() && skus.is_empty() {
                continue;
            }
            if let Some(listener) = listeners.get(&wxapp) {
                listener.tell(BatchDone { holds, skus, goods: goods.cloned().collect() });
            }
        }
        replies
    }
}

fn part(batch: Batch) -> (Vec<Waiting>, Vec<ChangeClaim>, Vec<WriteRows>) {
    let waiting = batch.entries.into_iter().map(|entry| Waiting {
        wxapp: entry.wxapp,
        hold: entry.hold,
        reply: entry.reply,
    });
    (waiting.collect(), batch.claims, batch.writes)
}

async fn look(db: DatabaseConnection, commands: Vec<Command>) -> Result<Blocked, StoreError> {
    let txn = begin_write(&db).await?;
    let locked = blocked(&txn, &commands).await;
    txn.rollback().await?;
    locked
}

/// Waits about so long, and the next time longer; not as long as others who began to wait with us.
async fn pause(pause: &mut Duration) {
    let share = rand::rng().random_range(50..=150);
    tokio::time::sleep(*pause * share / 100).await;
    *pause = (*pause * 2).min(PAUSE_MAX);
}
