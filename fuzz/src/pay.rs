//! What `src/wechat/pay/mod.rs` has, less the client.

#[path = "../../src/wechat/pay/answers.rs"]
mod answers;
#[path = "../../src/wechat/pay/error.rs"]
mod error;
#[path = "../../src/wechat/pay/notification.rs"]
mod notification;
#[path = "../../src/wechat/pay/requests.rs"]
mod requests;

use secrecy::SecretString;

use super::sign::SignType;
use crate::domain::id::OutTradeNo;

pub use error::{ErrCode, PayError, UnknownCause};
pub use notification::{NoticeError, PaymentNotice, parse_payment_notification};
pub use requests::{RefundKey, RefundOf, RefundRequest, UnifiedOrder, fit_text, nonce};

pub const BODY_BYTES_MAX: usize = 127;
pub const REFUND_DESC_BYTES_MAX: usize = 80;

#[derive(Clone)]
pub struct Merchant {
    pub appid: String,
    pub mch_id: String,
    pub api_key: SecretString,
    pub sign_type: SignType,
}

/// Reads one answer in each of the ways in which answers are read.
pub fn read_everything(bytes: &[u8], merchant: &Merchant, asked: &OutTradeNo) -> bool {
    let Ok(fields) = answers::open(bytes, merchant) else { return false };
    let _ = answers::prepay_id(&fields);
    if let Ok(trade) = answers::trade(&fields, asked) {
        assert_eq!(&trade.out_trade_no, asked);
        assert_eq!(trade.paid.is_some(), trade.state.is_paid());
    }
    let _ = answers::refund_page(&fields);
    true
}
