//! Commits that fail, vanish, or lose their answer: one in some tens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::actors::journal::{CommitProbe, Point, Verdict};

/// Draws the fate of each commit.
pub(super) struct Chance {
    draws: Mutex<StdRng>,
    on: AtomicBool,
    hits: AtomicU64,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        let draws = Mutex::new(StdRng::seed_from_u64(seed));
        Self { draws, on: AtomicBool::new(false), hits: AtomicU64::new(0) }
    }

    /// From now on commits go wrong, or none does.
    pub fn set(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// Commits that went wrong.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }

    fn draw(&self, point: Point) -> Verdict {
        let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        match (point, draws.random_range(0..1_000)) {
            (Point::BeforeCommit, 0..8) => Verdict::Fail,
            (Point::BeforeCommit, 8..25) => Verdict::Vanish,
            (Point::AfterCommit, 0..20) | (Point::AfterFence, 0..200) => Verdict::Fail,
            _ => Verdict::GoOn,
        }
    }
}

impl CommitProbe for Chance {
    fn at(&self, point: Point) -> BoxFuture<'static, Verdict> {
        let on = self.on.load(Ordering::SeqCst);
        let verdict = if on { self.draw(point) } else { Verdict::GoOn };
        if verdict != Verdict::GoOn {
            self.hits.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(std::future::ready(verdict))
    }
}
