//! What WeChat says of refunds: ours, and those that somebody made at the merchant platform.

use crate::domain::books::{Books, Kept};
use crate::domain::id::{OrderId, OutRefundNo, PaymentId, RefundId, TransactionId, WxappId};
use crate::domain::money::Money;
use crate::domain::notification::Facts;
use crate::domain::order::{OrderEvent, OrderState};
use crate::domain::payment::{
    Payment, PaymentKind, REFUND_NUMBERS_MAX, Refund, RefundEvent, RefundKind, RefundState,
    apply_refund, go_on_with, out_refund_no,
};
use crate::domain::time::Timestamp;
use crate::domain::timeline::What;

/// Something happened to a refund.
#[derive(Debug, Clone)]
pub struct ChangeRefund {
    pub refund: RefundId,
    pub order: OrderId,
    /// Of which number. Void when the refund has another by now: of two who hear that a number was
    /// closed, the second must not skip the one under which the first asks again.
    pub number: OutRefundNo,
    pub event: RefundEvent,
    /// What WeChat shows of the same payment; asked for when it refuses ours.
    pub found: Vec<FoundRefund>,
}

impl ChangeRefund {
    /// Word about a refund under the number that it has here.
    pub fn of(refund: &Refund, event: RefundEvent, found: Vec<FoundRefund>) -> Self {
        let number = refund.out_refund_no.clone();
        Self { refund: refund.id, order: refund.order, number, event, found }
    }
    /// Whether all of an order's money may be back after it.
    pub fn may_end_the_order(&self) -> bool {
        matches!(self.event, RefundEvent::Succeeded { .. }) || !self.found.is_empty()
    }
}

/// A refund that WeChat knows of and we may not.
#[derive(Debug, Clone)]
pub struct FoundRefund {
    pub out_refund_no: OutRefundNo,
    pub wechat_refund_id: Option<String>,
    pub amount: Money,
    pub state: FoundState,
}

/// Where such a refund stands. One that WeChat closed (REFUNDCLOSE) moves no money and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundState {
    Processing,
    /// With the time, where WeChat shows it.
    Success(Option<Timestamp>),
    /// CHANGE: the money is on its way and got stuck; staff finish it.
    Abnormal,
}

/// What every refund of a payment says alike.
pub(super) struct Origin {
    wxapp: WxappId,
    order: OrderId,
    payment: PaymentId,
    mch_id: String,
    transaction: TransactionId,
    total: Money,
}

impl From<&Payment> for Origin {
    fn from(payment: &Payment) -> Self {
        Self {
            wxapp: payment.wxapp,
            order: payment.order,
            payment: payment.id,
            mch_id: payment.mch_id.clone(),
            transaction: payment.evidence.transaction.clone(),
            total: payment.evidence.amount,
        }
    }
}

impl From<&Refund> for Origin {
    fn from(refund: &Refund) -> Self {
        Self {
            wxapp: refund.wxapp,
            order: refund.order,
            payment: refund.payment,
            mch_id: refund.mch_id.clone(),
            transaction: refund.transaction.clone(),
            total: refund.total,
        }
    }
}

pub(super) fn change(books: &mut Books, change: ChangeRefund, now: Timestamp) -> bool {
    let Some(kept) = books.refunds.get(&change.refund) else {
        return false;
    };
    let mut refund = kept.get().clone();
    if refund.out_refund_no != change.number {
        return false;
    }
    let origin = Origin::from(&refund);
    if change.event == RefundEvent::ClosedByWechat {
        refund.number = refund.number.max(last_number(books, &origin));
    }
    if !apply_refund(&mut refund, change.event, now) {
        return false;
    }
    for found in &change.found {
        keep_found(books, &origin, found, now);
    }
    if matches!(refund.state, RefundState::Failed { .. }) && !change.found.is_empty() {
        go_on_with_rest(books, &origin, &mut refund, now);
    }
    if refund.state == RefundState::Success {
        count_refunded(books, refund.order, refund.amount);
    }
    let former = kept_state(books, change.refund);
    note(books, &refund, former.as_ref(), now);
    if let Some(kept) = books.refunds.get_mut(&change.refund) {
        *kept.change() = refund;
    }
    return_order(books, &origin, now);
    true
}

fn kept_state(books: &Books, id: RefundId) -> Option<RefundState> {
    books.refunds.get(&id).map(|kept| kept.get().state.clone())
}

/// Whether money that paid an order is on its way back. What a buyer has paid twice is not: the
/// order is paid all the same.
pub(super) fn is_on_its_way_back(books: &Books, order: OrderId) -> bool {
    let settled = |payment| {
        let payment = books.payments.get(&payment).map(Kept::get);
        payment.is_some_and(|payment| payment.kind == PaymentKind::Settled)
    };
    let refunds = books.refunds.values().map(Kept::get);
    let mut open = refunds.filter(|refund| refund.order == order && refund.state.is_open());
    open.any(|refund| settled(refund.payment))
}

/// The ends of a refund, and that it is stuck, stand in the timeline.
fn note(books: &mut Books, refund: &Refund, former: Option<&RefundState>, now: Timestamp) {
    let what = match &refund.state {
        RefundState::Success => What::RefundSucceeded,
        RefundState::Abnormal => What::RefundStuck,
        RefundState::Failed { .. } => What::RefundFailed,
        RefundState::Due | RefundState::Requested | RefundState::Processing => return,
    };
    if former == Some(&refund.state) {
        return;
    }
    let mut detail = Facts::from([
        ("out_refund_no".into(), refund.out_refund_no.to_string()),
        ("amount_fen".into(), refund.amount.as_fen().to_string()),
    ]);
    if let RefundState::Failed { code } = &refund.state {
        detail.insert("code".into(), code.clone());
    }
    books.happened(refund.order, what, detail, now);
}

/// An order whose payment has gone back whole is refunded; what is not in a parcel can be sold
/// again.
fn return_order(books: &mut Books, origin: &Origin, now: Timestamp) {
    let payment = books.payments.get(&origin.payment).map(Kept::get);
    if payment.is_none_or(|payment| payment.kind != PaymentKind::Settled) {
        return;
    }
    let gone = of_payment(books, origin).filter(|refund| refund.state == RefundState::Success);
    let gone = gone.map(|refund| refund.amount).try_fold(Money::ZERO, Money::checked_add);
    let whole = gone.is_some_and(|gone| gone >= origin.total);
    let paid = books.orders.get(&origin.order).is_some_and(|kept| {
        matches!(
            kept.get().state,
            OrderState::Paid(_) | OrderState::Shipped { .. } | OrderState::Completed { .. }
        )
    });
    if whole && paid {
        let moved = super::transition(books, origin.order, OrderEvent::ReturnMoney, now);
        debug_assert!(moved.is_ok(), "a paid order can be refunded");
    }
}

/// WeChat refuses to give back what has gone back in part by other hands: the rest is asked for
/// under the next number. Nothing left, or as much as before: it stays refused.
fn go_on_with_rest(books: &Books, origin: &Origin, refund: &mut Refund, now: Timestamp) {
    let others = of_payment(books, origin).filter(|other| {
        other.id != refund.id && !matches!(other.state, RefundState::Failed { .. })
    });
    let gone = others.map(|other| other.amount).try_fold(Money::ZERO, Money::checked_add);
    let Some(rest) = gone.and_then(|gone| origin.total.checked_sub(gone)) else { return };
    if Money::ZERO < rest && rest < refund.amount {
        refund.number = refund.number.max(last_number(books, origin));
        go_on_with(refund, rest, now);
    }
}

fn of_payment<'a>(books: &'a Books, origin: &Origin) -> impl Iterator<Item = &'a Refund> {
    let payment = origin.payment;
    books.refunds.values().map(Kept::get).filter(move |refund| refund.payment == payment)
}

/// The greatest number of ours that a refund of this payment is known to have; 0: none.
fn last_number(books: &Books, origin: &Origin) -> i64 {
    let own = |refund: &Refund| own_number(&origin.transaction, &refund.out_refund_no);
    of_payment(books, origin).filter_map(own).max().unwrap_or(0)
}

/// Adds to what has gone back of an order.
fn count_refunded(books: &mut Books, order: OrderId, amount: Money) {
    if let Some(kept) = books.orders.get_mut(&order) {
        let order = kept.change();
        order.refunded = order.refunded.checked_add(amount).unwrap_or(order.refunded);
        order.version += 1;
    }
}

/// Records a refund that WeChat shows, unless we know it.
pub(super) fn keep_found(books: &mut Books, origin: &Origin, found: &FoundRefund, now: Timestamp) {
    let number = &found.out_refund_no;
    let is_kept =
        |refund: &Refund| refund.mch_id == origin.mch_id && refund.out_refund_no == *number;
    if books.refunds.values().any(|kept| is_kept(kept.get())) {
        return;
    }
    let Some(mut refund) = new_refund(books, origin, number.clone(), found.amount, now) else {
        return;
    };
    let ours = of_payment(books, origin).any(|refund| refund.kind.is_ours());
    match own_number(&origin.transaction, number) {
        Some(nth) if !ours => refund.number = nth,
        // One automatic refund for each payment.
        Some(_) | None => refund.kind = RefundKind::External,
    }
    refund.wechat_refund_id = found.wechat_refund_id.clone();
    match found.state {
        FoundState::Processing => refund.state = RefundState::Processing,
        FoundState::Abnormal => refund.state = RefundState::Abnormal,
        FoundState::Success(at) => {
            refund.state = RefundState::Success;
            refund.success_at = Some(at.unwrap_or(now));
            refund.next_at = None;
            count_refunded(books, origin.order, found.amount);
        }
    }
    books.refunds.insert(refund.id, Kept::new(refund));
}

/// Which of our own refunds of a transaction a number names: a later copy of this database has
/// asked for it. None: somebody else's.
fn own_number(transaction: &TransactionId, number: &OutRefundNo) -> Option<i64> {
    (1..=REFUND_NUMBERS_MAX).find(|nth| out_refund_no(transaction, *nth).as_ref() == Some(number))
}

/// The automatic refund of a payment, under the first number that is free. What was found under
/// others of our numbers stays as it is, as if somebody else had asked for it: there is one
/// automatic refund for each payment.
pub(super) fn new_automatic(
    books: &mut Books,
    payment: &Payment,
    amount: Money,
    now: Timestamp,
) -> Option<Refund> {
    let origin = Origin::from(payment);
    let nth = last_number(books, &origin) + 1;
    let found: Vec<RefundId> = of_payment(books, &origin).map(|refund| refund.id).collect();
    for id in found {
        if let Some(kept) = books.refunds.get_mut(&id) {
            kept.change().kind = RefundKind::External;
        }
    }
    let Some(number) = out_refund_no(&origin.transaction, nth) else {
        books.miss("a number for a refund");
        return None;
    };
    let refund = new_refund(books, &origin, number, amount, now)?;
    Some(Refund { number: nth, ..refund })
}

/// The number that the next refund of a payment gets; none: too many have failed.
pub(super) fn next_number(books: &Books, payment: &Payment) -> Option<i64> {
    let nth = last_number(books, &Origin::from(payment)) + 1;
    (nth <= REFUND_NUMBERS_MAX).then_some(nth)
}

/// A refund of a payment under our number of this count.
pub(super) fn new_numbered(
    books: &mut Books,
    payment: &Payment,
    amount: Money,
    nth: i64,
    now: Timestamp,
) -> Option<Refund> {
    let origin = Origin::from(payment);
    let number = out_refund_no(&origin.transaction, nth)?;
    let refund = new_refund(books, &origin, number, amount, now)?;
    Some(Refund { number: nth, ..refund })
}

fn new_refund(
    books: &mut Books,
    origin: &Origin,
    out_refund_no: OutRefundNo,
    amount: Money,
    now: Timestamp,
) -> Option<Refund> {
    Some(Refund {
        id: books.draw()?,
        wxapp: origin.wxapp,
        order: origin.order,
        payment: origin.payment,
        mch_id: origin.mch_id.clone(),
        transaction: origin.transaction.clone(),
        out_refund_no,
        number: 1,
        kind: RefundKind::Auto,
        amount,
        total: origin.total,
        reason: String::new(),
        state: RefundState::Due,
        wechat_refund_id: None,
        tries: 0,
        next_at: Some(now),
        created_at: now,
        requested_at: None,
        success_at: None,
    })
}
