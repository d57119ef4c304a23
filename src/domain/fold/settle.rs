//! Money has come: what it pays, and what becomes of money that pays nothing.

use crate::domain::attempt::{self, Attempt, AttemptEvent};
use crate::domain::books::{Books, EntryKind, Kept};
use crate::domain::goods::DeductStock;
use crate::domain::id::{AttemptId, OrderId, TransactionId, WxappId};
use crate::domain::money::Money;
use crate::domain::notification::{Event, Facts, NewNotification};
use crate::domain::order::{Line, OrderEvent, OrderState, Paid};
use crate::domain::payment::{
    Incident, IncidentReason, Payment, PaymentEvidence, PaymentKind, Refund,
};
use crate::domain::time::Timestamp;
use crate::domain::timeline::What;

use super::refund::{self, FoundRefund};

/// Verified word of a successful payment of one of our attempts.
#[derive(Debug, Clone)]
pub struct Settle {
    pub attempt: AttemptId,
    pub evidence: PaymentEvidence,
    /// What WeChat shows as refunded already; empty after a notification.
    pub refunds: Vec<FoundRefund>,
}

/// Word of a payment that fits nothing we know.
#[derive(Debug, Clone)]
pub struct KeepIncident {
    pub wxapp: WxappId,
    pub mch_id: String,
    pub transaction: TransactionId,
    pub out_trade_no: String,
    pub amount: Money,
    pub reason: IncidentReason,
}

/// What a payment was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It paid the order.
    Settled,
    /// It is recorded and goes back.
    Surplus(SurplusReason),
    /// This transaction was recorded before; nothing has changed.
    AlreadyRecorded,
    /// It does not fit the attempt: kept as an incident.
    Incident(IncidentReason),
    /// No such attempt.
    UnknownAttempt,
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SurplusReason {
    OrderClosed,
    AlreadyPaid,
    SoldOut,
    /// The price has changed since the attempt.
    OtherAmount,
    /// WeChat has given it back already.
    Refunded,
}

impl SurplusReason {
    /// For the buyer, in WeChat's refund message.
    pub fn text(self) -> &'static str {
        match self {
            Self::OrderClosed => "订单已关闭",
            Self::AlreadyPaid => "重复支付",
            Self::SoldOut => "商品已售罄",
            Self::OtherAmount => "订单金额已变更",
            Self::Refunded => "已退款",
        }
    }
}

pub(super) fn settle(books: &mut Books, settle: Settle, now: Timestamp) -> Settlement {
    let Some(attempt) = books.attempts.get(&settle.attempt).map(|kept| kept.get().clone()) else {
        return Settlement::UnknownAttempt;
    };
    if !books.orders.contains_key(&attempt.order) {
        return Settlement::UnknownAttempt;
    }
    if recorded(books, &attempt, &settle.evidence.transaction) {
        return Settlement::AlreadyRecorded;
    }
    if settle.evidence.amount != attempt.amount {
        keep_incident(books, incident(&attempt, &settle.evidence, IncidentReason::WrongAmount));
        return Settlement::Incident(IncidentReason::WrongAmount);
    }
    mark_paid(books, attempt.id);
    match surplus_reason(books, &attempt, &settle) {
        None => pay(books, &attempt, settle, now),
        Some(reason) => give_back(books, &attempt, settle, reason, now),
    }
}

fn recorded(books: &Books, attempt: &Attempt, transaction: &TransactionId) -> bool {
    books.payments.values().any(|kept| {
        let payment = kept.get();
        payment.mch_id == attempt.terms.mch_id && payment.evidence.transaction == *transaction
    })
}

fn incident(attempt: &Attempt, evidence: &PaymentEvidence, reason: IncidentReason) -> KeepIncident {
    KeepIncident {
        wxapp: attempt.wxapp,
        mch_id: attempt.terms.mch_id.clone(),
        transaction: evidence.transaction.clone(),
        out_trade_no: attempt.out_trade_no.as_str().to_owned(),
        amount: evidence.amount,
        reason,
    }
}

pub(super) fn keep_incident(books: &mut Books, keep: KeepIncident) {
    let known = books
        .incidents
        .iter()
        .any(|incident| incident.mch_id == keep.mch_id && incident.transaction == keep.transaction);
    if known {
        return;
    }
    let Some(id) = books.draw() else { return };
    books.incidents.push(Incident {
        id,
        wxapp: keep.wxapp,
        mch_id: keep.mch_id,
        transaction: keep.transaction,
        out_trade_no: keep.out_trade_no,
        amount: keep.amount,
        reason: keep.reason,
    });
}

fn mark_paid(books: &mut Books, attempt: AttemptId) {
    if let Some(kept) = books.attempts.get_mut(&attempt) {
        attempt::apply(kept.change(), AttemptEvent::Pay);
    }
}

/// Why this payment cannot pay its order; none: it can.
fn surplus_reason(books: &Books, attempt: &Attempt, settle: &Settle) -> Option<SurplusReason> {
    let order = books.orders.get(&attempt.order)?.get();
    match &order.state {
        OrderState::Closed { .. } => Some(SurplusReason::OrderClosed),
        OrderState::Paid(_)
        | OrderState::Shipped { .. }
        | OrderState::Completed { .. }
        | OrderState::Refunded { .. } => Some(SurplusReason::AlreadyPaid),
        OrderState::Unpaid(_) if attempt.amount != order.amounts.pay => {
            Some(SurplusReason::OtherAmount)
        }
        OrderState::Unpaid(_) if refunded(settle) >= settle.evidence.amount => {
            Some(SurplusReason::Refunded)
        }
        OrderState::Unpaid(_) if !goods_are_there(books, attempt.order) => {
            Some(SurplusReason::SoldOut)
        }
        OrderState::Unpaid(_) => None,
    }
}

/// Whether every line that waits for the payment still fits; lines of one SKU count together.
fn goods_are_there(books: &Books, order: OrderId) -> bool {
    let waiting: Vec<&Line> = waiting_lines(books, order).collect();
    waiting.iter().all(|line| {
        let same_sku = waiting.iter().filter(|other| other.sku == line.sku);
        let wanted: i64 = same_sku.map(|other| other.quantity.pieces()).sum();
        books.skus.get(&line.sku).is_some_and(|kept| kept.get().stock >= wanted)
    })
}

fn waiting_lines(books: &Books, order: OrderId) -> impl Iterator<Item = &Line> {
    let not_deducted = |line: &&Line| books.deducted.get(&line.id).is_none_or(|net| *net == 0);
    let lines = books.lines_of(order).iter();
    lines.filter(|line| line.deduct_stock == DeductStock::Payment).filter(not_deducted)
}

fn refunded(settle: &Settle) -> Money {
    let sum =
        settle.refunds.iter().try_fold(Money::ZERO, |sum, found| sum.checked_add(found.amount));
    sum.unwrap_or(settle.evidence.amount)
}

fn pay(books: &mut Books, attempt: &Attempt, settle: Settle, now: Timestamp) -> Settlement {
    let paid = Paid {
        at: settle.evidence.paid_at,
        transaction: Some(settle.evidence.transaction.clone()),
    };
    record(books, attempt, &settle, PaymentKind::Settled, now);
    let moved = super::transition(books, attempt.order, OrderEvent::Pay(paid), now);
    debug_assert!(moved.is_ok(), "an unpaid order can be paid");
    Settlement::Settled
}

/// Records the payment as surplus, orders its refund and tells the buyer. Goods that ran out close
/// the order in the same commit.
fn give_back(
    books: &mut Books,
    attempt: &Attempt,
    settle: Settle,
    reason: SurplusReason,
    now: Timestamp,
) -> Settlement {
    let amount = settle.evidence.amount;
    let rest = amount.checked_sub(refunded(&settle)).unwrap_or(Money::ZERO);
    let kind = match reason {
        SurplusReason::Refunded => PaymentKind::Settled,
        _ => PaymentKind::Surplus,
    };
    let payment = record(books, attempt, &settle, kind, now);
    if kind == PaymentKind::Surplus {
        let detail = Facts::from([
            ("transaction_id".into(), settle.evidence.transaction.to_string()),
            ("amount_fen".into(), amount.as_fen().to_string()),
            ("reason".into(), reason.text().into()),
        ]);
        books.happened(attempt.order, What::Surplus, detail, now);
    }
    match reason {
        SurplusReason::SoldOut => {
            let closed = super::transition(books, attempt.order, OrderEvent::SellOut, now);
            debug_assert!(closed.is_ok(), "an unpaid order can be closed");
        }
        SurplusReason::Refunded => return_whole(books, attempt.order, &settle, now),
        // The attempt is final by now; an order that was only waiting for it can be closed.
        SurplusReason::OtherAmount => super::closing::finish_if_quiet(books, attempt.order, now),
        SurplusReason::OrderClosed | SurplusReason::AlreadyPaid => {}
    }
    if let Some(payment) = payment.filter(|_| rest > Money::ZERO) {
        refund_surplus(books, &payment, rest, reason, now);
    }
    Settlement::Surplus(reason)
}

/// Money that came and went: the order was paid and is refunded; what it held goes back to stock.
fn return_whole(books: &mut Books, order: OrderId, settle: &Settle, now: Timestamp) {
    if let Some(kept) = books.orders.get_mut(&order) {
        let transaction = Some(settle.evidence.transaction.clone());
        let paid = Paid { at: settle.evidence.paid_at, transaction };
        kept.change().state = OrderState::Paid(paid);
    }
    super::closing::stop_attempts(books, order);
    let moved = super::transition(books, order, OrderEvent::ReturnMoney, now);
    debug_assert!(moved.is_ok(), "a paid order can be refunded");
}

fn record(
    books: &mut Books,
    attempt: &Attempt,
    settle: &Settle,
    kind: PaymentKind,
    now: Timestamp,
) -> Option<Payment> {
    let payment = Payment {
        id: books.draw()?,
        wxapp: attempt.wxapp,
        order: attempt.order,
        attempt: attempt.id,
        mch_id: attempt.terms.mch_id.clone(),
        kind,
        evidence: settle.evidence.clone(),
        created_at: now,
    };
    books.payments.insert(payment.id, Kept::new(payment.clone()));
    for found in &settle.refunds {
        refund::keep_found(books, &(&payment).into(), found, now);
    }
    Some(payment)
}

fn refund_surplus(
    books: &mut Books,
    payment: &Payment,
    amount: Money,
    reason: SurplusReason,
    now: Timestamp,
) {
    let Some(mut refund) = refund::new_automatic(books, payment, amount, now) else { return };
    refund.reason = reason.text().to_owned();
    let told = refund.clone();
    books.refunds.insert(refund.id, Kept::new(refund));
    notify(books, payment.order, Event::OrderRefunded, Some(&told), now);
}

/// Deducts the lines that waited for the payment, and counts what was sold.
pub(super) fn sell(books: &mut Books, order: OrderId, now: Timestamp) {
    let waiting: Vec<Line> = waiting_lines(books, order).cloned().collect();
    for line in waiting {
        books.move_stock(&line, -line.quantity.pieces(), EntryKind::Payment, now);
    }
    for line in super::closing::lines(books, order) {
        match books.goods.get_mut(&line.goods) {
            Some(kept) => kept.change().sales += line.quantity.pieces(),
            None => books.miss("the goods of a line"),
        }
    }
}

/// Writes a message about an order, or about a refund of it, into the outbox.
pub(super) fn notify(
    books: &mut Books,
    order: OrderId,
    event: Event,
    refund: Option<&Refund>,
    now: Timestamp,
) {
    let reason = refund.map(|refund| refund.reason.clone()).unwrap_or_default();
    let about = About {
        ref_id: refund.map_or(0, |refund| refund.id.get()),
        amount: refund.map(|refund| refund.amount),
        more: Facts::from([("reason".into(), reason)]),
        hold_seconds: 0,
    };
    tell(books, order, event, about, now);
}

/// What a message tells beside its order.
pub(super) struct About {
    /// The refund or parcel; 0: the order itself.
    pub ref_id: i64,
    /// None: what the order costs.
    pub amount: Option<Money>,
    pub more: Facts,
    /// How long the message waits before it may be sent.
    pub hold_seconds: i64,
}

/// Writes a message into the outbox, in the commit of the fact.
pub(super) fn tell(
    books: &mut Books,
    order: OrderId,
    event: Event,
    about_what: About,
    now: Timestamp,
) {
    let Some(id) = books.draw() else { return };
    let Some(about) = books.orders.get(&order).map(|kept| kept.get().clone()) else {
        return;
    };
    let amount = about_what.amount.unwrap_or(about.amounts.pay);
    let mut facts = Facts::from([
        ("order_id".into(), order.to_string()),
        ("order_no".into(), about.order_no.to_string()),
        ("goods".into(), goods_in_words(books.lines_of(order))),
        ("amount".into(), amount.to_string()),
        ("time_ms".into(), now.as_millis().to_string()),
    ]);
    facts.extend(about_what.more);
    let paid_by = |attempt: &&Attempt| attempt.state == attempt::AttemptState::Paid;
    let prepay = books.attempts_of(order).find(paid_by).and_then(|paid| paid.prepay.as_ref());
    let form_id = prepay.map(|prepay| prepay.id.clone());
    books.notifications.push(NewNotification {
        id,
        wxapp: about.wxapp,
        user: about.user,
        order,
        event,
        ref_id: about_what.ref_id,
        facts,
        form_id,
        hold_seconds: about_what.hold_seconds,
    });
}

/// The name of the goods; of several: the first, and how many pieces there are in all.
fn goods_in_words(lines: &[Line]) -> String {
    let pieces: i64 = lines.iter().map(|line| line.quantity.pieces()).sum();
    match lines {
        [] => String::new(),
        [only] => only.goods_name.clone(),
        [first, ..] => format!("{}等{pieces}件", first.goods_name),
    }
}
