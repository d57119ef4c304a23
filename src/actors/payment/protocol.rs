//! The payment actor: all that one mini-program has to do with WeChat Pay.
//!
//! It owns the calls in flight, so that one order has one unifiedorder at a time, and no state of
//! any order or attempt: each step reads, calls WeChat, and puts what it learned into the journal,
//! where it is decided. It asks the provider and the journal; it never asks the order actor.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`Prepay`] | [`RequestPayment`] | [`PrepayError`] | the order | future |
//! | [`Notify`] | [`NotifyReply`] | none | transaction_id | future |
//! | [`CloseOrder`] | [`Closed`] | [`PaymentError`] | the order | future |
//! | [`AskWechat`] | none | [`PaymentError`] | the order | future |
//! | [`Inquire`] | [`Inquired`], one for each attempt | [`PaymentError`] | the order | future |
//! | [`AskAgain`] | none | [`PaymentError`] | the attempt's claim | future |
//! | [`WorkOnRefund`] | none | [`PaymentError`] | out_refund_no | future |

use actix::prelude::*;

use tracing::Span;

use crate::actors::journal::JournalError;
use crate::domain::attempt::NotPayable;
use crate::domain::id::{AttemptId, OrderId, OutTradeNo, RefundId, UserId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
pub use crate::wechat::pay::RequestPayment;

/// Asks for what `wx.requestPayment` takes.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<RequestPayment, PrepayError>")]
pub struct Prepay {
    pub order: OrderId,
    pub user: UserId,
    /// The buyer's address, stored with the attempt.
    pub client_ip: String,
    /// Of the request, so that its id stands on what is logged about WeChat's answer.
    pub span: Span,
}

/// Why there are no payment parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepayError {
    #[error("the order does not exist")]
    UnknownOrder,
    #[error(transparent)]
    NotPayable(#[from] NotPayable),
    /// WeChat refused or did not answer; the order stands and can be paid later.
    #[error("WeChat: {0}")]
    Wechat(String),
    #[error("too much is under way")]
    Busy,
    #[error("the database does not answer")]
    Unavailable,
}

/// A payment notification as it came.
#[derive(Message)]
#[rtype(result = "NotifyReply")]
pub struct Notify {
    pub body: Vec<u8>,
    pub span: Span,
}

/// What WeChat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, MessageResponse)]
pub enum NotifyReply {
    /// It is committed; never send it again.
    Success,
    /// Refused; the reason is for people.
    Fail(&'static str),
    /// Not now: send it again.
    Unavailable,
}

/// Closes the attempts of an order at WeChat that are not meant to be paid any more.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Closed, PaymentError>")]
pub struct CloseOrder {
    pub order: OrderId,
    pub span: Span,
}

/// How far closing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// No attempt of the order can bring money any more.
    Quiet,
    /// WeChat has not confirmed yet; it goes on later.
    NotYet,
    /// Another process is at it.
    Elsewhere,
}

/// Asks WeChat whether an unpaid order is paid, and settles it if so.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), PaymentError>")]
pub struct AskWechat {
    pub order: OrderId,
    pub span: Span,
}

/// Asks WeChat about every attempt of an order, in whatever state, and settles money that it shows.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Inquired>, PaymentError>")]
pub struct Inquire {
    pub order: OrderId,
    pub span: Span,
}

/// WeChat's word about one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquired {
    pub out_trade_no: OutTradeNo,
    pub word: InquiredWord,
}

/// In one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InquiredWord {
    Paid,
    /// Paid, and given back wholly or in part.
    Refunded,
    NotPaid,
    Closed,
    /// WeChat does not know the number.
    Unknown,
    /// The number belongs to somebody else's attempt.
    Others,
    /// No answer; why.
    NoAnswer(String),
}

/// The same for one attempt on the engine's own account: of several processes one asks.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), PaymentError>")]
pub struct AskAgain {
    pub order: OrderId,
    pub attempt: AttemptId,
    /// Nobody needs to ask again before.
    pub next_at: Timestamp,
}

/// Asks for a refund, or how far it is.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), PaymentError>")]
pub struct WorkOnRefund {
    pub order: OrderId,
    pub refund: RefundId,
}

/// A step could not be done; it is done again later.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal answered something else")]
    Mismatch,
    /// Nothing was sent: another process may have the work by now.
    #[error("the claim has run out")]
    Late,
}
