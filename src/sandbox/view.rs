//! Trades and refunds as the control API shows them.

use serde::Serialize;

use super::beijing::rfc3339;
use super::notice::{Notices, Subject};
use super::refund::{Refund, RefundStatus};
use super::trade::{Payment, Trade, TradeKey};
use crate::clock::Timestamp;

/// A trade, its payments and their refunds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TradeView {
    pub mch_id: String,
    pub appid: String,
    pub out_trade_no: String,
    /// The `trade_state` of orderquery.
    pub state: String,
    pub total_fen: i64,
    pub attach: Option<String>,
    pub body: Option<String>,
    pub openid: String,
    pub notify_url: String,
    pub sign_type: String,
    pub created_at: String,
    pub expires_at: String,
    pub closed_at: Option<String>,
    pub prepay_ids: Vec<String>,
    pub payments: Vec<PaymentView>,
    /// Money that lands when the number is closed.
    pub late_pending: bool,
}

/// Money that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    pub transaction_id: String,
    pub total_fen: i64,
    pub coupon_fen: i64,
    pub paid_at: String,
    /// How often the shop was told.
    pub told: u32,
    pub acknowledged: bool,
    /// When it is told again.
    pub next_notification_at: Option<String>,
    pub refunds: Vec<RefundView>,
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefundView {
    pub out_refund_no: String,
    pub refund_id: String,
    pub out_trade_no: String,
    pub transaction_id: String,
    pub refund_fen: i64,
    pub total_fen: i64,
    pub status: RefundStatus,
    pub succeeded_at: Option<String>,
}

impl TradeView {
    pub(super) fn of(trade: &Trade, notices: &Notices, now: Timestamp) -> Self {
        let payments = trade.payments.iter();
        Self {
            mch_id: trade.key.mch_id.clone(),
            appid: trade.appid.clone(),
            out_trade_no: trade.key.out_trade_no.clone(),
            state: trade.state(None).as_str().to_owned(),
            total_fen: trade.total.as_fen(),
            attach: trade.attach.clone(),
            body: trade.terms.get("body").cloned(),
            openid: trade.openid.clone(),
            notify_url: trade.notify_url.clone(),
            sign_type: trade.sign_type.as_str().to_owned(),
            created_at: rfc3339(trade.created_at),
            expires_at: rfc3339(trade.expires_at),
            closed_at: trade.closed_at.map(rfc3339),
            prepay_ids: trade.prepays.iter().map(|(id, _)| id.clone()).collect(),
            payments: payments
                .map(|paid| PaymentView::of(&trade.key, paid, notices, now))
                .collect(),
            late_pending: trade.late.is_some(),
        }
    }
}

impl PaymentView {
    fn of(key: &TradeKey, paid: &Payment, notices: &Notices, now: Timestamp) -> Self {
        let subject = Subject { key: key.clone(), transaction_id: paid.transaction_id.clone() };
        let refunds = paid.refunds.iter();
        Self {
            transaction_id: paid.transaction_id.clone(),
            total_fen: paid.total.as_fen(),
            coupon_fen: paid.coupon.as_fen(),
            paid_at: rfc3339(paid.paid_at),
            told: paid.told,
            acknowledged: paid.acknowledged,
            next_notification_at: notices.next_at(&subject).map(rfc3339),
            refunds: refunds.map(|refund| RefundView::of(key, paid, refund, now)).collect(),
        }
    }
}

impl RefundView {
    pub(super) fn of(key: &TradeKey, paid: &Payment, refund: &Refund, now: Timestamp) -> Self {
        let (status, succeeded_at) = refund.status(now);
        Self {
            out_refund_no: refund.out_refund_no.clone(),
            refund_id: refund.refund_id.clone(),
            out_trade_no: key.out_trade_no.clone(),
            transaction_id: paid.transaction_id.clone(),
            refund_fen: refund.fee.as_fen(),
            total_fen: paid.total.as_fen(),
            status,
            succeeded_at: succeeded_at.map(rfc3339),
        }
    }
}
