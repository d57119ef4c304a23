//! What clerks do.

use buynow::domain::id::WxappId;
use buynow::domain::staff::{Role, Scope};

use crate::clerk::{PASSWORD, account};
use crate::driver::{Browser, Scripts};
use crate::support::{FIRST_SHOP, Reply, Shopper, TestApp};

pub const ORDERS: &str = "/admin/shops/10001/orders";

pub fn first(role: Role) -> Vec<(Scope, Role)> {
    vec![(Scope::One(WxappId::parse(FIRST_SHOP).unwrap()), role)]
}

pub async fn paid(shopper: &Shopper, sku: i64, pieces: i64) -> Reply {
    let placed = shopper.buys(sku, pieces).await.expect(201);
    shopper.pays(placed.payment()).await;
    placed
}

pub async fn log_in(browser: &Browser, login: &str) {
    browser.goto("/admin/login").await;
    browser.types("#login", login).await;
    browser.enters("#password", PASSWORD).await;
    browser.shows(".me", &login.to_uppercase()).await;
}

async fn state(shopper: &Shopper, order: i64) -> String {
    shopper.order(order).await["state"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_packer_finds_and_ships_an_order_by_keyboard_alone() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let (one, _two) = (paid(&alice, sku, 2).await, paid(&alice, sku, 1).await);
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    assert_eq!(browser.place().await, ORDERS, "the day begins with the orders");
    browser.keys("/").await;
    browser.focuses("q").await;
    browser.enters("#q", &one.order_no()).await;
    browser.shows("h1", &one.order_no()).await;
    assert_eq!(browser.place().await, format!("{ORDERS}/{}", one.order_id()));
    browser.enters("#number", "7.3E+13").await;
    browser.focuses("problems").await;
    browser.click("#problems a").await;
    browser.focuses("number").await;
    browser.runs("document.querySelector('#number').value = ''").await;
    browser.enters("#number", "SF1234567890").await;
    browser.shows(".notice", "已发货").await;
    assert_eq!(state(&alice, one.order_id()).await, "shipped");
    assert_eq!(browser.complaints().await, [""; 0]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn what_a_packer_may_not_do_is_not_shown_and_is_refused_in_words() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await.order_id();
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    browser.goto(&format!("{ORDERS}/{order}")).await;
    let links = browser.runs("return document.querySelectorAll('a[href$=\"/refund\"]').length");
    assert_eq!(links.await, 0);
    for place in [format!("{ORDERS}/{order}/refund"), "/admin/people".to_owned()] {
        browser.goto(&place).await;
        browser.shows("h1", "没有权限").await;
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    app.stop().await;
}

#[actix_web::test]
async fn everything_works_without_javascript() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::Off).await else { return };
    let sku = app.a_sku(1000, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await.order_id();
    let unpaid = alice.buys(sku, 1).await.expect(201).order_id();
    account(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    log_in(&browser, "boss").await;
    browser.shows(".count", "2 条订单").await;
    browser.click("details.filter summary").await;
    browser.click("input[name=state][value=paid]").await;
    browser.click("details.filter form[method=get] button").await;
    browser.shows(".count", "1 条订单").await;
    browser.click("table.orders a").await;
    browser.shows("h1", "订单 2026").await;
    assert_eq!(browser.place().await, format!("{ORDERS}/{order}"));
    browser.types("#text", "请轻放").await;
    browser.click("form[action$='/note'] button").await;
    browser.shows(".timeline", "请轻放").await;
    browser.enters("#number", "SF1234567890").await;
    browser.shows(".notice", "已发货").await;
    assert_eq!(state(&alice, order).await, "shipped");
    browser.goto(&format!("{ORDERS}/{order}/refund")).await;
    browser.types("#reason", "破损").await;
    browser.click("#confirmed").await;
    browser.click("main form button.danger").await;
    browser.shows(".notice", "退款已发起").await;
    browser.goto(&format!("{ORDERS}/{unpaid}/price")).await;
    browser.types("#pay", "8.00").await;
    browser.types("#reason", "老客户").await;
    browser.click("#confirmed").await;
    browser.click("main form button").await;
    browser.shows(".notice", "改价已提交").await;
    assert_eq!(alice.order(unpaid).await["pay_fen"], 800);
    browser.click(".me button").await;
    browser.shows("h1", "登录").await;
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn what_a_buyer_typed_runs_nothing() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let evil =
        "\"'><img src=x onerror=document.title='caught'><script>document.title='caught'</script>";
    let address = serde_json::json!({
        "name": &evil[..32], "phone": "13800138000", "province": "x", "city": "x",
        "district": "x", "detail": evil,
    });
    let address = alice.post("/api/v1/addresses", address).await.expect(201).body["id"].clone();
    let body = serde_json::json!({
        "items": [{"sku_id": sku, "quantity": 1}], "address_id": address, "remark": evil,
    });
    let headers = [("idempotency-key", "evil")];
    let body = Some(body.to_string().into_bytes());
    let post = awc::http::Method::POST;
    let placed = alice.call(post, "/api/v1/orders", &headers, body).await.expect(201);
    account(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    log_in(&browser, "boss").await;
    assert!(browser.text(".remark").await.contains("onerror"), "it is shown as it was typed");
    browser.goto(&format!("{ORDERS}/{}", placed.order_id())).await;
    browser.click("form[action$='/reveal'] button").await;
    browser.shows(".address", "onerror").await;
    assert_ne!(browser.runs("return document.title").await, "caught");
    assert_eq!(browser.complaints().await, [""; 0]);
    app.stop().await;
}
