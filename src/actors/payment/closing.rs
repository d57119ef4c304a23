//! Closing attempts at WeChat, and taking its word for what became of them.

use super::actor::Inner;
use super::protocol::*;
use super::provider::{Refused, TradeWord, WeChatError};
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::fold::{
    CloseAttempt, Command, FoundRefund, KeepIncident, Outcome, PostponeClosing, Settle, Settlement,
};
use crate::domain::id::OrderId;
use crate::domain::order::Order;
use crate::domain::payment::{IncidentReason, PaymentEvidence};
use crate::domain::time::Timestamp;
use crate::store::payments;

/// An attempt that had a prepay_id and that WeChat says not to know is believed to be gone only so
/// long after its end.
const UNKNOWN_MARGIN_SECONDS: i64 = 600;
/// Seconds until the closer comes back; the last value repeats.
const PAUSES: [i64; 6] = [5, 15, 60, 120, 300, 600];

/// Closes what is not meant to be paid any more; when WeChat does not confirm, sets the next try.
pub(super) async fn close_order(inner: &Inner, id: OrderId) -> Result<Closed, PaymentError> {
    let deps = &inner.deps;
    let found = payments::order_with_attempts(&deps.readers, deps.wxapp.id, id).await?;
    let Some((order, attempts)) = found else { return Ok(Closed::Quiet) };
    if is_postponed(&order, deps.clock.now()) {
        return Ok(Closed::NotYet);
    }
    let mut closed = Closed::Quiet;
    for attempt in attempts.iter().filter(|attempt| attempt.state == AttemptState::Closing) {
        if close_attempt(inner, attempt).await? == Closed::NotYet {
            closed = Closed::NotYet;
        }
    }
    if closed == Closed::NotYet {
        postpone(inner, &order).await?;
    }
    Ok(closed)
}

/// Whether the next try is set already: a buyer who cancels again and again does not change it.
fn is_postponed(order: &Order, now: Timestamp) -> bool {
    order.next_try().is_some_and(|next| now < next.at)
}

async fn postpone(inner: &Inner, order: &Order) -> Result<(), PaymentError> {
    let Some(next) = order.next_try() else { return Ok(()) };
    let tries = usize::try_from(next.tries).unwrap_or(usize::MAX);
    let pause = PAUSES.get(tries).or(PAUSES.last()).copied().unwrap_or(600);
    let next_at = inner.deps.clock.now().plus_seconds(pause);
    let command = PostponeClosing { order: order.id, next_at };
    inner.submit(Command::PostponeClosing(command)).await?;
    Ok(())
}

/// Query, close, query: only WeChat's own word ends an attempt.
pub(super) async fn close_attempt(
    inner: &Inner,
    attempt: &Attempt,
) -> Result<Closed, PaymentError> {
    inner.settled(attempt.id).await;
    let provider = &inner.deps.provider;
    let unknown = match provider.ask(attempt).await {
        Ok(TradeWord::NotPaid) => false,
        // WeChat gave a prepay_id for this number: one query that does not find it proves nothing.
        Ok(TradeWord::Unknown) if attempt.prepay.is_some() => true,
        Ok(word) => return take_word(inner, attempt, word).await,
        Err(error) => return Ok(not_yet(attempt, &error)),
    };
    match provider.close(attempt).await {
        Ok(()) | Err(WeChatError::Refused { why: Refused::AlreadyPaid, .. }) => {}
        Err(WeChatError::Refused { .. }) if unknown => {}
        Err(error) => return Ok(not_yet(attempt, &error)),
    }
    match provider.ask(attempt).await {
        Ok(word) => take_word(inner, attempt, word).await,
        Err(error) => Ok(not_yet(attempt, &error)),
    }
}

fn not_yet(attempt: &Attempt, error: &WeChatError) -> Closed {
    tracing::warn!(order = %attempt.order, code = error.text(), "WeChat has not closed yet");
    Closed::NotYet
}

/// Puts WeChat's word about an attempt into the journal.
pub(super) async fn take_word(
    inner: &Inner,
    attempt: &Attempt,
    word: TradeWord,
) -> Result<Closed, PaymentError> {
    match word {
        TradeWord::Paid(evidence) => settle(inner, attempt, evidence, Vec::new()).await,
        TradeWord::PaidAndRefunded(evidence) => {
            match inner.deps.provider.refunds_of(attempt, &evidence.transaction).await {
                Ok(refunds) => settle(inner, attempt, evidence, refunds).await,
                Err(error) => Ok(not_yet(attempt, &error)),
            }
        }
        TradeWord::PaidByOthers(evidence) => {
            keep_foreign(inner, attempt, evidence).await?;
            confirm_closed(inner, attempt).await
        }
        TradeWord::Closed | TradeWord::OpenByOthers => confirm_closed(inner, attempt).await,
        TradeWord::Unknown if may_yet_appear(inner, attempt) => Ok(Closed::NotYet),
        TradeWord::Unknown => confirm_closed(inner, attempt).await,
        TradeWord::NotPaid => Ok(Closed::NotYet),
    }
}

/// WeChat does not know the number. A unifiedorder sent a moment ago may still arrive; one that was
/// answered with a prepay_id is there, and can be paid until its end.
fn may_yet_appear(inner: &Inner, attempt: &Attempt) -> bool {
    let until = match &attempt.prepay {
        None => attempt.created_at.plus_seconds(inner.deps.in_flight_seconds),
        Some(_) => attempt.time_expire.plus_seconds(UNKNOWN_MARGIN_SECONDS),
    };
    inner.deps.clock.now() < until
}

async fn settle(
    inner: &Inner,
    attempt: &Attempt,
    evidence: PaymentEvidence,
    refunds: Vec<FoundRefund>,
) -> Result<Closed, PaymentError> {
    let settle = Settle { attempt: attempt.id, evidence, refunds };
    match inner.submit(Command::Settle(settle)).await? {
        // Money that does not fit: it stays at WeChat until staff have looked, and so does the
        // order.
        Outcome::Settled(Settlement::Incident(_) | Settlement::UnknownAttempt) => {
            Ok(Closed::NotYet)
        }
        _ => Ok(Closed::Quiet),
    }
}

async fn confirm_closed(inner: &Inner, attempt: &Attempt) -> Result<Closed, PaymentError> {
    let close = CloseAttempt { order: attempt.order, attempt: attempt.id };
    inner.submit(Command::CloseAttempt(close)).await?;
    Ok(Closed::Quiet)
}

/// Somebody else's money under our number: for staff to look at.
pub(super) async fn keep_foreign(
    inner: &Inner,
    attempt: &Attempt,
    evidence: PaymentEvidence,
) -> Result<(), PaymentError> {
    let keep = KeepIncident {
        wxapp: attempt.wxapp,
        mch_id: attempt.terms.mch_id.clone(),
        transaction: evidence.transaction,
        out_trade_no: attempt.out_trade_no.as_str().to_owned(),
        amount: evidence.amount,
        reason: IncidentReason::WrongAttach,
    };
    inner.submit(Command::KeepIncident(keep)).await?;
    Ok(())
}

/// Asks about the live attempts of an order, and takes WeChat's word only if it speaks of money.
pub(super) async fn ask(inner: &Inner, id: OrderId) -> Result<(), PaymentError> {
    let deps = &inner.deps;
    let found = payments::order_with_attempts(&deps.readers, deps.wxapp.id, id).await?;
    let Some((_, attempts)) = found else { return Ok(()) };
    for attempt in attempts.iter().filter(|attempt| attempt.state.is_live()) {
        match deps.provider.ask(attempt).await {
            Ok(word @ (TradeWord::Paid(_) | TradeWord::PaidAndRefunded(_))) => {
                take_word(inner, attempt, word).await?;
            }
            Ok(TradeWord::PaidByOthers(_) | TradeWord::OpenByOthers | TradeWord::NotPaid) => {}
            Ok(TradeWord::Closed | TradeWord::Unknown) => {}
            Err(error) => {
                tracing::warn!(order = %attempt.order, code = error.text(), "WeChat does not say");
            }
        }
    }
    Ok(())
}
