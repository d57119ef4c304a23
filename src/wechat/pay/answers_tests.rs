#![allow(clippy::unwrap_used)]
use super::*;
use secrecy::SecretString;

use crate::wechat::pay::RefundOf;
use crate::wechat::sign::{SIGN, SIGN_TYPE, SignType};

fn merchant(sign_type: SignType) -> Merchant {
    Merchant {
        appid: "wx8f3c2e1a9b7d4c60".to_owned(),
        mch_id: "1900012345".to_owned(),
        api_key: SecretString::from("8934e7d15453e97507ef794cf7b0519d"),
        sign_type,
    }
}

fn number() -> OutTradeNo {
    OutTradeNo::parse("T86353213763162966717").unwrap()
}

/// A signed answer as WeChat gives it, with these fields changed; an empty value takes one away.
fn answer(changes: &[(&str, &str)]) -> String {
    let mut fields = Fields::from_iter([
        ("return_code", "SUCCESS"),
        ("return_msg", "OK"),
        ("appid", "wx8f3c2e1a9b7d4c60"),
        ("mch_id", "1900012345"),
        ("nonce_str", "ArfVkYqqBv4IoMsP"),
        ("result_code", "SUCCESS"),
    ]);
    for (name, value) in changes {
        fields.insert(*name, *value);
    }
    let key = merchant(SignType::Md5).api_key;
    let signature = sign::sign(&fields, &key, SignType::Md5);
    fields.insert(SIGN, signature);
    xml::write(&fields)
}

fn opened(document: &str) -> Result<Fields, PayError> {
    open(document.as_bytes(), &merchant(SignType::Md5))
}

#[track_caller]
fn check_unknown(document: &str, expected: UnknownCause) {
    assert_eq!(opened(document), Err(PayError::Unknown(expected)), "{document}");
}

#[test]
fn a_signed_success_is_opened() {
    let fields = opened(&answer(&[("prepay_id", "wx26112410")])).unwrap();
    assert_eq!(prepay_id(&fields), Ok("wx26112410".to_owned()));
}

#[test]
fn a_signed_refusal_is_refused_by_its_code() {
    let document = answer(&[
        ("result_code", "FAIL"),
        ("err_code", "ORDERPAID"),
        ("err_code_des", "该订单已支付"),
    ]);
    let description = "该订单已支付".to_owned();
    let refused = PayError::Refused { code: ErrCode::OrderPaid, description };
    assert_eq!(opened(&document), Err(refused));
}

#[test]
fn wechat_not_knowing_itself_is_unknown() {
    for code in ["SYSTEMERROR", "BIZERR_NEED_RETRY"] {
        let document = answer(&[("result_code", "FAIL"), ("err_code", code)]);
        check_unknown(&document, UnknownCause::System(ErrCode::parse(code)));
    }
}

#[test]
fn without_a_valid_signature_there_is_no_answer() {
    let document = answer(&[("result_code", "FAIL"), ("err_code", "ORDERCLOSED")]);
    check_unknown(&document.replace("ORDERCLOSED", "ORDERPAID"), UnknownCause::BadSignature);
    let unsigned =
        "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code></xml>";
    check_unknown(unsigned, UnknownCause::BadSignature);
    let hmac = open(document.as_bytes(), &merchant(SignType::HmacSha256));
    assert_eq!(hmac, Err(UnknownCause::BadSignature.into()));
    check_unknown(&answer(&[(SIGN_TYPE, "HMAC-SHA256")]), UnknownCause::BadSignature);
}

#[test]
fn return_code_fail_is_unsigned_and_proves_nothing() {
    let document =
        "<xml><return_code>FAIL</return_code><return_msg><![CDATA[签名错误]]></return_msg></xml>";
    check_unknown(document, UnknownCause::ReturnFail("签名错误".to_owned()));
}

#[test]
fn answers_of_others_are_no_answers() {
    check_unknown(&answer(&[("mch_id", "1900099999")]), UnknownCause::OtherMerchant);
    check_unknown(&answer(&[("appid", "wx0000000000000000")]), UnknownCause::OtherMerchant);
}

#[test]
fn garbage_is_no_answer() {
    let not_a_message = UnknownCause::Garbage("not a v2 message");
    check_unknown("<html><body>502</body></html>", not_a_message.clone());
    check_unknown("", not_a_message.clone());
    check_unknown(&format!("<!DOCTYPE xml>{}", answer(&[])), not_a_message);
    check_unknown("<xml><return_code>OK</return_code></xml>", UnknownCause::Garbage("return_code"));
    check_unknown(&answer(&[("result_code", "")]), UnknownCause::Garbage("result_code"));
    check_unknown(&answer(&[("result_code", "FAIL")]), UnknownCause::Garbage("err_code"));
    let fields = opened(&answer(&[])).unwrap();
    assert_eq!(prepay_id(&fields), Err(garbage("prepay_id")));
}

#[test]
fn a_close_answer_with_empty_elements_is_a_success() {
    let document = answer(&[
        ("result_msg", ""),
        ("err_code", ""),
        ("err_code_des", ""),
        ("device_info", ""),
        ("sub_mch_id", ""),
    ]);
    assert!(opened(&document).is_ok());
    assert!(opened(&document.replace("<![CDATA[]]>", "")).is_ok());
}

fn paid_fields(changes: &[(&str, &str)]) -> Fields {
    let mut all = vec![
        ("trade_state", "SUCCESS"),
        ("out_trade_no", "T86353213763162966717"),
        ("attach", "17.a1b2"),
        ("transaction_id", "4200067594314894319252063607"),
        ("total_fee", "4215"),
        ("cash_fee", "4215"),
        ("bank_type", "OTHERS"),
        ("openid", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        ("time_end", "20261124183015"),
    ];
    all.extend_from_slice(changes);
    opened(&answer(&all)).unwrap()
}

#[test]
fn a_paid_trade_tells_its_payment_also_after_a_refund() {
    for (text, state) in [("SUCCESS", TradeState::Success), ("REFUND", TradeState::Refund)] {
        let trade = trade(&paid_fields(&[("trade_state", text)]), &number()).unwrap();
        assert_eq!(trade.state, state);
        assert_eq!(trade.attach.as_deref(), Some("17.a1b2"));
        let paid = trade.paid.unwrap();
        assert_eq!(paid.total_fee, Money::from_fen(4215));
        assert_eq!(Some(paid.paid_at), from_beijing("20261124183015"));
    }
}

#[test]
fn an_unpaid_trade_has_no_payment() {
    for (text, state) in [
        ("NOTPAY", TradeState::NotPay),
        ("CLOSED", TradeState::Closed),
        ("REVOKED", TradeState::Revoked),
        ("USERPAYING", TradeState::UserPaying),
        ("PAYERROR", TradeState::PayError),
        ("ACCEPT", TradeState::Accept),
        ("NEW_STATE", TradeState::Other("NEW_STATE".to_owned())),
    ] {
        let document = answer(&[("trade_state", text), ("out_trade_no", "T86353213763162966717")]);
        let trade = trade(&opened(&document).unwrap(), &number()).unwrap();
        assert_eq!((trade.state, trade.paid, trade.attach), (state, None, None));
    }
    assert!(TradeState::Closed.is_final_unpaid() && TradeState::Revoked.is_final_unpaid());
    assert!(!TradeState::NotPay.is_final_unpaid() && !TradeState::PayError.is_final_unpaid());
}

#[test]
fn a_trade_that_says_paid_but_not_what_is_unknown() {
    for name in ["transaction_id", "total_fee", "time_end"] {
        assert_eq!(trade(&paid_fields(&[(name, "")]), &number()), Err(garbage(name)), "{name}");
    }
    assert_eq!(trade(&paid_fields(&[("fee_type", "USD")]), &number()), Err(garbage("fee_type")));
    assert_eq!(
        trade(&paid_fields(&[("out_trade_no", "T00000000000000000000")]), &number()),
        Err(UnknownCause::OtherMerchant.into())
    );
    assert_eq!(trade(&paid_fields(&[("trade_state", "")]), &number()), Err(garbage("trade_state")));
}

fn refund_request() -> RefundRequest {
    RefundRequest {
        payment: RefundOf::OutTradeNo(number()),
        out_refund_no: OutRefundNo::parse("r4200067594-1").unwrap(),
        total_fee: Money::from_fen(4215),
        refund_fee: Money::from_fen(4215),
        refund_desc: None,
        notify_url: None,
    }
}

#[test]
fn an_accepted_refund_is_the_one_asked_for() {
    let good = [
        ("refund_id", "50000408942018111907145868882"),
        ("out_refund_no", "r4200067594-1"),
        ("transaction_id", "4200067594"),
        ("refund_fee", "4215"),
    ];
    let read = |changes: &[(&str, &str)]| {
        let fields = opened(&answer(&[&good[..], changes].concat())).unwrap();
        accepted(&fields, &refund_request())
    };
    assert_eq!(read(&[]).unwrap().refund_fee, Money::from_fen(4215));
    assert_eq!(read(&[("out_refund_no", "r1-1")]), Err(UnknownCause::OtherMerchant.into()));
    assert_eq!(read(&[("refund_fee", "1")]), Err(garbage("refund_fee")));
    assert_eq!(read(&[("refund_id", "")]), Err(garbage("refund_id")));
    assert_eq!(read(&[("transaction_id", "")]), Err(garbage("transaction_id")));
}

#[test]
fn refunds_are_read_by_their_index() {
    let good = [
        ("refund_count", "2"),
        ("total_refund_count", "12"),
        ("out_refund_no_0", "r1-1"),
        ("refund_id_0", "5001"),
        ("refund_fee_0", "100"),
        ("refund_status_0", "SUCCESS"),
        ("refund_success_time_0", "2026-11-24 18:30:15"),
        ("out_refund_no_1", "r1-2"),
        ("refund_id_1", "5002"),
        ("refund_fee_1", "200"),
        ("refund_status_1", "PROCESSING"),
    ];
    let read = |changes: &[(&str, &str)]| {
        let fields = opened(&answer(&[&good[..], changes].concat())).unwrap();
        refund_page(&fields)
    };
    let page = read(&[]).ok().unwrap();
    assert_eq!(page.total, 12);
    assert_eq!(page.refunds[0].success_at, from_beijing("20261124183015"));
    assert_eq!(page.refunds[1].state, RefundState::Processing);
    for (text, state) in [("REFUNDCLOSE", RefundState::Closed), ("CHANGE", RefundState::Abnormal)] {
        assert_eq!(read(&[("refund_status_1", text)]).ok().unwrap().refunds[1].state, state);
    }
    for (name, value) in [("refund_count", "3"), ("refund_count", "9999999"), ("refund_fee_1", "x")]
    {
        assert!(read(&[(name, value)]).is_err(), "{name}={value}");
    }
}
