//! What somebody tries who wants more than he has.

use std::collections::BTreeSet;

use awc::http::Method;
use buynow::config::Cidr;
use buynow::domain::staff::{Role, Scope};
use buynow::store::staff;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::clerk::{Clerk, PASSWORD, account, form_token};
use crate::logged::token;
use crate::orders::{ORDERS, first, paid};
use crate::support::{Reply, TestApp};

const OWNER: &[(Scope, Role)] = &[(Scope::All, Role::Owner)];
const API: &str = "/api/admin/v1/shops/10001/orders";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[actix_web::test]
async fn a_path_in_disguise_is_not_there() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["orders.read"]).await;
    app.get(&format!("{API}/views"), Some(&token)).await.expect(200);
    // The router takes it for the word, the table of rights for an id.
    app.get(&format!("{API}/%76iews"), Some(&token)).await.refused(404, "not_found");
    boss.get("/admin/m%65").await.expect(404);
    app.stop().await;
}

/// A log-in as it comes over a proxy from this address.
async fn tries(clerk: &Clerk<'_>, login: &str, password: &str, from: &str) -> Reply {
    let headers = [FORM, ("x-forwarded-for", from)];
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("login", login), ("password", password)]);
    let body = Some(form.finish().into_bytes());
    clerk.call(Method::POST, "/admin/login", &headers, body).await
}

async fn behind_a_proxy() -> TestApp {
    let local: Cidr = "127.0.0.1".parse().unwrap();
    TestApp::builder().config(|config| config.server.trusted_proxies = vec![local]).start().await
}

#[actix_web::test]
async fn strangers_everywhere_do_not_lock_a_known_browser_out() {
    let app = behind_a_proxy().await;
    account(&app, "boss", OWNER).await;
    let (boss, stranger) = (Clerk::new(&app), Clerk::new(&app));
    tries(&boss, "boss", PASSWORD, "192.0.2.1").await.expect(303);
    for number in 0..20 {
        let from = format!("198.51.100.{number}");
        tries(&stranger, "boss", "wrong password", &from).await.expect(422);
    }
    tries(&stranger, "boss", PASSWORD, "198.51.100.99").await.expect(429);
    tries(&boss, "boss", PASSWORD, "192.0.2.1").await.expect(303);
    app.stop().await;
}

#[actix_web::test]
async fn ones_own_log_in_buys_no_more_tries_at_others() {
    let app = behind_a_proxy().await;
    account(&app, "mallory", &first(Role::ReadOnly)).await;
    let mallory = Clerk::new(&app);
    for number in 0..29 {
        let login = format!("somebody-{number}");
        tries(&mallory, &login, "wrong password", "192.0.2.7").await.expect(422);
    }
    tries(&mallory, "mallory", PASSWORD, "192.0.2.7").await.expect(303);
    tries(&mallory, "somebody-30", "wrong password", "192.0.2.7").await.expect(422);
    tries(&mallory, "somebody-31", "wrong password", "192.0.2.7").await.expect(429);
    app.stop().await;
}

#[actix_web::test]
async fn the_addresses_of_one_line_are_one() {
    let app = behind_a_proxy().await;
    let stranger = Clerk::new(&app);
    let mut statuses = BTreeSet::new();
    for number in 0..32 {
        let from = format!("2001:db8:1:2::{number:x}");
        let login = format!("somebody-{number}");
        statuses.insert(tries(&stranger, &login, "wrong password", &from).await.status);
    }
    assert_eq!(statuses, BTreeSet::from([422, 429]));
    tries(&stranger, "somebody", "wrong password", "2001:db8:1:3::1").await.expect(422);
    app.stop().await;
}

#[actix_web::test]
async fn a_log_in_ends_the_session_that_the_browser_had() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let before = boss.cookie("buynow_admin").unwrap();
    boss.logs_in("boss", PASSWORD).await.expect(303);
    let thief = Clerk::new(&app);
    thief.set_cookie("buynow_admin", &before);
    thief.get("/admin/me").await.expect(303);
    boss.get("/admin/me").await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn a_page_opens_no_secret_that_was_sealed_elsewhere() {
    let app = TestApp::start().await;
    let mallory = Clerk::of(&app, "mallory", &first(Role::ReadOnly)).await;
    // As it stands in a copy of the database: the codes of somebody else.
    let sealed = buynow::app::sealer(app.config()).unwrap();
    let secret = SecretString::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let sealed = sealed.seal(&secret).unwrap();
    mallory.get("/admin/me").await.expect(200);
    let fields = [("sealed", sealed.as_str()), ("password", "wrong"), ("code", "000000")];
    let page = mallory.post("/admin/me/two-step", &fields).await;
    assert!(!page.text.contains(secret.expose_secret()), "{}", page.text);
    assert_eq!(page.status, 400);
    app.stop().await;
}

#[actix_web::test]
async fn a_one_time_code_opens_one_session_however_fast_it_is_sent() {
    let app = TestApp::start().await;
    account(&app, "boss", OWNER).await;
    let secret = SecretString::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let sealed = buynow::app::sealer(app.config()).unwrap().seal(&secret).unwrap();
    let member = staff::by_login(&app.readers, "boss").await.unwrap().unwrap();
    let change = staff::Change::TotpSecret(Some(sealed));
    let now = app.clock.now();
    let write = staff::update(app.readers.backend(), member.id, change, now);
    app.journal.write(write).await.unwrap();
    let code = crate::log_in::code_at(secret.expose_secret(), &app);
    let clerks: Vec<Clerk<'_>> = (0..4).map(|_| Clerk::new(&app)).collect();
    let fields = [("login", "boss"), ("password", PASSWORD), ("code", code.as_str())];
    let replies = clerks.iter().map(|clerk| clerk.post("/admin/login", &fields));
    let replies = futures_util::future::join_all(replies).await;
    let opened = replies.iter().filter(|reply| reply.status == 303).count();
    assert_eq!(opened, 1, "{:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
    app.stop().await;
}

#[actix_web::test]
async fn a_key_that_cannot_be_read_is_refused_and_not_left_out() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["orders.read", "orders.note"]).await;
    let note = format!("{API}/{order}/note");
    for key in ["schlüssel", "a b", ""] {
        let headers = [("idempotency-key", key), ("content-type", "application/json")];
        let body = Some(json!({"text": "once"}).to_string().into_bytes());
        let sent = app.call(Method::POST, &note, Some(&token), &headers, body).await;
        sent.refused(400, "invalid_request");
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_kept_filter_holds_no_phone() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let fields = [("name", "x"), ("query", "state=paid&q=13800138000")];
    boss.post(&format!("{ORDERS}/views"), &fields).await.expect(303);
    for path in [ORDERS, "/admin/shops/10001/audit"] {
        let page = boss.get(path).await.expect(200).text;
        assert!(!page.contains("13800138000"), "{path}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn answers_for_programs_are_kept_by_nobody() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["orders.read"]).await;
    for (path, token) in [(API, Some(token.as_str())), (API, None)] {
        let reply = app.get(path, token).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_refusal_is_said_in_the_language_of_the_page() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let post = Method::POST;
    let mine = form_token(&boss.get("/admin/me").await.text).unwrap().to_owned();
    for (headers, form) in [
        (vec![FORM], "language=en".to_owned()),
        (vec![FORM, ("origin", "https://evil.example")], format!("form_token={mine}")),
    ] {
        let body = Some(form.into_bytes());
        let page = boss.call(post.clone(), "/admin/me/language", &headers, body).await.expect(403);
        assert!(
            page.text.contains("页面已过期") || page.text.contains("来自其他网站"),
            "{}",
            page.text
        );
        assert!(!page.text.contains("not a form") && !page.text.contains("another site"));
    }
    let bad = boss.get(&format!("{ORDERS}?colour=red")).await.expect(400);
    assert!(!bad.text.contains("no such filter"), "{}", bad.text);
    app.stop().await;
}

#[actix_web::test]
async fn an_unknown_kind_of_the_log_is_refused_and_not_left_out() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["audit.read"]).await;
    for query in ["kind=colour&id=1", "kind=staff", "id=1"] {
        let log = app.get(&format!("/api/admin/v1/audit?{query}"), Some(&token)).await;
        log.refused(400, "invalid_request");
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_form_of_the_public_address_passes_whatever_a_proxy_calls_the_host() {
    let at = |config: &mut buynow::config::Config| {
        config.server.public_url = Some("https://shop.example:8443/".to_owned());
    };
    let app = TestApp::builder().config(at).start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let mine = form_token(&boss.get("/admin/me").await.text).unwrap().to_owned();
    for (origin, status) in [
        ("https://shop.example:8443", 303),
        ("https://shop.example", 403),
        ("http://shop.example:8443", 403),
        ("https://evil.example:8443", 403),
    ] {
        let headers = [FORM, ("origin", origin)];
        let body = Some(format!("language=en&form_token={mine}").into_bytes());
        let sent = boss.call(Method::POST, "/admin/me/language", &headers, body).await;
        assert_eq!(sent.status, status, "{origin}");
    }
    app.stop().await;
}
