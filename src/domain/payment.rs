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
    /// Somebody at the merchant platform; found by a query.
    External,
}

impl RefundKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::External => "external",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
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
        (S::Due | S::Requested | S::Processing, E::Request) => {
            refund.state = S::Requested;
            refund.requested_at = Some(now);
            refund.tries += 1;
        }
        (S::Abnormal, E::Request) => return false,
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

fn renumber(refund: &mut Refund, now: Timestamp) {
    refund.number += 1;
    match out_refund_no(&refund.transaction, refund.number) {
        Some(number) if refund.number <= REFUND_NUMBERS_MAX && refund.kind == RefundKind::Auto => {
            refund.out_refund_no = number;
            refund.state = RefundState::Due;
            refund.next_at = Some(now);
        }
        _ => {
            refund.state = RefundState::Failed { code: "REFUNDCLOSE".into() };
            refund.next_at = None;
        }
    }
}

/// The number of an automatic refund: `r`, the transaction, `-` and 1, 2, ...
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
    WrongMerchant,
    WrongMiniProgram,
}

impl IncidentReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownNumber => "unknown_number",
            Self::WrongAmount => "wrong_amount",
            Self::WrongAttach => "wrong_attach",
            Self::WrongMerchant => "wrong_merchant",
            Self::WrongMiniProgram => "wrong_mini_program",
        }
    }
}
