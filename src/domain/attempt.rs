//! An attempt to pay: one `out_trade_no` at WeChat, and the rules for when a new one may start.

use super::id::{AttemptId, OrderId, OutTradeNo, UserId, WxappId};
use super::money::Money;
use super::order::{Order, OrderState};
use super::time::Timestamp;

/// A stored prepay_id is signed again only while it is younger than this; WeChat keeps it two
/// hours.
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
        // With a prepay_id it was open before, and may have been paid: only closing it at WeChat
        // tells.
        (S::Closing, E::Refused { .. }) if attempt.prepay.is_some() => false,
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
    /// Its price changes; the attempt at the former price is being closed.
    #[error("the order's price is being changed")]
    Repricing,
    #[error("the time to pay is over")]
    Expired,
}

/// Whether an attempt may start or go on now.
pub fn check_payable(order: &Order, now: Timestamp) -> Result<(), NotPayable> {
    match &order.state {
        OrderState::Unpaid(None) if now >= order.expires_at => Err(NotPayable::Expired),
        OrderState::Unpaid(None) if order.repricing.is_some() => Err(NotPayable::Repricing),
        OrderState::Unpaid(None) => Ok(()),
        OrderState::Unpaid(Some(_)) => Err(NotPayable::Closing),
        OrderState::Paid(_)
        | OrderState::Shipped { .. }
        | OrderState::Completed { .. }
        | OrderState::Closed { .. }
        | OrderState::Refunded { .. } => Err(NotPayable::State(order.state.as_str())),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::fold::tests::world::{EXPIRE_SECONDS, START, World};
    use crate::domain::order::{CloseReason, Closing, Paid};

    fn prepay(at: Timestamp) -> Prepay {
        Prepay { id: "wx1".into(), at }
    }

    fn in_state(state: AttemptState) -> Attempt {
        let mut world = World::new(1);
        world.placed(1001, 1, &[(11, 1)]);
        Attempt { state, ..world.started(2001, 1001) }
    }

    fn failed() -> AttemptState {
        AttemptState::Failed { code: "X".into() }
    }

    /// What an event makes of each state, in the order of [`AttemptState`]; `-`: nothing.
    #[track_caller]
    fn check(event: AttemptEvent, expected: [&str; 6]) {
        use AttemptState::*;
        for (state, expected) in
            [Requesting, Open, failed(), Closing, Closed, Paid].into_iter().zip(expected)
        {
            let before = in_state(state);
            let mut after = before.clone();
            let changed = apply(&mut after, event.clone());
            let became = if changed { after.state.as_str() } else { "-" };
            assert_eq!(became, expected, "{:?} + {event:?}", before.state);
            assert!(changed || after == before, "{:?} + {event:?} changes in secret", before.state);
        }
    }

    #[test]
    fn the_table_of_an_attempts_life() {
        check(AttemptEvent::Opened(prepay(START)), ["open", "open", "-", "closing", "-", "-"]);
        check(AttemptEvent::Refused { code: "X".into() }, ["failed", "-", "-", "failed", "-", "-"]);
        check(AttemptEvent::BeginClosing, ["closing", "closing", "-", "-", "-", "-"]);
        check(AttemptEvent::ConfirmClosed, ["closed", "closed", "-", "closed", "-", "-"]);
        check(AttemptEvent::Pay, ["paid", "paid", "paid", "paid", "paid", "-"]);
    }

    #[test]
    fn a_refusal_does_not_end_an_attempt_that_has_been_open() {
        let mut attempt = in_state(AttemptState::Closing);
        attempt.prepay = Some(prepay(START));
        assert!(!apply(&mut attempt, AttemptEvent::Refused { code: "ORDERPAID".into() }));
        assert_eq!(attempt.state, AttemptState::Closing);
    }

    #[test]
    fn an_answer_that_comes_while_closing_is_kept() {
        let mut attempt = in_state(AttemptState::Closing);
        assert!(apply(&mut attempt, AttemptEvent::Opened(prepay(START))));
        assert_eq!(attempt.prepay, Some(prepay(START)));
    }

    #[test]
    fn what_may_bring_money_is_live() {
        use AttemptState::*;
        let live = [Requesting, Open, failed(), Closing, Closed, Paid].map(|state| state.is_live());
        assert_eq!(live, [true, true, false, true, false, false]);
    }

    /// An unpaid order with ten hours to pay, and its attempt.
    fn long_order() -> (Order, Attempt) {
        let mut world = World::new(1);
        world.placed(1001, 1, &[(11, 1)]);
        let attempt = world.started(2001, 1001);
        let expires_at = START.plus_seconds(36_000);
        let order = Order { expires_at, ..world.order(1001).clone() };
        (order, Attempt { time_expire: expires_at, ..attempt })
    }

    #[track_caller]
    fn check_step(attempt: &Attempt, after: i64, expected: PrepayStep) {
        let (order, _) = long_order();
        let step = next_prepay_step(&order, Some(attempt), START.plus_seconds(after));
        assert_eq!(step, Ok(expected), "after {after} s");
    }

    #[test]
    fn a_first_attempt_starts() {
        let (order, _) = long_order();
        assert_eq!(next_prepay_step(&order, None, START), Ok(PrepayStep::Start));
    }

    #[test]
    fn a_prepay_id_is_signed_again_for_110_minutes() {
        let (_, attempt) = long_order();
        let attempt = Attempt { prepay: Some(prepay(START)), state: AttemptState::Open, ..attempt };
        check_step(&attempt, 0, PrepayStep::Sign(prepay(START)));
        check_step(&attempt, PREPAY_FRESH_SECONDS - 1, PrepayStep::Sign(prepay(START)));
        check_step(&attempt, PREPAY_FRESH_SECONDS, PrepayStep::Repeat);
    }

    #[test]
    fn a_lost_answer_is_asked_for_again_until_five_minutes_before_the_end() {
        let (_, attempt) = long_order();
        let last = 36_000 - REPEAT_MARGIN_SECONDS;
        check_step(&attempt, 0, PrepayStep::Repeat);
        check_step(&attempt, last - 1, PrepayStep::Repeat);
        check_step(&attempt, last, PrepayStep::CloseFirst);
        let old = Attempt { prepay: Some(prepay(START)), state: AttemptState::Open, ..attempt };
        check_step(&old, last - 1, PrepayStep::Repeat);
        check_step(&old, last, PrepayStep::CloseFirst);
        let fresh = prepay(START.plus_seconds(last));
        let fresh_one = Attempt { prepay: Some(fresh.clone()), ..old };
        check_step(&fresh_one, last + 1, PrepayStep::Sign(fresh));
    }

    #[test]
    fn a_prepay_id_is_not_signed_past_the_attempts_own_end() {
        let (_, attempt) = long_order();
        let time_expire = START.plus_seconds(600);
        let attempt = Attempt { prepay: Some(prepay(START)), time_expire, ..attempt };
        check_step(&attempt, 599, PrepayStep::Sign(prepay(START)));
        check_step(&attempt, 600, PrepayStep::CloseFirst);
    }

    #[test]
    fn an_attempt_that_shall_not_be_paid_is_closed_first() {
        let (order, attempt) = long_order();
        let open = Attempt { prepay: Some(prepay(START)), state: AttemptState::Open, ..attempt };
        let closing = Attempt { state: AttemptState::Closing, ..open.clone() };
        check_step(&closing, 0, PrepayStep::CloseFirst);
        let amount = order.amounts.pay.checked_add(Money::from_fen(1)).unwrap();
        check_step(&Attempt { amount, ..open }, 0, PrepayStep::CloseFirst);
    }

    #[test]
    fn only_a_live_unpaid_order_is_payable() {
        let (order, attempt) = long_order();
        let closing =
            Closing { since: START, reason: CloseReason::Buyer, next_at: START, tries: 0 };
        let paid = Paid { at: START, transaction: None };
        let closed = OrderState::Closed { at: START, reason: CloseReason::Buyer };
        let shipped = OrderState::Shipped { paid: paid.clone(), at: START };
        let refunded = OrderState::Refunded {
            paid: paid.clone(),
            shipped_at: None,
            completed_at: None,
            at: START,
        };
        for (state, expected) in [
            (OrderState::Unpaid(None), Ok(PrepayStep::Repeat)),
            (OrderState::Unpaid(Some(closing)), Err(NotPayable::Closing)),
            (OrderState::Paid(paid.clone()), Err(NotPayable::State("paid"))),
            (closed, Err(NotPayable::State("closed"))),
            (shipped, Err(NotPayable::State("shipped"))),
            (refunded, Err(NotPayable::State("refunded"))),
        ] {
            let order = Order { state, ..order.clone() };
            assert_eq!(next_prepay_step(&order, Some(&attempt), START), expected);
        }
        let at_the_end = next_prepay_step(&order, Some(&attempt), order.expires_at);
        assert_eq!(at_the_end, Err(NotPayable::Expired));
    }

    #[test]
    fn time_expire_is_at_least_six_minutes_ahead() {
        let mut world = World::new(1);
        world.placed(1001, 1, &[(11, 1)]);
        let order = world.order(1001);
        let last = order.expires_at.plus_seconds(-EXPIRE_AHEAD_SECONDS);
        assert_eq!(order.expires_at, START.plus_seconds(EXPIRE_SECONDS));
        assert_eq!(time_expire(order, START), order.expires_at);
        assert_eq!(time_expire(order, last), order.expires_at);
        assert_eq!(time_expire(order, last.plus_seconds(1)), order.expires_at.plus_seconds(1));
    }
}
