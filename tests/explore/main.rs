//! Every state that a small shop can get into, explored without exception.
#![allow(clippy::unwrap_used)]

mod mutants;
mod properties;
mod refunds;
mod search;
mod shop;
mod steps;
mod world;

use shop::{Faults, Request, Scenario};

const FINE: Faults = Faults {
    fine: true,
    rejects: true,
    foreign_closer: false,
    double_charge: false,
    by_hand: false,
    refund_trouble: false,
    refund_workers: 1,
};

const COARSE: Faults = Faults { fine: false, ..FINE };
const A: Request = Request { buyer: 1, key: "a", pieces: [1, 0] };

const ALL: &[Scenario] = &[
    Scenario {
        name: "one order, one attempt, every step of ours alone",
        stock: [1, 1],
        limit: None,
        requests: &[Request { buyer: 1, key: "a", pieces: [1, 1] }],
        attempts: 1,
        moments: &[0, 100, 750, 1150, 1800],
        faults: Faults { foreign_closer: true, by_hand: true, double_charge: true, ..FINE },
    },
    Scenario {
        name: "one order, two attempts, every step of ours alone",
        stock: [1, 1],
        limit: None,
        requests: &[A],
        attempts: 2,
        moments: &[0, 100, 750, 1150, 1800],
        faults: FINE,
    },
    Scenario {
        name: "refunds that get stuck, two at work on them",
        stock: [1, 1],
        limit: None,
        requests: &[A],
        attempts: 1,
        moments: &[0, 1150, 1800],
        faults: Faults {
            rejects: false,
            double_charge: true,
            by_hand: true,
            refund_trouble: true,
            refund_workers: 2,
            ..FINE
        },
    },
    Scenario {
        name: "two buyers, one piece each to be had, both modes",
        stock: [1, 1],
        limit: None,
        requests: &[
            Request { buyer: 1, key: "a", pieces: [1, 1] },
            Request { buyer: 2, key: "a", pieces: [0, 1] },
        ],
        attempts: 2,
        moments: &[0, 750, 1150, 1800],
        faults: COARSE,
    },
    Scenario {
        name: "three orders of two buyers for two pieces, a key used twice, a limit",
        stock: [2, 1],
        limit: Some(1),
        requests: &[
            Request { buyer: 1, key: "a", pieces: [1, 0] },
            Request { buyer: 1, key: "a", pieces: [1, 0] },
            Request { buyer: 1, key: "b", pieces: [1, 1] },
            Request { buyer: 2, key: "a", pieces: [1, 1] },
        ],
        attempts: 1,
        moments: &[0, 1150, 1800],
        faults: COARSE,
    },
];

#[test]
fn no_state_breaks_a_promise() {
    let only = std::env::var("BUYNOW_SCENARIO").unwrap_or_default();
    for scenario in ALL.iter().filter(|scenario| scenario.name.contains(&only)) {
        match search::explore(scenario, None, 16, 1_000_000) {
            Ok(explored) => println!("{}: {explored:?}", scenario.name),
            Err(breach) => println!("{}: {breach}", scenario.name),
        }
    }
}
