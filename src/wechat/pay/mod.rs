//! WeChat Pay, API v2 (XML), direct merchant, mini-program.
//!
//! `requests` and `answers` turn typed values into fields and back; `client` moves them;
//! `notification` reads what WeChat sends by itself; `params` signs what the phone hands to
//! `wx.requestPayment`. When to call what, and what follows from an answer, is the engine's matter.

mod answers;
mod client;
mod error;
mod notification;
mod params;
mod requests;

use std::fmt;

use secrecy::SecretString;

use super::sign::SignType;

pub use super::transport::{CallError, ClientCertificate, SetupError};
pub use answers::{PaidTrade, RefundAccepted, RefundState, RefundStatus, Trade, TradeState};
pub use client::{PayClient, PayConfig};
pub use error::{ErrCode, PayError, UnknownCause};
pub use notification::{
    NOTIFY_OK, NoticeError, PaymentNotice, notify_fail, parse_payment_notification,
};
pub use params::{RequestPayment, request_payment_params};
pub use requests::{RefundKey, RefundOf, RefundRequest, UnifiedOrder, fit_text, nonce};

/// The longest `body` and `attach`. The documentation does not say whether it counts bytes or
/// characters; bytes are safe.
pub const BODY_BYTES_MAX: usize = 127;
/// The longest reason that a buyer reads of a refund.
pub const REFUND_DESC_BYTES_MAX: usize = 80;

/// Whose money: a mini-program with the merchant account bound to it, as stored with the attempt.
#[derive(Clone)]
pub struct Merchant {
    pub appid: String,
    /// 商户号.
    pub mch_id: String,
    /// API v2 key (APIv2 密钥).
    pub api_key: SecretString,
    pub sign_type: SignType,
}

impl fmt::Debug for Merchant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Merchant({}, {}, {})", self.appid, self.mch_id, self.sign_type)
    }
}
