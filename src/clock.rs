//! What time it is: the only source of it, handed to whoever needs it.
//!
//! All times of the engine are [`Timestamp`]s, UTC milliseconds, and go into SQL as bound values.
//! [`Clock::system`] follows the database's time through [`ClockSync`]; [`Clock::manual`] is moved
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
    /// The machine's time at the start, then monotonic time since, corrected by [`ClockSync`].
    pub fn system() -> Self {
        Self::system_off_by(0)
    }

    /// As [`Clock::system`] on a machine whose time has jumped ahead; for tests.
    pub fn system_ahead(by: Duration) -> Self {
        Self::system_off_by(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
    }

    /// As [`Clock::system`] on a machine whose time is behind; for tests.
    pub fn system_behind(by: Duration) -> Self {
        Self::system_off_by(-i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
    }

    fn system_off_by(off_ms: i64) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let base_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        let base_ms = base_ms.saturating_add(off_ms);
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

    /// Takes over the time of a database that other processes share, before anything is decided by
    /// it: claims and deadlines of all are compared. A manual clock stays.
    pub fn starts_at(&self, database: Timestamp) {
        self.follow(database.millis_since(self.now()));
    }

    /// Moves this clock to the database's time. A manual clock stays.
    fn follow(&self, difference_ms: i64) {
        if let Source::System { offset_ms, .. } = &*self.0 {
            offset_ms.fetch_add(difference_ms, Ordering::Relaxed);
        }
    }
}

/// Differences up to this are drift: the database is followed at once.
const DRIFT_MS: i64 = 2_000;
/// So many equal readings in a row convince that the database's time has really jumped.
const CONVINCING: u32 = 3;

/// Keeps a clock on the database's time, and says when time is in doubt.
#[derive(Debug, Default)]
pub struct ClockSync {
    jump_ms: i64,
    equal: u32,
}

impl ClockSync {
    /// Takes a reading of the database's time. False: the two sources disagree; nothing may be
    /// closed until they agree again, or until three equal readings show that the database means
    /// it.
    pub fn observe(&mut self, clock: &Clock, database: Timestamp) -> bool {
        if clock.is_manual() {
            return true;
        }
        let difference_ms = database.as_millis() - clock.now().as_millis();
        if self.is_trusted(difference_ms) {
            clock.follow(difference_ms);
            *self = Self::default();
            return true;
        }
        false
    }

    fn is_trusted(&mut self, difference_ms: i64) -> bool {
        if difference_ms.abs() <= DRIFT_MS {
            return true;
        }
        let as_before = (difference_ms - self.jump_ms).abs() <= DRIFT_MS;
        self.equal = if as_before { self.equal + 1 } else { 1 };
        self.jump_ms = difference_ms;
        self.equal >= CONVINCING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_believed_after_three_equal_readings() {
        let mut sync = ClockSync::default();
        assert!(sync.is_trusted(1_500));
        assert!(!sync.is_trusted(3_600_000));
        assert!(!sync.is_trusted(3_600_500));
        assert!(sync.is_trusted(3_600_200));
    }

    #[test]
    fn a_jump_that_does_not_last_is_not_believed() {
        let mut sync = ClockSync::default();
        assert!(!sync.is_trusted(3_600_000));
        assert!(!sync.is_trusted(-50_000));
        assert!(!sync.is_trusted(3_600_000));
        assert!(sync.is_trusted(0));
    }

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = Clock::manual(Timestamp::from_seconds(10));
        clock.advance(Duration::from_secs(5));
        assert!(ClockSync::default().observe(&clock, Timestamp::from_seconds(9_999)));
        assert_eq!(clock.now(), Timestamp::from_seconds(15));
    }
}
