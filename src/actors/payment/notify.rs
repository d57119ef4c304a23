//! WeChat says that somebody has paid. It may say so twice, late, or wrongly; anybody may say so.
//!
//! In this order: parse, `return_code`, signature, merchant, attempt, attach, then the fold. Only a
//! message whose signature holds can leave a trace, and only what is committed is acknowledged.

use super::actor::Inner;
use super::protocol::NotifyReply;
use super::v2::to_evidence;
use crate::crash::{self, CrashPoint};
use crate::domain::attempt::Attempt;
use crate::domain::fold::{Command, KeepIncident, Outcome, Settle, Settlement};
use crate::domain::payment::IncidentReason;
use crate::store::payments;
use crate::wechat::pay::{PaymentNotice, parse_payment_notification};
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::{self, Fields};

pub(super) async fn notify(inner: &Inner, body: &[u8]) -> NotifyReply {
    let reply = match understand(inner, body).await {
        Ok((notice, attempt)) => take(inner, notice, attempt).await,
        Err(reply) => reply,
    };
    crate::metrics::notification(match reply {
        NotifyReply::Success => "success",
        NotifyReply::Fail(_) => "fail",
        NotifyReply::Unavailable => "unavailable",
    });
    if let NotifyReply::Fail(reason) = reply {
        tracing::warn!(wxapp = %inner.deps.wxapp.id, reason, "a payment notification is refused");
    }
    reply
}

/// The notice, verified, with the attempt that it names.
async fn understand(
    inner: &Inner,
    body: &[u8],
) -> Result<(PaymentNotice, Option<Attempt>), NotifyReply> {
    let fields = xml::parse(body).map_err(|_| NotifyReply::Fail("XML"))?;
    if fields.get("return_code") != Some("SUCCESS") {
        return Err(NotifyReply::Fail("return_code"));
    }
    let attempt = match fields.get("out_trade_no") {
        Some(number) => find(inner, number).await?,
        None => None,
    };
    verify(inner, &fields, attempt.as_ref())?;
    let notice = parse_payment_notification(&fields).map_err(|_| NotifyReply::Fail("fields"))?;
    if notice.mch_id != inner.deps.wxapp.mch_id {
        return Err(NotifyReply::Fail("mch_id"));
    }
    Ok((notice, attempt))
}

async fn find(inner: &Inner, number: &str) -> Result<Option<Attempt>, NotifyReply> {
    let deps = &inner.deps;
    let found = payments::attempt_by_no(&deps.readers, &deps.wxapp.mch_id, number).await;
    found.map_err(|error| {
        tracing::warn!(%error, "an attempt could not be read");
        NotifyReply::Unavailable
    })
}

/// With the sign type and key of the attempt; of an unknown number with today's.
fn verify(inner: &Inner, fields: &Fields, attempt: Option<&Attempt>) -> Result<(), NotifyReply> {
    let wxapp = &inner.deps.wxapp;
    let (sign_type, key_version) = match attempt {
        Some(attempt) => (attempt.terms.sign_type.as_str(), attempt.terms.key_version),
        None => (wxapp.sign_type.as_str(), wxapp.key_version),
    };
    let sign_type = SignType::parse(sign_type).map_err(|_| NotifyReply::Fail("sign_type"))?;
    let keys = wxapp.keys_for(key_version, inner.deps.clock.now());
    let holds = keys.into_iter().any(|key| sign::verify(fields, key, sign_type).is_ok());
    if holds { Ok(()) } else { Err(NotifyReply::Fail("sign")) }
}

async fn take(inner: &Inner, notice: PaymentNotice, attempt: Option<Attempt>) -> NotifyReply {
    if let Some(reason) = misfit(inner, &notice, attempt.as_ref()) {
        return keep_incident(inner, notice, reason).await;
    }
    let Some(attempt) = attempt else { return NotifyReply::Fail("out_trade_no") };
    let settle =
        Settle { attempt: attempt.id, evidence: to_evidence(notice.paid), refunds: Vec::new() };
    match inner.submit(Command::Settle(settle)).await {
        Ok(Outcome::Settled(settlement)) => {
            crash::passes(CrashPoint::PaymentCommitted);
            reply(settlement)
        }
        Ok(_) | Err(_) => NotifyReply::Unavailable,
    }
}

fn reply(settlement: Settlement) -> NotifyReply {
    match settlement {
        Settlement::Settled | Settlement::Surplus(_) | Settlement::AlreadyRecorded => {
            NotifyReply::Success
        }
        Settlement::Incident(_) => NotifyReply::Fail("total_fee"),
        Settlement::UnknownAttempt => NotifyReply::Fail("out_trade_no"),
    }
}

/// Why a notice whose signature holds is not about an attempt of ours.
fn misfit(
    inner: &Inner,
    notice: &PaymentNotice,
    attempt: Option<&Attempt>,
) -> Option<IncidentReason> {
    let wxapp = &inner.deps.wxapp;
    match attempt {
        None => Some(IncidentReason::UnknownNumber),
        Some(attempt) if attempt.wxapp != wxapp.id => Some(IncidentReason::WrongMiniProgram),
        Some(attempt) if notice.appid != attempt.terms.appid => {
            Some(IncidentReason::WrongMiniProgram)
        }
        Some(attempt) if notice.attach.as_deref() != Some(attempt.terms.attach.as_str()) => {
            Some(IncidentReason::WrongAttach)
        }
        Some(attempt) if notice.paid.total_fee != attempt.amount => {
            Some(IncidentReason::WrongAmount)
        }
        Some(_) => None,
    }
}

async fn keep_incident(
    inner: &Inner,
    notice: PaymentNotice,
    reason: IncidentReason,
) -> NotifyReply {
    let keep = KeepIncident {
        wxapp: inner.deps.wxapp.id,
        mch_id: notice.mch_id,
        transaction: notice.paid.transaction_id,
        out_trade_no: notice.out_trade_no.as_str().to_owned(),
        amount: notice.paid.total_fee,
        reason,
    };
    match inner.submit(Command::KeepIncident(keep)).await {
        Ok(_) => NotifyReply::Fail(reason.as_str()),
        Err(_) => NotifyReply::Unavailable,
    }
}
