//! From an unpaid order to what `wx.requestPayment` takes.

use rand::Rng as _;
use rand::distr::Alphanumeric;

use super::actor::Inner;
use super::closing::{self, Asked};
use super::protocol::*;
use super::provider::{Refused, TradeWord, WeChatError};
use crate::actors::journal::JournalError;
use crate::crash::{self, CrashPoint};
use crate::domain::attempt::{
    Attempt, AttemptEvent, AttemptState, AttemptTerms, Prepay as StoredPrepay, PrepayStep,
    next_prepay_step,
};
use crate::domain::fold::{Command, Outcome, RecordPrepay, StartAttempt, StartRefusal};
use crate::domain::id::{AttemptId, OutTradeNo};
use crate::domain::order::{Line, Order};
use crate::store::payments;
use crate::wechat::pay::{BODY_BYTES_MAX, fit_text};

/// Steps until the buyer is told to try again: a spent number may need a close and a new start.
const STEPS_MAX: usize = 6;

pub(super) async fn prepay(inner: &Inner, wanted: Prepay) -> Result<RequestPayment, PrepayError> {
    for _ in 0..STEPS_MAX {
        if let Some(signed) = step(inner, &wanted).await? {
            return Ok(signed);
        }
    }
    Err(PrepayError::Wechat("NOT_SETTLED".into()))
}

/// One step towards a signed prepay_id; none: the order has moved, look again.
async fn step(inner: &Inner, wanted: &Prepay) -> Result<Option<RequestPayment>, PrepayError> {
    let deps = &inner.deps;
    let found = payments::order_with_attempts(&deps.readers, deps.wxapp.id, wanted.order).await;
    let found = found.map_err(|error| unavailable(&error))?;
    let (order, attempts) =
        found.filter(|(order, _)| order.user == wanted.user).ok_or(PrepayError::UnknownOrder)?;
    let live = attempts.iter().find(|attempt| attempt.state.is_live());
    match (next_prepay_step(&order, live, deps.clock.now())?, live) {
        (PrepayStep::Sign(prepay), Some(attempt)) => sign(inner, attempt, &prepay).map(Some),
        (PrepayStep::Repeat, Some(attempt)) => open(inner, attempt).await,
        (PrepayStep::CloseFirst, Some(attempt)) => {
            close_first(inner, attempt).await?;
            Ok(None)
        }
        (PrepayStep::Start, _) => match start(inner, wanted, &order, attempts.len()).await? {
            Some(attempt) => open(inner, &attempt).await,
            None => Ok(None),
        },
        (PrepayStep::Sign(_) | PrepayStep::Repeat | PrepayStep::CloseFirst, None) => Ok(None),
    }
}

fn sign(
    inner: &Inner,
    attempt: &Attempt,
    prepay: &StoredPrepay,
) -> Result<RequestPayment, PrepayError> {
    let signed = inner.deps.provider.sign(attempt, prepay, inner.deps.clock.now());
    signed.ok_or(PrepayError::Wechat("SIGN_TYPE".into()))
}

/// Commits a further attempt; none: another one is live.
async fn start(
    inner: &Inner,
    wanted: &Prepay,
    order: &Order,
    former: usize,
) -> Result<Option<Attempt>, PrepayError> {
    let deps = &inner.deps;
    let openid = payments::openid(&deps.readers, order.user).await;
    let openid = openid.map_err(|error| unavailable(&error))?.ok_or(PrepayError::UnknownOrder)?;
    let lines =
        payments::lines(&deps.readers, order.id).await.map_err(|error| unavailable(&error))?;
    let id = deps.ids.draw_one().await.map_err(|_| PrepayError::Unavailable)?;
    let id = AttemptId::parse(id).map_err(|_| PrepayError::Unavailable)?;
    let start = StartAttempt {
        id,
        order: order.id,
        out_trade_no: number(order, former),
        terms: AttemptTerms {
            mch_id: deps.wxapp.mch_id.clone(),
            appid: deps.wxapp.appid.clone(),
            provider: "v2".into(),
            sign_type: deps.wxapp.sign_type.clone(),
            key_version: deps.wxapp.key_version,
            notify_url: deps.notify_url.clone(),
            body: body(&deps.wxapp.name, &lines),
            attach: format!("{id}.{}", random(24)),
            openid,
            client_ip: wanted.client_ip.clone(),
        },
    };
    match inner.submit(Command::StartAttempt(start)).await.map_err(to_error)? {
        Outcome::AttemptStarted(Ok(attempt)) => Ok(Some(attempt)),
        Outcome::AttemptStarted(Err(StartRefusal::Live(_))) => Ok(None),
        Outcome::AttemptStarted(Err(StartRefusal::UnknownOrder)) => Err(PrepayError::UnknownOrder),
        Outcome::AttemptStarted(Err(StartRefusal::NotPayable(why))) => Err(why.into()),
        _ => Err(PrepayError::Unavailable),
    }
}

/// The order's number for the first attempt, a random ending for every further one: a counter would
/// repeat after a restored back-up, and WeChat never takes a number twice.
fn number(order: &Order, former: usize) -> OutTradeNo {
    if former == 0 {
        return order.order_no.clone();
    }
    let number = format!("{}-{}", order.order_no, random(4));
    OutTradeNo::parse(number).expect("24 digits, a dash and 4 letters are an out_trade_no")
}

fn random(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

/// What the buyer reads in WeChat's bill: shop and goods.
fn body(shop: &str, lines: &[Line]) -> String {
    let goods = lines.first().map_or("", |line| line.goods_name.as_str());
    let more = if lines.len() > 1 { "等" } else { "" };
    fit_text(&format!("{shop}-{goods}{more}"), BODY_BYTES_MAX)
}

/// Calls unifiedorder and records its answer before anybody is told.
async fn open(inner: &Inner, attempt: &Attempt) -> Result<Option<RequestPayment>, PrepayError> {
    inner.opening.borrow_mut().insert(attempt.id);
    crash::passes(CrashPoint::BeforeUnifiedOrder);
    let opened = match inner.deps.provider.open(attempt).await {
        Ok(prepay_id) => {
            crash::passes(CrashPoint::AfterUnifiedOrder);
            Ok(keep(inner, attempt, prepay_id).await)
        }
        Err(error) => Err(error),
    };
    inner.opening.borrow_mut().remove(&attempt.id);
    inner.opened.notify_waiters();
    match opened {
        Ok(kept) => kept,
        // The call is over: a refusal may end in closing, which waits for calls that are not.
        Err(error) => refused(inner, attempt, error).await,
    }
}

/// None: the attempt is no longer open, because it was paid or is being closed; look again.
async fn keep(
    inner: &Inner,
    attempt: &Attempt,
    prepay_id: String,
) -> Result<Option<RequestPayment>, PrepayError> {
    let prepay = StoredPrepay { id: prepay_id, at: inner.deps.clock.now() };
    let kept = record(inner, attempt, AttemptEvent::Opened(prepay.clone())).await?;
    match kept.filter(|kept| kept.state == AttemptState::Open) {
        Some(kept) => sign(inner, &kept, &prepay).map(Some),
        None => Ok(None),
    }
}

async fn record(
    inner: &Inner,
    attempt: &Attempt,
    event: AttemptEvent,
) -> Result<Option<Attempt>, PrepayError> {
    let command = Command::RecordPrepay(RecordPrepay { attempt: attempt.id, event });
    match inner.submit(command).await.map_err(to_error)? {
        Outcome::PrepayRecorded(attempt) => Ok(attempt),
        _ => Err(PrepayError::Unavailable),
    }
}

/// unifiedorder was not answered with a prepay_id: what is to be done about the attempt.
async fn refused(
    inner: &Inner,
    attempt: &Attempt,
    error: WeChatError,
) -> Result<Option<RequestPayment>, PrepayError> {
    let text = error.text();
    tracing::warn!(order = %attempt.order, code = text, "no prepay_id");
    match error {
        WeChatError::Unknown { .. } | WeChatError::Refused { why: Refused::NotNow, .. } => {
            Err(PrepayError::Wechat(text))
        }
        WeChatError::Refused { why: Refused::ForGood, code } => {
            record(inner, attempt, AttemptEvent::Refused { code }).await?;
            Err(PrepayError::Wechat(text))
        }
        WeChatError::Refused { why: Refused::AlreadyPaid | Refused::NumberSpent, code } => {
            spent(inner, attempt, code).await
        }
    }
}

/// The number cannot be opened: whose money is it, and may another number start?
async fn spent(
    inner: &Inner,
    attempt: &Attempt,
    code: String,
) -> Result<Option<RequestPayment>, PrepayError> {
    let asked = Asked { at: inner.deps.clock.now(), claim: None };
    let word = inner.deps.provider.ask(attempt).await;
    match word.map_err(|error| PrepayError::Wechat(error.text()))? {
        TradeWord::PaidByOthers(evidence) => {
            closing::keep_foreign(inner, attempt, evidence).await.map_err(to_error)?;
            record(inner, attempt, AttemptEvent::Refused { code }).await?;
        }
        word @ (TradeWord::Paid(_) | TradeWord::PaidAndRefunded(_)) => {
            let taken = closing::take_word(inner, attempt, word, asked).await.map_err(to_error)?;
            if taken == Closed::NotYet {
                return Err(PrepayError::Wechat(code));
            }
        }
        TradeWord::Unknown if attempt.prepay.is_some() => close_first(inner, attempt).await?,
        TradeWord::Unknown | TradeWord::OpenByOthers => {
            record(inner, attempt, AttemptEvent::Refused { code }).await?;
        }
        TradeWord::Closed | TradeWord::NotPaid => close_first(inner, attempt).await?,
    }
    Ok(None)
}

async fn close_first(inner: &Inner, attempt: &Attempt) -> Result<(), PrepayError> {
    match closing::close_attempt(inner, None, attempt).await.map_err(to_error)? {
        Closed::Quiet => Ok(()),
        Closed::NotYet | Closed::Elsewhere => Err(PrepayError::Wechat("NOT_CLOSED".into())),
    }
}

fn unavailable(error: &crate::store::StoreError) -> PrepayError {
    tracing::warn!(%error, "prepay could not read");
    PrepayError::Unavailable
}

fn to_error(error: PaymentError) -> PrepayError {
    match error {
        PaymentError::Journal(JournalError::Busy) => PrepayError::Busy,
        PaymentError::Store(error) => unavailable(&error),
        PaymentError::Journal(_) | PaymentError::Mismatch | PaymentError::Late => {
            PrepayError::Unavailable
        }
    }
}
