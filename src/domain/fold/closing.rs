//! Closing an order: first the intention, then the attempts one by one, then the order and its
//! stock.

use crate::domain::attempt::{self, Attempt, AttemptEvent};
use crate::domain::books::{Books, EntryKind, Kept};
use crate::domain::id::{AttemptId, OrderId, UserId};
use crate::domain::notification::Facts;
use crate::domain::order::{CloseReason, Line, Order, OrderEvent, OrderState, TransitionError};
use crate::domain::time::Timestamp;
use crate::domain::timeline::{What, Who};

/// The order shall be closed.
#[derive(Debug, Clone)]
pub struct BeginClosing {
    pub order: OrderId,
    pub reason: CloseReason,
    /// Only the order of this buyer; none: anybody's.
    pub user: Option<UserId>,
}

/// WeChat has confirmed that an attempt brings no money.
#[derive(Debug, Clone)]
pub struct CloseAttempt {
    pub order: OrderId,
    pub attempt: AttemptId,
    /// WeChat did not know the number, and we had no prepay_id of it. Void once one is recorded:
    /// the unifiedorder of another process has come in between, and the buyer may pay with it.
    pub unheard_of: bool,
}

/// WeChat has not confirmed yet.
#[derive(Debug, Clone)]
pub struct PostponeClosing {
    pub order: OrderId,
    pub next_at: Timestamp,
}

/// Why an order cannot be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClosingRefusal {
    #[error("the order does not exist")]
    UnknownOrder,
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

pub(super) fn begin(
    books: &mut Books,
    begin: BeginClosing,
    now: Timestamp,
) -> Result<Order, ClosingRefusal> {
    let order = find(books, begin.order)?;
    if begin.user.is_some_and(|user| user != order.user) {
        return Err(ClosingRefusal::UnknownOrder);
    }
    let not_yet = begin.reason == CloseReason::Expired && now < order.expires_at;
    if not_yet {
        return Err(TransitionError::NotClosing.into());
    }
    super::transition(books, begin.order, OrderEvent::BeginClosing(begin.reason), now)?;
    finish_if_quiet(books, begin.order, now);
    find(books, begin.order)
}

pub(super) fn close_attempt(
    books: &mut Books,
    close: CloseAttempt,
    now: Timestamp,
) -> Result<Order, ClosingRefusal> {
    let fits = |kept: &&mut Kept<Attempt>| {
        let attempt = kept.get();
        attempt.order == close.order && !(close.unheard_of && attempt.prepay.is_some())
    };
    if let Some(kept) = books.attempts.get_mut(&close.attempt).filter(fits) {
        let mut changed = kept.get().clone();
        if attempt::apply(&mut changed, AttemptEvent::ConfirmClosed) {
            *kept.change() = changed;
        }
    }
    finish_if_quiet(books, close.order, now);
    find(books, close.order)
}

pub(super) fn postpone(
    books: &mut Books,
    postpone: PostponeClosing,
    now: Timestamp,
) -> Result<Order, ClosingRefusal> {
    if postpone_repricing(books, &postpone) {
        return find(books, postpone.order);
    }
    let event = OrderEvent::PostponeClosing { next_at: postpone.next_at };
    super::transition(books, postpone.order, event, now)?;
    find(books, postpone.order)
}

/// A change of price waits in the same way as a closing.
fn postpone_repricing(books: &mut Books, postpone: &PostponeClosing) -> bool {
    let Some(kept) = books.orders.get_mut(&postpone.order) else { return false };
    if kept.get().state != OrderState::Unpaid(None) || kept.get().repricing.is_none() {
        return false;
    }
    let order = kept.change();
    order.version += 1;
    if let Some(repricing) = &mut order.repricing {
        repricing.next_at = postpone.next_at;
        repricing.tries = repricing.tries.saturating_add(1);
    }
    true
}

/// Once no attempt of it can bring money: closes an order that is being closed, and changes the
/// price of one whose price is to change.
pub(super) fn finish_if_quiet(books: &mut Books, order: OrderId, now: Timestamp) {
    let closing = books
        .orders
        .get(&order)
        .is_some_and(|kept| matches!(kept.get().state, OrderState::Unpaid(Some(_))));
    let quiet = !books.attempts_of(order).any(|attempt| attempt.state.is_live());
    if closing && quiet {
        let finished = super::transition(books, order, OrderEvent::FinishClosing, now);
        debug_assert!(finished.is_ok(), "a closing order can be closed");
    } else if quiet {
        change_price(books, order, now);
    }
}

/// From now on it costs what staff have said; the buyer may pay again.
fn change_price(books: &mut Books, id: OrderId, now: Timestamp) {
    let Some(kept) = books.orders.get_mut(&id) else { return };
    let unpaid = kept.get().state == OrderState::Unpaid(None);
    let Some(repricing) = kept.get().repricing.filter(|_| unpaid) else { return };
    let order = kept.change();
    order.repricing = None;
    order.version += 1;
    if let Some(amounts) = order.amounts.adjusted(repricing.adjust) {
        order.amounts = amounts;
    }
    let fen = |fen: i64| fen.to_string();
    let detail = Facts::from([
        ("adjust_fen".into(), fen(order.amounts.adjust.as_fen())),
        ("pay_fen".into(), fen(order.amounts.pay.as_fen())),
    ]);
    let confirmed_by = std::mem::replace(&mut books.acting, Who::Staff(repricing.by));
    books.happened(id, What::PriceChanged, detail, now);
    books.acting = confirmed_by;
}

/// Returns what the ledger shows as deducted; never more, whatever the goods say today. What a
/// parcel has taken is not there to be sold again.
pub(super) fn return_stock(books: &mut Books, order: OrderId, kind: EntryKind, now: Timestamp) {
    for line in lines(books, order) {
        let deducted = books.deducted.get(&line.id).copied().unwrap_or(0);
        let sent: i64 = books.shipments_of(order).map(|parcel| parcel.pieces_of(line.id)).sum();
        if deducted > sent {
            books.move_stock(&line, deducted - sent, kind, now);
        }
    }
}

/// Lines of an order whose goods move. There is no order without: if they were not read, that must
/// not pass for an order that moves nothing.
pub(super) fn lines(books: &mut Books, order: OrderId) -> Vec<Line> {
    let lines = books.lines_of(order).to_vec();
    if lines.is_empty() {
        books.miss("the lines of an order");
    }
    lines
}

/// From now on no attempt of the order is meant to be paid.
pub(super) fn stop_attempts(books: &mut Books, order: OrderId) {
    let live = |attempt: &attempt::Attempt| attempt.order == order && attempt.state.is_live();
    for kept in books.attempts.values_mut().filter(|kept| live(kept.get())) {
        let mut changed = kept.get().clone();
        if attempt::apply(&mut changed, AttemptEvent::BeginClosing) {
            *kept.change() = changed;
        }
    }
}

fn find(books: &Books, order: OrderId) -> Result<Order, ClosingRefusal> {
    let kept = books.orders.get(&order).ok_or(ClosingRefusal::UnknownOrder)?;
    Ok(kept.get().clone())
}
