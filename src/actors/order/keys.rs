//! Which idempotency keys may be bound: spares a read for every buyer who comes too late.
//!
//! On SQLite this process is the only one that serves, so a set of hashes of all bound keys can
//! tell that a key is *not* bound. A hit is confirmed by a read. While the set is not complete, and
//! on a shared database always, every key may be bound.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::books::KeyRef;

/// A set of 64-bit hashes of bound keys.
#[derive(Default)]
pub struct KeySet {
    hashes: RwLock<HashSet<u64>>,
    hasher: RandomState,
    complete: AtomicBool,
}

impl KeySet {
    /// False: certainly not bound.
    pub fn may_be_bound(&self, key: &KeyRef) -> bool {
        if !self.complete.load(Ordering::Acquire) {
            return true;
        }
        let hashes = self.hashes.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        hashes.contains(&self.hasher.hash_one(key))
    }

    /// A key is about to be bound.
    pub fn add(&self, key: &KeyRef) {
        let mut hashes = self.hashes.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        hashes.insert(self.hasher.hash_one(key));
    }

    /// All keys that were bound before this process started have been added.
    pub fn set_complete(&self) {
        self.complete.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn only_a_complete_set_says_no() {
        let keys = KeySet::default();
        assert!(keys.may_be_bound(&key("a")));
        keys.set_complete();
        assert!(!keys.may_be_bound(&key("a")));
        keys.add(&key("a"));
        assert!(keys.may_be_bound(&key("a")));
        assert!(!keys.may_be_bound(&key("b")));
    }
}
