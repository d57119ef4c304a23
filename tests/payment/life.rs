//! The life of an order after its payment: parcels, receipt, and what the buyer hears of it.

use buynow::actors::desk::{Clerk, DeskError, DeskRefusal};
use buynow::config::{Template, TemplateKind};
use buynow::domain::id::{IdempotencyKey, LineId, OrderId, TrackingNo};
use buynow::domain::money::Quantity;
use buynow::domain::order::TransitionError;
use buynow::domain::shipment::Carrier;
use buynow::sandbox::{FaultKind, Message};
use futures_util::future::join;
use serde_json::{Value, json};

use crate::desk::*;
use crate::support::{Shopper, TestApp};

pub fn order_id(id: i64) -> OrderId {
    OrderId::parse(id).unwrap()
}

pub fn sf() -> Carrier {
    Carrier::parse("SF", None).unwrap()
}

pub fn number(text: &str) -> TrackingNo {
    TrackingNo::parse(text).unwrap()
}

/// An order of so many pieces of one SKU, paid.
pub async fn paid(shopper: &Shopper, sku: i64, pieces: i64) -> i64 {
    let placed = shopper.buys(sku, pieces).await.expect(201);
    shopper.pays(placed.payment()).await;
    let order = placed.order_id();
    assert_eq!(state_of(&shopper.order(order).await), "paid");
    order
}

pub async fn ships(app: &TestApp, order: i64, express: &str) {
    let (desk, clerk) = (app.desk(), app.clerk());
    desk.ship(&clerk, order_id(order), sf(), number(express), vec![]).await.unwrap();
}

pub fn refused(refusal: impl Into<DeskRefusal>) -> DeskError {
    DeskError::Refused(refusal.into())
}

async fn receives(shopper: &Shopper, order: i64) -> crate::support::Reply {
    shopper.post(&format!("/api/v1/orders/{order}/receipt"), json!({})).await
}

fn titles(app: &TestApp) -> Vec<String> {
    let messages = app.sandbox.messages(None, Some("alice"));
    messages.iter().map(|message: &Message| message.title.clone()).collect()
}

#[actix_rt::test]
async fn an_order_is_shipped_and_received() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let order = paid(&alice, sku, 2).await;
    receives(&alice, order).await.refused(409, "invalid_state");
    ships(&app, order, "SF1234567890").await;

    let shown = alice.order(order).await;
    assert_eq!(state_of(&shown), "shipped");
    assert_eq!(shown["express"], json!({"company": "顺丰速运", "number": "SF1234567890"}));
    let line = shown["lines"][0]["id"].clone();
    let parcel = json!([{"company_code": "SF", "company": "顺丰速运", "number": "SF1234567890",
        "lines": [{"order_goods_id": line, "quantity": 2}], "shipped_at": shown["shipped_at"]}]);
    assert_eq!(shown["shipments"], parcel);
    assert_eq!(alice.get("/api/v1/me").await.body["order_counts"]["shipped"], 1);
    app.run_notifier().await;
    assert_eq!(titles(&app), ["付款成功通知", "发货通知"]);

    app.advance(60);
    let done = receives(&alice, order).await.expect(200).body;
    assert_eq!(state_of(&done), "completed");
    assert_ne!(done["completed_at"], Value::Null);
    let again = receives(&alice, order).await.expect(200).body;
    assert_eq!(again, done, "a repeat changes nothing");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn nobody_receives_the_order_of_another() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
    let order = paid(&alice, sku, 1).await;
    ships(&app, order, "SF12345").await;
    receives(&bob, order).await.refused(404, "not_found");
    assert_eq!(state_of(&alice.order(order).await), "shipped");
    app.stop().await;
}

#[actix_rt::test]
async fn two_who_ship_at_once_send_one_parcel_and_one_message() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    alice.agree_to_messages().await;
    let order = paid(&alice, sku, 1).await;
    let (desk, clerk) = (app.desk(), app.clerk());
    let first = desk.ship(&clerk, order_id(order), sf(), number("SF11111"), vec![]);
    let second = desk.ship(&clerk, order_id(order), sf(), number("SF22222"), vec![]);
    let (first, second) = join(first, second).await;
    let refusals: Vec<DeskError> = [first, second].into_iter().filter_map(Result::err).collect();
    assert_eq!(refusals, [refused(TransitionError::AlreadyShipped)]);
    app.run_notifier().await;
    assert_eq!(alice.order(order).await["shipments"].as_array().unwrap().len(), 1);
    assert_eq!(titles(&app), ["付款成功通知", "发货通知"]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_form_that_is_sent_twice_acts_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await;
    let line = alice.order(order).await["lines"][0]["id"].as_i64().unwrap();
    let one = vec![(LineId::parse(line).unwrap(), Quantity::parse(1).unwrap())];
    let key = Some(IdempotencyKey::parse("form-1").unwrap());
    let (desk, clerk) = (app.desk(), Clerk { key, ..app.clerk() });
    let send = |express: &'static str| {
        desk.ship(&clerk, order_id(order), sf(), number(express), one.clone())
    };
    let (first, second) = join(send("SF11111"), send("SF11111")).await;
    let repeated = [first.unwrap().repeated, second.unwrap().repeated];
    assert!(repeated.contains(&true) && repeated.contains(&false));
    assert!(send("SF11111").await.unwrap().repeated);
    assert_eq!(send("SF22222").await, Err(refused(DeskRefusal::KeyConflict)));
    assert_eq!(alice.order(order).await["shipments"].as_array().unwrap().len(), 1);
    let log = column(&app, "SELECT action FROM audit_entry").await;
    assert_eq!(log, ["ship"]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn parts_are_shipped_one_after_another() {
    let app = TestApp::start().await;
    let (tea, cup) = (app.a_sku(100, 9).await, app.a_sku_of("payment", 300, 9).await);
    let alice = app.shopper("alice").await;
    let placed = alice.orders(&[(tea, 2), (cup, 1)]).await.expect(201);
    alice.pays(placed.payment()).await;
    let order = placed.order_id();
    let lines: Vec<LineId> = placed.body["order"]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| LineId::parse(line["id"].as_i64().unwrap()).unwrap())
        .collect();
    let (desk, clerk) = (app.desk(), app.clerk());
    let pieces = |line: usize, pieces| (lines[line], Quantity::parse(pieces).unwrap());
    let part = vec![pieces(0, 1)];
    desk.ship(&clerk, order_id(order), sf(), number("SF11111"), part).await.unwrap();
    let shown = alice.order(order).await;
    assert_eq!((state_of(&shown), &shown["shipped_at"]), ("paid", &Value::Null));
    assert_eq!(shown["express"]["number"], "SF11111");
    app.audit_is_clean().await;
    let rest = vec![pieces(0, 1), pieces(1, 1)];
    desk.ship(&clerk, order_id(order), sf(), number("SF22222"), rest).await.unwrap();
    let shown = alice.order(order).await;
    assert_eq!(state_of(&shown), "shipped");
    assert_eq!(shown["shipments"][1]["lines"].as_array().unwrap().len(), 2);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn what_nobody_confirms_counts_as_received_in_time() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    ships(&app, order, "SF12345").await;
    app.advance(10 * 24 * 3600 - 1);
    assert_eq!(app.run_reaper().await.completed, 0);
    app.advance(1);
    assert_eq!(app.run_reaper().await.completed, 1);
    assert_eq!(state_of(&alice.order(order).await), "completed");
    assert_eq!(app.run_reaper().await.completed, 0);
    let what = column(&app, "SELECT event || ' ' || who FROM order_event ORDER BY id").await;
    assert_eq!(what, ["paid wechat", "shipped staff:7", "completed system"]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn time_completes_no_order_whose_money_goes_back() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    ships(&app, order, "SF12345").await;
    app.desk().refund(&app.clerk(), order_id(order), "破损").await.unwrap();
    broken(&app, REFUND, FaultKind::DropBefore);
    app.advance(10 * 24 * 3600);
    assert_eq!(app.run_reaper().await.completed, 0);
    assert_eq!(state_of(&alice.order(order).await), "shipped");
    app.sandbox.clear_faults();
    app.advance(3_600);
    app.finish_refunds().await;
    assert_eq!(state_of(&alice.order(order).await), "refunded");
    assert_eq!(app.run_reaper().await.completed, 0);
    app.audit_is_clean().await;
    app.stop().await;
}

fn expiring() -> Template {
    Template {
        template_id: "expiring".to_owned(),
        page: String::new(),
        kind: TemplateKind::Subscribe,
        data: [("thing1".into(), "{goods}".into()), ("time2".into(), "{expires}".into())].into(),
    }
}

/// A shop that reminds five minutes before the end, and a buyer who has agreed to it.
async fn reminding() -> (TestApp, Shopper, i64) {
    let with = |c: &mut buynow::config::Config| {
        c.wxapp.templates.order_expiring = Some(expiring());
        c.notifier.grant_wait_seconds = 3_600;
    };
    let app = TestApp::builder().config(with).start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    (app, alice, sku)
}

#[actix_rt::test]
async fn the_buyer_of_an_order_that_is_about_to_expire_is_told_once() {
    let (app, alice, sku) = reminding().await;
    alice.buys(sku, 1).await.expect(201);
    app.advance(599);
    assert_eq!(app.run_reaper().await.reminded, 0);
    app.advance(1);
    assert_eq!(app.run_reaper().await.reminded, 1);
    assert_eq!(app.run_reaper().await.reminded, 0);
    app.run_notifier().await;
    let messages = app.sandbox.messages(None, Some("alice"));
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].lines[1].value, "2026-11-25 18:15");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn who_has_paid_meanwhile_is_not_told_to_hurry() {
    let (app, alice, sku) = reminding().await;
    let placed = alice.buys(sku, 1).await.expect(201);
    app.advance(600);
    assert_eq!(app.run_reaper().await.reminded, 1);
    alice.pays(placed.payment()).await;
    app.run_notifier().await;
    let messages = "SELECT event || ' ' || state || ' ' || COALESCE(reason, '') FROM notification \
                    ORDER BY event";
    let messages = column(&app, messages).await;
    assert_eq!(messages, ["order_expiring skipped too_old", "order_paid sent "]);
    app.stop().await;
}

#[actix_rt::test]
async fn without_a_template_nobody_is_reminded_and_no_row_is_written() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    alice.buys(sku, 1).await.expect(201);
    app.advance(700);
    assert_eq!(app.run_reaper().await.reminded, 0);
    assert_eq!(column(&app, "SELECT id FROM notification").await, Vec::<String>::new());
    app.stop().await;
}
