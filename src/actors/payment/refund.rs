//! Giving money back, one call at a time for each order.

use super::actor::Inner;
use super::protocol::PaymentError;
use crate::domain::fold::{ChangeRefund, Command, Outcome};
use crate::domain::id::RefundId;
use crate::domain::payment::{Refund, RefundEvent, RefundState};
use crate::store::payments;

/// WeChat takes one refund call for an order in this time.
/// Rule: refund, "the same order at most once per minute".
const BETWEEN_CALLS_SECONDS: i64 = 60;

pub(super) async fn work(inner: &Inner, id: RefundId) -> Result<(), PaymentError> {
    let readers = &inner.deps.readers;
    let Some(refund) = payments::refund(readers, id).await? else { return Ok(()) };
    let Some(attempt) = payments::attempt_of_payment(readers, refund.payment).await? else {
        return Ok(());
    };
    let asked = match refund.state {
        RefundState::Success | RefundState::Failed { .. } => return Ok(()),
        RefundState::Due => None,
        RefundState::Requested | RefundState::Processing | RefundState::Abnormal => {
            Some(inner.deps.provider.ask_refund(&attempt, &refund, inner.deps.clock.now()).await)
        }
    };
    match asked {
        Some(Some(event)) => change(inner, &refund, event).await.map(drop),
        // Never accepted, or never asked for: ask, with the same number.
        Some(None) | None => request(inner, &attempt, refund).await,
    }
}

async fn request(
    inner: &Inner,
    attempt: &crate::domain::attempt::Attempt,
    refund: Refund,
) -> Result<(), PaymentError> {
    let now = inner.deps.clock.now();
    if let Some(last) = payments::last_other_request(&inner.deps.readers, &refund).await? {
        let free_at = last.plus_seconds(BETWEEN_CALLS_SECONDS);
        if now < free_at {
            return change(inner, &refund, RefundEvent::TryAgain { at: free_at }).await.map(drop);
        }
    }
    if !change(inner, &refund, RefundEvent::Request).await? {
        return Ok(());
    }
    let refund = Refund { tries: refund.tries + 1, ..refund };
    let event = inner.deps.provider.refund(attempt, &refund, now).await;
    change(inner, &refund, event).await.map(drop)
}

async fn change(inner: &Inner, refund: &Refund, event: RefundEvent) -> Result<bool, PaymentError> {
    let change = ChangeRefund { refund: refund.id, order: refund.order, event };
    match inner.submit(Command::ChangeRefund(change)).await? {
        Outcome::RefundChanged(changed) => Ok(changed),
        _ => Err(PaymentError::Mismatch),
    }
}
