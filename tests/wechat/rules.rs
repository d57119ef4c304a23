//! Rules of a payment notification that no vector covers, over its whole way: bytes, signature,
//! content.

use buynow::domain::money::Money;
use buynow::wechat::pay::{NoticeError, PaymentNotice, parse_payment_notification};
use buynow::wechat::sign::{self, SignError, SignType};
use buynow::wechat::xml::{self, Fields, XmlError};

use crate::stub::merchant;

/// What refused a message, or what it told.
#[derive(Debug, PartialEq)]
enum Outcome {
    Told(Box<PaymentNotice>),
    Xml(XmlError),
    Sign(SignError),
    Notice(NoticeError),
}

/// The way of a message through the engine; the attempt was made with HMAC-SHA256.
fn receive(document: &str) -> Outcome {
    let merchant = merchant();
    let fields = match xml::parse(document.as_bytes()) {
        Ok(fields) => fields,
        Err(error) => return Outcome::Xml(error),
    };
    if let Err(error) = sign::verify(&fields, &merchant.api_key, merchant.sign_type) {
        return Outcome::Sign(error);
    }
    match parse_payment_notification(&fields) {
        Ok(notice) => Outcome::Told(Box::new(notice)),
        Err(error) => Outcome::Notice(error),
    }
}

/// A genuine notification with these fields besides, signed so.
fn notification(more: &[(&str, &str)], sign_type: SignType) -> Fields {
    let merchant = merchant();
    let mut fields = Fields::from_iter([
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", merchant.appid.as_str()),
        ("mch_id", merchant.mch_id.as_str()),
        ("nonce_str", "ArfVkYqqBv4IoMsP"),
        ("out_trade_no", "T86353213763162966717"),
        ("transaction_id", "4200067594314894319252063607"),
        ("total_fee", "1000"),
        ("time_end", "20261124183015"),
    ]);
    for (name, value) in more {
        fields.insert(*name, *value);
    }
    let signature = sign::sign(&fields, &merchant.api_key, sign_type);
    fields.insert("sign", signature);
    fields
}

/// The document of a notification whose attach is this value, written in this form.
fn with_attach(value: &str, written: &str) -> String {
    let fields = notification(&[("attach", value)], SignType::HmacSha256);
    let elements = fields.iter().filter(|(name, _)| *name != "attach");
    let elements: String =
        elements.map(|(name, text)| format!("<{name}>{text}</{name}>")).collect();
    format!("<xml>{elements}<attach>{written}</attach></xml>")
}

#[track_caller]
fn told(document: &str) -> PaymentNotice {
    match receive(document) {
        Outcome::Told(notice) => *notice,
        refused => panic!("{refused:?}: {document}"),
    }
}

#[test]
fn a_value_may_be_written_in_any_form() {
    for (value, written) in [
        ("a]]>b", "<![CDATA[a]]]]><![CDATA[>b]]>"),
        ("<!DOCTYPE xml>", "<![CDATA[<!DOCTYPE xml>]]>"),
        ("<!ENTITY a \"b\">", "&lt;!ENTITY a &quot;b&quot;&gt;"),
        ("支付", "&#25903;&#x4ED8;"),
        ("  17.a1b2 ", "  17.a1b2 "),
        ("\t17.a1b2\n", "<![CDATA[\t17.a1b2\n]]>"),
        ("a&b", "a<![CDATA[&]]>b"),
    ] {
        let notice = told(&with_attach(value, written));
        assert_eq!(notice.attach.as_deref(), Some(value), "{written}");
    }
}

#[test]
fn a_trimmed_value_breaks_the_signature() {
    let trimmed = with_attach(" 17.a1b2 ", "17.a1b2");
    assert_eq!(receive(&trimmed), Outcome::Sign(SignError::Mismatch));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_message() {
    told(&format!("\u{feff}{}", with_attach("x", "x")));
}

#[test]
fn a_doctype_before_a_well_signed_message_is_refused() {
    let document = format!("<!DOCTYPE xml>{}", with_attach("x", "x"));
    assert_eq!(receive(&document), Outcome::Xml(XmlError::Doctype));
}

#[test]
fn a_sign_type_that_contradicts_the_attempts_is_refused() {
    let refused = Outcome::Sign(SignError::OtherType);
    let named = notification(&[("sign_type", "MD5")], SignType::Md5);
    assert_eq!(receive(&xml::write(&named)), refused);
    let lying = notification(&[("sign_type", "MD5")], SignType::HmacSha256);
    assert_eq!(receive(&xml::write(&lying)), refused);
    let unnamed = notification(&[], SignType::Md5);
    assert_eq!(receive(&xml::write(&unnamed)), Outcome::Sign(SignError::Mismatch));
    told(&xml::write(&notification(&[("sign_type", "HMAC-SHA256")], SignType::HmacSha256)));
}

#[test]
fn with_coupons_the_whole_amount_counts() {
    let coupons = [
        ("cash_fee", "700"),
        ("coupon_fee", "300"),
        ("coupon_count", "1"),
        ("coupon_id_0", "2000000109"),
        ("coupon_fee_0", "300"),
        ("settlement_total_fee", "700"),
    ];
    let notice = told(&xml::write(&notification(&coupons, SignType::HmacSha256)));
    assert_eq!(notice.paid.total_fee, Money::from_fen(1000));
    assert_eq!(notice.paid.cash_fee, Some(Money::from_fen(700)));
}

#[test]
fn a_refund_message_at_the_payment_route_is_refused() {
    let fields = Fields::from_iter([
        ("return_code", "SUCCESS"),
        ("appid", "wx8f3c2e1a9b7d4c60"),
        ("mch_id", "1900012345"),
        ("nonce_str", "6E5QNUdlQpyCN4LX"),
        ("req_info", "6uznTYaCZWyLSLo4KRx/lXQWTnKHZhtu"),
    ]);
    assert_eq!(receive(&xml::write(&fields)), Outcome::Sign(SignError::Missing));
    let signed = notification(&[("req_info", "6uznTYaCZWy")], SignType::HmacSha256);
    let refused = Outcome::Notice(NoticeError::RefundNotice);
    assert_eq!(receive(&xml::write(&signed)), refused);
}
