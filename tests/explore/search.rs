//! Breadth first over all states, so that the first breach found has a shortest history.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use buynow::domain::order::OrderState;

use super::mutants::{Mutant, survive};
use super::properties::{check, check_at_rest, check_step};
use super::refunds;
use super::shop::{Scenario, order_id};
use super::steps::{Action, Rules};
use super::world::*;

/// What was seen.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    pub depth: usize,
    /// States in which nothing was left to do.
    pub at_rest: usize,
    /// Pairs of commands that were folded in one batch and one after another.
    pub pairs: usize,
    pub took: Duration,
}

/// What went wrong, and how it came to that.
#[derive(Debug)]
pub struct Breach {
    pub what: String,
    pub history: Vec<Action>,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}; after", self.what)?;
        self.history.iter().try_for_each(|action| writeln!(f, "    {action:?}"))
    }
}

/// How a state was first reached.
struct Node {
    parent: u32,
    action: Action,
    depth: u32,
    /// Where the reaper alone leads from here; itself: nowhere.
    drain: u32,
}

pub struct Search<'a> {
    rules: Rules<'a>,
    /// One state in so many has the pairs of its commands folded as one batch.
    pairs_each: u128,
    seen: HashMap<u128, u32>,
    nodes: Vec<Node>,
    queue: VecDeque<(u32, State)>,
    steps: usize,
    at_rest: usize,
    pairs: usize,
}

/// Explores all states of a scenario.
pub fn explore(
    scenario: &Scenario,
    mutant: Option<Mutant>,
    pairs_each: u128,
    states_max: usize,
) -> Result<Explored, Breach> {
    let rules = Rules { scenario, mutant };
    let mut search = Search {
        rules,
        pairs_each,
        seen: HashMap::new(),
        nodes: Vec::new(),
        queue: VecDeque::new(),
        steps: 0,
        at_rest: 0,
        pairs: 0,
    };
    let begun = Instant::now();
    search.run(states_max)?;
    Ok(Explored {
        states: search.nodes.len(),
        steps: search.steps,
        depth: search.nodes.iter().map(|node| node.depth).max().unwrap_or(0) as usize,
        at_rest: search.at_rest,
        pairs: search.pairs,
        took: begun.elapsed(),
    })
}

impl Search<'_> {
    fn run(&mut self, states_max: usize) -> Result<(), Breach> {
        let first = State::new(self.rules.scenario);
        self.seen.insert(first.key(), 0);
        self.nodes.push(Node { parent: 0, action: Action::Crash, depth: 0, drain: 0 });
        self.queue.push_back((0, first));
        while let Some((index, state)) = self.queue.pop_front() {
            self.expand(index, &state)?;
            assert!(self.nodes.len() <= states_max, "more than {states_max} states");
        }
        self.every_drain_ends()
    }

    fn expand(&mut self, index: u32, state: &State) -> Result<(), Breach> {
        let drain = drain(&self.rules, state);
        let mut actions = self.rules.enabled(state);
        actions.extend(drain.filter(|action| !actions.contains(action)));
        if drain.is_none() {
            self.at_rest += 1;
            let rested = check_at_rest(self.rules.scenario, state);
            rested.map_err(|what| self.breach(what, index, None))?;
        }
        for action in &actions {
            let reached = self.reach(index, state, *action)?;
            if Some(*action) == drain {
                self.nodes[index as usize].drain = reached;
            }
        }
        if self.pairs_each > 0 && state.key().is_multiple_of(self.pairs_each) {
            self.fold_pairs(index, state, &actions)?;
        }
        Ok(())
    }

    /// The state behind a step, checked if it is new.
    fn reach(&mut self, from: u32, state: &State, action: Action) -> Result<u32, Breach> {
        self.steps += 1;
        let taken = survive(|| {
            let next = self.rules.take(state, action)?;
            check_step(state, &next)?;
            Ok(next)
        });
        let next = taken.map_err(|what| self.breach(what, from, Some(action)))?;
        let key = next.key();
        if let Some(known) = self.seen.get(&key) {
            return Ok(*known);
        }
        let checked = survive(|| check(self.rules.scenario, &next));
        checked.map_err(|what| self.breach(what, from, Some(action)))?;
        let index = self.nodes.len() as u32;
        let depth = self.nodes[from as usize].depth + 1;
        self.nodes.push(Node { parent: from, action, depth, drain: index });
        self.seen.insert(key, index);
        self.queue.push_back((index, next));
        Ok(index)
    }

    fn breach(&self, what: String, from: u32, last: Option<Action>) -> Breach {
        let mut history: Vec<Action> = last.into_iter().collect();
        let mut at = from as usize;
        while self.nodes[at].depth > 0 {
            history.push(self.nodes[at].action);
            at = self.nodes[at].parent as usize;
        }
        history.reverse();
        Breach { what, history }
    }

    /// Two members of one batch leave what two batches leave.
    fn fold_pairs(&mut self, at: u32, state: &State, actions: &[Action]) -> Result<(), Breach> {
        let mutant = self.rules.mutant;
        for first in actions {
            for second in actions {
                let commands = [*first, *second].map(|action| self.rules.command(state, action));
                let [Some(one), Some(two)] = commands else { continue };
                self.pairs += 1;
                let (mut together, mut alone) = (state.clone(), state.clone());
                let folded = survive(|| {
                    together.db.commit(mutant, vec![one.clone(), two.clone()], state.now)?;
                    alone.db.commit(mutant, vec![one], state.now)?;
                    alone.db.commit(mutant, vec![two], state.now)?;
                    Ok(())
                });
                folded.map_err(|what| self.breach(what, at, Some(*second)))?;
                if together.key() != alone.key() {
                    let what = format!("{first:?} and {second:?} differ when they share a batch");
                    return Err(self.breach(what, at, None));
                }
            }
        }
        Ok(())
    }

    /// From every state the reaper alone comes to rest.
    fn every_drain_ends(&self) -> Result<(), Breach> {
        const NEW: u8 = 0;
        const ON_THE_WAY: u8 = 1;
        const ENDS: u8 = 2;
        let mut known = vec![NEW; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let (mut way, mut at) = (Vec::new(), start);
            while known[at] == NEW {
                known[at] = ON_THE_WAY;
                way.push(at);
                let next = self.nodes[at].drain as usize;
                if next == at {
                    break;
                }
                at = next;
                if known[at] == ON_THE_WAY {
                    return Err(self.breach("the reaper runs in a circle".into(), at as u32, None));
                }
            }
            way.into_iter().for_each(|index| known[index] = ENDS);
        }
        Ok(())
    }
}

/// The next thing that happens when no buyer does anything and nothing goes wrong any more: what is
/// held in memory is finished, time passes, the reaper works.
fn drain(rules: &Rules<'_>, state: &State) -> Option<Action> {
    let scenario = rules.scenario;
    if let Some(slot) = state.pays.iter().position(|pay| pay.call != Call::None) {
        return Some(Action::LoseAnswer(slot));
    }
    if state.moment + 1 < scenario.moments.len() {
        return Some(Action::Tick);
    }
    for (slot, pay) in state.pays.iter().enumerate() {
        match pay.closer {
            Closer::Idle => {}
            Closer::ToAsk { .. } => return Some(Action::CloserAsks(slot)),
            Closer::ToClose { .. } => return Some(Action::CloserCloses(slot)),
            Closer::Word { .. } => return Some(Action::CloserTells(slot)),
        }
    }
    for slot in 0..scenario.requests.len() {
        let order = state.db.orders.get(&order_id(slot));
        if order.is_some_and(|order| order.state == OrderState::Unpaid(None)) {
            return Some(Action::Expire(slot));
        }
    }
    for slot in 0..state.pays.len() {
        let attempt = state.attempt(slot).map(|attempt| &attempt.state);
        if attempt == Some(&buynow::domain::attempt::AttemptState::Closing) {
            let close = if scenario.faults.fine { Action::CloserAsks } else { Action::Close };
            return Some(close(slot));
        }
    }
    refunds::drain(rules, state)
}
