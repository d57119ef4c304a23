//! Lists: sorted, searched and paged as the contract says.

use serde_json::{Value, json};

use crate::support::TestApp;

fn ids(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
}

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

/// Goods `A` to `E`; two of them cost the same.
async fn shelf(app: &TestApp) -> Vec<i64> {
    let prices = [("A", 300), ("B", 100), ("C", 500), ("D", 100), ("E", 400)];
    let goods = prices.map(|(name, price)| {
        json!({"name": format!("商品 {name}"), "skus": [
            {"code": name, "price_fen": price, "stock": 10}]})
    });
    app.seed(json!({ "goods": goods })).await
}

/// The names of a whole list, read by pages of two.
async fn paged(app: &TestApp, query: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10 {
        let path = format!("/api/v1/goods?limit=2{query}{cursor}");
        let page = app.get(&path, None).await.expect(200).body;
        all.extend(names(&page));
        match page["next_cursor"].as_str() {
            None => return all,
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
    panic!("the list has no end: {all:?}");
}

#[actix_rt::test]
async fn goods_are_sorted_by_price_and_by_sales_and_pages_leave_nothing_out() {
    let app = TestApp::start().await;
    let skus = shelf(&app).await;
    let shopper = app.shopper("alice").await;
    for (sku, pieces) in [(skus[4], 3), (skus[0], 1)] {
        let placed = shopper.buys(sku, pieces).await.expect(201);
        shopper.pays(placed.payment()).await;
    }
    let sorted = |letters: &str| -> Vec<String> {
        letters.chars().map(|letter| format!("商品 {letter}")).collect()
    };
    for (query, order) in
        [("&sort=price_asc", "DBAEC"), ("&sort=price_desc", "CEADB"), ("&sort=sales", "EADCB")]
    {
        let whole = app.get(&format!("/api/v1/goods?limit=100{query}"), None).await.expect(200);
        assert_eq!(names(&whole.body), paged(&app, query).await, "{query}");
        // Where prices or sales are equal, the newest comes first.
        assert_eq!(names(&whole.body), sorted(order), "{query}");
    }
    let whole = app.get("/api/v1/goods?limit=100", None).await.expect(200).body;
    let explicit = app.get("/api/v1/goods?limit=100&sort=default", None).await.expect(200).body;
    assert_eq!(whole, explicit);
    assert_eq!(names(&whole), paged(&app, "").await);
    app.stop().await;
}

#[actix_rt::test]
async fn a_keyword_finds_a_part_of_the_name_whatever_its_case() {
    let app = TestApp::start().await;
    shelf(&app).await;
    for (keyword, found) in [("商品", 5), ("c", 1), ("品 e", 1), ("茶", 0), ("", 5)] {
        let query: String = form_urlencoded::byte_serialize(keyword.as_bytes()).collect();
        let page = app.get(&format!("/api/v1/goods?keyword={query}"), None).await.expect(200);
        assert_eq!(page.body["items"].as_array().unwrap().len(), found, "{keyword}");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn what_is_new_neither_repeats_nor_hides_anything_on_later_pages() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 50).await;
    let alice = app.shopper("alice").await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(alice.buys(sku, 1).await.expect(201).order_id());
        app.advance(1);
    }
    let first = alice.get("/api/v1/orders?limit=2").await.expect(200).body;
    let cursor = first["next_cursor"].as_str().unwrap();
    alice.buys(sku, 1).await.expect(201);
    alice.cancels(placed[0]).await.expect(200);
    let rest = alice.get(&format!("/api/v1/orders?limit=100&cursor={cursor}")).await.expect(200);
    let seen = [ids(&first), ids(&rest.body)].concat();
    placed.reverse();
    assert_eq!(seen, placed);
    assert_eq!(rest.body["next_cursor"], Value::Null);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_page_has_twenty_items_unless_asked_and_a_hundred_at_the_most() {
    let app = TestApp::start().await;
    let goods: Vec<Value> = (0..101)
        .map(|number| {
            json!({"name": "茶", "skus": [
                {"code": format!("T{number}"), "price_fen": 1, "stock": 1}]})
        })
        .collect();
    app.seed(json!({ "goods": goods })).await;
    for (query, length) in [("", 20), ("?limit=1", 1), ("?limit=100", 100)] {
        let page = app.get(&format!("/api/v1/goods{query}"), None).await.expect(200).body;
        assert_eq!(ids(&page).len(), length);
        assert!(page["next_cursor"].is_string());
    }
    app.stop().await;
}
