//! A purchase while one of WeChat's hosts is away, and what a lost answer does not lead to.

use std::net::TcpListener;

use buynow::sandbox::FaultKind;
use serde_json::Value;

use crate::desk::*;
use crate::support::{Storage, TestApp};
use crate::wechat::*;

/// The same WeChat under another name, so that it counts as another host.
fn by_name(url: &str) -> String {
    url.replace("127.0.0.1", "localhost")
}

async fn shop(wechat: &WeChat, first: String, second: String) -> TestApp {
    let two_hosts = |config: &mut buynow::config::Config| {
        config.wechat.pay_base = Some(first.clone());
        config.wechat.api_base = Some(first);
        config.wechat.pay_base_2 = Some(second.clone());
        config.wechat.api_base_2 = Some(second);
    };
    let (storage, clock) = (Storage::new(), wechat.clock.clone());
    TestApp::builder().wechat(&wechat.handle).on(storage, clock).config(two_hosts).start().await
}

#[actix_rt::test]
async fn a_shop_sells_on_while_wechats_first_host_cannot_be_reached() {
    let wechat = WeChat::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let app = shop(&wechat, dead, wechat.handle.url().to_owned()).await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.pays(placed.payment()).await;
    assert_eq!(state_of(&alice.order(placed.order_id()).await), "paid");
    assert_eq!(app.run_notifier().await, 1);
    assert_eq!(asked(&app, OPEN, "out_trade_no"), [placed.order_no()]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_answer_that_is_lost_is_not_looked_for_at_the_second_host() {
    let wechat = WeChat::new();
    let first = wechat.handle.url().to_owned();
    let app = shop(&wechat, first.clone(), by_name(&first)).await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    // WeChat has taken it, and nobody knows here: one call, and the order stands without payment.
    let order = buys_without_answer(&app, &alice, sku, FaultKind::DropAfter).await;
    assert_eq!(calls(&app, OPEN).recent.len(), 1);
    // What the buyer asks for later repeats the same number.
    let payment = alice.asks_to_pay(order).await.expect(200).body;
    assert_ne!(payment, Value::Null);
    let sent = asked(&app, OPEN, "out_trade_no");
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
    alice.pays(&payment).await;
    assert_eq!(state_of(&alice.order(order).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}
