//! What an order costs before it is paid, and giving the money back after.

use super::{Change, Clerk, DeskRefusal, facts, find};
use crate::domain::books::{Books, Kept};
use crate::domain::fold::{closing, refund as refunds, settle};
use crate::domain::id::OrderId;
use crate::domain::money::Money;
use crate::domain::notification::Event;
use crate::domain::order::{Order, OrderState, Repricing, already};
use crate::domain::payment::{
    Payment, PaymentKind, REFUND_NUMBERS_MAX, Refund, RefundKind, RefundState,
};
use crate::domain::timeline::What;

pub(super) fn reprice(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    adjust: Money,
    max: Money,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    let pay = new_price(&order, clerk, adjust, max)?;
    let repricing =
        Repricing { adjust, since: clerk.now, next_at: clerk.now, tries: 0, by: clerk.staff };
    if let Some(kept) = books.orders.get_mut(&id) {
        let order = kept.change();
        order.repricing = Some(repricing);
        order.version += 1;
    }
    closing::stop_attempts(books, id);
    if books.attempts_of(id).any(|attempt| attempt.state.is_live()) {
        let wanted = facts([("pay_fen", pay.as_fen().to_string())]);
        books.happened(id, What::PriceChanging, wanted, clerk.now);
    }
    closing::finish_if_quiet(books, id, clerk.now);
    let fen = |adjust: Money, pay: Money| {
        facts([("adjust_fen", adjust.as_fen().to_string()), ("pay_fen", pay.as_fen().to_string())])
    };
    Ok(Change::of(id, fen(order.amounts.adjust, order.amounts.pay), fen(adjust, pay)))
}

/// What the order will cost, if its price may change at all.
fn new_price(
    order: &Order,
    clerk: &Clerk,
    adjust: Money,
    max: Money,
) -> Result<Money, DeskRefusal> {
    match order.state {
        OrderState::Unpaid(None) if clerk.now >= order.expires_at => {
            return Err(DeskRefusal::Expired);
        }
        OrderState::Unpaid(None) => {}
        _ => return Err(already(&order.state).into()),
    }
    if order.repricing.is_some() {
        return Err(DeskRefusal::Repricing);
    }
    if adjust == order.amounts.adjust {
        return Err(DeskRefusal::NothingChanges);
    }
    let pay = order.amounts.adjusted(adjust).ok_or(DeskRefusal::PriceTooHigh { max })?.pay;
    if pay < Money::from_fen(1) {
        return Err(DeskRefusal::PriceTooLow);
    }
    if pay > max {
        return Err(DeskRefusal::PriceTooHigh { max });
    }
    Ok(pay)
}

pub(super) fn refund(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    reason: String,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    match &order.state {
        OrderState::Paid(_) | OrderState::Shipped { .. } | OrderState::Completed { .. } => {}
        other => return Err(already(other).into()),
    }
    let payment = settled(books, id).ok_or(DeskRefusal::NothingToRefund)?;
    let rest = rest_of(books, &payment)?;
    let Some(number) = refunds::next_number(books, &payment) else {
        return Err(DeskRefusal::TooManyRefunds);
    };
    debug_assert!(number <= REFUND_NUMBERS_MAX);
    let new = refunds::new_numbered(books, &payment, rest, number, clerk.now);
    let Some(new) = new else { return Err(DeskRefusal::TooManyRefunds) };
    let refund = Refund { kind: RefundKind::Staff, reason: reason.clone(), ..new };
    let told = refund.clone();
    books.refunds.insert(refund.id, Kept::new(refund));
    settle::notify(books, id, Event::OrderRefunded, Some(&told), clerk.now);
    let after = facts([
        ("out_refund_no", told.out_refund_no.to_string()),
        ("amount_fen", rest.as_fen().to_string()),
    ]);
    books.happened(id, What::RefundOrdered, after.clone(), clerk.now);
    let before = facts([("refunded_fen", order.refunded.as_fen().to_string())]);
    Ok(Change::of(id, before, after).because(reason))
}

fn settled(books: &Books, id: OrderId) -> Option<Payment> {
    let mut payments = books.payments.values().map(Kept::get);
    payments.find(|p| p.order == id && p.kind == PaymentKind::Settled).cloned()
}

/// What of a payment has not gone back and is not going.
fn rest_of(books: &Books, payment: &Payment) -> Result<Money, DeskRefusal> {
    let refunds = books.refunds.values().map(Kept::get);
    let mut gone = Money::ZERO;
    for refund in refunds.filter(|refund| refund.payment == payment.id) {
        if refund.state.is_open() {
            return Err(DeskRefusal::RefundOpen);
        }
        if refund.state == RefundState::Success {
            gone = gone.checked_add(refund.amount).ok_or(DeskRefusal::NothingToRefund)?;
        }
    }
    let rest = payment.evidence.amount.checked_sub(gone);
    rest.filter(|rest| *rest > Money::ZERO).ok_or(DeskRefusal::NothingToRefund)
}
