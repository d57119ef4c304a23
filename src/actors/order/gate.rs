//! The gate before the order actor: turns away, without a message, whoever comes for what is gone.
//!
//! It says nothing that the actor would not say. A refusal needs the board of the goods actor, and
//! the certainty that the key is not bound and nobody is at work on it: else the buyer of the last
//! piece, who has lost the answer, would hear that it is sold out. On a shared database the key is
//! looked up for that, here as there, and it is spared two mailboxes.

use std::rc::Rc;
use std::sync::Arc;

use super::keys::{KeySet, Standing};
use super::lookups::Lookups;
use super::protocol::PlaceOrder;
use crate::actors::goods::Board;
use crate::clock::Clock;
use crate::domain::admission::PlaceRefusal;
use crate::domain::books::{KeyRef, Operation};
use crate::domain::id::WxappId;

/// The gate of one mini-program.
pub struct Gate {
    wxapp: WxappId,
    board: Board,
    keys: Arc<KeySet>,
    clock: Clock,
}

impl Gate {
    pub fn new(wxapp: WxappId, board: Board, keys: Arc<KeySet>, clock: Clock) -> Self {
        Self { wxapp, board, keys, clock }
    }

    /// Lets a request pass, or says why not. One that passes is counted as long as it lies in a
    /// mailbox: its repeat is let in behind it. `lookups` are those of the caller's thread.
    pub async fn pass(
        &self,
        order: PlaceOrder,
        lookups: &Rc<Lookups>,
    ) -> Result<PlaceOrder, PlaceRefusal> {
        let key = KeyRef {
            wxapp: self.wxapp,
            user: order.user,
            operation: Operation::PlaceOrder,
            key: order.key.clone(),
        };
        let refusal = order.cart.items().first();
        let refusal = refusal.and_then(|first| self.board.refusal(*first, self.clock.now()));
        if let Some(refusal) = refusal
            && self.is_nobodys(&key, lookups).await
        {
            crate::metrics::refused(&refusal);
            return Err(refusal);
        }
        Ok(PlaceOrder { arrival: Some(Arc::new(self.keys.arrive(&key))), ..order })
    }

    async fn is_nobodys(&self, key: &KeyRef, lookups: &Rc<Lookups>) -> bool {
        match self.keys.standing(key) {
            Standing::Free => true,
            Standing::Taken => false,
            Standing::Unknown(asking) => {
                lookups.binding(key).await == Ok(None) && asking.is_undisturbed()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use actix::prelude::*;
    use futures_util::future::join;
    use sea_orm::TransactionTrait as _;

    use super::*;
    use crate::actors::goods::{GoodsActor, Listener};
    use crate::actors::journal::{Point, Verdict};
    use crate::actors::order::tests::buying;
    use crate::actors::order::{OrderActor, OrderDeps, PlaceError, PlacedOrder};
    use crate::actors::testing::*;
    use crate::domain::fold::tests::world::*;
    use crate::store::db::open_readers;

    /// A gate with the actors behind it.
    struct Door {
        gate: Gate,
        lookups: Rc<Lookups>,
        orders: Addr<OrderActor>,
        keys: Arc<KeySet>,
    }

    impl Door {
        /// As the edge does it.
        async fn buy(&self, order: PlaceOrder) -> Result<PlacedOrder, PlaceError> {
            self.orders.send(self.pass(order).await?).await.unwrap()
        }

        async fn pass(&self, order: PlaceOrder) -> Result<PlaceOrder, PlaceRefusal> {
            self.gate.pass(order, &self.lookups).await
        }
    }

    fn door(shop: &Shop) -> Door {
        let keys = KeySet::default();
        keys.set_complete();
        behind(shop, keys)
    }

    fn behind(shop: &Shop, keys: KeySet) -> Door {
        let (board, keys) = (Board::default(), Arc::new(keys));
        let (readers, clock) = (shop.readers.clone(), shop.clock.clone());
        let goods = GoodsActor::new(wxapp(), readers.clone(), clock.clone(), REFRESH_MS, QUEUE_MAX);
        let goods = goods.with_board(board.clone()).start();
        let listener = Listener::new(goods.clone().recipient(), board.clone());
        shop.journal.listen(wxapp(), listener);
        let orders = OrderActor::new(OrderDeps {
            wxapp: wxapp(),
            goods,
            journal: shop.journal.clone(),
            readers,
            ids: shop.ids.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            expire_seconds: EXPIRE_SECONDS,
            max: fen(1_000_000),
            mailbox: QUEUE_MAX,
            placer: None,
        });
        let gate = Gate::new(wxapp(), board, keys.clone(), clock);
        let lookups = Lookups::new(shop.readers.clone());
        Door { gate, lookups, orders: orders.start(), keys }
    }

    #[actix::test]
    async fn who_comes_too_late_hears_at_the_gate_what_the_actor_has_said() {
        let shop = Shop::start(1, 4).await;
        let door = door(&shop);
        let sold_out = PlaceRefusal::SoldOut { sku: sku_id(11), available: 0 };
        let first = || buying("k", 1, &[(11, 1)]);
        let late = || buying("k", 2, &[(11, 1)]);
        door.buy(first()).await.unwrap();
        assert!(door.pass(late()).await.is_ok(), "nobody has been refused yet");
        assert_eq!(door.buy(late()).await.unwrap_err(), sold_out.into());
        assert_eq!(door.pass(late()).await.err(), Some(sold_out));
        let and_another = buying("k", 3, &[(11, 1), (21, 1)]);
        assert_eq!(door.pass(and_another).await.err(), Some(sold_out));
        assert!(door.pass(buying("k", 3, &[(21, 1), (11, 1)])).await.is_ok(), "not its first line");
        let again = door.buy(first()).await.unwrap();
        assert!(again.replayed, "his key is bound: he gets his order");
        shop.clock.advance(Duration::from_millis(REFRESH_MS.unsigned_abs() + 1));
        assert!(door.pass(late()).await.is_ok(), "memory is too old to refuse by");
        shop.stop().await;
    }

    #[actix::test]
    async fn a_repeat_is_let_in_while_the_first_request_is_not_answered() {
        let shop = Shop::start(1, 3).await;
        let door = door(&shop);
        let waiting = || buying("k", 1, &[(11, 2)]);
        let in_a_mailbox = door.pass(waiting()).await.unwrap();
        door.orders.send(buying("k", 2, &[(11, 2)])).await.unwrap().unwrap_err();
        let refused = async |order| door.pass(order).await.is_err();
        assert!(refused(buying("k", 3, &[(11, 2)])).await && !refused(waiting()).await);
        drop(in_a_mailbox);
        assert!(refused(waiting()).await);
        let begun = door.keys.begin(&key_of(&waiting()));
        assert!(!refused(waiting()).await);
        drop(begun);
        shop.stop().await;
    }

    /// On a shared database nobody knows all keys.
    #[actix::test]
    async fn what_may_be_bound_unseen_is_looked_up_at_the_gate() {
        let shop = Shop::start(1, 3).await;
        let door = behind(&shop, KeySet::default());
        let (first, late) = (|| buying("k", 1, &[(11, 1)]), || buying("k", 2, &[(11, 1)]));
        door.buy(first()).await.unwrap();
        door.buy(late()).await.unwrap_err();
        assert!(door.pass(late()).await.is_err());
        assert!(door.pass(first()).await.is_ok(), "his key is bound");
        assert!(door.buy(first()).await.unwrap().replayed);
        let in_a_mailbox = door.keys.arrive(&key_of(&late()));
        assert!(door.pass(late()).await.is_ok(), "somebody is at work on it");
        drop(in_a_mailbox);
        assert!(door.pass(late()).await.is_err());
        let gone = open_readers(&shop.database.url, 1).await.unwrap();
        gone.clone().close().await.unwrap();
        let unanswered = door.gate.pass(late(), &Lookups::new(gone)).await;
        assert!(unanswered.is_ok(), "nobody knows: the actor may say so");
        shop.stop().await;
    }

    /// The read may have come before the commit.
    #[actix::test]
    async fn who_is_overtaken_by_his_repeat_while_his_key_is_looked_up_is_not_refused() {
        let shop = Shop::start(1, 2).await;
        let door = behind(&shop, KeySet::default());
        let late = || buying("k", 1, &[(11, 2)]);
        door.buy(late()).await.unwrap_err();
        let readers = open_readers(&shop.database.url, 1).await.unwrap();
        let only = readers.connection().begin().await.unwrap();
        let lookups = Lookups::new(readers);
        let overtaking = async {
            let under_way = door.keys.begin(&key_of(&late()));
            door.keys.add(&key_of(&late()));
            drop(under_way);
            only.rollback().await.unwrap();
        };
        let (passed, ()) = join(door.gate.pass(late(), &lookups), overtaking).await;
        assert!(passed.is_ok());
        drop(passed);
        assert!(door.gate.pass(late(), &lookups).await.is_err());
        shop.stop().await;
    }

    fn key_of(order: &PlaceOrder) -> KeyRef {
        KeyRef {
            wxapp: wxapp(),
            user: order.user,
            operation: Operation::PlaceOrder,
            key: order.key.clone(),
        }
    }

    #[actix::test]
    async fn what_changes_is_asked_about_at_once() {
        let shop = Shop::start(2, 2).await;
        let door = door(&shop);
        let three = || buying("b", 2, &[(11, 3)]);
        door.buy(three()).await.unwrap_err();
        assert!(door.pass(three()).await.is_err());
        door.buy(buying("c", 1, &[(11, 1)])).await.unwrap();
        assert!(door.pass(three()).await.is_ok());
        shop.stop().await;
    }

    /// The piece of an order that did not come about is somebody else's when the hold has ended.
    #[actix::test]
    async fn a_piece_that_is_let_go_is_sold_at_once() {
        let shop = Shop::start(1, 2).await;
        let door = door(&shop);
        let mut held = shop.probe.hold(Point::BeforeCommit);
        let mut unknown_address = buying("a", 1, &[(11, 1)]);
        unknown_address.address = address_of(2);
        let mut first = Box::pin(door.buy(unknown_address));
        tokio::select! {
            () = held.reached() => {}
            _ = &mut first => panic!("answered before the commit"),
        }
        let piece = || buying("b", 2, &[(11, 1)]);
        door.buy(piece()).await.unwrap_err();
        assert!(door.pass(piece()).await.is_err());
        held.release(Verdict::GoOn);
        assert_eq!(first.await.unwrap_err(), PlaceRefusal::UnknownAddress.into());
        door.buy(piece()).await.unwrap();
        shop.stop().await;
    }
}
