//! Several processes share the engine's own work: what another has taken up is left to it until
//! its time is over, and who was overtaken writes nothing. The other process is played by a row.

use buynow::actors::journal::Point;
use buynow::sandbox::{FaultKind, PayAction};
use sea_orm::ConnectionTrait as _;

use crate::desk::*;
use crate::support::gate::Gate;
use crate::support::{Shopper, TestApp};

/// Another process takes a piece of work, whoever has it.
async fn another_takes(app: &TestApp, kind: &str, subject: i64, seconds: i64) {
    let until = app.clock.now().plus_seconds(seconds).as_millis();
    let db = sea_orm::Database::connect(app.database_url()).await.unwrap();
    let sql = format!(
        "INSERT INTO work_claim (kind, subject_id, token, until, tries) \
         VALUES ('{kind}', {subject}, 'another', {until}, 1)"
    );
    db.execute_unprepared(&format!("DELETE FROM work_claim WHERE subject_id = {subject}"))
        .await
        .unwrap();
    db.execute_unprepared(&sql).await.unwrap();
    db.close().await.unwrap();
}

/// Nobody holds any work.
async fn all_is_given_back(app: &TestApp) {
    let sql = "SELECT kind FROM work_claim WHERE token IS NOT NULL AND kind <> 'sweep'";
    assert_eq!(column(app, sql).await, Vec::<String>::new());
}

async fn ends(app: TestApp) {
    all_is_given_back(&app).await;
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_closing_that_another_process_has_is_left_to_it_until_its_time_is_over() {
    let app = TestApp::builder().config(|c| c.engine.cancel_wait_ms = 50).start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    another_takes(&app, "close", order, 120).await;
    assert_eq!(shopper.cancels(order).await.expect(200).body["closing"], true);
    app.advance(119);
    app.run_reaper().await;
    assert_eq!(calls(&app, CLOSE).count, 0);
    assert_eq!(state_of(&shopper.order(order).await), "unpaid");
    app.advance(1);
    app.run_reaper().await;
    assert_eq!(calls(&app, CLOSE).count, 1);
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    ends(app).await;
}

/// A closing whose second query is held at WeChat.
async fn closing_is_held(app: &TestApp, shopper: &Shopper, order: i64) {
    fault(app, CLOSE, FaultKind::DelayAnswer);
    shopper.cancels(order).await.expect(200);
    app.sandbox.wait_for_held(CLOSE, 1).await.unwrap();
}

#[actix_rt::test]
async fn a_closing_that_was_overtaken_is_not_written() {
    let app = TestApp::builder().config(|c| c.engine.cancel_wait_ms = 50).start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    closing_is_held(&app, &shopper, order).await;
    another_takes(&app, "close", order, 60).await;
    app.sandbox.release(CLOSE);
    // Joins the closing under way, and ends with it.
    shopper.cancels(order).await.expect(200);
    app.run_reaper().await;
    assert_eq!(calls(&app, QUERY).count, 2);
    assert_eq!(state_of(&shopper.order(order).await), "unpaid");
    app.advance(60);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    assert_eq!(app.stock(sku).await, 3);
    ends(app).await;
}

#[actix_rt::test]
async fn who_stood_still_past_his_time_calls_nobody_and_writes_nothing() {
    let app = TestApp::builder().config(|c| c.engine.cancel_wait_ms = 50).start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    closing_is_held(&app, &shopper, order).await;
    app.advance(120);
    another_takes(&app, "close", order, 60).await;
    app.sandbox.release(CLOSE);
    // Joins the closing under way, and ends with it.
    shopper.cancels(order).await.expect(200);
    assert_eq!(calls(&app, QUERY).count, 1, "the second query was not made any more");
    app.advance(60);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    ends(app).await;
}

#[actix_rt::test]
async fn a_payment_is_written_whoever_has_the_work() {
    let app = TestApp::builder().config(|c| c.engine.cancel_wait_ms = 50).start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    silent(&app);
    shopper.pays(placed.payment()).await;
    fault(&app, QUERY, FaultKind::DelayAnswer);
    shopper.cancels(placed.order_id()).await.expect(200);
    app.sandbox.wait_for_held(QUERY, 1).await.unwrap();
    another_takes(&app, "close", placed.order_id(), 60).await;
    app.sandbox.release(QUERY);
    shopper.cancels(placed.order_id()).await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

/// A closed order whose money came too late.
async fn owes_a_refund(app: &TestApp) -> (Shopper, i64) {
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.acts(placed.payment(), PayAction::Late).await;
    shopper.cancels(placed.order_id()).await.expect(200);
    app.advance(3);
    app.sandbox.run_due().await.unwrap();
    (shopper, placed.order_id())
}

#[actix_rt::test]
async fn a_refund_that_another_process_has_is_left_to_it_until_its_time_is_over() {
    let app = TestApp::start().await;
    let (shopper, order) = owes_a_refund(&app).await;
    another_takes(&app, "refund", order, 60).await;
    app.run_reaper().await;
    assert_eq!(calls(&app, REFUND).count, 0);
    app.advance(60);
    app.finish_refunds().await;
    assert_eq!(calls(&app, REFUND).count, 1);
    assert_eq!(shopper.order(order).await["refund"]["state"], "full");
    ends(app).await;
}

#[actix_rt::test]
async fn a_refund_that_was_overtaken_is_written_by_the_next_and_moves_money_once() {
    let app = TestApp::start().await;
    let (shopper, order) = owes_a_refund(&app).await;
    fault(&app, REFUND, FaultKind::DelayAnswer);
    let reaper = app.reaper();
    let run = actix_rt::spawn(async move { reaper.send(buynow::actors::reaper::RunReaper).await });
    app.sandbox.wait_for_held(REFUND, 1).await.unwrap();
    another_takes(&app, "refund", order, 60).await;
    app.sandbox.release(REFUND);
    run.await.unwrap().unwrap();
    let state = column(&app, "SELECT state FROM refund").await;
    assert_eq!(state, ["requested"], "the answer was not ours to write any more");
    app.advance(60);
    app.finish_refunds().await;
    assert_eq!(calls(&app, REFUND).count, 1);
    assert_eq!(shopper.order(order).await["refund"]["state"], "full");
    ends(app).await;
}

#[actix_rt::test]
async fn an_attempt_that_another_process_asks_about_is_asked_about_when_that_one_has_died() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    silent(&app);
    shopper.pays(placed.payment()).await;
    app.advance(60);
    let attempt = column(&app, "SELECT id FROM payment_attempt").await[0].parse().unwrap();
    another_takes(&app, "ask", attempt, 30).await;
    app.run_reaper().await;
    assert_eq!(calls(&app, QUERY).count, 0);
    app.advance(30);
    app.run_reaper().await;
    assert_eq!(calls(&app, QUERY).count, 1);
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.run_reaper().await;
    assert_eq!(calls(&app, QUERY).count, 1);
    app.audit_is_clean().await;
    app.stop().await;
}

/// Another process takes the message over.
async fn another_sends(app: &TestApp) {
    let until = app.clock.now().plus_seconds(60).as_millis();
    let sql = format!("UPDATE notification SET claim_token = 'another', claim_until = {until}");
    let db = sea_orm::Database::connect(app.database_url()).await.unwrap();
    db.execute_unprepared(&sql).await.unwrap();
    db.close().await.unwrap();
}

#[actix_rt::test]
async fn a_message_whose_time_is_over_before_it_left_is_not_sent_and_keeps_its_consent() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    shopper.agree_to_messages().await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    let consents = "SELECT remaining FROM message_grant ORDER BY template_id";
    let before = column(&app, consents).await;
    fault(&app, TOKEN, FaultKind::Delay);
    let notifier = app.notifier();
    let run =
        actix_rt::spawn(async move { notifier.send(buynow::actors::notifier::RunNotifier).await });
    app.sandbox.wait_for_held(TOKEN, 1).await.unwrap();
    app.advance(120);
    another_sends(&app).await;
    app.sandbox.release(TOKEN);
    run.await.unwrap().unwrap();
    assert_eq!(calls(&app, SEND).count, 0);
    assert_eq!(column(&app, consents).await, before);
    assert_eq!(column(&app, "SELECT claim_token FROM notification").await, ["another"]);
    // The other one has died as well.
    app.advance(61);
    app.run_notifier().await;
    assert_eq!(calls(&app, SEND).count, 1);
    assert_eq!(column(&app, "SELECT state FROM notification").await, ["sent"]);
    ends(app).await;
}

#[actix_rt::test]
async fn messages_that_were_claimed_and_not_tried_in_time_are_given_back_untried() {
    let gate = Gate::at(Point::BeforeCommit);
    let app = TestApp::builder().probe(gate.clone()).start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    shopper.agree_to_messages().await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    gate.close();
    let notifier = app.notifier();
    let run =
        actix_rt::spawn(async move { notifier.send(buynow::actors::notifier::RunNotifier).await });
    // The claim itself is on its way to the disk when the process stands still.
    gate.reached().await;
    app.advance(121);
    gate.open();
    run.await.unwrap().unwrap();
    // Else it would count as one that may have been delivered.
    let sql = "SELECT state || tries || COALESCE(reason, '') FROM notification";
    assert_eq!(column(&app, sql).await, ["sent1"]);
    assert_eq!(calls(&app, SEND).count, 1);
    ends(app).await;
}
