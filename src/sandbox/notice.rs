//! Payment notifications: what they say, when they are repeated, how they are forged.
//!
//! It owns the schedule and the queue of what is due; `courier.rs` carries. Source: payment
//! notification (v2). A notification is over with the shop's exact SUCCESS answer or after the last
//! repeat.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::beijing;
use super::trade::{Payment, Trade, TradeKey};
use crate::clock::Timestamp;
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::{self, Fields};

/// Seconds from one delivery to the next: 15s/15s/30s/3m/10m/20m/30m/30m/30m/60m/3h/3h/3h/6h/6h.
const SCHEDULE_SECONDS: [i64; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];
/// How many notifications wait; the oldest is given up for the newest.
const WAITING_MAX: usize = 100_000;

/// The body that acknowledges a notification, to the byte.
pub(super) const ACKNOWLEDGED: &str = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>";

/// What a shop answered to one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShopAnswer {
    /// 0 when no answer came; `body` then says why.
    pub status: u16,
    pub body: String,
}

impl ShopAnswer {
    /// Whether WeChat would take this for an acknowledgement.
    pub fn acknowledges(&self) -> bool {
        self.status == 200 && self.body == ACKNOWLEDGED
    }
}

/// One delivery to be made.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) url: String,
    pub(super) body: String,
    pub(super) subject: Subject,
    /// The waiting notification that this delivery belongs to, if it is one by schedule.
    pub(super) notice: Option<u64>,
    /// A forged delivery acknowledges nothing.
    pub(super) genuine: bool,
}

/// The payment that a notification is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) key: TradeKey,
    pub(super) transaction_id: String,
}

struct Notice {
    subject: Subject,
    delivered: usize,
}

/// Notifications that wait for their moment or are under way.
#[derive(Default)]
pub(super) struct Notices {
    waiting: BTreeMap<u64, Notice>,
    due: BTreeSet<(Timestamp, u64)>,
    under_way: usize,
    next: u64,
}

impl Notices {
    /// A payment is to be notified, at once.
    pub(super) fn push(&mut self, subject: Subject, now: Timestamp) {
        if self.waiting.len() == WAITING_MAX
            && let Some((oldest, _)) = self.waiting.pop_first()
        {
            self.due.retain(|(_, id)| *id != oldest);
        }
        self.next += 1;
        self.due.insert((now, self.next));
        let notice = Notice { subject, delivered: 0 };
        self.waiting.insert(self.next, notice);
    }

    pub(super) fn has_due(&self, now: Timestamp) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// How many deliveries are under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Takes a notification whose moment has come; it is under way until [`Notices::settle`].
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(u64, Subject)> {
        if !self.has_due(now) {
            return None;
        }
        let (_, id) = self.due.pop_first()?;
        let notice = self.waiting.get(&id)?;
        self.under_way += 1;
        Some((id, notice.subject.clone()))
    }

    /// A delivery has ended: acknowledged, to be repeated, or given up.
    pub(super) fn settle(&mut self, id: u64, acknowledged: bool, now: Timestamp) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(notice) = self.waiting.get_mut(&id) else {
            return;
        };
        let gap = SCHEDULE_SECONDS.get(notice.delivered);
        notice.delivered += 1;
        match gap {
            Some(seconds) if !acknowledged => {
                self.due.insert((now.plus_seconds(*seconds), id));
            }
            _ => drop(self.waiting.remove(&id)),
        }
    }

    /// The shop has acknowledged a payment in another way, so no repeat is due.
    pub(super) fn drop_subject(&mut self, subject: &Subject) {
        let mut over = Vec::new();
        self.waiting.retain(|id, notice| {
            let keep = notice.subject != *subject;
            if !keep {
                over.push(*id);
            }
            keep
        });
        self.due.retain(|(_, id)| !over.contains(id));
    }

    /// When the payment is notified next.
    pub(super) fn next_at(&self, subject: &Subject) -> Option<Timestamp> {
        self.due
            .iter()
            .find(|(_, id)| self.waiting.get(id).is_some_and(|notice| notice.subject == *subject))
            .map(|(at, _)| *at)
    }
}

/// What is false about a forged notification. It is signed with the right key unless `bad_sign`,
/// `key` or `raw` say otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forge {
    pub bad_sign: bool,
    /// The API key to sign with.
    pub key: Option<String>,
    /// The type to sign with, `MD5` or `HMAC-SHA256`.
    pub sign_type: Option<String>,
    /// `total_fee` and `cash_fee`, in fen.
    pub amount: Option<i64>,
    pub mch_id: Option<String>,
    pub appid: Option<String>,
    pub attach: Option<String>,
    pub out_trade_no: Option<String>,
    pub transaction_id: Option<String>,
    pub openid: Option<String>,
    /// Where it is sent instead.
    pub notify_url: Option<String>,
    /// Any field by name; `null` leaves it out.
    pub set: BTreeMap<String, Option<String>>,
    /// The body itself, unsigned.
    pub raw: Option<String>,
}

impl Forge {
    fn apply(&self, fields: &mut Fields) {
        let named = [
            ("mch_id", self.mch_id.clone()),
            ("appid", self.appid.clone()),
            ("attach", self.attach.clone()),
            ("out_trade_no", self.out_trade_no.clone()),
            ("transaction_id", self.transaction_id.clone()),
            ("openid", self.openid.clone()),
            ("total_fee", self.amount.map(|fen| fen.to_string())),
            ("cash_fee", self.amount.map(|fen| fen.to_string())),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                fields.insert(name, value);
            }
        }
        for (name, value) in &self.set {
            match value {
                Some(value) => drop(fields.insert(name.as_str(), value.as_str())),
                None => drop(fields.remove(name)),
            }
        }
    }

    /// Whether anything is false at all.
    pub(super) fn is_none(&self) -> bool {
        let Self {
            bad_sign,
            key,
            sign_type,
            amount,
            mch_id,
            appid,
            attach,
            out_trade_no,
            transaction_id,
            openid,
            notify_url,
            set,
            raw,
        } = self;
        let texts = [
            key,
            sign_type,
            mch_id,
            appid,
            attach,
            out_trade_no,
            transaction_id,
            openid,
            notify_url,
            raw,
        ];
        !bad_sign && amount.is_none() && set.is_empty() && texts.iter().all(|t| t.is_none())
    }
}

/// The notification of a payment, ready to be sent.
pub(super) fn parcel(
    trade: &Trade,
    paid: &Payment,
    api_key: &SecretString,
    nonce: String,
    forge: &Forge,
) -> Parcel {
    let mut fields = fields(trade, paid, nonce);
    forge.apply(&mut fields);
    let sign_type = forge.sign_type.as_deref();
    let sign_type =
        sign_type.and_then(|text| SignType::parse(text).ok()).unwrap_or(trade.sign_type);
    let other_key = forge.key.clone().map(SecretString::from);
    let key = other_key.as_ref().unwrap_or(api_key);
    let mut signature = sign::sign(&fields, key, sign_type);
    if forge.bad_sign {
        signature = spoil(&signature);
    }
    fields.insert(sign::SIGN, signature);
    Parcel {
        url: forge.notify_url.clone().unwrap_or_else(|| trade.notify_url.clone()),
        body: forge.raw.clone().unwrap_or_else(|| xml::write(&fields)),
        subject: Subject { key: trade.key.clone(), transaction_id: paid.transaction_id.clone() },
        notice: None,
        genuine: forge.is_none(),
    }
}

/// A signature of the right form that does not fit.
pub(super) fn spoil(signature: &str) -> String {
    let first = if signature.starts_with('0') { "1" } else { "0" };
    first.to_owned() + signature.get(1..).unwrap_or_default()
}

/// The fields in which a paid order is described, in notifications and in orderquery alike.
pub(super) fn payment_fields(trade: &Trade, paid: &Payment) -> Fields {
    let fen = |money: crate::domain::money::Money| money.as_fen().to_string();
    let cash = paid.total.as_fen() - paid.coupon.as_fen();
    let mut fields = Fields::from_iter([
        ("openid", paid.openid.clone()),
        ("is_subscribe", "N".to_owned()),
        ("trade_type", "JSAPI".to_owned()),
        ("bank_type", "OTHERS".to_owned()),
        ("total_fee", fen(paid.total)),
        ("fee_type", "CNY".to_owned()),
        ("cash_fee", cash.to_string()),
        ("transaction_id", paid.transaction_id.clone()),
        ("out_trade_no", trade.key.out_trade_no.clone()),
        ("time_end", beijing::compact(paid.paid_at)),
    ]);
    if let Some(attach) = &trade.attach {
        fields.insert("attach", attach.as_str());
    }
    if !paid.coupon.is_zero() {
        fields.insert("settlement_total_fee", cash.to_string());
        fields.insert("coupon_fee", fen(paid.coupon));
        fields.insert("coupon_count", "1");
        fields.insert("coupon_fee_0", fen(paid.coupon));
        fields.insert("coupon_id_0", "10000");
    }
    fields
}

fn fields(trade: &Trade, paid: &Payment, nonce: String) -> Fields {
    let mut fields = payment_fields(trade, paid);
    for (name, value) in [
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", trade.appid.as_str()),
        ("mch_id", trade.key.mch_id.as_str()),
        ("nonce_str", nonce.as_str()),
    ] {
        fields.insert(name, value);
    }
    // MD5 is what is meant when nothing is said; the field may be there and is then signed.
    if trade.sign_type == SignType::HmacSha256 {
        fields.insert(sign::SIGN_TYPE, trade.sign_type.as_str());
    }
    fields
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
