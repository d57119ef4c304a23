//! Entries whose rows another transaction keeps locked: put aside, so that the others need not
//! wait for it, and tried again when the rows are free.

use std::time::{Duration, Instant};

use super::protocol::Submit;
use super::queue::Batch;
use crate::domain::fold::Command;
use crate::store::batch::Blocked;

/// How often it is looked whether the rows are free.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// An entry that has waited for so long is given up.
const PATIENCE: Duration = Duration::from_secs(8);
/// The most that wait here; more are given up at once.
const ENTRIES_MAX: usize = 2_048;

#[derive(Default)]
pub(super) struct Aside {
    entries: Vec<Submit>,
    /// What was locked when it was looked at last.
    locked: Blocked,
    looked_at: Option<Instant>,
}

impl Aside {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn commands(&self) -> Vec<Command> {
        self.entries.iter().map(|entry| entry.command.clone()).collect()
    }

    /// Takes entries in; gives back what it has no room for.
    pub fn put(&mut self, entries: Vec<Submit>, locked: Blocked) -> Vec<Submit> {
        let room = ENTRIES_MAX.saturating_sub(self.entries.len());
        let mut entries = entries.into_iter();
        let now = Instant::now();
        self.entries.extend(entries.by_ref().take(room).map(|mut entry| {
            // One that was free for a moment has waited since the first time.
            entry.locked_since.get_or_insert(now);
            entry
        }));
        self.locked.add(locked);
        self.looked_at.get_or_insert(now);
        entries.collect()
    }

    /// Moves from a batch what would only wait here as well.
    pub fn sift(&mut self, batch: &mut Batch) {
        if self.is_empty() {
            return;
        }
        let (locked, entries) = (&self.locked, std::mem::take(&mut batch.entries));
        let (waiting, free): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| locked.concerns(&entry.command));
        batch.entries = free;
        batch.entries.extend(self.put(waiting, Blocked::default()));
    }

    pub fn should_look(&self) -> bool {
        !self.is_empty() && self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY)
    }

    /// What may be tried again now that it has been looked at, and what has waited for too long.
    pub fn take(&mut self, locked: Blocked) -> (Vec<Submit>, Vec<Submit>) {
        let mut still = locked.commands.iter().copied();
        let mut free = Vec::new();
        let mut late = Vec::new();
        let mut waiting = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            match still.next().unwrap_or(false) {
                false => free.push(entry),
                true if is_late(&entry) => late.push(entry),
                true => waiting.push(entry),
            }
        }
        self.entries = waiting;
        self.locked = locked;
        self.looked_at = (!self.entries.is_empty()).then(Instant::now);
        (free, late)
    }

    /// Nobody can be asked: gives up what has waited for too long.
    pub fn take_late(&mut self) -> Vec<Submit> {
        self.looked_at = Some(Instant::now());
        let (late, waiting) = std::mem::take(&mut self.entries).into_iter().partition(is_late);
        self.entries = waiting;
        late
    }
}

fn is_late(entry: &Submit) -> bool {
    entry.locked_since.is_some_and(|since| since.elapsed() >= PATIENCE)
}
