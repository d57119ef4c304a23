//! Refunds: money that goes back, under the merchant's out_refund_no.
//!
//! It owns acceptance (once per number, never more than was paid, not oftener than once a minute,
//! as far as the merchant's balance goes) and what becomes of a refund. Source: refund,
//! refundquery.

use serde::{Deserialize, Serialize};

use super::bounded::Bounded;
use super::refusal::Refusal;
use super::serial::Serial;
use super::settings::{Mode, Settings};
use super::terms;
use super::trade::{Payment, Trade, TradeBook, TradeKey};
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::wechat::xml::Fields;

/// Rule: refund, at most 50 refunds of one payment.
const REFUNDS_MAX: usize = 50;
/// How many refunds are remembered by number.
const INDEXED_MAX: usize = 400_000;
/// Rule: refund, within a year of the payment.
const YEAR_MILLIS: i64 = 365 * 24 * 3600 * 1000;

/// The `refund_status` of refundquery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundStatus {
    #[serde(rename = "PROCESSING")]
    Processing,
    #[serde(rename = "SUCCESS")]
    Success,
    /// The bank card is void; handled by hand.
    #[serde(rename = "CHANGE")]
    Change,
    /// Not refunded; a new out_refund_no is needed.
    #[serde(rename = "REFUNDCLOSE")]
    RefundClose,
}

impl RefundStatus {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Change => "CHANGE",
            Self::RefundClose => "REFUNDCLOSE",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Refund {
    pub(super) out_refund_no: String,
    pub(super) refund_id: String,
    pub(super) fee: Money,
    /// When an automatic refund succeeds; `None` waits for a control call.
    pub(super) succeeds_at: Option<Timestamp>,
    /// Set by a control call; goes before `succeeds_at`.
    pub(super) set: Option<(RefundStatus, Timestamp)>,
}

impl Refund {
    /// The status, and since when it is SUCCESS.
    pub(super) fn status(&self, now: Timestamp) -> (RefundStatus, Option<Timestamp>) {
        match (self.set, self.succeeds_at) {
            (Some((RefundStatus::Success, at)), _) => (RefundStatus::Success, Some(at)),
            (Some((status, _)), _) => (status, None),
            (None, Some(at)) if at <= now => (RefundStatus::Success, Some(at)),
            (None, _) => (RefundStatus::Processing, None),
        }
    }
}

/// A refund call whose fields keep to the table.
#[derive(Debug, Clone)]
pub(super) struct RefundRequest {
    pub(super) mch_id: String,
    pub(super) transaction_id: Option<String>,
    pub(super) out_trade_no: Option<String>,
    pub(super) out_refund_no: String,
    pub(super) total_fee: Money,
    pub(super) refund_fee: Money,
}

impl RefundRequest {
    pub(super) fn read(fields: &Fields) -> Result<Self, Refusal> {
        let required = |name: &'static str| fields.filled(name).ok_or(Refusal::Lacks(name));
        let money = |name: &'static str| {
            let amount = terms::amount(required(name)?).filter(|money| money.as_fen() >= 1);
            amount.ok_or(Refusal::Parameter(name))
        };
        let text = |name: &str| fields.filled(name).map(str::to_owned);
        let request = Self {
            mch_id: required("mch_id")?.to_owned(),
            transaction_id: text("transaction_id"),
            out_trade_no: text("out_trade_no"),
            out_refund_no: required("out_refund_no")?.to_owned(),
            total_fee: money("total_fee")?,
            refund_fee: money("refund_fee")?,
        };
        if request.transaction_id.is_none() && request.out_trade_no.is_none() {
            return Err(Refusal::Lacks("transaction_id"));
        }
        request.check(fields)
    }

    fn check(self, fields: &Fields) -> Result<Self, Refusal> {
        let broken = |name: &'static str, longest: usize| {
            let long = fields.filled(name).is_some_and(|value| value.len() > longest);
            if long { Err(Refusal::Parameter(name)) } else { Ok(()) }
        };
        broken("transaction_id", 32)?;
        broken("out_trade_no", 32)?;
        broken("refund_desc", 80)?;
        broken("notify_url", 256)?;
        if !is_refund_number(&self.out_refund_no) {
            return Err(Refusal::Parameter("out_refund_no"));
        }
        if fields.filled("refund_fee_type").is_some_and(|currency| currency != "CNY") {
            return Err(Refusal::Parameter("refund_fee_type"));
        }
        if self.refund_fee > self.total_fee {
            return Err(Refusal::Parameter("refund_fee"));
        }
        Ok(self)
    }
}

/// 1 to 64 of `0-9A-Za-z_-|*@`.
fn is_refund_number(value: &str) -> bool {
    (1..=64).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-|*@".contains(&b))
}

/// Where a refund is: its trade and its payment.
pub(super) type Place = (TradeKey, String);

/// What refund answers: acceptance, not success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) key: TradeKey,
    pub(super) transaction_id: String,
    pub(super) refund_id: String,
    pub(super) refund_fee: Money,
    pub(super) total_fee: Money,
}

/// Finds refunds by their numbers; the refunds themselves lie with their payments.
pub(super) struct RefundIndex {
    by_number: Bounded<(String, String), Place>,
    by_id: Bounded<String, Place>,
}

impl RefundIndex {
    pub(super) fn new() -> Self {
        Self { by_number: Bounded::new(INDEXED_MAX), by_id: Bounded::new(INDEXED_MAX) }
    }

    pub(super) fn by_number(&self, mch_id: &str, out_refund_no: &str) -> Option<&Place> {
        self.by_number.get(&(mch_id.to_owned(), out_refund_no.to_owned()))
    }
    pub(super) fn by_id(&self, mch_id: &str, refund_id: &str) -> Option<&Place> {
        self.by_id.get(refund_id).filter(|(key, _)| key.mch_id == mch_id)
    }
}

/// secapi/pay/refund. The guards come first, the effect last.
pub(super) fn refund(
    trades: &mut TradeBook,
    index: &mut RefundIndex,
    settings: &mut Settings,
    serial: &mut Serial,
    request: &RefundRequest,
    now: Timestamp,
) -> Result<Accepted, Refusal> {
    let (key, transaction_id) = find_payment(trades, request)?;
    let trade = trades.get_mut(&key).ok_or(Refusal::UnknownOrder)?;
    check_pace(trade, settings, now)?;
    trade.last_refund_call = Some(now);
    let paid = trade.payment_mut(&transaction_id).ok_or(Refusal::UnknownTransaction)?;
    let place = (key.clone(), transaction_id.clone());
    if let Some(known) = index.by_number(&key.mch_id, &request.out_refund_no) {
        let known = if *known == place { find(paid, &request.out_refund_no) } else { None };
        return repeat(known, paid, request, key);
    }
    check_new(paid, settings, request, now)?;
    let refund = new_refund(settings, serial, request, now);
    let accepted = accepted(&refund, paid, key);
    settings.balance_fen = settings.balance_fen.map(|balance| balance - refund.fee.as_fen());
    index.by_number.insert((place.0.mch_id.clone(), refund.out_refund_no.clone()), place.clone());
    index.by_id.insert(refund.refund_id.clone(), place);
    paid.refunds.push(refund);
    Ok(accepted)
}

/// The transaction_id wins over the number; the number means its first payment.
fn find_payment(trades: &TradeBook, request: &RefundRequest) -> Result<Place, Refusal> {
    if let Some(transaction_id) = &request.transaction_id {
        let trade = trades
            .by_transaction(&request.mch_id, transaction_id)
            .ok_or(Refusal::UnknownTransaction)?;
        return Ok((trade.key.clone(), transaction_id.clone()));
    }
    let key = TradeKey {
        mch_id: request.mch_id.clone(),
        out_trade_no: request.out_trade_no.clone().unwrap_or_default(),
    };
    let paid = trades.get(&key).and_then(|trade| trade.payments.first());
    let paid = paid.ok_or(Refusal::UnknownOrder)?;
    Ok((key, paid.transaction_id.clone()))
}

/// Rule: the same order at most once per minute, repeats of one number included.
fn check_pace(trade: &Trade, settings: &Settings, now: Timestamp) -> Result<(), Refusal> {
    let gap = settings.refund_min_gap_seconds * 1000;
    match trade.last_refund_call {
        Some(last) if now.millis_since(last) < gap => Err(Refusal::RefundTooSoon),
        _ => Ok(()),
    }
}

fn find<'a>(paid: &'a Payment, out_refund_no: &str) -> Option<&'a Refund> {
    paid.refunds.iter().find(|refund| refund.out_refund_no == out_refund_no)
}

/// The same number refunds once: the same words get the same answer, other words none.
fn repeat(
    known: Option<&Refund>,
    paid: &Payment,
    request: &RefundRequest,
    key: TradeKey,
) -> Result<Accepted, Refusal> {
    match known {
        Some(known) if known.fee == request.refund_fee && paid.total == request.total_fee => {
            Ok(accepted(known, paid, key))
        }
        _ => Err(Refusal::Parameter("out_refund_no")),
    }
}

fn check_new(
    paid: &Payment,
    settings: &Settings,
    request: &RefundRequest,
    now: Timestamp,
) -> Result<(), Refusal> {
    if paid.total != request.total_fee {
        return Err(Refusal::Parameter("total_fee"));
    }
    if now.millis_since(paid.paid_at) > YEAR_MILLIS {
        return Err(Refusal::Overdue);
    }
    if paid.refunds.len() >= REFUNDS_MAX {
        return Err(Refusal::TooManyRefunds);
    }
    let refunded: i64 = paid
        .refunds
        .iter()
        .filter(|refund| refund.status(now).0 != RefundStatus::RefundClose)
        .map(|refund| refund.fee.as_fen())
        .sum();
    if refunded + request.refund_fee.as_fen() > paid.total.as_fen() {
        return Err(Refusal::ExceedsPayment);
    }
    match settings.balance_fen {
        Some(balance) if balance < request.refund_fee.as_fen() => Err(Refusal::BalanceShort),
        _ => Ok(()),
    }
}

fn new_refund(
    settings: &Settings,
    serial: &mut Serial,
    request: &RefundRequest,
    now: Timestamp,
) -> Refund {
    Refund {
        out_refund_no: request.out_refund_no.clone(),
        refund_id: serial.refund_id(),
        fee: request.refund_fee,
        succeeds_at: match settings.refund {
            Mode::Auto => Some(now.plus_seconds(settings.refund_seconds)),
            Mode::Manual => None,
        },
        set: None,
    }
}

fn accepted(refund: &Refund, paid: &Payment, key: TradeKey) -> Accepted {
    Accepted {
        key,
        transaction_id: paid.transaction_id.clone(),
        refund_id: refund.refund_id.clone(),
        refund_fee: refund.fee,
        total_fee: paid.total,
    }
}

#[cfg(test)]
#[path = "refund_tests.rs"]
mod tests;
