//! What WeChat is asked without anybody's call: who comes first, and how often.

use buynow::sandbox::Fault;

use crate::desk::*;
use crate::support::TestApp;

#[actix_rt::test]
async fn a_crowd_of_old_attempts_does_not_hide_a_payment_that_nobody_told_of() {
    let app = TestApp::builder().config(|c| c.reaper.batch = 1).start().await;
    let sku = app.a_sku(100, 50).await;
    let crowd = app.shopper("crowd").await;
    for _ in 0..20 {
        crowd.buys(sku, 1).await.expect(201);
    }
    app.advance(200);
    for _ in 0..20 {
        app.run_reaper().await;
    }
    silent(&app);
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    app.advance(59);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "unpaid");
    app.advance(1);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn every_attempt_is_asked_about_at_each_age_once() {
    let app = TestApp::builder().config(|c| c.engine.order_expire_seconds = 7_200).start().await;
    let sku = app.a_sku(100, 50).await;
    let shopper = app.shopper("alice").await;
    for _ in 0..3 {
        shopper.buys(sku, 1).await.expect(201);
    }
    let mut asked = Vec::new();
    for minute in 1..=60 {
        app.advance(60);
        match app.run_reaper().await.asked {
            0 => {}
            count => asked.push((minute, count)),
        }
    }
    assert_eq!(asked, [(1, 3), (3, 3), (10, 3), (30, 3)]);
    app.stop().await;
}

#[actix_rt::test]
async fn an_attempt_that_was_stopped_is_closed_later_and_later_while_wechat_refuses() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 50).await;
    let shopper = app.shopper("alice").await;
    app.sandbox.fault(Fault::refuse(OPEN, "PARAM_ERROR").with_effect()).unwrap();
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    let first = latest_number(&app);
    shopper.asks_to_pay(order).await.expect(200);
    money_for(&app, &first).await;
    assert_eq!(state_of(&shopper.order(order).await), "paid");

    app.sandbox.fault(Fault::refuse(CLOSE, "SYSTEMERROR").times(1_000)).unwrap();
    let mut tried = Vec::new();
    for minute in 0..=200 {
        app.run_reaper().await;
        let count = usize::try_from(calls(&app, CLOSE).count).unwrap();
        tried.extend((tried.len()..count).map(|_| minute));
        app.advance(60);
    }
    assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 127, 191]);
    app.sandbox.clear_faults();
    app.advance(3_600);
    app.run_reaper().await;
    assert_eq!(app.sandbox.trade(&latest_number(&app)).unwrap().state, "CLOSED");
    app.audit_is_clean().await;
    app.stop().await;
}
