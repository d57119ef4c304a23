//! What waits for the next batch, and who goes first.

use std::collections::VecDeque;

use super::protocol::{ChangeClaim, JournalError, Reply, Submit, WriteRows};
use crate::domain::fold::Command;
use crate::store::Write;
use crate::store::claims::{Claim, ClaimChange};

/// Settlements, closings and refunds go first; orders share what is left of a batch.
#[derive(Default)]
pub(super) struct Queue {
    urgent: VecDeque<Submit>,
    orders: VecDeque<Submit>,
    claims: VecDeque<ChangeClaim>,
    writes: VecDeque<WriteRows>,
}

/// The members of one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub entries: Vec<Submit>,
    pub claims: Vec<ChangeClaim>,
    pub writes: Vec<WriteRows>,
    /// How often it has met rows that others had locked for long.
    pub locked: u32,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.entries.len() + self.claims.len() + self.writes.len()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries, claims and plain writes apart first, then each in two halves.
    pub fn halve(mut self) -> (Self, Self) {
        let mut second = Self { locked: self.locked, ..Self::default() };
        let (entries, claims, writes) = (self.entries.len(), self.claims.len(), self.writes.len());
        if entries > 0 && claims + writes > 0 {
            second.entries = std::mem::take(&mut self.entries);
            return (second, self);
        }
        if claims > 0 && writes > 0 {
            second.writes = std::mem::take(&mut self.writes);
            return (self, second);
        }
        second.entries = self.entries.split_off(entries / 2);
        second.claims = self.claims.split_off(claims / 2);
        second.writes = self.writes.split_off(writes / 2);
        (self, second)
    }
}

/// What a transaction needs of its members.
#[derive(Default)]
pub(super) struct Members {
    pub commands: Vec<Command>,
    /// The claim of each command.
    pub fences: Vec<Option<Claim>>,
    pub claims: Vec<ClaimChange>,
    pub writes: Vec<Write>,
}

impl From<&Batch> for Members {
    fn from(batch: &Batch) -> Self {
        Self {
            commands: batch.entries.iter().map(|entry| entry.command.clone()).collect(),
            fences: batch.entries.iter().map(|entry| entry.claim.clone()).collect(),
            claims: batch.claims.iter().map(|claim| claim.change.clone()).collect(),
            writes: batch.writes.iter().map(|write| write.write.clone()).collect(),
        }
    }
}

/// Lines that the orders of one batch may have in all: bounds the bound values of a statement.
const BATCH_LINES_MAX: usize = 2_000;
/// Claims that change in one commit.
const BATCH_CLAIMS_MAX: usize = 512;
/// Statements that ride along in one commit.
const BATCH_WRITES_MAX: usize = 512;

fn is_urgent(command: &Command) -> bool {
    match command {
        Command::Place(_) | Command::StartAttempt(_) | Command::Receive(_) | Command::Remind(_) => {
            false
        }
        Command::RecordPrepay(_)
        | Command::Settle(_)
        | Command::BeginClosing(_)
        | Command::CloseAttempt(_)
        | Command::PostponeClosing(_)
        | Command::ChangeRefund(_)
        | Command::KeepIncident(_)
        | Command::Desk(_) => true,
    }
}

fn lines(command: &Command) -> usize {
    match command {
        Command::Place(place) => place.cart.items().len(),
        _ => 1,
    }
}

impl Queue {
    pub fn len(&self) -> usize {
        self.urgent.len() + self.orders.len() + self.claims.len() + self.writes.len()
    }

    /// Queues an entry, or refuses it when its queue is full.
    pub fn push(&mut self, entry: Submit, max: usize) {
        let queue = if is_urgent(&entry.command) { &mut self.urgent } else { &mut self.orders };
        if queue.len() >= max {
            refuse(entry.reply, JournalError::Busy);
        } else {
            queue.push_back(entry);
        }
    }

    pub fn push_write(&mut self, write: WriteRows, max: usize) {
        if self.writes.len() >= max {
            refuse(write.reply, JournalError::Busy);
        } else {
            self.writes.push_back(write);
        }
    }

    pub fn push_claim(&mut self, claim: ChangeClaim, max: usize) {
        if self.claims.len() >= max {
            refuse(claim.reply, JournalError::Busy);
        } else {
            self.claims.push_back(claim);
        }
    }

    /// Fills a batch, up to `max` entries, urgent ones first. While another mini-program has orders
    /// waiting, none takes more than half of the room.
    pub fn fill(&mut self, batch: &mut Batch, max: usize) {
        while batch.entries.len() < max {
            let Some(entry) = self.urgent.pop_front() else {
                break;
            };
            batch.entries.push(entry);
        }
        let room = max.saturating_sub(batch.entries.len());
        self.take_orders(batch, room);
        let claims = self.claims.len().min(BATCH_CLAIMS_MAX - batch.claims.len());
        batch.claims.extend(self.claims.drain(..claims));
        let writes = self.writes.len().min(BATCH_WRITES_MAX - batch.writes.len());
        batch.writes.extend(self.writes.drain(..writes));
    }

    fn take_orders(&mut self, batch: &mut Batch, room: usize) {
        let first = self.orders.front().map(|entry| entry.wxapp);
        let alone = self.orders.iter().all(|entry| Some(entry.wxapp) == first);
        let share = if alone { room } else { room.div_ceil(2) };
        let mut taken: std::collections::HashMap<_, usize> = std::collections::HashMap::new();
        let mut orders = 0;
        let mut total_lines =
            batch.entries.iter().map(|entry| lines(&entry.command)).sum::<usize>();
        let mut later = VecDeque::new();
        while let Some(entry) = self.orders.pop_front() {
            let of_wxapp = taken.entry(entry.wxapp).or_default();
            let full = orders >= room || total_lines >= BATCH_LINES_MAX;
            if full {
                later.push_back(entry);
                break;
            }
            if *of_wxapp >= share {
                later.push_back(entry);
                continue;
            }
            *of_wxapp += 1;
            orders += 1;
            total_lines += lines(&entry.command);
            batch.entries.push(entry);
        }
        while let Some(entry) = later.pop_back() {
            self.orders.push_front(entry);
        }
    }

    /// Refuses all that waits.
    pub fn refuse_all(&mut self, error: JournalError) {
        for entry in self.urgent.drain(..).chain(self.orders.drain(..)) {
            refuse(entry.reply, error);
        }
        for claim in self.claims.drain(..) {
            refuse(claim.reply, error);
        }
        for write in self.writes.drain(..) {
            refuse(write.reply, error);
        }
    }
}

/// Answers with an error; a caller who has gone does not hear it.
pub(super) fn refuse<T>(reply: Reply<T>, error: JournalError) {
    let _gone = reply.send(Err(error));
}
