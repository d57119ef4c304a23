//! Money received, money given back, and word of money that fits nothing.

use super::id::{
    AttemptId, IncidentId, OrderId, OutRefundNo, PaymentId, RefundId, TransactionId, WxappId,
};
use super::money::Money;
use super::time::Timestamp;

/// What WeChat says of a successful payment, by notification or query, once it is verified.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentEvidence {
    pub transaction: TransactionId,
    pub amount: Money,
    pub cash: Option<Money>,
    pub bank_type: Option<String>,
    pub payer_openid: Option<String>,
    pub paid_at: Timestamp,
}

/// Shows no buyer.
impl std::fmt::Debug for PaymentEvidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PaymentEvidence({} {})", self.transaction, self.amount)
    }
}

/// Money received (支付记录). Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub wxapp: WxappId,
    pub order: OrderId,
    pub attempt: AttemptId,
    pub mch_id: String,
    pub kind: PaymentKind,
    pub evidence: PaymentEvidence,
    pub created_at: Timestamp,
}

/// What a payment was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentKind {
    /// It paid its order.
    Settled,
    /// It came too late, twice, or for goods that ran out: it goes back.
    Surplus,
}

impl PaymentKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Surplus => "surplus",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "settled" => Some(Self::Settled),
            "surplus" => Some(Self::Surplus),
            _ => None,
        }
    }
}

/// Money given back (退款).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub wxapp: WxappId,
    pub order: OrderId,
    pub payment: PaymentId,
    pub mch_id: String,
    pub transaction: TransactionId,
    /// Derived from the transaction, so that a restored copy of the database asks for the same.
    pub out_refund_no: OutRefundNo,
    /// 1, and one more after each REFUNDCLOSE.
    pub number: i64,
    pub kind: RefundKind,
    pub amount: Money,
    /// What the payment was.
    pub total: Money,
    pub reason: String,
    pub state: RefundState,
    pub wechat_refund_id: Option<String>,
    pub tries: i64,
    pub next_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub requested_at: Option<Timestamp>,
    pub success_at: Option<Timestamp>,
}

/// Who wanted a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundKind {
    /// We, for surplus money; one for each payment.
    Auto,
    /// Staff, for an order that was paid.
    Staff,
    /// Somebody at the merchant platform; found by a query.
    External,
}

impl RefundKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Staff => "staff",
            Self::External => "external",
        }
    }
    /// Whether we ask WeChat for it, and number it.
    pub fn is_ours(self) -> bool {
        match self {
            Self::Auto | Self::Staff => true,
            Self::External => false,
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "staff" => Some(Self::Staff),
            "external" => Some(Self::External),
            _ => None,
        }
    }
}

/// Where a refund stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundState {
    /// To be asked for at `next_at`.
    Due,
    /// Being asked for, or asked with the answer lost.
    Requested,
    /// WeChat has accepted it.
    Processing,
    Success,
    /// CHANGE: the bank refused; staff finish it at the merchant platform.
    Abnormal,
    /// Refused for good; staff decide.
    Failed {
        code: String,
    },
}

impl RefundState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Requested => "requested",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Abnormal => "abnormal",
            Self::Failed { .. } => "failed",
        }
    }
}

impl RefundState {
    /// Whether money may still go back by it.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Due | Self::Requested | Self::Processing | Self::Abnormal => true,
            Self::Success | Self::Failed { .. } => false,
        }
    }
}

impl Refund {
    /// Whether WeChat may be asked to make it: somebody else's is never ours to ask for, and a
    /// stuck one is finished by staff.
    pub fn may_be_requested(&self) -> bool {
        match self.state {
            RefundState::Due | RefundState::Requested | RefundState::Processing => {
                self.kind.is_ours()
            }
            RefundState::Success | RefundState::Abnormal | RefundState::Failed { .. } => false,
        }
    }
}

/// What asking WeChat about a refund brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundEvent {
    /// It is about to be asked for.
    Request,
    /// Accepted or under way; look again then.
    Accepted {
        wechat_refund_id: Option<String>,
        look_at: Timestamp,
    },
    Succeeded {
        at: Timestamp,
    },
    /// REFUNDCLOSE: not refunded; a new number is needed.
    ClosedByWechat,
    Abnormal,
    /// Refused for good.
    Failed {
        code: String,
    },
    /// Not now: the answer was lost or the balance is short; the same number again then.
    TryAgain {
        at: Timestamp,
    },
}

/// A refund may take at most this many numbers before staff must look.
pub const REFUND_NUMBERS_MAX: i64 = 5;

/// Total: what an event makes of a refund. What is final stays; the answer is whether it changed.
pub fn apply_refund(refund: &mut Refund, event: RefundEvent, now: Timestamp) -> bool {
    use RefundEvent as E;
    use RefundState as S;
    match (&refund.state, event) {
        (S::Success | S::Failed { .. }, _) => return false,
        (S::Due | S::Requested | S::Processing | S::Abnormal, E::Request) => {
            if !refund.may_be_requested() {
                return false;
            }
            refund.state = S::Requested;
            refund.requested_at = Some(now);
            // Should the answer be lost with this process.
            refund.next_at = Some(now.plus_seconds(60));
            refund.tries += 1;
        }
        (
            S::Due | S::Requested | S::Processing | S::Abnormal,
            E::Accepted { wechat_refund_id, look_at },
        ) => {
            refund.state = S::Processing;
            refund.wechat_refund_id = wechat_refund_id.or(refund.wechat_refund_id.take());
            refund.next_at = Some(look_at);
        }
        (S::Due | S::Requested | S::Processing | S::Abnormal, E::Succeeded { at }) => {
            refund.state = S::Success;
            refund.success_at = Some(at);
            refund.next_at = None;
        }
        (S::Due | S::Requested | S::Processing | S::Abnormal, E::ClosedByWechat) => {
            renumber(refund, now);
        }
        (S::Due | S::Requested | S::Processing, E::Abnormal) => {
            refund.state = S::Abnormal;
            refund.next_at = Some(now.plus_seconds(24 * 3600));
        }
        (S::Due | S::Requested | S::Processing | S::Abnormal, E::Failed { code }) => {
            refund.state = S::Failed { code };
            refund.next_at = None;
        }
        (S::Due | S::Requested, E::TryAgain { at }) => {
            refund.state = S::Requested;
            refund.next_at = Some(at);
        }
        (S::Processing | S::Abnormal, E::TryAgain { at }) => refund.next_at = Some(at),
        (S::Abnormal, E::Abnormal) => refund.next_at = Some(now.plus_seconds(24 * 3600)),
    }
    true
}

/// Asks for less than before, under the next number.
pub fn go_on_with(refund: &mut Refund, amount: Money, now: Timestamp) {
    refund.amount = amount;
    renumber(refund, now);
}

fn renumber(refund: &mut Refund, now: Timestamp) {
    refund.number += 1;
    match out_refund_no(&refund.transaction, refund.number) {
        Some(number) if refund.number <= REFUND_NUMBERS_MAX && refund.kind.is_ours() => {
            refund.out_refund_no = number;
            // It was of the number that is closed.
            refund.wechat_refund_id = None;
            refund.state = RefundState::Due;
            refund.next_at = Some(now);
        }
        _ => {
            refund.state = RefundState::Failed { code: "REFUNDCLOSE".into() };
            refund.next_at = None;
        }
    }
}

/// The number of a refund of ours: `r`, the transaction, `-` and 1, 2, ...
pub fn out_refund_no(transaction: &TransactionId, number: i64) -> Option<OutRefundNo> {
    OutRefundNo::parse(format!("r{transaction}-{number}")).ok()
}

/// Correctly signed word of WeChat that fits nothing we know (异常通知).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    pub id: IncidentId,
    pub wxapp: WxappId,
    pub mch_id: String,
    pub transaction: TransactionId,
    pub out_trade_no: String,
    pub amount: Money,
    pub reason: IncidentReason,
}

/// Why word of a payment is an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentReason {
    UnknownNumber,
    WrongAmount,
    WrongAttach,
    WrongMiniProgram,
}

impl IncidentReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownNumber => "unknown_number",
            Self::WrongAmount => "wrong_amount",
            Self::WrongAttach => "wrong_attach",
            Self::WrongMiniProgram => "wrong_mini_program",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        let all =
            [Self::UnknownNumber, Self::WrongAmount, Self::WrongAttach, Self::WrongMiniProgram];
        all.into_iter().find(|reason| reason.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::fold::tests::world::{START, World, settle};

    const NOW: Timestamp = START.plus_seconds(100);

    fn in_state(state: RefundState) -> Refund {
        let mut world = World::new(1);
        world.open_order(1001, 1, &[(11, 1)]);
        world.settled(settle(1001, "TX1", 100));
        world.settled(settle(1001, "TX2", 100));
        let next_at = (state != RefundState::Success).then_some(START);
        Refund { state, next_at, ..world.refunds()[0].clone() }
    }

    fn states() -> [RefundState; 6] {
        use RefundState::*;
        [Due, Requested, Processing, Success, Abnormal, Failed { code: "X".into() }]
    }

    /// What an event makes of each state, in the order of [`states`]; `-`: nothing.
    #[track_caller]
    fn check(event: RefundEvent, expected: [&str; 6]) {
        for (state, expected) in states().into_iter().zip(expected) {
            let before = in_state(state);
            let mut after = before.clone();
            let changed = apply_refund(&mut after, event.clone(), NOW);
            let became = if changed { after.state.as_str() } else { "-" };
            assert_eq!(became, expected, "{:?} + {event:?}", before.state);
            assert!(changed || after == before, "{:?} + {event:?} changes in secret", before.state);
            let at_rest = matches!(after.state, RefundState::Success | RefundState::Failed { .. });
            assert!(
                !changed || at_rest == after.next_at.is_none(),
                "{:?} is looked at again",
                after.state
            );
        }
    }

    #[test]
    fn the_table_of_a_refunds_life() {
        let later = NOW.plus_seconds(60);
        let accepted = RefundEvent::Accepted { wechat_refund_id: Some("W".into()), look_at: later };
        check(RefundEvent::Request, ["requested", "requested", "requested", "-", "-", "-"]);
        check(accepted, ["processing", "processing", "processing", "-", "processing", "-"]);
        check(
            RefundEvent::Succeeded { at: NOW },
            ["success", "success", "success", "-", "success", "-"],
        );
        check(RefundEvent::ClosedByWechat, ["due", "due", "due", "-", "due", "-"]);
        check(RefundEvent::Abnormal, ["abnormal", "abnormal", "abnormal", "-", "abnormal", "-"]);
        check(
            RefundEvent::Failed { code: "ERROR".into() },
            ["failed", "failed", "failed", "-", "failed", "-"],
        );
        check(
            RefundEvent::TryAgain { at: later },
            ["requested", "requested", "processing", "-", "abnormal", "-"],
        );
    }

    #[test]
    fn a_request_is_counted_and_keeps_its_number() {
        let mut refund = in_state(RefundState::Due);
        for tries in 1..=3 {
            assert!(apply_refund(&mut refund, RefundEvent::Request, NOW));
            assert_eq!((refund.tries, refund.out_refund_no.as_str()), (tries, "rTX2-1"));
            let at = NOW.plus_seconds(60);
            assert!(apply_refund(&mut refund, RefundEvent::TryAgain { at }, NOW));
            assert_eq!(refund.next_at, Some(at));
        }
    }

    #[test]
    fn wechats_number_is_kept_when_it_is_not_repeated() {
        let mut refund = in_state(RefundState::Requested);
        for wechat_refund_id in [Some("W1".to_owned()), None] {
            let accepted = RefundEvent::Accepted { wechat_refund_id, look_at: NOW };
            assert!(apply_refund(&mut refund, accepted, NOW));
            assert_eq!(refund.wechat_refund_id.as_deref(), Some("W1"));
        }
    }

    #[test]
    fn refundclose_takes_the_next_number_until_staff_must_look() {
        let mut refund = in_state(RefundState::Processing);
        for number in 2..=REFUND_NUMBERS_MAX {
            refund.wechat_refund_id = Some("W".into());
            assert!(apply_refund(&mut refund, RefundEvent::ClosedByWechat, NOW));
            assert_eq!(refund.out_refund_no.as_str(), format!("rTX2-{number}"));
            assert_eq!((refund.number, refund.state.clone()), (number, RefundState::Due));
            assert_eq!((refund.next_at, refund.wechat_refund_id.clone()), (Some(NOW), None));
        }
        assert!(apply_refund(&mut refund, RefundEvent::ClosedByWechat, NOW));
        assert_eq!(refund.state, RefundState::Failed { code: "REFUNDCLOSE".into() });
        assert_eq!((refund.out_refund_no.as_str(), refund.next_at), ("rTX2-5", None));
    }

    #[test]
    fn somebody_elses_refund_gets_no_number_of_ours() {
        let refund = in_state(RefundState::Processing);
        let mut refund = Refund { kind: RefundKind::External, ..refund };
        let number = refund.out_refund_no.clone();
        assert!(apply_refund(&mut refund, RefundEvent::ClosedByWechat, NOW));
        assert_eq!(refund.state, RefundState::Failed { code: "REFUNDCLOSE".into() });
        assert_eq!(refund.out_refund_no, number);
    }

    #[test]
    fn somebody_elses_refund_is_never_asked_for() {
        for state in states() {
            let mut refund = Refund { kind: RefundKind::External, ..in_state(state) };
            assert!(!apply_refund(&mut refund, RefundEvent::Request, NOW), "{:?}", refund.state);
        }
    }
}
