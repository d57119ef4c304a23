//! Access tokens of `stable_token`. Source: getStableAccessToken.
//!
//! The same token until five minutes before its end, then a new one while the old works on;
//! `force_refresh` kills the old at once, at most 20 times a day and 30 seconds apart.

use std::collections::{HashMap, VecDeque};

use crate::clock::Timestamp;

const LIVES_SECONDS: i64 = 7200;
const OVERLAP_SECONDS: i64 = 300;
const FORCED_PER_DAY: usize = 20;
const FORCED_GAP_SECONDS: i64 = 30;
/// How many former tokens are told from ones that never were.
const FORMER_MAX: usize = 16;

struct Token {
    text: String,
    ends_at: Timestamp,
    killed: bool,
}

#[derive(Default)]
struct AppTokens {
    /// The newest is the last.
    tokens: VecDeque<Token>,
    forced: VecDeque<Timestamp>,
}

/// Why a call with a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    /// 41001
    Missing,
    /// 40001: never given out, or killed.
    Invalid,
    /// 42001
    Expired,
}

/// The tokens of all mini-programs.
#[derive(Default)]
pub(super) struct Tokens(HashMap<String, AppTokens>);

impl Tokens {
    /// The token to use now, and for how many seconds. `fresh` is taken when a new one is due.
    pub(super) fn stable(
        &mut self,
        appid: &str,
        force: bool,
        fresh: String,
        now: Timestamp,
    ) -> (String, i64) {
        let app = self.0.entry(appid.to_owned()).or_default();
        let forced = force && app.may_force(now);
        if forced {
            if app.forced.len() == FORCED_PER_DAY {
                app.forced.pop_front();
            }
            app.forced.push_back(now);
            app.kill_all();
        }
        let overlap = now.plus_seconds(OVERLAP_SECONDS);
        match app.tokens.back() {
            Some(token) if !token.killed && token.ends_at > overlap => {}
            _ => app.make(fresh, now),
        }
        let token = app.tokens.back().expect("one has been made if there was none");
        (token.text.clone(), token.ends_at.millis_since(now) / 1000)
    }

    /// Which mini-program a call with this token speaks for.
    pub(super) fn check(&self, token: &str, now: Timestamp) -> Result<&str, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        let found = self.0.iter().find_map(|(appid, app)| {
            let known = app.tokens.iter().find(|known| known.text == token);
            known.map(|known| (appid, known))
        });
        match found {
            None => Err(TokenError::Invalid),
            Some((_, known)) if known.killed => Err(TokenError::Invalid),
            Some((_, known)) if known.ends_at <= now => Err(TokenError::Expired),
            Some((appid, _)) => Ok(appid),
        }
    }

    /// All tokens of the mini-program answer 40001 from now on.
    pub(super) fn revoke(&mut self, appid: &str) {
        if let Some(app) = self.0.get_mut(appid) {
            app.kill_all();
        }
    }

    /// All tokens of the mini-program answer 42001 from now on.
    pub(super) fn expire(&mut self, appid: &str, now: Timestamp) {
        for token in self.0.get_mut(appid).into_iter().flat_map(|a| &mut a.tokens) {
            token.ends_at = token.ends_at.min(now);
        }
    }
}

impl AppTokens {
    fn may_force(&self, now: Timestamp) -> bool {
        let recent = self.forced.iter().filter(|at| now.millis_since(**at) < 24 * 3600 * 1000);
        let apart = self
            .forced
            .back()
            .is_none_or(|last| now.millis_since(*last) >= FORCED_GAP_SECONDS * 1000);
        apart && recent.count() < FORCED_PER_DAY
    }

    fn kill_all(&mut self) {
        for token in &mut self.tokens {
            token.killed = true;
        }
    }

    fn make(&mut self, text: String, now: Timestamp) {
        if self.tokens.len() == FORMER_MAX {
            self.tokens.pop_front();
        }
        if let Some(old) = self.tokens.back_mut() {
            old.ends_at = old.ends_at.min(now.plus_seconds(OVERLAP_SECONDS));
        }
        self.tokens.push_back(Token {
            text,
            ends_at: now.plus_seconds(LIVES_SECONDS),
            killed: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    fn at(seconds: i64) -> Timestamp {
        NOW.plus_seconds(seconds)
    }

    fn stable(tokens: &mut Tokens, force: bool, fresh: &str, seconds: i64) -> (String, i64) {
        tokens.stable("wx1", force, fresh.to_owned(), at(seconds))
    }

    #[test]
    fn the_same_token_until_five_minutes_before_its_end() {
        let mut tokens = Tokens::default();
        assert_eq!(stable(&mut tokens, false, "a", 0), ("a".to_owned(), 7200));
        assert_eq!(stable(&mut tokens, false, "b", 6899), ("a".to_owned(), 301));
        assert_eq!(stable(&mut tokens, false, "c", 6900), ("c".to_owned(), 7200));
        assert_eq!(tokens.check("a", at(7199)), Ok("wx1"));
        assert_eq!(tokens.check("a", at(7200)), Err(TokenError::Expired));
        assert_eq!(tokens.check("c", at(7200)), Ok("wx1"));
    }

    #[test]
    fn force_refresh_kills_the_old_but_not_within_thirty_seconds() {
        let mut tokens = Tokens::default();
        stable(&mut tokens, false, "a", 0);
        assert_eq!(stable(&mut tokens, true, "b", 1).0, "b");
        assert_eq!(tokens.check("a", at(1)), Err(TokenError::Invalid));
        assert_eq!(stable(&mut tokens, true, "c", 30).0, "b", "ignored");
        assert_eq!(stable(&mut tokens, true, "d", 31).0, "d");
    }

    #[test]
    fn force_refresh_works_twenty_times_a_day() {
        let mut tokens = Tokens::default();
        for n in 0..20 {
            let fresh = format!("t{n}");
            assert_eq!(stable(&mut tokens, true, &fresh, n * 30).0, fresh);
        }
        assert_eq!(stable(&mut tokens, true, "x", 600).0, "t19");
        assert_eq!(stable(&mut tokens, true, "y", 24 * 3600).0, "y");
    }

    #[test]
    fn tokens_are_checked() {
        let mut tokens = Tokens::default();
        stable(&mut tokens, false, "a", 0);
        assert_eq!(tokens.check("", NOW), Err(TokenError::Missing));
        assert_eq!(tokens.check("b", NOW), Err(TokenError::Invalid));
        tokens.expire("wx1", NOW);
        assert_eq!(tokens.check("a", NOW), Err(TokenError::Expired));
        assert_eq!(stable(&mut tokens, false, "b", 0).0, "b");
        tokens.revoke("wx1");
        assert_eq!(tokens.check("b", NOW), Err(TokenError::Invalid));
        assert_eq!(stable(&mut tokens, false, "c", 0).0, "c");
    }
}
