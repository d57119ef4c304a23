//! The end of one actor in the middle of its work, for whoever tests that it is replaced.

use actix::prelude::*;

use super::goods::GoodsActor;
use super::messenger::MessengerActor;
use super::order::OrderActor;
use super::payment::PaymentActor;

/// The actor falls at once, as after a panic: its memory is gone, its mailbox closed, what it has
/// spawned goes on.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Perish;

macro_rules! mortal {
    ($($actor:ty),+) => {$(
        impl Handler<Perish> for $actor {
            type Result = ();

            fn handle(&mut self, _: Perish, ctx: &mut Self::Context) {
                ctx.terminate();
            }
        }
    )+};
}

mortal!(GoodsActor, OrderActor, PaymentActor, MessengerActor);
