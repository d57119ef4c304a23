//! Refunds: what the payment actor does step by step, and what WeChat makes of it.

use buynow::domain::fold::{Command, Outcome};
use buynow::domain::id::RefundId;
use buynow::domain::payment::{Refund, RefundEvent, RefundState};

use super::steps::{Action, Rules, change_refund};
use super::world::*;

/// Of a worker on one refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Asks WeChat how far it is; what it does not know is requested: committed first.
    Look,
    Call,
    /// WeChat's word goes into the journal.
    Tell,
    Die,
    /// WeChat finishes what is under way.
    Bank,
}

/// From the first request to the money, without anything in between.
pub const WHOLE: [Step; 6] =
    [Step::Look, Step::Call, Step::Tell, Step::Bank, Step::Look, Step::Tell];

/// What can happen to refunds next.
pub fn enabled(rules: &Rules<'_>, state: &State, all: &mut Vec<Action>) {
    let faults = rules.scenario.faults;
    for refund in state.db.refunds.values() {
        if !faults.fine_refunds {
            if is_open(refund) {
                all.push(Action::WholeRefund(refund.id));
            }
            continue;
        }
        for worker in 0..faults.refund_workers {
            let step = |step| Action::Refund(refund.id, worker, step);
            match state.work.get(&(refund.id, worker)).copied().unwrap_or(Work::Idle) {
                Work::Idle if is_news(state, refund) => all.push(step(Step::Look)),
                Work::Idle => {}
                Work::Call { .. } => all.extend([step(Step::Call), step(Step::Die)]),
                Work::Word { .. } => all.extend([step(Step::Tell), step(Step::Die)]),
            }
        }
    }
    for (nth, back) in state.backs.iter().enumerate() {
        let other = state.backs.iter().any(|back| back.state == BackState::Closed);
        match back.state {
            BackState::Processing => {
                all.push(Action::Bank(nth, BackState::Success));
                if faults.refund_trouble {
                    all.push(Action::Bank(nth, BackState::Abnormal));
                    if !other {
                        all.push(Action::Bank(nth, BackState::Closed));
                    }
                }
            }
            BackState::Abnormal => all.push(Action::Bank(nth, BackState::Success)),
            BackState::Success | BackState::Closed => {}
        }
    }
}

fn is_open(refund: &Refund) -> bool {
    !matches!(refund.state, RefundState::Success | RefundState::Failed { .. })
}

/// Whether looking at it could bring anything that is not recorded.
fn is_news(state: &State, refund: &Refund) -> bool {
    let nothing = match &refund.state {
        RefundState::Success | RefundState::Failed { .. } => return false,
        RefundState::Processing => Some(BackState::Processing),
        RefundState::Abnormal => Some(BackState::Abnormal),
        RefundState::Due | RefundState::Requested => return true,
    };
    at_wechat(state, refund) != nothing
}

/// How WeChat has the refund under its present number.
pub fn at_wechat(state: &State, refund: &Refund) -> Option<BackState> {
    let number = refund.out_refund_no.as_str();
    state.backs.iter().find(|back| back.number == number).map(|back| back.state)
}

/// The command that a step puts into the journal.
pub fn command(state: &State, id: RefundId, worker: usize, step: Step) -> Option<Command> {
    let refund = state.db.refunds.get(&id)?;
    let busy = state.work.get(&(id, worker)).copied();
    match (step, busy) {
        (Step::Look, None) => {
            let asks = refund.state == RefundState::Due || at_wechat(state, refund).is_none();
            let asks = asks && refund.may_be_requested();
            asks.then(|| change_refund(refund, refund.number, RefundEvent::Request, Vec::new()))
        }
        (Step::Tell, Some(Work::Word { number, word })) => {
            let found = match word {
                Word::Refused => state.found(refund.transaction.as_str()),
                _ => Vec::new(),
            };
            Some(change_refund(refund, number, event(word, state), found))
        }
        _ => None,
    }
}

fn event(word: Word, state: &State) -> RefundEvent {
    match word {
        Word::Accepted => RefundEvent::Accepted { wechat_refund_id: None, look_at: state.now },
        Word::Succeeded => RefundEvent::Succeeded { at: state.now },
        Word::Closed => RefundEvent::ClosedByWechat,
        Word::Abnormal => RefundEvent::Abnormal,
        Word::Refused => RefundEvent::Failed { code: String::new() },
    }
}

/// What a step makes of memory and WeChat.
pub fn step(next: &mut State, id: RefundId, worker: usize, step: Step, outcome: Option<&Outcome>) {
    let Some(refund) = next.db.refunds.get(&id).cloned() else { return };
    let busy = next.work.get(&(id, worker)).copied().unwrap_or(Work::Idle);
    let heard = |word| Work::Word { number: refund.number, word };
    let work = match (step, busy) {
        (Step::Look, Work::Idle) => match (outcome, at_wechat(next, &refund)) {
            (Some(Outcome::RefundChanged(true)), _) => {
                Work::Call { number: refund.number, fen: refund.amount.as_fen() }
            }
            (Some(_), _) | (None, None) => Work::Idle,
            (None, Some(BackState::Processing)) => heard(Word::Accepted),
            (None, Some(BackState::Success)) => heard(Word::Succeeded),
            (None, Some(BackState::Abnormal)) => heard(Word::Abnormal),
            (None, Some(BackState::Closed)) => heard(Word::Closed),
        },
        (Step::Call, Work::Call { number, fen }) => {
            Work::Word { number, word: call(next, &refund, number, fen) }
        }
        (Step::Bank, _) => {
            let ours = |back: &&mut Back| back.number == refund.out_refund_no.as_str();
            if let Some(back) = next.backs.iter_mut().find(ours) {
                back.state = BackState::Success;
            }
            Work::Idle
        }
        _ => Work::Idle,
    };
    match work {
        Work::Idle => next.work.remove(&(id, worker)),
        _ => next.work.insert((id, worker), work),
    };
}

/// WeChat takes a number once, and never gives back more than it has taken.
fn call(next: &mut State, refund: &Refund, number: i64, fen: i64) -> Word {
    let transaction = refund.transaction.as_str().to_owned();
    let number = format!("r{transaction}-{number}");
    if next.backs.iter().any(|back| back.number == number) {
        return Word::Accepted;
    }
    if next.gone_back(&transaction) + fen > refund.total.as_fen() {
        return Word::Refused;
    }
    next.backs.push(Back { number, transaction, fen, state: BackState::Processing });
    Word::Accepted
}

/// What finishes refunds, one step after another, when nothing goes wrong any more.
pub fn drain(rules: &Rules<'_>, state: &State) -> Option<Action> {
    let mut all = Vec::new();
    enabled(rules, state, &mut all);
    let is = |wanted: fn(Step) -> bool| move |action: &&Action| matches!(action, Action::Refund(_, _, step) if wanted(*step));
    let held = all.iter().find(is(|step| matches!(step, Step::Call | Step::Tell)));
    let bank = all.iter().find(|action| matches!(action, Action::Bank(_, BackState::Success)));
    let look = all.iter().find(is(|step| step == Step::Look));
    let whole = all.iter().find(|action| matches!(action, Action::WholeRefund(_)));
    held.or(bank).or(look).or(whole).copied()
}
