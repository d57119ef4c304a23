//! The fold of a batch: every change of orders, stock and money is decided here.
//!
//! The journal reads rows under lock into [`Books`], folds the commands of the batch in the order
//! in which they arrived, and writes what the books have become. Each command is taken whole or
//! refused by name: all its guards stand before its first effect, so that a refusal leaves no trace
//! and one member never fails another.

mod closing;
mod place;
mod refund;
mod settle;
#[cfg(test)]
pub(crate) mod tests;

pub use closing::{BeginClosing, CloseAttempt, ClosingRefusal, PostponeClosing};
pub use place::{KeyClaim, NewOrder, Place, Placed, StartAttempt, StartRefusal};
pub use refund::{ChangeRefund, FoundRefund, FoundState};
pub use settle::{KeepIncident, Settle, Settlement, SurplusReason};

use std::collections::BTreeMap;

use super::admission::PlaceRefusal;
use super::attempt::{self, Attempt, AttemptEvent};
use super::books::Books;
use super::id::{AttemptId, OrderId};
use super::order::{self, Effect, Order, OrderEvent, TransitionError};
use super::time::Timestamp;

/// One member of a batch.
#[derive(Debug, Clone)]
pub enum Command {
    Place(Place),
    StartAttempt(StartAttempt),
    RecordPrepay(RecordPrepay),
    Settle(Settle),
    BeginClosing(BeginClosing),
    CloseAttempt(CloseAttempt),
    PostponeClosing(PostponeClosing),
    ChangeRefund(ChangeRefund),
    KeepIncident(KeepIncident),
}

/// What came of a command.
#[derive(Debug, Clone)]
pub enum Outcome {
    Placed(Result<Placed, PlaceRefusal>),
    AttemptStarted(Result<Attempt, StartRefusal>),
    /// The attempt as it stands after unifiedorder's answer; none when it does not exist.
    PrepayRecorded(Option<Attempt>),
    Settled(Settlement),
    /// The order as it stands.
    Closing(Result<Order, ClosingRefusal>),
    RefundChanged(bool),
    IncidentKept,
}

/// The answer to unifiedorder.
#[derive(Debug, Clone)]
pub struct RecordPrepay {
    pub attempt: AttemptId,
    /// [`AttemptEvent::Opened`] or [`AttemptEvent::Refused`].
    pub event: AttemptEvent,
}

/// Lines that one order can have; bounds what a command may need.
pub const LINES_MAX: usize = 500;

/// How many ids the commands may draw at the most, once the books are read: one for each ledger
/// entry, and what each command writes besides. About what is not there nothing is written.
pub fn ids_needed(books: &Books, commands: &[Command]) -> usize {
    let coming = Coming::of(commands);
    commands.iter().map(|command| coming.ids_of(books, command)).sum()
}

/// What is not in the books yet and comes into them by members of the same batch.
#[derive(Default)]
struct Coming {
    /// Orders and how many lines they have.
    orders: BTreeMap<OrderId, usize>,
    attempts: BTreeMap<AttemptId, OrderId>,
}

impl Coming {
    fn of(commands: &[Command]) -> Self {
        let mut coming = Self::default();
        for command in commands {
            match command {
                Command::Place(place) => {
                    coming.orders.insert(place.order, place.cart.items().len());
                }
                Command::StartAttempt(start) => {
                    coming.attempts.insert(start.id, start.order);
                }
                _ => {}
            }
        }
        coming
    }

    fn ids_of(&self, books: &Books, command: &Command) -> usize {
        match command {
            // Lines, their deductions, the message that a free order is paid.
            Command::Place(place) => 2 * place.cart.items().len() + 1,
            // Payment, automatic refund and two messages, or an incident.
            Command::Settle(settle) => {
                self.lines_of_attempt(books, settle.attempt) + 4 + settle.refunds.len()
            }
            Command::RecordPrepay(record) => match record.event {
                // It lives on, and its order is not touched.
                AttemptEvent::Opened(_) => 0,
                _ => self.lines_of_attempt(books, record.attempt),
            },
            Command::BeginClosing(begin) => self.lines_of(books, begin.order),
            Command::CloseAttempt(close) => self.lines_of(books, close.order),
            Command::KeepIncident(_) => 1,
            Command::ChangeRefund(change) => change.found.len(),
            Command::StartAttempt(_) | Command::PostponeClosing(_) => 0,
        }
    }

    fn lines_of_attempt(&self, books: &Books, attempt: AttemptId) -> usize {
        let order = books.attempts.get(&attempt).map(|kept| kept.get().order);
        let order = order.or_else(|| self.attempts.get(&attempt).copied());
        order.map_or(0, |order| self.lines_of(books, order))
    }

    fn lines_of(&self, books: &Books, order: OrderId) -> usize {
        if let Some(lines) = books.lines.get(&order) {
            return lines.len();
        }
        let unread = books.orders.contains_key(&order).then_some(LINES_MAX);
        unread.or_else(|| self.orders.get(&order).copied()).unwrap_or(0)
    }
}

/// Applies one command to the books.
pub fn fold(books: &mut Books, command: Command, now: Timestamp) -> Outcome {
    match command {
        Command::Place(place) => Outcome::Placed(place::place(books, place, now)),
        Command::StartAttempt(start) => {
            Outcome::AttemptStarted(place::start_attempt(books, start, now))
        }
        Command::RecordPrepay(record) => Outcome::PrepayRecorded(record_prepay(books, record, now)),
        Command::Settle(settle) => Outcome::Settled(settle::settle(books, settle, now)),
        Command::BeginClosing(begin) => Outcome::Closing(closing::begin(books, begin, now)),
        Command::CloseAttempt(close) => Outcome::Closing(closing::close_attempt(books, close, now)),
        Command::PostponeClosing(postpone) => {
            Outcome::Closing(closing::postpone(books, postpone, now))
        }
        Command::ChangeRefund(change) => Outcome::RefundChanged(refund::change(books, change, now)),
        Command::KeepIncident(keep) => {
            settle::keep_incident(books, keep);
            Outcome::IncidentKept
        }
    }
}

fn record_prepay(books: &mut Books, record: RecordPrepay, now: Timestamp) -> Option<Attempt> {
    let kept = books.attempts.get_mut(&record.attempt)?;
    let mut attempt = kept.get().clone();
    if !attempt::apply(&mut attempt, record.event) {
        return Some(attempt);
    }
    *kept.change() = attempt.clone();
    // Only a refusal ends an attempt, and only for it the store has read the order's lines.
    if !attempt.state.is_live() {
        closing::finish_if_quiet(books, attempt.order, now);
    }
    Some(attempt)
}

/// Moves an order along and performs what that asks for. `order` must be in the books.
fn transition(
    books: &mut Books,
    order_id: OrderId,
    event: OrderEvent,
    now: Timestamp,
) -> Result<(), TransitionError> {
    let Some(kept) = books.orders.get_mut(&order_id) else {
        return Err(TransitionError::AlreadyClosed);
    };
    let transition = order::apply(&kept.get().state, event, now)?;
    let was_live = kept.get().state.is_live();
    let order = kept.change();
    order.state = transition.next;
    order.version += 1;
    if was_live && !order.state.is_live() {
        release_limits(books, order_id);
    }
    for effect in transition.effects {
        perform(books, order_id, effect, now);
    }
    Ok(())
}

fn perform(books: &mut Books, order: OrderId, effect: Effect, now: Timestamp) {
    match effect {
        Effect::Sell => settle::sell(books, order, now),
        Effect::ReturnStock(kind) => closing::return_stock(books, order, kind, now),
        Effect::StopAttempts => closing::stop_attempts(books, order),
        Effect::Notify(event) => settle::notify(books, order, event, None, now),
    }
}

fn release_limits(books: &mut Books, order_id: OrderId) {
    let Some(user) = books.orders.get(&order_id).map(|kept| kept.get().user) else {
        return;
    };
    let lines = books.lines.get(&order_id).map_or(&[][..], Vec::as_slice);
    for line in lines {
        if let Some(bought) = books.bought.get_mut(&(user, line.goods)) {
            *bought -= line.quantity.pieces();
        }
    }
}
