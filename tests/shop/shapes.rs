//! The JSON of each call has the fields of the contract, no fewer and no more; lists are sorted,
//! searched and paged as it says.

use std::collections::BTreeSet;

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Shopper, TestApp};

const ORDER: &str = "id order_no state closing goods_fen freight_fen discount_fen adjust_fen pay_fen \
    refund remark lines address shipments express transaction_id created_at expires_at paid_at \
    shipped_at completed_at closed_at close_reason";
const LINE: &str = "id goods_id sku_id goods_name attr image_url price_fen quantity total_fen";
const PLACE: &str = "name phone province city district detail";
const ADDRESS: &str = "id name phone province city district detail is_default";
const PAYMENT: &str = "timeStamp nonceStr package signType paySign";
const GOODS_ITEM: &str = "id name image_url price_min_fen price_max_fen sales sold_out";
const GOODS: &str =
    "id name images blocks content deduct_stock status specs skus sale limit_per_user";
const SKU: &str = "id spec_value_ids attr code price_fen line_price_fen stock weight_g image_url";

/// The object has exactly these fields.
#[track_caller]
fn has(object: &Value, fields: &str) {
    let found = object.as_object().unwrap_or_else(|| panic!("no object: {object}"));
    let found: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(found, fields.split_whitespace().collect(), "{object}");
}

/// All values at the name are whole numbers, below 2^53 as every number of the API.
#[track_caller]
fn whole_numbers(value: &Value) {
    match value {
        Value::Number(number) => {
            let small = number.as_i64().is_some_and(|number| number.abs() < 1 << 53);
            assert!(small, "{number}");
        }
        Value::Array(items) => items.iter().for_each(whole_numbers),
        Value::Object(fields) => fields.values().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[track_caller]
fn is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let parsed: jiff::Timestamp = text.parse().unwrap();
    assert!(text.ends_with('Z'), "{text} {parsed}");
}

fn ids(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
}

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

fn shirt() -> Value {
    json!({"name": "T 恤", "code": "SHIRT", "category": "服装", "content": "<p>棉</p>",
        "images": ["https://img/1.png", "https://img/2.png"], "limit_per_user": 4,
        "specs": [{"name": "颜色", "values": ["红", "蓝"]}, {"name": "尺码", "values": ["S", "M"]}],
        "skus": [
            {"code": "SHIRT-RS", "attr": "红 S", "price_fen": 5_000, "line_price_fen": 8_000,
             "stock": 3, "weight_g": 200, "image_url": "https://img/red.png"},
            {"code": "SHIRT-BM", "attr": "蓝 M", "price_fen": 6_000, "stock": 0}]})
}

#[actix_rt::test]
async fn goods_look_as_the_contract_says() {
    let app = TestApp::start().await;
    let skus = app.seed(json!({ "goods": [shirt()] })).await;
    let page = app.get("/api/v1/goods", None).await.expect(200).body;
    has(&page, "items next_cursor");
    assert_eq!(page["next_cursor"], Value::Null);
    let item = &page["items"][0];
    has(item, GOODS_ITEM);
    assert_eq!(item["image_url"], "https://img/1.png");
    assert_eq!((&item["price_min_fen"], &item["price_max_fen"]), (&json!(5_000), &json!(6_000)));
    assert_eq!((&item["sales"], &item["sold_out"]), (&json!(0), &json!(false)));

    let goods = app.get(&format!("/api/v1/goods/{}", item["id"]), None).await.expect(200).body;
    has(&goods, GOODS);
    whole_numbers(&goods);
    assert_eq!(goods["images"], json!(["https://img/1.png", "https://img/2.png"]));
    assert_eq!((&goods["deduct_stock"], &goods["status"]), (&json!("order"), &json!("on_sale")));
    assert_eq!((&goods["sale"], &goods["limit_per_user"]), (&Value::Null, &json!(4)));
    let specs = goods["specs"].as_array().unwrap();
    specs.iter().for_each(|spec| has(spec, "id name values"));
    let value = |spec: usize, value: usize| &specs[spec]["values"][value];
    has(value(0, 0), "id value");
    assert_eq!(value(1, 1)["value"], "M");
    has(&goods["skus"][0], SKU);
    let chosen = json!([value(0, 0)["id"], value(1, 0)["id"]]);
    let red = json!({"id": skus[0], "spec_value_ids": chosen, "attr": "红 S", "code": "SHIRT-RS",
        "price_fen": 5_000, "line_price_fen": 8_000, "stock": 3, "weight_g": 200,
        "image_url": "https://img/red.png"});
    assert_eq!(goods["skus"][0], red);
    app.stop().await;
}

#[actix_rt::test]
async fn goods_that_are_off_sale_are_not_listed_and_say_so() {
    let app = TestApp::start().await;
    app.seed(json!({ "goods": [shirt()] })).await;
    let page = app.get("/api/v1/goods", None).await.expect(200).body;
    let id = ids(&page)[0];
    let mut off = shirt();
    off["on_sale"] = json!(false);
    app.seed(json!({ "goods": [off] })).await;
    let page = app.get("/api/v1/goods", None).await.expect(200).body;
    assert_eq!(page["items"], json!([]));
    let goods = app.get(&format!("/api/v1/goods/{id}"), None).await.expect(200).body;
    assert_eq!(goods["status"], "off_sale");
    app.stop().await;
}

#[actix_rt::test]
async fn categories_are_a_tree_and_narrow_the_list() {
    let app = TestApp::start().await;
    let tea = json!({"name": "龙井茶", "category": "茶", "skus": [
        {"code": "TEA", "price_fen": 1, "stock": 1}]});
    app.seed(json!({ "goods": [shirt(), tea] })).await;
    let tree = app.get("/api/v1/categories", None).await.expect(200).body;
    has(&tree, "items");
    let items = tree["items"].as_array().unwrap();
    items.iter().for_each(|item| has(item, "id name image_url children"));
    assert_eq!(names(&tree).into_iter().collect::<BTreeSet<_>>().len(), 2);
    for category in items {
        let path = format!("/api/v1/goods?category_id={}", category["id"]);
        let page = app.get(&path, None).await.expect(200).body;
        let wanted = if category["name"] == "茶" { "龙井茶" } else { "T 恤" };
        assert_eq!(names(&page), [wanted]);
    }
    let none = app.get("/api/v1/goods?category_id=9999999", None).await.expect(200).body;
    assert_eq!(none["items"], json!([]));
    app.stop().await;
}

#[actix_rt::test]
async fn the_buyer_and_his_address_book_look_as_the_contract_says() {
    let app = TestApp::start().await;
    let code = app.sandbox.login(None, "dora").unwrap().code;
    let session = app.post("/api/v1/session", None, json!({ "code": code })).await.expect(200).body;
    has(&session, "token expires_at user");
    has(&session["user"], "id nickname avatar_url");
    assert_eq!(session["expires_at"], "2026-12-25T10:00:00Z");

    let alice = app.shopper("alice").await;
    let sku = app.a_sku(100, 9).await;
    alice.buys(sku, 1).await.expect(201);
    let paid = alice.buys(sku, 1).await.expect(201);
    alice.pays(paid.payment()).await;
    let closed = alice.buys(sku, 1).await.expect(201);
    alice.cancels(closed.order_id()).await.expect(200);
    let me = alice.get("/api/v1/me").await.expect(200).body;
    has(&me, "id nickname avatar_url order_counts");
    assert_eq!(me["order_counts"], json!({"unpaid": 1, "paid": 1, "shipped": 0}));
    let patch = json!({"nickname": "小红", "avatar_url": "https://img/a.png"});
    let changed = alice.call(Method::PATCH, "/api/v1/me", &[], Some(patch.to_string().into()));
    let changed = changed.await.expect(200).body;
    assert_eq!((&changed["nickname"], &changed["id"]), (&json!("小红"), &me["id"]));
    let patch = Some(json!({"nickname": "小明"}).to_string().into());
    let changed = alice.call(Method::PATCH, "/api/v1/me", &[], patch).await.expect(200).body;
    assert_eq!(changed["avatar_url"], "https://img/a.png", "what is left out stays");

    let book = alice.get("/api/v1/addresses").await.expect(200).body;
    has(&book, "items");
    has(&book["items"][0], ADDRESS);
    assert_eq!(book["items"][0]["is_default"], true, "the first is the default");
    app.stop().await;
}

/// Ids of the address book, and which of them are the default.
async fn book(shopper: &Shopper) -> (Vec<i64>, Vec<i64>) {
    let book = shopper.get("/api/v1/addresses").await.expect(200).body;
    let items = book["items"].as_array().unwrap().iter();
    let default = items.filter(|item| item["is_default"] == true);
    let default = default.map(|item| item["id"].as_i64().unwrap()).collect();
    (ids(&book), default)
}

#[actix_rt::test]
async fn one_address_is_the_default_and_it_is_the_one_that_is_quoted() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let home = json!({"name": "王小明", "phone": "13800138000", "province": "重庆市",
        "city": "重庆市", "detail": "解放碑 1 号", "is_default": true});
    let second = alice.post("/api/v1/addresses", home.clone()).await.expect(201).body;
    has(&second, ADDRESS);
    assert_eq!(second["district"], "", "some cities have none");
    let second = second["id"].as_i64().unwrap();
    assert_eq!(book(&alice).await.1, [second]);
    let quote = json!({"items": [{"sku_id": sku, "quantity": 1}]});
    let quoted = alice.post("/api/v1/checkout", quote.clone()).await.expect(200).body;
    assert_eq!(quoted["address"]["id"], second);

    let first = format!("/api/v1/addresses/{}/default", alice.address);
    alice.call(Method::PUT, &first, &[], None).await.expect(200);
    assert_eq!(book(&alice).await.1, [alice.address]);
    // Replacing an address does not take the default away from it.
    let mut moved = home;
    moved["is_default"] = json!(false);
    let path = format!("/api/v1/addresses/{}", alice.address);
    let moved = alice.call(Method::PUT, &path, &[], Some(moved.to_string().into())).await;
    assert_eq!(moved.expect(200).body["is_default"], true);
    alice.call(Method::DELETE, &path, &[], None).await.expect(204);
    assert_eq!(book(&alice).await.0, [second]);
    alice.call(Method::DELETE, &path, &[], None).await.refused(404, "not_found");
    app.stop().await;
}

#[actix_rt::test]
async fn a_quote_looks_as_the_contract_says_and_has_no_effect() {
    let change = |config: &mut buynow::config::Config| {
        config.wxapp.freight_fen = 800;
        config.wxapp.free_freight_from_fen = Some(10_000);
    };
    let app = TestApp::builder().config(change).start().await;
    let skus = app.seed(json!({ "goods": [shirt()] })).await;
    let alice = app.shopper("alice").await;
    let quote = |quantity: i64| {
        let body = json!({"items": [{"sku_id": skus[0], "quantity": quantity},
            {"sku_id": skus[1], "quantity": 1}], "address_id": alice.address});
        alice.post("/api/v1/checkout", body)
    };
    let quoted = quote(4).await.expect(200).body;
    has(&quoted, "lines goods_fen freight_fen discount_fen pay_fen address deliverable problems");
    whole_numbers(&quoted);
    has(&quoted["address"], ADDRESS);
    let line = &quoted["lines"][0];
    has(line, "goods_id sku_id goods_name attr image_url price_fen quantity total_fen stock");
    assert_eq!((&line["total_fen"], &line["stock"]), (&json!(20_000), &json!(3)));
    assert_eq!((&quoted["freight_fen"], &quoted["pay_fen"]), (&json!(0), &json!(26_000)));
    let problems = quoted["problems"].as_array().unwrap();
    problems.iter().for_each(|problem| has(problem, "code sku_id message"));
    let problems: Vec<_> = problems.iter().map(|p| (&p["code"], &p["sku_id"])).collect();
    let sold_out = json!("sold_out");
    assert_eq!(problems, [(&sold_out, &json!(skus[0])), (&sold_out, &json!(skus[1]))]);

    let small = json!({"items": [{"sku_id": skus[0], "quantity": 1}]});
    let small = alice.post("/api/v1/checkout", small).await.expect(200).body;
    assert_eq!((&small["freight_fen"], &small["pay_fen"]), (&json!(800), &json!(5_800)));
    assert_eq!(small["problems"], json!([]));
    assert_eq!(app.stock(skus[0]).await, 3);
    let mut off = shirt();
    off["on_sale"] = json!(false);
    app.seed(json!({ "goods": [off] })).await;
    app.advance(1);
    let gone = quote(1).await.expect(200).body;
    assert_eq!(gone["problems"][0]["code"], "off_sale");
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_looks_as_the_contract_says_in_every_state() {
    let app = TestApp::start().await;
    let skus = app.seed(json!({ "goods": [shirt()] })).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(skus[0], 1).await.expect(201);
    has(&placed.body, "order payment payment_error");
    has(placed.payment(), PAYMENT);
    let stamp = placed.payment()["timeStamp"].as_str().unwrap();
    assert_eq!(stamp.parse::<i64>().unwrap(), app.clock.now().as_millis() / 1000);
    assert!(placed.payment()["package"].as_str().unwrap().starts_with("prepay_id="));
    let again = alice.asks_to_pay(placed.order_id()).await.expect(200).body;
    has(&again, PAYMENT);
    let paid = alice.buys(skus[0], 1).await.expect(201);
    app.advance(5);
    let outcome = alice.pays(paid.payment()).await;
    let closed = alice.buys(skus[0], 1).await.expect(201);
    alice.cancels(closed.order_id()).await.expect(200);

    for (id, state, reason) in [
        (placed.order_id(), "unpaid", Value::Null),
        (paid.order_id(), "paid", Value::Null),
        (closed.order_id(), "closed", json!("buyer")),
    ] {
        let order = alice.order(id).await;
        has(&order, ORDER);
        whole_numbers(&order);
        has(&order["refund"], "state refunded_fen");
        has(&order["address"], PLACE);
        has(&order["lines"][0], LINE);
        assert_eq!((&order["state"], &order["close_reason"]), (&json!(state), &reason));
        is_time(&order["created_at"]);
        is_time(&order["expires_at"]);
        assert_eq!(order["paid_at"].is_string(), state == "paid", "{order}");
        assert_eq!(order["closed_at"].is_string(), state == "closed", "{order}");
        let number = order["order_no"].as_str().unwrap();
        assert_eq!((&number[..8], number.len()), ("20261125", 24), "Beijing's day and 16 digits");
    }
    let order = alice.order(paid.order_id()).await;
    assert_eq!(order["transaction_id"].as_str(), outcome.transaction_id.as_deref());
    assert_eq!(order["lines"][0]["image_url"], "https://img/red.png");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn orders_are_listed_by_state_and_by_refunds_under_way() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let unpaid = alice.buys(sku, 1).await.expect(201).order_id();
    let paid = alice.buys(sku, 1).await.expect(201);
    alice.pays(paid.payment()).await;
    let closed = alice.buys(sku, 1).await.expect(201);
    let double = alice.buys(sku, 1).await.expect(201);
    alice.acts(double.payment(), buynow::sandbox::PayAction::Twice).await;
    alice.cancels(closed.order_id()).await.expect(200);
    let (paid, closed, double) = (paid.order_id(), closed.order_id(), double.order_id());
    for (query, expected) in [
        ("", vec![double, closed, paid, unpaid]),
        ("?state=unpaid", vec![unpaid]),
        ("?state=paid", vec![double, paid]),
        ("?state=shipped", vec![]),
        ("?state=completed", vec![]),
        ("?state=closed", vec![closed]),
        ("?state=refunded", vec![]),
        ("?refund=open", vec![double]),
        ("?state=closed&refund=open", vec![]),
    ] {
        let page = alice.get(&format!("/api/v1/orders{query}")).await.expect(200).body;
        has(&page, "items next_cursor");
        page["items"].as_array().unwrap().iter().for_each(|order| has(order, ORDER));
        assert_eq!(ids(&page), expected, "{query}");
    }
    app.finish_refunds().await;
    let page = alice.get("/api/v1/orders?refund=open").await.expect(200).body;
    assert_eq!(page["items"], json!([]));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_is_found_by_the_number_of_any_of_its_attempts() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let refuse = buynow::sandbox::Fault::refuse("/pay/unifiedorder", "NOAUTH");
    app.sandbox.fault(refuse).unwrap();
    let placed = alice.buys(sku, 1).await.expect(201);
    assert_eq!(placed.body["payment_error"]["code"], "wechat_error");
    // The first attempt was refused for good; the second has a number of its own.
    let payment = alice.asks_to_pay(placed.order_id()).await.expect(200).body;
    let number = alice.pays(&payment).await.out_trade_no.unwrap();
    assert_ne!(number, placed.order_no());
    assert!(number.starts_with(&format!("{}-", placed.order_no())), "{number}");
    for number in [number, placed.order_no()] {
        let found = alice.get(&format!("/api/v1/orders/by-no/{number}")).await.expect(200).body;
        assert_eq!(found["id"], placed.order_id());
        has(&found, ORDER);
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn message_templates_are_those_of_what_buyers_are_told() {
    let app = TestApp::start().await;
    let templates = app.get("/api/v1/message-templates", None).await.expect(200).body;
    has(&templates, "items");
    let items = templates["items"].as_array().unwrap();
    items.iter().for_each(|item| has(item, "event template_id"));
    let events: Vec<&str> = items.iter().map(|item| item["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["order_paid", "order_refunded", "order_shipped"]);
    app.stop().await;
}

/// The calls of the contract that are served now, with a path that reaches each.
const ROUTES: [(&str, &str); 25] = [
    ("POST", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
    ("GET", "/api/v1/me"),
    ("PATCH", "/api/v1/me"),
    ("GET", "/api/v1/categories"),
    ("GET", "/api/v1/goods"),
    ("GET", "/api/v1/goods/{id}"),
    ("GET", "/api/v1/addresses"),
    ("POST", "/api/v1/addresses"),
    ("PUT", "/api/v1/addresses/{id}"),
    ("DELETE", "/api/v1/addresses/{id}"),
    ("PUT", "/api/v1/addresses/{id}/default"),
    ("POST", "/api/v1/checkout"),
    ("POST", "/api/v1/orders"),
    ("GET", "/api/v1/orders"),
    ("GET", "/api/v1/orders/{id}"),
    ("GET", "/api/v1/orders/by-no/{out_trade_no}"),
    ("POST", "/api/v1/orders/{id}/payment"),
    ("POST", "/api/v1/orders/{id}/cancel"),
    ("POST", "/api/v1/orders/{id}/receipt"),
    ("GET", "/api/v1/message-templates"),
    ("POST", "/api/v1/message-grants"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
];

#[actix_rt::test]
async fn the_openapi_document_lists_exactly_the_calls_that_are_served() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json", None).await.expect(200).body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut listed = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap().iter();
    // Staff's calls are compared with their routes where each is called by each role: tests/admin.
    for (path, item) in paths.filter(|(path, _)| !path.starts_with("/api/admin/")) {
        let methods = item.as_object().unwrap().keys();
        listed.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
    }
    let expected = ROUTES.iter().map(|(method, path)| ((*method).into(), (*path).into()));
    assert_eq!(listed, expected.collect::<BTreeSet<(String, String)>>());
    for path in listed.iter().map(|(_, path)| path).collect::<BTreeSet<_>>() {
        let reachable = path.replace("{id}", "7").replace("{out_trade_no}", "1234567");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let sent: Method = method.parse().unwrap();
            let reply = app.call(sent, &reachable, None, &[], None).await;
            let served = reply.status != 405 && reply.body["detail"]["field"] != "path";
            let is_listed = listed.contains(&(method.to_owned(), path.clone()));
            assert_eq!(served, is_listed, "{method} {path}: {} {}", reply.status, reply.text);
        }
    }
    app.stop().await;
}

#[actix_rt::test]
async fn what_the_document_says_of_order_and_payment_is_what_is_answered() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json", None).await.expect(200).body;
    let schemas = &document["components"]["schemas"];
    for (schema, fields) in [
        ("Order", ORDER),
        ("OrderLine", LINE),
        ("OrderAddress", PLACE),
        ("Payment", PAYMENT),
        ("Shipment", "company_code company number lines shipped_at"),
        ("ShippedLine", "order_goods_id quantity"),
        ("Express", "company number"),
        ("GoodsItem", GOODS_ITEM),
        ("Goods", GOODS),
        ("Sku", SKU),
        ("Address", ADDRESS),
        ("Problem", "type title status code message detail"),
    ] {
        has(&schemas[schema]["properties"], fields);
    }
    app.stop().await;
}
