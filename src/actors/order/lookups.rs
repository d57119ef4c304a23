//! Look-ups of idempotency keys, many in one read.
//!
//! On a shared database every refusal looks its key up. While one read is under way the next keys
//! wait, and then go together, so a crowd before a SKU that is gone costs the database a read for
//! many of them. They wait for one read, so it has a bound: a server that falls silent must not
//! silence the one that has taken its place. When a read fails, nobody waits for the next one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::books::{KeyBinding, KeyRef};
use crate::store::{Readers, batch};

/// Keys of one read.
const KEYS_MAX: usize = 256;

/// Keys that wait for theirs. Who comes after them is not told anything here.
const WAITING_MAX: usize = 8 * KEYS_MAX;

/// Longer than any read that is going to be answered.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The database does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown;

pub type Answer = Result<Option<KeyBinding>, Unknown>;

/// A key, and who waits for it.
type Asked = (KeyRef, oneshot::Sender<Answer>);

/// Looks keys up for one order actor, or at the gates for all requests of a thread.
pub struct Lookups {
    readers: Readers,
    waiting: RefCell<Vec<Asked>>,
    reading: Cell<bool>,
    read_limit: Duration,
}

impl Lookups {
    pub fn new(readers: Readers) -> Rc<Self> {
        Self::with_limit(readers, READ_LIMIT)
    }

    pub(super) fn with_limit(readers: Readers, read_limit: Duration) -> Rc<Self> {
        let (waiting, reading) = (RefCell::default(), Cell::new(false));
        Rc::new(Self { readers, waiting, reading, read_limit })
    }

    /// What a key is bound to, of a read that begins after this call.
    pub async fn binding(self: &Rc<Self>, key: &KeyRef) -> Answer {
        let (answer, answered) = oneshot::channel();
        let is_full = self.waiting.borrow().len() >= WAITING_MAX;
        if is_full {
            return Err(Unknown);
        }
        self.waiting.borrow_mut().push((key.clone(), answer));
        if !self.reading.replace(true) {
            actix_rt::spawn(self.clone().read_all());
        }
        answered.await.unwrap_or(Err(Unknown))
    }

    async fn read_all(self: Rc<Self>) {
        let _reading = Reading(&self.reading);
        loop {
            let asked: Vec<_> = {
                let mut waiting = self.waiting.borrow_mut();
                waiting.retain(|(_, answer)| !answer.is_closed());
                let now = waiting.len().min(KEYS_MAX);
                waiting.drain(..now).collect()
            };
            if asked.is_empty() {
                return;
            }
            let found = self.read(&asked).await;
            if found.is_err() {
                tell(self.waiting.take(), Err(Unknown));
            }
            tell(asked, found);
        }
    }

    async fn read(&self, asked: &[Asked]) -> Result<HashMap<KeyRef, KeyBinding>, Unknown> {
        let keys: Vec<&KeyRef> = asked.iter().map(|(key, _)| key).collect();
        let read = batch::bindings(&self.readers, &keys);
        match tokio::time::timeout(self.read_limit, read).await {
            Ok(Ok(found)) => Ok(found.into_iter().collect()),
            Ok(Err(error)) => {
                tracing::warn!(%error, keys = keys.len(), "keys could not be looked up");
                Err(Unknown)
            }
            Err(_) => {
                tracing::warn!(keys = keys.len(), "the look-up of keys is not answered");
                Err(Unknown)
            }
        }
    }
}

/// Keys are being read; however it ends, the next one who asks begins anew.
struct Reading<'a>(&'a Cell<bool>);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

fn tell(asked: Vec<Asked>, found: Result<HashMap<KeyRef, KeyBinding>, Unknown>) {
    for (key, answer) in asked {
        let binding = found.as_ref().map(|found| found.get(&key).cloned());
        let _gone = answer.send(binding.map_err(|unknown| *unknown));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::future::join_all;
    use sea_orm::TransactionTrait as _;

    use super::*;
    use crate::actors::testing::*;
    use crate::domain::fold::tests::world::*;
    use crate::store::db::open_readers;

    /// More than one read takes, bound and free ones.
    #[actix::test]
    async fn many_keys_are_looked_up_each_for_whoever_asked() {
        let buyers = 2 * i64::try_from(KEYS_MAX).unwrap() + 44;
        let shop = Shop::start(10, buyers).await;
        for buyer in 1..=3 {
            shop.buy("k", buyer, &[(11, 1)]).await.unwrap();
        }
        let lookups = Lookups::new(shop.readers.clone());
        let keys: Vec<KeyRef> = (1..=buyers).map(|buyer| key(buyer, "k")).collect();
        let answers = join_all(keys.iter().map(|key| lookups.binding(key))).await;
        let ids: Vec<_> = shop.orders().await.iter().map(|order| order.id).collect();
        let bound: Vec<_> = answers.iter().filter_map(|found| found.clone().unwrap()).collect();
        assert_eq!(bound.iter().map(|bound| bound.result.get()).collect::<Vec<_>>(), ids);
        assert!(answers[..3].iter().all(|found| found.as_ref().unwrap().is_some()));
        shop.stop().await;
    }

    #[actix::test]
    async fn a_read_that_is_not_answered_tells_nothing_and_stops_nobody() {
        let shop = Shop::start(1, 1).await;
        let readers = open_readers(&shop.database.url, 1).await.unwrap();
        let only = readers.connection().begin().await.unwrap();
        let lookups = Lookups::with_limit(readers, Duration::from_millis(20));
        let keys = [key(1, "a"), key(1, "b")];
        let ask = || join_all(keys.iter().map(|key| lookups.binding(key)));
        for _ in 0..2 {
            assert_eq!(ask().await, [Err(Unknown), Err(Unknown)]);
        }
        only.rollback().await.unwrap();
        let mut answers = ask().await;
        for _ in 0..100 {
            if answers != [Ok(None), Ok(None)] {
                answers = ask().await;
            }
        }
        assert_eq!(answers, [Ok(None), Ok(None)]);
        shop.stop().await;
    }

    /// However many wait for a silent server, it is one read that they wait for.
    #[actix::test]
    async fn a_crowd_before_a_silent_server_waits_for_one_read_and_is_bounded() {
        let shop = Shop::start(1, 1).await;
        let readers = open_readers(&shop.database.url, 1).await.unwrap();
        let only = readers.connection().begin().await.unwrap();
        let lookups = Lookups::with_limit(readers, Duration::from_millis(200));
        let buyers = 1..=i64::try_from(WAITING_MAX).unwrap();
        let keys: Vec<KeyRef> = buyers.map(|buyer| key(buyer, "k")).collect();
        let too_many = key(1, "one-too-many");
        let crowd = join_all(keys.iter().map(|key| lookups.binding(key)));
        let refused = async {
            let refused = lookups.binding(&too_many).await;
            (refused, lookups.waiting.borrow().len())
        };
        let (answers, refused) = futures_util::future::join(crowd, refused).await;
        assert_eq!(refused, (Err(Unknown), WAITING_MAX), "and that at once");
        assert!(answers.iter().all(|answer| *answer == Err(Unknown)));
        assert_eq!(lookups.waiting.borrow().len(), 0);
        drop(lookups.binding(&too_many));
        only.rollback().await.unwrap();
        shop.stop().await;
    }
}
