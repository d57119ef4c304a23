//! More than one mini-program, key, sign type or start of the shop behind one merchant number.

use buynow::app::sealer;
use buynow::config::Config;
use buynow::sandbox::{FaultKind, Forge, Notify, PayResult};
use sea_orm::Set;
use secrecy::SecretString;
use serde_json::json;

use crate::desk::*;
use crate::support::START;
use crate::wechat::*;

const FORMER_KEY: &str = "formerformerformerformerformer01";

#[actix_rt::test]
async fn a_notification_on_another_mini_programs_path_is_an_incident_there() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    add_second_wxapp(&app, &Config::default().wxapp.or_sandbox().mch_id).await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    silent(&app);
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    let notify = Notify::of(&placed.order_no());
    let lost = notify.clone().times(3).forged(at_path(&app, SECOND_ID));
    all_fail(&app.sandbox.notify(&lost).await.unwrap());
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "unpaid");
    assert_eq!(incidents(&app).await, 1);
    all_acknowledge(&app.sandbox.notify(&notify).await.unwrap());
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_notification_on_another_merchants_path_changes_nothing() {
    let wechat = WeChat::with_second_of(OTHER_MCH_ID);
    let app = wechat.shop().await;
    add_second_wxapp(&app, OTHER_MCH_ID).await;
    let sku = app.a_sku(100, 3).await;
    let shopper = app.shopper("alice").await;
    silent(&app);
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    let notify = Notify::of(&placed.order_no());
    let lost = notify.clone().forged(at_path(&app, SECOND_ID));
    all_fail(&app.sandbox.notify(&lost).await.unwrap());
    assert_eq!(incidents(&app).await, 0);
    all_acknowledge(&app.sandbox.notify(&notify).await.unwrap());
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_is_nobodys_in_another_mini_program() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    add_second_wxapp(&app, &Config::default().wxapp.or_sandbox().mch_id).await;
    let sku = app.a_sku(100, 3).await;
    let (here, there) = (app.shopper("alice").await, app.shopper_in(SECOND_APPID, "alice").await);
    let order = here.buys(sku, 1).await.expect(201).order_id();
    there.get(&format!("/api/v1/orders/{order}")).await.refused(404, "not_found");
    there.asks_to_pay(order).await.refused(404, "not_found");
    there.cancels(order).await.refused(404, "not_found");
    there.buys(sku, 1).await.refused(404, "not_found");
    assert_eq!(state_of(&here.order(order).await), "unpaid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn the_former_key_verifies_until_its_end_and_the_present_one_always() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let shopper = app.shopper("alice").await;
    let mut orders = Vec::new();
    silent(&app);
    for _ in 0..3 {
        let placed = shopper.buys(sku, 1).await.expect(201);
        shopper.pays(placed.payment()).await;
        orders.push(placed);
    }
    let storage = app.stop().await;
    let until = START.plus_seconds(8 * 24 * 3600);
    let former = sealer(&Config::default()).unwrap().seal(&SecretString::from(FORMER_KEY)).unwrap();
    change_wxapp(&storage, |row| {
        row.prev_api_key = Set(Some(former));
        row.prev_key_until = Set(Some(until.as_millis()));
        row.key_version = Set(2);
    })
    .await;

    let app = wechat.shop_on(storage).await;
    let shopper = shopper.at(&app);
    // WeChat signs some with the key of the order's day, and comes to the new address.
    let signed_by_former = |number: &str| {
        let forge = Forge { key: Some(FORMER_KEY.to_owned()), ..at_path(&app, 10_001) };
        Notify::of(number).forged(forge)
    };
    let first = signed_by_former(&orders[0].order_no());
    all_acknowledge(&app.sandbox.notify(&first).await.unwrap());
    assert_eq!(state_of(&shopper.order(orders[0].order_id()).await), "paid");
    app.advance(8 * 24 * 3600);
    let second = signed_by_former(&orders[1].order_no());
    all_fail(&app.sandbox.notify(&second).await.unwrap());
    assert_eq!(state_of(&shopper.order(orders[1].order_id()).await), "unpaid");
    let third = Notify::of(&orders[2].order_no()).forged(at_path(&app, 10_001));
    all_acknowledge(&app.sandbox.notify(&third).await.unwrap());
    assert_eq!(state_of(&shopper.order(orders[2].order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_open_order_goes_on_with_the_sign_type_and_address_that_it_began_with() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
    let storage = app.stop().await;
    change_wxapp(&storage, |row| {
        row.sign_type = Set("MD5".to_owned());
        row.name = Set("新店名".to_owned());
    })
    .await;

    let app = wechat.shop_on(storage).await;
    let shopper = shopper.at(&app);
    let payment = shopper.asks_to_pay(order).await.expect(200).body;
    assert_eq!(payment["signType"], json!("HMAC-SHA256"));
    let said = requests(&app, OPEN);
    assert_eq!(said[0], said[1]);
    assert_eq!(shopper.pays(&payment).await.result, PayResult::Ok);
    let number = latest_number(&app);
    let told = Notify::of(&number).forged(at_path(&app, 10_001));
    all_acknowledge(&app.sandbox.notify(&told).await.unwrap());
    assert_eq!(state_of(&shopper.order(order).await), "paid");
    // A new order is signed as the mini-program is set up now.
    let placed = shopper.buys(sku, 1).await.expect(201);
    assert_eq!(placed.payment()["signType"], json!("MD5"));
    shopper.pays(placed.payment()).await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_closing_goes_on_after_a_restart() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    broken(&app, CLOSE, FaultKind::Http500);
    assert_eq!(shopper.cancels(placed.order_id()).await.body["closing"], json!(true));
    let app = wechat.shop_on(app.stop().await).await;
    let shopper = shopper.at(&app);
    shopper.asks_to_pay(placed.order_id()).await.refused(409, "invalid_state");
    assert_eq!(app.stock(sku).await, 8);
    app.sandbox.clear_faults();
    app.advance(5);
    app.run_reaper().await;
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "closed");
    assert_eq!(app.stock(sku).await, 9);
    app.audit_is_clean().await;
    app.stop().await;
}
