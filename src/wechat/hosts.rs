//! Which of WeChat's two hosts is called: the first, or, while that one cannot be reached, the
//! second, which WeChat keeps for this purpose.
//!
//! It owns the choice and its memory, and knows neither requests nor sockets. Both hosts stand
//! before the same WeChat, so any call may go to either; what may not happen is that one call goes
//! to both when the first may have heard it. That is the transport's invariant; here only the host
//! of the *next* call is decided.

use std::cell::RefCell;

use super::transport::CallError;
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// So many calls in a row without a usable answer, though they may have been sent, send the next
/// one to the other host.
const STRIKES_MAX: u32 = 3;
/// After so long with the second host the first is tried again.
const AWAY_SECONDS: i64 = 60;
/// A first host that comes and goes is left alone for longer each time, up to this.
const AWAY_SECONDS_MAX: i64 = 600;
/// It came back to stay when it stays so long.
const STEADY_SECONDS: i64 = 600;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    First,
    Second,
}

impl Host {
    /// One word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// The base addresses, and which one is in use.
pub(super) struct Hosts {
    first: String,
    second: Option<String>,
    clock: Clock,
    state: RefCell<State>,
}

struct State {
    current: Host,
    /// Calls in a row that brought no answer.
    strikes: u32,
    /// When the first host is tried again.
    probe_at: Timestamp,
    away_seconds: i64,
    came_back_at: Option<Timestamp>,
}

impl Hosts {
    /// A second host that is the first one is none.
    pub fn new(first: String, second: Option<String>, clock: Clock) -> Self {
        let second = second.filter(|second| *second != first);
        let state = RefCell::new(State {
            current: Host::First,
            strikes: 0,
            probe_at: clock.now(),
            away_seconds: AWAY_SECONDS,
            came_back_at: None,
        });
        Self { first, second, clock, state }
    }

    pub fn base(&self, host: Host) -> &str {
        match (host, &self.second) {
            (Host::Second, Some(second)) => second,
            _ => &self.first,
        }
    }

    /// The host of the next call.
    pub fn current(&self) -> Host {
        self.state.borrow().current
    }

    /// Where a call goes that has not been sent: to the other host, if there is one.
    pub fn other(&self, host: Host) -> Host {
        match (host, &self.second) {
            (Host::First, Some(_)) => Host::Second,
            _ => Host::First,
        }
    }

    /// Whether it is time to look at the first host. Says so once; the next time is later.
    pub fn is_probe_due(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state.borrow_mut();
        if state.current == Host::First || now < state.probe_at {
            return false;
        }
        state.probe_at = now.plus_seconds(state.away_seconds);
        true
    }

    /// What came of a call to this host. Anything that WeChat answered, however it reads, is an
    /// answer.
    pub fn note(&self, host: Host, outcome: Option<CallError>) {
        let no_answer = match outcome {
            Some(CallError::Timeout | CallError::Broken | CallError::Status(500..)) => true,
            // What was not sent is the transport's to repeat at the other host.
            Some(CallError::NotSent) => return,
            Some(CallError::Status(_) | CallError::TooLarge) | None => false,
        };
        let mut state = self.state.borrow_mut();
        if state.current != host {
            return;
        }
        state.strikes = if no_answer { state.strikes + 1 } else { 0 };
        let enough = state.strikes >= STRIKES_MAX;
        drop(state);
        if enough && self.second.is_some() {
            self.turn_to(self.other(host), "it gives no answers");
        }
    }

    /// From now on this host is called, since the one before does not do.
    pub fn turn_to(&self, host: Host, why: &'static str) {
        let now = self.clock.now();
        let mut state = self.state.borrow_mut();
        if state.current == host {
            return;
        }
        state.current = host;
        state.strikes = 0;
        match host {
            Host::First => state.came_back_at = Some(now),
            Host::Second => {
                state.away_seconds = state.next_away_seconds(now);
                state.probe_at = now.plus_seconds(state.away_seconds);
            }
        }
        drop(state);
        self.report(host, why);
    }

    fn report(&self, host: Host, why: &'static str) {
        let (to, base, former) = (host.as_str(), self.base(host), self.base(self.other(host)));
        let switches = metrics::counter!("buynow_wechat_host_switches_total", "to" => to);
        switches.increment(1);
        tracing::warn!(base, former, why, "calls to WeChat go to its {to} host");
    }
}

impl State {
    /// Longer than the last time when the first host was back for a short while only.
    fn next_away_seconds(&self, now: Timestamp) -> i64 {
        let steady = |back: Timestamp| now >= back.plus_seconds(STEADY_SECONDS);
        match self.came_back_at {
            Some(back) if !steady(back) => (self.away_seconds * 2).min(AWAY_SECONDS_MAX),
            _ => AWAY_SECONDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hosts() -> (Hosts, Clock) {
        let clock = Clock::manual(Timestamp::from_seconds(1_795_600_800));
        let second = Some("https://api2".to_owned());
        (Hosts::new("https://api".to_owned(), second, clock.clone()), clock)
    }

    fn pass(clock: &Clock, seconds: u64) {
        clock.advance(Duration::from_secs(seconds));
    }

    #[test]
    fn one_host_is_its_own_other() {
        let clock = Clock::system();
        for second in [None, Some("https://api".to_owned())] {
            let hosts = Hosts::new("https://api".to_owned(), second, clock.clone());
            assert_eq!(hosts.other(Host::First), Host::First);
            (0..9).for_each(|_| hosts.note(Host::First, Some(CallError::Broken)));
            assert_eq!(hosts.base(hosts.current()), "https://api");
        }
    }

    #[test]
    fn three_calls_in_a_row_without_an_answer_turn_to_the_other_host() {
        let (hosts, _) = hosts();
        let silent = [CallError::Timeout, CallError::Broken, CallError::Status(502)];
        for error in silent {
            hosts.note(Host::First, Some(error));
            hosts.note(Host::First, None);
        }
        assert_eq!(hosts.current(), Host::First, "answers between them count");
        silent.into_iter().for_each(|error| hosts.note(Host::First, Some(error)));
        assert_eq!(hosts.base(hosts.current()), "https://api2");
        hosts.note(Host::First, Some(CallError::Timeout));
        silent.into_iter().for_each(|error| hosts.note(Host::Second, Some(error)));
        assert_eq!(hosts.current(), Host::First);
    }

    #[test]
    fn refusals_are_answers() {
        let (hosts, _) = hosts();
        for _ in 0..9 {
            hosts.note(Host::First, Some(CallError::Status(404)));
            hosts.note(Host::First, Some(CallError::TooLarge));
        }
        assert_eq!(hosts.current(), Host::First);
    }

    #[test]
    fn the_first_host_is_looked_at_once_a_minute_while_the_second_is_used() {
        let (hosts, clock) = hosts();
        assert!(!hosts.is_probe_due(), "it is in use");
        hosts.turn_to(Host::Second, "test");
        pass(&clock, 59);
        assert!(!hosts.is_probe_due());
        pass(&clock, 1);
        assert!(hosts.is_probe_due());
        assert!(!hosts.is_probe_due(), "one looks for all");
        pass(&clock, 60);
        assert!(hosts.is_probe_due());
        hosts.turn_to(Host::First, "test");
        pass(&clock, 60);
        assert!(!hosts.is_probe_due());
    }

    #[test]
    fn a_first_host_that_comes_and_goes_is_left_alone_for_longer_each_time() {
        let (hosts, clock) = hosts();
        for seconds in [60, 120, 240, 480, 600, 600] {
            hosts.turn_to(Host::Second, "test");
            pass(&clock, seconds - 1);
            assert!(!hosts.is_probe_due(), "{seconds}");
            pass(&clock, 1);
            assert!(hosts.is_probe_due(), "{seconds}");
            hosts.turn_to(Host::First, "test");
            pass(&clock, 599);
        }
        pass(&clock, 1);
        hosts.turn_to(Host::Second, "test");
        pass(&clock, 60);
        assert!(hosts.is_probe_due(), "it had been steady");
    }
}
