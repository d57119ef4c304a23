//! Turns of several processes at a hot SKU.
//!
//! A batch that waits for a row which another process has locked is closed already: what arrives
//! meanwhile misses it. With two processes at one hot SKU batches were half as large, and cost as
//! much. So, once a batch has waited, the next ones ask for their turn first, and are filled when
//! it has come. Turns decide nothing and may be skipped: stock is decided on rows under lock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, DatabaseTransaction};

use super::queue::Batch;
use crate::domain::fold::Command;
use crate::domain::id::SkuId;
use crate::store::StoreError;
use crate::store::batch::wait_for_turn;
use crate::store::db::begin_write;

/// A wait that is longer was for somebody.
const LONG: Duration = Duration::from_millis(1);
/// How many batches ask for their turn after one has waited.
const BATCHES: u32 = 64;

/// Whether turns are worth their round trip.
#[derive(Default)]
pub(super) struct Turns {
    batches: u32,
}

/// A transaction in which nothing has happened but that its turn has come.
pub(super) struct Turn {
    pub txn: DatabaseTransaction,
    waited: Duration,
}

impl Turns {
    /// The SKU to ask for: the one that at least half of a batch's orders want.
    pub fn sku(&mut self, batch: &Batch) -> Option<SkuId> {
        self.batches = self.batches.checked_sub(1)?;
        let mut orders = 0;
        let mut wanted: HashMap<SkuId, usize> = HashMap::new();
        for entry in &batch.entries {
            let Command::Place(place) = &entry.command else { continue };
            orders += 1;
            for item in place.cart.items() {
                *wanted.entry(item.sku).or_default() += 1;
            }
        }
        let (sku, count) = wanted.into_iter().max_by_key(|(sku, count)| (*count, *sku))?;
        (count * 2 >= orders).then_some(sku)
    }

    /// A turn has come.
    pub fn came(&mut self, turn: &Turn) {
        if turn.waited >= LONG {
            self.batches = BATCHES;
        }
    }

    /// A batch has waited so long for its SKUs, of all the time before its COMMIT.
    pub fn locked(&mut self, waited: Duration, filling: Duration) {
        if waited >= LONG && waited * 4 >= filling {
            self.batches = BATCHES;
        }
    }

    /// Whoever has the turn does not give it back: for once without.
    pub fn failed(&mut self) {
        self.batches = 0;
    }
}

/// Waits for a turn, as long as for any lock.
pub(super) async fn ask(db: DatabaseConnection, sku: SkuId) -> Result<Turn, StoreError> {
    let asked = Instant::now();
    let txn = begin_write(&db).await?;
    match wait_for_turn(&txn, sku).await {
        Ok(()) => Ok(Turn { txn, waited: asked.elapsed() }),
        Err(error) => {
            txn.rollback().await?;
            Err(error)
        }
    }
}
