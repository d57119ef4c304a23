//! Cancel and expiry: an intention first, WeChat's word second, the stock last.

use buynow::sandbox::{Fault, FaultKind, PayAction, PayByNumber, PayFailure, SettingsChange};
use serde_json::{Value, json};

use crate::desk::*;
use crate::support::{Shopper, TestApp};

/// A shop whose buyers are not kept waiting for WeChat.
async fn hasty_app() -> TestApp {
    TestApp::builder().config(|c| c.engine.cancel_wait_ms = 50).start().await
}

async fn only_order(shopper: &Shopper) -> Value {
    let orders = shopper.get("/api/v1/orders").await.expect(200);
    orders.body["items"][0].clone()
}

#[actix_rt::test]
async fn a_cancelled_order_is_closed_at_wechat_before_its_stock_returns() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 2).await.expect(201);
    let closed = shopper.cancels(placed.order_id()).await.expect(200).body;
    assert_eq!((state_of(&closed), &closed["close_reason"]), ("closed", &json!("buyer")));
    assert_eq!(app.sandbox.trade(&placed.order_no()).unwrap().state, "CLOSED");
    assert_eq!(calls(&app, QUERY).count, 2);
    assert_eq!(app.stock(sku).await, 3);
    let sheet = shopper.pays(placed.payment()).await;
    assert_eq!(sheet.reason, Some(PayFailure::OrderClosed));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_without_any_attempt_closes_without_wechat() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let mut body = shopper.order_body(&[(sku, 1)]);
    body["prepay"] = json!(false);
    let placed = shopper.orders_with("k", body).await.expect(201);
    let closed = shopper.cancels(placed.order_id()).await.expect(200).body;
    assert_eq!(state_of(&closed), "closed");
    assert_eq!(calls(&app, QUERY).count + calls(&app, CLOSE).count, 0);
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn closing_begins_to_the_second_and_ends_with_wechats_word() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    app.advance(899);
    assert_eq!(app.run_reaper().await.expired, 0);
    app.advance(1);
    assert_eq!(app.run_reaper().await.expired, 1);
    let closed = shopper.order(placed.order_id()).await;
    assert_eq!((state_of(&closed), &closed["close_reason"]), ("closed", &json!("expired")));
    assert_eq!(app.sandbox.trade(&placed.order_no()).unwrap().state, "CLOSED");
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn while_wechat_is_away_the_stock_stays_held_and_nobody_may_pay() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    for path in [QUERY, CLOSE] {
        broken(&app, path, FaultKind::DropBefore);
    }
    let closing = shopper.cancels(order).await.expect(200).body;
    assert_eq!((state_of(&closing), &closing["closing"]), ("unpaid", &json!(true)));
    let refused = shopper.asks_to_pay(order).await.refused(409, "invalid_state");
    assert_eq!(refused.body["detail"]["closing"], json!(true));
    assert_eq!(app.stock(sku).await, 2);

    app.sandbox.clear_faults();
    app.advance(5);
    assert_eq!(app.run_reaper().await.closings, 1);
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_cancel_whose_close_answer_is_lost_is_asked_for_again() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    fault(&app, CLOSE, FaultKind::DropAfter);
    assert_eq!(shopper.cancels(order).await.expect(200).body["closing"], json!(true));
    app.advance(5);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn cancelling_twice_is_one_closing() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    broken(&app, QUERY, FaultKind::Http500);
    shopper.cancels(order).await.expect(200);
    assert_eq!(shopper.cancels(order).await.expect(200).body["closing"], json!(true));
    app.sandbox.clear_faults();
    app.advance(3_600);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.cancels(order).await.expect(200).body), "closed");
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_young_number_is_closed_later_and_rarely_asked_for_until_then() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let young = SettingsChange { close_min_age_seconds: Some(300), ..Default::default() };
    app.sandbox.settings(young);
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    assert_eq!(shopper.cancels(order).await.expect(200).body["closing"], json!(true));
    for _ in 0..299 {
        app.advance(1);
        app.run_reaper().await;
    }
    assert_eq!(app.stock(sku).await, 2);
    let asked = calls(&app, CLOSE).count;
    assert!((3..=8).contains(&asked), "closeorder was called {asked} times");
    app.advance(300);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_cancel_while_unifiedorder_is_in_flight_waits_for_its_end() {
    for kind in [FaultKind::Delay, FaultKind::DelayAnswer] {
        let app = hasty_app().await;
        let sku = app.a_sku(100, 3).await;
        let shopper = app.shopper("alice").await;
        fault(&app, OPEN, kind);
        let buying = {
            let shopper = shopper.clone();
            actix_rt::spawn(async move { shopper.buys(sku, 1).await })
        };
        app.sandbox.wait_for_held(OPEN, 1).await.unwrap();
        let order = only_order(&shopper).await["id"].as_i64().unwrap();
        let closing = shopper.cancels(order).await.expect(200).body;
        assert_eq!(closing["closing"], json!(true), "{kind:?}");
        assert_eq!(calls(&app, CLOSE).count, 0, "{kind:?}");
        assert_eq!(app.stock(sku).await, 2);

        app.sandbox.release(OPEN);
        let placed = buying.await.unwrap().expect(201);
        assert_eq!(placed.body["payment"], json!(null), "{kind:?}");
        app.run_reaper().await;
        let number = latest_number(&app);
        assert_eq!(app.sandbox.trade(&number).unwrap().state, "CLOSED", "{kind:?}");
        assert_eq!(state_of(&shopper.order(order).await), "closed", "{kind:?}");
        assert_eq!(app.stock(sku).await, 3);
        app.audit_is_clean().await;
        app.stop().await;
    }
}

#[actix_rt::test]
async fn an_unknown_number_is_closed_only_when_nothing_can_be_in_flight() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropBefore).await;
    let closing = shopper.cancels(order).await.expect(200).body;
    assert_eq!(closing["closing"], json!(true));
    assert_eq!(app.stock(sku).await, 2);
    app.advance(60);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    assert_eq!(calls(&app, CLOSE).count, 0);
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn who_paid_before_he_cancelled_has_bought() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    silent(&app);
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    let order = shopper.cancels(placed.order_id()).await.expect(200).body;
    assert_eq!(state_of(&order), "paid");
    assert_eq!(calls(&app, CLOSE).count, 0);
    assert_eq!(app.stock(sku).await, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn who_pays_between_query_and_close_has_bought() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    silent(&app);
    let placed = shopper.buys(sku, 1).await.expect(201);
    fault(&app, QUERY, FaultKind::DelayAnswer);
    let cancelling = {
        let (shopper, order) = (shopper.clone(), placed.order_id());
        actix_rt::spawn(async move { shopper.cancels(order).await })
    };
    app.sandbox.wait_for_held(QUERY, 1).await.unwrap();
    shopper.pays(placed.payment()).await;
    app.sandbox.release(QUERY);
    let order = cancelling.await.unwrap().expect(200).body;
    assert_eq!(state_of(&order), "paid");
    assert_eq!(calls(&app, CLOSE).count, 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_notification_wins_over_a_closing_that_wechat_has_not_confirmed() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    broken(&app, CLOSE, FaultKind::Http500);
    assert_eq!(shopper.cancels(placed.order_id()).await.body["closing"], json!(true));
    shopper.pays(placed.payment()).await;
    let order = shopper.order(placed.order_id()).await;
    assert_eq!((state_of(&order), &order["closing"]), ("paid", &json!(false)));
    assert_eq!(app.stock(sku).await, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_of_a_wrong_amount_keeps_the_order_closing_and_asks_rarely() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    silent(&app);
    let placed = shopper.buys(sku, 1).await.expect(201);
    let number = placed.order_no();
    let wrong = PayByNumber { out_trade_no: number, amount_fen: Some(99), ..Default::default() };
    app.sandbox.pay_by_number(&wrong).unwrap();
    let closing = shopper.cancels(placed.order_id()).await.expect(200).body;
    assert_eq!((state_of(&closing), &closing["closing"]), ("unpaid", &json!(true)));
    for _ in 0..60 {
        app.advance(1);
        app.run_reaper().await;
    }
    let asked = calls(&app, QUERY).count;
    assert!(asked <= 6, "orderquery was called {asked} times within a minute");
    assert_eq!(incidents(&app).await, 1);
    assert_eq!(app.stock(sku).await, 2);
    app.stop().await;
}

#[actix_rt::test]
async fn a_payment_stops_the_other_closing_attempt_and_the_reaper_closes_it() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
    let first = latest_number(&app);
    app.advance(601);
    shopper.asks_to_pay(order).await.expect(200);
    let second = latest_number(&app);
    // The money of the first lands although WeChat has closed it; the second must not stay open.
    money_for(&app, &first).await;
    assert_eq!(state_of(&shopper.order(order).await), "paid");
    app.run_reaper().await;
    assert_eq!(app.sandbox.trade(&second).unwrap().state, "CLOSED");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn whatever_closeorder_says_only_the_query_after_it_counts() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let shopper = app.shopper("alice").await;
    for code in ["ORDERCLOSED", "ORDERPAID", "SYSTEMERROR", "ORDERNOTEXIST", "SIGNERROR"] {
        let order = shopper.buys(sku, 1).await.expect(201).order_id();
        let number = latest_number(&app);
        // It says so and has not closed.
        app.sandbox.fault(Fault::refuse(CLOSE, code)).unwrap();
        let closing = shopper.cancels(order).await.expect(200).body;
        assert_eq!(closing["closing"], json!(true), "{code}");
        assert_eq!(app.sandbox.trade(&number).unwrap().state, "NOTPAY", "{code}");
        assert_eq!(app.stock(sku).await, 8, "{code}");
        app.advance(5);
        app.run_reaper().await;
        assert_eq!(app.sandbox.trade(&number).unwrap().state, "CLOSED", "{code}");
        assert_eq!(app.stock(sku).await, 9, "{code}");
        // It says so and has closed.
        let order = shopper.buys(sku, 1).await.expect(201).order_id();
        app.sandbox.fault(Fault::refuse(CLOSE, code).with_effect()).unwrap();
        shopper.cancels(order).await.expect(200);
        app.advance(5);
        app.run_reaper().await;
        assert_eq!(state_of(&shopper.order(order).await), "closed", "{code}");
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_payment_that_the_bank_refused_is_closed_like_one_that_never_was() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.acts(placed.payment(), PayAction::Fail).await;
    assert_eq!(app.sandbox.trade(&placed.order_no()).unwrap().state, "PAYERROR");
    assert_eq!(state_of(&shopper.cancels(placed.order_id()).await.expect(200).body), "closed");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_buyer_who_gives_the_sheet_up_can_pay_later() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.acts(placed.payment(), PayAction::Cancel).await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "unpaid");
    let again = shopper.asks_to_pay(placed.order_id()).await.expect(200).body;
    shopper.pays(&again).await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn many_orders_expire_in_one_run() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 50).await;
    for n in 0..20 {
        app.shopper(&format!("buyer-{n}")).await.buys(sku, 1).await.expect(201);
    }
    app.advance(900);
    let reaped = app.run_reaper().await;
    assert_eq!((reaped.expired, reaped.closings), (20, 20));
    assert_eq!(app.stock(sku).await, 50);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_number_with_a_prepay_id_is_closed_at_wechat_though_a_query_does_not_find_it() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropBefore).await;
    app.advance(300);
    shopper.asks_to_pay(order).await.expect(200);
    app.sandbox.fault(Fault::refuse(QUERY, "ORDERNOTEXIST")).unwrap();
    let closed = shopper.cancels(order).await.expect(200).body;
    assert_eq!(state_of(&closed), "closed");
    assert_eq!(app.sandbox.trade(&latest_number(&app)).unwrap().state, "CLOSED");
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_number_with_a_prepay_id_that_stays_unknown_keeps_its_stock_until_it_cannot_be_paid() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    for path in [QUERY, CLOSE] {
        app.sandbox.fault(Fault::refuse(path, "ORDERNOTEXIST").times(1_000)).unwrap();
    }
    let closing = shopper.cancels(order).await.expect(200).body;
    assert_eq!((state_of(&closing), &closing["closing"]), ("unpaid", &json!(true)));
    app.advance(900 + 599);
    app.run_reaper().await;
    assert_eq!((state_of(&shopper.order(order).await), app.stock(sku).await), ("unpaid", 2));
    app.advance(600);
    app.run_reaper().await;
    assert_eq!((state_of(&shopper.order(order).await), app.stock(sku).await), ("closed", 3));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_unanswered_number_may_appear_for_as_long_as_wechat_may_take() {
    let slow = |c: &mut buynow::config::Config| c.wechat.call_timeout_ms = 60_000;
    let app = TestApp::builder().config(slow).start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropBefore).await;
    app.advance(100);
    let closing = shopper.cancels(order).await.expect(200).body;
    assert_eq!((state_of(&closing), &closing["closing"]), ("unpaid", &json!(true)));
    app.advance(60);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_buyer_who_cancels_again_and_again_asks_wechat_once_and_does_not_put_the_closing_off() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    app.sandbox.fault(Fault::refuse(CLOSE, "SYSTEMERROR").times(1_000)).unwrap();
    for _ in 0..8 {
        assert_eq!(shopper.cancels(order).await.expect(200).body["closing"], json!(true));
    }
    assert_eq!((calls(&app, QUERY).count, calls(&app, CLOSE).count), (1, 1));
    app.sandbox.clear_faults();
    app.advance(5);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(order).await), "closed");
    app.audit_is_clean().await;
    app.stop().await;
}
