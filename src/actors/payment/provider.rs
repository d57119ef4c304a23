//! What the engine needs of a payment service; WeChat Pay v2 is the first.

use futures_util::future::LocalBoxFuture;

use crate::domain::attempt::{Attempt, Prepay};
use crate::domain::fold::FoundRefund;
use crate::domain::id::TransactionId;
use crate::domain::payment::{PaymentEvidence, Refund, RefundEvent};
use crate::domain::time::Timestamp;
use crate::wechat::pay::RequestPayment;

/// A payment service, called for one mini-program. Every attempt is spoken of in its own terms.
pub trait PaymentProvider {
    /// Opens an attempt; repeated with the same attempt it says the same. The answer is a
    /// prepay_id.
    fn open<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, String>;
    /// What has become of an attempt.
    fn ask<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, TradeWord>;
    /// Closes an attempt; proves nothing by itself, so it is asked for afterwards.
    fn close<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, ()>;
    /// Refunds of a payment, also those made by hand; without those that move no money.
    fn refunds_of<'a>(
        &'a self,
        attempt: &'a Attempt,
        transaction: &'a TransactionId,
    ) -> Answer<'a, Vec<FoundRefund>>;
    /// Asks for a refund; the same number refunds once.
    fn refund<'a>(
        &'a self,
        attempt: &'a Attempt,
        refund: &'a Refund,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, RefundEvent>;
    /// How far a refund is; none: it was never accepted.
    fn ask_refund<'a>(
        &'a self,
        attempt: &'a Attempt,
        refund: &'a Refund,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Option<RefundEvent>>;
    /// What the mini-program hands to `wx.requestPayment`.
    fn sign(&self, attempt: &Attempt, prepay: &Prepay, now: Timestamp) -> Option<RequestPayment>;
}

/// An answer, or why there is none.
pub type Answer<'a, T> = LocalBoxFuture<'a, Result<T, WeChatError>>;

/// What WeChat says of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeWord {
    /// Money came, for an attempt that says the same as ours (`attach`).
    Paid(PaymentEvidence),
    /// Money came and went again, wholly or in part.
    PaidAndRefunded(PaymentEvidence),
    /// Money came under our number for somebody else's attempt.
    PaidByOthers(PaymentEvidence),
    /// Unpaid; may still change.
    NotPaid,
    /// Unpaid, but somebody else has opened the number with an attempt of his own: ours can neither
    /// be paid nor be opened any more, and his is not ours to close.
    OpenByOthers,
    /// Closed: brings no money any more.
    Closed,
    /// WeChat does not know the number.
    Unknown,
}

/// WeChat did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeChatError {
    /// Refused, in a signed answer.
    Refused { why: Refused, code: String },
    /// Not known whether it took effect.
    Unknown { cause: String },
}

/// What a refusal means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The number is paid already.
    AlreadyPaid,
    /// The number is closed, or used with other parameters.
    NumberSpent,
    /// The same call may succeed later.
    NotNow,
    /// It can never succeed.
    ForGood,
}

impl WeChatError {
    /// For people and logs; no personal data.
    pub fn text(&self) -> String {
        match self {
            Self::Refused { code, .. } => code.clone(),
            Self::Unknown { cause } => cause.clone(),
        }
    }
}
