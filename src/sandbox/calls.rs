//! Which calls came in: counted per path, the latest kept without their secrets.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use super::beijing;
use crate::clock::Timestamp;

const RECENT_MAX: usize = 50;
/// Fields that are recorded under no circumstances.
const SECRET: &[&str] = &["sign", "secret", "js_code", "access_token", "paySign"];

/// One call: what was asked and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// 1 for the path's first call.
    pub number: u64,
    /// RFC 3339, UTC.
    pub at: String,
    /// The fields of the request, without signatures, secrets, codes and tokens.
    pub request: Value,
    /// `SUCCESS`, a code, or the fault that hit; `null` while it is going on.
    pub outcome: Option<String>,
}

/// The calls of one path.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Calls {
    /// How many have come in.
    pub count: u64,
    /// How many of these have been answered, or broken off on command.
    pub done: u64,
    /// The latest, oldest first.
    pub recent: VecDeque<Call>,
}

#[derive(Default)]
pub(super) struct CallBook(BTreeMap<&'static str, Calls>);

impl CallBook {
    /// A call has come in; the answer is its number.
    pub(super) fn enter(&mut self, path: &'static str, request: Value, now: Timestamp) -> u64 {
        let calls = self.0.entry(path).or_default();
        calls.count += 1;
        if calls.recent.len() == RECENT_MAX {
            calls.recent.pop_front();
        }
        calls.recent.push_back(Call {
            number: calls.count,
            at: beijing::rfc3339(now),
            request: without_secrets(request),
            outcome: None,
        });
        calls.count
    }

    /// A call is over.
    pub(super) fn leave(&mut self, path: &'static str, number: u64, outcome: &str) {
        let calls = self.0.entry(path).or_default();
        calls.done += 1;
        if let Some(call) = calls.recent.iter_mut().find(|call| call.number == number) {
            call.outcome = Some(outcome.to_owned());
        }
    }

    /// The calls of a path; none when it was never called.
    pub(super) fn of(&self, path: &str) -> Calls {
        self.0.get(path).cloned().unwrap_or_default()
    }

    pub(super) fn count(&self, path: &str) -> (u64, u64) {
        self.0.get(path).map_or((0, 0), |calls| (calls.count, calls.done))
    }

    pub(super) fn all(&self) -> BTreeMap<&'static str, Calls> {
        self.0.clone()
    }
}

fn without_secrets(mut request: Value) -> Value {
    if let Value::Object(fields) = &mut request {
        fields.retain(|name, _| !SECRET.contains(&name.as_str()));
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_seconds(0);

    #[test]
    fn calls_are_counted_and_their_secrets_left_out() {
        let mut book = CallBook::default();
        let number = book.enter("/a", json!({"sign": "S", "body": "tea", "secret": "x"}), NOW);
        assert_eq!(book.count("/a"), (1, 0));
        book.leave("/a", number, "SUCCESS");
        let calls = book.of("/a");
        assert_eq!((calls.count, calls.done), (1, 1));
        assert_eq!(calls.recent[0].request, json!({"body": "tea"}));
        assert_eq!(calls.recent[0].outcome.as_deref(), Some("SUCCESS"));
    }

    #[test]
    fn only_the_latest_are_kept() {
        let mut book = CallBook::default();
        for _ in 0..RECENT_MAX + 5 {
            book.enter("/a", Value::Null, NOW);
        }
        let calls = book.of("/a");
        assert_eq!((calls.count, calls.recent.len()), (55, RECENT_MAX));
        assert_eq!(calls.recent[0].number, 6);
    }
}
