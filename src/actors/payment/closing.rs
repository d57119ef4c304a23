//! Closing attempts at WeChat, and taking its word for what became of them.

use super::actor::Inner;
use super::protocol::*;
use super::provider::{Refused, TradeWord, WeChatError};
use crate::actors::journal::JournalError;
use crate::crash::{self, CrashPoint};
use crate::domain::attempt::{Attempt, AttemptState};
use crate::domain::fold::{
    CloseAttempt, Command, FoundRefund, KeepIncident, Outcome, PostponeClosing, Settle, Settlement,
};
use crate::domain::id::OrderId;
use crate::domain::order::{NextTry, Order};
use crate::domain::payment::{IncidentReason, PaymentEvidence};
use crate::domain::time::Timestamp;
use crate::store::claims::{Claim, Work};
use crate::store::payments;

/// An attempt that had a prepay_id and that WeChat says not to know is believed to be gone only so
/// long after its end.
const UNKNOWN_MARGIN_SECONDS: i64 = 600;
/// Seconds until the closer comes back; the last value repeats.
const PAUSES: [i64; 6] = [5, 15, 60, 120, 300, 600];
/// A stopped attempt of an order that is not unpaid is tried again after this, doubled with each
/// try up to 64 minutes.
const STOPPED_PAUSE_SECONDS: i64 = 60;
const STOPPED_DOUBLINGS: u32 = 6;

/// Closes what is not meant to be paid any more; when WeChat does not confirm, sets the next try.
pub(super) async fn close_order(inner: &Inner, id: OrderId) -> Result<Closed, PaymentError> {
    let Some(_place) = inner.closing.enter(id).await else { return Ok(Closed::NotYet) };
    // What this process is opening comes to its end first, before the claim's time begins.
    let closing = closing_attempts(inner, id).await?;
    for attempt in &closing {
        inner.settled(attempt.id).await;
    }
    if closing.is_empty() {
        return Ok(Closed::Quiet);
    }
    let Some(claim) = inner.take(Work::Close(id)).await? else { return Ok(Closed::Elsewhere) };
    let closed = close_under(inner, &claim, id).await;
    match closed {
        Err(PaymentError::Late | PaymentError::Journal(JournalError::Overtaken)) => {}
        Ok((_, next_at)) => inner.let_go(claim, next_at).await,
        Err(_) => inner.let_go(claim, None).await,
    }
    closed.map(|(closed, _)| closed)
}

async fn closing_attempts(inner: &Inner, id: OrderId) -> Result<Vec<Attempt>, PaymentError> {
    let deps = &inner.deps;
    let found = payments::order_with_attempts(&deps.readers, deps.wxapp.id, id).await?;
    let attempts = found.into_iter().flat_map(|(_, attempts)| attempts);
    Ok(attempts.filter(|attempt| attempt.state == AttemptState::Closing).collect())
}

/// With the time before which nobody needs to try again, where the order does not know it.
async fn close_under(
    inner: &Inner,
    claim: &Claim,
    id: OrderId,
) -> Result<(Closed, Option<Timestamp>), PaymentError> {
    let deps = &inner.deps;
    let found = payments::order_with_attempts(&deps.readers, deps.wxapp.id, id).await?;
    let Some((order, attempts)) = found else { return Ok((Closed::Quiet, None)) };
    if is_postponed(&order, deps.clock.now()) {
        return Ok((Closed::NotYet, None));
    }
    crash::passes(CrashPoint::ClosingBegun);
    let mut closed = Closed::Quiet;
    for attempt in attempts.iter().filter(|attempt| attempt.state == AttemptState::Closing) {
        if close_attempt(inner, Some(claim), attempt).await? == Closed::NotYet {
            closed = Closed::NotYet;
        }
    }
    match (closed, order.next_try()) {
        (Closed::Quiet | Closed::Elsewhere, _) => Ok((closed, None)),
        (Closed::NotYet, Some(next)) => {
            postpone(inner, claim, id, next).await?;
            Ok((closed, None))
        }
        // Another attempt has paid the order, or it is closed: only the claim knows of this one.
        (Closed::NotYet, _) => Ok((closed, Some(later(claim, deps.clock.now())))),
    }
}

fn later(claim: &Claim, now: Timestamp) -> Timestamp {
    let doublings = u32::try_from(claim.tries.saturating_sub(1)).unwrap_or(STOPPED_DOUBLINGS);
    now.plus_seconds(STOPPED_PAUSE_SECONDS << doublings.min(STOPPED_DOUBLINGS))
}

/// Whether the next try is set already: a buyer who cancels again and again does not change it.
fn is_postponed(order: &Order, now: Timestamp) -> bool {
    order.next_try().is_some_and(|next| now < next.at)
}

async fn postpone(
    inner: &Inner,
    claim: &Claim,
    order: OrderId,
    next: NextTry,
) -> Result<(), PaymentError> {
    let tries = usize::try_from(next.tries).unwrap_or(usize::MAX);
    let pause = PAUSES.get(tries).or(PAUSES.last()).copied().unwrap_or(600);
    let next_at = inner.deps.clock.now().plus_seconds(pause);
    let command = Command::PostponeClosing(PostponeClosing { order, next_at });
    inner.submit_under(Some(claim), command).await?;
    Ok(())
}

/// When WeChat was asked, and under which claim.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub at: Timestamp,
    pub claim: Option<&'a Claim>,
}

/// Query, close, query: only WeChat's own word ends an attempt.
pub(super) async fn close_attempt(
    inner: &Inner,
    claim: Option<&Claim>,
    attempt: &Attempt,
) -> Result<Closed, PaymentError> {
    inner.settled(attempt.id).await;
    let provider = &inner.deps.provider;
    let asked = ask_now(inner, claim)?;
    let unknown = match provider.ask(attempt).await {
        Ok(TradeWord::NotPaid) => false,
        // WeChat gave a prepay_id for this number: one query that does not find it proves nothing.
        Ok(TradeWord::Unknown) if attempt.prepay.is_some() => true,
        Ok(word) => return take_word(inner, attempt, word, asked).await,
        Err(error) => return Ok(not_yet(attempt, &error)),
    };
    inner.may_call(claim)?;
    match provider.close(attempt).await {
        Ok(()) | Err(WeChatError::Refused { why: Refused::AlreadyPaid, .. }) => {}
        Err(WeChatError::Refused { .. }) if unknown => {}
        Err(error) => return Ok(not_yet(attempt, &error)),
    }
    crash::passes(CrashPoint::ClosedAtWechat);
    let asked = ask_now(inner, claim)?;
    match provider.ask(attempt).await {
        Ok(word) => take_word(inner, attempt, word, asked).await,
        Err(error) => Ok(not_yet(attempt, &error)),
    }
}

fn ask_now<'a>(inner: &Inner, claim: Option<&'a Claim>) -> Result<Asked<'a>, PaymentError> {
    inner.may_call(claim)?;
    Ok(Asked { at: inner.deps.clock.now(), claim })
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
    asked: Asked<'_>,
) -> Result<Closed, PaymentError> {
    match word {
        TradeWord::Paid(evidence) => settle(inner, attempt, evidence, Vec::new()).await,
        TradeWord::PaidAndRefunded(evidence) => {
            inner.may_call(asked.claim)?;
            match inner.deps.provider.refunds_of(attempt, &evidence.transaction).await {
                Ok(refunds) => settle(inner, attempt, evidence, refunds).await,
                Err(error) => Ok(not_yet(attempt, &error)),
            }
        }
        TradeWord::PaidByOthers(evidence) => {
            keep_foreign(inner, attempt, evidence).await?;
            confirm_closed(inner, attempt, asked.claim, false).await
        }
        TradeWord::Closed | TradeWord::OpenByOthers => {
            confirm_closed(inner, attempt, asked.claim, false).await
        }
        TradeWord::Unknown if may_yet_appear(inner, attempt, asked.at) => Ok(Closed::NotYet),
        TradeWord::Unknown => {
            confirm_closed(inner, attempt, asked.claim, attempt.prepay.is_none()).await
        }
        TradeWord::NotPaid => Ok(Closed::NotYet),
    }
}

/// WeChat does not know the number. A unifiedorder sent a moment ago may still arrive; one that was
/// answered with a prepay_id is there, and can be paid until its end. What counts is when WeChat
/// was asked: its answer may have waited in a process that stood still.
fn may_yet_appear(inner: &Inner, attempt: &Attempt, asked_at: Timestamp) -> bool {
    let until = match &attempt.prepay {
        None => attempt.created_at.plus_seconds(inner.deps.in_flight_seconds),
        Some(_) => attempt.time_expire.plus_seconds(UNKNOWN_MARGIN_SECONDS),
    };
    asked_at < until
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

async fn confirm_closed(
    inner: &Inner,
    attempt: &Attempt,
    claim: Option<&Claim>,
    unheard_of: bool,
) -> Result<Closed, PaymentError> {
    crash::passes(CrashPoint::CloseConfirmed);
    let close = CloseAttempt { order: attempt.order, attempt: attempt.id, unheard_of };
    inner.submit_under(claim, Command::CloseAttempt(close)).await?;
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
        ask_about(inner, attempt, None).await?;
    }
    Ok(())
}

/// Asks about one attempt on the engine's own account.
pub(super) async fn ask_again(inner: &Inner, ask: AskAgain) -> Result<(), PaymentError> {
    let Some(claim) = inner.take(Work::Ask(ask.attempt)).await? else { return Ok(()) };
    let live = ask_under(inner, &claim, ask).await;
    match live {
        Err(PaymentError::Late | PaymentError::Journal(JournalError::Overtaken)) => {}
        Ok(false) => inner.let_go(claim, None).await,
        Ok(true) | Err(_) => inner.let_go(claim, Some(ask.next_at)).await,
    }
    live.map(drop)
}

/// Whether there was an attempt to ask about.
async fn ask_under(inner: &Inner, claim: &Claim, ask: AskAgain) -> Result<bool, PaymentError> {
    let deps = &inner.deps;
    let found = payments::order_with_attempts(&deps.readers, deps.wxapp.id, ask.order).await?;
    let mut attempts = found.into_iter().flat_map(|(_, attempts)| attempts);
    let is_meant = |attempt: &Attempt| attempt.id == ask.attempt && attempt.state.is_live();
    let Some(attempt) = attempts.find(is_meant) else { return Ok(false) };
    ask_about(inner, &attempt, Some(claim)).await?;
    Ok(true)
}

async fn ask_about(
    inner: &Inner,
    attempt: &Attempt,
    claim: Option<&Claim>,
) -> Result<(), PaymentError> {
    let asked = ask_now(inner, claim)?;
    match inner.deps.provider.ask(attempt).await {
        Ok(word @ (TradeWord::Paid(_) | TradeWord::PaidAndRefunded(_))) => {
            take_word(inner, attempt, word, asked).await?;
        }
        Ok(TradeWord::PaidByOthers(_) | TradeWord::OpenByOthers | TradeWord::NotPaid) => {}
        Ok(TradeWord::Closed | TradeWord::Unknown) => {}
        Err(error) => {
            tracing::warn!(order = %attempt.order, code = error.text(), "WeChat does not say");
        }
    }
    Ok(())
}
