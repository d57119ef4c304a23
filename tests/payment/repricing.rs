//! A change of price before the payment: at WeChat first; nobody pays twice, or the wrong amount.

use buynow::actors::desk::DeskRefusal;
use buynow::domain::money::Money;
use buynow::domain::order::TransitionError;
use buynow::sandbox::FaultKind;
use serde_json::json;

use crate::desk::*;
use crate::life::{order_id, paid, refused};
use crate::support::TestApp;

fn fen(fen: i64) -> Money {
    Money::from_fen(fen)
}

#[actix_rt::test]
async fn a_changed_price_is_what_the_next_attempt_asks_for() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 2).await.expect(201);
    let order = placed.order_id();
    let (desk, clerk) = (app.desk(), app.clerk());
    desk.reprice(&clerk, order_id(order), fen(-50), "老客户").await.unwrap();
    let shown = alice.order(order).await;
    assert_eq!((state_of(&shown), &shown["adjust_fen"]), ("unpaid", &json!(-50)));
    assert_eq!(shown["pay_fen"], 150);
    assert_eq!(calls(&app, CLOSE).count, 1, "closed at WeChat first");
    let payment = alice.asks_to_pay(order).await.expect(200).body;
    assert_eq!(asked(&app, OPEN, "total_fee"), ["200", "150"]);
    alice.pays(&payment).await;
    assert_eq!(state_of(&alice.order(order).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn while_wechat_does_not_close_the_price_stays_and_nobody_starts_to_pay() {
    let hasty = |c: &mut buynow::config::Config| c.engine.cancel_wait_ms = 50;
    let app = TestApp::builder().config(hasty).start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = alice.buys(sku, 1).await.expect(201).order_id();
    broken(&app, CLOSE, FaultKind::Http500);
    let (desk, clerk) = (app.desk(), app.clerk());
    desk.reprice(&clerk, order_id(order), fen(-10), "老客户").await.unwrap();
    let refusal = alice.asks_to_pay(order).await.refused(409, "invalid_state");
    assert_eq!(refusal.body["detail"], json!({"state": "unpaid", "repricing": true}));
    assert_eq!(alice.order(order).await["pay_fen"], 100);
    let again = desk.reprice(&clerk, order_id(order), fen(-20), "老客户").await;
    assert_eq!(again, Err(refused(DeskRefusal::Repricing)));
    app.audit_is_clean().await;

    app.sandbox.clear_faults();
    app.advance(5);
    app.run_reaper().await;
    assert_eq!(alice.order(order).await["pay_fen"], 90);
    let payment = alice.asks_to_pay(order).await.expect(200).body;
    alice.pays(&payment).await;
    assert_eq!(state_of(&alice.order(order).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_at_the_former_price_that_comes_first_has_bought() {
    let hasty = |c: &mut buynow::config::Config| c.engine.cancel_wait_ms = 50;
    let app = TestApp::builder().config(hasty).start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let order = placed.order_id();
    broken(&app, CLOSE, FaultKind::Http500);
    let (desk, clerk) = (app.desk(), app.clerk());
    desk.reprice(&clerk, order_id(order), fen(-10), "老客户").await.unwrap();
    alice.pays(placed.payment()).await;
    let shown = alice.order(order).await;
    assert_eq!((state_of(&shown), &shown["pay_fen"]), ("paid", &json!(100)));
    app.audit_is_clean().await;
    let what = column(&app, "SELECT event FROM order_event ORDER BY id").await;
    assert_eq!(what, ["price_changing", "price_kept", "paid"]);
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_that_expires_while_its_price_waits_is_closed() {
    let hasty = |c: &mut buynow::config::Config| c.engine.cancel_wait_ms = 50;
    let app = TestApp::builder().config(hasty).start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = alice.buys(sku, 1).await.expect(201).order_id();
    broken(&app, CLOSE, FaultKind::Http500);
    app.desk().reprice(&app.clerk(), order_id(order), fen(-10), "老客户").await.unwrap();
    app.advance(901);
    app.run_reaper().await;
    app.sandbox.clear_faults();
    app.advance(600);
    app.run_reaper().await;
    let shown = alice.order(order).await;
    assert_eq!((state_of(&shown), &shown["pay_fen"]), ("closed", &json!(100)));
    assert_eq!(app.stock(sku).await, 9);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_price_is_at_least_a_fen_and_changes_only_before_the_payment() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let unpaid = alice.buys(sku, 1).await.expect(201).order_id();
    let (desk, clerk) = (app.desk(), app.clerk());
    let low = desk.reprice(&clerk, order_id(unpaid), fen(-100), "送").await;
    assert_eq!(low, Err(refused(DeskRefusal::PriceTooLow)));
    let high = desk.reprice(&clerk, order_id(unpaid), fen(10_000_000), "错").await;
    assert!(matches!(high, Err(error) if error.to_string().contains("may not exceed")));
    assert!(desk.reprice(&clerk, order_id(unpaid), fen(-1), " ").await.is_err(), "a reason");
    assert_eq!(calls(&app, CLOSE).count, 0, "a refusal leaves no trace");
    let order = paid(&alice, sku, 1).await;
    let late = desk.reprice(&clerk, order_id(order), fen(-1), "晚").await;
    assert_eq!(late, Err(refused(TransitionError::AlreadyPaid)));
    app.audit_is_clean().await;
    app.stop().await;
}
