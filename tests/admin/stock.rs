//! Goods and categories found, stock counted: what a warehouse does all day.

use buynow::domain::staff::{Role, Scope};
use serde_json::{Value, json};

use crate::clerk::Clerk;
use crate::goods::{API, GOODS, fields, goods_of, send, set, token};
use crate::orders::{field, first};
use crate::support::TestApp;

#[actix_web::test]
async fn goods_are_found_by_name_code_category_sale_and_what_is_left() {
    let app = TestApp::start().await;
    app.seed(json!({"goods": [
        {"name": "龙井茶", "code": "LJ", "category": "茶叶",
            "skus": [{"code": "LJ-1", "price_fen": 100, "stock": 3}]},
        {"name": "100%_棉", "code": "MB", "on_sale": false,
            "skus": [{"code": "MB-1", "price_fen": 100, "stock": 90},
                     {"code": "MB-2", "price_fen": 250, "stock": 90}]},
    ]}))
    .await;
    let clerk = Clerk::of(&app, "viewer", &first(Role::ReadOnly)).await;
    let shows = async |query: &str| {
        let page = clerk.get(&format!("{GOODS}?{query}")).await.expect(200).text;
        (page.contains("龙井茶"), page.contains("100%_棉"))
    };
    assert_eq!(shows("").await, (true, true));
    for (query, expected) in [
        ("q=%E9%BE%99", (true, false)),
        ("q=MB-2", (false, true)),
        ("q=LJ", (true, false)),
        ("q=%25_", (false, true)),
        ("q=%25x", (false, false)),
        ("on_sale=yes", (true, false)),
        ("on_sale=no", (false, true)),
        ("low=3", (true, false)),
        ("low=2", (false, false)),
    ] {
        assert_eq!(shows(query).await, expected, "{query}");
    }
    let page = clerk.get(&format!("{GOODS}?low=few")).await.expect(422).text;
    assert!(page.contains("href=\"#low\""));
    clerk.get(&format!("{GOODS}?q=a%00")).await.expect(422);
    let page = clerk.get(GOODS).await.expect(200).text;
    let option = page.split("<option").find(|option| option.contains("茶叶")).unwrap();
    let category = option.split('"').nth(1).unwrap();
    assert_eq!(shows(&format!("category={category}")).await, (true, false));
    assert!(!page.contains("/goods/new"), "who may not edit is not asked to");
    app.stop().await;
}

#[actix_web::test]
async fn stock_moves_by_delta_with_a_reason_and_never_below_what_is_there() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let goods = goods_of(&app, sku).await;
    let alice = app.shopper("alice").await;
    alice.buys(sku, 4).await.expect(201);
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let place = format!("{GOODS}/{goods}/stock");
    let page = packer.get(&place).await.expect(200).text;
    let (key, delta) = (field(&page, "key"), format!("delta-{sku}"));
    let move_by = async |by: &str, reason: &str, key: &str| {
        packer.post(&place, &[("key", key), ("reason", reason), (&*delta, by)]).await
    };
    let few = move_by("-6", "盘点", &key).await.expect(422).text;
    assert!(few.contains("库存不足 (5)") && few.contains(&format!("href=\"#{delta}\"")), "{few}");
    assert!(few.contains("value=\"-6\"") && few.contains("value=\"盘点\""), "nothing is lost");
    for (by, reason) in [("+3", ""), ("3.5", "x"), ("", "x"), ("1e3", "x"), ("9999999999", "x")] {
        move_by(by, reason, &key).await.expect(422);
    }
    assert_eq!(app.stock(sku).await, 5);
    move_by("+3", "到货", &key).await.expect(303);
    move_by("+3", "到货", &key).await.expect(303);
    assert_eq!(app.stock(sku).await, 8, "a double click acts once");
    let page = packer.get(&place).await.expect(200).text;
    move_by("-8", "破损", &field(&page, "key")).await.expect(303);
    assert_eq!(alice.buys(sku, 1).await.status, 409, "memory knows it at once");
    let ledger = packer.get(&format!("/admin/shops/10001/skus/{sku}/ledger")).await;
    let ledger = ledger.expect(200).text;
    for part in ["到货", "破损", "packer", "下单", "手动调整", "初始"] {
        assert!(ledger.contains(part), "{part}: {ledger}");
    }
    let boss = Clerk::of(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    let log = boss.get("/admin/shops/10001/audit").await.expect(200).text;
    assert!(log.contains("调整库存") && log.contains("破损"));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn the_ledger_knows_what_was_there_at_any_moment() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let goods = goods_of(&app, sku).await;
    let token = token(&app, "keeper", &first(Role::Operations)).await;
    let mut then = vec![(app.clock.now(), 9)];
    for (delta, balance) in [(5, 14), (-4, 10), (-10, 0), (7, 7)] {
        app.advance(60);
        let body = json!({"moves": [{"sku_id": sku, "delta": delta}], "reason": "盘点"});
        let moved = app.post(&format!("{API}/goods/{goods}/stock"), Some(&token), body).await;
        assert_eq!(moved.expect(200).body["items"][0]["refused"], Value::Null);
        then.push((app.clock.now(), balance));
    }
    for (at, balance) in then {
        let at = jiff::Timestamp::from_millisecond(at.as_millis() + 30_000).unwrap();
        let ledger = app.get(&format!("{API}/skus/{sku}/ledger?at={at}"), Some(&token)).await;
        assert_eq!(ledger.expect(200).body["stock_then"], balance, "{at}");
    }
    let ledger =
        app.get(&format!("{API}/skus/{sku}/ledger?at=2000-01-01T00:00"), Some(&token)).await;
    assert_eq!((&ledger.body["stock_then"], &ledger.body["stock"]), (&json!(0), &json!(7)));
    assert_eq!(ledger.body["items"].as_array().unwrap().len(), 5);
    app.get(&format!("{API}/skus/{sku}/ledger?at=soon"), Some(&token)).await.expect(400);
    let body = json!({"moves": [{"sku_id": sku, "delta": -8}], "reason": "x"});
    let few = app.post(&format!("{API}/goods/{goods}/stock"), Some(&token), body).await.expect(200);
    let few = &few.body["items"][0];
    assert_eq!((&few["refused"], &few["stock"]), (&json!("not_enough"), &json!(7)));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn categories_grow_as_a_tree_without_loops_and_are_deleted_when_empty() {
    let app = TestApp::start().await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let place = "/admin/shops/10001/categories";
    let add = async |name: &str, parent: &str| {
        clerk.post(place, &[("name", name), ("parent_id", parent)]).await
    };
    add("茶叶", "").await.expect(303);
    let listed = async || app_categories(&clerk, place).await;
    let tea = listed().await[0].clone();
    add("绿茶", &tea).await.expect(303);
    let green = listed().await[1].clone();
    assert!(add("绿茶", &tea).await.expect(422).text.contains("同级已有同名分类"));
    add("", "").await.expect(422);
    add("x", "999999999").await.expect(404);
    let change = async |id: &str, name: &str, parent: &str| {
        clerk.post(&format!("{place}/{id}"), &[("name", name), ("parent_id", parent)]).await
    };
    assert!(change(&tea, "茶叶", &green).await.expect(422).text.contains("不能移到自己下面"));
    assert!(change(&tea, "茶叶", &tea).await.expect(422).text.contains("不能移到自己下面"));
    change(&green, "绿茶与白茶", &tea).await.expect(303);
    let delete = async |id: &str| clerk.post(&format!("{place}/{id}/delete"), &[]).await;
    assert!(delete(&tea).await.expect(422).text.contains("还有商品或子分类"));
    let buyers = app.get("/api/v1/categories", None).await.body;
    assert_eq!(buyers["items"][0]["children"][0]["name"], "绿茶与白茶");
    let sku = app.a_sku(100, 1).await;
    let goods = format!("{GOODS}/{}", goods_of(&app, sku).await);
    let mut form = fields(&clerk.get(&format!("{goods}/edit")).await.expect(200).text);
    set(&mut form, "category", &green);
    send(&clerk, &goods, &form).await.expect(303);
    assert!(delete(&green).await.expect(422).text.contains("还有商品或子分类"));
    let mut form = fields(&clerk.get(&format!("{goods}/edit")).await.expect(200).text);
    set(&mut form, "category", "");
    send(&clerk, &goods, &form).await.expect(303);
    delete(&green).await.expect(303);
    delete(&tea).await.expect(303);
    assert_eq!(listed().await, Vec::<String>::new());
    let boss = Clerk::of(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    let log = boss.get("/admin/shops/10001/audit").await.expect(200).text;
    assert!(log.contains("删除分类") && log.contains("绿茶与白茶"));
    app.stop().await;
}

#[actix_web::test]
async fn of_two_changes_of_the_tree_at_once_one_is_refused() {
    let app = TestApp::start().await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let place = "/admin/shops/10001/categories";
    let add = async |name: &str, parent: &str| {
        clerk.post(place, &[("name", name), ("parent_id", parent)]).await.status
    };
    let change = async |id: &str, name: &str, parent: &str| {
        let fields = [("name", name), ("parent_id", parent)];
        clerk.post(&format!("{place}/{id}"), &fields).await.status
    };
    let delete = async |id: &str| clerk.post(&format!("{place}/{id}/delete"), &[]).await.status;
    assert_eq!((add("甲", "").await, add("乙", "").await), (303, 303));
    let ids = app_categories(&clerk, place).await;
    let moved = tokio::join!(change(&ids[0], "甲", &ids[1]), change(&ids[1], "乙", &ids[0]));
    assert!(matches!(moved, (303, 422) | (422, 303)), "no loop: {moved:?}");
    let ids = app_categories(&clerk, place).await;
    let last = tokio::join!(delete(&ids[1]), add("丙", &ids[1]));
    assert!(matches!(last, (303, 404) | (422, 303)), "nothing hangs on what went: {last:?}");
    let ids = app_categories(&clerk, place).await;
    let last = ids.last().unwrap();
    let gone = tokio::join!(delete(last), change(last, "丁", ""));
    assert!(matches!(gone, (303, 404) | (303, 303)), "{gone:?}");
    app.stop().await;
}

/// The ids of the categories in the order of the page.
async fn app_categories(clerk: &Clerk<'_>, place: &str) -> Vec<String> {
    let page = clerk.get(place).await.expect(200).text;
    let ids = page.split("/delete\"").map(|before| before.rsplit('/').next().unwrap().to_owned());
    let mut ids: Vec<String> = ids.collect();
    ids.pop();
    ids
}
