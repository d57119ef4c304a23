//! The access token of a mini-program: one keeper for each appid, everyone asks it.
//!
//! It owns the current token and its end, and calls `stable_token` (normal mode, which is free of
//! races between processes). However many callers ask at once, one call is made. Invariant: a token
//! that a caller reports as failed causes a refresh only while it is still the current one.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::api::{ApiClient, ApiError, BUSY, Question};
use crate::clock::Clock;
use crate::domain::time::Timestamp;

const STABLE_TOKEN: &str = "/cgi-bin/stable_token";
/// Inside its last five minutes WeChat hands out the successor of a token.
const EARLY_SECONDS: i64 = 300;
/// After a failed early refresh the old token serves so long before the next one is tried.
const RETRY_SECONDS: i64 = 30;
/// The longest life that is believed.
const LIFE_SECONDS_MAX: i64 = 7200;

/// An access token. Shows itself to no log.
#[derive(Clone)]
pub struct Token(Rc<SecretString>);

impl Token {
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
    fn is(&self, other: &Token) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// 40013, 40125, 40164 (address not on the allow list), 40243, 50004, 50007: alarm, no repeat.
    #[error("WeChat refuses this mini-program: {0}")]
    Configuration(i64),
    /// 45009 (a day), 45011 (a minute): wait.
    #[error("WeChat's quota is used up: {0}")]
    Quota(i64),
    /// -1, after two repeats.
    #[error("WeChat is busy")]
    Busy,
    #[error("WeChat refused: {0}")]
    Other(i64),
    #[error("no usable answer")]
    Unknown,
}

impl From<ApiError> for TokenError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Code { code, .. } => match code {
                BUSY => Self::Busy,
                40013 | 40125 | 40164 | 40243 | 50004 | 50007 => Self::Configuration(code),
                45009 | 45011 => Self::Quota(code),
                other => Self::Other(other),
            },
            ApiError::Call(_) | ApiError::Garbage => Self::Unknown,
        }
    }
}

type Refresh = Shared<LocalBoxFuture<'static, Result<Fetched, TokenError>>>;

#[derive(Clone)]
struct Fetched {
    token: Token,
    refresh_at: Timestamp,
    ends_at: Timestamp,
}

#[derive(Default)]
struct State {
    current: Option<Fetched>,
    /// The one call in flight, with its number, so that only its own end clears it.
    refresh: Option<(u64, Refresh)>,
    refreshes: u64,
}

/// Keeps the token of one appid. Clones share it; it lives on one arbiter.
#[derive(Clone)]
pub struct TokenKeeper(Rc<Keeper>);

struct Keeper {
    api: ApiClient,
    appid: String,
    secret: SecretString,
    clock: Clock,
    state: RefCell<State>,
}

impl TokenKeeper {
    pub fn new(api: ApiClient, appid: String, secret: SecretString, clock: Clock) -> Self {
        Self(Rc::new(Keeper { api, appid, secret, clock, state: RefCell::default() }))
    }

    /// The current token, fetched or refreshed first when it is due. When an early refresh fails,
    /// the old token is given as long as it lives.
    pub async fn token(&self) -> Result<Token, TokenError> {
        let old = match self.current() {
            Some(fetched) if self.now() < fetched.refresh_at => return Ok(fetched.token),
            other => other,
        };
        let (number, refresh) = self.refresh();
        let outcome = refresh.await;
        self.finish(number, &outcome);
        match (outcome, old) {
            (Ok(fetched), _) => Ok(fetched.token),
            (Err(_), Some(old)) if self.now() < old.ends_at && self.is_current(&old.token) => {
                Ok(old.token)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// A call failed with 40001, 40014 or 42001 under this token. Forgets it, unless another one
    /// has taken its place by now.
    pub fn invalidate(&self, failed: &Token) {
        if self.is_current(failed) {
            self.0.state.borrow_mut().current = None;
        }
    }

    /// Makes a call with a token; when WeChat refuses the token, once more with the next one.
    pub(super) async fn with_token<T, F, C>(&self, call: C) -> Result<T, TokenCallError>
    where
        C: Fn(Token) -> F,
        F: Future<Output = Result<T, ApiError>>,
    {
        let token = self.token().await?;
        match call(token.clone()).await {
            Err(error) if refuses_token(&error) => {
                self.invalidate(&token);
                let next = self.token().await?;
                Ok(call(next).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn current(&self) -> Option<Fetched> {
        self.0.state.borrow().current.clone()
    }

    fn is_current(&self, token: &Token) -> bool {
        self.0.state.borrow().current.as_ref().is_some_and(|current| current.token.is(token))
    }

    /// The call in flight, or a new one.
    fn refresh(&self) -> (u64, Refresh) {
        let mut state = self.0.state.borrow_mut();
        if let Some((number, refresh)) = &state.refresh {
            // A call whose waiters all gave up stands still, its time limit run out: not that one.
            if refresh.strong_count().is_some_and(|holders| holders > 1) {
                return (*number, refresh.clone());
            }
        }
        state.refreshes += 1;
        // The future must not keep the keeper alive that holds it.
        let (api, clock) = (self.0.api.clone(), self.0.clock.clone());
        let (appid, secret) = (self.0.appid.clone(), self.0.secret.clone());
        let fetching = async move { fetch(&api, &appid, &secret, &clock).await };
        let running = (state.refreshes, fetching.boxed_local().shared());
        state.refresh = Some(running.clone());
        running
    }

    /// The first of those who waited for a call writes its result down.
    fn finish(&self, number: u64, outcome: &Result<Fetched, TokenError>) {
        let mut state = self.0.state.borrow_mut();
        if state.refresh.as_ref().is_none_or(|(running, _)| *running != number) {
            return;
        }
        state.refresh = None;
        match outcome {
            Ok(fetched) => state.current = Some(fetched.clone()),
            Err(_) => {
                let later = self.now().plus_seconds(RETRY_SECONDS);
                if let Some(current) = &mut state.current {
                    current.refresh_at = later.min(current.ends_at);
                }
            }
        }
    }
}

/// Why a call that needs a token failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenCallError {
    #[error("no token: {0}")]
    Token(#[from] TokenError),
    #[error(transparent)]
    Call(#[from] ApiError),
}

/// 40001, 40014 and 42001 say: this token is not, or no longer, good.
pub(super) fn refuses_token(error: &ApiError) -> bool {
    matches!(error, ApiError::Code { code: 40001 | 40014 | 42001, .. })
}

async fn fetch(
    api: &ApiClient,
    appid: &str,
    secret: &SecretString,
    clock: &Clock,
) -> Result<Fetched, TokenError> {
    let json = json!({
        "grant_type": "client_credential",
        "appid": appid,
        "secret": secret.expose_secret(),
        "force_refresh": false,
    });
    // Counted from before the call, so that the token is never believed to live too long.
    let asked_at = clock.now();
    let question = Question::Post { query: &[], json: &json };
    let answer = api.ask_patiently(STABLE_TOKEN, &question).await?;
    let token = answer["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or(TokenError::Unknown)?;
    let life = answer["expires_in"].as_i64().filter(|seconds| *seconds > 0);
    let life = life.ok_or(TokenError::Unknown)?.min(LIFE_SECONDS_MAX);
    // In its last minutes WeChat may still give the old token: then ask again halfway.
    let fresh = if life > EARLY_SECONDS { life - EARLY_SECONDS } else { life / 2 };
    Ok(Fetched {
        token: Token(Rc::new(SecretString::from(token))),
        refresh_at: asked_at.plus_seconds(fresh),
        ends_at: asked_at.plus_seconds(life),
    })
}
