//! An attempt to pay: one `out_trade_no` at WeChat, and the rules for when a new one may start.

use super::id::{AttemptId, OrderId, OutTradeNo, UserId, WxappId};
use super::money::Money;
use super::order::{Order, OrderState};
use super::time::Timestamp;

/// A stored prepay_id is signed again only while it is younger than this; WeChat keeps it two hours.
pub const PREPAY_FRESH_SECONDS: i64 = 110 * 60;
/// WeChat refuses a repeated unifiedorder within five minutes of `time_expire`.
pub const REPEAT_MARGIN_SECONDS: i64 = 5 * 60;
/// `time_expire` lies at least this far ahead when it is chosen.
pub const EXPIRE_AHEAD_SECONDS: i64 = 6 * 60;

/// An attempt to pay (支付尝试). What was said to WeChat is kept, because a repeat must say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub id: AttemptId,
    pub wxapp: WxappId,
    pub order: OrderId,
    pub user: UserId,
    pub out_trade_no: OutTradeNo,
    pub amount: Money,
    pub terms: AttemptTerms,
    pub time_expire: Timestamp,
    pub prepay: Option<Prepay>,
    pub state: AttemptState,
    pub created_at: Timestamp,
}

/// With whom, how and in which words an attempt was made.
#[derive(Clone, PartialEq, Eq)]
pub struct AttemptTerms {
    pub mch_id: String,
    pub appid: String,
    pub provider: String,
    pub sign_type: String,
    pub key_version: i64,
    pub notify_url: String,
    /// What the buyer reads in WeChat's bill.
    pub body: String,
    /// Attempt id and a random token: money of another environment does not know it.
    pub attach: String,
    pub openid: String,
    pub client_ip: String,
}

/// Shows no buyer and no token.
impl std::fmt::Debug for AttemptTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AttemptTerms({} {})", self.provider, self.mch_id)
    }
}

/// WeChat's answer to unifiedorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepay {
    pub id: String,
    pub at: Timestamp,
}

/// Where an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// Committed before unifiedorder is sent; after a crash: possibly sent.
    Requesting,
    /// It can be paid.
    Open,
    /// WeChat refused it for good.
    Failed {
        code: String,
    },
    /// It shall not be paid any more; WeChat has not confirmed yet.
    Closing,
    /// WeChat has confirmed that it brings no money.
    Closed,
    Paid,
}

impl AttemptState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requesting => "requesting",
            Self::Open => "open",
            Self::Failed { .. } => "failed",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Paid => "paid",
        }
    }
    /// Whether it may still bring money.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Requesting | Self::Open | Self::Closing => true,
            Self::Failed { .. } | Self::Closed | Self::Paid => false,
        }
    }
}

/// What can happen to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEvent {
    /// unifiedorder was answered.
    Opened(Prepay),
    /// unifiedorder was refused for good.
    Refused { code: String },
    /// It shall not be paid any more.
    BeginClosing,
    /// WeChat confirmed that it brings no money.
    ConfirmClosed,
    /// Money came.
    Pay,
}

/// Total: what an event makes of an attempt. An event that comes too late changes nothing; money is
/// never too late.
pub fn apply(attempt: &mut Attempt, event: AttemptEvent) -> bool {
    use AttemptEvent as E;
    use AttemptState as S;
    match (&attempt.state, event) {
        (S::Requesting | S::Open, E::Opened(prepay)) => {
            attempt.prepay = Some(prepay);
            attempt.state = S::Open;
            true
        }
        (S::Closing, E::Opened(prepay)) => {
            attempt.prepay = Some(prepay);
            true
        }
        (S::Requesting, E::Refused { code }) => set(attempt, S::Failed { code }),
        (S::Closing, E::Refused { code }) => set(attempt, S::Failed { code }),
        (S::Requesting | S::Open, E::BeginClosing) => set(attempt, S::Closing),
        (S::Requesting | S::Open | S::Closing, E::ConfirmClosed) => set(attempt, S::Closed),
        (S::Requesting | S::Open | S::Closing | S::Failed { .. } | S::Closed, E::Pay) => {
            set(attempt, S::Paid)
        }
        (S::Open, E::Refused { .. })
        | (S::Closing, E::BeginClosing)
        | (S::Paid, E::Pay)
        | (
            S::Failed { .. } | S::Closed | S::Paid,
            E::Opened(_) | E::Refused { .. } | E::BeginClosing | E::ConfirmClosed,
        ) => false,
    }
}

fn set(attempt: &mut Attempt, state: AttemptState) -> bool {
    attempt.state = state;
    true
}

/// What to do when the buyer asks to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrepayStep {
    /// Sign the stored prepay_id again, with a new time and nonce.
    Sign(Prepay),
    /// Send unifiedorder again, with exactly the stored parameters.
    Repeat,
    /// Start a first or further attempt.
    Start,
    /// The former attempt must be final first.
    CloseFirst,
}

/// The order cannot be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPayable {
    #[error("the order is {0}")]
    State(&'static str),
    #[error("the order is being closed")]
    Closing,
    #[error("the time to pay is over")]
    Expired,
}

/// Whether an attempt may start or go on now.
pub fn check_payable(order: &Order, now: Timestamp) -> Result<(), NotPayable> {
    match &order.state {
        OrderState::Unpaid(None) if now >= order.expires_at => Err(NotPayable::Expired),
        OrderState::Unpaid(None) => Ok(()),
        OrderState::Unpaid(Some(_)) => Err(NotPayable::Closing),
        OrderState::Paid(_) | OrderState::Closed { .. } | OrderState::Refunded { .. } => {
            Err(NotPayable::State(order.state.as_str()))
        }
    }
}

/// The step that brings the buyer to a pay sheet. `live` is the attempt that may still bring money.
pub fn next_prepay_step(
    order: &Order,
    live: Option<&Attempt>,
    now: Timestamp,
) -> Result<PrepayStep, NotPayable> {
    check_payable(order, now)?;
    let Some(attempt) = live else {
        return Ok(PrepayStep::Start);
    };
    if attempt.state == AttemptState::Closing || attempt.amount != order.amounts.pay {
        return Ok(PrepayStep::CloseFirst);
    }
    let fresh = |prepay: &&Prepay| {
        now < prepay.at.plus_seconds(PREPAY_FRESH_SECONDS) && now < attempt.time_expire
    };
    Ok(match attempt.prepay.as_ref().filter(fresh) {
        Some(prepay) => PrepayStep::Sign(prepay.clone()),
        None if now < attempt.time_expire.plus_seconds(-REPEAT_MARGIN_SECONDS) => {
            PrepayStep::Repeat
        }
        None => PrepayStep::CloseFirst,
    })
}

/// `time_expire` of a new attempt, chosen once: WeChat refuses one too near, and any change later.
pub fn time_expire(order: &Order, now: Timestamp) -> Timestamp {
    order.expires_at.max(now.plus_seconds(EXPIRE_AHEAD_SECONDS))
}
