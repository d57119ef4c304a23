//! Commands in few words, as tests give them.

use super::world::*;
use crate::domain::address::Address;
use crate::domain::attempt::{AttemptEvent, AttemptTerms, Prepay};
use crate::domain::books::{KeyRef, Operation};
use crate::domain::cart::{Cart, CartItem};
use crate::domain::desk::DeskKey;
use crate::domain::fold::*;
use crate::domain::id::*;
use crate::domain::money::Quantity;
use crate::domain::order::CloseReason;
use crate::domain::payment::PaymentEvidence;
use crate::domain::price::FreightPolicy;
use crate::domain::shipment::Carrier;
use crate::domain::time::Timestamp;

pub fn an_address() -> Address {
    Address {
        name: "张三".into(),
        phone: "13800000000".into(),
        province: "广东省".into(),
        city: "深圳市".into(),
        district: "南山区".into(),
        detail: "1 号".into(),
    }
}

pub fn cart(items: &[(i64, i64)]) -> Cart {
    let item = |(sku, quantity): &(i64, i64)| CartItem {
        sku: sku_id(*sku),
        quantity: Quantity::parse(*quantity).unwrap(),
    };
    Cart::parse(&items.iter().map(item).collect::<Vec<_>>(), LINES_MAX).unwrap()
}

pub fn key(user: i64, key: &str) -> KeyRef {
    KeyRef {
        wxapp: wxapp(),
        user: user_id(user),
        operation: Operation::PlaceOrder,
        key: IdempotencyKey::parse(key).unwrap(),
    }
}

/// An order with a key of its own.
pub fn place(order: i64, user: i64, items: &[(i64, i64)]) -> Place {
    Place {
        order: order_id(order),
        wxapp: wxapp(),
        user: user_id(user),
        key: KeyClaim { key: key(user, &format!("key-{order}")), request_hash: "hash".into() },
        order_no: number_of(order),
        cart: cart(items),
        address: address_of(user),
        remark: String::new(),
        expect_pay: None,
        freight: FreightPolicy::default(),
        max: fen(1_000_000),
        expire_seconds: EXPIRE_SECONDS,
    }
}

pub fn number_of(order: i64) -> OutTradeNo {
    OutTradeNo::parse(format!("T{order:020}")).unwrap()
}

pub fn start(attempt: i64, order: i64) -> StartAttempt {
    StartAttempt {
        id: attempt_id(attempt),
        order: order_id(order),
        out_trade_no: OutTradeNo::parse(format!("A{attempt:020}")).unwrap(),
        terms: AttemptTerms {
            mch_id: "1900000109".into(),
            appid: "wx0001".into(),
            provider: "v2".into(),
            sign_type: "MD5".into(),
            key_version: 1,
            notify_url: "https://shop.example/notify".into(),
            body: "茶".into(),
            attach: format!("{attempt}-token"),
            openid: "openid".into(),
            client_ip: "127.0.0.1".into(),
        },
    }
}

pub fn prepaid(attempt: i64, at: Timestamp) -> RecordPrepay {
    let prepay = Prepay { id: format!("wx-prepay-{attempt}"), at };
    RecordPrepay { attempt: attempt_id(attempt), event: AttemptEvent::Opened(prepay) }
}

pub fn prepay_refused(attempt: i64) -> RecordPrepay {
    let event = AttemptEvent::Refused { code: "NOAUTH".into() };
    RecordPrepay { attempt: attempt_id(attempt), event }
}

pub fn transaction(text: &str) -> TransactionId {
    TransactionId::parse(text).unwrap()
}

/// Word of a payment of an attempt.
pub fn settle(attempt: i64, transaction_id: &str, amount_fen: i64) -> Settle {
    Settle {
        attempt: attempt_id(attempt),
        evidence: PaymentEvidence {
            transaction: transaction(transaction_id),
            amount: fen(amount_fen),
            cash: None,
            bank_type: Some("OTHERS".into()),
            payer_openid: None,
            paid_at: START.plus_seconds(5),
        },
        refunds: Vec::new(),
    }
}

pub fn found_refund(number: &str, amount_fen: i64, success: bool) -> FoundRefund {
    FoundRefund {
        out_refund_no: OutRefundNo::parse(number).unwrap(),
        wechat_refund_id: Some(format!("W{number}")),
        amount: fen(amount_fen),
        state: match success {
            true => FoundState::Success(Some(START.plus_seconds(6))),
            false => FoundState::Processing,
        },
    }
}

pub fn begin_closing(order: i64, reason: CloseReason) -> BeginClosing {
    BeginClosing { order: order_id(order), reason, user: None }
}

pub fn close_attempt(order: i64, attempt: i64) -> CloseAttempt {
    CloseAttempt { order: order_id(order), attempt: attempt_id(attempt), unheard_of: false }
}

pub fn staff() -> StaffId {
    StaffId::parse(7).unwrap()
}

pub fn desk(key: Option<&str>, act: Act) -> Desk {
    let key = key.map(|key| DeskKey {
        key: IdempotencyKey::parse(key).unwrap(),
        request_hash: digest(&act),
    });
    Desk { wxapp: wxapp(), staff: staff(), key, act }
}

/// As long as a column takes.
fn digest(act: &Act) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    format!("{act:?}").hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

pub fn ship(order: i64, number: &str, lines: &[(i64, i64)]) -> Act {
    let packed = |(line, pieces): &(i64, i64)| {
        (LineId::parse(*line).unwrap(), Quantity::parse(*pieces).unwrap())
    };
    Act::Ship {
        order: order_id(order),
        carrier: Carrier::parse("SF", None).unwrap(),
        number: TrackingNo::parse(number).unwrap(),
        lines: lines.iter().map(packed).collect(),
        hold_seconds: 0,
    }
}

pub fn reprice(order: i64, adjust: i64) -> Act {
    let reason = "老客户".to_owned();
    Act::Reprice { order: order_id(order), adjust: fen(adjust), max: fen(1_000_000), reason }
}

pub fn refund_order(order: i64) -> Act {
    Act::Refund { order: order_id(order), reason: "缺货".into() }
}

pub fn received(order: i64, user: i64) -> Receive {
    Receive { order: order_id(order), by: Receiver::Buyer(user_id(user)) }
}

impl From<Desk> for Command {
    fn from(desk: Desk) -> Self {
        Self::Desk(Box::new(desk))
    }
}

macro_rules! commands {
    ($($name:ident),+) => {$(
        impl From<$name> for Command {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        }
    )+};
}
commands!(
    Place,
    StartAttempt,
    RecordPrepay,
    Settle,
    BeginClosing,
    CloseAttempt,
    PostponeClosing,
    ChangeRefund,
    KeepIncident,
    Receive,
    Remind
);
