//! Work on the engine's own account: taken by a claim, so that of several processes one does it,
//! and not done past its deadline.
//!
//! A call to WeChat is made only while the claim still runs for as long as a call may take, so that
//! no two processes have one under way. A process that was frozen finds its claim at an end before
//! the next call, and the journal writes nothing of what it brings unless the claim is still its
//! own. Money is never too late: that a payment came is written whoever says so.

use std::cell::RefCell;
use std::collections::HashSet;

use super::actor::Inner;
use super::protocol::PaymentError;
use crate::actors::journal::JournalError;
use crate::domain::fold::{Command, Outcome};
use crate::domain::id::OrderId;
use crate::domain::time::Timestamp;
use crate::store::claims::{Claim, Work};

impl Inner {
    /// Takes a piece of work; none: another process has it.
    pub async fn take(&self, work: Work) -> Result<Option<Claim>, PaymentError> {
        let until = self.deps.clock.now().plus_seconds(self.deps.claim_seconds);
        Ok(self.deps.journal.take(work, until).await?)
    }

    /// Whether a call may be made under this claim; without one, always.
    pub fn may_call(&self, claim: Option<&Claim>) -> Result<(), PaymentError> {
        let over = self.deps.clock.now().plus_seconds(self.deps.call_seconds);
        match claim {
            Some(claim) if claim.until < over => Err(PaymentError::Late),
            Some(_) | None => Ok(()),
        }
    }

    /// Puts a command into the journal that is written only while the claim, if any, is ours.
    pub async fn submit_under(
        &self,
        claim: Option<&Claim>,
        command: Command,
    ) -> Result<Outcome, PaymentError> {
        match claim {
            None => self.submit(command).await,
            Some(claim) => {
                let wxapp = self.deps.wxapp.id;
                Ok(self.deps.journal.submit_under(claim, wxapp, command).await?)
            }
        }
    }

    /// Lets the work go: until then, or so that anybody may take it up.
    pub async fn let_go(&self, claim: Claim, rest_until: Option<Timestamp>) {
        let work = claim.work;
        let let_go = match rest_until {
            Some(until) => self.deps.journal.rest(claim, until).await,
            None => self.deps.journal.end(claim).await,
        };
        match let_go {
            Ok(()) | Err(JournalError::Closing) => {}
            Err(error) => tracing::warn!(?work, %error, "a claim is left to run out"),
        }
    }
}

/// Orders that this process is closing.
#[derive(Default)]
pub(super) struct UnderWay {
    orders: RefCell<HashSet<OrderId>>,
    ended: tokio::sync::Notify,
}

/// One of them.
pub(super) struct Place<'a> {
    of: &'a UnderWay,
    order: OrderId,
}

impl UnderWay {
    /// Enters an order; none: it was under way, and is not any more.
    pub async fn enter(&self, order: OrderId) -> Option<Place<'_>> {
        let mut waited = false;
        loop {
            let ended = self.ended.notified();
            if !self.orders.borrow().contains(&order) {
                break;
            }
            waited = true;
            ended.await;
        }
        if waited {
            return None;
        }
        self.orders.borrow_mut().insert(order);
        Some(Place { of: self, order })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.orders.borrow_mut().remove(&self.order);
        self.of.ended.notify_waiters();
    }
}
