//! The merchant platform: unifiedorder, orderquery, closeorder, refund, refundquery (v2, XML).
//!
//! It reads and verifies a request, strictly and with the key of its own configuration, hands it to
//! the rules of `trade.rs` and `refund.rs`, and words the answer. What could not be read or verified
//! gets an answer without signature; everything else is signed with the type of the request.

use std::sync::Arc;

use super::beijing;
use super::fault::FaultCode;
use super::notice;
use super::refund::{self, Place, Refund, RefundRequest};
use super::refusal::Refusal;
use super::reply::{Reply, refused};
use super::terms::OrderRequest;
use super::trade::{Payment, Trade, TradeKey};
use super::world::{App, World};
use crate::clock::Timestamp;
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::{self, Fields, XmlError};

/// Rule: refundquery, ten refunds at a time.
const REFUNDS_PER_ANSWER: usize = 10;
/// Rule: refundquery, with more than twenty refunds ask by refund number.
const REFUNDS_LISTED_MAX: usize = 20;

/// The interfaces of the merchant platform that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    UnifiedOrder,
    OrderQuery,
    CloseOrder,
    Refund,
    RefundQuery,
}

impl Interface {
    pub(super) const ALL: [Self; 5] =
        [Self::UnifiedOrder, Self::OrderQuery, Self::CloseOrder, Self::Refund, Self::RefundQuery];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::UnifiedOrder => "/pay/unifiedorder",
            Self::OrderQuery => "/pay/orderquery",
            Self::CloseOrder => "/pay/closeorder",
            Self::Refund => "/secapi/pay/refund",
            Self::RefundQuery => "/pay/refundquery",
        }
    }
}

/// A request whose signature holds.
struct Verified {
    fields: Fields,
    app: Arc<App>,
    sign_type: SignType,
}

/// Answers one call. With `forced` the call is refused with that code once it is verified.
pub(super) fn answer(
    world: &mut World,
    interface: Interface,
    body: &[u8],
    forced: Option<&FaultCode>,
    now: Timestamp,
) -> Reply {
    let verified = match verify(world, body) {
        Ok(verified) => verified,
        Err(text) => return Reply::Unsigned(text),
    };
    let outcome = match forced {
        Some(code) => Err(Refusal::Ordered(code.text())),
        None => {
            check_appid(world, &verified).and_then(|()| perform(world, interface, &verified, now))
        }
    };
    let fields = match outcome {
        Ok(mut fields) => {
            fields.insert("result_code", "SUCCESS");
            fields
        }
        Err(refusal) => refused(&refusal),
    };
    Reply::Signed { fields, app: verified.app, sign_type: verified.sign_type }
}

fn verify(world: &World, body: &[u8]) -> Result<Verified, &'static str> {
    if body.is_empty() {
        return Err("post数据为空");
    }
    let fields = xml::parse(body).map_err(|error| match error {
        XmlError::NotUtf8 => "编码格式错误",
        _ => "XML格式错误",
    })?;
    let mch_id = fields.filled("mch_id").ok_or("缺少参数mch_id")?;
    let app = world.merchant(mch_id).ok_or("商户号mch_id不存在")?;
    let sign_type = match fields.filled(sign::SIGN_TYPE) {
        None => SignType::Md5,
        Some(named) => SignType::parse(named).map_err(|_| "签名类型错误")?,
    };
    sign::verify(&fields, &app.api_key, sign_type).map_err(|_| "签名错误")?;
    Ok(Verified { fields, app, sign_type })
}

fn check_appid(world: &World, verified: &Verified) -> Result<(), Refusal> {
    let fields = &verified.fields;
    let appid = fields.filled("appid").ok_or(Refusal::Lacks("appid"))?;
    let app = world.app(appid).ok_or(Refusal::UnknownAppid)?;
    if app.mch_id != verified.app.mch_id {
        return Err(Refusal::OtherMerchant);
    }
    match fields.filled("nonce_str") {
        None => Err(Refusal::Lacks("nonce_str")),
        Some(nonce) if nonce.len() > 32 => Err(Refusal::Parameter("nonce_str")),
        Some(_) => Ok(()),
    }
}

fn perform(
    world: &mut World,
    interface: Interface,
    verified: &Verified,
    now: Timestamp,
) -> Result<Fields, Refusal> {
    let fields = &verified.fields;
    match interface {
        Interface::UnifiedOrder => unified_order(world, verified, now),
        Interface::OrderQuery => order_query(world, fields),
        Interface::CloseOrder => close_order(world, fields, now),
        Interface::Refund => refund_order(world, fields, now),
        Interface::RefundQuery => refund_query(world, fields, now),
    }
}

fn unified_order(
    world: &mut World,
    verified: &Verified,
    now: Timestamp,
) -> Result<Fields, Refusal> {
    let request = OrderRequest::read(&verified.fields, verified.sign_type)?;
    let World { trades, settings, serial, .. } = world;
    let prepay_id = trades.place(request, now, settings, serial)?;
    Ok(Fields::from_iter([("trade_type", "JSAPI".to_owned()), ("prepay_id", prepay_id)]))
}

fn key_of(fields: &Fields) -> Result<TradeKey, Refusal> {
    let text =
        |name: &'static str| fields.filled(name).map(str::to_owned).ok_or(Refusal::Lacks(name));
    Ok(TradeKey { mch_id: text("mch_id")?, out_trade_no: text("out_trade_no")? })
}

/// The transaction_id wins over the number.
fn find<'a>(
    world: &'a World,
    fields: &Fields,
) -> Result<(&'a Trade, Option<&'a Payment>), Refusal> {
    if let Some(transaction_id) = fields.filled("transaction_id") {
        let mch_id = fields.get("mch_id").unwrap_or_default();
        let trade = world.trades.by_transaction(mch_id, transaction_id);
        let trade = trade.ok_or(Refusal::UnknownOrder)?;
        return Ok((trade, trade.payment(transaction_id)));
    }
    let trade = world.trades.get(&key_of(fields)?);
    let trade = trade.ok_or(Refusal::UnknownOrder)?;
    Ok((trade, trade.payments.first()))
}

fn order_query(world: &World, fields: &Fields) -> Result<Fields, Refusal> {
    let (trade, paid) = find(world, fields)?;
    let state = trade.state(paid);
    let mut answer = match paid {
        Some(paid) => notice::payment_fields(trade, paid),
        None => unpaid_fields(trade),
    };
    answer.insert("trade_state", state.as_str());
    answer.insert("trade_state_desc", state.describe());
    Ok(answer)
}

fn unpaid_fields(trade: &Trade) -> Fields {
    let mut fields = Fields::from_iter([
        ("out_trade_no", trade.key.out_trade_no.clone()),
        ("total_fee", trade.total.as_fen().to_string()),
    ]);
    if let Some(attach) = &trade.attach {
        fields.insert("attach", attach.as_str());
    }
    fields
}

fn close_order(world: &mut World, fields: &Fields, now: Timestamp) -> Result<Fields, Refusal> {
    let key = key_of(fields)?;
    world.trades.close(&key, now, &world.settings)?;
    // A late payment that is to land in the same instant does so before the next query.
    world.advance(now);
    Ok(Fields::from_iter([("result_msg", "OK")]))
}

fn refund_order(world: &mut World, fields: &Fields, now: Timestamp) -> Result<Fields, Refusal> {
    let request = RefundRequest::read(fields)?;
    let World { trades, refunds, settings, serial, .. } = world;
    let accepted = refund::refund(trades, refunds, settings, serial, &request, now)?;
    let fee = accepted.refund_fee.as_fen().to_string();
    let total = accepted.total_fee.as_fen().to_string();
    Ok(Fields::from_iter([
        ("transaction_id", accepted.transaction_id),
        ("out_trade_no", accepted.key.out_trade_no),
        ("out_refund_no", request.out_refund_no),
        ("refund_id", accepted.refund_id),
        ("refund_fee", fee.clone()),
        ("cash_refund_fee", fee),
        ("cash_fee", total.clone()),
        ("total_fee", total),
    ]))
}

/// What a refundquery asks for: a payment, and one of its refunds or all.
fn queried(world: &World, fields: &Fields) -> Result<(Place, Option<String>), Refusal> {
    let mch_id = fields.get("mch_id").unwrap_or_default();
    if let Some(refund_id) = fields.filled("refund_id") {
        let place = world.refunds.by_id(mch_id, refund_id).cloned();
        let place = place.ok_or(Refusal::UnknownRefund)?;
        return Ok((place, Some(refund_id.to_owned())));
    }
    if let Some(number) = fields.filled("out_refund_no") {
        let place = world.refunds.by_number(mch_id, number).cloned();
        let place = place.ok_or(Refusal::UnknownRefund)?;
        return Ok((place, Some(number.to_owned())));
    }
    if fields.filled("transaction_id").is_none() && fields.filled("out_trade_no").is_none() {
        return Err(Refusal::Lacks("out_refund_no"));
    }
    let (trade, paid) = find(world, fields)?;
    let paid = paid.ok_or(Refusal::UnknownRefund)?;
    Ok(((trade.key.clone(), paid.transaction_id.clone()), None))
}

fn refund_query(world: &World, fields: &Fields, now: Timestamp) -> Result<Fields, Refusal> {
    let ((key, transaction_id), only) = queried(world, fields)?;
    let trade = world.trades.get(&key).ok_or(Refusal::UnknownRefund)?;
    let paid = trade.payment(&transaction_id);
    let paid = paid.ok_or(Refusal::UnknownRefund)?;
    let wanted = |refund: &&Refund| {
        only.as_deref().is_none_or(|name| refund.out_refund_no == name || refund.refund_id == name)
    };
    let refunds: Vec<&Refund> = paid.refunds.iter().filter(wanted).collect();
    if refunds.is_empty() {
        return Err(Refusal::UnknownRefund);
    }
    let offset = offset(fields, refunds.len())?;
    let shown = refunds.iter().skip(offset).take(REFUNDS_PER_ANSWER);
    let mut answer = Fields::from_iter([
        ("transaction_id", transaction_id),
        ("out_trade_no", key.out_trade_no.clone()),
        ("total_fee", paid.total.as_fen().to_string()),
        ("cash_fee", paid.total.as_fen().to_string()),
        ("refund_count", shown.len().to_string()),
        ("total_refund_count", refunds.len().to_string()),
    ]);
    for (n, refund) in shown.enumerate() {
        describe_refund(&mut answer, n, refund, now);
    }
    Ok(answer)
}

fn offset(fields: &Fields, refunds: usize) -> Result<usize, Refusal> {
    if refunds > REFUNDS_LISTED_MAX {
        return Err(Refusal::Parameter("out_refund_no"));
    }
    let Some(offset) = fields.filled("offset") else {
        return Ok(0);
    };
    let offset = offset.parse().ok().filter(|offset| *offset < refunds);
    offset.ok_or(Refusal::Parameter("offset"))
}

fn describe_refund(answer: &mut Fields, n: usize, refund: &Refund, now: Timestamp) {
    let (status, succeeded_at) = refund.status(now);
    let mut put = |name: &str, value: String| drop(answer.insert(format!("{name}_{n}"), value));
    put("out_refund_no", refund.out_refund_no.clone());
    put("refund_id", refund.refund_id.clone());
    put("refund_channel", "ORIGINAL".to_owned());
    put("refund_fee", refund.fee.as_fen().to_string());
    put("refund_status", status.as_str().to_owned());
    put("refund_recv_accout", "支付用户零钱".to_owned());
    if let Some(at) = succeeded_at {
        put("refund_success_time", beijing::spaced(at));
    }
}

#[cfg(test)]
mod tests {
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
}
