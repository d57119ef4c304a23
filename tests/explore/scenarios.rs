//! The small shops that are explored.

use super::shop::{Faults, Request, Scenario};

const FINE: Faults = Faults {
    fine: true,
    fine_refunds: true,
    rejects: true,
    foreign_closer: false,
    double_charge: false,
    late_money: false,
    forgetful: false,
    by_hand: false,
    refund_trouble: false,
    refund_workers: 1,
    staff: false,
};
const COARSE: Faults = Faults { fine: false, fine_refunds: false, ..FINE };

/// One piece of the goods that deduct with the order, with the payment, of each.
const ONE: Request = Request { buyer: 1, key: "a", pieces: [1, 0] };
const ON_PAYMENT: Request = Request { buyer: 2, key: "a", pieces: [0, 1] };
const BOTH: Request = Request { buyer: 1, key: "a", pieces: [1, 1] };

/// Of an order that has a quarter of an hour: at once; when nothing sent before is in the network
/// any more; when a repeat is too late; when the time to pay is over; when WeChat takes no money
/// any more.
const MOMENTS: &[i64] = &[0, 100, 750, 1150, 1800];

pub const ONE_ATTEMPT: Scenario = Scenario {
    name: "one order, one attempt, each step of two processes alone",
    stock: [1, 1],
    limit: None,
    expire_seconds: 900,
    requests: &[BOTH],
    attempts: 1,
    moments: MOMENTS,
    faults: Faults { foreign_closer: true, by_hand: true, double_charge: true, ..FINE },
};

pub const TWO_ATTEMPTS: Scenario = Scenario {
    name: "one order, two attempts, each step alone",
    stock: [1, 1],
    limit: None,
    // Long enough that a prepay_id grows old before.
    expire_seconds: 36_000,
    requests: &[ONE],
    attempts: 2,
    moments: &[0, 100, 35_800, 36_200, 38_000],
    faults: Faults { late_money: true, forgetful: true, ..FINE },
};

pub const REFUNDS: Scenario = Scenario {
    name: "refunds that get stuck, two at work on them",
    stock: [1, 1],
    limit: None,
    expire_seconds: 900,
    requests: &[ONE],
    attempts: 1,
    moments: &[0, 1150],
    faults: Faults {
        fine_refunds: true,
        rejects: false,
        double_charge: true,
        by_hand: true,
        refund_trouble: true,
        refund_workers: 2,
        ..COARSE
    },
};

pub const STAFF: Scenario = Scenario {
    name: "an order that staff ship and give back, and refunds that get stuck",
    stock: [1, 1],
    limit: None,
    expire_seconds: 900,
    requests: &[BOTH],
    attempts: 1,
    moments: &[0, 1800],
    faults: Faults {
        fine_refunds: true,
        rejects: false,
        by_hand: true,
        refund_trouble: true,
        staff: true,
        ..COARSE
    },
};

pub const STAFF_BEFORE_PAYMENT: Scenario = Scenario {
    name: "an order that staff change the price of, cancel and release, with late money",
    requests: &[ONE],
    attempts: 2,
    moments: &[0, 1150, 1800],
    faults: Faults { rejects: false, late_money: true, staff: true, ..COARSE },
    ..STAFF
};

pub const TWO_BUYERS: Scenario = Scenario {
    name: "two buyers, two attempts each, one piece of each goods",
    stock: [1, 1],
    limit: None,
    expire_seconds: 900,
    requests: &[BOTH, ON_PAYMENT],
    attempts: 2,
    moments: &[0, 750, 1800],
    faults: Faults { rejects: false, ..COARSE },
};

pub const THREE_ORDERS: Scenario = Scenario {
    name: "three orders of two buyers for two pieces, a key used twice, a limit",
    stock: [2, 1],
    limit: Some(1),
    expire_seconds: 900,
    requests: &[ONE, ONE, Request { key: "b", ..BOTH }, Request { buyer: 2, ..BOTH }],
    attempts: 1,
    moments: &[0, 1800],
    faults: Faults { rejects: false, ..COARSE },
};

pub const ONE_PIECE: Scenario = Scenario {
    name: "two buyers and one piece that is deducted with the order",
    stock: [1, 0],
    limit: None,
    expire_seconds: 900,
    requests: &[ONE, Request { buyer: 2, ..ONE }],
    attempts: 1,
    moments: &[0, 1150, 1800],
    faults: Faults { late_money: true, double_charge: true, by_hand: true, ..COARSE },
};

/// Minutes each.
pub const DEEP: &[Scenario] = &[
    Scenario {
        name: "one order, two attempts, each step of two processes alone, all that WeChat may do",
        requests: &[BOTH],
        faults: Faults {
            foreign_closer: true,
            by_hand: true,
            double_charge: true,
            refund_trouble: true,
            late_money: true,
            forgetful: true,
            ..FINE
        },
        ..TWO_ATTEMPTS
    },
    Scenario {
        name: "two buyers, one attempt each, each step alone",
        attempts: 1,
        moments: &[0, 100, 1150, 1800],
        faults: FINE,
        ..TWO_BUYERS
    },
    Scenario {
        name: "three orders of two buyers, two attempts each",
        requests: &[BOTH, Request { key: "b", ..ONE }, ON_PAYMENT],
        limit: None,
        expire_seconds: 900,
        attempts: 2,
        moments: &[0, 750, 1150, 1800],
        faults: COARSE,
        ..THREE_ORDERS
    },
];
