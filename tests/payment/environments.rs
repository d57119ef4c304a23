//! More than one mini-program, key, address or copy of the shop behind one merchant number.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use buynow::app::sealer;
use buynow::clock::Clock;
use buynow::config::{Config, SANDBOX_APPID, sandbox_templates};
use buynow::sandbox::{
    FaultKind, Forge, Notify, PayAction, PayResult, Sandbox, SandboxApp, SandboxConfig,
    SandboxHandle, SandboxTemplate,
};
use entity::wxapp;
use sea_orm::{
    ActiveModelTrait as _, Database, DatabaseConnection, EntityTrait as _, IntoActiveModel as _,
    Set,
};
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;

use crate::desk::*;
use crate::support::{START, Shopper, TestApp};

const SECOND_APPID: &str = "wx5a11d0b0e0000002";
const SECOND_ID: i64 = 10_002;
const OTHER_MCH_ID: &str = "1900000002";
const FORMER_KEY: &str = "formerformerformerformerformer01";

/// A WeChat that outlives the shops, and knows two mini-programs.
struct WeChat {
    handle: SandboxHandle,
    clock: Clock,
}

impl WeChat {
    /// The second mini-program belongs to the merchant named, the first to the usual one.
    fn with_second_of(mch_id: &str) -> Self {
        let clock = Clock::manual(START);
        let first = Config::default().wxapp.or_sandbox();
        let template = |sample: buynow::config::SandboxTemplate| SandboxTemplate {
            template_id: sample.template.template_id,
            title: sample.title.to_owned(),
            fields: sample.fields.iter().map(|(k, l)| (k.to_string(), l.to_string())).collect(),
        };
        let app = |appid: &str, mch_id: &str| SandboxApp {
            appid: appid.to_owned(),
            secret: first.secret.clone(),
            mch_id: mch_id.to_owned(),
            api_key: first.api_key.clone(),
            templates: sandbox_templates().into_iter().map(template).collect(),
        };
        let config = SandboxConfig {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: clock.clone(),
            apps: vec![app(SANDBOX_APPID, &first.mch_id), app(SECOND_APPID, mch_id)],
        };
        Self { handle: Sandbox::start(config).unwrap(), clock }
    }

    fn new() -> Self {
        Self::with_second_of(&Config::default().wxapp.or_sandbox().mch_id)
    }

    async fn shop(&self) -> TestApp {
        self.shop_on(Arc::new(tempfile::tempdir().unwrap())).await
    }

    async fn shop_on(&self, folder: Arc<TempDir>) -> TestApp {
        TestApp::builder().wechat(&self.handle).on(folder, self.clock.clone()).start().await
    }
}

async fn database(folder: &TempDir) -> DatabaseConnection {
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    Database::connect(url).await.unwrap()
}

/// Changes the row of the first mini-program, as staff would, while the shop is down.
async fn change_wxapp(folder: &TempDir, change: impl FnOnce(&mut wxapp::ActiveModel)) {
    let db = database(folder).await;
    let row = wxapp::Entity::find_by_id(10_001).one(&db).await.unwrap().unwrap();
    let mut row = row.into_active_model();
    change(&mut row);
    row.update(&db).await.unwrap();
    db.close().await.unwrap();
}

async fn add_second_wxapp(app: &TestApp, mch_id: &str) {
    let db = database(&app.folder()).await;
    let mut row = wxapp::Entity::find_by_id(10_001).one(&db).await.unwrap().unwrap();
    row.id = SECOND_ID;
    row.appid = SECOND_APPID.to_owned();
    row.mch_id = mch_id.to_owned();
    wxapp::Entity::insert(row.into_active_model().reset_all()).exec(&db).await.unwrap();
    db.close().await.unwrap();
}

fn at_path(app: &TestApp, wxapp: i64) -> Forge {
    let url = format!("{}/wechat/pay/v2/notify/{wxapp}", app.url);
    Forge { notify_url: Some(url), ..Forge::default() }
}

/// The files of a shop that is down, as a back-up would have them.
fn copy_of(folder: &TempDir) -> Arc<TempDir> {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().contains(".db") {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    Arc::new(copy)
}

async fn order_without_attempt(shopper: &Shopper, sku: i64) -> crate::support::Reply {
    let mut body = shopper.order_body(&[(sku, 1)]);
    body["prepay"] = json!(false);
    let key = format!("key-{}", rand::random::<u64>());
    shopper.orders_with(&key, body).await.expect(201)
}

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
    let folder = app.stop().await;
    let until = START.plus_seconds(8 * 24 * 3600);
    let former = sealer(&Config::default()).unwrap().seal(&SecretString::from(FORMER_KEY)).unwrap();
    change_wxapp(&folder, |row| {
        row.prev_api_key = Set(Some(former));
        row.prev_key_until = Set(Some(until.as_millis()));
        row.key_version = Set(2);
    })
    .await;

    let app = wechat.shop_on(folder).await;
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
    let folder = app.stop().await;
    change_wxapp(&folder, |row| {
        row.sign_type = Set("MD5".to_owned());
        row.name = Set("新店名".to_owned());
    })
    .await;

    let app = wechat.shop_on(folder).await;
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

/// A shop, and a copy of its files from before the latest news, both against the same merchant.
struct Copied {
    original: TestApp,
    copy: TestApp,
}

impl Copied {
    /// Stops the shop for its copy; both run on.
    async fn of(wechat: &WeChat, app: TestApp) -> Self {
        let folder = app.stop().await;
        let copied = copy_of(&folder);
        let original = wechat.shop_on(folder).await;
        Self { original, copy: wechat.shop_on(copied).await }
    }

    async fn end(self) {
        for app in [self.original, self.copy] {
            app.audit_is_clean().await;
            app.stop().await;
        }
    }
}

#[actix_rt::test]
async fn money_of_the_original_does_not_pay_the_copys_order_of_the_same_number() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = order_without_attempt(&alice, sku).await;
    let shops = Copied::of(&wechat, app).await;
    // The original takes the number, and its money.
    let original = alice.at(&shops.original);
    let payment = original.asks_to_pay(placed.order_id()).await.expect(200).body;
    original.pays(&payment).await;
    assert_eq!(state_of(&original.order(placed.order_id()).await), "paid");
    // The copy never sent that number: ORDERPAID is not its money.
    let copy = alice.at(&shops.copy);
    copy.asks_to_pay(placed.order_id()).await.expect(200);
    let second = latest_number(&shops.copy);
    assert_ne!(second, placed.order_no());
    assert_eq!(state_of(&copy.order(placed.order_id()).await), "unpaid");
    assert_eq!(incidents(&shops.copy).await, 1);
    // Nor is it when the notification is led there.
    let led = Notify::of(&placed.order_no()).forged(at_path(&shops.copy, 10_001));
    all_fail(&shops.copy.sandbox.notify(&led).await.unwrap());
    assert_eq!(state_of(&copy.order(placed.order_id()).await), "unpaid");
    // The copy gives up its own number and leaves the original's money alone.
    assert_eq!(state_of(&copy.cancels(placed.order_id()).await.expect(200).body), "closed");
    assert!(wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.is_empty());
    assert_eq!(incidents(&shops.copy).await, 1);
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_does_not_close_the_number_that_the_original_has_open() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = order_without_attempt(&alice, sku).await;
    let shops = Copied::of(&wechat, app).await;
    let (original, copy) = (alice.at(&shops.original), alice.at(&shops.copy));
    let payment = original.asks_to_pay(placed.order_id()).await.expect(200).body;
    copy.asks_to_pay(placed.order_id()).await.expect(200);
    assert_ne!(latest_number(&shops.copy), placed.order_no());
    assert_eq!(wechat.handle.trade(&placed.order_no()).unwrap().state, "NOTPAY");
    assert_eq!(original.pays(&payment).await.result, PayResult::Ok);
    assert_eq!(state_of(&original.order(placed.order_id()).await), "paid");
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_that_cancels_an_unsent_number_leaves_the_originals_open() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = order_without_attempt(&alice, sku).await;
    let shops = Copied::of(&wechat, app).await;
    let (original, copy) = (alice.at(&shops.original), alice.at(&shops.copy));
    let payment = original.asks_to_pay(placed.order_id()).await.expect(200).body;
    // The copy's own attempt under that number never reached WeChat.
    fault(&shops.copy, OPEN, FaultKind::DropBefore);
    copy.asks_to_pay(placed.order_id()).await.refused(502, "wechat_error");
    copy.cancels(placed.order_id()).await.expect(200);
    wechat.clock.advance(std::time::Duration::from_secs(60));
    shops.copy.run_reaper().await;
    assert_eq!(state_of(&copy.order(placed.order_id()).await), "closed");
    assert_eq!(wechat.handle.trade(&placed.order_no()).unwrap().state, "NOTPAY");
    assert_eq!(original.pays(&payment).await.result, PayResult::Ok);
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_finds_what_was_paid_since_under_attempts_that_it_knows() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let folder = app.stop().await;
    let copied = copy_of(&folder);
    let original = wechat.shop_on(folder).await;
    silent(&original);
    alice.at(&original).pays(placed.payment()).await;
    original.stop().await;
    // The back-up is put in the original's place.
    let restored = wechat.shop_on(copied).await;
    let alice = alice.at(&restored);
    assert_eq!(state_of(&alice.order(placed.order_id()).await), "unpaid");
    restored.advance(900);
    restored.run_reaper().await;
    assert_eq!(state_of(&alice.order(placed.order_id()).await), "paid");
    assert_eq!(restored.stock(sku).await, 8);
    restored.audit_is_clean().await;
    restored.stop().await;
}

#[actix_rt::test]
async fn a_copy_repeats_a_refund_under_its_number_and_the_money_goes_back_once() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.acts(placed.payment(), PayAction::Late).await;
    alice.cancels(placed.order_id()).await.expect(200);
    app.advance(3);
    app.sandbox.run_due().await.unwrap();
    // The refund is due when the copy is made; both give it.
    let shops = Copied::of(&wechat, app).await;
    shops.original.finish_refunds().await;
    shops.copy.finish_refunds().await;
    let refunds = wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.clone();
    assert_eq!(refunds.iter().map(|refund| refund.refund_fen).collect::<Vec<_>>(), [100]);
    for app in [&shops.original, &shops.copy] {
        let order = alice.at(app).order(placed.order_id()).await;
        assert_eq!(order["refund"], json!({"state": "full", "refunded_fen": 100}));
    }
    shops.end().await;
}

#[actix_rt::test]
async fn a_copy_from_before_a_refund_finds_the_money_come_and_gone() {
    let wechat = WeChat::new();
    let app = wechat.shop().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let shops = Copied::of(&wechat, app).await;
    silent(&shops.original);
    let original = alice.at(&shops.original);
    let late = original.acts(placed.payment(), PayAction::Late).await.transaction_id;
    original.cancels(placed.order_id()).await.expect(200);
    shops.original.advance(3);
    shops.original.sandbox.run_due().await.unwrap();
    let led = Notify::of(&placed.order_no()).forged(at_path(&shops.original, 10_001));
    all_acknowledge(&wechat.handle.notify(&led).await.unwrap());
    shops.original.finish_refunds().await;
    // The copy still holds the order unpaid.
    shops.copy.advance(900);
    shops.copy.run_reaper().await;
    let order = alice.at(&shops.copy).order(placed.order_id()).await;
    assert_eq!(state_of(&order), "refunded");
    assert_eq!(order["transaction_id"].as_str(), late.as_deref());
    assert_eq!(shops.copy.stock(sku).await, 9);
    shops.copy.finish_refunds().await;
    let refunds = wechat.handle.trade(&placed.order_no()).unwrap().payments[0].refunds.clone();
    assert_eq!(refunds.len(), 1);
    shops.end().await;
}
