//! Giving money back, one call at a time for each order.

use super::actor::Inner;
use super::protocol::{PaymentError, WorkOnRefund};
use super::provider::WeChatError;
use crate::actors::journal::JournalError;
use crate::crash::{self, CrashPoint};
use crate::domain::attempt::Attempt;
use crate::domain::fold::{ChangeRefund, Command, FoundRefund, Outcome};
use crate::domain::id::RefundId;
use crate::domain::payment::{Refund, RefundEvent, RefundState};
use crate::store::claims::{Claim, Work};
use crate::store::payments;

/// WeChat takes one refund call for an order in this time.
/// Rule: refund, "the same order at most once per minute".
const BETWEEN_CALLS_SECONDS: i64 = 60;

/// WeChat refused, but did not say what it shows of the payment: again after this.
const UNSURE_SECONDS: i64 = 600;
/// What neither WeChat's word nor a call of ours moves is looked at again after this.
const STUCK_SECONDS: i64 = 24 * 3600;

/// One step of a refund. Whatever comes of it changes the state or sets the next time.
pub(super) async fn work(inner: &Inner, on: WorkOnRefund) -> Result<(), PaymentError> {
    let Some(claim) = inner.take(Work::Refund(on.order)).await? else { return Ok(()) };
    let done = work_under(inner, &claim, on.refund).await;
    match done {
        Err(PaymentError::Late | PaymentError::Journal(JournalError::Overtaken)) => {}
        Ok(()) | Err(_) => inner.let_go(claim, None).await,
    }
    done
}

async fn work_under(inner: &Inner, claim: &Claim, id: RefundId) -> Result<(), PaymentError> {
    let (readers, now) = (&inner.deps.readers, inner.deps.clock.now());
    let found = payments::refund(readers, id).await?;
    // Another process may have done it before the claim was ours.
    let due = found.filter(|refund| refund.next_at.is_some_and(|at| at <= now));
    let Some(refund) = due else { return Ok(()) };
    let Some(attempt) = payments::attempt_of_payment(readers, refund.payment).await? else {
        tracing::error!(order = %refund.order, refund = %id, "a refund of no known payment");
        return postpone(inner, claim, &refund).await;
    };
    let asked = match refund.state {
        RefundState::Success | RefundState::Failed { .. } => return Ok(()),
        RefundState::Due => None,
        RefundState::Requested | RefundState::Processing | RefundState::Abnormal => {
            inner.may_call(Some(claim))?;
            inner.deps.provider.ask_refund(&attempt, &refund, now).await
        }
    };
    match asked {
        Some(event) => change(inner, claim, &refund, event).await.map(drop),
        // Never accepted, or never asked for: ask, with the same number.
        None if refund.may_be_requested() => request(inner, claim, &attempt, refund).await,
        None => {
            tracing::error!(order = %refund.order, refund = %id, "WeChat does not know a refund");
            postpone(inner, claim, &refund).await
        }
    }
}

async fn postpone(inner: &Inner, claim: &Claim, refund: &Refund) -> Result<(), PaymentError> {
    let at = inner.deps.clock.now().plus_seconds(STUCK_SECONDS);
    change(inner, claim, refund, RefundEvent::TryAgain { at }).await.map(drop)
}

async fn request(
    inner: &Inner,
    claim: &Claim,
    attempt: &Attempt,
    refund: Refund,
) -> Result<(), PaymentError> {
    let now = inner.deps.clock.now();
    if let Some(last) = payments::last_other_request(&inner.deps.readers, &refund).await? {
        let free_at = last.plus_seconds(BETWEEN_CALLS_SECONDS);
        if now < free_at {
            return change(inner, claim, &refund, RefundEvent::TryAgain { at: free_at })
                .await
                .map(drop);
        }
    }
    if !change(inner, claim, &refund, RefundEvent::Request).await? {
        return Ok(());
    }
    let refund = Refund { tries: refund.tries + 1, ..refund };
    inner.may_call(Some(claim))?;
    crash::passes(CrashPoint::BeforeRefund);
    let answered = inner.deps.provider.refund(attempt, &refund, now).await;
    crash::passes(CrashPoint::AfterRefund);
    match answered {
        RefundEvent::Failed { code } => refused(inner, claim, attempt, &refund, code).await,
        event => change(inner, claim, &refund, event).await.map(drop),
    }
}

/// Refused for good, perhaps because somebody has given a part back by hand.
async fn refused(
    inner: &Inner,
    claim: &Claim,
    attempt: &Attempt,
    refund: &Refund,
    code: String,
) -> Result<(), PaymentError> {
    let event = RefundEvent::Failed { code };
    inner.may_call(Some(claim))?;
    let found = match inner.deps.provider.refunds_of(attempt, &refund.transaction).await {
        Ok(found) => found,
        Err(WeChatError::Refused { .. }) => Vec::new(),
        Err(WeChatError::Unknown { .. }) => {
            let at = inner.deps.clock.now().plus_seconds(UNSURE_SECONDS);
            return change(inner, claim, refund, RefundEvent::TryAgain { at }).await.map(drop);
        }
    };
    submit(inner, claim, refund, event, found).await.map(drop)
}

async fn change(
    inner: &Inner,
    claim: &Claim,
    refund: &Refund,
    event: RefundEvent,
) -> Result<bool, PaymentError> {
    submit(inner, claim, refund, event, Vec::new()).await
}

async fn submit(
    inner: &Inner,
    claim: &Claim,
    refund: &Refund,
    event: RefundEvent,
    found: Vec<FoundRefund>,
) -> Result<bool, PaymentError> {
    let change = ChangeRefund::of(refund, event, found);
    match inner.submit_under(Some(claim), Command::ChangeRefund(change)).await? {
        Outcome::RefundChanged(changed) => Ok(changed),
        _ => Err(PaymentError::Mismatch),
    }
}
