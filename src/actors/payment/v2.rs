//! WeChat Pay v2 as a payment provider.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use secrecy::SecretString;

use super::provider::*;
use crate::domain::attempt::{Attempt, Prepay};
use crate::domain::fold::{FoundRefund, FoundState};
use crate::domain::id::TransactionId;
use crate::domain::payment::{PaymentEvidence, Refund, RefundEvent};
use crate::domain::time::Timestamp;
use crate::store::wxapps::Wxapp;
use crate::wechat::pay::{
    ErrCode, Merchant, PaidTrade, PayClient, PayError, RefundKey, RefundOf, RefundRequest,
    RefundState, RefundStatus, RequestPayment, Trade, TradeState, UnifiedOrder, nonce,
    request_payment_params,
};
use crate::wechat::sign::SignType;

/// Seconds until a repeat after a lost answer or a short balance: doubled up to a day.
const REFUND_PAUSE_SECONDS: i64 = 60;
const REFUND_PAUSE_SECONDS_MAX: i64 = 24 * 3600;

/// Speaks for one mini-program.
pub struct WechatPayV2 {
    wxapp: Arc<Wxapp>,
    client: PayClient,
}

impl WechatPayV2 {
    pub fn new(wxapp: Arc<Wxapp>, client: PayClient) -> Self {
        Self { wxapp, client }
    }

    /// With which keys and in whose name an attempt is spoken of.
    fn merchant(&self, attempt: &Attempt) -> Result<Merchant, WeChatError> {
        let terms = &attempt.terms;
        let sign_type = SignType::parse(&terms.sign_type);
        Ok(Merchant {
            appid: terms.appid.clone(),
            mch_id: terms.mch_id.clone(),
            // Requests are always signed with the key that WeChat holds now.
            api_key: self.wxapp.api_key.clone(),
            sign_type: sign_type.map_err(|_| WeChatError::Unknown { cause: "sign type".into() })?,
        })
    }

    fn key(&self) -> &SecretString {
        &self.wxapp.api_key
    }
}

impl PaymentProvider for WechatPayV2 {
    fn open<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, String> {
        async move {
            let terms = &attempt.terms;
            let order = UnifiedOrder {
                body: terms.body.clone(),
                out_trade_no: attempt.out_trade_no.clone(),
                total_fee: attempt.amount,
                client_ip: terms.client_ip.clone(),
                openid: terms.openid.clone(),
                attach: terms.attach.clone(),
                time_expire: attempt.time_expire,
                notify_url: terms.notify_url.clone(),
            };
            let prepay = self.client.unified_order(&self.merchant(attempt)?, &order).await;
            prepay.map_err(to_error)
        }
        .boxed_local()
    }

    fn ask<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, TradeWord> {
        async move {
            let merchant = self.merchant(attempt)?;
            match self.client.query_order(&merchant, &attempt.out_trade_no).await {
                Ok(trade) => Ok(to_word(trade, attempt)),
                Err(PayError::Refused { code: ErrCode::OrderNotExist, .. }) => {
                    Ok(TradeWord::Unknown)
                }
                Err(error) => Err(to_error(error)),
            }
        }
        .boxed_local()
    }

    fn close<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, ()> {
        async move {
            let merchant = self.merchant(attempt)?;
            self.client.close_order(&merchant, &attempt.out_trade_no).await.map_err(to_error)
        }
        .boxed_local()
    }

    fn refunds_of<'a>(
        &'a self,
        attempt: &'a Attempt,
        transaction: &'a TransactionId,
    ) -> Answer<'a, Vec<FoundRefund>> {
        async move {
            let key = RefundKey::Transaction(transaction.clone());
            let found = self.client.query_refunds(&self.merchant(attempt)?, &key).await;
            found
                .map_err(to_error)?
                .into_iter()
                .filter_map(|status| to_found(status).transpose())
                .collect()
        }
        .boxed_local()
    }

    fn refund<'a>(
        &'a self,
        attempt: &'a Attempt,
        refund: &'a Refund,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, RefundEvent> {
        async move {
            let Ok(merchant) = self.merchant(attempt) else { return try_again(refund, now) };
            let request = RefundRequest {
                payment: RefundOf::Transaction(refund.transaction.clone()),
                out_refund_no: refund.out_refund_no.clone(),
                total_fee: refund.total,
                refund_fee: refund.amount,
                refund_desc: Some(refund.reason.clone()).filter(|reason| !reason.is_empty()),
                notify_url: None,
            };
            match self.client.refund(&merchant, &request).await {
                Ok(accepted) => RefundEvent::Accepted {
                    wechat_refund_id: Some(accepted.refund_id),
                    look_at: now.plus_seconds(REFUND_PAUSE_SECONDS),
                },
                Err(error) => refund_refused(&error, refund, now),
            }
        }
        .boxed_local()
    }

    fn ask_refund<'a>(
        &'a self,
        attempt: &'a Attempt,
        refund: &'a Refund,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Option<RefundEvent>> {
        async move {
            let Ok(merchant) = self.merchant(attempt) else {
                return Some(RefundEvent::TryAgain { at: look_again(refund, now) });
            };
            let key = RefundKey::OutRefundNo(refund.out_refund_no.clone());
            match self.client.query_refunds(&merchant, &key).await {
                Ok(found) => {
                    let ours = |status: &RefundStatus| status.out_refund_no == refund.out_refund_no;
                    found.into_iter().find(ours).map(|status| to_refund_event(status, refund, now))
                }
                Err(PayError::Refused { code: ErrCode::RefundNotExist, .. }) => None,
                Err(_) => Some(RefundEvent::TryAgain { at: look_again(refund, now) }),
            }
        }
        .boxed_local()
    }

    fn sign(&self, attempt: &Attempt, prepay: &Prepay, now: Timestamp) -> Option<RequestPayment> {
        Some(request_payment_params(
            &attempt.terms.appid,
            &prepay.id,
            now.as_seconds(),
            &nonce(),
            self.key(),
            SignType::parse(&attempt.terms.sign_type).ok()?,
        ))
    }
}

/// What a payment is told by: the same from a query and from a notification.
pub(super) fn to_evidence(paid: PaidTrade) -> PaymentEvidence {
    PaymentEvidence {
        transaction: paid.transaction_id,
        amount: paid.total_fee,
        cash: paid.cash_fee,
        bank_type: paid.bank_type,
        payer_openid: paid.openid,
        paid_at: paid.paid_at,
    }
}

/// Money counts for an attempt only where `attach` says the same: the number alone may be known to
/// another environment with the same merchant.
fn to_word(trade: Trade, attempt: &Attempt) -> TradeWord {
    let attach = trade.attach.as_deref().filter(|attach| !attach.is_empty());
    let ours = attach == Some(attempt.terms.attach.as_str());
    match (trade.state, trade.paid.map(to_evidence)) {
        (TradeState::Success | TradeState::Refund, Some(evidence)) if !ours => {
            TradeWord::PaidByOthers(evidence)
        }
        (TradeState::Success, Some(evidence)) => TradeWord::Paid(evidence),
        (TradeState::Refund, Some(evidence)) => TradeWord::PaidAndRefunded(evidence),
        (TradeState::Closed | TradeState::Revoked, _) => TradeWord::Closed,
        // WeChat need not show the attach of an unpaid number.
        _ if attach.is_some() && !ours => TradeWord::OpenByOthers,
        _ => TradeWord::NotPaid,
    }
}

fn to_error(error: PayError) -> WeChatError {
    match error {
        PayError::Unknown(cause) => WeChatError::Unknown { cause: cause.as_str().to_owned() },
        PayError::Refused { code, .. } => {
            let why = match &code {
                ErrCode::OrderPaid => Refused::AlreadyPaid,
                ErrCode::OrderClosed | ErrCode::OutTradeNoUsed | ErrCode::InvalidRequest => {
                    Refused::NumberSpent
                }
                code if code.is_unknown_outcome() || code.is_transient() => Refused::NotNow,
                _ => Refused::ForGood,
            };
            WeChatError::Refused { why, code: code.as_str().to_owned() }
        }
    }
}

/// None: it moves no money. A state that nobody knows makes the whole answer unusable: whether the
/// money is gone cannot be guessed.
fn to_found(status: RefundStatus) -> Result<Option<FoundRefund>, WeChatError> {
    let state = match status.state {
        RefundState::Success => FoundState::Success(status.success_at),
        RefundState::Processing => FoundState::Processing,
        RefundState::Abnormal => FoundState::Abnormal,
        RefundState::Closed => return Ok(None),
        RefundState::Other(_) => {
            return Err(WeChatError::Unknown { cause: "a refund in an unknown state".into() });
        }
    };
    Ok(Some(FoundRefund {
        out_refund_no: status.out_refund_no,
        wechat_refund_id: Some(status.refund_id),
        amount: status.refund_fee,
        state,
    }))
}

fn to_refund_event(status: RefundStatus, refund: &Refund, now: Timestamp) -> RefundEvent {
    if status.state == RefundState::Closed {
        return RefundEvent::ClosedByWechat;
    }
    if status.refund_fee != refund.amount {
        tracing::error!(order = %refund.order, refund = %refund.id, ours = %refund.amount,
            theirs = %status.refund_fee, "WeChat knows a refund's number with another amount");
        return RefundEvent::Abnormal;
    }
    match status.state {
        RefundState::Success => RefundEvent::Succeeded { at: status.success_at.unwrap_or(now) },
        RefundState::Abnormal => RefundEvent::Abnormal,
        RefundState::Processing => RefundEvent::Accepted {
            wechat_refund_id: Some(status.refund_id),
            look_at: look_again(refund, now),
        },
        RefundState::Closed | RefundState::Other(_) => {
            RefundEvent::TryAgain { at: look_again(refund, now) }
        }
    }
}

/// When WeChat is asked again how far a refund is: 1, 5, 10, 20 and 30 minutes after the former
/// time, then every hour.
fn look_again(refund: &Refund, now: Timestamp) -> Timestamp {
    let age = now.millis_since(refund.requested_at.unwrap_or(refund.created_at)) / 60_000;
    let minutes = match age {
        ..1 => 1,
        1..6 => 5,
        6..16 => 10,
        16..36 => 20,
        36..66 => 30,
        66.. => 60,
    };
    now.plus_seconds(minutes * 60)
}

fn refund_refused(error: &PayError, refund: &Refund, now: Timestamp) -> RefundEvent {
    match error.code() {
        None => try_again(refund, now),
        Some(ErrCode::NotEnough) => {
            tracing::error!(order = %refund.order, "the merchant's balance does not cover a refund");
            try_again(refund, now)
        }
        Some(code) if code.is_unknown_outcome() || code.is_transient() => try_again(refund, now),
        Some(code) => {
            tracing::error!(order = %refund.order, %code, "WeChat refuses a refund for good");
            RefundEvent::Failed { code: code.as_str().to_owned() }
        }
    }
}

fn try_again(refund: &Refund, now: Timestamp) -> RefundEvent {
    RefundEvent::TryAgain { at: now.plus_seconds(pause_seconds(refund)) }
}

fn pause_seconds(refund: &Refund) -> i64 {
    let doublings = u32::try_from(refund.tries.clamp(0, 11)).unwrap_or(0);
    (REFUND_PAUSE_SECONDS << doublings).min(REFUND_PAUSE_SECONDS_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::fold::tests::world::{World, settle};
    use crate::domain::money::Money;

    fn refund() -> Refund {
        let mut world = World::new(1);
        world.open_order(1001, 1, &[(11, 1)]);
        world.settled(settle(1001, "TX1", 100));
        world.settled(settle(1001, "TX2", 100));
        world.refunds()[0].clone()
    }

    fn status(state: RefundState, fen: i64) -> RefundStatus {
        RefundStatus {
            out_refund_no: refund().out_refund_no,
            refund_id: "W1".into(),
            refund_fee: Money::from_fen(fen),
            state,
            success_at: None,
        }
    }

    #[test]
    fn only_a_refund_that_wechat_closed_is_none() {
        let found = |state| to_found(status(state, 100)).map(|found| found.map(|f| f.state));
        assert_eq!(found(RefundState::Success), Ok(Some(FoundState::Success(None))));
        assert_eq!(found(RefundState::Processing), Ok(Some(FoundState::Processing)));
        assert_eq!(found(RefundState::Abnormal), Ok(Some(FoundState::Abnormal)));
        assert_eq!(found(RefundState::Closed), Ok(None));
        assert!(found(RefundState::Other("NEW".into())).is_err());
    }

    #[test]
    fn our_number_with_another_amount_is_for_staff() {
        let now = Timestamp::from_seconds(0);
        let event = |state, fen| to_refund_event(status(state, fen), &refund(), now);
        assert_eq!(event(RefundState::Success, 100), RefundEvent::Succeeded { at: now });
        for state in [RefundState::Success, RefundState::Processing, RefundState::Abnormal] {
            assert_eq!(event(state, 99), RefundEvent::Abnormal);
        }
        assert_eq!(event(RefundState::Closed, 99), RefundEvent::ClosedByWechat);
        let unknown = event(RefundState::Other("NEW".into()), 100);
        assert!(matches!(unknown, RefundEvent::TryAgain { .. }), "{unknown:?}");
    }
}
