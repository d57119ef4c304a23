//! The JSON side of WeChat, `api.weixin.qq.com`: one client for login, tokens and messages.
//!
//! It knows the common form of the answers: HTTP 200 even on errors, `errcode` absent or 0 for
//! success, `errmsg` ending in a `rid` that WeChat's support asks for. What a code means is decided
//! by the module that made the call.

use std::time::{Duration, Instant};

use awc::http::Method;
use serde_json::Value;

use super::transport::{Bases, Call, CallError, SetupError, Transport, record};
use crate::clock::Clock;

/// Busy (-1): the same call may be made again after a moment.
pub(super) const BUSY: i64 = -1;
/// How often a call is made in all when WeChat says that it is busy.
const BUSY_TRIES: u32 = 3;

/// Where the API is, and how long to wait for it.
#[derive(Clone)]
pub struct ApiConfig {
    /// `https://api.weixin.qq.com`, or whatever stands in for it, over http too.
    pub base: String,
    /// `https://api2.weixin.qq.com`: the same WeChat by another way, called while the first cannot
    /// be reached.
    pub base_2: Option<String>,
    /// Decides when the first is tried again.
    pub clock: Clock,
    pub connect_timeout: Duration,
    /// For each whole call.
    pub call_timeout: Duration,
    /// Waited before a busy WeChat is asked again.
    pub busy_pause: Duration,
    /// PEM of roots trusted besides those of the web.
    pub extra_root_pem: Option<Vec<u8>>,
}

/// Calls `api.weixin.qq.com`. One for each arbiter; cheap to clone.
#[derive(Clone)]
pub struct ApiClient {
    transport: Transport,
    call_timeout: Duration,
    busy_pause: Duration,
}

/// Why a call did not succeed, before anyone knows what its code means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// WeChat answered with this `errcode`; `errmsg` is for people.
    #[error("errcode {code}")]
    Code { code: i64, errmsg: String },
    #[error(transparent)]
    Call(#[from] CallError),
    /// Not JSON, or without what the answer must have.
    #[error("unusable answer")]
    Garbage,
}

/// What is asked.
pub(super) enum Question<'a> {
    Get(&'a [(&'a str, &'a str)]),
    Post { query: &'a [(&'a str, &'a str)], json: &'a Value },
}

impl ApiClient {
    pub fn new(config: &ApiConfig) -> Result<Self, SetupError> {
        let roots = config.extra_root_pem.as_deref();
        let bases = Bases::new(&config.base, config.base_2.as_deref(), &config.clock)?;
        Ok(Self {
            transport: Transport::new(&bases, config.connect_timeout, None, roots)?,
            call_timeout: config.call_timeout,
            busy_pause: config.busy_pause,
        })
    }

    /// As [`ApiClient::ask`], again after a pause while WeChat is busy, at most twice.
    pub(super) async fn ask_patiently(
        &self,
        path: &'static str,
        question: &Question<'_>,
    ) -> Result<Value, ApiError> {
        for _ in 1..BUSY_TRIES {
            match self.ask(path, question).await {
                Err(ApiError::Code { code: BUSY, .. }) => tokio::time::sleep(self.busy_pause).await,
                outcome => return outcome,
            }
        }
        self.ask(path, question).await
    }

    /// One call; the answer is a JSON object without an error code.
    pub(super) async fn ask(
        &self,
        path: &'static str,
        question: &Question<'_>,
    ) -> Result<Value, ApiError> {
        let began = Instant::now();
        let outcome = match self.exchange(path, question).await {
            Ok(bytes) => read(&bytes),
            Err(error) => Err(error.into()),
        };
        report(path, &outcome, began);
        outcome
    }

    async fn exchange(
        &self,
        path: &'static str,
        question: &Question<'_>,
    ) -> Result<Vec<u8>, CallError> {
        let (method, query, body) = match question {
            Question::Get(query) => (Method::GET, *query, String::new()),
            Question::Post { query, json } => (Method::POST, *query, json.to_string()),
        };
        let content_type = "application/json";
        let within = self.call_timeout;
        self.transport.send(&Call { method, path, query, content_type, body, within }).await
    }
}

/// By content, whatever the header says: errors of GET calls come as text/plain.
fn read(bytes: &[u8]) -> Result<Value, ApiError> {
    let answer: Value = serde_json::from_slice(bytes).map_err(|_| ApiError::Garbage)?;
    let code = match answer.as_object().ok_or(ApiError::Garbage)?.get("errcode") {
        None | Some(Value::Null) => 0,
        Some(code) => code.as_i64().ok_or(ApiError::Garbage)?,
    };
    if code == 0 {
        return Ok(answer);
    }
    let errmsg = answer["errmsg"].as_str().unwrap_or_default().chars().take(256).collect();
    Err(ApiError::Code { code, errmsg })
}

/// The `rid` in an `errmsg`, `... rid: 6f4b2c1a-...`: hexadecimal digits and hyphens.
fn rid(errmsg: &str) -> Option<&str> {
    let (_, after) = errmsg.split_once("rid:")?;
    let after = after.trim_start();
    let end = after.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(after.len());
    Some(&after[..end.min(64)]).filter(|rid| !rid.is_empty())
}

fn report(path: &'static str, outcome: &Result<Value, ApiError>, began: Instant) {
    match outcome {
        Ok(_) => record(path, "0", true, began, None),
        Err(ApiError::Code { code, errmsg }) => {
            // WeChat's codes are a closed list of a few hundred; what is outside counts as other.
            let known = (-1..=99_999).contains(code);
            record(path, &code.to_string(), known, began, rid(errmsg));
        }
        Err(ApiError::Call(error)) => record(path, error.as_str(), true, began, None),
        Err(ApiError::Garbage) => record(path, "garbage", true, began, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_succeeds_without_code_or_with_zero() {
        for good in ["{}", r#"{"errcode":0,"errmsg":"ok"}"#, r#"{"errcode":null}"#] {
            assert!(read(good.as_bytes()).is_ok(), "{good}");
        }
        let refused = read(br#"{"errcode":40029,"errmsg":"invalid code, rid: 6f4b-2c1a"}"#);
        let errmsg = "invalid code, rid: 6f4b-2c1a".to_owned();
        assert_eq!(refused, Err(ApiError::Code { code: 40029, errmsg }));
        for garbage in ["", "<html>", "[]", "1", r#"{"errcode":"40029"}"#, r#"{"errcode":1.5}"#] {
            assert_eq!(read(garbage.as_bytes()), Err(ApiError::Garbage), "{garbage}");
        }
    }

    #[test]
    fn the_rid_is_found_and_nothing_else() {
        assert_eq!(rid("invalid code, rid: 6f4b2c1a-0d1e"), Some("6f4b2c1a-0d1e"));
        assert_eq!(rid("x rid: 6f4b tail oUpF8"), Some("6f4b"));
        assert_eq!(rid("no such thing"), None);
        assert_eq!(rid("rid: "), None);
        assert_eq!(rid("rid: 中"), None);
    }
}
