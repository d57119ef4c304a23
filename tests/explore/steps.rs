//! Everything that can happen next, and what it makes of a state.
//!
//! What WeChat does is written down here; so is what the payment actor and the reaper do around the
//! fold (ask, close, ask; commit a request before it is sent). Every decision about orders, stock
//! and money is the fold's, and when a buyer may pay is [`next_prepay_step`]'s.

use buynow::domain::attempt::{AttemptEvent, AttemptState, Prepay, PrepayStep, next_prepay_step};
use buynow::domain::fold::*;
use buynow::domain::id::{RefundId, TransactionId};
use buynow::domain::money::Money;
use buynow::domain::order::CloseReason;
use buynow::domain::payment::{PaymentEvidence, Refund, RefundEvent, out_refund_no};

use super::mutants::Mutant;
use super::network::network;
use super::refunds;
use super::shop::*;
use super::staff;
use super::world::*;

/// How long a unifiedorder may be in the network, and how long WeChat takes money after the end of
/// an attempt: what `actors/payment` reckons with.
pub const IN_FLIGHT_SECONDS: i64 = 60;
pub const UNKNOWN_MARGIN_SECONDS: i64 = 600;

/// Numbers are slots: of orders, of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Place(usize),
    Cancel(usize),
    Expire(usize),
    Postpone(usize),
    /// The attempt is committed as requesting.
    Start(usize),
    /// unifiedorder leaves.
    Send(usize),
    /// It arrives, and the answer comes back if somebody still waits.
    Arrive(usize),
    Reject(usize),
    LoseAnswer(usize),
    /// The answer is committed; the buyer is handed what he may pay with.
    Record(usize),
    /// The same, but the process ends after the commit.
    RecordAndCrash(usize),
    /// The buyer asks again, and a stored prepay_id is signed.
    Sign(usize),
    /// The buyer pays, at WeChat.
    Pay(usize),
    Notify(usize),
    NotifyOfSecondCharge(usize),
    NotifyOfLateMoney(usize),
    /// The reaper asks about a live attempt.
    Ask(usize),
    CloserAsks(usize),
    /// WeChat does not find what it has.
    CloserMishears(usize),
    CloserCloses(usize),
    CloserTells(usize),
    CloserDies(usize),
    /// Staff give half, or the rest, back at the merchant platform.
    GiveBack(usize, bool),
    Staff(usize, staff::Deed),
    Refund(RefundId, usize, refunds::Step),
    /// At WeChat, to the nth refund there.
    Bank(usize, BackState),
    Crash,
    Tick,
    /// Without faults in between: all of a call, of a closing, of a refund.
    Open(usize),
    /// WeChat takes it, and the answer is lost; WeChat refuses it for good.
    OpenLost(usize),
    OpenRefused(usize),
    Close(usize),
    WholeRefund(RefundId),
}

type Part = fn(usize) -> Action;

/// Query, close, query; and nothing is left in memory.
const CLOSE: [Part; 5] = [
    Action::CloserAsks,
    Action::CloserCloses,
    Action::CloserAsks,
    Action::CloserTells,
    Action::CloserDies,
];

pub struct Rules<'a> {
    pub scenario: &'a Scenario,
    pub mutant: Option<Mutant>,
}

impl Rules<'_> {
    fn order_slot(&self, attempt: usize) -> usize {
        attempt / self.scenario.attempts
    }

    /// What can happen.
    pub fn enabled(&self, state: &State) -> Vec<Action> {
        let mut all = Vec::new();
        for slot in 0..self.scenario.requests.len() {
            self.of_order(state, slot, &mut all);
        }
        for slot in 0..state.pays.len() {
            self.of_attempt(state, slot, &mut all);
        }
        refunds::enabled(self, state, &mut all);
        if state.holds_anything() {
            all.push(Action::Crash);
        }
        if state.moment + 1 < self.scenario.moments.len() {
            all.push(Action::Tick);
        }
        all
    }

    fn of_order(&self, state: &State, slot: usize, all: &mut Vec<Action>) {
        if state.moment == 0 {
            all.push(Action::Place(slot));
        }
        if let Some(order) = state.order(slot) {
            all.extend([Action::Cancel(slot), Action::Postpone(slot)]);
            if state.now >= order.expires_at {
                all.push(Action::Expire(slot));
            }
            if self.scenario.faults.staff {
                all.extend(staff::DEEDS.map(|deed| Action::Staff(slot, deed)));
            }
        }
    }

    fn of_attempt(&self, state: &State, slot: usize, all: &mut Vec<Action>) {
        let pay = &state.pays[slot];
        let Some(attempt) = state.attempt(slot) else {
            let is_first = slot.is_multiple_of(self.scenario.attempts);
            let former = is_first || state.attempt(slot - 1).is_some();
            if former && state.order(self.order_slot(slot)).is_some() {
                match self.scenario.faults.fine {
                    true => all.push(Action::Start(slot)),
                    false => self.openings(slot, all),
                }
            }
            return;
        };
        if self.scenario.faults.fine {
            self.fine_steps(state, slot, all);
        } else {
            let step = self.prepay_step(state, slot);
            if step == Some(PrepayStep::Repeat) {
                self.openings(slot, all);
            }
            if self.may_close(state, slot) {
                all.push(Action::Close(slot));
            }
        }
        if matches!(self.prepay_step(state, slot), Some(PrepayStep::Sign(_))) && !pay.shown {
            all.push(Action::Sign(slot));
        }
        let last = attempt.time_expire.plus_seconds(UNKNOWN_MARGIN_SECONDS);
        if pay.trade == Trade::Open && pay.shown && state.now < last {
            all.push(Action::Pay(slot));
        }
        if pay.trade == Trade::Closed && pay.shown && self.scenario.faults.late_money {
            all.push(Action::NotifyOfLateMoney(slot));
        }
        if pay.trade == Trade::Paid {
            self.of_money(state, slot, all);
        }
    }

    fn openings(&self, slot: usize, all: &mut Vec<Action>) {
        all.extend([Action::Open(slot), Action::OpenLost(slot)]);
        if self.scenario.faults.rejects {
            all.push(Action::OpenRefused(slot));
        }
    }

    fn of_money(&self, state: &State, slot: usize, all: &mut Vec<Action>) {
        let faults = self.scenario.faults;
        all.push(Action::Notify(slot));
        if state.attempt(slot).is_some_and(|attempt| attempt.state.is_live()) {
            all.push(Action::Ask(slot));
        }
        // A query shows one transaction of a number: a second one is known by its message alone.
        let first = transaction(slot);
        let mut payments = state.db.payments.values();
        if faults.double_charge && payments.any(|p| p.evidence.transaction.as_str() == first) {
            all.push(Action::NotifyOfSecondCharge(slot));
        }
        let gone = state.gone_back(&transaction(slot));
        if faults.by_hand
            && gone < state.fen(slot)
            && !state.backs.iter().any(|back| back.number == "hand")
        {
            all.extend([Action::GiveBack(slot, false), Action::GiveBack(slot, true)]);
        }
    }

    fn fine_steps(&self, state: &State, slot: usize, all: &mut Vec<Action>) {
        let pay = &state.pays[slot];
        let repeats = self.prepay_step(state, slot) == Some(PrepayStep::Repeat);
        if pay.call == Call::Ready || (pay.call == Call::None && repeats) {
            all.push(Action::Send(slot));
        }
        if pay.flying {
            all.push(Action::Arrive(slot));
            if self.scenario.faults.rejects {
                all.push(Action::Reject(slot));
            }
        }
        match pay.call {
            Call::Prepaid | Call::Refused => {
                let ways = [Action::Record, Action::RecordAndCrash, Action::LoseAnswer];
                all.extend(ways.map(|way| way(slot)));
            }
            Call::Ready | Call::Waiting | Call::Spent => all.push(Action::LoseAnswer(slot)),
            Call::None => {}
        }
        match pay.closer {
            Closer::Idle if !self.may_close(state, slot) => {}
            Closer::Idle => {
                all.push(Action::CloserAsks(slot));
                self.mishearing(pay, slot, all);
            }
            Closer::ToAsk { .. } => {
                all.extend([Action::CloserAsks(slot), Action::CloserDies(slot)]);
                self.mishearing(pay, slot, all);
            }
            Closer::ToClose { unknown, .. } => {
                all.extend([Action::CloserCloses(slot), Action::CloserDies(slot)]);
                if unknown {
                    self.mishearing(pay, slot, all);
                }
            }
            Closer::Word { .. } => {
                all.extend([Action::CloserTells(slot), Action::CloserDies(slot)]);
            }
        }
    }

    fn mishearing(&self, pay: &Pay, slot: usize, all: &mut Vec<Action>) {
        if pay.trade == Trade::Open && self.scenario.faults.forgetful {
            all.push(Action::CloserMishears(slot));
        }
    }

    fn prepay_step(&self, state: &State, slot: usize) -> Option<PrepayStep> {
        let attempt = state.attempt(slot).filter(|attempt| attempt.state.is_live())?;
        next_prepay_step(state.order_of(attempt), Some(attempt), state.now).ok()
    }

    /// Whether somebody would close the attempt now: the order is being closed or was paid by
    /// another one, or the buyer needs a new number. In one process its own call is over first.
    fn may_close(&self, state: &State, slot: usize) -> bool {
        let Some(attempt) = state.attempt(slot) else { return false };
        let call = state.pays[slot].call;
        let own_call = !matches!(call, Call::None | Call::Spent);
        if own_call && !self.scenario.faults.foreign_closer {
            return false;
        }
        attempt.state == AttemptState::Closing
            || call == Call::Spent
            || self.prepay_step(state, slot) == Some(PrepayStep::CloseFirst)
    }

    /// The command that an action puts into the journal, if it does.
    pub fn command(&self, state: &State, action: Action) -> Option<Command> {
        let closing = |order, reason| {
            Command::BeginClosing(BeginClosing { order: order_id(order), reason, user: None })
        };
        Some(match action {
            Action::Place(slot) => Command::Place(place(slot, self.scenario)),
            Action::Cancel(slot) => closing(slot, CloseReason::Buyer),
            Action::Expire(slot) => closing(slot, CloseReason::Expired),
            Action::Postpone(slot) => {
                let next_at = state.now.plus_seconds(5);
                Command::PostponeClosing(PostponeClosing { order: order_id(slot), next_at })
            }
            Action::Start(slot) => Command::StartAttempt(start(slot, self.order_slot(slot))),
            Action::Record(slot) | Action::RecordAndCrash(slot) => {
                let event = match state.pays[slot].call {
                    Call::Prepaid => {
                        AttemptEvent::Opened(Prepay { id: String::new(), at: state.now })
                    }
                    Call::Refused => AttemptEvent::Refused { code: String::new() },
                    Call::None | Call::Ready | Call::Waiting | Call::Spent => return None,
                };
                Command::RecordPrepay(RecordPrepay { attempt: attempt_id(slot), event })
            }
            Action::Notify(slot) | Action::NotifyOfLateMoney(slot) => {
                settle(state, slot, transaction(slot), Vec::new())
            }
            Action::NotifyOfSecondCharge(slot) => {
                settle(state, slot, second_charge(slot), Vec::new())
            }
            Action::Ask(slot) => {
                settle(state, slot, transaction(slot), state.found(&transaction(slot)))
            }
            Action::CloserTells(slot) => self.closers_word(state, slot)?,
            Action::Staff(slot, deed) => staff::command(state, slot, deed),
            Action::Refund(refund, worker, step) => refunds::command(state, refund, worker, step)?,
            _ => return None,
        })
    }

    fn closers_word(&self, state: &State, slot: usize) -> Option<Command> {
        let Closer::Word { knew, word, at } = state.pays[slot].closer else { return None };
        let attempt = state.attempt(slot)?;
        if word == Trade::Paid {
            let found = state.found(&transaction(slot));
            return Some(settle(state, slot, transaction(slot), found));
        }
        let until = match knew {
            false => attempt.created_at.plus_seconds(IN_FLIGHT_SECONDS),
            true => attempt.time_expire.plus_seconds(UNKNOWN_MARGIN_SECONDS),
        };
        let sure = word == Trade::Closed
            || until <= START.plus_seconds(self.scenario.moments[at])
            || (until <= state.now && self.mutant == Some(Mutant::TellLate))
            || self.mutant == Some(Mutant::BelieveUnknown);
        let unheard_of = word == Trade::Unheard && !knew && self.mutant != Some(Mutant::CloseBlind);
        let close = CloseAttempt { order: attempt.order, attempt: attempt.id, unheard_of };
        sure.then_some(Command::CloseAttempt(close))
    }

    /// What becomes of the state. An error is a breach.
    pub fn take(&self, state: &State, action: Action) -> Result<State, String> {
        let mut next = state.clone();
        match action {
            Action::Open(slot) | Action::OpenLost(slot) | Action::OpenRefused(slot) => {
                let parts: [Part; 3] = match action {
                    Action::OpenLost(_) => [Action::Send, Action::Arrive, Action::LoseAnswer],
                    Action::OpenRefused(_) => [Action::Send, Action::Reject, Action::Record],
                    _ => [Action::Send, Action::Arrive, Action::Record],
                };
                self.step(&mut next, Action::Start(slot))?;
                if next.attempt(slot).is_some() {
                    self.all(&mut next, slot, &parts)?;
                }
                if next.pays[slot].call == Call::Spent {
                    self.all(&mut next, slot, &CLOSE)?;
                }
            }
            Action::Close(slot) => self.all(&mut next, slot, &CLOSE)?,
            Action::WholeRefund(id) => {
                for part in refunds::WHOLE {
                    self.step(&mut next, Action::Refund(id, 0, part))?;
                }
            }
            _ => self.step(&mut next, action)?,
        }
        Ok(next)
    }

    fn all(&self, next: &mut State, slot: usize, parts: &[Part]) -> Result<(), String> {
        parts.iter().try_for_each(|part| self.step(next, part(slot)))
    }

    fn step(&self, next: &mut State, action: Action) -> Result<(), String> {
        let mut outcome = None;
        if let Some(command) = self.command(next, action) {
            outcome = next.db.commit(self.mutant, vec![command], next.now)?.pop();
        }
        match action {
            Action::Start(slot) => {
                if matches!(outcome, Some(Outcome::AttemptStarted(Ok(_)))) {
                    next.pays[slot].call = Call::Ready;
                }
            }
            Action::Record(slot) => {
                let shown = matches!(outcome, Some(Outcome::PrepayRecorded(Some(attempt)))
                    if attempt.state == AttemptState::Open);
                next.pays[slot].shown |= shown;
                if next.pays[slot].call != Call::Spent {
                    next.pays[slot].call = Call::None;
                }
            }
            Action::RecordAndCrash(_) | Action::Crash => next.crash(),
            Action::Sign(slot) => next.pays[slot].shown = true,
            Action::Tick => self.tick(next),
            Action::GiveBack(slot, whole) => {
                let transaction = transaction(slot);
                let rest = next.fen(slot) - next.gone_back(&transaction);
                let fen = if whole { rest } else { rest.min(PRICE / 2) };
                let state = BackState::Success;
                next.backs.push(Back { number: "hand".into(), transaction, fen, state });
            }
            Action::Refund(refund, worker, step) => {
                refunds::step(next, refund, worker, step, outcome.as_ref());
            }
            Action::Bank(nth, state) => next.backs[nth].state = state,
            _ => {
                let slot = match action {
                    Action::Send(slot) | Action::Arrive(slot) | Action::Reject(slot) => slot,
                    Action::LoseAnswer(slot) | Action::Pay(slot) => slot,
                    Action::CloserAsks(slot) | Action::CloserMishears(slot) => slot,
                    Action::CloserCloses(slot) | Action::NotifyOfLateMoney(slot) => slot,
                    Action::CloserTells(slot) | Action::CloserDies(slot) => slot,
                    _ => return Ok(()),
                };
                let knew = next.attempt(slot).is_some_and(|attempt| attempt.prepay.is_some());
                network(&mut next.pays[slot], action, knew, next.moment);
            }
        }
        Ok(())
    }

    /// Time passes; whatever was in the network has arrived or never will.
    fn tick(&self, state: &mut State) {
        state.moment += 1;
        state.now = START.plus_seconds(self.scenario.moments[state.moment]);
        for pay in &mut state.pays {
            pay.flying = false;
            if pay.call == Call::Waiting {
                pay.call = Call::None;
            }
        }
    }
}

pub fn transaction(slot: usize) -> String {
    format!("TX{slot}")
}

pub fn second_charge(slot: usize) -> String {
    format!("TY{slot}")
}

fn settle(state: &State, slot: usize, transaction: String, refunds: Vec<FoundRefund>) -> Command {
    Command::Settle(Settle {
        attempt: attempt_id(slot),
        evidence: PaymentEvidence {
            transaction: TransactionId::parse(transaction).unwrap(),
            amount: Money::from_fen(state.fen(slot)),
            cash: None,
            bank_type: None,
            payer_openid: None,
            paid_at: START,
        },
        refunds,
    })
}

/// Words of a refund, about its nth number.
pub fn change_refund(
    refund: &Refund,
    nth: i64,
    event: RefundEvent,
    found: Vec<FoundRefund>,
) -> Command {
    let former = out_refund_no(&refund.transaction, nth).filter(|_| nth != refund.number);
    let number = former.unwrap_or(refund.out_refund_no.clone());
    Command::ChangeRefund(ChangeRefund { number, ..ChangeRefund::of(refund, event, found) })
}
