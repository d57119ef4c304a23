//! The edge around the calls: other pages, proxies, limits, request ids, health and metrics.

use awc::http::Method;
use buynow::config::Config;
use serde_json::json;

use crate::support::{Reply, TestApp};

async fn preflight(app: &TestApp, origin: &str, asks_for: &str) -> Reply {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", asks_for),
    ];
    app.call(Method::OPTIONS, "/api/v1/orders", None, &headers, None).await
}

#[actix_rt::test]
async fn only_the_pages_that_the_configuration_names_may_call() {
    let allow = |config: &mut Config| config.server.cors_origins = vec!["https://shop.test".into()];
    let app = TestApp::builder().config(allow).start().await;
    let wanted = "authorization,content-type,idempotency-key,x-wx-appid";
    let allowed = preflight(&app, "https://shop.test", wanted).await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://shop.test"));
    let headers = allowed.header("access-control-allow-headers").unwrap().to_lowercase();
    assert!(wanted.split(',').all(|header| headers.contains(header)), "{headers}");
    let refused = preflight(&app, "https://evil.test", wanted).await;
    assert_eq!(refused.header("access-control-allow-origin"), None);

    let origin = [("Origin", "https://shop.test")];
    let goods = app.call(Method::GET, "/api/v1/goods", None, &origin, None).await.expect(200);
    assert_eq!(goods.header("access-control-allow-origin"), Some("https://shop.test"));
    let exposed = goods.header("access-control-expose-headers").unwrap().to_lowercase();
    assert!(exposed.contains("x-request-id") && exposed.contains("retry-after"), "{exposed}");
    // A refusal can be read by the page, too.
    let refused = app.call(Method::GET, "/api/v1/me", None, &origin, None).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://shop.test"));
    app.stop().await;
}

#[actix_rt::test]
async fn without_configuration_no_page_may_call() {
    let app = TestApp::start().await;
    let refused = preflight(&app, "https://shop.test", "authorization").await;
    assert_eq!(refused.header("access-control-allow-origin"), None);
    app.stop().await;
}

/// How many of `requests` from this client are answered before one is told to wait.
async fn answered(app: &TestApp, forwarded_for: &str, requests: usize) -> usize {
    for number in 0..requests {
        let headers = [("X-Forwarded-For", forwarded_for)];
        let reply = app.call(Method::GET, "/api/v1/goods", None, &headers, None).await;
        if reply.status == 429 {
            reply.refused(429, "rate_limited");
            return number;
        }
        reply.expect(200);
    }
    requests
}

/// Two requests at once, then one every second.
fn narrow(config: &mut Config) {
    config.server.address_requests_per_second = 1;
    config.server.address_burst = 2;
}

#[actix_rt::test]
async fn behind_a_trusted_proxy_each_client_has_a_limit_of_its_own() {
    let behind_proxy = |config: &mut Config| {
        narrow(config);
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    };
    let app = TestApp::builder().config(behind_proxy).start().await;
    assert!(answered(&app, "198.51.100.1", 100).await < 100);
    assert!(answered(&app, "198.51.100.2", 2).await >= 2);
    // What a client writes left of its own address is hearsay.
    assert!(answered(&app, "203.0.113.9, 198.51.100.3", 100).await < 100);
    assert!(answered(&app, "203.0.113.10, 198.51.100.3:4711", 1).await == 0);
    app.stop().await;
}

#[actix_rt::test]
async fn without_a_trusted_proxy_nobody_can_choose_his_address() {
    let app = TestApp::builder().config(narrow).start().await;
    let mut told_to_wait = false;
    for client in 0..100 {
        told_to_wait |= answered(&app, &format!("198.51.100.{client}"), 1).await == 0;
    }
    assert!(told_to_wait);
    // Whoever watches the server or notifies it is not limited.
    for _ in 0..5 {
        app.get("/healthz", None).await.expect(200);
        app.get("/readyz", None).await.expect(200);
        app.call(Method::POST, "/wechat/pay/v2/notify/10001", None, &[], None).await.expect(200);
    }
    app.stop().await;
}

#[actix_rt::test]
async fn wechat_is_told_the_address_of_the_buyer_and_not_of_the_proxy() {
    for (trusted, expected) in [(vec!["127.0.0.1"], "198.51.100.7"), (vec![], "127.0.0.1")] {
        let proxies = trusted.iter().map(|proxy| proxy.parse().unwrap()).collect();
        let trust = |config: &mut Config| config.server.trusted_proxies = proxies;
        let app = TestApp::builder().config(trust).start().await;
        let sku = app.a_sku(100, 9).await;
        let alice = app.shopper("alice").await;
        let body = Some(alice.order_body(&[(sku, 1)]).to_string().into());
        let headers = [
            ("Idempotency-Key", "k"),
            ("X-Forwarded-For", "203.0.113.1, [::ffff:198.51.100.7]:99"),
        ];
        alice.call(Method::POST, "/api/v1/orders", &headers, body).await.expect(201);
        let calls = app.sandbox.calls("/pay/unifiedorder");
        assert_eq!(calls.recent[0].request["spbill_create_ip"], expected);
        app.stop().await;
    }
}

#[actix_rt::test]
async fn every_answer_carries_the_id_of_its_request() {
    let app = TestApp::start().await;
    let mut seen = std::collections::BTreeSet::new();
    let large = Some(vec![b' '; 100_000]);
    for (method, path, body) in [
        (Method::GET, "/api/v1/goods", None),
        (Method::GET, "/api/v1/me", None),
        (Method::GET, "/nowhere", None),
        (Method::PUT, "/api/v1/goods", None),
        (Method::POST, "/api/v1/session", large),
        (Method::GET, "/healthz", None),
        (Method::POST, "/wechat/pay/v2/notify/10001", None),
    ] {
        let reply = app.call(method, path, None, &[("X-Request-Id", "mine")], body).await;
        let id = reply.header("x-request-id").unwrap_or_else(|| panic!("{path}: {reply:?}"));
        assert_eq!(id.len(), 32, "{path}: {id}");
        assert!(seen.insert(id.to_owned()), "{path}: {id} twice");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn what_the_engine_does_is_measured() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 1).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.buys(sku, 1).await.refused(409, "sold_out");
    alice.pays(placed.payment()).await;
    app.run_notifier().await;
    app.run_reaper().await;
    let metrics = app.get("/metrics", None).await.expect(200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    for name in [
        r#"buynow_orders_total{result="placed"}"#,
        r#"buynow_orders_total{result="sold_out"}"#,
        r#"buynow_settlements_total{result="settled"}"#,
        r#"buynow_payment_notifications_total{result="success"}"#,
        r#"buynow_messages_total{result="sent"}"#,
        "buynow_batch_members",
        "buynow_commit_seconds",
        r#"buynow_queue_depth{queue="journal"}"#,
        "buynow_outbox_waiting",
        "buynow_outbox_oldest_seconds",
        "buynow_closing_oldest_seconds",
        "buynow_refunds_oldest_seconds",
        r#"buynow_wechat_calls_total{path="/pay/unifiedorder""#,
        "buynow_http_requests_total",
        "buynow_http_seconds",
    ] {
        assert!(metrics.text.contains(name), "{name} is missing in {}", metrics.text);
    }
    for secret in [alice.token.as_str(), "13800138000", "sandboxsandbox"] {
        assert!(!metrics.text.contains(secret), "{secret}");
    }
    app.stop().await;
}

#[actix_rt::test]
async fn a_shop_that_is_up_is_ready() {
    let app = TestApp::start().await;
    let alive = app.get("/healthz", None).await.expect(200);
    assert_eq!(alive.body, json!({"status": "ok"}));
    let ready = app.get("/readyz", None).await.expect(200);
    assert_eq!(ready.body, json!({"status": "ready"}));
    app.stop().await;
}
