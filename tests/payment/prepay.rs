//! Payment parameters: when WeChat fails, when they are asked for again, and when a number is
//! spent.

use buynow::sandbox::{Fault, FaultKind, PayResult, SettingsChange};
use serde_json::json;

use crate::desk::*;
use crate::support::TestApp;

/// An order that lives for three hours, so that its prepay_id ends before it.
async fn patient_app() -> TestApp {
    TestApp::builder().config(|c| c.engine.order_expire_seconds = 3 * 3600).start().await
}

#[actix_rt::test]
async fn an_order_stands_when_prepay_fails_and_is_paid_later() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    fault(&app, OPEN, FaultKind::Http500);
    let placed = shopper.buys(sku, 1).await.expect(201);
    assert_eq!(placed.body["payment"], json!(null));
    assert_eq!(placed.body["payment_error"]["code"], json!("wechat_error"));
    assert_eq!(app.stock(sku).await, 2);

    let payment = shopper.asks_to_pay(placed.order_id()).await.expect(200).body;
    shopper.pays(&payment).await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn asking_again_is_refused_while_wechat_refuses() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    broken(&app, OPEN, FaultKind::Garbage);
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    shopper.asks_to_pay(order).await.refused(502, "wechat_error");
    assert_eq!(state_of(&shopper.order(order).await), "unpaid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_number_refused_for_good_is_followed_by_another() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    app.sandbox.fault(Fault::refuse(OPEN, "NOAUTH")).unwrap();
    let placed = shopper.buys(sku, 1).await.expect(201);
    assert_eq!(placed.body["payment"], json!(null));
    let payment = shopper.asks_to_pay(placed.order_id()).await.expect(200).body;
    let second = latest_number(&app);
    assert_ne!(second, placed.order_no());
    assert!(second.starts_with(&placed.order_no()), "{second}");
    shopper.pays(&payment).await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    let by_no = shopper.get(&format!("/api/v1/orders/by-no/{second}")).await.expect(200);
    assert_eq!(by_no.body["id"], json!(placed.order_id()));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_stored_prepay_id_is_signed_again_without_asking_wechat() {
    let app = patient_app().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    app.advance(110 * 60 - 1);
    let again = shopper.asks_to_pay(placed.order_id()).await.expect(200).body;
    assert_eq!(again["package"], placed.payment()["package"]);
    assert_ne!(again["nonceStr"], placed.payment()["nonceStr"]);
    assert_ne!(again["timeStamp"], placed.payment()["timeStamp"]);
    assert_eq!(calls(&app, OPEN).count, 1);
    assert_eq!(shopper.pays(&again).await.result, PayResult::Ok);
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_old_prepay_id_is_renewed_with_the_same_words() {
    let app = patient_app().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    app.advance(110 * 60);
    let again = shopper.asks_to_pay(placed.order_id()).await.expect(200).body;
    assert_ne!(again["package"], placed.payment()["package"]);
    let said = requests(&app, OPEN);
    assert_eq!(said.len(), 2);
    assert_eq!(said[0], said[1]);
    assert_eq!(shopper.pays(&again).await.result, PayResult::Ok);
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn after_a_lost_answer_unifiedorder_is_repeated_with_the_same_words() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    for kind in [FaultKind::DropAfter, FaultKind::BadSign, FaultKind::DropBefore] {
        let before = calls(&app, OPEN).count as usize;
        let order = buys_without_answer(&app, &shopper, sku, kind).await;
        app.advance(30);
        let payment = shopper.asks_to_pay(order).await.expect(200).body;
        let said = requests(&app, OPEN).split_off(before);
        assert_eq!(said.len(), 2, "{kind:?}");
        assert_eq!(said[0], said[1], "{kind:?}");
        shopper.pays(&payment).await;
        assert_eq!(state_of(&shopper.order(order).await), "paid", "{kind:?}");
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn systemerror_is_an_unknown_outcome_and_repeated_under_the_same_number() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    app.sandbox.fault(Fault::refuse(OPEN, "SYSTEMERROR").with_effect()).unwrap();
    let placed = shopper.buys(sku, 1).await.expect(201);
    assert_eq!(placed.body["payment"], json!(null));
    shopper.asks_to_pay(placed.order_id()).await.expect(200);
    assert_eq!(latest_number(&app), placed.order_no());
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn two_who_ask_at_once_share_one_unifiedorder() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropBefore).await;
    fault(&app, OPEN, FaultKind::DelayAnswer);
    let ask = || {
        let shopper = shopper.clone();
        actix_rt::spawn(async move { shopper.asks_to_pay(order).await })
    };
    let (one, two) = (ask(), ask());
    app.sandbox.wait_for_held(OPEN, 1).await.unwrap();
    // Who joins must own the order.
    let stranger = app.shopper("mallory").await;
    stranger.asks_to_pay(order).await.refused(404, "not_found");
    app.sandbox.release(OPEN);
    let (one, two) = (one.await.unwrap().expect(200), two.await.unwrap().expect(200));
    assert_eq!(one.body["package"], two.body["package"]);
    assert_eq!(calls(&app, OPEN).count, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

/// An order of 15 minutes, whose prepay_id is unknown in the last five of them.
const IN_THE_MARGIN: u64 = 601;

#[actix_rt::test]
async fn near_time_expire_an_attempt_without_prepay_id_is_closed_before_the_next_starts() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    for kind in [FaultKind::DropAfter, FaultKind::DropBefore] {
        let order = buys_without_answer(&app, &shopper, sku, kind).await;
        let first = latest_number(&app);
        app.advance(IN_THE_MARGIN);
        let payment = shopper.asks_to_pay(order).await.expect(200).body;
        let second = latest_number(&app);
        assert_ne!(first, second, "{kind:?}");
        if let Ok(trade) = app.sandbox.trade(&first) {
            assert_eq!(trade.state, "CLOSED");
        }
        shopper.pays(&payment).await;
        assert_eq!(state_of(&shopper.order(order).await), "paid", "{kind:?}");
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn near_time_expire_a_stored_prepay_id_is_signed_again() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    app.advance(899);
    let again = shopper.asks_to_pay(placed.order_id()).await.expect(200).body;
    assert_eq!(again["package"], placed.payment()["package"]);
    assert_eq!(shopper.pays(&again).await.result, PayResult::Ok);
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    assert_eq!(calls(&app, OPEN).count, 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn no_further_attempt_starts_while_wechat_refuses_to_close_the_former() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
    let young = SettingsChange { close_min_age_seconds: Some(700), ..Default::default() };
    app.sandbox.settings(young);
    app.advance(IN_THE_MARGIN);
    shopper.asks_to_pay(order).await.refused(502, "wechat_error");
    assert_eq!(calls(&app, OPEN).count, 1);
    app.advance(100);
    shopper.asks_to_pay(order).await.expect(200);
    assert_eq!(calls(&app, OPEN).count, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn time_expire_is_chosen_once_and_lies_six_minutes_ahead() {
    let app = TestApp::builder().config(|c| c.engine.order_expire_seconds = 60).start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
    app.advance(30);
    shopper.asks_to_pay(order).await.expect(200);
    // 18:06 in Beijing, six minutes after the order.
    assert_eq!(asked(&app, OPEN, "time_expire"), ["20261125180600", "20261125180600"]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_number_that_wechat_has_closed_is_followed_by_another() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    for code in ["ORDERCLOSED", "OUT_TRADE_NO_USED", "INVALID_REQUEST"] {
        let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
        let first = latest_number(&app);
        app.sandbox.fault(Fault::refuse(OPEN, code)).unwrap();
        let payment = shopper.asks_to_pay(order).await.expect(200).body;
        assert_ne!(latest_number(&app), first, "{code}");
        assert_eq!(app.sandbox.trade(&first).unwrap().state, "CLOSED", "{code}");
        shopper.pays(&payment).await;
        assert_eq!(state_of(&shopper.order(order).await), "paid", "{code}");
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn orderpaid_on_a_repeat_settles_the_order() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
    silent(&app);
    money_for(&app, &latest_number(&app)).await;
    shopper.asks_to_pay(order).await.refused(409, "invalid_state");
    assert_eq!(state_of(&shopper.order(order).await), "paid");
    assert_eq!(calls(&app, OPEN).count, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_whose_time_is_over_cannot_be_paid_any_more() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    app.advance(900);
    shopper.asks_to_pay(order).await.refused(409, "invalid_state");
    app.stop().await;
}

#[actix_rt::test]
async fn a_stranger_who_asks_at_the_same_time_does_not_hide_the_order_from_its_buyer() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let (alice, mallory) = (app.shopper("alice").await, app.shopper("mallory").await);
    let order = buys_without_answer(&app, &alice, sku, FaultKind::DropBefore).await;
    for _ in 0..50 {
        let strange = || mallory.asks_to_pay(order);
        let (first, own, second) = tokio::join!(strange(), alice.asks_to_pay(order), strange());
        own.expect(200);
        for refused in [first, second] {
            refused.refused(404, "not_found");
        }
    }
    assert_eq!(calls(&app, OPEN).count, 2);
    app.stop().await;
}
