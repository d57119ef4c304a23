//! Goods and stock as staff work with them: found, made, changed, counted.

use buynow::domain::id::WxappId;
use buynow::domain::staff::{Role, Scope};
use serde_json::{Value, json};

use crate::clerk::{Clerk, account};
use crate::orders::{field, first};
use crate::rights;
use crate::support::{FIRST_SHOP, Reply, SECOND_SHOP, Shopper, TestApp};

pub const GOODS: &str = "/admin/shops/10001/goods";
pub const API: &str = "/api/admin/v1/shops/10001";

/// A token of somebody with this role in the first shop.
pub async fn token(app: &TestApp, login: &str, grants: &[(Scope, Role)]) -> String {
    account(app, login, grants).await;
    rights::token(app, login, Scope::One(WxappId::parse(FIRST_SHOP).unwrap())).await
}

/// The goods of a SKU.
pub async fn goods_of(app: &TestApp, sku: i64) -> i64 {
    let goods = app.get("/api/v1/goods?limit=100", None).await;
    for goods in goods.body["items"].as_array().unwrap() {
        let id = goods["id"].as_i64().unwrap();
        let detail = app.get(&format!("/api/v1/goods/{id}"), None).await;
        if detail.body["skus"].as_array().unwrap().iter().any(|found| found["id"] == sku) {
            return id;
        }
    }
    panic!("SKU {sku} is not for sale");
}

/// The fields of the form of this page that has `name="version"`, or of the one for new goods, as a
/// browser would send them.
pub fn fields(page: &str) -> Vec<(String, String)> {
    let form = page.split("class=\"goods\">").nth(1).unwrap().split("</form>").next().unwrap();
    let mut fields = Vec::new();
    for tag in form.split('<').skip(1) {
        let attribute = |name: &str| {
            let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
            Some(plain(rest.split('"').next()?))
        };
        let Some(name) = attribute("name") else { continue };
        let value = if tag.starts_with("textarea") {
            plain(tag.split_once('>').unwrap().1)
        } else if tag.starts_with("select") {
            let rest = &form[form.find(&format!("<{tag}")).unwrap()..];
            let options = rest.split("</select>").next().unwrap();
            let chosen = options.split("<option").skip(1).find(|o| o.contains(" selected"));
            let chosen = chosen.or_else(|| options.split("<option").nth(1)).unwrap();
            plain(chosen.split_once("value=\"").unwrap().1.split('"').next().unwrap())
        } else if tag.starts_with("input") {
            if tag.contains("type=\"checkbox\"") && !tag.contains(" checked") {
                continue;
            }
            attribute("value").unwrap_or_default()
        } else {
            continue;
        };
        if name != "form_token" {
            fields.push((name, value));
        }
    }
    fields
}

fn plain(text: &str) -> String {
    text.replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
}

pub fn set(fields: &mut Vec<(String, String)>, name: &str, value: &str) {
    let at = fields.iter().position(|(field, _)| field == name);
    match at {
        Some(at) => fields[at].1 = value.to_owned(),
        None => fields.push((name.to_owned(), value.to_owned())),
    }
}

/// Sets the n-th field of this name.
fn set_at(fields: &mut [(String, String)], name: &str, at: usize, value: &str) {
    let mut named = fields.iter_mut().filter(|(field, _)| field == name);
    named.nth(at).unwrap().1 = value.to_owned();
}

fn all<'a>(fields: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
}

pub async fn send(clerk: &Clerk<'_>, path: &str, fields: &[(String, String)]) -> Reply {
    let fields: Vec<_> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    clerk.post(path, &fields).await
}

async fn detail(app: &TestApp, goods: i64) -> Value {
    app.get(&format!("/api/v1/goods/{goods}"), None).await.expect(200).body
}

#[actix_web::test]
async fn goods_are_made_with_a_grid_and_change_in_the_memory_of_the_shop() {
    let app = TestApp::start().await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let page = clerk.get(&format!("{GOODS}/new")).await.expect(200).text;
    let mut form = fields(&page);
    set(&mut form, "name", "衬衫");
    set(&mut form, "on_sale", "yes");
    let spec = all(&form, "spec")[0].to_owned();
    set(&mut form, &format!("spec-{spec}-name"), "颜色");
    set(&mut form, &format!("spec-{spec}-more"), "红\n蓝");
    set(&mut form, "fill_price", "19.90");
    set_at(&mut form, "block-text", 0, "第一段");
    set_at(&mut form, "block-kind", 1, "image");
    set_at(&mut form, "block-text", 1, "https://shop.example/a.jpg");
    let changed = send(&clerk, GOODS, &form).await.expect(422).text;
    assert!(changed.contains("href=\"#grid\""), "the grid is looked at before it is saved");
    set(&mut form, "act", "grid");
    let page = send(&clerk, GOODS, &form).await.expect(200).text;
    let mut form = fields(&page);
    assert_eq!(all(&form, "sku-attr"), ["红", "蓝"]);
    assert_eq!(all(&form, "sku-price"), ["19.90", "19.90"]);
    set_at(&mut form, "sku-price", 1, "25");
    let made = send(&clerk, GOODS, &form).await.expect(303);
    let place = made.header("location").unwrap().split('?').next().unwrap().to_owned();
    send(&clerk, GOODS, &form).await.expect(303);
    let goods: i64 = place.rsplit('/').next().unwrap().parse().unwrap();
    let seen = detail(&app, goods).await;
    assert_eq!((&seen["content"], &seen["skus"][1]["price_fen"]), (&json!("第一段"), &json!(2500)));
    let list = app.get("/api/v1/goods", None).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1, "a double click makes one");
    let image = json!({"image": "https://shop.example/a.jpg"});
    assert_eq!(seen["blocks"], json!([{"text": "第一段"}, image]));
    let sku = seen["skus"][0]["id"].as_i64().unwrap();
    let alice = app.shopper("alice").await;
    assert_eq!(alice.buys(sku, 1).await.status, 409, "it begins with no stock");

    let stock = format!("{place}/stock");
    let page = clerk.get(&stock).await.expect(200).text;
    let delta = format!("delta-{sku}");
    let moves = [("key", &*field(&page, "key")), ("reason", "到货"), (&*delta, "5")];
    clerk.post(&stock, &moves).await.expect(303);
    assert_eq!(pays(&alice, sku).await, 1990);

    let mut form = fields(&clerk.get(&format!("{place}/edit")).await.expect(200).text);
    set_at(&mut form, "sku-price", 0, "21.05");
    set(&mut form, "limit_per_user", "2");
    send(&clerk, &place, &form).await.expect(303);
    assert_eq!(pays(&alice, sku).await, 2105, "memory knows it");
    assert_eq!(alice.buys(sku, 1).await.status, 409, "the limit holds");
    clerk.post(&format!("{place}/sale"), &[("on_sale", "no")]).await.expect(303);
    assert_eq!(app.shopper("bob").await.buys(sku, 1).await.status, 409);
    assert_eq!(app.stock_left(&clerk, &place, sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_form_that_was_open_while_something_was_sold_leaves_the_stock_alone() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let goods = goods_of(&app, sku).await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let place = format!("{GOODS}/{goods}");
    let mut form = fields(&clerk.get(&format!("{place}/edit")).await.expect(200).text);
    let alice = app.shopper("alice").await;
    alice.buys(sku, 5).await.expect(201);
    set(&mut form, "name", "新名字");
    let mut bad = form.clone();
    set(&mut bad, "sku-stock", "9");
    assert_eq!(send(&clerk, &place, &bad).await.status, 400);
    send(&clerk, &place, &form).await.expect(303);
    assert_eq!(app.stock(sku).await, 4);
    assert_eq!(detail(&app, goods).await["name"], "新名字");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_stale_form_is_refused_and_shows_both_values() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let goods = goods_of(&app, sku).await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let place = format!("{GOODS}/{goods}");
    let page = clerk.get(&format!("{place}/edit")).await.expect(200).text;
    let (mut one, mut two) =
        (fields(&page), fields(&clerk.get(&format!("{place}/edit")).await.text));
    set(&mut one, "name", "甲的名字");
    send(&clerk, &place, &one).await.expect(303);
    set(&mut two, "name", "乙的名字");
    set_at(&mut two, "sku-price", 0, "7.77");
    let stale = send(&clerk, &place, &two).await.expect(409).text;
    for part in ["甲的名字", "乙的名字", "7.77", "1.00", "别人刚刚修改了这个商品"]
    {
        assert!(stale.contains(part), "{part}: {stale}");
    }
    assert_eq!(detail(&app, goods).await["name"], "甲的名字");
    let by_file = fields(&stale);
    app.seed(json!({"goods": [{"name": "甲的名字", "code": all(&one, "code")[0],
        "skus": [{"code": "more", "price_fen": 100, "stock": 5}]}]}))
        .await;
    let stale = send(&clerk, &place, &by_file).await.expect(409).text;
    assert!(stale.contains("more"), "what a file has brought is not retired unseen");
    send(&clerk, &place, &fields(&stale)).await.expect(303);
    let seen = detail(&app, goods).await;
    assert_eq!((&seen["name"], &seen["skus"][0]["price_fen"]), (&json!("乙的名字"), &json!(777)));
    assert_eq!(seen["skus"].as_array().unwrap().len(), 2, "the other one's SKU is still sold");
    app.stop().await;
}

#[actix_web::test]
async fn an_ordered_sku_is_retired_and_its_order_keeps_name_attribute_and_price() {
    let app = TestApp::start().await;
    let skus = app
        .seed(json!({"goods": [{"name": "衬衫", "code": "CS",
            "specs": [{"name": "颜色", "values": ["红", "蓝"]}],
            "skus": [{"code": "CS-1", "attr": "红", "price_fen": 100, "stock": 9},
                     {"code": "CS-2", "attr": "蓝", "price_fen": 200, "stock": 9}]}]}))
        .await;
    let goods = goods_of(&app, skus[0]).await;
    let alice = app.shopper("alice").await;
    let order = alice.buys(skus[1], 1).await.expect(201).order_id();
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let place = format!("{GOODS}/{goods}");
    let mut form = fields(&clerk.get(&format!("{place}/edit")).await.expect(200).text);
    // Blue goes, red is renamed, sizes come.
    let values: Vec<String> =
        form.iter().filter(|(name, _)| name.starts_with("value-")).map(|f| f.0.clone()).collect();
    set(&mut form, &values[0], "朱红");
    set(&mut form, &values[1], "");
    let spec = all(&form, "spec")[1].to_owned();
    set(&mut form, &format!("spec-{spec}-name"), "尺寸");
    set(&mut form, &format!("spec-{spec}-more"), "大\n小");
    set(&mut form, "fill_price", "3");
    set(&mut form, "act", "grid");
    let page = send(&clerk, &place, &form).await.expect(200).text;
    let form = fields(&page);
    assert_eq!(all(&form, "sku-attr"), ["朱红 大", "朱红 小", "蓝"]);
    let red = skus[0].to_string();
    assert_eq!(all(&form, "sku-id")[0], red);
    send(&clerk, &place, &form).await.expect(303);
    let seen = detail(&app, goods).await;
    assert_eq!(seen["skus"].as_array().unwrap().len(), 2);
    assert_eq!((&seen["skus"][0]["id"], &seen["skus"][0]["stock"]), (&json!(skus[0]), &json!(9)));
    assert_eq!(alice.buys(skus[1], 1).await.status, 409, "the blue one is not sold any more");
    let line = &alice.order(order).await["lines"][0];
    assert_eq!((&line["goods_name"], &line["attr"]), (&json!("衬衫"), &json!("蓝")));
    assert_eq!(line["price_fen"], 200);
    let page = clerk.get(&place).await.expect(200).text;
    assert!(page.contains("已停用的规格") && page.contains("CS-2"));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_value_removed_another_added() {
    let app = TestApp::start().await;
    let skus = app
        .seed(json!({"goods": [{"name": "衬衫", "code": "CS",
            "specs": [{"name": "颜色", "values": ["红", "蓝"]}],
            "skus": [{"code": "CS-1", "attr": "红", "price_fen": 100, "stock": 9},
                     {"code": "CS-2", "attr": "蓝", "price_fen": 200, "stock": 7}]}]}))
        .await;
    let goods = goods_of(&app, skus[0]).await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let place = format!("{GOODS}/{goods}");
    let edit = format!("{place}/edit");
    let mut form = fields(&clerk.get(&edit).await.expect(200).text);
    let blue = form.iter().rposition(|(name, _)| name.starts_with("value-")).unwrap();
    form[blue].1.clear();
    set(&mut form, "act", "grid");
    let form = fields(&send(&clerk, &place, &form).await.expect(200).text);
    send(&clerk, &place, &form).await.expect(303);
    let mut form = fields(&clerk.get(&edit).await.expect(200).text);
    let spec = all(&form, "spec")[0].to_owned();
    set(&mut form, &format!("spec-{spec}-more"), "绿");
    set(&mut form, "fill_price", "3");
    set(&mut form, "act", "grid");
    let form = fields(&send(&clerk, &place, &form).await.expect(200).text);
    assert_eq!(all(&form, "sku-attr")[..2], ["红", "绿"]);
    assert_eq!(all(&form, "sku-id")[1], "", "green is new");
    send(&clerk, &place, &form).await.expect(303);
    let seen = detail(&app, goods).await;
    assert_eq!((&seen["skus"][1]["attr"], &seen["skus"][1]["stock"]), (&json!("绿"), &json!(0)));
    let token = token(&app, "robot", &first(Role::Operations)).await;
    let seen = app.get(&format!("{API}/goods/{goods}"), Some(&token)).await.expect(200).body;
    let blue = seen["skus"].as_array().unwrap().iter().find(|sku| sku["id"] == skus[1]).unwrap();
    assert_eq!((&blue["attr"], &blue["stock"]), (&json!("蓝"), &json!(7)));
    app.stop().await;
}

#[actix_web::test]
async fn goods_with_hundreds_of_retired_skus_can_still_be_changed() {
    let app = TestApp::start().await;
    let token = token(&app, "robot", &first(Role::Operations)).await;
    let sheet = |version: Option<i64>, round: usize| {
        let sku = |n: usize| {
            json!({"code": format!("{round}-{n}"), "values": [round * 1000 + n],
            "price_fen": 100})
        };
        let value = |n: usize| json!({"id": round * 1000 + n, "value": format!("{round}-{n}")});
        json!({"version": version, "code": "MANY", "name": "茶", "deduct_stock": "order",
            "on_sale": true, "skus": (0..100).map(sku).collect::<Vec<_>>(),
            "specs": [{"id": 1, "name": "色", "values": (0..100).map(value).collect::<Vec<_>>()}]})
    };
    let path = format!("{API}/goods");
    let made = app.post(&path, Some(&token), sheet(None, 1)).await.expect(200);
    let one = format!("{path}/{}", made.body["goods_id"]);
    for round in 2..=7 {
        let seen = app.get(&one, Some(&token)).await.expect(200).body;
        app.post(&one, Some(&token), sheet(seen["version"].as_i64(), round)).await.expect(200);
    }
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let place = format!("{GOODS}/{}", made.body["goods_id"]);
    let mut form = fields(&clerk.get(&format!("{place}/edit")).await.expect(200).text);
    assert_eq!(all(&form, "sku-id").len(), 100);
    set(&mut form, "name", "新名字");
    send(&clerk, &place, &form).await.expect(303);
    let seen = app.get(&one, Some(&token)).await.expect(200).body;
    let skus = seen["skus"].as_array().unwrap();
    let retired = skus.iter().filter(|sku| sku["retired"] == true).count();
    assert_eq!((&seen["name"], retired, skus.len()), (&json!("新名字"), 600, 700));
    app.stop().await;
}

#[actix_web::test]
async fn two_hundred_skus_are_saved_in_one_form_and_codes_are_not_shared() {
    let app = TestApp::start().await;
    app.load("TAKEN", 100, 1).await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let mut form = fields(&clerk.get(&format!("{GOODS}/new")).await.expect(200).text);
    set(&mut form, "name", "很多规格");
    let lines = |count: usize, name: &str| {
        (0..count).map(|n| format!("{name}{n}")).collect::<Vec<_>>().join("\n")
    };
    let spec = all(&form, "spec")[0].to_owned();
    set(&mut form, &format!("spec-{spec}-name"), "颜色");
    set(&mut form, &format!("spec-{spec}-more"), &lines(20, "色"));
    set(&mut form, "act", "grid");
    let mut form = fields(&send(&clerk, GOODS, &form).await.expect(200).text);
    let spec = all(&form, "spec")[1].to_owned();
    set(&mut form, &format!("spec-{spec}-name"), "尺寸");
    set(&mut form, &format!("spec-{spec}-more"), &lines(10, "码"));
    set(&mut form, "fill_price", "9.90");
    set(&mut form, "act", "grid");
    let mut form = fields(&send(&clerk, GOODS, &form).await.expect(200).text);
    assert_eq!(all(&form, "sku-id").len(), 200);
    set_at(&mut form, "sku-code", 7, "TAKEN");
    let taken = send(&clerk, GOODS, &form).await.expect(422).text;
    assert!(taken.contains("href=\"#sku-7-code\"") && taken.contains("编码已被其他商品使用"));
    let mut form = fields(&taken);
    set_at(&mut form, "sku-code", 7, "");
    set_at(&mut form, "sku-price", 3, "-1");
    let bad = send(&clerk, GOODS, &form).await.expect(422).text;
    assert!(bad.contains("href=\"#sku-3-price\"") && bad.contains("金额格式为"));
    let mut form = fields(&bad);
    set_at(&mut form, "sku-price", 3, "0.01");
    let made = send(&clerk, GOODS, &form).await.expect(303);
    let place = made.header("location").unwrap().split('?').next().unwrap().to_owned();
    let page = clerk.get(&format!("{place}/edit")).await.expect(200).text;
    assert_eq!(all(&fields(&page), "sku-id").iter().filter(|id| !id.is_empty()).count(), 200);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn programs_write_goods_under_a_version_and_another_shop_does_not_see_them() {
    let app = TestApp::builder().second_shop().start().await;
    let token = token(&app, "robot", &first(Role::Operations)).await;
    let sheet = |version: Option<i64>, id: Option<&Value>, price: i64| {
        json!({"version": version, "code": "API", "name": "茶", "deduct_stock": "order",
            "on_sale": true, "blocks": [{"text": "好茶"}, {"image": "/a.jpg"}],
            "sale_starts_at": "2020-01-01T00:00:00+08:00",
            "skus": [{"id": id, "code": "API-1", "attr": "罐", "price_fen": price}]})
    };
    let path = format!("{API}/goods");
    let made = app.post(&path, Some(&token), sheet(None, None, 500)).await.expect(200);
    let id = made.body["goods_id"].as_i64().unwrap();
    let one = format!("{path}/{id}");
    let seen = app.get(&one, Some(&token)).await.expect(200).body;
    assert_eq!(
        (&seen["blocks"][1]["image"], &seen["skus"][0]["stock"]),
        (&json!("/a.jpg"), &json!(0))
    );
    let (version, sku) = (seen["version"].as_i64(), &seen["skus"][0]["id"]);
    let with = |name: &str, value: Value| {
        let mut body = sheet(version, Some(sku), 600);
        body["skus"][0][name] = value;
        body
    };
    let refused = app.post(&one, Some(&token), with("stock", json!(9))).await.expect(400);
    assert!(refused.text.contains("stock"), "{}", refused.text);
    app.post(&one, Some(&token), with("price_fen", json!(1.5))).await.expect(400);
    app.post(&one, Some(&token), with("id", json!(1))).await.expect(404);
    app.post(&one, Some(&token), sheet(None, Some(sku), 600)).await.expect(400);
    app.post(&one, Some(&token), sheet(version, Some(sku), 600)).await.expect(200);
    let stale = app.post(&one, Some(&token), sheet(version, Some(sku), 700)).await;
    assert_eq!((stale.status, &stale.body["detail"]["reason"]), (409, &json!("stale")));
    let again = app.post(&path, Some(&token), sheet(None, None, 500)).await;
    assert_eq!((again.status, &again.body["detail"]["reason"]), (409, &json!("code_taken")));
    let everywhere = Clerk::of(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    let there = format!("/admin/shops/{SECOND_SHOP}");
    for path in ["", "/edit", "/stock"] {
        everywhere.get(&format!("{there}/goods/{id}{path}")).await.expect(404);
    }
    everywhere.get(&format!("{there}/skus/{sku}/ledger")).await.expect(404);
    everywhere.post(&format!("{there}/goods/{id}/sale"), &[("on_sale", "no")]).await.expect(404);
    everywhere.get(&format!("/admin/shops/{FIRST_SHOP}/goods/{id}")).await.expect(200);
    app.stop().await;
}

/// Buys one, and says what it costs.
async fn pays(shopper: &Shopper, sku: i64) -> i64 {
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    shopper.order(order).await["pay_fen"].as_i64().unwrap()
}

impl TestApp {
    /// What the page of the goods says is left of a SKU, on sale or not.
    async fn stock_left(&self, clerk: &Clerk<'_>, place: &str, sku: i64) -> i64 {
        let page = clerk.get(place).await.expect(200).text;
        let link = page.split(&format!("/skus/{sku}/ledger\"")).nth(1).unwrap();
        link.split('>').nth(1).unwrap().split('<').next().unwrap().parse().unwrap()
    }
}
