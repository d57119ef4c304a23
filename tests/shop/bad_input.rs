//! Requests that make no sense: refused by name, and nothing has changed afterwards.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Reply, Shopper, TestApp};

/// A shop with one unpaid order of alice's for two of nine pieces, and bob.
pub struct Shop {
    pub app: TestApp,
    pub sku: i64,
    pub alice: Shopper,
    bob: Shopper,
    pub order: Reply,
}

impl Shop {
    pub async fn open() -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku(1_000, 9).await;
        let (alice, bob) = (app.shopper("alice").await, app.shopper("bob").await);
        let order = alice.buys(sku, 2).await.expect(201);
        Self { app, sku, alice, bob, order }
    }

    /// The server lives and nothing is other than it was at the opening.
    pub async fn closes_untouched(self) {
        self.app.get("/healthz", None).await.expect(200);
        assert_eq!(self.app.stock(self.sku).await, 7);
        let order = self.alice.order(self.order.order_id()).await;
        assert_eq!(order, self.order.body["order"]);
        for (shopper, orders) in [(&self.alice, 1), (&self.bob, 0)] {
            let page = shopper.get("/api/v1/orders").await.expect(200).body;
            assert_eq!(page["items"].as_array().unwrap().len(), orders, "{}", shopper.name);
            let book = shopper.get("/api/v1/addresses").await.expect(200).body;
            assert_eq!(book["items"].as_array().unwrap().len(), 1, "{}", shopper.name);
            let me = shopper.get("/api/v1/me").await.expect(200).body;
            assert_eq!(me["nickname"], "", "{}", shopper.name);
        }
        let report = self.app.audit_is_clean().await;
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        self.app.stop().await;
    }
}

/// Every call that takes a body.
fn calls_with_a_body(shop: &Shop) -> Vec<(Method, String)> {
    let address = format!("/api/v1/addresses/{}", shop.alice.address);
    vec![
        (Method::POST, "/api/v1/session".to_owned()),
        (Method::PATCH, "/api/v1/me".to_owned()),
        (Method::POST, "/api/v1/addresses".to_owned()),
        (Method::PUT, address),
        (Method::POST, "/api/v1/checkout".to_owned()),
        (Method::POST, "/api/v1/orders".to_owned()),
        (Method::POST, "/api/v1/message-grants".to_owned()),
    ]
}

pub const KEY: [(&str, &str); 1] = [("Idempotency-Key", "bad")];

#[actix_rt::test]
async fn what_is_no_json_object_is_refused_by_every_call() {
    let shop = Shop::open().await;
    let deep_array = [vec![b'['; 30_000], vec![b']'; 30_000]].concat();
    let deep_object = [br#"{"a":"#.repeat(10_000), b"1".to_vec(), vec![b'}'; 10_000]].concat();
    let bodies: [&[u8]; 16] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"[]",
        b"[{}]",
        b"null",
        b"true",
        b"0",
        b"\"items\"",
        b"{\"items\":}",
        b"{'items':[]}",
        b"{\"x\":\"\xff\xfe\"}",
        b"\xef\xbb\xbf{}",
        &deep_array,
        &deep_object,
    ];
    for (method, path) in calls_with_a_body(&shop) {
        for body in bodies {
            let reply = shop.alice.call(method.clone(), &path, &KEY, Some(body.to_vec())).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_eq!(reply.status, 400, "{path} {shown}: {}", reply.text);
            assert_eq!(reply.code(), "invalid_request", "{path} {shown}");
            assert!(reply.body["detail"]["field"].is_string(), "{path} {shown}: {}", reply.text);
        }
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn a_field_that_is_not_known_is_refused_by_name() {
    let shop = Shop::open().await;
    let home = json!({"name": "王小明", "phone": "13800138000", "province": "广东省",
        "city": "广州市", "district": "天河区", "detail": "体育西路 1 号"});
    let order = shop.alice.order_body(&[(shop.sku, 1)]);
    let quote = json!({"items": [{"sku_id": shop.sku, "quantity": 1}]});
    let good = [
        json!({"code": "c"}),
        json!({"nickname": "x"}),
        home.clone(),
        home,
        quote,
        order,
        json!({"template_ids": []}),
    ];
    for ((method, path), mut body) in calls_with_a_body(&shop).into_iter().zip(good) {
        body["price_fen"] = json!(1);
        let reply = shop.alice.call(method, &path, &KEY, Some(body.to_string().into())).await;
        let refused = reply.refused(400, "invalid_request");
        assert_eq!(refused.body["detail"]["field"], "price_fen", "{path}");
    }
    for path in ["/api/v1/goods", "/api/v1/orders"] {
        let refused = shop.alice.get(&format!("{path}?colour=red")).await;
        assert_eq!(refused.refused(400, "invalid_request").body["detail"]["field"], "colour");
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn a_number_that_is_no_quantity_or_id_is_refused_by_its_place() {
    let shop = Shop::open().await;
    let nonsense = [
        "-1",
        "0",
        "0.5",
        "1.5",
        "1e3",
        "-0.0",
        "1e400",
        "\"1\"",
        "null",
        "true",
        "[]",
        "[1]",
        "{}",
        "-9223372036854775808",
        "9007199254740992",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "1000000000000000000000000000000",
    ];
    let item = |sku: &str, quantity: &str| format!(r#"{{"sku_id":{sku},"quantity":{quantity}}}"#);
    let order = |items: &str, address: &str| {
        format!(r#"{{"items":[{items}],"address_id":{address}}}"#).into_bytes()
    };
    let (sku, address) = (shop.sku.to_string(), shop.alice.address.to_string());
    for number in nonsense {
        for (body, field) in [
            (order(&item(&sku, number), &address), "items[0].quantity"),
            (order(&item(number, "1"), &address), "items[0].sku_id"),
            (order(&item(&sku, "1"), number), "address_id"),
            (
                order(&format!("{},{}", item(&sku, "1"), item(&sku, number)), &address),
                "items[1].quantity",
            ),
        ] {
            for path in ["/api/v1/orders", "/api/v1/checkout"] {
                let reply = shop.alice.call(Method::POST, path, &KEY, Some(body.clone())).await;
                // An address may be left out of a quote, but not named wrongly.
                if path.ends_with("checkout") && field == "address_id" && number == "null" {
                    reply.expect(200);
                    continue;
                }
                assert_eq!(
                    (reply.status, reply.code()),
                    (400, "invalid_request"),
                    "{field} {number}"
                );
                assert_eq!(reply.body["detail"]["field"], field, "{number}: {}", reply.text);
            }
        }
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn quantities_and_amounts_at_their_bounds_are_decided_and_not_wrapped() {
    let shop = Shop::open().await;
    let refused = |items: Value, status: u16, code: &'static str| {
        let body = json!({"items": items, "address_id": shop.alice.address});
        let (alice, body) = (shop.alice.clone(), body);
        async move { alice.orders_with("bad", body).await.refused(status, code) }
    };
    let item = |quantity: i64| json!({"sku_id": shop.sku, "quantity": quantity});
    refused(json!([item(99_999)]), 409, "sold_out").await;
    refused(json!([item(100_000)]), 400, "invalid_request").await;
    refused(json!([item(99_999), item(1)]), 400, "invalid_request").await;
    refused(json!(vec![item(1); 51]), 400, "invalid_request").await;
    refused(json!([]), 400, "invalid_request").await;
    for expected in [json!(-1), json!(1.5), json!("1000"), json!(9_223_372_036_854_775_808_u64)] {
        let mut body = shop.alice.order_body(&[(shop.sku, 1)]);
        body["expect_pay_fen"] = expected;
        let refused = shop.alice.orders_with("bad", body).await.refused(400, "invalid_request");
        assert_eq!(refused.body["detail"]["field"], "expect_pay_fen");
    }
    let mut body = shop.alice.order_body(&[(shop.sku, 1)]);
    body["expect_pay_fen"] = json!(i64::MAX);
    shop.alice.orders_with("bad", body).await.refused(409, "price_changed");
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn texts_that_are_too_long_or_not_texts_are_refused_by_name() {
    let shop = Shop::open().await;
    let home = json!({"name": "王小明", "phone": "13800138000", "province": "广东省",
        "city": "广州市", "district": "天河区", "detail": "体育西路 1 号"});
    for (field, longest) in [
        ("name", 64),
        ("phone", 32),
        ("province", 64),
        ("city", 64),
        ("district", 64),
        ("detail", 255),
    ] {
        let long = json!("1".repeat(longest + 1));
        for bad in [long, json!("a\u{0}b"), json!("a\nb"), json!(7), json!(null), json!(["x"])] {
            let mut body = home.clone();
            body[field] = bad.clone();
            let refused = shop.alice.post("/api/v1/addresses", body).await;
            let refused = refused.refused(400, "invalid_request");
            assert_eq!(refused.body["detail"]["field"], field, "{bad}");
        }
    }
    for (body, field) in [
        (json!({"nickname": "x".repeat(65)}), "nickname"),
        (json!({"nickname": "\u{7}"}), "nickname"),
        (json!({"avatar_url": "x".repeat(513)}), "avatar_url"),
        (json!({"nickname": 7}), "nickname"),
    ] {
        let body = Some(body.to_string().into());
        let refused = shop.alice.call(Method::PATCH, "/api/v1/me", &[], body).await;
        assert_eq!(refused.refused(400, "invalid_request").body["detail"]["field"], field);
    }
    let mut order = shop.alice.order_body(&[(shop.sku, 1)]);
    order["remark"] = json!("字".repeat(256));
    let refused = shop.alice.orders_with("bad", order).await.refused(400, "invalid_request");
    assert_eq!(refused.body["detail"]["field"], "remark");
    for code in [json!(""), json!(" "), json!("x".repeat(129)), json!(7)] {
        let refused = shop.app.post("/api/v1/session", None, json!({ "code": code })).await;
        assert_eq!(refused.refused(400, "invalid_request").body["detail"]["field"], "code");
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn a_body_that_is_too_large_is_refused_unread() {
    let shop = Shop::open().await;
    let large = vec![b' '; 10 << 20];
    for (method, path) in calls_with_a_body(&shop) {
        let reply = shop.alice.call(method, &path, &KEY, Some(large.clone())).await;
        assert_eq!(reply.status, 413, "{path}");
        assert_eq!(reply.code(), "too_large", "{path}");
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn bodies_in_other_forms_than_plain_json_are_refused() {
    let shop = Shop::open().await;
    let order = shop.alice.order_body(&[(shop.sku, 1)]).to_string().into_bytes();
    for (headers, body) in [
        (("content-type", "application/x-www-form-urlencoded"), b"sku_id=1&quantity=1".to_vec()),
        (("content-type", "application/xml"), b"<xml><sku_id>1</sku_id></xml>".to_vec()),
        (("content-type", "multipart/form-data; boundary=x"), b"--x\r\n\r\n1\r\n--x--".to_vec()),
        (("content-type", "application/json; charset=utf-16"), b"\xff\xfe{\x00}\x00".to_vec()),
        (("content-encoding", "gzip"), order.clone()),
        (("content-encoding", "br"), order),
    ] {
        let headers = [KEY[0], headers];
        let reply = shop.alice.call(Method::POST, "/api/v1/orders", &headers, Some(body)).await;
        reply.refused(400, "invalid_request");
    }
    shop.closes_untouched().await;
}

/// Every call that is for buyers only, with a body that is good where it takes one.
fn calls_of_a_buyer(shop: &Shop) -> Vec<(Method, String, Option<Value>)> {
    let id = shop.order.order_id();
    let address = format!("/api/v1/addresses/{}", shop.alice.address);
    let home = json!({"name": "eve", "phone": "13800138000", "province": "广东省",
        "city": "广州市", "detail": "1"});
    let order = shop.alice.order_body(&[(shop.sku, 1)]);
    let quote = json!({"items": [{"sku_id": shop.sku, "quantity": 1}]});
    let path = |path: &str| path.to_owned();
    vec![
        (Method::DELETE, path("/api/v1/session"), None),
        (Method::GET, path("/api/v1/me"), None),
        (Method::PATCH, path("/api/v1/me"), Some(json!({"nickname": "eve"}))),
        (Method::GET, path("/api/v1/addresses"), None),
        (Method::POST, path("/api/v1/addresses"), Some(home.clone())),
        (Method::PUT, address.clone(), Some(home)),
        (Method::DELETE, address.clone(), None),
        (Method::PUT, format!("{address}/default"), None),
        (Method::POST, path("/api/v1/checkout"), Some(quote)),
        (Method::POST, path("/api/v1/orders"), Some(order)),
        (Method::GET, path("/api/v1/orders"), None),
        (Method::GET, format!("/api/v1/orders/{id}"), None),
        (Method::GET, format!("/api/v1/orders/by-no/{}", shop.order.order_no()), None),
        (Method::POST, format!("/api/v1/orders/{id}/payment"), None),
        (Method::POST, format!("/api/v1/orders/{id}/cancel"), None),
        (Method::POST, path("/api/v1/message-grants"), Some(json!({"template_ids": []}))),
    ]
}

#[actix_rt::test]
async fn without_a_good_token_no_call_of_a_buyer_is_answered() {
    let shop = Shop::open().await;
    let revoked = shop.app.shopper("carol").await;
    let log_out = revoked.call(Method::DELETE, "/api/v1/session", &[], None).await;
    log_out.expect(204);
    let revoked = format!("Bearer {}", revoked.token);
    let basic = format!("Basic {}", shop.alice.token);
    let (half, twice) = (&shop.alice.token[..20], [shop.alice.token.as_str(); 4].concat());
    let (half, twice) = (format!("Bearer {half}"), format!("Bearer {twice}"));
    let bare = shop.alice.token.clone();
    let tokens: [&str; 10] = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer ' OR 1=1 --",
        &revoked,
        &basic,
        &half,
        &twice,
        &bare,
    ];
    for (method, path, body) in calls_of_a_buyer(&shop) {
        let body: Option<Vec<u8>> = body.map(|body| body.to_string().into());
        let strange = shop.app.call(method.clone(), &path, None, &KEY, body.clone()).await;
        assert_eq!((strange.status, strange.code()), (401, "unauthorized"), "{method} {path}");
        for token in tokens {
            let headers = [KEY[0], ("Authorization", token)];
            let reply = shop.app.call(method.clone(), &path, None, &headers, body.clone()).await;
            let said = (reply.status, reply.code());
            assert_eq!(said, (401, "unauthorized"), "{method} {path} with {token:?}");
        }
    }
    shop.closes_untouched().await;
}

/// Who is not logged in learns nothing of what else is wrong; who is, does.
#[actix_rt::test]
async fn who_is_not_logged_in_hears_that_first() {
    let shop = Shop::open().await;
    let token = shop.alice.token.clone();
    for (method, path) in [
        (Method::PATCH, "/api/v1/me"),
        (Method::POST, "/api/v1/checkout"),
        (Method::POST, "/api/v1/orders"),
        (Method::GET, "/api/v1/orders?limit=x"),
        (Method::GET, "/api/v1/orders/x"),
        (Method::PUT, "/api/v1/addresses/x"),
        (Method::POST, "/api/v1/orders/0/cancel"),
    ] {
        let body = (method != Method::GET).then(|| b"{".to_vec());
        let call = |token| shop.app.call(method.clone(), path, Some(token), &KEY, body.clone());
        call("unknown").await.refused(401, "unauthorized");
        call(token.as_str()).await.refused(400, "invalid_request");
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn a_token_is_good_for_thirty_days_and_no_longer() {
    let app = TestApp::start().await;
    let alice = app.shopper("alice").await;
    app.advance(30 * 24 * 3600 - 1);
    alice.get("/api/v1/me").await.expect(200);
    app.advance(1);
    alice.get("/api/v1/me").await.refused(401, "unauthorized");
    app.stop().await;
}

#[actix_rt::test]
async fn cancelling_what_is_not_ones_own_costs_the_journal_nothing() {
    let shop = Shop::open().await;
    let entries = async || shop.app.journal.snapshot().await.unwrap().entries;
    let before = entries().await;
    for id in [shop.order.order_id(), 9_007_199_254_740_991] {
        shop.bob.cancels(id).await.refused(404, "not_found");
    }
    assert_eq!(entries().await, before);
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn another_buyers_order_and_address_are_not_found() {
    let shop = Shop::open().await;
    let (id, number) = (shop.order.order_id(), shop.order.order_no());
    let address = format!("/api/v1/addresses/{}", shop.alice.address);
    let home = json!({"name": "bob", "phone": "13800138000", "province": "广东省",
        "city": "广州市", "detail": "1"});
    let home = Some(home.to_string().into_bytes());
    for (method, path, body) in [
        (Method::GET, format!("/api/v1/orders/{id}"), None),
        (Method::GET, format!("/api/v1/orders/{id}?refresh=true"), None),
        (Method::GET, format!("/api/v1/orders/by-no/{number}"), None),
        (Method::POST, format!("/api/v1/orders/{id}/payment"), None),
        (Method::POST, format!("/api/v1/orders/{id}/cancel"), None),
        (Method::PUT, address.clone(), home),
        (Method::DELETE, address.clone(), None),
        (Method::PUT, format!("{address}/default"), None),
    ] {
        let reply = shop.bob.call(method, &path, &[], body).await;
        assert_eq!((reply.status, reply.code()), (404, "not_found"), "{path}");
        assert!(!reply.text.contains("13800138000"), "{path}");
    }
    let theirs = shop.alice.order_body(&[(shop.sku, 1)]);
    let refused = shop.bob.orders_with("bad", theirs.clone()).await.refused(404, "not_found");
    assert_eq!(refused.body["detail"]["field"], "address_id");
    let refused = shop.bob.post("/api/v1/checkout", theirs).await.refused(404, "not_found");
    assert_eq!(refused.body["detail"]["field"], "address_id");
    let asked = shop.app.sandbox.calls("/pay/orderquery").count;
    assert_eq!(asked, 0, "a stranger makes nobody ask WeChat");
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn paths_and_questions_without_sense_are_refused() {
    let shop = Shop::open().await;
    for (path, status) in [
        ("/api/v1/orders/0", 400),
        ("/api/v1/orders/-1", 400),
        ("/api/v1/orders/1.0", 400),
        ("/api/v1/orders/9007199254740992", 400),
        ("/api/v1/orders/99999999999999999999999999", 400),
        ("/api/v1/orders/%00", 400),
        ("/api/v1/orders/%ff", 400),
        ("/api/v1/orders/1%2F2", 400),
        ("/api/v1/orders/1'%20OR%20'1'='1", 400),
        ("/api/v1/orders/9007199254740991", 404),
        ("/api/v1/orders/by-no/x", 404),
        ("/api/v1/orders/by-no/%E4%B8%AD", 404),
        ("/api/v1/orders/by-no/'%20OR%201=1", 404),
        ("/api/v1/orders/1/2/3", 404),
        ("/api/v1//orders", 404),
        ("/api/v2/orders", 404),
        ("/api/v1/orders?refund=none", 400),
        ("/api/v1/orders?state=Unpaid", 400),
        ("/api/v1/orders?limit=-1", 400),
        ("/api/v1/orders?limit=1e1", 400),
        ("/api/v1/orders?limit=5&limit=5", 400),
        ("/api/v1/orders?cursor=%00", 400),
        ("/api/v1/orders?cursor=b3JkZXJzLjEuMQ==", 400),
        ("/api/v1/goods?sort=price;drop%20table%20goods", 400),
        ("/api/v1/goods?category_id=0", 400),
        ("/api/v1/goods?keyword=%00", 400),
        ("/api/v1/goods/%F0%9F%8D%B5", 400),
    ] {
        let reply = shop.alice.get(path).await;
        let code = if status == 404 { "not_found" } else { "invalid_request" };
        assert_eq!((reply.status, reply.code()), (status, code), "{path}: {}", reply.text);
    }
    for keyword in ["%25", "_", "%27%20OR%201=1--", "%5C", "%22"] {
        let path = format!("/api/v1/goods?keyword={keyword}");
        let page = shop.alice.get(&path).await.expect(200).body;
        assert_eq!(page["items"], json!([]), "{keyword} is no part of a name");
    }
    shop.closes_untouched().await;
}

#[actix_rt::test]
async fn a_method_that_a_path_does_not_have_is_not_allowed() {
    let shop = Shop::open().await;
    for (method, path) in [
        (Method::DELETE, "/api/v1/orders"),
        (Method::PUT, "/api/v1/orders"),
        (Method::GET, "/api/v1/session"),
        (Method::POST, "/api/v1/goods"),
        (Method::POST, "/healthz"),
        (Method::GET, "/wechat/pay/v2/notify/10001"),
    ] {
        let reply = shop.alice.call(method.clone(), path, &[], None).await;
        assert_eq!((reply.status, reply.code()), (405, "invalid_request"), "{method} {path}");
    }
    shop.closes_untouched().await;
}
