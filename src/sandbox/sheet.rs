//! The buyer's side of a payment: the pay sheet on the phone, and money that comes without it.
//!
//! It checks what wx.requestPayment would (paySign, prepay_id, the trade's state) and then does
//! what the buyer does.

use serde::{Deserialize, Serialize};

use super::control::ControlError;
use super::trade::{Late, NewPayment, Trade, TradeKey, TradeState};
use super::world::World;
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::Fields;

/// What the buyer does with the sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayAction {
    #[default]
    Pay,
    /// Gives up; the trade stays NOTPAY.
    Cancel,
    /// Pays twice under one number, with two transaction_ids.
    Twice,
    /// Pays, but the money lands only after the shop has closed the number.
    Late,
    /// The bank says no: PAYERROR.
    Fail,
}

/// What the mini-program hands to wx.requestPayment, and what the buyer then does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaySheet {
    pub appid: String,
    #[serde(rename = "timeStamp")]
    pub time_stamp: String,
    #[serde(rename = "nonceStr")]
    pub nonce_str: String,
    pub package: String,
    #[serde(rename = "signType")]
    pub sign_type: String,
    #[serde(rename = "paySign")]
    pub pay_sign: String,
    #[serde(default)]
    pub action: PayAction,
    /// The part that a coupon of WeChat's pays.
    #[serde(default)]
    pub coupon_fen: i64,
    /// Over HTTP: answer only after the shop has been notified once.
    #[serde(default)]
    pub wait: bool,
}

impl PaySheet {
    /// From the shop's PAYMENT as it stands in its API.
    pub fn new(
        appid: &str,
        payment: &serde_json::Value,
        action: PayAction,
    ) -> Result<Self, ControlError> {
        let mut sheet = payment.clone();
        sheet["appid"] = appid.into();
        let sheet: Self = serde_json::from_value(sheet)
            .map_err(|error| ControlError::Invalid(error.to_string()))?;
        Ok(Self { action, ..sheet })
    }
}

/// What wx.requestPayment reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayResult {
    Ok,
    Cancel,
    Fail,
}

/// Why the sheet could not be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayFailure {
    UnknownApp,
    BadPaySign,
    UnknownPrepay,
    /// The prepay_id is older than two hours.
    PrepayExpired,
    /// `time_expire` has passed.
    OrderExpired,
    OrderPaid,
    OrderClosed,
    /// The buyer's bank refused, as told.
    Refused,
}

/// What became of the sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayOutcome {
    pub result: PayResult,
    pub reason: Option<PayFailure>,
    pub out_trade_no: Option<String>,
    /// The first of `transaction_ids`.
    pub transaction_id: Option<String>,
    /// Two after `twice`; the one that will land after `late`.
    pub transaction_ids: Vec<String>,
}

impl PayOutcome {
    fn new(result: PayResult, reason: Option<PayFailure>, number: Option<&str>) -> Self {
        Self {
            result,
            reason,
            out_trade_no: number.map(str::to_owned),
            transaction_id: None,
            transaction_ids: Vec::new(),
        }
    }

    fn failed(reason: PayFailure, trade: Option<&Trade>) -> Self {
        let number = trade.map(|trade| trade.key.out_trade_no.as_str());
        Self::new(PayResult::Fail, Some(reason), number)
    }
}

/// The buyer acts on the sheet.
pub(super) fn act(world: &mut World, sheet: &PaySheet, now: Timestamp) -> PayOutcome {
    let key = match check(world, sheet, now) {
        Ok(key) => key,
        Err(outcome) => return outcome,
    };
    let number = Some(key.out_trade_no.as_str());
    let ids = match sheet.action {
        PayAction::Cancel => return PayOutcome::new(PayResult::Cancel, None, number),
        PayAction::Fail => {
            if let Some(trade) = world.trades.get_mut(&key) {
                trade.failed = true;
            }
            return PayOutcome::new(PayResult::Fail, Some(PayFailure::Refused), number);
        }
        PayAction::Pay => vec![pay(world, &key, sheet, now)],
        PayAction::Twice => vec![pay(world, &key, sheet, now), pay(world, &key, sheet, now)],
        PayAction::Late => vec![pay_late(world, &key, sheet)],
    };
    PayOutcome {
        transaction_id: ids.first().cloned(),
        transaction_ids: ids,
        ..PayOutcome::new(PayResult::Ok, None, number)
    }
}

/// The guards, in the order in which the phone would meet them.
fn check(world: &World, sheet: &PaySheet, now: Timestamp) -> Result<TradeKey, PayOutcome> {
    let failed = |reason| Err(PayOutcome::failed(reason, None));
    let Some(app) = world.app(&sheet.appid) else {
        return failed(PayFailure::UnknownApp);
    };
    let Ok(sign_type) = SignType::parse(&sheet.sign_type) else {
        return failed(PayFailure::BadPaySign);
    };
    let well_signed = sign::verify(&signed_fields(sheet), &app.api_key, sign_type).is_ok();
    let seconds = sheet.time_stamp.bytes().all(|byte| byte.is_ascii_digit());
    if !well_signed || !seconds {
        return failed(PayFailure::BadPaySign);
    }
    let prepay_id = sheet.package.strip_prefix("prepay_id=").unwrap_or_default();
    let trade = world.trades.by_prepay(prepay_id);
    let Some(trade) = trade.filter(|trade| trade.appid == sheet.appid) else {
        return failed(PayFailure::UnknownPrepay);
    };
    let reason = match trade.state(None) {
        TradeState::Success | TradeState::Refund => PayFailure::OrderPaid,
        TradeState::Closed => PayFailure::OrderClosed,
        _ if trade.sign_type != sign_type => PayFailure::BadPaySign,
        _ if now >= trade.expires_at => PayFailure::OrderExpired,
        _ if !trade.prepay_is_good(prepay_id, now) => PayFailure::PrepayExpired,
        _ => return Ok(trade.key.clone()),
    };
    Err(PayOutcome::failed(reason, Some(trade)))
}

fn signed_fields(sheet: &PaySheet) -> Fields {
    Fields::from_iter([
        ("appId", sheet.appid.as_str()),
        ("nonceStr", sheet.nonce_str.as_str()),
        ("package", sheet.package.as_str()),
        ("signType", sheet.sign_type.as_str()),
        ("timeStamp", sheet.time_stamp.as_str()),
        (sign::SIGN, sheet.pay_sign.as_str()),
    ])
}

/// A coupon pays at most all but one fen.
fn coupon(total: Money, coupon_fen: i64) -> Money {
    Money::from_fen(coupon_fen.clamp(0, total.as_fen() - 1))
}

fn pay(world: &mut World, key: &TradeKey, sheet: &PaySheet, now: Timestamp) -> String {
    let transaction_id = world.serial.transaction_id();
    if let Some(trade) = world.trades.get(key) {
        let money = NewPayment {
            transaction_id: transaction_id.clone(),
            openid: trade.openid.clone(),
            total: trade.total,
            coupon: coupon(trade.total, sheet.coupon_fen),
        };
        world.pay(key, money, now);
    }
    transaction_id
}

fn pay_late(world: &mut World, key: &TradeKey, sheet: &PaySheet) -> String {
    let transaction_id = world.serial.transaction_id();
    if let Some(trade) = world.trades.get_mut(key) {
        trade.late = Some(Late {
            transaction_id: transaction_id.clone(),
            coupon: coupon(trade.total, sheet.coupon_fen),
        });
    }
    transaction_id
}

/// Money for a number without a sheet and in any state: for tests.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayByNumber {
    pub out_trade_no: String,
    /// Drawn when absent.
    #[serde(default)]
    pub transaction_id: Option<String>,
    /// The order's amount when absent.
    #[serde(default)]
    pub amount_fen: Option<i64>,
    /// The payer; the order's openid when absent.
    #[serde(default)]
    pub openid: Option<String>,
    #[serde(default)]
    pub coupon_fen: i64,
}

/// Lets the money come in; the answer is the transaction_id.
pub(super) fn pay_by_number(
    world: &mut World,
    command: &PayByNumber,
    now: Timestamp,
) -> Result<String, ControlError> {
    let key = world.find_trade(&command.out_trade_no).ok_or(ControlError::UnknownTrade)?;
    let transaction_id = match &command.transaction_id {
        Some(id) if (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => {
            id.clone()
        }
        Some(_) => return Err(ControlError::Invalid("transaction_id".to_owned())),
        None => world.serial.transaction_id(),
    };
    let trade = world.trades.get(&key).ok_or(ControlError::UnknownTrade)?;
    let total = command.amount_fen.map_or(trade.total, Money::from_fen);
    if total.as_fen() < 1 {
        return Err(ControlError::Invalid("amount_fen".to_owned()));
    }
    let money = NewPayment {
        transaction_id: transaction_id.clone(),
        openid: command.openid.clone().unwrap_or_else(|| trade.openid.clone()),
        total,
        coupon: coupon(total, command.coupon_fen),
    };
    if world.pay(&key, money, now) {
        Ok(transaction_id)
    } else {
        Err(ControlError::Conflict("the transaction_id is taken".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sandbox::terms::tests::APPID;
    use crate::sandbox::trade::tests::{NOON, key};
    use crate::sandbox::world::tests::{app, world_with_an_order};

    fn sheet(prepay_id: &str, action: PayAction) -> PaySheet {
        let mut sheet = PaySheet {
            appid: APPID.to_owned(),
            time_stamp: "1795500000".to_owned(),
            nonce_str: "n".to_owned(),
            package: format!("prepay_id={prepay_id}"),
            sign_type: "MD5".to_owned(),
            pay_sign: String::new(),
            action,
            coupon_fen: 0,
            wait: false,
        };
        sheet.pay_sign = sign::sign(&signed_fields(&sheet), &app().api_key, SignType::Md5);
        sheet
    }

    fn reason(world: &mut World, sheet: &PaySheet, now: Timestamp) -> Option<PayFailure> {
        act(world, sheet, now).reason
    }

    #[test]
    fn paying_makes_the_trade_paid_and_due_for_notification() {
        let (mut world, prepay_id) = world_with_an_order();
        let outcome = act(&mut world, &sheet(&prepay_id, PayAction::Pay), NOON);
        assert_eq!(outcome.result, PayResult::Ok);
        let trade = world.trades.get(&key()).unwrap();
        assert_eq!(trade.payments[0].transaction_id, outcome.transaction_ids[0]);
        assert!(world.notices.has_due(NOON));
        let again = sheet(&prepay_id, PayAction::Pay);
        assert_eq!(reason(&mut world, &again, NOON), Some(PayFailure::OrderPaid));
    }

    #[test]
    fn twice_makes_two_payments() {
        let (mut world, prepay_id) = world_with_an_order();
        let outcome = act(&mut world, &sheet(&prepay_id, PayAction::Twice), NOON);
        assert_eq!(outcome.transaction_ids.len(), 2);
        assert_eq!(world.trades.get(&key()).unwrap().payments.len(), 2);
    }

    #[test]
    fn late_money_waits_for_the_close() {
        let (mut world, prepay_id) = world_with_an_order();
        act(&mut world, &sheet(&prepay_id, PayAction::Late), NOON);
        assert_eq!(world.trades.get(&key()).unwrap().state(None), TradeState::NotPay);
        world.trades.close(&key(), NOON, &world.settings).unwrap();
        world.advance(NOON.plus_seconds(1));
        assert!(!world.notices.has_due(NOON.plus_seconds(1)));
        world.advance(NOON.plus_seconds(2));
        assert!(world.notices.has_due(NOON.plus_seconds(2)));
    }

    #[test]
    fn giving_up_and_failing_leave_the_trade_unpaid() {
        let (mut world, prepay_id) = world_with_an_order();
        let given_up = act(&mut world, &sheet(&prepay_id, PayAction::Cancel), NOON);
        assert_eq!(given_up.result, PayResult::Cancel);
        let failed = act(&mut world, &sheet(&prepay_id, PayAction::Fail), NOON);
        assert_eq!(failed.reason, Some(PayFailure::Refused));
        let state = |world: &World| world.trades.get(&key()).unwrap().state(None);
        assert_eq!(state(&world), TradeState::PayError);
        act(&mut world, &sheet(&prepay_id, PayAction::Pay), NOON);
        assert_eq!(state(&world), TradeState::Success);
    }

    #[test]
    fn what_the_phone_would_refuse_is_refused() {
        let (mut world, prepay_id) = world_with_an_order();
        let good = sheet(&prepay_id, PayAction::Pay);
        let mut forged = good.clone();
        forged.nonce_str = "other".to_owned();
        assert_eq!(reason(&mut world, &forged, NOON), Some(PayFailure::BadPaySign));
        let unknown = sheet("wx0", PayAction::Pay);
        assert_eq!(reason(&mut world, &unknown, NOON), Some(PayFailure::UnknownPrepay));
        let stale = NOON.plus_seconds(7200);
        assert_eq!(reason(&mut world, &good, stale), Some(PayFailure::PrepayExpired));
        let over = NOON.plus_seconds(7 * 24 * 3600);
        assert_eq!(reason(&mut world, &good, over), Some(PayFailure::OrderExpired));
        world.trades.close(&key(), NOON, &world.settings).unwrap();
        assert_eq!(reason(&mut world, &good, NOON), Some(PayFailure::OrderClosed));
    }

    #[test]
    fn the_sign_type_of_the_sheet_is_the_orders() {
        let (mut world, prepay_id) = world_with_an_order();
        let mut other = sheet(&prepay_id, PayAction::Pay);
        other.sign_type = "HMAC-SHA256".to_owned();
        let fields = signed_fields(&other);
        other.pay_sign = sign::sign(&fields, &app().api_key, SignType::HmacSha256);
        assert_eq!(reason(&mut world, &other, NOON), Some(PayFailure::BadPaySign));
    }

    #[test]
    fn money_by_number_comes_in_any_state_and_amount() {
        let (mut world, _) = world_with_an_order();
        world.trades.close(&key(), NOON, &world.settings).unwrap();
        let mut command = PayByNumber {
            out_trade_no: key().out_trade_no,
            transaction_id: Some("t-forged".to_owned()),
            amount_fen: Some(1),
            ..PayByNumber::default()
        };
        assert_eq!(pay_by_number(&mut world, &command, NOON).unwrap(), "t-forged");
        assert!(pay_by_number(&mut world, &command, NOON).is_err(), "taken");
        let paid = &world.trades.get(&key()).unwrap().payments[0];
        assert_eq!(paid.total, Money::from_fen(1));
        command.out_trade_no = "20991231000000".to_owned();
        assert!(pay_by_number(&mut world, &command, NOON).is_err());
    }
}
