//! The fold of a batch: every change of orders, stock and money is decided here.
//!
//! The journal reads rows under lock into [`Books`], folds the commands of the batch in the order
//! in which they arrived, and writes what the books have become. Each command is taken whole or
//! refused by name: all its guards stand before its first effect, so that a refusal leaves no trace
//! and one member never fails another.

mod closing;
mod desk;
mod place;
mod receipt;
mod refund;
mod settle;
#[cfg(test)]
pub(crate) mod tests;

pub use closing::{BeginClosing, CloseAttempt, ClosingRefusal, PostponeClosing};
pub use desk::{Act, Acted, Desk, DeskRefusal};
pub use place::{KeyClaim, NewOrder, Place, Placed, StartAttempt, StartRefusal};
pub use receipt::{ReceiptRefusal, Receive, Receiver, Remind};
pub use refund::{ChangeRefund, FoundRefund, FoundState};
pub use settle::{KeepIncident, Settle, Settlement, SurplusReason};

use std::collections::BTreeMap;

use super::admission::PlaceRefusal;
use super::attempt::{self, Attempt, AttemptEvent};
use super::books::Books;
use super::id::{AttemptId, OrderId};
use super::notification::Facts;
use super::order::{self, CloseReason, Effect, Order, OrderEvent, OrderState, TransitionError};
use super::time::Timestamp;
use super::timeline::{What, Who};

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
    Receive(Receive),
    Remind(Remind),
    Desk(Box<Desk>),
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
    /// The order as it stands.
    Received(Result<Order, ReceiptRefusal>),
    /// Whether a message was written.
    Reminded(bool),
    Acted(Result<Acted, DeskRefusal>),
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

/// Entries that one command may add to timelines, audit log and outbox, beside those that are
/// counted with the command itself.
const REMARKS: usize = 4;

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
            // Lines, their deductions, and that a free order is paid, told twice.
            Command::Place(place) => 2 * place.cart.items().len() + 2,
            // Payment, automatic refund and two messages, or an incident.
            Command::Settle(settle) => {
                self.moved_of_attempt(books, settle.attempt) + 4 + 2 * settle.refunds.len()
            }
            Command::RecordPrepay(record) => match record.event {
                // It lives on, and its order is not touched.
                AttemptEvent::Opened(_) => 0,
                _ => self.moved_of_attempt(books, record.attempt),
            },
            Command::BeginClosing(begin) => self.moved(books, begin.order),
            Command::CloseAttempt(close) => self.moved(books, close.order),
            Command::KeepIncident(_) | Command::Receive(_) | Command::Remind(_) => 1,
            Command::ChangeRefund(change) => {
                self.moved(books, change.order) + 2 * change.found.len()
            }
            Command::StartAttempt(_) | Command::PostponeClosing(_) => 0,
            // The entry of the log, a parcel or a refund and its message.
            Command::Desk(desk) => {
                let moved = desk.act.order().filter(|_| desk.act.moves_goods());
                moved.map_or(0, |order| self.moved(books, order)) + desk.act.makes() + 3 + REMARKS
            }
        }
    }

    fn moved_of_attempt(&self, books: &Books, attempt: AttemptId) -> usize {
        let order = books.attempts.get(&attempt).map(|kept| kept.get().order);
        let order = order.or_else(|| self.attempts.get(&attempt).copied());
        order.map_or(0, |order| self.moved(books, order))
    }

    /// A ledger entry for each line of an order, and what its timeline says.
    fn moved(&self, books: &Books, order: OrderId) -> usize {
        match self.lines_of(books, order) {
            0 => 0,
            lines => lines + REMARKS,
        }
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
    books.acting = who(&command);
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
        Command::Receive(receive) => Outcome::Received(receipt::receive(books, &receive, now)),
        Command::Remind(remind) => Outcome::Reminded(receipt::remind(books, &remind, now)),
        Command::Desk(desk) => Outcome::Acted(desk::act(books, *desk, now)),
    }
}

/// For the timeline: whose doing a command is.
fn who(command: &Command) -> Who {
    match command {
        Command::Place(_) | Command::StartAttempt(_) => Who::Buyer,
        Command::Receive(Receive { by: Receiver::Buyer(_), .. }) => Who::Buyer,
        Command::BeginClosing(BeginClosing { reason: CloseReason::Buyer, .. }) => Who::Buyer,
        Command::RecordPrepay(_) | Command::Settle(_) | Command::CloseAttempt(_) => Who::Wechat,
        Command::ChangeRefund(_) | Command::KeepIncident(_) => Who::Wechat,
        Command::Desk(desk) => Who::Staff(desk.staff),
        Command::BeginClosing(_)
        | Command::PostponeClosing(_)
        | Command::Receive(_)
        | Command::Remind(_) => Who::System,
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
    let noted = noted(&event);
    let transition = order::apply(&kept.get().state, event, now)?;
    let was_live = kept.get().state.is_live();
    let order = kept.change();
    order.state = transition.next;
    order.version += 1;
    let unpaid = order.state == OrderState::Unpaid(None);
    let repricing = if unpaid { None } else { order.repricing.take() };
    if was_live && !order.state.is_live() {
        release_limits(books, order_id);
    }
    if repricing.is_some() {
        books.happened(order_id, What::PriceKept, Facts::new(), now);
    }
    if let Some((what, detail)) = noted {
        books.happened(order_id, what, detail, now);
    }
    for effect in transition.effects {
        perform(books, order_id, effect, now);
    }
    Ok(())
}

/// What the timeline says of an event; parcels speak for themselves.
fn noted(event: &OrderEvent) -> Option<(What, Facts)> {
    let reason = |reason: CloseReason| Facts::from([("reason".into(), reason.as_str().into())]);
    match event {
        OrderEvent::BeginClosing(why) => Some((What::Closing, reason(*why))),
        OrderEvent::FinishClosing => Some((What::Closed, Facts::new())),
        OrderEvent::SellOut => Some((What::Closed, reason(CloseReason::SoldOut))),
        OrderEvent::Pay(paid) => {
            let number = paid.transaction.as_ref().map(|number| number.to_string());
            let detail = number.map(|number| ("transaction_id".to_owned(), number));
            Some((What::Paid, detail.into_iter().collect()))
        }
        OrderEvent::Receive => Some((What::Completed, Facts::new())),
        OrderEvent::ReturnMoney => Some((What::Refunded, Facts::new())),
        OrderEvent::PostponeClosing { .. }
        | OrderEvent::ShipPart
        | OrderEvent::Ship
        | OrderEvent::Unship => None,
    }
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
