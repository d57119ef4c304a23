//! How often a log-in may be tried: for each address, and for each account.
//!
//! A stranger who tries an account to its limit must not lock its owner out. So the limit of an
//! account counts strangers only: a browser that has logged in to it before carries a mark
//! ([`Device`]) and has a limit of its own. Kept in memory: each process counts for itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::time::Timestamp;

/// Tries from one address within [`WINDOW_SECONDS`].
const ADDRESS_TRIES: u32 = 30;
/// Tries of strangers at one account within [`WINDOW_SECONDS`].
const ACCOUNT_TRIES: u32 = 20;
/// Tries of one known browser within [`WINDOW_SECONDS`].
const DEVICE_TRIES: u32 = 10;
/// How long tries are counted: 15 minutes.
const WINDOW_SECONDS: i64 = 15 * 60;
/// Above so many counters the expired ones are dropped, and then all.
const COUNTERS_MAX: usize = 50_000;

/// Who tries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Address(String),
    /// A stranger at this account.
    Account(String),
    /// A browser that has logged in to this account before.
    Device(String),
}

impl Subject {
    fn tries(&self) -> u32 {
        match self {
            Self::Address(_) => ADDRESS_TRIES,
            Self::Account(_) => ACCOUNT_TRIES,
            Self::Device(_) => DEVICE_TRIES,
        }
    }
}

#[derive(Clone, Copy)]
struct Counter {
    since: Timestamp,
    tries: u32,
}

impl Counter {
    fn ends(&self) -> Timestamp {
        self.since.plus_seconds(WINDOW_SECONDS)
    }
}

/// Counts failed tries.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<Subject, Counter>>);

impl Throttle {
    /// How many seconds `subject` must wait; `None`: it may try.
    pub fn wait(&self, subject: &Subject, now: Timestamp) -> Option<u64> {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.get(subject).filter(|counter| now < counter.ends())?;
        let left = (counter.ends().as_millis() - now.as_millis()).max(1000) / 1000;
        (counter.tries >= subject.tries()).then(|| left.unsigned_abs())
    }

    /// Counts a try, before it is known how it ends.
    pub fn count(&self, subject: Subject, now: Timestamp) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= COUNTERS_MAX {
            counters.retain(|_, counter| now < counter.ends());
        }
        if counters.len() >= COUNTERS_MAX {
            counters.clear();
        }
        let counter = counters.entry(subject).or_insert(Counter { since: now, tries: 0 });
        if now >= counter.ends() {
            *counter = Counter { since: now, tries: 0 };
        }
        counter.tries += 1;
    }

    /// Forgets the tries of one that has got in.
    pub fn forgive(&self, subject: &Subject) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(subject);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn tried(throttle: &Throttle, subject: &Subject, times: u32) {
        for _ in 0..times {
            throttle.count(subject.clone(), NOW);
        }
    }

    #[test]
    fn an_account_that_strangers_try_is_open_to_its_owners_browser() {
        let throttle = Throttle::default();
        let stranger = Subject::Account("boss".into());
        tried(&throttle, &stranger, ACCOUNT_TRIES);
        assert!(throttle.wait(&stranger, NOW).is_some());
        assert_eq!(throttle.wait(&Subject::Device("boss's".into()), NOW), None);
        assert_eq!(throttle.wait(&Subject::Account("clerk".into()), NOW), None);
    }

    #[test]
    fn tries_are_forgotten_after_a_while_and_by_success() {
        let throttle = Throttle::default();
        let address = Subject::Address("192.0.2.1".into());
        tried(&throttle, &address, ADDRESS_TRIES - 1);
        assert_eq!(throttle.wait(&address, NOW), None);
        tried(&throttle, &address, 1);
        assert_eq!(throttle.wait(&address, NOW), Some(WINDOW_SECONDS.unsigned_abs()));
        assert_eq!(throttle.wait(&address, NOW.plus_seconds(WINDOW_SECONDS)), None);
        throttle.forgive(&address);
        assert_eq!(throttle.wait(&address, NOW), None);
    }
}
