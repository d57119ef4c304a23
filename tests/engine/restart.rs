//! The process ends at the worst moment and is started again on what is left; actors die alone.
//!
//! WeChat lives apart and goes on: what it was asked is done, whoever is there to hear the answer.

use std::sync::Arc;

use buynow::actors::journal::Point;
use buynow::actors::notifier::RunNotifier;
use buynow::actors::reaper::RunReaper;
use buynow::config::Config;
use buynow::sandbox::{Fault, FaultKind, PayAction, PayByNumber};
use serde_json::json;

use crate::support::gate::Gate;
use crate::support::{Shopper, TestApp};

const ORDER: &str = "/pay/unifiedorder";
const CLOSE: &str = "/pay/closeorder";
const REFUND: &str = "/secapi/pay/refund";
const TELL: &str = "/cgi-bin/message/subscribe/send";

async fn a_shop() -> TestApp {
    TestApp::builder().with_wechat_apart().start().await
}

async fn a_shop_behind(gate: &Arc<Gate>) -> TestApp {
    TestApp::builder().with_wechat_apart().probe(gate.clone()).start().await
}

/// Starts a call that the crash will end; nobody asks what becomes of it.
fn meanwhile(call: impl Future<Output = ()> + 'static) {
    drop(actix_rt::spawn(call));
}

/// Orders one piece under a key, from a shop that will die over it.
fn orders_meanwhile(buyer: &Shopper, key: &'static str, sku: i64) {
    let (buyer, body) = (buyer.clone(), buyer.order_body(&[(sku, 1)]));
    meanwhile(async move { drop(buyer.tries_to_order(key, body).await) });
}

/// Where the reaper stops because WeChat is held, until the crash.
async fn reaps_until_held(app: &TestApp, path: &str, kind: FaultKind) {
    app.sandbox.fault(Fault::next(path, kind)).unwrap();
    let reaper = app.reaper();
    meanwhile(async move { assert!(reaper.send(RunReaper).await.is_err()) });
    app.sandbox.wait_for_held(path, 1).await.unwrap();
}

async fn count_of_orders(buyer: &Shopper) -> usize {
    let orders = buyer.get("/api/v1/orders").await.expect(200);
    orders.body["items"].as_array().unwrap().len()
}

#[actix_rt::test]
async fn the_buyer_of_the_last_piece_who_lost_the_answer_in_a_crash_gets_it_by_his_key() {
    let gate = Gate::at(Point::AfterCommit);
    let app = a_shop_behind(&gate).await;
    let sku = app.a_sku(990, 1).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    gate.close();
    orders_meanwhile(&alice, "last", sku);
    gate.reached().await;
    let app = app.crashes_and_restarts().await;
    bob.buys(sku, 1).await.refused(409, "sold_out");
    let found = alice.orders_with("last", alice.order_body(&[(sku, 1)])).await.expect(200);
    alice.pays(found.payment()).await;
    assert_eq!(alice.order(found.order_id()).await["state"], "paid");
    assert_eq!(count_of_orders(&alice).await, 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_that_was_not_committed_before_a_crash_has_never_been() {
    let gate = Gate::at(Point::BeforeCommit);
    let app = a_shop_behind(&gate).await;
    let sku = app.a_sku(990, 1).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    gate.close();
    orders_meanwhile(&alice, "lost", sku);
    gate.reached().await;
    let app = app.crashes_and_restarts().await;
    assert_eq!(app.stock(sku).await, 1);
    bob.buys(sku, 1).await.expect(201);
    alice.orders_with("lost", alice.order_body(&[(sku, 1)])).await.refused(409, "sold_out");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_payment_whose_acknowledgement_died_with_the_process_counts_once_and_is_told_once() {
    let gate = Gate::at(Point::AfterCommit);
    let app = a_shop_behind(&gate).await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let placed = alice.buys(sku, 1).await.expect(201);
    gate.close();
    assert!(alice.pays_unheard(placed.payment()).reason.is_none());
    gate.reached().await;
    let app = app.crashes_and_restarts().await;
    assert_eq!(alice.order(placed.order_id()).await["state"], "paid");
    app.advance(15);
    app.sandbox.run_due().await.unwrap();
    let trade = app.sandbox.trade(&placed.order_no()).unwrap();
    assert!(trade.payments[0].acknowledged && trade.payments[0].told == 2, "{trade:?}");
    app.run_notifier().await;
    app.run_notifier().await;
    assert_eq!(app.sandbox.messages(None, Some("alice")).len(), 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_message_whose_answer_died_with_the_process_is_not_shown_twice() {
    let app = a_shop().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.pays(placed.payment()).await;
    app.sandbox.fault(Fault::next(TELL, FaultKind::DelayAnswer)).unwrap();
    let notifier = app.notifier();
    meanwhile(async move { assert!(notifier.send(RunNotifier).await.is_err()) });
    app.sandbox.wait_for_held(TELL, 1).await.unwrap();
    let app = app.crashes_and_restarts().await;
    app.sandbox.release(TELL);
    app.sandbox.wait_for_calls_done(TELL, 1).await.unwrap();
    app.run_notifier().await;
    assert_eq!(app.sandbox.calls(TELL).count, 1, "the claim has not run out yet");
    app.advance(600);
    app.run_notifier().await;
    assert_eq!(app.sandbox.calls(TELL).count, 2, "one more try");
    app.advance(86_400);
    app.run_notifier().await;
    assert_eq!(app.sandbox.calls(TELL).count, 2);
    assert_eq!(app.sandbox.messages(None, Some("alice")).len(), 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_closing_that_was_cut_off_before_wechat_heard_of_it_goes_on() {
    closing_goes_on(FaultKind::Delay).await;
}

#[actix_rt::test]
async fn a_closing_whose_answer_died_with_the_process_goes_on() {
    closing_goes_on(FaultKind::DelayAnswer).await;
}

/// What the dead process had taken up is free by then.
const CLAIM_SECONDS: u64 = 121;

async fn closing_goes_on(kind: FaultKind) {
    let app = a_shop().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 2).await.expect(201);
    app.advance(901);
    reaps_until_held(&app, CLOSE, kind).await;
    let app = app.crashes_and_restarts().await;
    assert_eq!(alice.order(placed.order_id()).await["closing"], true);
    assert_eq!(app.stock(sku).await, 3, "held until WeChat has confirmed");
    app.advance(CLAIM_SECONDS);
    app.run_reaper().await;
    app.sandbox.release(CLOSE);
    let order = alice.order(placed.order_id()).await;
    assert_eq!((&order["state"], &order["close_reason"]), (&json!("closed"), &json!("expired")));
    assert_eq!(app.stock(sku).await, 5);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_that_comes_after_a_closing_was_cut_off_is_settled() {
    let app = a_shop().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 2).await.expect(201);
    app.advance(901);
    reaps_until_held(&app, CLOSE, FaultKind::Delay).await;
    let app = app.crashes_and_restarts().await;
    let money = PayByNumber { out_trade_no: placed.order_no(), ..PayByNumber::default() };
    app.sandbox.pay_by_number(&money).unwrap();
    app.advance(CLAIM_SECONDS);
    app.run_reaper().await;
    assert_eq!(alice.order(placed.order_id()).await["state"], "paid");
    assert_eq!(app.stock(sku).await, 3);
    app.sandbox.release(CLOSE);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_refund_whose_answer_died_with_the_process_is_asked_for_under_the_same_number() {
    let app = a_shop().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let paid = alice.acts(placed.payment(), PayAction::Twice).await;
    assert_eq!(paid.transaction_ids.len(), 2);
    reaps_until_held(&app, REFUND, FaultKind::DelayAnswer).await;
    let app = app.crashes_and_restarts().await;
    app.sandbox.release(REFUND);
    app.advance(61);
    app.finish_refunds().await;
    let trade = app.sandbox.trade(&placed.order_no()).unwrap();
    let refunds: Vec<_> = trade.payments.iter().flat_map(|paid| &paid.refunds).collect();
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    let number = format!("r{}-1", refunds[0].transaction_id);
    assert_eq!(refunds[0].out_refund_no, number);
    for call in app.sandbox.calls(REFUND).recent {
        assert_eq!(call.request["out_refund_no"], json!(number), "{call:?}");
    }
    assert_eq!(alice.order(placed.order_id()).await["state"], "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_attempt_that_died_before_wechat_heard_of_it_is_opened_under_the_same_number() {
    opening_goes_on(FaultKind::Delay).await;
}

#[actix_rt::test]
async fn an_attempt_whose_prepay_id_died_with_the_process_is_opened_under_the_same_number() {
    opening_goes_on(FaultKind::DelayAnswer).await;
}

async fn opening_goes_on(kind: FaultKind) {
    let app = a_shop().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    app.sandbox.fault(Fault::next(ORDER, kind)).unwrap();
    orders_meanwhile(&alice, "k", sku);
    app.sandbox.wait_for_held(ORDER, 1).await.unwrap();
    let app = app.crashes_and_restarts().await;
    let found = alice.orders_with("k", alice.order_body(&[(sku, 1)])).await.expect(200);
    app.sandbox.release(ORDER);
    alice.pays(found.payment()).await;
    assert_eq!(alice.order(found.order_id()).await["state"], "paid");
    let calls = app.sandbox.calls(ORDER).recent;
    let parameters = |n: usize| {
        let mut request = calls[n].request.clone();
        let fields = request.as_object_mut().unwrap();
        fields.retain(|name, _| name != "nonce_str" && name != "sign");
        request
    };
    assert_eq!((calls.len(), parameters(0)), (2, parameters(1)));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_attempt_found_after_a_crash_may_be_on_its_way_and_holds_its_goods_until_it_cannot() {
    let app = a_shop().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    app.sandbox.fault(Fault::next(ORDER, FaultKind::Delay)).unwrap();
    orders_meanwhile(&alice, "k", sku);
    app.sandbox.wait_for_held(ORDER, 1).await.unwrap();
    let app = app.crashes_and_restarts().await;
    let orders = alice.get("/api/v1/orders").await.expect(200);
    let order = orders.body["items"][0]["id"].as_i64().unwrap();
    let cancelled = alice.cancels(order).await.expect(200);
    assert_eq!((&cancelled.body["state"], app.stock(sku).await), (&json!("unpaid"), 4));
    // It arrives after all: WeChat opens a number that nobody waits for any more.
    app.sandbox.release(ORDER);
    app.sandbox.wait_for_calls_done(ORDER, 1).await.unwrap();
    app.advance(60);
    app.run_reaper().await;
    assert_eq!(alice.order(order).await["state"], "closed");
    let number = orders.body["items"][0]["order_no"].as_str().unwrap();
    assert_eq!(app.sandbox.trade(number).unwrap().state, "CLOSED");
    assert_eq!(app.stock(sku).await, 5);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_database_that_gives_no_ids_after_a_start_refuses_orders_in_time() {
    let app = a_shop().await;
    let sku = app.a_sku(990, 5).await;
    let alice = app.shopper("alice").await;
    let gate = Gate::at(Point::BeforeCommit);
    gate.close();
    let patient = |config: &mut Config| config.engine.commit_wait_ms = 50;
    let app = app.crashes().await.probe(gate.clone()).config(patient).start().await;
    gate.reached().await;
    let (key, body) = ("k", alice.order_body(&[(sku, 1)]));
    alice.orders_with(key, body.clone()).await.refused(503, "unavailable");
    gate.open();
    // So short a wait may run out on a busy machine, now too.
    let patiently = async || loop {
        let reply = alice.orders_with(key, body.clone()).await;
        if reply.status != 503 {
            break reply;
        }
    };
    let first = patiently().await;
    assert_eq!(patiently().await.expect(200).order_id(), first.order_id());
    app.audit_is_clean().await;
    app.stop().await;
}
