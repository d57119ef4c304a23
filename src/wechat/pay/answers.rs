//! What WeChat Pay answers: the envelope, then the content of each call.
//!
//! An answer counts only when it is a message, its signature holds, and it is about our merchant
//! and the number we asked for; everything else is *unknown*, never success and never refusal.

use std::fmt;

use super::error::{ErrCode, PayError, UnknownCause};
use super::{Merchant, RefundRequest};
use crate::domain::id::{OutRefundNo, OutTradeNo, TransactionId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::wechat::sign;
use crate::wechat::time::{from_beijing, from_beijing_dashed};
use crate::wechat::xml::{self, Fields};

/// WeChat allows 50 partial refunds of one payment.
pub(super) const REFUNDS_MAX: usize = 50;

fn garbage(what: &'static str) -> PayError {
    PayError::Unknown(UnknownCause::Garbage(what))
}

/// Opens the envelope: message, `return_code`, signature, merchant, `result_code`, in this order.
pub(super) fn open(bytes: &[u8], merchant: &Merchant) -> Result<Fields, PayError> {
    let fields = xml::parse(bytes).map_err(|_| garbage("not a v2 message"))?;
    match fields.get("return_code") {
        Some("SUCCESS") => {}
        Some("FAIL") => {
            let text = fields.get("return_msg").unwrap_or_default().chars().take(128).collect();
            return Err(UnknownCause::ReturnFail(text).into());
        }
        _ => return Err(garbage("return_code")),
    }
    sign::verify(&fields, &merchant.api_key, merchant.sign_type)
        .map_err(|_| UnknownCause::BadSignature)?;
    let ours = fields.get("appid") == Some(merchant.appid.as_str())
        && fields.get("mch_id") == Some(merchant.mch_id.as_str());
    if !ours {
        return Err(UnknownCause::OtherMerchant.into());
    }
    match fields.get("result_code") {
        Some("SUCCESS") => Ok(fields),
        Some("FAIL") => Err(refusal(&fields)),
        _ => Err(garbage("result_code")),
    }
}

fn refusal(fields: &Fields) -> PayError {
    let Some(code) = fields.filled("err_code").map(ErrCode::parse) else {
        return garbage("err_code");
    };
    if code.is_unknown_outcome() {
        return UnknownCause::System(code).into();
    }
    let description = fields.get("err_code_des").unwrap_or_default().chars().take(128).collect();
    PayError::Refused { code, description }
}

/// The prepay_id of a unified order.
pub(super) fn prepay_id(fields: &Fields) -> Result<String, PayError> {
    let id = fields.filled("prepay_id").filter(|id| id.len() <= 64);
    id.map(str::to_owned).ok_or(garbage("prepay_id"))
}

/// What WeChat says of one of our numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    pub state: TradeState,
    pub out_trade_no: OutTradeNo,
    /// As sent with the unified order. Money settles only where it matches.
    pub attach: Option<String>,
    /// There when the state is SUCCESS or REFUND, else not.
    pub paid: Option<PaidTrade>,
}

/// `trade_state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeState {
    Success,
    /// Paid, and at least one refund accepted, perhaps of a part: still a paid trade.
    Refund,
    NotPay,
    /// Final: unpaid.
    Closed,
    /// Final: unpaid.
    Revoked,
    UserPaying,
    PayError,
    Accept,
    Other(String),
}

impl TradeState {
    fn parse(text: &str) -> Self {
        match text {
            "SUCCESS" => Self::Success,
            "REFUND" => Self::Refund,
            "NOTPAY" => Self::NotPay,
            "CLOSED" => Self::Closed,
            "REVOKED" => Self::Revoked,
            "USERPAYING" => Self::UserPaying,
            "PAYERROR" => Self::PayError,
            "ACCEPT" => Self::Accept,
            other => Self::Other(other.chars().take(32).collect()),
        }
    }
    /// Money came (and perhaps went again).
    pub fn is_paid(&self) -> bool {
        matches!(self, Self::Success | Self::Refund)
    }
    /// No money came and none can come any more.
    pub fn is_final_unpaid(&self) -> bool {
        matches!(self, Self::Closed | Self::Revoked)
    }
}

/// A payment, as query and notification tell of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PaidTrade {
    pub transaction_id: TransactionId,
    /// The whole amount, coupons included; in CNY.
    pub total_fee: Money,
    /// What the buyer paid of it; less with coupons.
    pub cash_fee: Option<Money>,
    pub bank_type: Option<String>,
    /// The payer, who may be another than the buyer.
    pub openid: Option<String>,
    pub paid_at: Timestamp,
}

impl fmt::Debug for PaidTrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PaidTrade");
        shown.field("transaction_id", &self.transaction_id).field("total_fee", &self.total_fee);
        shown.field("paid_at", &self.paid_at).finish_non_exhaustive()
    }
}

impl PaidTrade {
    /// The error names the field that is missing or wrong.
    pub(super) fn read(fields: &Fields) -> Result<Self, &'static str> {
        if fields.filled("fee_type").is_some_and(|currency| currency != "CNY") {
            return Err("fee_type");
        }
        let id = fields.filled("transaction_id").ok_or("transaction_id")?;
        let time_end = fields.get("time_end").and_then(from_beijing);
        Ok(Self {
            transaction_id: TransactionId::parse(id).map_err(|_| "transaction_id")?,
            total_fee: required_fen(fields, "total_fee")?,
            cash_fee: optional_fen(fields, "cash_fee")?,
            bank_type: fields.filled("bank_type").map(str::to_owned),
            openid: fields.filled("openid").map(str::to_owned),
            paid_at: time_end.ok_or("time_end")?,
        })
    }
}

pub(super) fn trade(fields: &Fields, asked: &OutTradeNo) -> Result<Trade, PayError> {
    let state = TradeState::parse(fields.filled("trade_state").ok_or(garbage("trade_state"))?);
    if fields.filled("out_trade_no") != Some(asked.as_str()) {
        return Err(UnknownCause::OtherMerchant.into());
    }
    let paid = state.is_paid().then(|| PaidTrade::read(fields)).transpose().map_err(garbage)?;
    let attach = fields.filled("attach").map(str::to_owned);
    Ok(Trade { state, out_trade_no: asked.clone(), attach, paid })
}

/// WeChat has accepted a refund. That is not yet money back: query it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundAccepted {
    pub refund_id: String,
    pub out_refund_no: OutRefundNo,
    pub transaction_id: TransactionId,
    pub refund_fee: Money,
}

pub(super) fn accepted(fields: &Fields, asked: &RefundRequest) -> Result<RefundAccepted, PayError> {
    if fields.filled("out_refund_no") != Some(asked.out_refund_no.as_str()) {
        return Err(UnknownCause::OtherMerchant.into());
    }
    let transaction_id = fields.filled("transaction_id").map(TransactionId::parse);
    let refund_fee = required_fen(fields, "refund_fee").map_err(garbage)?;
    if refund_fee != asked.refund_fee {
        return Err(garbage("refund_fee"));
    }
    Ok(RefundAccepted {
        refund_id: fields.filled("refund_id").ok_or(garbage("refund_id"))?.to_owned(),
        out_refund_no: asked.out_refund_no.clone(),
        transaction_id: transaction_id.and_then(Result::ok).ok_or(garbage("transaction_id"))?,
        refund_fee,
    })
}

/// How far a refund is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundStatus {
    pub out_refund_no: OutRefundNo,
    pub refund_id: String,
    pub refund_fee: Money,
    pub state: RefundState,
    /// When the money arrived; there when the state is SUCCESS.
    pub success_at: Option<Timestamp>,
}

/// `refund_status_$n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundState {
    Processing,
    Success,
    /// REFUNDCLOSE: not refunded; a new number is needed.
    Closed,
    /// CHANGE: stuck (bank card void); by hand in the merchant platform.
    Abnormal,
    Other(String),
}

impl RefundState {
    fn parse(text: &str) -> Self {
        match text {
            "PROCESSING" => Self::Processing,
            "SUCCESS" => Self::Success,
            "REFUNDCLOSE" => Self::Closed,
            "CHANGE" => Self::Abnormal,
            other => Self::Other(other.chars().take(32).collect()),
        }
    }
}

/// One page of `/pay/refundquery`.
pub(super) struct RefundPage {
    pub refunds: Vec<RefundStatus>,
    /// How many refunds there are in all, over all pages.
    pub total: usize,
}

pub(super) fn refund_page(fields: &Fields) -> Result<RefundPage, PayError> {
    let count = required_count(fields, "refund_count").map_err(garbage)?;
    let refunds = (0..count).map(|n| refund_status(fields, n)).collect::<Result<Vec<_>, _>>();
    let total = match fields.filled("total_refund_count") {
        Some(_) => required_count(fields, "total_refund_count").map_err(garbage)?,
        None => count,
    };
    Ok(RefundPage { refunds: refunds.map_err(garbage)?, total })
}

fn refund_status(fields: &Fields, n: usize) -> Result<RefundStatus, &'static str> {
    let numbered = |name: &str| fields.filled(&format!("{name}_{n}"));
    let number = numbered("out_refund_no").ok_or("out_refund_no_$n")?;
    let success_at = numbered("refund_success_time");
    let success_at = success_at.map(|time| from_beijing_dashed(time).ok_or("refund_success_time"));
    Ok(RefundStatus {
        out_refund_no: OutRefundNo::parse(number).map_err(|_| "out_refund_no_$n")?,
        refund_id: numbered("refund_id").ok_or("refund_id_$n")?.to_owned(),
        refund_fee: numbered("refund_fee").and_then(fen).ok_or("refund_fee_$n")?,
        state: RefundState::parse(numbered("refund_status").ok_or("refund_status_$n")?),
        success_at: success_at.transpose()?,
    })
}

/// Decimal digits only, as WeChat writes amounts; no sign, no blank, no point.
fn fen(text: &str) -> Option<Money> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok().map(Money::from_fen) } else { None }
}

fn required_fen(fields: &Fields, name: &'static str) -> Result<Money, &'static str> {
    fields.get(name).and_then(fen).ok_or(name)
}

fn optional_fen(fields: &Fields, name: &'static str) -> Result<Option<Money>, &'static str> {
    fields.filled(name).map(|text| fen(text).ok_or(name)).transpose()
}

fn required_count(fields: &Fields, name: &'static str) -> Result<usize, &'static str> {
    let count = required_fen(fields, name)?.as_fen();
    usize::try_from(count).ok().filter(|count| *count <= REFUNDS_MAX).ok_or(name)
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
