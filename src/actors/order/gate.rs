//! The gate before the order actor: turns away, without a message, whoever comes for what is gone.
//!
//! It says nothing that the actor would not say. A refusal needs the board of the goods actor, and
//! the certainty that the key is not bound and nobody is at work on it: else the buyer of the last
//! piece, who has lost the answer, would hear that it is sold out. On a shared database there is no
//! such certainty, and every request goes through.

use std::sync::Arc;

use super::keys::KeySet;
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
    /// mailbox: its repeat is let in behind it.
    pub fn pass(&self, order: PlaceOrder) -> Result<PlaceOrder, PlaceRefusal> {
        let key = KeyRef {
            wxapp: self.wxapp,
            user: order.user,
            operation: Operation::PlaceOrder,
            key: order.key.clone(),
        };
        let refusal = order.cart.items().first();
        let refusal = refusal.and_then(|first| self.board.refusal(*first, self.clock.now()));
        match refusal {
            Some(refusal) if self.keys.is_free(&key) => {
                crate::metrics::refused(&refusal);
                Err(refusal)
            }
            _ => Ok(PlaceOrder { arrival: Some(Arc::new(self.keys.arrive(&key))), ..order }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use actix::prelude::*;

    use super::*;
    use crate::actors::goods::{GoodsActor, Listener};
    use crate::actors::journal::{Point, Verdict};
    use crate::actors::order::tests::buying;
    use crate::actors::order::{OrderActor, OrderDeps, PlaceError, PlacedOrder};
    use crate::actors::testing::*;
    use crate::domain::fold::tests::world::*;

    /// A gate with the actors behind it.
    struct Door {
        gate: Gate,
        orders: Addr<OrderActor>,
        keys: Arc<KeySet>,
    }

    impl Door {
        /// As the edge does it.
        async fn buy(&self, order: PlaceOrder) -> Result<PlacedOrder, PlaceError> {
            self.orders.send(self.gate.pass(order)?).await.unwrap()
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
        Door { gate, orders: orders.start(), keys }
    }

    #[actix::test]
    async fn who_comes_too_late_hears_at_the_gate_what_the_actor_has_said() {
        let shop = Shop::start(1, 4).await;
        let door = door(&shop);
        let sold_out = PlaceRefusal::SoldOut { sku: sku_id(11), available: 0 };
        let first = || buying("k", 1, &[(11, 1)]);
        let late = || buying("k", 2, &[(11, 1)]);
        door.buy(first()).await.unwrap();
        assert!(door.gate.pass(late()).is_ok(), "nobody has been refused yet");
        assert_eq!(door.buy(late()).await.unwrap_err(), sold_out.into());
        assert_eq!(door.gate.pass(late()).err(), Some(sold_out));
        let and_another = buying("k", 3, &[(11, 1), (21, 1)]);
        assert_eq!(door.gate.pass(and_another).err(), Some(sold_out));
        assert!(door.gate.pass(buying("k", 3, &[(21, 1), (11, 1)])).is_ok(), "not its first line");
        let again = door.buy(first()).await.unwrap();
        assert!(again.replayed, "his key is bound: he gets his order");
        shop.clock.advance(Duration::from_millis(REFRESH_MS.unsigned_abs() + 1));
        assert!(door.gate.pass(late()).is_ok(), "memory is too old to refuse by");
        shop.stop().await;
    }

    #[actix::test]
    async fn a_repeat_is_let_in_while_the_first_request_is_not_answered() {
        let shop = Shop::start(1, 3).await;
        let door = door(&shop);
        let waiting = || buying("k", 1, &[(11, 2)]);
        let in_a_mailbox = door.gate.pass(waiting()).unwrap();
        door.orders.send(buying("k", 2, &[(11, 2)])).await.unwrap().unwrap_err();
        let refused = |order| door.gate.pass(order).is_err();
        assert!(refused(buying("k", 3, &[(11, 2)])) && !refused(waiting()));
        drop(in_a_mailbox);
        assert!(refused(waiting()));
        let begun = door.keys.begin(&key_of(&waiting()));
        assert!(!refused(waiting()));
        drop(begun);
        shop.stop().await;
    }

    /// On a shared database nobody knows all keys.
    #[actix::test]
    async fn nobody_is_refused_at_the_gate_while_keys_may_be_bound_unseen() {
        let shop = Shop::start(1, 2).await;
        let door = behind(&shop, KeySet::default());
        let late = || buying("k", 1, &[(11, 2)]);
        door.buy(late()).await.unwrap_err();
        assert!(door.gate.pass(late()).is_ok());
        door.keys.set_complete();
        assert!(door.gate.pass(late()).is_err());
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
        assert!(door.gate.pass(three()).is_err());
        door.buy(buying("c", 1, &[(11, 1)])).await.unwrap();
        assert!(door.gate.pass(three()).is_ok());
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
        assert!(door.gate.pass(piece()).is_err());
        held.release(Verdict::GoOn);
        assert_eq!(first.await.unwrap_err(), PlaceRefusal::UnknownAddress.into());
        door.buy(piece()).await.unwrap();
        shop.stop().await;
    }
}
