//! What WeChat says of a refund.

use crate::domain::books::Books;
use crate::domain::id::{OrderId, RefundId};
use crate::domain::money::Money;
use crate::domain::payment::{RefundEvent, RefundState, apply_refund};
use crate::domain::time::Timestamp;

/// Something happened to a refund.
#[derive(Debug, Clone)]
pub struct ChangeRefund {
    pub refund: RefundId,
    pub order: OrderId,
    pub event: RefundEvent,
}

pub(super) fn change(books: &mut Books, change: ChangeRefund, now: Timestamp) -> bool {
    let Some(kept) = books.refunds.get_mut(&change.refund) else {
        return false;
    };
    let mut refund = kept.get().clone();
    if !apply_refund(&mut refund, change.event, now) {
        return false;
    }
    *kept.change() = refund.clone();
    if refund.state == RefundState::Success {
        count_refunded(books, refund.order, refund.amount);
    }
    true
}

/// Adds to what has gone back of an order.
pub(super) fn count_refunded(books: &mut Books, order: OrderId, amount: Money) {
    if let Some(kept) = books.orders.get_mut(&order) {
        let order = kept.change();
        order.refunded = order.refunded.checked_add(amount).unwrap_or(order.refunded);
        order.version += 1;
    }
}
