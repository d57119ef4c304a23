//! Which idempotency keys may be bound, and which requests are under way: shared by all generations
//! of order actors.
//!
//! On SQLite this process is the only one that serves, so a set of hashes of all bound keys can
//! tell that a key is *not* bound: that spares a read for every buyer who comes too late. A hit is
//! confirmed by a read. While the set is not complete, and on a shared database always, every key
//! may be bound.
//!
//! The set only grows between two reads of the table, which drop what was refused or swept since:
//! when it has doubled it is read anew. A key that is being bound during the read is in the set
//! whether the read has seen it or not.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::books::KeyRef;
use crate::store::{Readers, StoreError, batch};

/// Keys by which the set grows at least before it is read anew: some megabytes.
const GROWTH_MIN: usize = 100_000;

/// Hashes of keys that may be bound, and the requests under way.
#[derive(Default)]
pub struct KeySet {
    state: Mutex<State>,
    hasher: RandomState,
    grown: Notify,
}

#[derive(Default)]
struct State {
    /// Whether all keys that were bound before this process started are among `bound`.
    complete: bool,
    bound: HashSet<u64>,
    /// More than this, and the table is read anew.
    bound_max: usize,
    /// How many requests with a key have no certain fate yet.
    under_way: HashMap<KeyRef, usize>,
    /// How many requests with a key of this hash have passed the gate and not begun.
    arrived: HashMap<u64, usize>,
    /// Of keys of this hash, while the database is asked whether they are bound.
    asked: HashMap<u64, Asked>,
    /// While the table is read: keys that may be bound too late for the read to see them.
    meanwhile: Option<HashSet<u64>>,
}

#[derive(Default)]
struct Asked {
    askers: usize,
    /// Perhaps, by a request that has come meanwhile.
    is_bound: bool,
}

impl State {
    fn is_with_somebody(&self, key: &KeyRef, hash: u64) -> bool {
        self.arrived.contains_key(&hash) || self.under_way.contains_key(key)
    }
}

/// What is known of a key.
pub enum Standing<'a> {
    /// Certainly neither bound nor with anybody who may still bind it.
    Free,
    /// Perhaps bound, or with somebody.
    Taken,
    /// With nobody here; whether it is bound the database knows.
    Unknown(Asking<'a>),
}

/// Held while the database is asked about a key.
pub struct Asking<'a> {
    keys: &'a KeySet,
    key: &'a KeyRef,
    hash: u64,
}

impl Asking<'_> {
    /// Whether the answer still holds: nobody has come with the key since the question.
    pub fn is_undisturbed(&self) -> bool {
        let state = self.keys.lock();
        let bound = state.asked.get(&self.hash).is_none_or(|asked| asked.is_bound);
        !bound && !state.is_with_somebody(self.key, self.hash)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.keys.lock();
        if let Some(asked) = state.asked.get_mut(&self.hash) {
            asked.askers -= 1;
            if asked.askers == 0 {
                state.asked.remove(&self.hash);
            }
        }
    }
}

/// A request whose fate is not certain yet; counted until it is dropped.
pub struct UnderWay {
    keys: Arc<KeySet>,
    key: KeyRef,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.keys.lock();
        if let Some(count) = state.under_way.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.under_way.remove(&self.key);
            }
        }
    }
}

/// A request that was let in; counted until it is dropped.
pub struct Arrival {
    keys: Arc<KeySet>,
    hash: u64,
}

/// Keys are not shown.
impl std::fmt::Debug for Arrival {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Arrival")
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut state = self.keys.lock();
        if let Some(count) = state.arrived.get_mut(&self.hash) {
            *count -= 1;
            if *count == 0 {
                state.arrived.remove(&self.hash);
            }
        }
    }
}

impl KeySet {
    /// False: certainly not bound.
    pub fn may_be_bound(&self, key: &KeyRef) -> bool {
        let state = self.lock();
        !state.complete || state.bound.contains(&self.hasher.hash_one(key))
    }

    /// What is known of a key without the database.
    pub fn standing<'a>(&'a self, key: &'a KeyRef) -> Standing<'a> {
        let hash = self.hasher.hash_one(key);
        let mut state = self.lock();
        if state.is_with_somebody(key, hash) {
            return Standing::Taken;
        }
        if state.complete {
            let may_be_bound = state.bound.contains(&hash);
            return if may_be_bound { Standing::Taken } else { Standing::Free };
        }
        state.asked.entry(hash).or_default().askers += 1;
        Standing::Unknown(Asking { keys: self, key, hash })
    }

    /// A request with this key is on its way to an order actor: it carries what is returned, and
    /// may wait in a mailbox before it [begins](Self::begin).
    pub fn arrive(self: &Arc<Self>, key: &KeyRef) -> Arrival {
        let hash = self.hasher.hash_one(key);
        *self.lock().arrived.entry(hash).or_default() += 1;
        Arrival { keys: self.clone(), hash }
    }

    /// A request with this key begins.
    pub fn begin(self: &Arc<Self>, key: &KeyRef) -> UnderWay {
        *self.lock().under_way.entry(key.clone()).or_default() += 1;
        UnderWay { keys: self.clone(), key: key.clone() }
    }

    /// Whether a request other than the asking one is under way with this key. One order actor
    /// joins such requests; the other one is with the actor's predecessor or successor.
    pub fn is_shared(&self, key: &KeyRef) -> bool {
        self.lock().under_way.get(key).is_some_and(|count| *count > 1)
    }

    /// A key is about to be bound, by a request that is under way.
    pub fn add(&self, key: &KeyRef) {
        let hash = self.hasher.hash_one(key);
        let mut state = self.lock();
        if let Some(asked) = state.asked.get_mut(&hash) {
            asked.is_bound = true;
        }
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.insert(hash);
        }
        // A set that is not complete is not asked: what is bound now a later read finds.
        if state.complete {
            state.bound.insert(hash);
            if state.bound.len() > state.bound_max {
                self.grown.notify_one();
            }
        }
    }

    /// Returns when the set has grown so much that it should be read anew.
    pub async fn grown(&self) {
        self.grown.notified().await;
    }

    /// Replaces the set by what is bound in the database. One read at a time: a second one does
    /// nothing. After an error the set is what it was.
    pub async fn read(&self, readers: &Readers) -> Result<(), StoreError> {
        let Some(reading) = self.begin_reading() else {
            return Ok(());
        };
        let mut bound = HashSet::new();
        let hash = |key: &KeyRef| self.hasher.hash_one(key);
        batch::each_key(readers, |key| bound.extend([hash(key)])).await?;
        reading.finish(bound);
        Ok(())
    }

    /// What is bound before this the read sees; whoever is under way now or adds a key later may be
    /// too late for it.
    fn begin_reading(&self) -> Option<Reading<'_>> {
        let mut state = self.lock();
        if state.meanwhile.is_some() {
            return None;
        }
        let under_way = state.under_way.keys().map(|key| self.hasher.hash_one(key)).collect();
        state.meanwhile = Some(under_way);
        Some(Reading(self))
    }

    /// As after a read of a database in which no key is bound.
    #[cfg(test)]
    pub fn set_complete(&self) {
        self.begin_reading().expect("nobody reads").finish(HashSet::new());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read of the table; dropped before its end it has changed nothing.
struct Reading<'a>(&'a KeySet);

impl Reading<'_> {
    fn finish(self, mut bound: HashSet<u64>) {
        let mut state = self.0.lock();
        bound.extend(state.meanwhile.take().unwrap_or_default());
        state.bound_max = 2 * bound.len() + GROWTH_MIN;
        state.bound = bound;
        state.complete = true;
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.lock().meanwhile = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;

    use super::*;
    use crate::domain::books::Operation;
    use crate::domain::id::{IdempotencyKey, UserId, WxappId};

    fn key(text: &str) -> KeyRef {
        KeyRef {
            wxapp: WxappId::parse(1).unwrap(),
            user: UserId::parse(1).unwrap(),
            operation: Operation::PlaceOrder,
            key: IdempotencyKey::parse(text).unwrap(),
        }
    }

    fn keys() -> Arc<KeySet> {
        Arc::new(KeySet::default())
    }

    #[test]
    fn only_a_complete_set_says_no() {
        let keys = keys();
        assert!(keys.may_be_bound(&key("a")));
        keys.set_complete();
        assert!(!keys.may_be_bound(&key("a")));
        keys.add(&key("a"));
        assert!(keys.may_be_bound(&key("a")));
        assert!(!keys.may_be_bound(&key("b")));
    }

    #[test]
    fn a_key_is_free_while_nobody_has_it_or_may_have_it() {
        let keys = keys();
        let is_free = || matches!(keys.standing(&key("a")), Standing::Free);
        assert!(!is_free(), "not complete");
        keys.set_complete();
        assert!(is_free());
        let arrival = keys.arrive(&key("a"));
        let again = keys.arrive(&key("a"));
        drop(arrival);
        assert!(!is_free());
        let under_way = keys.begin(&key("a"));
        drop(again);
        assert!(!is_free());
        drop(under_way);
        assert!(is_free());
        keys.add(&key("a"));
        assert!(!is_free());
    }

    #[test]
    fn what_the_database_says_holds_unless_somebody_has_come_with_the_key() {
        let keys = keys();
        let (one, other) = (key("a"), key("b"));
        let ask = || match keys.standing(&one) {
            Standing::Unknown(asking) => Some(asking),
            Standing::Free | Standing::Taken => None,
        };
        let asking = ask().unwrap();
        keys.add(&other);
        assert!(asking.is_undisturbed());
        let arrival = keys.arrive(&one);
        assert!(!asking.is_undisturbed() && ask().is_none());
        drop(arrival);
        assert!(asking.is_undisturbed(), "whoever came was refused");
        let under_way = keys.begin(&one);
        keys.add(&one);
        assert!(!asking.is_undisturbed() && ask().is_none());
        drop(under_way);
        assert!(!asking.is_undisturbed(), "it is bound, and the question may have come before");
        let second = ask().unwrap();
        drop(asking);
        assert!(!second.is_undisturbed(), "too careful, while a first question is open");
        drop(second);
        assert!(ask().unwrap().is_undisturbed(), "this one is answered by what is bound");
    }

    #[test]
    fn a_read_that_fails_changes_nothing() {
        let keys = keys();
        drop(keys.begin_reading().unwrap());
        assert!(keys.may_be_bound(&key("a")), "still not complete");
        keys.set_complete();
        keys.add(&key("a"));
        drop(keys.begin_reading().unwrap());
        assert!(keys.may_be_bound(&key("a")));
        assert!(!keys.may_be_bound(&key("b")));
    }

    #[test]
    fn a_read_drops_what_is_bound_no_more_and_keeps_what_is_being_bound() {
        let keys = keys();
        keys.set_complete();
        keys.add(&key("refused"));
        let before = keys.begin(&key("under-way"));
        keys.add(&key("under-way"));
        let reading = keys.begin_reading().unwrap();
        assert!(keys.begin_reading().is_none(), "one at a time");
        drop(before);
        keys.add(&key("new"));
        assert!(keys.may_be_bound(&key("new")) && keys.may_be_bound(&key("refused")));
        let read = HashSet::from([keys.hasher.hash_one(key("old"))]);
        reading.finish(read);
        for (text, bound) in [("old", true), ("under-way", true), ("new", true), ("refused", false)]
        {
            assert_eq!(keys.may_be_bound(&key(text)), bound, "{text}");
        }
    }

    #[test]
    fn a_set_that_has_grown_asks_to_be_read_anew() {
        let keys = keys();
        keys.set_complete();
        let add = |n: usize| keys.add(&key(&n.to_string()));
        (0..GROWTH_MIN).for_each(add);
        assert!(keys.grown().now_or_never().is_none());
        add(GROWTH_MIN);
        assert!(keys.grown().now_or_never().is_some());
        keys.set_complete();
        add(0);
        assert_eq!(keys.lock().bound.len(), 1);
        assert!(keys.grown().now_or_never().is_none());
    }

    #[test]
    fn a_set_that_nobody_completes_does_not_grow() {
        let keys = keys();
        keys.add(&key("a"));
        assert!(keys.lock().bound.is_empty());
    }

    #[test]
    fn requests_with_one_key_know_of_each_other_until_they_end() {
        let keys = keys();
        let first = keys.begin(&key("a"));
        let _other = keys.begin(&key("b"));
        assert!(!keys.is_shared(&key("a")));
        let second = keys.begin(&key("a"));
        assert!(keys.is_shared(&key("a")));
        drop(first);
        assert!(!keys.is_shared(&key("a")));
        drop(second);
        assert_eq!(keys.lock().under_way.len(), 1);
    }
}
