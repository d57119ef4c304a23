//! Two processes that write to two nodes of a Galera cluster, as they do for a moment whenever one
//! moves before the other.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::actors::testing::*;
use crate::domain::admission::PlaceRefusal;
use crate::domain::fold::Outcome;
use crate::domain::fold::tests::world::{World, begin_closing, start};
use crate::domain::order::CloseReason;
use crate::store::test_databases::Kind;
use crate::test_support::servers::Galera;

/// A process at each of two nodes; buyers may have one piece of goods 1.
async fn two_nodes() -> Option<(Galera, Shop, Shop)> {
    // It starts servers of its own, and that once.
    if Kind::chosen() != Kind::Sqlite {
        return None;
    }
    let galera = Galera::start().await?;
    galera.node(0).execute("CREATE DATABASE shop").await;
    let [one, two, _] = galera.urls("shop").try_into().unwrap();
    let mut world = World::new(30);
    world.change_goods(1, |goods| goods.limit_per_user = Some(1));
    let here = Shop::start_at(one, world, 3).await;
    let there = here.by_way_of(two, Duration::from_secs(60)).await;
    Some((galera, here, there))
}

/// Both come to their COMMIT before either has committed.
async fn at_once<A, B>(
    shops: [&Shop; 2],
    here: impl Future<Output = A>,
    there: impl Future<Output = B>,
) -> (A, B) {
    let [mut one, mut two] = shops.map(|shop| shop.probe.hold(Point::BeforeCommit));
    let release = async {
        tokio::join!(one.reached(), two.reached());
        one.release(Verdict::GoOn);
        two.release(Verdict::GoOn);
    };
    let (here, there, ()) = tokio::join!(here, there, release);
    (here, there)
}

#[actix::test]
async fn what_one_node_has_decided_on_another_does_not_decide_otherwise() {
    let Some((_galera, here, there)) = two_nodes().await else { return };
    let shops = [&here, &there];
    // A key between the two that come, which else would meet in one gap of their index.
    assert!(here.buy("kk", 1, &[(21, 1)]).await.is_ok());
    // Two SKUs of goods that a buyer may have one piece of.
    let (one, two) = (here.buy("k", 1, &[(11, 1)]), there.buy("l", 1, &[(12, 1)]));
    let both = <[_; 2]>::from(at_once(shops, one, two).await);
    let refused = both.iter().filter(|result| {
        matches!(result, Err(NotBought::Refused(PlaceRefusal::LimitExceeded { .. })))
    });
    assert_eq!(refused.count(), 1, "{both:?}");
    // An order that one begins to have paid, and the other to close.
    let Ok(Bought::New(order)) = here.buy("k", 2, &[(11, 1)]).await else { panic!() };
    let attempt = here.ids.draw_one().await.unwrap();
    let starting = here.submit(start(attempt, order.get()));
    let closing = there.submit(begin_closing(order.get(), CloseReason::Expired));
    let (started, closing) = at_once(shops, starting, closing).await;
    let started = matches!(started, Ok(Outcome::AttemptStarted(Ok(_))));
    let state = here.orders().await.into_iter().find(|row| row.id == order.get()).unwrap().state;
    let expected = if started { "unpaid" } else { "closed" };
    assert_eq!(state, expected, "{closing:?}");
    here.check().await;
    there.journal.drain().await;
    here.journal.drain().await;
}
