//! What is going to happen: a sequence of steps for each buyer and one for misfortune, drawn from
//! the seed alone.
//!
//! Plans name things by place ("the third youngest of my orders"), because which orders there are
//! depends on how the run goes.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::sandbox::{Fault, FaultKind, PayAction};

/// Goods that are sold, each with one SKU.
pub(super) const SKUS: usize = 6;
/// The most pieces of a line.
const QUANTITY_MAX: i64 = 3;
/// Of pieces that staff set a stock to.
const STOCK_MAX: i64 = 60;

/// Which of several: counted from the youngest.
pub(super) type Pick = usize;

/// What a buyer does next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BuyerStep {
    /// SKU by place, and pieces; twin: twice at once, under one key.
    Order {
        lines: Vec<(usize, i64)>,
        twin: bool,
    },
    /// The same request under the same key.
    Repeat(Pick),
    /// Another request under the key of a former one.
    Conflict(Pick),
    /// Heard: WeChat tells the shop at once.
    Pay {
        pick: Pick,
        action: PayAction,
        heard: bool,
    },
    Cancel(Pick),
    Look(Pick),
    List,
    AgreeToMessages,
    Quote {
        sku: usize,
        quantity: i64,
    },
}

/// Which of a shop's actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Goods,
    Order,
    Payment,
    Messenger,
}

/// What goes wrong next, or what else the world does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ChaosStep {
    Advance {
        seconds: u64,
    },
    Fault(Fault),
    /// Calls of the path are held until the next step.
    Hold(Fault),
    /// Notifications of one payment, all at once.
    Storm {
        pick: Pick,
        times: u32,
        forgery: Forgery,
    },
    Perish(Role),
    Restart,
    Crash,
    SetStock {
        sku: usize,
        stock: i64,
    },
    /// What refunds may take; none: as much as they want.
    Balance(Option<i64>),
    Staff(StaffStep),
    RevokeToken,
    ClearFaults,
    Audit,
}

/// What staff do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StaffStep {
    /// All that is left of a paid order.
    Ship(Pick),
    GiveBack(Pick),
    Adjust {
        sku: usize,
        delta: i64,
    },
}

/// What is wrong with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forgery {
    Nothing,
    BadSign,
    Attach,
    Merchant,
}

const PAY_PATHS: [&str; 5] = [
    "/pay/unifiedorder",
    "/pay/orderquery",
    "/pay/closeorder",
    "/secapi/pay/refund",
    "/pay/refundquery",
];
const SEND_PATH: &str = "/cgi-bin/message/subscribe/send";

/// A generator for one part of one chapter.
fn generator(seed: u64, chapter: u64, part: u64) -> StdRng {
    // Odd numbers far apart, so that neighbours do not begin alike.
    let mixed = seed
        ^ chapter.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03);
    StdRng::seed_from_u64(mixed)
}

/// The endless plan of one buyer.
pub(super) struct BuyerPlan(StdRng);

impl BuyerPlan {
    pub fn new(seed: u64, chapter: u64, buyer: usize) -> Self {
        Self(generator(seed, chapter, 2 + buyer as u64))
    }

    fn lines(&mut self) -> Vec<(usize, i64)> {
        let first = self.0.random_range(0..SKUS);
        let count = if self.0.random_range(0..10) < 7 { 1 } else { self.0.random_range(2..=3) };
        let quantity = |rng: &mut StdRng| rng.random_range(1..=QUANTITY_MAX);
        (0..count).map(|n| ((first + n) % SKUS, quantity(&mut self.0))).collect()
    }

    fn pay(&mut self) -> BuyerStep {
        let action = match self.0.random_range(0..100) {
            0..68 => PayAction::Pay,
            68..78 => PayAction::Twice,
            78..86 => PayAction::Late,
            86..93 => PayAction::Fail,
            _ => PayAction::Cancel,
        };
        let (pick, heard) = (self.pick(), self.0.random_range(0..10) < 8);
        BuyerStep::Pay { pick, action, heard }
    }

    fn pick(&mut self) -> Pick {
        self.0.random_range(0..4)
    }
}

impl Iterator for BuyerPlan {
    type Item = BuyerStep;

    fn next(&mut self) -> Option<BuyerStep> {
        Some(match self.0.random_range(0..100) {
            0..42 => {
                let lines = self.lines();
                BuyerStep::Order { lines, twin: self.0.random_range(0..8) == 0 }
            }
            42..67 => self.pay(),
            67..75 => BuyerStep::Cancel(self.pick()),
            75..82 => BuyerStep::Repeat(self.pick()),
            82..84 => BuyerStep::Conflict(self.pick()),
            84..90 => BuyerStep::Look(self.pick()),
            90..92 => BuyerStep::List,
            92..97 => BuyerStep::AgreeToMessages,
            _ => {
                let sku = self.0.random_range(0..SKUS);
                BuyerStep::Quote { sku, quantity: self.0.random_range(1..=QUANTITY_MAX) }
            }
        })
    }
}

/// The endless plan of misfortune.
pub(super) struct ChaosPlan(StdRng);

impl ChaosPlan {
    pub fn new(seed: u64, chapter: u64) -> Self {
        Self(generator(seed, chapter, 1))
    }

    fn fault(&mut self) -> Fault {
        let path = match self.0.random_range(0..7) {
            place @ 0..5 => PAY_PATHS[place],
            _ => SEND_PATH,
        };
        let times = self.0.random_range(1..=4);
        let effect = self.0.random_range(0..2) == 0;
        let fault = match self.0.random_range(0..6) {
            0 => Fault::next(path, FaultKind::Http500),
            1 => Fault::next(path, FaultKind::Garbage),
            2 if path != SEND_PATH => Fault::next(path, FaultKind::BadSign),
            3 => Fault::next(path, FaultKind::DropBefore),
            4 if path != SEND_PATH => Fault::refuse(path, "SYSTEMERROR"),
            _ => Fault::next(path, FaultKind::DropAfter),
        };
        let may_take_effect = matches!(fault.kind, FaultKind::Http500 | FaultKind::Garbage);
        Fault { times, effect: effect && may_take_effect, ..fault }
    }

    fn hold(&mut self) -> Fault {
        let path = PAY_PATHS[self.0.random_range(0..PAY_PATHS.len())];
        let before = self.0.random_range(0..2) == 0;
        let kind = if before { FaultKind::Delay } else { FaultKind::DelayAnswer };
        Fault::next(path, kind).times(self.0.random_range(1..=3))
    }

    fn staff(&mut self) -> StaffStep {
        match self.0.random_range(0..10) {
            0..4 => StaffStep::Ship(self.0.random_range(0..16)),
            4..8 => StaffStep::GiveBack(self.0.random_range(0..16)),
            _ => {
                let sku = self.0.random_range(0..SKUS);
                StaffStep::Adjust { sku, delta: self.0.random_range(-20..=20) }
            }
        }
    }

    fn storm(&mut self) -> ChaosStep {
        let forgery = match self.0.random_range(0..6) {
            0 => Forgery::BadSign,
            1 => Forgery::Attach,
            2 => Forgery::Merchant,
            _ => Forgery::Nothing,
        };
        let pick = self.0.random_range(0..16);
        ChaosStep::Storm { pick, times: self.0.random_range(1..=30), forgery }
    }
}

impl Iterator for ChaosPlan {
    /// How many steps of buyers pass first, and what happens then.
    type Item = (u32, ChaosStep);

    fn next(&mut self) -> Option<(u32, ChaosStep)> {
        let gap = self.0.random_range(2..=16);
        let step = match self.0.random_range(0..100) {
            0..26 => ChaosStep::Advance { seconds: self.0.random_range(1..=90) },
            26..44 => ChaosStep::Fault(self.fault()),
            44..49 => ChaosStep::Hold(self.hold()),
            49..61 => self.storm(),
            61..72 => ChaosStep::Staff(self.staff()),
            72..78 => ChaosStep::Perish(match self.0.random_range(0..4) {
                0 => Role::Goods,
                1 => Role::Order,
                2 => Role::Payment,
                _ => Role::Messenger,
            }),
            78..80 => ChaosStep::Restart,
            80..83 => ChaosStep::Crash,
            83..90 => ChaosStep::SetStock {
                sku: self.0.random_range(0..SKUS),
                stock: self.0.random_range(0..=STOCK_MAX),
            },
            90..93 => {
                let short = self.0.random_range(0..2) == 0;
                ChaosStep::Balance(short.then(|| self.0.random_range(0..5_000)))
            }
            93..95 => ChaosStep::RevokeToken,
            95..97 => ChaosStep::ClearFaults,
            _ => ChaosStep::Audit,
        };
        Some((gap, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_buyer(seed: u64, chapter: u64, buyer: usize) -> Vec<BuyerStep> {
        BuyerPlan::new(seed, chapter, buyer).take(200).collect()
    }

    #[test]
    fn the_same_seed_plans_the_same() {
        assert_eq!(of_buyer(7, 1, 3), of_buyer(7, 1, 3));
        let misfortune = || ChaosPlan::new(7, 1).take(200).collect::<Vec<_>>();
        assert_eq!(misfortune(), misfortune());
    }

    #[test]
    fn other_seeds_chapters_and_buyers_plan_otherwise() {
        let plan = of_buyer(7, 1, 3);
        for other in [of_buyer(8, 1, 3), of_buyer(7, 2, 3), of_buyer(7, 1, 4)] {
            assert_ne!(plan, other);
        }
    }

    #[test]
    fn every_kind_of_step_is_planned() {
        let kinds = |texts: Vec<String>| {
            let name = |text: String| text.split([' ', '(']).next().map(str::to_owned);
            texts.into_iter().filter_map(name).collect::<std::collections::BTreeSet<_>>().len()
        };
        let of_buyers = BuyerPlan::new(1, 1, 0).take(2_000).map(|step| format!("{step:?}"));
        assert_eq!(kinds(of_buyers.collect()), 9);
        let of_chaos = ChaosPlan::new(1, 1).take(2_000).map(|(_, step)| format!("{step:?}"));
        assert_eq!(kinds(of_chaos.collect()), 13);
    }
}
