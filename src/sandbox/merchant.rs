//! The merchant platform: unifiedorder, orderquery, closeorder, refund, refundquery (v2, XML).
//!
//! It reads and verifies a request, strictly and with the key of its own configuration, hands it to
//! the rules of `trade.rs` and `refund.rs`, and words the answer. What could not be read or
//! verified gets an answer without signature; everything else is signed with the type of the
//! request.

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
#[path = "merchant_tests.rs"]
mod tests;
