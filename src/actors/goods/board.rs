//! The board beside the goods actor's door: what it has just refused as sold out.
//!
//! Only the actor writes on it, and wipes off whatever no longer is so; anyone may read it without
//! a message. While a crowd stands before a SKU that is gone, the actor is asked once for each
//! `stock_refresh_ms`, and everybody else reads the same answer here. Nothing is admitted by the
//! board: what does not stand on it, the actor decides.
//!
//! While word of a batch lies in the actor's mailbox, the board is not read: whoever has heard that
//! an order was given up would find its piece sold out for a moment, which a message behind that
//! word does not.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix::Recipient;

use super::protocol::BatchDone;
use crate::domain::admission::PlaceRefusal;
use crate::domain::cart::CartItem;
use crate::domain::id::SkuId;
use crate::domain::time::Timestamp;

/// Reads the board. Clones read the same one.
#[derive(Clone, Default)]
pub struct Board(Arc<Shared>);

#[derive(Default)]
struct Shared {
    gone: RwLock<HashMap<SkuId, Gone>>,
    /// Batches that the actor has been told of, and those of which it has heard.
    told: AtomicU64,
    heard: AtomicU64,
}

/// What was refused.
#[derive(Debug, Clone, Copy)]
struct Gone {
    available: i64,
    /// When memory is too old to refuse by.
    until: Timestamp,
}

impl Board {
    /// What the actor would say of an order whose first line this is; `None`: ask it.
    pub fn refusal(&self, first: CartItem, now: Timestamp) -> Option<PlaceRefusal> {
        // Whoever sees that the actor has heard sees what it has wiped off.
        if self.0.heard.load(Ordering::Acquire) != self.0.told.load(Ordering::Acquire) {
            return None;
        }
        let gone = *self.0.gone.read().unwrap_or_else(PoisonError::into_inner).get(&first.sku)?;
        let holds = now <= gone.until && first.quantity.pieces() > gone.available;
        holds.then_some(PlaceRefusal::SoldOut { sku: first.sku, available: gone.available })
    }
}

/// The goods actor as the journal knows it.
pub struct Listener {
    goods: Recipient<BatchDone>,
    board: Board,
}

impl Listener {
    pub fn new(goods: Recipient<BatchDone>, board: Board) -> Self {
        Self { goods, board }
    }

    /// Tells of a batch, before anybody hears of it.
    pub fn tell(&self, done: BatchDone) {
        self.board.0.told.fetch_add(1, Ordering::Release);
        self.goods.do_send(done);
    }
}

/// Writes on the board, and knows what stands there.
#[derive(Default)]
pub(super) struct Chalk {
    board: Board,
    written: HashSet<SkuId>,
}

impl Chalk {
    pub(super) fn new(board: Board) -> Self {
        Self { board, written: HashSet::new() }
    }

    /// The SKU has so many pieces left, and that may be said until then.
    pub(super) fn write(&mut self, sku: SkuId, available: i64, until: Timestamp) {
        self.written.insert(sku);
        self.change(|board| {
            board.insert(sku, Gone { available, until });
        });
    }

    /// Something has changed about the SKU.
    pub(super) fn wipe(&mut self, sku: SkuId) {
        if self.written.remove(&sku) {
            self.change(|board| {
                board.remove(&sku);
            });
        }
    }

    pub(super) fn wipe_all(&mut self) {
        if !self.written.is_empty() {
            self.written.clear();
            self.change(HashMap::clear);
        }
    }

    /// What the word of a batch has changed is wiped off.
    pub(super) fn heard(&self) {
        self.board.0.heard.fetch_add(1, Ordering::Release);
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<SkuId, Gone>)) {
        change(&mut self.board.0.gone.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Nobody refuses by the board of an actor that is gone.
impl Drop for Chalk {
    fn drop(&mut self) {
        self.wipe_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::money::Quantity;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn item(quantity: i64) -> CartItem {
        CartItem { sku: sku(), quantity: Quantity::parse(quantity).unwrap() }
    }

    fn sku() -> SkuId {
        SkuId::parse(7).unwrap()
    }

    #[test]
    fn what_stands_there_holds_for_a_moment_and_for_more_than_is_left() {
        let board = Board::default();
        let mut chalk = Chalk::new(board.clone());
        chalk.write(sku(), 1, NOW.plus_millis(500));
        let refusal = Some(PlaceRefusal::SoldOut { sku: sku(), available: 1 });
        assert_eq!(board.refusal(item(2), NOW.plus_millis(500)), refusal);
        assert_eq!(board.refusal(item(2), NOW.plus_millis(501)), None);
        assert_eq!(board.refusal(item(1), NOW), None);
    }

    #[test]
    fn what_changes_is_wiped_off() {
        let board = Board::default();
        let mut chalk = Chalk::new(board.clone());
        for wipe in [|chalk: &mut Chalk| chalk.wipe(sku()), Chalk::wipe_all] {
            chalk.write(sku(), 0, NOW);
            assert!(board.refusal(item(1), NOW).is_some());
            wipe(&mut chalk);
            assert!(board.refusal(item(1), NOW).is_none());
        }
        chalk.write(sku(), 0, NOW);
        drop(chalk);
        assert!(board.refusal(item(1), NOW).is_none());
    }

    struct Deaf;

    impl actix::Actor for Deaf {
        type Context = actix::Context<Self>;
    }

    impl actix::Handler<BatchDone> for Deaf {
        type Result = ();
        fn handle(&mut self, _: BatchDone, _: &mut Self::Context) {}
    }

    #[actix::test]
    async fn nobody_reads_it_before_the_actor_has_heard_of_every_batch() {
        use actix::Actor as _;
        let board = Board::default();
        let mut chalk = Chalk::new(board.clone());
        let listener = Listener::new(Deaf.start().recipient(), board.clone());
        chalk.write(sku(), 0, NOW);
        let is_refused = || board.refusal(item(1), NOW).is_some();
        let done = || BatchDone { holds: vec![], skus: vec![], goods: vec![] };
        assert!(is_refused());
        listener.tell(done());
        listener.tell(done());
        chalk.heard();
        assert!(!is_refused(), "one lies in the mailbox");
        chalk.heard();
        assert!(is_refused());
    }
}
