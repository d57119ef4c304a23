//! One transaction: lock, fold, write, commit.
//!
//! It runs in a task of its own to its end, whatever becomes of the writer's patience. When the
//! writer has turned away before COMMIT was sent, it is never sent ([`Gate`]); after that the fate
//! is unknown to the writer, who asks the database.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::RngCore as _;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr};

use super::actor::JournalSettings;
use super::probe::{Point, Verdict};
use super::protocol::*;
use super::queue::Members;
use crate::crash::{self, CrashPoint};
use crate::domain::books::Books;
use crate::domain::fold::{Command, Outcome, fold, ids_needed};
use crate::store::StoreError;
use crate::store::batch::{Marker, certify, insert_marker, load, purge_markers, save};
use crate::store::claims::{self, Claim};
use crate::store::db::begin_write;
use crate::store::errors::commit_was_refused;
use crate::store::ids::{take_blocks, take_free_blocks};

/// Markers are kept for a day.
const MARKER_SECONDS: i64 = 24 * 3600;

/// What a committed batch has brought.
pub(super) struct Done {
    pub outcomes: Vec<Result<Outcome, JournalError>>,
    pub claims: Vec<Option<i64>>,
    pub books: Books,
    pub blocks: Option<std::ops::Range<i64>>,
    /// How long its SKUs were waited for, and how long all that came before COMMIT took.
    pub waited: Duration,
    pub filling: Duration,
}

/// How a transaction ended.
pub(super) enum End {
    Committed(Box<Done>),
    /// Nothing of it is in the database. `clean`: the connection is as good as before.
    Lost {
        error: StoreError,
        clean: bool,
    },
    /// COMMIT was sent and not answered.
    Unknown(Box<Done>),
    /// The writer has turned away meanwhile.
    Late,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Filling,
    Committing,
    Abandoned,
}

/// Between a transaction and a writer who may lose patience with it. Both live on one thread.
#[derive(Default)]
pub(super) struct Gate {
    phase: Cell<Phase>,
    /// While COMMIT is under way.
    done: RefCell<Option<Box<Done>>>,
}

impl Gate {
    /// Whether COMMIT may still be sent; from now on it counts as sent.
    fn begin_commit(&self, done: Done) -> bool {
        if self.phase.get() == Phase::Abandoned {
            return false;
        }
        self.phase.set(Phase::Committing);
        *self.done.borrow_mut() = Some(Box::new(done));
        true
    }

    /// The writer turns away. What the batch brings if it commits after all; `None`: it never will.
    pub fn turn_away(&self) -> Option<Box<Done>> {
        if self.phase.get() == Phase::Filling {
            self.phase.set(Phase::Abandoned);
        }
        self.done.take()
    }
}

/// All that a transaction needs.
pub(super) struct Transaction {
    pub settings: Rc<JournalSettings>,
    pub db: DatabaseConnection,
    /// Begun already, to wait for its turn.
    pub begun: Option<DatabaseTransaction>,
    pub marker: Marker,
    pub members: Rc<Members>,
    /// Whether other nodes must be told of what is locked.
    pub is_galera: bool,
    /// Whether old markers are deleted on the way.
    pub purge: bool,
    pub gate: Rc<Gate>,
}

impl Transaction {
    pub async fn run(mut self) -> End {
        let txn = match self.begun.take() {
            Some(txn) => txn,
            None => match begin_write(&self.db).await {
                Ok(txn) => txn,
                Err(error) => return End::Lost { error: error.into(), clean: false },
            },
        };
        let mut pooled = Vec::new();
        let end = match self.fill(&txn, &mut pooled).await {
            Ok(done) => self.commit(txn, done).await,
            Err(error) => roll_back(txn, error).await,
        };
        if let End::Lost { .. } = end {
            self.settings.ids.give_back(pooled);
        }
        end
    }

    async fn fill(
        &self,
        txn: &DatabaseTransaction,
        pooled: &mut Vec<i64>,
    ) -> Result<Done, StoreError> {
        let started = Instant::now();
        let Members { commands, fences, claims, writes } = &*self.members;
        let now = self.settings.clock.now();
        insert_marker(txn, &self.marker, now).await?;
        let given: Vec<_> = fences.iter().flatten().collect();
        let claimed = claims::settle(txn, claims, &given, now).await?;
        let (mut books, loaded) = load(txn, commands, now).await?;
        let needed = ids_needed(&books, commands);
        let wanted = self.settings.ids.blocks_wanted(needed);
        let mut blocks = None;
        if wanted > 0 {
            // With enough for now, orders do not wait for another process that is taking some.
            let later = !commands.is_empty() && self.settings.ids.has(needed);
            blocks = match later {
                true => take_free_blocks(txn, wanted).await?,
                false => Some(take_blocks(txn, wanted).await?),
            };
        }
        *pooled = self.settings.ids.draw_up_to(needed);
        books.ids = with_fresh(pooled.clone(), needed, &mut blocks);
        let fold_one = |(command, fence): (&Command, &Option<Claim>)| match fence {
            Some(claim) if !claimed.holds(claim) => Err(JournalError::Overtaken),
            Some(_) | None => Ok(fold(&mut books, command.clone(), now)),
        };
        let outcomes = commands.iter().zip(fences).map(fold_one).collect();
        save(txn, &books, &loaded, now).await?;
        if self.is_galera {
            certify(txn, &books, &loaded, now).await?;
        }
        for write in writes {
            write.execute(txn).await?;
        }
        if self.purge {
            purge_markers(txn, now.plus_seconds(-MARKER_SECONDS)).await?;
        }
        let (waited, filling) = (loaded.locking, started.elapsed());
        Ok(Done { outcomes, claims: claimed.changed, books, blocks, waited, filling })
    }

    async fn commit(&self, txn: DatabaseTransaction, done: Done) -> End {
        match self.settings.probe.at(Point::BeforeCommit).await {
            Verdict::GoOn => {}
            Verdict::Fail => {
                let error = DbErr::Custom("the probe failed the batch".into());
                return roll_back(txn, error.into()).await;
            }
            Verdict::Vanish => {
                drop(txn.rollback().await);
                return End::Unknown(Box::new(done));
            }
        }
        if !self.gate.begin_commit(done) {
            let error = DbErr::Custom("the batch took too long".into());
            return roll_back(txn, error.into()).await;
        }
        crash::passes(CrashPoint::BeforeCommit);
        let committed = txn.commit().await;
        crash::passes(CrashPoint::AfterCommit);
        let lost = self.settings.probe.at(Point::AfterCommit).await != Verdict::GoOn;
        let Some(done) = self.gate.done.take() else { return End::Late };
        match committed {
            Ok(()) if !lost => End::Committed(done),
            Ok(()) => End::Unknown(done),
            Err(error) if commit_was_refused(&error) => {
                End::Lost { error: error.into(), clean: false }
            }
            Err(error) => {
                tracing::error!(%error, "COMMIT was not answered");
                End::Unknown(done)
            }
        }
    }
}

async fn roll_back(txn: DatabaseTransaction, error: StoreError) -> End {
    let clean = txn.rollback().await.is_ok();
    End::Lost { error, clean }
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

/// A marker that no other batch has.
pub(super) fn new_marker() -> Marker {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    Marker(hex::encode(bytes))
}
