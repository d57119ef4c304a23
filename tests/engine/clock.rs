//! Clocks that jump by an hour: while a shop and its database disagree about the time, nothing is
//! closed.

use std::time::Duration;

use buynow::clock::Clock;

use crate::support::storage::Storage;
use crate::support::{Reply, Shopper, TestApp};

const HOUR: Duration = Duration::from_secs(3_600);

/// A shop with an order that has a quarter of an hour to be paid, and time that moves by itself.
async fn a_shop_by(clock: Clock) -> (TestApp, Shopper, Reply) {
    let app = TestApp::builder().on(Storage::new(), clock).with_wechat_apart().start().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    (app, alice, placed)
}

async fn is_open(alice: &Shopper, placed: &Reply) -> bool {
    let order = alice.order(placed.order_id()).await;
    order["state"] == "unpaid" && order["closing"] == false
}

#[actix_rt::test]
async fn a_server_whose_clock_jumps_an_hour_ahead_closes_nothing_early() {
    let (app, alice, placed) = a_shop_by(Clock::system()).await;
    let (storage, jumped) = (app.storage(), Clock::system_ahead(HOUR));
    let app = app.crashes().await.on(storage, jumped.clone()).start().await;
    for _ in 0..5 {
        assert_eq!(app.run_reaper().await.expired, 0);
        assert!(is_open(&alice, &placed).await);
    }
    // By now the database's time is believed.
    let off = jumped.now().millis_since(app.readers.database_time().await.unwrap());
    assert!(off.abs() < 2_000, "{off} ms");
    let payment = alice.asks_to_pay(placed.order_id()).await.expect(200);
    alice.pays(&payment.body).await;
    assert_eq!(alice.order(placed.order_id()).await["state"], "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_database_whose_clock_is_an_hour_ahead_is_not_believed_at_once() {
    let (app, alice, placed) = a_shop_by(Clock::system_behind(HOUR)).await;
    // By the database's time the order has expired long ago.
    for _ in 0..2 {
        assert_eq!(app.run_reaper().await.expired, 0);
        assert!(is_open(&alice, &placed).await);
    }
    app.audit_is_clean().await;
    app.stop().await;
}
