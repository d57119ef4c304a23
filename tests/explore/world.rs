//! A state of the whole: rows, WeChat's own books, what processes hold in memory, and the time.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use buynow::domain::attempt::{Attempt, AttemptState};
use buynow::domain::fold::{FoundRefund, FoundState};
use buynow::domain::id::{OutRefundNo, RefundId, TransactionId};
use buynow::domain::money::Money;
use buynow::domain::order::{Order, OrderState};
use buynow::domain::payment::{PaymentKind, Refund, RefundKind};
use buynow::domain::time::Timestamp;

use super::shop::*;

/// What WeChat has under one number of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trade {
    /// No unifiedorder has arrived.
    Unheard,
    Open,
    Paid,
    Closed,
}

/// What the process that calls unifiedorder knows of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    None,
    /// The attempt is committed, the call comes next.
    Ready,
    Waiting,
    Prepaid,
    Refused,
    /// ORDERPAID or ORDERCLOSED: the number cannot be opened.
    Spent,
}

/// What the one who closes an attempt has heard so far. `knew`: whether the attempt had a prepay_id
/// when he read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Closer {
    Idle,
    ToClose {
        knew: bool,
        unknown: bool,
    },
    ToAsk {
        knew: bool,
    },
    /// WeChat's word, not yet in the journal, and when it was asked for.
    Word {
        knew: bool,
        word: Trade,
        at: usize,
    },
}

/// One number: WeChat's side of it, and who is busy with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pay {
    pub trade: Trade,
    /// A unifiedorder is in the network.
    pub flying: bool,
    /// The buyer has been handed a prepay_id.
    pub shown: bool,
    pub call: Call,
    pub closer: Closer,
}

/// A refund at WeChat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Back {
    pub number: String,
    /// Of which payment.
    pub transaction: String,
    pub fen: i64,
    pub state: BackState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackState {
    Processing,
    Success,
    Abnormal,
    Closed,
}

/// What a worker on a refund holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    Idle,
    /// The request is committed, the call comes next: for this number, and this much.
    Call {
        number: i64,
        fen: i64,
    },
    /// About this number.
    Word {
        number: i64,
        word: Word,
    },
}

/// What WeChat has said of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    Accepted,
    Succeeded,
    Closed,
    Abnormal,
    Refused,
}

#[derive(Debug, Clone)]
pub struct State {
    pub db: Db,
    pub pays: Vec<Pay>,
    pub backs: Vec<Back>,
    pub work: BTreeMap<(RefundId, usize), Work>,
    /// Which of the moments it is.
    pub moment: usize,
    pub now: Timestamp,
}

impl State {
    pub fn new(scenario: &Scenario) -> Self {
        let pay = Pay {
            trade: Trade::Unheard,
            flying: false,
            shown: false,
            call: Call::None,
            closer: Closer::Idle,
        };
        Self {
            db: Db::new(scenario),
            pays: vec![pay; scenario.requests.len() * scenario.attempts],
            backs: Vec::new(),
            work: BTreeMap::new(),
            moment: 0,
            now: START.plus_seconds(scenario.moments[0]),
        }
    }

    pub fn order(&self, slot: usize) -> Option<&Order> {
        self.db.orders.get(&order_id(slot)).map(|row| &**row)
    }

    pub fn attempt(&self, slot: usize) -> Option<&Attempt> {
        self.db.attempts.get(&attempt_id(slot)).map(|row| &**row)
    }

    /// What the attempt of a slot asks for.
    pub fn fen(&self, slot: usize) -> i64 {
        self.attempt(slot).map_or(0, |attempt| attempt.amount.as_fen())
    }

    pub fn order_of(&self, attempt: &Attempt) -> &Order {
        &self.db.orders[&attempt.order]
    }

    /// What a process loses with its memory.
    pub fn crash(&mut self) {
        for pay in &mut self.pays {
            (pay.call, pay.closer) = (Call::None, Closer::Idle);
        }
        self.work.clear();
    }

    pub fn holds_anything(&self) -> bool {
        let busy = |pay: &Pay| pay.call != Call::None || pay.closer != Closer::Idle;
        self.pays.iter().any(busy) || !self.work.is_empty()
    }

    /// What has gone back of a payment at WeChat, or is on its way.
    pub fn gone_back(&self, transaction: &str) -> i64 {
        let moves =
            |back: &&Back| back.transaction == transaction && back.state != BackState::Closed;
        self.backs.iter().filter(moves).map(|back| back.fen).sum()
    }

    /// What refundquery shows of a payment.
    pub fn found(&self, transaction: &str) -> Vec<FoundRefund> {
        let found = |back: &Back| {
            let state = match back.state {
                BackState::Processing => FoundState::Processing,
                BackState::Success => FoundState::Success(None),
                BackState::Abnormal => FoundState::Abnormal,
                BackState::Closed => return None,
            };
            Some(FoundRefund {
                out_refund_no: OutRefundNo::parse(back.number.clone()).unwrap(),
                wechat_refund_id: None,
                amount: Money::from_fen(back.fen),
                state,
            })
        };
        let of_payment = self.backs.iter().filter(|back| back.transaction == transaction);
        of_payment.filter_map(found).collect()
    }

    /// Two states with the same key have the same future. Left out: ids, counters and moments that
    /// no rule looks at.
    pub fn key(&self) -> u128 {
        let mut bytes = Vec::with_capacity(256);
        self.write_rows(&mut bytes);
        let money = self.money();
        let hash = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, &bytes, &self.pays, self.moment, &money).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        hash(1) << 64 | hash(2)
    }

    fn write_rows(&self, bytes: &mut Vec<u8>) {
        let moment = |at: Timestamp| (at.millis_since(START) / 1000) as u32;
        bytes.push(self.db.keys.len() as u8);
        for sku in self.db.skus.values() {
            bytes.push(sku.stock as u8);
        }
        for goods in self.db.goods.values() {
            bytes.push(goods.sales as u8);
        }
        for line in self.db.lines.values().flat_map(|lines| lines.iter()) {
            let moves = self.db.entries.iter().filter(|entry| entry.line == line.id);
            bytes.push(moves.map(|entry| entry.delta).sum::<i64>() as u8);
        }
        for order in self.db.orders.values() {
            let state = match &order.state {
                OrderState::Unpaid(None) => 1,
                OrderState::Unpaid(Some(closing)) => 10 + closing.reason as u8,
                OrderState::Paid(_) => 3,
                OrderState::Shipped { .. } => 6,
                OrderState::Completed { .. } => 7,
                OrderState::Closed { reason, .. } => 20 + *reason as u8,
                OrderState::Refunded { .. } => 5,
            };
            let refunded = (order.refunded.as_fen() / 50) as u8;
            let repricing = order.repricing.is_some() as u8;
            let tries = match &order.state {
                OrderState::Unpaid(Some(closing)) => closing.tries.min(1) as u8,
                _ => 0,
            };
            let fen = (order.amounts.pay.as_fen() / 50) as u8;
            bytes.extend([order.id.get() as u8, state, refunded, repricing, tries, fen]);
            bytes.extend(moment(order.created_at).to_le_bytes());
        }
        for shipment in self.db.shipments.values() {
            bytes.extend(shipment.lines.iter().map(|packed| packed.line.get() as u8));
            bytes.push(u8::MAX);
        }
        for attempt in self.db.attempts.values() {
            let state = match attempt.state {
                AttemptState::Requesting => 1,
                AttemptState::Open => 2,
                AttemptState::Failed { .. } => 3,
                AttemptState::Closing => 4,
                AttemptState::Closed => 5,
                AttemptState::Paid => 6,
            };
            let prepay = attempt.prepay.as_ref().map_or(u32::MAX, |prepay| moment(prepay.at));
            bytes.extend([attempt.id.get() as u8, state]);
            bytes.extend(prepay.to_le_bytes());
            bytes.extend(moment(attempt.created_at).to_le_bytes());
        }
    }

    /// Money, by transaction and number: ids differ from one history to another.
    fn money(&self) -> impl std::hash::Hash + '_ {
        let payments = self.db.payments.values();
        let payments = payments.map(|payment| {
            (payment.evidence.transaction.as_str(), payment.kind == PaymentKind::Settled)
        });
        let mut payments: Vec<_> = payments.collect();
        payments.sort_unstable();
        let refunds = self.db.refunds.values();
        let mut refunds: Vec<_> = refunds.map(|refund| self.refund(refund)).collect();
        refunds.sort_unstable();
        let told = self.db.messages.iter().map(|(order, event)| (order.get(), *event));
        let mut told: Vec<_> = told.collect();
        told.sort_unstable();
        let mut incidents: Vec<&TransactionId> = self.db.incidents.iter().collect();
        incidents.sort_unstable();
        let mut backs: Vec<&Back> = self.backs.iter().collect();
        backs.sort_unstable_by(|left, right| left.number.cmp(&right.number));
        (payments, refunds, told, incidents, backs)
    }

    fn refund<'a>(&self, refund: &'a Refund) -> impl Ord + std::hash::Hash + 'a {
        let of_refund = self.work.range((refund.id, 0)..=(refund.id, usize::MAX));
        let mut work: Vec<Work> = of_refund.map(|(_, work)| *work).collect();
        work.sort_unstable();
        let is_auto = refund.kind == RefundKind::Auto;
        let (number, fen) = (refund.out_refund_no.as_str(), refund.amount.as_fen());
        (number, is_auto, fen, refund.number, refund.state.as_str(), work)
    }
}
