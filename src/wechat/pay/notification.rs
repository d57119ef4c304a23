//! The payment notification: what WeChat posts to `notify_url`, and what it wants to hear.
//!
//! Reading and checking the signature come before (`xml::parse`, `sign::verify` with the key and
//! type of the attempt); this module says what a genuine message tells. Whether it fits an attempt
//! is the engine's decision.

use super::answers::PaidTrade;
use crate::domain::id::OutTradeNo;
use crate::wechat::xml::{self, Fields};

/// The one body that ends WeChat's repeats.
pub const NOTIFY_OK: &str = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";

/// The body that makes WeChat send again. `message` is for people and names no secrets.
pub fn notify_fail(message: &str) -> String {
    xml::write(&Fields::from_iter([("return_code", "FAIL"), ("return_msg", message)]))
}

/// A payment that WeChat reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentNotice {
    pub appid: String,
    pub mch_id: String,
    pub out_trade_no: OutTradeNo,
    pub attach: Option<String>,
    pub paid: PaidTrade,
}

/// Why a message is not a payment notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// `return_code` or `result_code` is not SUCCESS: it carries nothing to act on.
    #[error("not a success")]
    NotSuccess,
    /// It has `req_info`: a refund notification at the payment route.
    #[error("a refund notification")]
    RefundNotice,
    /// A field is missing or wrong; says which. `fee_type`: the money is not CNY.
    #[error("field {0} is missing or wrong")]
    Field(&'static str),
}

/// Reads a notification whose signature **has been verified**.
pub fn parse_payment_notification(fields: &Fields) -> Result<PaymentNotice, NoticeError> {
    if fields.get("return_code") != Some("SUCCESS") {
        return Err(NoticeError::NotSuccess);
    }
    if fields.get("req_info").is_some() {
        return Err(NoticeError::RefundNotice);
    }
    if fields.get("result_code") != Some("SUCCESS") {
        return Err(NoticeError::NotSuccess);
    }
    let required = |name| fields.filled(name).ok_or(NoticeError::Field(name));
    let number = OutTradeNo::parse(required("out_trade_no")?);
    Ok(PaymentNotice {
        appid: required("appid")?.to_owned(),
        mch_id: required("mch_id")?.to_owned(),
        out_trade_no: number.map_err(|_| NoticeError::Field("out_trade_no"))?,
        attach: fields.filled("attach").map(str::to_owned),
        paid: PaidTrade::read(fields).map_err(NoticeError::Field)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::money::Money;
    use crate::wechat::time::from_beijing;

    fn notification() -> Fields {
        Fields::from_iter([
            ("return_code", "SUCCESS"),
            ("result_code", "SUCCESS"),
            ("appid", "wx8f3c2e1a9b7d4c60"),
            ("mch_id", "1900012345"),
            ("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
            ("out_trade_no", "T86353213763162966717"),
            ("transaction_id", "4200067594314894319252063607"),
            ("total_fee", "1000"),
            ("attach", "17.a1b2"),
            ("bank_type", "OTHERS"),
            ("time_end", "20261124183015"),
        ])
    }

    #[track_caller]
    fn check(change: &[(&str, &str)], expected: NoticeError) {
        let mut fields = notification();
        for (name, value) in change {
            fields.insert(*name, *value);
        }
        assert_eq!(parse_payment_notification(&fields), Err(expected), "{change:?}");
    }

    #[test]
    fn a_plain_payment_is_read() {
        let notice = parse_payment_notification(&notification()).unwrap();
        assert_eq!(notice.out_trade_no.as_str(), "T86353213763162966717");
        assert_eq!(notice.attach.as_deref(), Some("17.a1b2"));
        assert_eq!(notice.paid.total_fee, Money::from_fen(1000));
        assert_eq!(notice.paid.cash_fee, None);
        assert_eq!(Some(notice.paid.paid_at), from_beijing("20261124183015"));
        assert!(!format!("{notice:?}").contains("oUpF8"), "no openid in logs");
    }

    #[test]
    fn with_coupons_the_total_is_still_the_whole_amount() {
        let mut fields = notification();
        for (name, value) in [
            ("cash_fee", "700"),
            ("coupon_fee", "300"),
            ("coupon_count", "1"),
            ("coupon_id_0", "2000000109"),
            ("coupon_fee_0", "300"),
            ("settlement_total_fee", "700"),
            ("version", "1.0"),
            ("promotion_detail", "[{\"amount\":300}]"),
        ] {
            fields.insert(name, value);
        }
        let paid = parse_payment_notification(&fields).unwrap().paid;
        assert_eq!(paid.total_fee, Money::from_fen(1000));
        assert_eq!(paid.cash_fee, Some(Money::from_fen(700)));
    }

    #[test]
    fn the_currency_is_absent_or_cny() {
        let mut fields = notification();
        for fine in ["CNY", ""] {
            fields.insert("fee_type", fine);
            assert!(parse_payment_notification(&fields).is_ok(), "{fine}");
        }
        check(&[("fee_type", "USD")], NoticeError::Field("fee_type"));
    }

    #[test]
    fn what_is_no_success_carries_nothing() {
        check(&[("return_code", "FAIL")], NoticeError::NotSuccess);
        check(&[("return_code", "")], NoticeError::NotSuccess);
        check(&[("result_code", "FAIL")], NoticeError::NotSuccess);
    }

    #[test]
    fn a_refund_message_at_the_payment_route_is_named() {
        let refund = Fields::from_iter([
            ("return_code", "SUCCESS"),
            ("appid", "wx8f3c2e1a9b7d4c60"),
            ("mch_id", "1900012345"),
            ("nonce_str", "x"),
            ("req_info", "6uznTYaCZWyLSLo4KRx"),
        ]);
        assert_eq!(parse_payment_notification(&refund), Err(NoticeError::RefundNotice));
    }

    #[test]
    fn each_field_that_money_depends_on_must_be_there_and_right() {
        for name in ["appid", "mch_id", "out_trade_no", "transaction_id", "total_fee", "time_end"] {
            check(&[(name, "")], NoticeError::Field(name));
        }
        for bad in ["-1", "+1", "1.0", " 1", "1e3", "9999999999999999999", "一"] {
            check(&[("total_fee", bad)], NoticeError::Field("total_fee"));
            check(&[("cash_fee", bad)], NoticeError::Field("cash_fee"));
        }
        check(&[("out_trade_no", "short")], NoticeError::Field("out_trade_no"));
        check(&[("time_end", "2026-11-24")], NoticeError::Field("time_end"));
    }

    #[test]
    fn the_replies_are_exactly_as_wechat_wants_them() {
        let read = xml::parse(NOTIFY_OK.as_bytes()).unwrap();
        assert_eq!(read, Fields::from_iter([("return_code", "SUCCESS"), ("return_msg", "OK")]));
        assert_eq!(
            notify_fail("sign"),
            "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[sign]]></return_msg></xml>"
        );
    }
}
