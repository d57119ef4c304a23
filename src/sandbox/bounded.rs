//! A map with a limit: the oldest entry makes room for the newest.
//!
//! The simulation may run for weeks behind a demo page; nothing in it grows without end. Entries
//! are never taken out one by one, so the order of arrival is exact.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

pub(super) struct Bounded<K, V> {
    entries: HashMap<K, V>,
    arrival: VecDeque<K>,
    capacity: usize,
}

impl<K: Hash + Eq + Clone, V> Bounded<K, V> {
    /// Holds `capacity` entries, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), arrival: VecDeque::new(), capacity: capacity.max(1) }
    }

    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    pub(super) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key)
    }

    /// Puts an entry in; what had to make room for it is handed back, so that its indexes can go.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.entries.insert(key.clone(), value).is_some() {
            return None;
        }
        self.arrival.push_back(key);
        if self.entries.len() <= self.capacity {
            return None;
        }
        self.arrival.pop_front().and_then(|oldest| self.entries.remove(&oldest))
    }

    /// The entry, made from `fresh` when it is not there.
    pub(super) fn entry(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.insert(key.clone(), fresh());
        }
        self.entries.get_mut(&key).expect("it was there or has just been put in")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let mut map = Bounded::new(2);
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("b", 2), None);
        assert_eq!(map.insert("a", 3), None, "replacing takes no room");
        assert_eq!(map.insert("c", 4), Some(3));
        assert_eq!((map.get("a"), map.get("b"), map.get("c")), (None, Some(&2), Some(&4)));
    }

    #[test]
    fn an_entry_is_made_once() {
        let mut map = Bounded::new(2);
        *map.entry("a", || 1) += 1;
        *map.entry("a", || 100) += 1;
        assert_eq!(map.get("a"), Some(&3));
    }
}
