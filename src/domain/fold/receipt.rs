//! The end of an order: the buyer has the goods, or has had time to say that he has not. And the
//! word to him, before that, that his time to pay is nearly over.

use crate::domain::books::{Books, Kept};
use crate::domain::id::{OrderId, UserId};
use crate::domain::notification::{Event, Facts};
use crate::domain::order::{Order, OrderEvent, OrderState, TransitionError};
use crate::domain::time::Timestamp;

use super::refund;
use super::settle::{self, About};

/// The goods have arrived.
#[derive(Debug, Clone)]
pub struct Receive {
    pub order: OrderId,
    pub by: Receiver,
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    Buyer(UserId),
    /// Time, for what was shipped by then.
    Time {
        shipped_by: Timestamp,
    },
}

/// Why an order is not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefusal {
    #[error("the order does not exist")]
    UnknownOrder,
    #[error("it is not long enough on its way")]
    NotYet,
    /// Time completes nothing whose money goes back; the buyer may.
    #[error("money of the order is going back")]
    RefundOpen,
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

pub(super) fn receive(
    books: &mut Books,
    receive: &Receive,
    now: Timestamp,
) -> Result<Order, ReceiptRefusal> {
    let order = books.orders.get(&receive.order).map(Kept::get);
    let order = order.ok_or(ReceiptRefusal::UnknownOrder)?;
    match (receive.by, &order.state) {
        (Receiver::Buyer(user), _) if user != order.user => {
            return Err(ReceiptRefusal::UnknownOrder);
        }
        (Receiver::Time { shipped_by }, OrderState::Shipped { at, .. }) if *at > shipped_by => {
            return Err(ReceiptRefusal::NotYet);
        }
        (Receiver::Time { .. }, OrderState::Shipped { .. })
            if refund::is_on_its_way_back(books, receive.order) =>
        {
            return Err(ReceiptRefusal::RefundOpen);
        }
        (Receiver::Buyer(_) | Receiver::Time { .. }, _) => {}
    }
    super::transition(books, receive.order, OrderEvent::Receive, now)?;
    let kept = books.orders.get(&receive.order).ok_or(ReceiptRefusal::UnknownOrder)?;
    Ok(kept.get().clone())
}

/// The buyer shall hear that his order is about to be closed.
#[derive(Debug, Clone)]
pub struct Remind {
    pub order: OrderId,
}

/// Whether a message was written: once, and only while he can still pay.
pub(super) fn remind(books: &mut Books, remind: &Remind, now: Timestamp) -> bool {
    let Some(order) = books.orders.get(&remind.order).map(Kept::get) else { return false };
    let expires_at = order.expires_at;
    let payable = order.state == OrderState::Unpaid(None) && now < expires_at;
    if !payable || !books.desk.reminded.insert(remind.order) {
        return false;
    }
    let more = Facts::from([("expires_ms".into(), expires_at.as_millis().to_string())]);
    let about = About { ref_id: 0, amount: None, more, hold_seconds: 0 };
    settle::tell(books, remind.order, Event::OrderExpiring, about, now);
    true
}
