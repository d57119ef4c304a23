//! The journal's own task: one connection, one transaction at a time.
//!
//! It runs to its end whatever callers do: nothing here stands under a `select!` or a timeout that
//! could drop a transaction in the middle. A connection whose transaction did not end in a
//! successful COMMIT or ROLLBACK is closed and never used again.

use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use rand::RngCore as _;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, SqlErr};

use super::actor::{JournalSettings, Shared};
use super::probe::{Point, Verdict};
use super::protocol::*;
use super::queue::{Batch, Members, refuse};
use crate::actors::goods::{BatchDone, HoldId, HoldToken};
use crate::crash::{self, CrashPoint};
use crate::domain::books::{Books, Kept};
use crate::domain::fold::{Command, Outcome, fold, ids_needed};
use crate::domain::id::WxappId;
use crate::store::StoreError;
use crate::store::batch::{
    Marker, insert_fence, insert_marker, is_fenced, load, purge_markers, save,
};
use crate::store::claims::{self, Claim};
use crate::store::db::{begin_write, open_writer};
use crate::store::errors::Trouble;
use crate::store::ids::take_blocks;

/// Markers are kept for a day.
const MARKER_SECONDS: i64 = 24 * 3600;
/// How many batches pass between two purges of old markers.
const PURGE_EVERY: u64 = 4096;
const RETRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

pub(super) struct Writer {
    settings: JournalSettings,
    shared: Rc<Shared>,
    connection: Option<DatabaseConnection>,
}

/// How a transaction ended.
enum Fate {
    Committed(Box<Done>),
    /// Nothing of it is in the database.
    Lost(StoreError),
    /// COMMIT was sent and not answered.
    Unknown(Box<Done>, Marker),
}

/// What a committed batch has brought.
struct Done {
    outcomes: Vec<Result<Outcome, JournalError>>,
    claims: Vec<Option<i64>>,
    books: Books,
    blocks: Option<std::ops::Range<i64>>,
}

/// The entry's parts that outlive the fold.
struct Waiting {
    wxapp: WxappId,
    hold: Option<HoldToken>,
    reply: Reply<Outcome>,
}

impl Writer {
    pub fn new(settings: JournalSettings, shared: Rc<Shared>) -> Self {
        Self { settings, shared, connection: None }
    }

    /// Writes until the journal is drained.
    pub async fn run(mut self) {
        self.refill_ids().await;
        loop {
            let batch = self.shared.queue.borrow_mut().take(self.settings.batch_max);
            if !batch.is_empty() {
                self.write(batch).await;
                continue;
            }
            if self.shared.draining.borrow().is_some() {
                return self.close().await;
            }
            let (shared, ids) = (self.shared.clone(), self.settings.ids.clone());
            let (wake, thirst) = (shared.wake.notified(), ids.thirst());
            if let Either::Right(_) = select(pin!(wake), pin!(thirst)).await
                && ids.is_short()
            {
                self.refill_ids().await;
            }
        }
    }

    async fn close(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the journal's connection did not close well");
        }
    }

    /// The first ids of this process, and later ones when nothing else is committed. Without luck
    /// it comes back after what is queued.
    async fn refill_ids(&mut self) {
        if self.settings.ids.blocks_wanted(0) == 0 {
            return;
        }
        match self.transact(&Members::default()).await {
            Fate::Committed(mut done) => self.take_over_ids(&mut done),
            // The blocks may be lost; the next ones are not.
            Fate::Unknown(..) => self.settings.ids.cry(),
            Fate::Lost(error) => {
                tracing::warn!(%error, "no ids yet");
                self.pause(&mut PAUSE.clone()).await;
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
    /// that is to blame stands alone.
    async fn write_or_split(&mut self, batch: Batch) {
        let mut todo = vec![batch];
        while let Some(batch) = todo.pop() {
            match self.transact_with_retries(&Members::from(&batch)).await {
                Fate::Committed(done) => self.tell(batch, *done),
                Fate::Unknown(done, marker) => {
                    if self.resolve(&marker).await {
                        self.tell(batch, *done);
                    } else {
                        self.fail(batch, JournalError::Unavailable);
                    }
                }
                Fate::Lost(error) if error.is_about_content() && batch.len() > 1 => {
                    tracing::warn!(%error, members = batch.len(), "a batch is halved");
                    let (first, second) = halve(batch);
                    todo.extend([second, first]);
                }
                Fate::Lost(error) => {
                    let refused = error.is_about_content();
                    tracing::error!(%error, members = batch.len(), "a batch could not be written");
                    let error =
                        if refused { JournalError::Refused } else { JournalError::Unavailable };
                    self.fail(batch, error);
                }
            }
        }
    }

    async fn transact_with_retries(&mut self, members: &Members) -> Fate {
        let mut pause = PAUSE;
        let mut tries = 0;
        loop {
            let fate = self.transact(members).await;
            tries += 1;
            match fate {
                Fate::Lost(ref error) if tries < RETRIES && is_passing(error) => {
                    tracing::warn!(%error, "the batch is tried again");
                    self.pause(&mut pause).await;
                }
                fate => return fate,
            }
        }
    }

    async fn pause(&mut self, pause: &mut Duration) {
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(PAUSE_MAX);
    }

    /// One transaction: lock, fold, write, commit.
    async fn transact(&mut self, members: &Members) -> Fate {
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return Fate::Lost(error),
        };
        let marker = new_marker();
        let txn = match begin_write(&connection).await {
            Ok(txn) => txn,
            Err(error) => {
                self.abandon_connection();
                return Fate::Lost(error.into());
            }
        };
        let mut pooled = Vec::new();
        let fate = match self.fill(&txn, &marker, members, &mut pooled).await {
            Ok(done) => self.commit(txn, done, marker).await,
            Err(error) => {
                if txn.rollback().await.is_err() {
                    self.abandon_connection();
                }
                Fate::Lost(error)
            }
        };
        if let Fate::Lost(_) = fate {
            self.settings.ids.give_back(pooled);
        }
        fate
    }

    async fn commit(&mut self, txn: DatabaseTransaction, done: Done, marker: Marker) -> Fate {
        match self.settings.probe.at(Point::BeforeCommit).await {
            Verdict::GoOn => {}
            Verdict::Fail => {
                drop(txn.rollback().await);
                let error = DbErr::Custom("the probe failed the batch".into());
                return Fate::Lost(error.into());
            }
            Verdict::Vanish => {
                drop(txn.rollback().await);
                return self.unknown(done, marker);
            }
        }
        crash::passes(CrashPoint::BeforeCommit);
        let committed = txn.commit().await;
        crash::passes(CrashPoint::AfterCommit);
        let lost = self.settings.probe.at(Point::AfterCommit).await != Verdict::GoOn;
        match committed {
            Ok(()) if !lost => Fate::Committed(Box::new(done)),
            Ok(()) => self.unknown(done, marker),
            Err(error) => {
                tracing::error!(%error, "COMMIT was not answered");
                self.unknown(done, marker)
            }
        }
    }

    fn unknown(&mut self, done: Done, marker: Marker) -> Fate {
        self.abandon_connection();
        Fate::Unknown(Box::new(done), marker)
    }

    async fn fill(
        &self,
        txn: &DatabaseTransaction,
        marker: &Marker,
        members: &Members,
        pooled: &mut Vec<i64>,
    ) -> Result<Done, StoreError> {
        let Members { commands, fences, claims, writes } = members;
        let now = self.settings.clock.now();
        insert_marker(txn, marker, now).await?;
        let given: Vec<_> = fences.iter().flatten().collect();
        let claimed = claims::settle(txn, claims, &given, now).await?;
        let (mut books, keys) = load(txn, commands, now).await?;
        let needed = ids_needed(&books, commands);
        let wanted = self.settings.ids.blocks_wanted(needed);
        let mut blocks = None;
        if wanted > 0 {
            blocks = Some(take_blocks(txn, wanted).await?);
        }
        *pooled = self.settings.ids.draw_up_to(needed);
        books.ids = with_fresh(pooled.clone(), needed, &mut blocks);
        let fold_one = |(command, fence): (&Command, &Option<Claim>)| match fence {
            Some(claim) if !claimed.holds(claim) => Err(JournalError::Overtaken),
            Some(_) | None => Ok(fold(&mut books, command.clone(), now)),
        };
        let outcomes = commands.iter().zip(fences).map(fold_one).collect();
        save(txn, &books, &keys, now).await?;
        for statement in writes.iter().flat_map(|write| &write.0) {
            txn.execute_raw(statement.clone()).await?;
        }
        if self.shared.snapshot.borrow().batches % PURGE_EVERY == 1 {
            purge_markers(txn, now.plus_seconds(-MARKER_SECONDS)).await?;
        }
        Ok(Done { outcomes, claims: claimed.changed, books, blocks })
    }

    async fn connect(&mut self) -> Result<DatabaseConnection, StoreError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = open_writer(&self.settings.url).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Lets the connection close by itself; whatever its transaction was doing, it is not ours.
    fn abandon_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            actix_rt::spawn(async move { drop(connection.close().await) });
        }
    }

    /// Finds out whether a batch has committed, however long that takes: until then no other batch
    /// starts and no hold ends.
    async fn resolve(&mut self, marker: &Marker) -> bool {
        let mut pause = PAUSE;
        loop {
            match self.try_resolve(marker).await {
                Ok(committed) => {
                    tracing::warn!(committed, "the fate of a batch is known");
                    self.shared.snapshot.borrow_mut().resolved += 1;
                    return committed;
                }
                Err(error) => {
                    tracing::error!(%error, "the fate of a batch is not known yet");
                    self.abandon_connection();
                    self.pause(&mut pause).await;
                }
            }
        }
    }

    async fn try_resolve(&mut self, marker: &Marker) -> Result<bool, StoreError> {
        let connection = self.connect().await?;
        let txn = begin_write(&connection).await?;
        match insert_fence(&txn, marker, self.settings.clock.now()).await {
            Ok(()) => {
                txn.commit().await?;
                match self.settings.probe.at(Point::AfterFence).await {
                    Verdict::GoOn => Ok(false),
                    _ => Err(DbErr::Custom("the probe lost the answer".into()).into()),
                }
            }
            Err(error) if is_duplicate(&error) => {
                txn.rollback().await?;
                Ok(!is_fenced(&connection, marker).await?)
            }
            Err(error) => Err(error.into()),
        }
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

    fn fail(&mut self, batch: Batch, error: JournalError) {
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
                listener.do_send(BatchDone { holds, skus, goods: goods.cloned().collect() });
            }
        }
        replies
    }
}

/// Ids for the fold: what was free, then what the blocks of this transaction bring; the lowest is
/// drawn first, so that lines of an order are read back in the order of its cart.
fn with_fresh(
    mut ids: Vec<i64>,
    needed: usize,
    blocks: &mut Option<std::ops::Range<i64>>,
) -> Vec<i64> {
    let lacking = needed.saturating_sub(ids.len());
    ids.extend(blocks.iter_mut().flat_map(|range| range.by_ref().take(lacking)));
    ids.sort_unstable_by(|left, right| right.cmp(left));
    ids
}

fn part(batch: Batch) -> (Vec<Waiting>, Vec<ChangeClaim>, Vec<WriteRows>) {
    let waiting = batch.entries.into_iter().map(|entry| Waiting {
        wxapp: entry.wxapp,
        hold: entry.hold,
        reply: entry.reply,
    });
    (waiting.collect(), batch.claims, batch.writes)
}

/// Entries, claims and plain writes apart first, then each in two halves.
fn halve(mut batch: Batch) -> (Batch, Batch) {
    let mut second = Batch::default();
    let (entries, claims, writes) = (batch.entries.len(), batch.claims.len(), batch.writes.len());
    if entries > 0 && claims + writes > 0 {
        second.entries = std::mem::take(&mut batch.entries);
        return (second, batch);
    }
    if claims > 0 && writes > 0 {
        second.writes = std::mem::take(&mut batch.writes);
        return (batch, second);
    }
    second.entries = batch.entries.split_off(entries / 2);
    second.claims = batch.claims.split_off(claims / 2);
    second.writes = batch.writes.split_off(writes / 2);
    (batch, second)
}

fn new_marker() -> Marker {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    Marker(hex::encode(bytes))
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Worth the same batch again after a moment.
fn is_passing(error: &StoreError) -> bool {
    match error.trouble() {
        Trouble::Collision | Trouble::Locked | Trouble::NotWritable | Trouble::Gone => true,
        Trouble::Content | Trouble::Other => false,
    }
}
