//! Attempts, payments, refunds and incidents.

use sea_orm::Set;

use super::super::db::StoreError;
use super::{BadValue, fen, in_table, millis, needed, time, times, word};
use crate::domain::attempt::{Attempt, AttemptState, AttemptTerms, Prepay};
use crate::domain::id::{OutRefundNo, OutTradeNo, TransactionId};
use crate::domain::money::Money;
use crate::domain::payment::{
    Incident, Payment, PaymentEvidence, PaymentKind, Refund, RefundKind, RefundState,
};

pub fn attempt(row: entity::payment_attempt::Model) -> Result<Attempt, StoreError> {
    in_table("payment_attempt", read_attempt(row))
}

fn read_attempt(row: entity::payment_attempt::Model) -> Result<Attempt, BadValue> {
    let state = attempt_state(&row)?;
    let prepay = match (row.prepay_id, row.prepay_at) {
        (Some(id), Some(at)) => Some(Prepay { id, at: time(at) }),
        _ => None,
    };
    Ok(Attempt {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        order: row.order_id.try_into()?,
        user: row.user_id.try_into()?,
        out_trade_no: OutTradeNo::parse(row.out_trade_no)?,
        amount: fen(row.amount_fen),
        terms: AttemptTerms {
            mch_id: row.mch_id,
            appid: row.appid,
            provider: row.provider,
            sign_type: row.sign_type,
            key_version: row.key_version,
            notify_url: row.notify_url,
            body: row.body,
            attach: row.attach,
            openid: row.openid,
            client_ip: row.client_ip,
        },
        time_expire: time(row.time_expire),
        prepay,
        state,
        created_at: time(row.created_at),
    })
}

fn attempt_state(row: &entity::payment_attempt::Model) -> Result<AttemptState, BadValue> {
    Ok(match row.state.as_str() {
        "requesting" => AttemptState::Requesting,
        "open" => AttemptState::Open,
        "failed" => AttemptState::Failed { code: row.fail_code.clone().unwrap_or_default() },
        "closing" => AttemptState::Closing,
        "closed" => AttemptState::Closed,
        "paid" => AttemptState::Paid,
        other => return Err(BadValue::Word("state", other.to_owned())),
    })
}

pub fn attempt_row(attempt: &Attempt, now_ms: i64) -> entity::payment_attempt::ActiveModel {
    let fail_code = match &attempt.state {
        AttemptState::Failed { code } => Some(code.clone()),
        _ => None,
    };
    let terms = &attempt.terms;
    entity::payment_attempt::ActiveModel {
        id: Set(attempt.id.get()),
        wxapp_id: Set(attempt.wxapp.get()),
        order_id: Set(attempt.order.get()),
        user_id: Set(attempt.user.get()),
        mch_id: Set(terms.mch_id.clone()),
        appid: Set(terms.appid.clone()),
        out_trade_no: Set(attempt.out_trade_no.as_str().to_owned()),
        state: Set(attempt.state.as_str().to_owned()),
        amount_fen: Set(attempt.amount.as_fen()),
        provider: Set(terms.provider.clone()),
        sign_type: Set(terms.sign_type.clone()),
        key_version: Set(terms.key_version),
        notify_url: Set(terms.notify_url.clone()),
        body: Set(terms.body.clone()),
        attach: Set(terms.attach.clone()),
        openid: Set(terms.openid.clone()),
        client_ip: Set(terms.client_ip.clone()),
        time_expire: Set(attempt.time_expire.as_millis()),
        prepay_id: Set(attempt.prepay.as_ref().map(|prepay| prepay.id.clone())),
        prepay_at: Set(attempt.prepay.as_ref().map(|prepay| prepay.at.as_millis())),
        fail_code: Set(fail_code),
        created_at: Set(attempt.created_at.as_millis()),
        updated_at: Set(now_ms),
    }
}

pub fn payment(row: entity::payment::Model) -> Result<Payment, StoreError> {
    in_table("payment", read_payment(row))
}

fn read_payment(row: entity::payment::Model) -> Result<Payment, BadValue> {
    let kind = PaymentKind::parse(&row.kind);
    Ok(Payment {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        order: row.order_id.try_into()?,
        attempt: needed("attempt_id", row.attempt_id)?.try_into()?,
        mch_id: row.mch_id,
        kind: word("kind", row.kind, kind)?,
        evidence: PaymentEvidence {
            transaction: TransactionId::parse(row.transaction_id)?,
            amount: fen(row.amount_fen),
            cash: row.cash_fen.map(fen),
            bank_type: row.bank_type,
            payer_openid: row.payer_openid,
            paid_at: time(row.paid_at),
        },
        created_at: time(row.created_at),
    })
}

pub fn payment_row(payment: &Payment) -> entity::payment::ActiveModel {
    let evidence = &payment.evidence;
    entity::payment::ActiveModel {
        id: Set(payment.id.get()),
        wxapp_id: Set(payment.wxapp.get()),
        order_id: Set(payment.order.get()),
        attempt_id: Set(Some(payment.attempt.get())),
        mch_id: Set(payment.mch_id.clone()),
        transaction_id: Set(evidence.transaction.as_str().to_owned()),
        kind: Set(payment.kind.as_str().to_owned()),
        amount_fen: Set(evidence.amount.as_fen()),
        cash_fen: Set(evidence.cash.map(Money::as_fen)),
        bank_type: Set(evidence.bank_type.clone()),
        payer_openid: Set(evidence.payer_openid.clone()),
        paid_at: Set(evidence.paid_at.as_millis()),
        created_at: Set(payment.created_at.as_millis()),
    }
}

pub fn refund(row: entity::refund::Model) -> Result<Refund, StoreError> {
    in_table("refund", read_refund(row))
}

fn read_refund(row: entity::refund::Model) -> Result<Refund, BadValue> {
    let state = refund_state(&row)?;
    let kind = RefundKind::parse(&row.kind);
    Ok(Refund {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        order: row.order_id.try_into()?,
        payment: row.payment_id.try_into()?,
        mch_id: row.mch_id,
        transaction: TransactionId::parse(row.transaction_id)?,
        out_refund_no: OutRefundNo::parse(row.out_refund_no)?,
        number: row.number,
        kind: word("kind", row.kind, kind)?,
        amount: fen(row.amount_fen),
        total: fen(row.total_fen),
        reason: row.reason,
        state,
        wechat_refund_id: row.wechat_refund_id,
        tries: row.tries,
        next_at: times(row.next_at),
        created_at: time(row.created_at),
        requested_at: times(row.requested_at),
        success_at: times(row.success_at),
    })
}

fn refund_state(row: &entity::refund::Model) -> Result<RefundState, BadValue> {
    Ok(match row.state.as_str() {
        "due" => RefundState::Due,
        "requested" => RefundState::Requested,
        "processing" => RefundState::Processing,
        "success" => RefundState::Success,
        "abnormal" => RefundState::Abnormal,
        "failed" => RefundState::Failed { code: row.fail_code.clone().unwrap_or_default() },
        other => return Err(BadValue::Word("state", other.to_owned())),
    })
}

pub fn refund_row(refund: &Refund) -> entity::refund::ActiveModel {
    let fail_code = match &refund.state {
        RefundState::Failed { code } => Some(code.clone()),
        _ => None,
    };
    let automatic = (refund.kind == RefundKind::Auto).then(|| refund.payment.get());
    entity::refund::ActiveModel {
        id: Set(refund.id.get()),
        wxapp_id: Set(refund.wxapp.get()),
        order_id: Set(refund.order.get()),
        payment_id: Set(refund.payment.get()),
        mch_id: Set(refund.mch_id.clone()),
        transaction_id: Set(refund.transaction.as_str().to_owned()),
        out_refund_no: Set(refund.out_refund_no.as_str().to_owned()),
        number: Set(refund.number),
        kind: Set(refund.kind.as_str().to_owned()),
        amount_fen: Set(refund.amount.as_fen()),
        total_fen: Set(refund.total.as_fen()),
        reason: Set(refund.reason.clone()),
        state: Set(refund.state.as_str().to_owned()),
        wechat_refund_id: Set(refund.wechat_refund_id.clone()),
        fail_code: Set(fail_code),
        tries: Set(refund.tries),
        next_at: Set(millis(refund.next_at)),
        auto_payment_id: Set(automatic),
        created_at: Set(refund.created_at.as_millis()),
        requested_at: Set(millis(refund.requested_at)),
        success_at: Set(millis(refund.success_at)),
    }
}

pub fn incident_row(incident: &Incident, now_ms: i64) -> entity::incident::ActiveModel {
    entity::incident::ActiveModel {
        id: Set(incident.id.get()),
        wxapp_id: Set(incident.wxapp.get()),
        mch_id: Set(incident.mch_id.clone()),
        transaction_id: Set(incident.transaction.as_str().to_owned()),
        out_trade_no: Set(incident.out_trade_no.clone()),
        amount_fen: Set(incident.amount.as_fen()),
        reason: Set(incident.reason.as_str().to_owned()),
        state: Set("open".to_owned()),
        seen: Set(1),
        created_at: Set(now_ms),
        updated_at: Set(now_ms),
        resolved_by: Set(None),
        resolved_at: Set(None),
        resolution: Set(None),
        order_id: Set(None),
    }
}
