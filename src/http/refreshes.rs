//! How often WeChat may be asked about one order by its buyer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::id::OrderId;
use crate::domain::time::Timestamp;

/// One question for an order in this many seconds.
pub const PAUSE_SECONDS: i64 = 3;
/// The most orders that are remembered.
const ORDERS_MAX: usize = 10_000;

/// When each order was asked about last. Bounded: what is older than the pause is forgotten.
#[derive(Default)]
pub struct Refreshes(Mutex<HashMap<OrderId, Timestamp>>);

impl Refreshes {
    /// Whether the order may be asked about now; if so, not again for a while. When too many are
    /// asked about at once, the answer is no: the reaper asks as well.
    pub fn take(&self, order: OrderId, now: Timestamp) -> bool {
        let recent = |at: Timestamp| now.millis_since(at) < PAUSE_SECONDS * 1000;
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.get(&order).is_some_and(|at| recent(*at)) {
            return false;
        }
        if asked.len() >= ORDERS_MAX {
            asked.retain(|_, at| recent(*at));
        }
        if asked.len() >= ORDERS_MAX {
            return false;
        }
        asked.insert(order, now);
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_order_is_asked_about_once_in_a_while() {
        let refreshes = Refreshes::default();
        let (one, two) = (OrderId::parse(1).unwrap(), OrderId::parse(2).unwrap());
        let now = Timestamp::from_seconds(100);
        assert!(refreshes.take(one, now));
        assert!(!refreshes.take(one, now.plus_millis(PAUSE_SECONDS * 1000 - 1)));
        assert!(refreshes.take(two, now));
        assert!(refreshes.take(one, now.plus_seconds(PAUSE_SECONDS)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let refreshes = Refreshes::default();
        let now = Timestamp::from_seconds(100);
        for id in 1..=20_000 {
            refreshes.take(OrderId::parse(id).unwrap(), now);
        }
        assert!(refreshes.0.lock().unwrap().len() <= ORDERS_MAX);
        assert!(refreshes.take(OrderId::parse(30_000).unwrap(), now.plus_seconds(9)));
    }
}
