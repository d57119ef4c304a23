#![allow(clippy::unwrap_used)]
use super::*;
use crate::domain::money::Money;
use crate::sandbox::settings::CloseUnknown;
use crate::sandbox::terms::tests::fields_with;
use crate::sandbox::trade::NewPayment;
use crate::sandbox::trade::tests::{NOON, key};
use crate::sandbox::world::tests::{app, world, world_with_an_order};
use secrecy::SecretString;

fn signed(mut fields: Fields, sign_type: SignType) -> Vec<u8> {
    if sign_type == SignType::HmacSha256 {
        fields.insert(sign::SIGN_TYPE, sign_type.as_str());
    }
    let signature = sign::sign(&fields, &app().api_key, sign_type);
    fields.insert(sign::SIGN, signature);
    xml::write(&fields).into_bytes()
}

/// Calls an interface and reads the verified answer.
fn ask(world: &mut World, interface: Interface, fields: Fields, now: Timestamp) -> Fields {
    let body = signed(fields, SignType::Md5);
    read(answer(world, interface, &body, None, now))
}

fn read(reply: Reply) -> Fields {
    let (_, body) = reply.render("n".to_owned(), false);
    xml::parse(body.as_bytes()).unwrap()
}

fn with(changes: &[(&str, &str)]) -> Fields {
    let base = [("appid", "wx8f3c2e1a9b7d4c60"), ("mch_id", "1900012345"), ("nonce_str", "n")];
    Fields::from_iter(base.into_iter().chain(changes.iter().copied()))
}

fn number() -> Fields {
    with(&[("out_trade_no", "20261125000001")])
}

fn pay(world: &mut World, transaction_id: &str) {
    let money = NewPayment {
        transaction_id: transaction_id.to_owned(),
        openid: "o-payer".to_owned(),
        total: Money::from_fen(1290),
        coupon: Money::ZERO,
    };
    assert!(world.pay(&key(), money, NOON));
}

fn refund_fields(number: &str, fen: &str) -> Fields {
    with(&[
        ("out_trade_no", "20261125000001"),
        ("out_refund_no", number),
        ("total_fee", "1290"),
        ("refund_fee", fen),
    ])
}

#[test]
fn unifiedorder_answers_a_prepay_id_signed_as_it_was_asked() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let body = signed(fields_with(&[]), sign_type);
        let fields = read(answer(&mut world(), Interface::UnifiedOrder, &body, None, NOON));
        assert_eq!(sign::verify(&fields, &app().api_key, sign_type), Ok(()));
        assert_eq!(fields.get("result_code"), Some("SUCCESS"));
        assert_eq!(fields.get("appid"), Some("wx8f3c2e1a9b7d4c60"));
        assert!(fields.filled("prepay_id").is_some());
    }
}

#[test]
fn what_cannot_be_verified_gets_no_signature() {
    let good = signed(fields_with(&[]), SignType::Md5);
    let text = String::from_utf8(good.clone()).unwrap();
    let bad_key = {
        let mut fields = fields_with(&[]);
        let sign = sign::sign(&fields, &SecretString::from("other"), SignType::Md5);
        fields.insert(sign::SIGN, sign);
        xml::write(&fields)
    };
    for (body, expected) in [
        (String::new(), "post数据为空"),
        ("{}".to_owned(), "XML格式错误"),
        (format!("<!DOCTYPE xml>{text}"), "XML格式错误"),
        (text.replace("1900012345", "1900099999"), "商户号mch_id不存在"),
        (text.replace("1290", "1"), "签名错误"),
        (bad_key, "签名错误"),
    ] {
        let reply = answer(&mut world(), Interface::UnifiedOrder, body.as_bytes(), None, NOON);
        let fields = read(reply);
        assert_eq!(fields.get("return_code"), Some("FAIL"));
        assert_eq!(fields.get("return_msg"), Some(expected));
        assert_eq!(fields.get("sign"), None);
    }
}

#[test]
fn refusals_are_signed_and_have_wechats_codes() {
    let mut world = world();
    for (name, value, code) in [
        ("appid", Some("wxother"), "APPID_NOT_EXIST"),
        ("appid", None, "LACK_PARAMS"),
        ("body", None, "LACK_PARAMS"),
        ("total_fee", Some("0"), "PARAM_ERROR"),
        ("nonce_str", None, "LACK_PARAMS"),
    ] {
        let fields = fields_with(&[(name, value)]);
        let answer = ask(&mut world, Interface::UnifiedOrder, fields, NOON);
        assert_eq!(answer.get("err_code"), Some(code), "{name}");
        assert_eq!(answer.get("result_code"), Some("FAIL"));
    }
}

#[test]
fn orderquery_tells_the_state_of_a_number() {
    let (mut world, _) = world_with_an_order();
    let state = |world: &mut World| {
        let answer = ask(world, Interface::OrderQuery, number(), NOON);
        answer.get("trade_state").unwrap_or("-").to_owned()
    };
    assert_eq!(state(&mut world), "NOTPAY");
    ask(&mut world, Interface::CloseOrder, number(), NOON);
    assert_eq!(state(&mut world), "CLOSED");
    pay(&mut world, "t1");
    assert_eq!(state(&mut world), "SUCCESS");
    ask(&mut world, Interface::Refund, refund_fields("r1", "1"), NOON);
    assert_eq!(state(&mut world), "REFUND");
}

#[test]
fn orderquery_by_transaction_id_finds_the_second_payment() {
    let (mut world, _) = world_with_an_order();
    pay(&mut world, "t1");
    pay(&mut world, "t2");
    let by = |world: &mut World, id: &str| {
        let fields = with(&[("transaction_id", id)]);
        ask(world, Interface::OrderQuery, fields, NOON)
    };
    assert_eq!(by(&mut world, "t2").get("transaction_id"), Some("t2"));
    assert_eq!(by(&mut world, "t2").get("openid"), Some("o-payer"));
    assert_eq!(by(&mut world, "t3").get("err_code"), Some("ORDERNOTEXIST"));
    let none = ask(&mut world, Interface::OrderQuery, with(&[]), NOON);
    assert_eq!(none.get("err_code"), Some("LACK_PARAMS"));
}

#[test]
fn closeorder_answers_by_the_state() {
    let (mut world, _) = world_with_an_order();
    let close = |world: &mut World| {
        let answer = ask(world, Interface::CloseOrder, number(), NOON);
        answer.get("err_code").unwrap_or("-").to_owned()
    };
    assert_eq!(close(&mut world), "-");
    assert_eq!(close(&mut world), "ORDERCLOSED");
    pay(&mut world, "t1");
    assert_eq!(close(&mut world), "ORDERPAID");
    let mut empty = super::tests::world();
    assert_eq!(close(&mut empty), "ORDERNOTEXIST");
    empty.settings.close_unknown = CloseUnknown::Success;
    assert_eq!(close(&mut empty), "-");
}

#[test]
fn refunds_are_found_by_each_of_their_numbers() {
    let (mut world, _) = world_with_an_order();
    pay(&mut world, "t1");
    let none = ask(&mut world, Interface::RefundQuery, number(), NOON);
    assert_eq!(none.get("err_code"), Some("REFUNDNOTEXIST"));
    let fields = refund_fields("r1", "90");
    let accepted = ask(&mut world, Interface::Refund, fields, NOON);
    let refund_id = accepted.get("refund_id").unwrap().to_owned();
    for (name, value) in [
        ("refund_id", refund_id.as_str()),
        ("out_refund_no", "r1"),
        ("transaction_id", "t1"),
        ("out_trade_no", "20261125000001"),
    ] {
        let fields = with(&[(name, value)]);
        let found = ask(&mut world, Interface::RefundQuery, fields, NOON);
        assert_eq!(found.get("refund_fee_0"), Some("90"), "{name}");
        assert_eq!(found.get("refund_status_0"), Some("SUCCESS"), "{name}");
    }
    let unknown = with(&[("out_refund_no", "r9")]);
    let unknown = ask(&mut world, Interface::RefundQuery, unknown, NOON);
    assert_eq!(unknown.get("err_code"), Some("REFUNDNOTEXIST"));
}

#[test]
fn refundquery_pages_by_ten() {
    let (mut world, _) = world_with_an_order();
    world.settings.refund_min_gap_seconds = 0;
    pay(&mut world, "t1");
    for n in 0..12 {
        let fields = refund_fields(&format!("r{n}"), "1");
        ask(&mut world, Interface::Refund, fields, NOON);
    }
    let page = |world: &mut World, offset: &str| {
        let mut fields = number();
        fields.insert("offset", offset);
        ask(world, Interface::RefundQuery, fields, NOON)
    };
    let first = page(&mut world, "");
    assert_eq!(first.get("refund_count"), Some("10"));
    assert_eq!(first.get("total_refund_count"), Some("12"));
    let second = page(&mut world, "10");
    assert_eq!(second.get("refund_count"), Some("2"));
    assert_eq!(second.get("out_refund_no_1"), Some("r11"));
    assert_eq!(page(&mut world, "12").get("err_code"), Some("PARAM_ERROR"));
}

#[test]
fn a_forced_code_changes_nothing() {
    let mut world = world();
    let body = signed(fields_with(&[]), SignType::Md5);
    let code = FaultCode::Text("SYSTEMERROR".to_owned());
    let interface = Interface::UnifiedOrder;
    let fields = read(answer(&mut world, interface, &body, Some(&code), NOON));
    assert_eq!(fields.get("err_code"), Some("SYSTEMERROR"));
    let query = ask(&mut world, Interface::OrderQuery, number(), NOON);
    assert_eq!(query.get("err_code"), Some("ORDERNOTEXIST"));
}
