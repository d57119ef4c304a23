//! Starts the engine in order, and stops it in the opposite one.
//!
//! Journal first, on an arbiter of its own; then the directory, which starts the shops' actors on
//! the engine and io arbiters; then reaper, notifier and the clockwork that drives them.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use tokio::sync::watch;

use super::clockwork::{ClockworkActor, StopTicking, Ticks};
use super::directory::{Directory, DirectoryDeps, DirectoryError, ShopSettings};
use super::journal::{CommitProbe, JournalActor, JournalHandle, JournalSettings};
use super::notifier::{NotifierActor, NotifierSettings, StopNotifier};
use super::order::KeySet;
use super::reaper::{ReaperActor, ReaperSettings, StopReaper};
use crate::clock::Clock;
use crate::store::Readers;
use crate::store::ids::Ids;
use crate::store::seal::Sealer;
use crate::store::servers::Servers;

/// Between two tries to read the bound idempotency keys.
const KEYS_PAUSE: Duration = Duration::from_secs(60);

/// What the engine is told at its start.
pub struct EngineSettings {
    /// Entries of one commit.
    pub batch_max: usize,
    /// Entries that may wait, and messages in a mailbox.
    pub queue_max: usize,
    /// How long a caller waits for a commit.
    pub commit_wait: Duration,
    pub shop: ShopSettings,
    pub reaper: ReaperSettings,
    pub notifier: NotifierSettings,
    /// None: reaper and notifier run when they are told to.
    pub ticks: Option<Ticks>,
    pub probe: Arc<dyn CommitProbe>,
}

/// How long a run of the reaper may take to end when the engine stops.
const REAPER_PATIENCE: Duration = Duration::from_secs(5);

/// A server that has not finished a batch by then is taken for dead: far longer than a batch, or
/// any lock, takes.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(15);

/// The running engine.
pub struct Engine {
    pub directory: Directory,
    pub journal: JournalHandle,
    pub ids: Arc<Ids>,
    pub reaper: Addr<ReaperActor>,
    pub notifier: Addr<NotifierActor>,
    /// Turns false when the journal can write no more.
    pub alive: watch::Receiver<bool>,
    clockwork: Option<Addr<ClockworkActor>>,
    arbiters: [Arbiter; 3],
}

impl Engine {
    /// Starts everything. The schema is up to date and the first mini-program is there.
    pub async fn start(
        settings: EngineSettings,
        readers: Readers,
        sealer: Arc<Sealer>,
        clock: Clock,
    ) -> Result<Self, DirectoryError> {
        let arbiters = [super::arbiter::new()?, super::arbiter::new()?, super::arbiter::new()?];
        let [journal_arbiter, engine_arbiter, io_arbiter] = &arbiters;
        let (alive, is_alive) = watch::channel(true);
        let ids = Arc::new(Ids::new(settings.commit_wait));
        let keys = Arc::new(KeySet::default());
        let journal =
            start_journal(&settings, readers.servers(), journal_arbiter, &ids, &clock, alive);
        let directory = Directory::new(DirectoryDeps {
            settings: settings.shop,
            readers: readers.clone(),
            sealer,
            journal: journal.clone(),
            ids: ids.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            engine: engine_arbiter.handle(),
            io: io_arbiter.handle(),
        });
        directory.start_all().await?;
        let io = io_arbiter.handle();
        let reaper = {
            let (directory, journal) = (directory.clone(), journal.clone());
            let (readers, clock) = (readers.clone(), clock.clone());
            ReaperActor::start_in_arbiter(&io, move |_| {
                ReaperActor::new(directory, journal, readers, clock, settings.reaper)
            })
        };
        let notifier = {
            let (directory, journal) = (directory.clone(), journal.clone());
            let (readers, clock) = (readers.clone(), clock);
            NotifierActor::start_in_arbiter(&io, move |_| {
                NotifierActor::new(directory, journal, readers, clock, settings.notifier)
            })
        };
        let clockwork = settings.ticks.map(|ticks| {
            let (reaper, notifier) = (reaper.clone(), notifier.clone());
            ClockworkActor::start_in_arbiter(&io, move |_| {
                ClockworkActor::new(ticks, reaper, notifier)
            })
        });
        engine_arbiter.spawn(remember_keys(readers, keys));
        let alive = is_alive;
        Ok(Self { directory, journal, ids, reaper, notifier, alive, clockwork, arbiters })
    }

    /// Stops what starts work, writes what was accepted, and ends.
    pub async fn stop(self) {
        if let Some(clockwork) = &self.clockwork {
            let _gone = clockwork.send(StopTicking).await;
        }
        let _gone = self.notifier.send(StopNotifier).await;
        // A run that hangs at WeChat is cut off; what it has begun is found again in the store.
        let reaper = self.reaper.send(StopReaper);
        let _late = tokio::time::timeout(REAPER_PATIENCE, reaper).await;
        self.journal.drain().await;
    }
}

/// An engine that is let go does nothing any more. Without [`Engine::stop`] that is as after a
/// crash.
impl Drop for Engine {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

fn start_journal(
    settings: &EngineSettings,
    servers: &Servers,
    arbiter: &Arbiter,
    ids: &Arc<Ids>,
    clock: &Clock,
    alive: watch::Sender<bool>,
) -> JournalHandle {
    let journal = JournalSettings {
        servers: servers.clone(),
        batch_max: settings.batch_max,
        queue_max: settings.queue_max,
        ids: ids.clone(),
        clock: clock.clone(),
        probe: settings.probe.clone(),
        transaction_limit: TRANSACTION_LIMIT,
        alive,
    };
    let journal =
        JournalActor::start_in_arbiter(&arbiter.handle(), move |_| JournalActor::new(journal));
    JournalHandle::new(journal, settings.commit_wait)
}

/// Fills the set of bound keys, and again when it has grown; before the first time every key is
/// looked up. On a shared database the set stays empty: others bind keys too.
async fn remember_keys(readers: Readers, keys: Arc<KeySet>) {
    if !readers.serve_alone() {
        return;
    }
    loop {
        match keys.read(&readers).await {
            Ok(()) => keys.grown().await,
            Err(error) => {
                tracing::warn!(%error, "the bound idempotency keys could not be read");
                tokio::time::sleep(KEYS_PAUSE).await;
            }
        }
    }
}
