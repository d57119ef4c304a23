//! Every state that a small shop can get into, explored without exception.
//!
//! The fold is the real one; around it are WeChat, the network, and processes that may end between
//! any two steps (`steps.rs`). In each state and across each step the promises of `properties.rs`
//! must hold; from each state the reaper alone must come to rest, with no order waiting, no goods
//! held for nothing and no money forgotten. `mutants.rs` has rules that are wrong on purpose: each
//! must be found.
//!
//! `BUYNOW_EXPLORE=deep cargo test --release --test explore -- --nocapture` explores larger shops.
#![allow(clippy::unwrap_used)]

mod mutants;
mod network;
mod properties;
mod refunds;
mod scenarios;
mod search;
mod shop;
mod staff;
mod steps;
mod world;

use mutants::Mutant;
use scenarios::*;
use search::{Breach, Explored};
use shop::Scenario;

/// More states than that are not explored, but called an error.
const STATES_MAX: usize = 200_000;
const DEEP_STATES_MAX: usize = 8_000_000;
/// One state in so many is asked whether a batch is its members one by one.
const PAIRS_EACH: u128 = 64;

fn is_deep() -> bool {
    std::env::var("BUYNOW_EXPLORE").is_ok_and(|how| how == "deep")
}

fn report(scenario: &Scenario, explored: &Explored) {
    let Explored { states, steps, depth, at_rest, pairs, took } = explored;
    let seconds = took.as_millis() / 1000;
    println!(
        "{}: {states} states, {steps} steps, {depth} deep, {at_rest} at rest, {pairs} pairs in one \
         batch, {seconds} s",
        scenario.name
    );
}

#[track_caller]
fn check(scenario: &Scenario, states_max: usize) {
    match search::explore(scenario, None, PAIRS_EACH, states_max) {
        Ok(explored) => {
            report(scenario, &explored);
            assert!(explored.at_rest > 1, "nothing was ever finished");
        }
        Err(breach) => panic!("{}: {breach}", scenario.name),
    }
}

#[test]
fn one_attempt_step_by_step_in_two_processes() {
    check(&ONE_ATTEMPT, STATES_MAX);
}

#[test]
fn two_attempts_step_by_step() {
    check(&TWO_ATTEMPTS, STATES_MAX);
}

#[test]
fn refunds_that_get_stuck() {
    check(&REFUNDS, STATES_MAX);
}

#[test]
fn staff_who_ship_and_give_back() {
    check(&STAFF, STATES_MAX);
}

#[test]
fn staff_who_change_prices_and_release() {
    check(&STAFF_BEFORE_PAYMENT, STATES_MAX);
}

#[test]
fn two_buyers_and_one_piece_of_each() {
    check(&TWO_BUYERS, STATES_MAX);
}

#[test]
fn two_buyers_and_one_piece() {
    check(&ONE_PIECE, STATES_MAX);
}

#[test]
fn three_orders_under_keys_and_a_limit() {
    check(&THREE_ORDERS, STATES_MAX);
}

/// Only when asked for: minutes, and gigabytes.
#[test]
fn larger_shops_when_asked_for() {
    if !is_deep() {
        println!("BUYNOW_EXPLORE=deep explores {} larger shops", DEEP.len());
        return;
    }
    DEEP.iter().for_each(|scenario| check(scenario, DEEP_STATES_MAX));
}

/// What is wrong, where it is looked for, and what is said of it.
const WRONG: &[(Mutant, &Scenario, &str)] = &[
    (Mutant::KeepStock, &TWO_BUYERS, "has moved [-1]"),
    (Mutant::Oversell, &ONE_PIECE, "is oversold"),
    (Mutant::OversellAtPayment, &TWO_BUYERS, "is oversold"),
    (Mutant::ForgetPayments, &TWO_ATTEMPTS, "is counted twice"),
    (Mutant::KeepSurplus, &TWO_BUYERS, "go back"),
    (Mutant::ForgetKeys, &THREE_ORDERS, "a key made two orders"),
    (Mutant::StopNothing, &TWO_ATTEMPTS, "may be paid, its order not"),
    (Mutant::StartBeside, &TWO_ATTEMPTS, "has 2 live attempts"),
    (Mutant::CloseAtOnce, &TWO_ATTEMPTS, "may be paid, its order not"),
    (Mutant::ReopenClosed, &TWO_ATTEMPTS, "was closed and is paid"),
    (Mutant::TellNobody, &TWO_ATTEMPTS, "wrong things are told"),
    (Mutant::BelieveUnknown, &TWO_ATTEMPTS, "was paid, and nobody here knows"),
    (Mutant::CloseBlind, &ONE_ATTEMPT, "was paid, and nobody here knows"),
    (Mutant::TellLate, &TWO_ATTEMPTS, "was paid, and nobody here knows"),
    (Mutant::MiscountRefunds, &REFUNDS, "miscounts refunds"),
    (Mutant::ForgetLimit, &THREE_ORDERS, "of 1"),
    (Mutant::ShipWhatGoesBack, &STAFF, "money goes back"),
    (Mutant::RefundTwice, &STAFF, "go back"),
    (Mutant::ResellWhatIsSent, &STAFF, "has moved"),
];

#[test]
fn every_wrong_rule_is_found() {
    let mut missed = Vec::new();
    for (mutant, scenario, expected) in WRONG {
        match search::explore(scenario, Some(*mutant), 0, STATES_MAX) {
            Err(Breach { what, .. }) if !what.contains(expected) => {
                missed.push(format!("{mutant:?}: {what}"));
            }
            Err(breach) => println!("{mutant:?}: {breach}"),
            Ok(explored) => missed.push(format!("{mutant:?} in {} states", explored.states)),
        }
    }
    assert!(missed.is_empty(), "not found, or by other words:\n  {}", missed.join("\n  "));
}
