//! What time brings to orders beside their closing: the word that an unpaid one is about to expire,
//! and the end of one that was shipped long ago.
//!
//! Several processes may find the same orders. The fold decides under lock, so the second finds the
//! work done and leaves no trace.

use futures_util::StreamExt as _;

use super::protocol::Reaped;
use crate::actors::directory::Directory;
use crate::actors::journal::JournalHandle;
use crate::domain::fold::{Command, Outcome, Receive, Receiver, Remind};
use crate::domain::id::WxappId;
use crate::domain::notification::Event;
use crate::domain::time::Timestamp;
use crate::store::payments::OrderRef;
use crate::store::{Readers, StoreError, order_life};

/// Entries that one run puts into the journal at the same time.
const ENTRIES: usize = 64;

/// When orders are reminded of and completed.
#[derive(Debug, Clone, Copy)]
pub struct LifeSettings {
    /// How long before its end the buyer of an unpaid order is told; 0: never.
    pub remind_seconds: i64,
    /// After so many seconds on its way an order counts as received.
    pub receipt_seconds: i64,
}

/// What life needs to go on.
#[derive(Clone, Copy)]
pub(super) struct Life<'a> {
    pub directory: &'a Directory,
    pub journal: &'a JournalHandle,
    pub readers: &'a Readers,
    pub now: Timestamp,
    pub settings: LifeSettings,
    pub batch: u64,
}

impl Life<'_> {
    /// Writes messages for orders that are about to expire, where the mini-program has a template;
    /// the answer is how many.
    pub async fn remind(self) -> Result<usize, StoreError> {
        let told: Vec<WxappId> = self.told();
        if told.is_empty() || self.settings.remind_seconds == 0 {
            return Ok(0);
        }
        let until = self.now.plus_seconds(self.settings.remind_seconds);
        let due = order_life::expiring(self.readers, &told, (self.now, until), self.batch).await?;
        Ok(self.each(due, |due| Command::Remind(Remind { order: due.order })).await)
    }

    /// Mini-programs whose buyers are told of orders that expire.
    fn told(&self) -> Vec<WxappId> {
        let shops = self.directory.shops();
        let told = shops.iter().filter(|s| s.wxapp.templates.contains_key(&Event::OrderExpiring));
        told.map(|shop| shop.wxapp.id).collect()
    }

    /// Completes what has been on its way long enough; the answer is how many.
    pub async fn complete(self) -> Result<usize, StoreError> {
        let shipped_by = self.now.plus_seconds(-self.settings.receipt_seconds);
        let due = order_life::long_shipped(self.readers, shipped_by, self.batch).await?;
        let by = Receiver::Time { shipped_by };
        Ok(self.each(due, |due| Command::Receive(Receive { order: due.order, by })).await)
    }

    /// Puts a command for each order into the journal and counts those that took effect.
    async fn each(self, due: Vec<OrderRef>, command: impl Fn(OrderRef) -> Command) -> usize {
        let one = |due: OrderRef| {
            let submitted = self.journal.submit(due.wxapp, command(due), None);
            async move {
                match submitted.await {
                    Ok(Outcome::Reminded(done)) => usize::from(done),
                    Ok(Outcome::Received(received)) => usize::from(received.is_ok()),
                    Ok(_) => 0,
                    Err(error) => {
                        tracing::warn!(order = %due.order, %error, "left for the next run");
                        0
                    }
                }
            }
        };
        let done = futures_util::stream::iter(due.into_iter().map(one)).buffer_unordered(ENTRIES);
        done.fold(0, |sum, done| async move { sum + done }).await
    }
}

impl Reaped {
    pub(super) fn with_life(self, reminded: usize, completed: usize) -> Self {
        Self { reminded, completed, ..self }
    }
}
