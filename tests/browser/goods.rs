//! Goods and stock in a browser.

use buynow::domain::staff::{Role, Scope};
use serde_json::json;

use crate::clerk::account;
use crate::driver::{Browser, Scripts};
use crate::support::TestApp;
use crate::work::{first, log_in};

const GOODS: &str = "/admin/shops/10001/goods";

/// The goods with this code.
async fn goods(app: &TestApp, name: &str) -> i64 {
    let goods = app.get("/api/v1/goods?limit=100", None).await;
    let goods = goods.body["items"].as_array().unwrap().clone();
    let found = goods.into_iter().find(|goods| goods["name"] == name).unwrap();
    found["id"].as_i64().unwrap()
}

/// Pages about goods that show every part of them.
pub async fn places(app: &TestApp, sku: i64) -> Vec<String> {
    app.seed(json!({"goods": [{"name": "衬衫", "code": "CS", "category": "服装",
        "images": ["https://shop.example/a.jpg"], "content": "第一段\n第二段", "limit_per_user": 3,
        "specs": [{"name": "颜色", "values": ["红", "蓝"]}, {"name": "尺寸", "values": ["大", "小"]}],
        "skus": [{"code": "CS-1", "attr": "红 大", "price_fen": 100, "line_price_fen": 200, "stock": 2},
                 {"code": "CS-2", "attr": "红 小", "price_fen": 250, "stock": 9, "weight_g": 300},
                 {"code": "CS-3", "attr": "蓝 大", "price_fen": 250, "stock": 9},
                 {"code": "CS-4", "attr": "蓝 小", "price_fen": 250, "stock": 9}]}]}))
    .await;
    let goods = goods(app, "衬衫").await;
    let one = format!("{GOODS}/{goods}");
    vec![
        GOODS.to_owned(),
        format!("{GOODS}?on_sale=yes&low=5"),
        format!("{GOODS}?q=nothing-like-it"),
        format!("{GOODS}?low=few"),
        format!("{GOODS}/new"),
        one.clone(),
        format!("{one}/edit"),
        format!("{one}/stock"),
        format!("/admin/shops/10001/skus/{sku}/ledger?at=2026-11-25T00:00"),
        "/admin/shops/10001/categories".to_owned(),
    ]
}

#[actix_web::test]
async fn goods_are_made_counted_and_taken_off_sale_without_javascript() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::Off).await else { return };
    account(&app, "clerk", &first(Role::Operations)).await;
    log_in(&browser, "clerk").await;
    browser.goto(&format!("{GOODS}/new")).await;
    browser.types("#name", "高山茶").await;
    browser.click("#on_sale").await;
    browser.types("input[id^=spec-][id$=-name]", "规格").await;
    browser.types("textarea[id^=spec-][id$=-more]", "罐装\n袋装").await;
    browser.types("#fill_price", "19.90").await;
    browser.click("button[value=grid]").await;
    browser.shows(".notice", "规格表已更新").await;
    browser.click("button[value=save]").await;
    browser.shows(".notice", "商品已保存").await;
    let place = browser.place().await.split('?').next().unwrap().to_owned();
    browser.shows("table", "¥19.90").await;
    browser.click("a[href$='/stock']").await;
    browser.types("#reason", "到货").await;
    browser.types("input[name^=delta-]", "12").await;
    browser.click("main form button").await;
    browser.shows(".notice", "库存已调整").await;
    browser.click("a[href$='/ledger']").await;
    browser.shows("#now", "12").await;
    browser.shows("table", "到货").await;
    browser.goto(&place).await;
    browser.click("form.sale button").await;
    browser.shows(".notice", "已下架").await;
    let list = app.get("/api/v1/goods", None).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 0);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn what_is_wrong_with_goods_is_said_at_its_field_and_a_conflict_shows_both() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    app.a_sku(100, 9).await;
    let place = format!("{GOODS}/{}", goods(&app, "高山茶").await);
    account(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    log_in(&browser, "boss").await;
    browser.goto(&format!("{place}/edit")).await;
    browser.runs("document.querySelector('#sku-0-price').value = 'cheap'").await;
    browser.click("button[value=save]").await;
    browser.focuses("problems").await;
    browser.click("#problems a").await;
    browser.focuses("sku-0-price").await;
    browser.runs("document.querySelector('#sku-0-price').value = '2.50'").await;
    let clerk = app.clerk();
    let id = place.rsplit('/').next().unwrap().parse().unwrap();
    let id = buynow::domain::id::GoodsId::parse(id).unwrap();
    app.desk().set_sale(&clerk, id, false).await.unwrap();
    browser.click("button[value=save]").await;
    browser.focuses("problems").await;
    browser.shows("#conflict", "¥2.50").await;
    browser.click("button[value=save]").await;
    browser.shows(".notice", "商品已保存").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    app.stop().await;
}

#[actix_web::test]
async fn what_staff_typed_runs_nothing_on_the_pages_of_goods() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let evil = "\"'><img src=x onerror=document.title='caught'><b hx-get=/ hx-trigger=load>";
    let sku = app
        .seed(json!({"goods": [{"name": evil, "code": &evil[..60], "category": &evil[..60],
            "content": evil, "images": [evil], "specs": [{"name": &evil[..60], "values": [&evil[..60]]}],
            "skus": [{"code": &evil[..60], "attr": evil, "price_fen": 1, "stock": 1}]}]}))
        .await[0];
    let goods = goods(&app, evil).await;
    account(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    log_in(&browser, "boss").await;
    let one = format!("{GOODS}/{goods}");
    let ledger = format!("/admin/shops/10001/skus/{sku}/ledger");
    let categories = "/admin/shops/10001/categories".to_owned();
    let (edit, stock) = (format!("{one}/edit"), format!("{one}/stock"));
    for place in [GOODS.to_owned(), one, edit, stock, ledger, categories] {
        browser.goto(&place).await;
        let found =
            browser.runs("return document.querySelectorAll('img, b, [hx-get]').length").await;
        assert_eq!(found, 0, "{place}");
        assert_ne!(browser.runs("return document.title").await, "caught", "{place}");
        assert_eq!(browser.complaints().await, [""; 0], "{place}");
    }
    app.stop().await;
}
