//! What we ask of WeChat Pay, as typed values, and their fields on the wire.
//!
//! It adds what every request has (appid, mch_id, nonce_str, sign_type, sign). `sign_type` is
//! always sent, also for MD5, so that both sides name what they use.

use std::fmt;

use rand::Rng;
use rand::distr::Alphanumeric;

use super::{BODY_BYTES_MAX, Merchant, REFUND_DESC_BYTES_MAX};
use crate::domain::id::{OutRefundNo, OutTradeNo, TransactionId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::wechat::sign::{self, SIGN, SIGN_TYPE};
use crate::wechat::time::to_beijing;
use crate::wechat::xml::{Fields, is_xml_char};

/// `/pay/unifiedorder` for a mini-program (JSAPI).
///
/// A repeat must have exactly the same content, or WeChat refuses it (INVALID_REQUEST 201): the
/// engine stores these values before the first call and replays them.
#[derive(Clone, PartialEq, Eq)]
pub struct UnifiedOrder {
    /// What the buyer reads in WeChat's bill; cut to [`BODY_BYTES_MAX`] by [`fit_text`].
    pub body: String,
    pub out_trade_no: OutTradeNo,
    pub total_fee: Money,
    /// Address of the buyer's phone (`spbill_create_ip`).
    pub client_ip: String,
    /// The payer in this mini-program.
    pub openid: String,
    /// Comes back with query and notification; at most [`BODY_BYTES_MAX`] bytes.
    pub attach: String,
    /// The latest moment to pay; chosen once, at least 6 minutes ahead.
    pub time_expire: Timestamp,
    /// Where WeChat reports the payment; https in production, no query.
    pub notify_url: String,
}

impl fmt::Debug for UnifiedOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("UnifiedOrder");
        shown.field("out_trade_no", &self.out_trade_no).field("total_fee", &self.total_fee);
        shown.finish_non_exhaustive()
    }
}

impl UnifiedOrder {
    pub(super) fn fields(&self) -> Fields {
        Fields::from_iter([
            ("body", fit_text(&self.body, BODY_BYTES_MAX)),
            ("out_trade_no", self.out_trade_no.to_string()),
            ("total_fee", self.total_fee.as_fen().to_string()),
            ("spbill_create_ip", self.client_ip.clone()),
            ("openid", self.openid.clone()),
            ("attach", self.attach.clone()),
            ("time_expire", to_beijing(self.time_expire)),
            ("notify_url", self.notify_url.clone()),
            ("trade_type", "JSAPI".to_owned()),
        ])
    }
}

/// Which payment is to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOf {
    Transaction(TransactionId),
    OutTradeNo(OutTradeNo),
}

/// `/secapi/pay/refund`. The same `out_refund_no` refunds once, however often it is sent; a repeat
/// must have the same amounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    pub payment: RefundOf,
    pub out_refund_no: OutRefundNo,
    /// What was paid.
    pub total_fee: Money,
    /// What is given back.
    pub refund_fee: Money,
    /// What the buyer reads; cut to [`REFUND_DESC_BYTES_MAX`].
    pub refund_desc: Option<String>,
    /// Overrides the address set in the merchant platform.
    pub notify_url: Option<String>,
}

impl RefundRequest {
    pub(super) fn fields(&self) -> Fields {
        let mut fields = Fields::from_iter([
            ("out_refund_no", self.out_refund_no.to_string()),
            ("total_fee", self.total_fee.as_fen().to_string()),
            ("refund_fee", self.refund_fee.as_fen().to_string()),
        ]);
        match &self.payment {
            RefundOf::Transaction(id) => fields.insert("transaction_id", id.as_str()),
            RefundOf::OutTradeNo(number) => fields.insert("out_trade_no", number.as_str()),
        };
        if let Some(reason) = &self.refund_desc {
            fields.insert("refund_desc", fit_text(reason, REFUND_DESC_BYTES_MAX));
        }
        if let Some(url) = &self.notify_url {
            fields.insert("notify_url", url.as_str());
        }
        fields
    }
}

/// Which refunds `/pay/refundquery` is to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundKey {
    /// WeChat's number of one refund.
    RefundId(String),
    /// Our number of one refund.
    OutRefundNo(OutRefundNo),
    /// All refunds of a payment; also those made by hand in the merchant platform.
    Transaction(TransactionId),
    OutTradeNo(OutTradeNo),
}

impl RefundKey {
    pub(super) fn fields(&self) -> Fields {
        let (name, value) = match self {
            Self::RefundId(id) => ("refund_id", id.as_str()),
            Self::OutRefundNo(number) => ("out_refund_no", number.as_str()),
            Self::Transaction(id) => ("transaction_id", id.as_str()),
            Self::OutTradeNo(number) => ("out_trade_no", number.as_str()),
        };
        Fields::from_iter([(name, value)])
    }
}

/// Adds what every request has, the signature last.
pub(super) fn complete(mut fields: Fields, merchant: &Merchant) -> Fields {
    fields.insert("appid", merchant.appid.as_str());
    fields.insert("mch_id", merchant.mch_id.as_str());
    fields.insert("nonce_str", nonce());
    fields.insert(SIGN_TYPE, merchant.sign_type.as_str());
    let signature = sign::sign(&fields, &merchant.api_key, merchant.sign_type);
    fields.insert(SIGN, signature);
    fields
}

/// 32 random letters and digits, for `nonce_str` and `nonceStr`.
pub fn nonce() -> String {
    rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect()
}

/// Makes a text fit for WeChat: control characters become blanks, and it is cut at a character
/// boundary to at most so many bytes of UTF-8. Fitting twice changes nothing more.
pub fn fit_text(text: &str, bytes_max: usize) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_control() || !is_xml_char(c) { ' ' } else { c }).collect();
    let clean = clean.trim();
    let end = clean.floor_char_boundary(bytes_max);
    clean[..end].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use secrecy::SecretString;

    use crate::wechat::sign::SignType;

    fn merchant(sign_type: SignType) -> Merchant {
        Merchant {
            appid: "wx8f3c2e1a9b7d4c60".to_owned(),
            mch_id: "1900012345".to_owned(),
            api_key: SecretString::from("8934e7d15453e97507ef794cf7b0519d"),
            sign_type,
        }
    }

    fn order() -> UnifiedOrder {
        UnifiedOrder {
            body: "小店-杯子".to_owned(),
            out_trade_no: OutTradeNo::parse("202611240000000000000001").unwrap(),
            total_fee: Money::from_fen(4215),
            client_ip: "203.0.113.7".to_owned(),
            openid: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned(),
            attach: "17.a1b2".to_owned(),
            time_expire: Timestamp::from_seconds(1_795_516_215),
            notify_url: "https://shop.example.com/wechat/pay/v2/notify/10001".to_owned(),
        }
    }

    #[test]
    fn an_order_has_its_fields_and_a_signature_that_holds() {
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let fields = complete(order().fields(), &merchant(sign_type));
            for (name, value) in [
                ("body", "小店-杯子"),
                ("total_fee", "4215"),
                ("time_expire", "20261124183015"),
                ("trade_type", "JSAPI"),
                ("sign_type", sign_type.as_str()),
            ] {
                assert_eq!(fields.get(name), Some(value));
            }
            assert_eq!(fields.get("nonce_str").map(str::len), Some(32));
            let key = &merchant(sign_type).api_key;
            assert_eq!(sign::verify(&fields, key, sign_type), Ok(()));
        }
    }

    #[test]
    fn a_repeat_differs_in_nonce_and_signature_only() {
        let strip = |mut fields: Fields| {
            fields.remove(SIGN);
            fields.remove("nonce_str");
            fields
        };
        let merchant = merchant(SignType::Md5);
        let first = complete(order().fields(), &merchant);
        let second = complete(order().fields(), &merchant);
        assert_ne!(first.get("nonce_str"), second.get("nonce_str"));
        assert_eq!(strip(first), strip(second));
    }

    #[test]
    fn a_refund_names_its_payment_and_its_amounts() {
        let refund = RefundRequest {
            payment: RefundOf::Transaction(TransactionId::parse("4200067594").unwrap()),
            out_refund_no: OutRefundNo::parse("r4200067594-1").unwrap(),
            total_fee: Money::from_fen(500),
            refund_fee: Money::from_fen(120),
            refund_desc: Some("商品已售完".to_owned()),
            notify_url: None,
        };
        let expected = Fields::from_iter([
            ("transaction_id", "4200067594"),
            ("out_refund_no", "r4200067594-1"),
            ("total_fee", "500"),
            ("refund_fee", "120"),
            ("refund_desc", "商品已售完"),
        ]);
        assert_eq!(refund.fields(), expected);
    }

    #[test]
    fn texts_are_cut_at_characters_and_cleaned() {
        assert_eq!(fit_text("店".repeat(50).as_str(), 127), "店".repeat(42));
        assert_eq!(fit_text("a\nb\u{0}c\u{ffff}", 127), "a b c");
        assert_eq!(fit_text("short", 127), "short");
        assert_eq!(fit_text("", 127), "");
    }

    #[test]
    fn debug_tells_no_openid() {
        assert!(!format!("{:?}", order()).contains("oUpF8"));
        assert!(!format!("{:?}", merchant(SignType::Md5)).contains("8934"));
    }

    proptest! {
        #[test]
        fn fitting_twice_is_fitting_once(text in any::<String>(), limit in 0_usize..140) {
            let once = fit_text(&text, limit);
            prop_assert!(once.len() <= limit);
            prop_assert_eq!(fit_text(&once, limit), once);
        }
    }
}
