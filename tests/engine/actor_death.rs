//! An actor panics. The directory replaces it, and nothing but the calls under way is disturbed.

use std::sync::Arc;

use actix::MailboxError;
use buynow::actors::directory::Shop;
use buynow::actors::goods::{Admit, BatchDone, GetSnapshot, Quote};
use buynow::actors::journal::Point;
use buynow::actors::order::CancelOrder;
use buynow::actors::payment::Prepay;
use buynow::domain::cart::{Cart, CartItem};
use buynow::domain::id::{OrderId, SkuId, UserId};
use buynow::domain::money::{Money, Quantity};
use tracing::span::{Attributes, Id, Record};

use crate::support::TestApp;
use crate::support::gate::Gate;

/// Makes spans that cannot be cloned, which is the first thing that a handler does with its span.
struct Poison;

impl tracing::Subscriber for Poison {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn clone_span(&self, _: &Id) -> Id {
        panic!("poison");
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn poison() -> tracing::Span {
    let poison = tracing::Dispatch::new(Poison);
    tracing::dispatcher::with_default(&poison, || tracing::error_span!("poison"))
}

async fn shop(app: &TestApp) -> Arc<Shop> {
    app.directory.only_shop().await.unwrap()
}

fn nobodys_order() -> (OrderId, UserId) {
    (OrderId::parse(1).unwrap(), UserId::parse(1).unwrap())
}

/// The caller hears of a death while the actor still falls; a moment later its mailbox is closed.
async fn is_dead(app: &TestApp, error: Option<MailboxError>) {
    assert!(matches!(error, Some(MailboxError::Closed)), "{error:?}");
    while app.directory.is_alive() {
        tokio::task::yield_now().await;
    }
}

async fn kill_order_actor(app: &TestApp) {
    let (order, user) = nobodys_order();
    let killed = shop(app).await.order.send(CancelOrder { order, user, span: poison() }).await;
    is_dead(app, killed.err()).await;
}

async fn kill_payment_actor(app: &TestApp) {
    let (order, user) = nobodys_order();
    let prepay = Prepay { order, user, client_ip: String::new(), span: poison() };
    let killed = shop(app).await.payment.send(prepay).await;
    is_dead(app, killed.err()).await;
}

/// By a row that no database could hold: less than nothing, less a hold.
async fn kill_goods_actor(app: &TestApp, sku: i64) {
    let goods = shop(app).await.goods.clone();
    let item = CartItem { sku: SkuId::parse(sku).unwrap(), quantity: Quantity::parse(1).unwrap() };
    let cart = Cart::parse(&[item], 1).unwrap();
    let (freight, max) = (shop(app).await.wxapp.freight, Money::from_fen(1_000_000));
    let quote = Quote { cart: cart.clone(), freight, max };
    let quoted = goods.send(quote).await.unwrap().unwrap();
    let admit = Admit { cart, freight, max, expect_pay: None };
    let hold = goods.send(admit.clone()).await.unwrap().unwrap();
    let mut row = quoted.lines[0].offer.as_ref().unwrap().sku.clone();
    (row.stock, row.version) = (i64::MIN, row.version + 1_000);
    goods.send(BatchDone { holds: vec![], skus: vec![row], goods: vec![] }).await.unwrap();
    let killed = goods.send(admit).await;
    is_dead(app, killed.err()).await;
    drop(hold);
}

#[actix_rt::test]
async fn an_order_actor_that_panics_is_replaced_and_the_next_order_works() {
    let app = TestApp::start().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    kill_order_actor(&app).await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.pays(placed.payment()).await;
    assert_eq!(alice.order(placed.order_id()).await["state"], "paid");
    assert!(app.directory.is_alive());
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_payment_actor_that_panics_is_replaced_by_the_notification_that_needs_it() {
    let app = TestApp::start().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    kill_payment_actor(&app).await;
    alice.pays(placed.payment()).await;
    assert_eq!(alice.order(placed.order_id()).await["state"], "paid");
    assert!(app.sandbox.trade(&placed.order_no()).unwrap().payments[0].acknowledged);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_goods_actor_that_panics_is_replaced_and_the_next_order_works() {
    let app = TestApp::start().await;
    let sku = app.a_sku(990, 2).await;
    let alice = app.shopper("alice").await;
    kill_goods_actor(&app, sku).await;
    alice.buys(sku, 2).await.expect(201);
    alice.buys(sku, 1).await.refused(409, "sold_out");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn readiness_replaces_dead_actors_before_a_buyer_meets_them() {
    let app = TestApp::start().await;
    kill_payment_actor(&app).await;
    app.get("/readyz", None).await.expect(200);
    assert!(app.directory.is_alive());
    app.stop().await;
}

#[actix_rt::test]
async fn orders_under_way_outlive_the_order_actor_that_took_them() {
    let gate = Gate::at(Point::BeforeCommit);
    let app = TestApp::builder().probe(gate.clone()).start().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    gate.close();
    let ordering = actix_rt::spawn({
        let (alice, body) = (alice.clone(), alice.order_body(&[(sku, 1)]));
        async move { alice.orders_with("k", body).await }
    });
    gate.reached().await;
    kill_order_actor(&app).await;
    // The successor knows of no order under way: the claim of the key makes them one.
    let again = actix_rt::spawn({
        let (alice, body) = (alice.clone(), alice.order_body(&[(sku, 1)]));
        async move { alice.orders_with("k", body).await }
    });
    gate.open();
    let first = ordering.await.unwrap().expect(201);
    let second = again.await.unwrap().expect(200);
    assert_eq!(first.order_id(), second.order_id());
    assert_eq!(app.stock(sku).await, 4);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_successor_knows_nothing_of_holds_and_the_fold_refuses_what_it_admits_too_much() {
    let gate = Gate::at(Point::BeforeCommit);
    let app = TestApp::builder().probe(gate.clone()).start().await;
    let (sku, other) = (app.a_sku(990, 1).await, app.a_sku(990, 1).await);
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    gate.close();
    let first = actix_rt::spawn({
        let alice = alice.clone();
        async move { alice.buys(sku, 1).await }
    });
    gate.reached().await;
    kill_goods_actor(&app, other).await;
    let second = actix_rt::spawn({
        let bob = bob.clone();
        async move { bob.buys(sku, 1).await }
    });
    while shop(&app).await.goods.send(GetSnapshot).await.unwrap().admitted == 0 {
        tokio::task::yield_now().await;
    }
    gate.open();
    first.await.unwrap().expect(201);
    second.await.unwrap().refused(409, "sold_out");
    let memory = shop(&app).await.goods.send(GetSnapshot).await.unwrap();
    assert_eq!(memory.holds, 0, "{memory:?}");
    assert_eq!(memory.stock, [(SkuId::parse(sku).unwrap(), 0, 0)]);
    app.audit_is_clean().await;
    app.stop().await;
}
