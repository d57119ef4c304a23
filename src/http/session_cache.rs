//! Log-ins that were looked up a moment ago, so that a flash sale does not read them once a
//! request.
//!
//! Bounded, short-lived, disposable. A log-out in this process takes effect at once, one in another
//! process within [`TTL`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::time::Timestamp;
use crate::store::accounts::Session;

/// How long a log-in is believed without looking again, in seconds.
pub const TTL_SECONDS: i64 = 10;
/// The most log-ins that are remembered.
const SESSIONS_MAX: usize = 100_000;

/// Hash of a token to the log-in behind it.
#[derive(Default)]
pub struct SessionCache(Mutex<HashMap<String, Entry>>);

#[derive(Clone, Copy)]
struct Entry {
    session: Session,
    until: Timestamp,
}

impl SessionCache {
    /// The log-in, when it was looked up a moment ago and is still good.
    pub fn get(&self, token_hash: &str, now: Timestamp) -> Option<Session> {
        let entry = self.lock().get(token_hash).copied()?;
        let good = now < entry.until && now < entry.session.expires_at;
        good.then_some(entry.session)
    }

    /// Remembers a log-in that the database has just confirmed.
    pub fn put(&self, token_hash: &str, session: Session, now: Timestamp) {
        let mut entries = self.lock();
        if entries.len() >= SESSIONS_MAX {
            entries.retain(|_, entry| now < entry.until);
        }
        if entries.len() >= SESSIONS_MAX {
            entries.clear();
        }
        let until = now.plus_seconds(TTL_SECONDS);
        entries.insert(token_hash.to_owned(), Entry { session, until });
    }

    /// Forgets a log-in that has ended.
    pub fn forget(&self, token_hash: &str) {
        self.lock().remove(token_hash);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::id::{UserId, WxappId};

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn session(expires_in: i64) -> Session {
        Session {
            wxapp: WxappId::parse(1).unwrap(),
            user: UserId::parse(2).unwrap(),
            expires_at: NOW.plus_seconds(expires_in),
        }
    }

    #[test]
    fn a_log_in_is_believed_for_a_moment_only() {
        let cache = SessionCache::default();
        cache.put("h", session(3600), NOW);
        assert!(cache.get("h", NOW.plus_seconds(TTL_SECONDS - 1)).is_some());
        assert!(cache.get("h", NOW.plus_seconds(TTL_SECONDS)).is_none());
        cache.put("soon", session(1), NOW);
        assert!(cache.get("soon", NOW.plus_seconds(1)).is_none());
        cache.forget("h");
        assert!(cache.get("h", NOW).is_none());
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = SessionCache::default();
        for i in 0..=SESSIONS_MAX {
            cache.put(&i.to_string(), session(3600), NOW);
        }
        assert!(cache.lock().len() <= SESSIONS_MAX);
    }
}
