//! What time it is: the only source of it, handed to whoever needs it.
//!
//! All times of the engine are [`Timestamp`]s, UTC milliseconds, and go into SQL as bound values.
//! [`Clock::system`] follows the database's time through [`Clock::sync`]; [`Clock::manual`] is moved
//! by tests and shared with the simulated WeChat.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use crate::domain::time::Timestamp;

/// Tells the time. Cheap to clone; all clones agree.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System { started: Instant, base_ms: i64, offset_ms: AtomicI64 },
    Manual { now_ms: AtomicI64 },
}

impl Clock {
    /// The machine's time at the start, then monotonic time since, corrected by [`Clock::sync`].
    pub fn system() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let base_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Self(Arc::new(Source::System {
            started: Instant::now(),
            base_ms,
            offset_ms: AtomicI64::new(0),
        }))
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(now: Timestamp) -> Self {
        Self(Arc::new(Source::Manual { now_ms: AtomicI64::new(now.as_millis()) }))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(match &*self.0 {
            Source::System { started, base_ms, offset_ms } => {
                let elapsed = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
                base_ms + elapsed + offset_ms.load(Ordering::Relaxed)
            }
            Source::Manual { now_ms } => now_ms.load(Ordering::SeqCst),
        })
    }

    /// Moves a manual clock forward; a system clock does not move.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now_ms } = &*self.0 {
            let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            now_ms.fetch_add(by_ms, Ordering::SeqCst);
        }
    }

    /// Whether time moves by itself.
    pub fn is_manual(&self) -> bool {
        matches!(&*self.0, Source::Manual { .. })
    }

    /// Takes over the database's time; the answer is by how much the two differed, in milliseconds.
    pub fn sync(&self, database: Timestamp) -> i64 {
        let difference = database.as_millis() - self.now().as_millis();
        if let Source::System { offset_ms, .. } = &*self.0 {
            offset_ms.fetch_add(difference, Ordering::Relaxed);
        }
        difference
    }
}
