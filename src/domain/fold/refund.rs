//! What WeChat says of refunds: ours, and those that somebody made at the merchant platform.

use crate::domain::books::{Books, Kept};
use crate::domain::id::{OrderId, OutRefundNo, PaymentId, RefundId, TransactionId, WxappId};
use crate::domain::money::Money;
use crate::domain::payment::{
    Payment, REFUND_NUMBERS_MAX, Refund, RefundEvent, RefundKind, RefundState, apply_refund,
    go_on_with, out_refund_no,
};
use crate::domain::time::Timestamp;

/// Something happened to a refund.
#[derive(Debug, Clone)]
pub struct ChangeRefund {
    pub refund: RefundId,
    pub order: OrderId,
    pub event: RefundEvent,
    /// What WeChat shows of the same payment; asked for when it refuses ours.
    pub found: Vec<FoundRefund>,
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
    if let Some(kept) = books.refunds.get_mut(&change.refund) {
        *kept.change() = refund;
    }
    true
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
    let automatic = of_payment(books, origin).any(|refund| refund.kind == RefundKind::Auto);
    match own_number(&origin.transaction, number) {
        Some(nth) if !automatic => refund.number = nth,
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
