//! How often a log-in may be tried: for each address, and for each account.
//!
//! A stranger who tries an account to its limit must not lock its owner out. So the limit of an
//! account counts strangers only: a browser that has logged in to it before carries a mark
//! ([`Device`]) and has a limit of its own. Kept in memory: each process counts for itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
/// Above so many counters the expired ones are dropped, then those that stop nobody, and then all.
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
    /// Of IPv6 the network of 64 bits, which one line has for itself: else each try has an address
    /// of its own.
    pub fn address(address: IpAddr) -> Self {
        let counted = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        };
        Self::Address(counted.to_string())
    }

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
            // Who fills the table must not free himself or others by it.
            counters.retain(|subject, counter| counter.tries >= subject.tries());
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

    /// Forgets the tries of one that has got in. Of an address only the last one: it may have tried
    /// other accounts before, and an account of his own buys nobody more tries at those.
    pub fn forgive(&self, subject: &Subject) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (subject, counters.get_mut(subject)) {
            (Subject::Address(_), Some(counter)) => {
                counter.tries = counter.tries.saturating_sub(1);
            }
            _ => drop(counters.remove(subject)),
        }
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
    fn a_full_table_forgets_nobody_who_is_stopped() {
        let throttle = Throttle::default();
        let stranger = Subject::Account("boss".into());
        tried(&throttle, &stranger, ACCOUNT_TRIES);
        for number in 0..=COUNTERS_MAX {
            throttle.count(Subject::Account(format!("nobody-{number}")), NOW);
        }
        assert!(throttle.wait(&stranger, NOW).is_some());
        assert!(throttle.0.lock().is_ok_and(|counters| counters.len() <= COUNTERS_MAX));
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
