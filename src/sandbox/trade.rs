//! Trades: what unifiedorder opened, closeorder closed and buyers paid.
//!
//! It owns the life of a number at WeChat: NOTPAY, PAYERROR, CLOSED, SUCCESS, REFUND. It knows
//! nothing of signatures and XML. Invariant: money that came is never taken back by a close.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::bounded::Bounded;
use super::notice::ShopAnswer;
use super::refund::Refund;
use super::refusal::Refusal;
use super::serial::Serial;
use super::settings::{CloseUnknown, Settings};
use super::terms::OrderRequest;
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::wechat::sign::SignType;

/// How many trades are remembered.
const TRADES_MAX: usize = 200_000;
/// How many prepay_ids of one trade are remembered.
const PREPAYS_MAX: usize = 32;
/// A prepay_id is good for two hours. Rule: unifiedorder, `prepay_id`.
const PREPAY_SECONDS: i64 = 2 * 3600;
/// Without `time_expire` a number lives for seven days.
const LIFE_SECONDS: i64 = 7 * 24 * 3600;

/// A merchant's number; it is unique per merchant for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TradeKey {
    pub(super) mch_id: String,
    pub(super) out_trade_no: String,
}

/// Money that came in under a transaction_id of its own.
#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) transaction_id: String,
    pub(super) openid: String,
    pub(super) total: Money,
    /// The part that a coupon paid; the rest is cash.
    pub(super) coupon: Money,
    pub(super) paid_at: Timestamp,
    pub(super) refunds: Vec<Refund>,
    /// How often the shop was told, and whether it has acknowledged.
    pub(super) told: u32,
    pub(super) acknowledged: bool,
    pub(super) last_answer: Option<ShopAnswer>,
}

/// A payment that lands only after the number was closed.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) transaction_id: String,
    pub(super) coupon: Money,
}

#[derive(Debug, Clone)]
pub(super) struct Trade {
    pub(super) key: TradeKey,
    pub(super) appid: String,
    pub(super) openid: String,
    pub(super) total: Money,
    pub(super) attach: Option<String>,
    pub(super) notify_url: String,
    pub(super) sign_type: SignType,
    pub(super) terms: BTreeMap<String, String>,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) prepays: Vec<(String, Timestamp)>,
    pub(super) payments: Vec<Payment>,
    pub(super) closed_at: Option<Timestamp>,
    pub(super) failed: bool,
    pub(super) late: Option<Late>,
    pub(super) last_refund_call: Option<Timestamp>,
}

/// The `trade_state` of orderquery that a JSAPI trade can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TradeState {
    NotPay,
    PayError,
    Closed,
    Success,
    Refund,
}

impl TradeState {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotPay => "NOTPAY",
            Self::PayError => "PAYERROR",
            Self::Closed => "CLOSED",
            Self::Success => "SUCCESS",
            Self::Refund => "REFUND",
        }
    }
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::NotPay => "订单未支付",
            Self::PayError => "支付失败",
            Self::Closed => "订单已关闭",
            Self::Success => "支付成功",
            Self::Refund => "订单发生过退款",
        }
    }
}

impl Trade {
    /// The state as seen through one of its payments, the first when none is named.
    pub(super) fn state(&self, payment: Option<&Payment>) -> TradeState {
        match payment.or(self.payments.first()) {
            Some(paid) if paid.refunds.is_empty() => TradeState::Success,
            Some(_) => TradeState::Refund,
            None if self.closed_at.is_some() => TradeState::Closed,
            None if self.failed => TradeState::PayError,
            None => TradeState::NotPay,
        }
    }

    pub(super) fn payment(&self, transaction_id: &str) -> Option<&Payment> {
        self.payments.iter().find(|paid| paid.transaction_id == transaction_id)
    }

    pub(super) fn payment_mut(&mut self, transaction_id: &str) -> Option<&mut Payment> {
        self.payments.iter_mut().find(|paid| paid.transaction_id == transaction_id)
    }

    /// Whether the prepay_id can still be paid with.
    pub(super) fn prepay_is_good(&self, prepay_id: &str, now: Timestamp) -> bool {
        self.prepays.iter().any(|(id, issued_at)| {
            id == prepay_id && now.millis_since(*issued_at) < PREPAY_SECONDS * 1000
        })
    }
}

/// The money of one payment as it is to be recorded.
pub(super) struct NewPayment {
    pub(super) transaction_id: String,
    pub(super) openid: String,
    pub(super) total: Money,
    pub(super) coupon: Money,
}

/// All trades, by number, prepay_id and transaction_id.
pub(super) struct TradeBook {
    trades: Bounded<TradeKey, Trade>,
    by_prepay: HashMap<String, TradeKey>,
    by_transaction: HashMap<String, TradeKey>,
    late: BTreeSet<(Timestamp, TradeKey)>,
}

impl TradeBook {
    pub(super) fn new() -> Self {
        Self::with_capacity(TRADES_MAX)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            trades: Bounded::new(capacity),
            by_prepay: HashMap::new(),
            by_transaction: HashMap::new(),
            late: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, key: &TradeKey) -> Option<&Trade> {
        self.trades.get(key)
    }
    pub(super) fn get_mut(&mut self, key: &TradeKey) -> Option<&mut Trade> {
        self.trades.get_mut(key)
    }
    pub(super) fn by_prepay(&self, prepay_id: &str) -> Option<&Trade> {
        self.by_prepay.get(prepay_id).and_then(|key| self.trades.get(key))
    }
    /// The trade of a payment, if it is this merchant's.
    pub(super) fn by_transaction(&self, mch_id: &str, transaction_id: &str) -> Option<&Trade> {
        let key = self.by_transaction.get(transaction_id)?;
        self.trades.get(key).filter(|_| key.mch_id == mch_id)
    }

    /// unifiedorder. The same terms again give a fresh prepay_id, other terms 201.
    pub(super) fn place(
        &mut self,
        request: OrderRequest,
        now: Timestamp,
        settings: &Settings,
        serial: &mut Serial,
    ) -> Result<String, Refusal> {
        let key =
            TradeKey { mch_id: request.mch_id.clone(), out_trade_no: request.out_trade_no.clone() };
        if let Some(known) = self.trades.get(&key) {
            check_repeat(known, &request)?;
        }
        let nearest = now.plus_seconds(settings.expire_min_seconds);
        if request.expires_at.is_some_and(|end| end < nearest) {
            return Err(Refusal::Parameter("time_expire"));
        }
        let prepay_id = serial.prepay_id(now);
        self.open(key, request, now, prepay_id.clone());
        Ok(prepay_id)
    }

    fn open(&mut self, key: TradeKey, request: OrderRequest, now: Timestamp, prepay_id: String) {
        if self.trades.get(&key).is_none() {
            let dropped = self.trades.insert(key.clone(), new_trade(&key, request, now));
            self.forget(dropped);
        }
        if let Some(trade) = self.trades.get_mut(&key) {
            if trade.prepays.len() == PREPAYS_MAX {
                let (oldest, _) = trade.prepays.remove(0);
                self.by_prepay.remove(&oldest);
            }
            trade.prepays.push((prepay_id.clone(), now));
            self.by_prepay.insert(prepay_id, key);
        }
    }

    fn forget(&mut self, dropped: Option<Trade>) {
        if let Some(trade) = dropped {
            for (prepay_id, _) in &trade.prepays {
                self.by_prepay.remove(prepay_id);
            }
            for paid in &trade.payments {
                self.by_transaction.remove(&paid.transaction_id);
            }
            self.late.retain(|(_, key)| *key != trade.key);
        }
    }

    /// closeorder.
    pub(super) fn close(
        &mut self,
        key: &TradeKey,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let Some(trade) = self.trades.get_mut(key) else {
            return match settings.close_unknown {
                CloseUnknown::NotExist => Err(Refusal::UnknownOrder),
                CloseUnknown::Success => Ok(()),
            };
        };
        if !trade.payments.is_empty() {
            return Err(Refusal::Paid);
        }
        if trade.closed_at.is_some() {
            return Err(Refusal::Closed);
        }
        if now.millis_since(trade.created_at) < settings.close_min_age_seconds * 1000 {
            return Err(Refusal::TooYoung);
        }
        trade.closed_at = Some(now);
        if trade.late.is_some() {
            self.late.insert((now.plus_seconds(settings.late_after_seconds), key.clone()));
        }
        Ok(())
    }

    /// Money comes in, whatever the state. `false` when the transaction_id is taken or the number
    /// unknown.
    pub(super) fn record(&mut self, key: &TradeKey, money: NewPayment, now: Timestamp) -> bool {
        if self.by_transaction.contains_key(&money.transaction_id) {
            return false;
        }
        let Some(trade) = self.trades.get_mut(key) else {
            return false;
        };
        self.by_transaction.insert(money.transaction_id.clone(), key.clone());
        trade.payments.push(Payment {
            transaction_id: money.transaction_id,
            openid: money.openid,
            total: money.total,
            coupon: money.coupon,
            paid_at: now,
            refunds: Vec::new(),
            told: 0,
            acknowledged: false,
            last_answer: None,
        });
        true
    }

    /// Lands the late payments whose moment has come; the answer says which.
    pub(super) fn land(&mut self, now: Timestamp) -> Vec<(TradeKey, String)> {
        let mut landed = Vec::new();
        while self.late.first().is_some_and(|(at, _)| *at <= now) {
            let Some((at, key)) = self.late.pop_first() else {
                break;
            };
            let Some(trade) = self.trades.get_mut(&key) else {
                continue;
            };
            let Some(late) = trade.late.take() else {
                continue;
            };
            let money = NewPayment {
                transaction_id: late.transaction_id.clone(),
                openid: trade.openid.clone(),
                total: trade.total,
                coupon: late.coupon,
            };
            if self.record(&key, money, at) {
                landed.push((key, late.transaction_id));
            }
        }
        landed
    }
}

fn check_repeat(known: &Trade, request: &OrderRequest) -> Result<(), Refusal> {
    match known.state(None) {
        TradeState::Success | TradeState::Refund => Err(Refusal::Paid),
        TradeState::Closed => Err(Refusal::Closed),
        TradeState::NotPay | TradeState::PayError if known.terms != request.terms => {
            Err(Refusal::Duplicate)
        }
        TradeState::NotPay | TradeState::PayError => Ok(()),
    }
}

fn new_trade(key: &TradeKey, request: OrderRequest, now: Timestamp) -> Trade {
    Trade {
        key: key.clone(),
        appid: request.appid,
        openid: request.openid,
        total: request.total_fee,
        attach: request.attach,
        notify_url: request.notify_url,
        sign_type: request.sign_type,
        terms: request.terms,
        created_at: now,
        expires_at: request.expires_at.unwrap_or(now.plus_seconds(LIFE_SECONDS)),
        prepays: Vec::new(),
        payments: Vec::new(),
        closed_at: None,
        failed: false,
        late: None,
        last_refund_call: None,
    }
}

#[cfg(test)]
#[path = "trade_tests.rs"]
pub(super) mod tests;
