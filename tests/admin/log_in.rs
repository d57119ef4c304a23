//! The way in: passwords, throttling, sessions, two-step log-in.

use buynow::domain::staff::{Role, Scope};
use totp_rs::{Builder, Secret};

use crate::clerk::{Clerk, PASSWORD, account, form_token};
use crate::support::TestApp;

const OWNER: &[(Scope, Role)] = &[(Scope::All, Role::Owner)];

#[actix_web::test]
async fn a_fresh_shop_has_no_account() {
    let app = TestApp::start().await;
    let stranger = Clerk::new(&app);
    assert_eq!(stranger.get("/admin").await.header("location"), Some("/admin/login"));
    for login in ["admin", "owner", "root", "demo"] {
        let page = stranger.logs_in(login, login).await.expect(422);
        assert!(page.text.contains("账号、密码或验证码不正确"), "{}", page.text);
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_log_in_opens_the_page_that_was_asked_for() {
    let app = TestApp::start().await;
    account(&app, "boss", OWNER).await;
    let boss = Clerk::new(&app);
    let sent = boss.get("/admin/people?x=1").await.expect(303);
    assert_eq!(sent.header("location"), Some("/admin/login?next=%2Fadmin%2Fpeople%3Fx%3D1"));
    let fields = [("login", "Boss"), ("password", PASSWORD), ("next", "/admin/people?x=1")];
    let there = boss.post("/admin/login", &fields).await.expect(303);
    assert_eq!(there.header("location"), Some("/admin/people?x=1"));
    boss.get("/admin/people?x=1").await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn a_log_out_ends_the_session_for_whoever_has_the_cookie() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let stolen = boss.cookie("buynow_admin").unwrap();
    boss.post("/admin/logout", &[]).await.expect(303);
    assert_eq!(boss.cookie("buynow_admin"), None);
    let thief = Clerk::new(&app);
    thief.set_cookie("buynow_admin", &stolen);
    thief.get("/admin/me").await.expect(303);
    app.stop().await;
}

#[actix_web::test]
async fn a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    app.advance(8 * 3600 - 1);
    boss.get("/admin/me").await.expect(200);
    app.advance(8 * 3600 + 1);
    boss.get("/admin/me").await.expect(303);
    let again = Clerk::logged_in(&app, "boss").await;
    for _ in 0..24 {
        app.advance(7 * 3600);
        again.get("/admin/me").await;
    }
    again.get("/admin/me").await.expect(303);
    app.stop().await;
}

#[actix_web::test]
async fn strangers_are_throttled_and_lock_no_owner_out() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    boss.post("/admin/logout", &[]).await.expect(303);
    let stranger = Clerk::new(&app);
    let mut refused = 0;
    for number in 0..200 {
        // The header is hearsay: no proxy is trusted here.
        let address = format!("198.51.100.{number}");
        let headers = [
            ("x-forwarded-for", address.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let body = Some(b"login=boss&password=wrong-password".to_vec());
        let reply = stranger.call(awc::http::Method::POST, "/admin/login", &headers, body).await;
        refused += usize::from(reply.status == 429);
        if reply.status == 429 {
            assert!(reply.header("retry-after").is_some());
        }
    }
    assert_eq!(refused, 180);
    // The address of the test is spent as well; after the window only the account would be.
    app.advance(15 * 60);
    boss.logs_in("boss", PASSWORD).await.expect(303);
    app.stop().await;
}

#[actix_web::test]
async fn a_form_without_the_sessions_token_changes_nothing() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let other = Clerk::of(&app, "other", OWNER).await;
    let token = form_token(&other.get("/admin/me").await.text).unwrap().to_owned();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let post = awc::http::Method::POST;
    for body in ["language=en".to_owned(), format!("language=en&form_token={token}")] {
        let body = Some(body.into_bytes());
        boss.call(post.clone(), "/admin/me/language", &headers, body).await.expect(403);
    }
    let mine = form_token(&boss.get("/admin/me").await.text).unwrap().to_owned();
    for forged in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let headers = [headers[0], forged];
        let body = Some(format!("language=en&form_token={mine}").into_bytes());
        boss.call(post.clone(), "/admin/me/language", &headers, body).await.expect(403);
    }
    assert!(boss.get("/admin/me").await.text.contains("lang=\"zh-CN\""));
    app.stop().await;
}

#[actix_web::test]
async fn a_new_password_ends_every_other_session() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let elsewhere = Clerk::logged_in(&app, "boss").await;
    let wrong = [("present_password", "wrong"), ("new_password", "another password")];
    boss.post("/admin/me/password", &wrong).await.expect(422);
    let short = [("present_password", PASSWORD), ("new_password", "short")];
    boss.post("/admin/me/password", &short).await.expect(422);
    elsewhere.get("/admin/me").await.expect(200);
    let right = [("present_password", PASSWORD), ("new_password", "another password")];
    boss.post("/admin/me/password", &right).await.expect(303);
    boss.get("/admin/me").await.expect(200);
    elsewhere.get("/admin/me").await.expect(303);
    Clerk::new(&app).logs_in("boss", PASSWORD).await.expect(422);
    Clerk::new(&app).logs_in("boss", "another password").await.expect(303);
    app.stop().await;
}

pub fn code_at(secret: &str, app: &TestApp) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let seconds = u64::try_from(app.clock.now().as_millis() / 1000).unwrap();
    Builder::new().with_secret(secret).build().unwrap().generate(seconds).to_string()
}

#[actix_web::test]
async fn a_one_time_code_is_asked_for_and_is_good_once() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let elsewhere = Clerk::logged_in(&app, "boss").await;
    let page = boss.get("/admin/me/two-step").await.expect(200).text;
    let between = |start: &str, end: &str| {
        page.split_once(start).unwrap().1.split(end).next().unwrap().to_owned()
    };
    let (secret, sealed) = (between("<code>", "</code>"), between("\"sealed\" value=\"", "\""));
    let code = code_at(&secret, &app);
    let fields = [("sealed", sealed.as_str()), ("password", PASSWORD), ("code", code.as_str())];
    boss.post("/admin/me/two-step", &fields).await.expect(303);
    boss.get("/admin/me").await.expect(200);
    elsewhere.get("/admin/me").await.expect(303);
    let without = Clerk::new(&app);
    without.logs_in("boss", PASSWORD).await.expect(422);
    let used = [("login", "boss"), ("password", PASSWORD), ("code", code.as_str())];
    without.post("/admin/login", &used).await.expect(422);
    app.advance(90);
    let code = code_at(&secret, &app);
    let fresh = [("login", "boss"), ("password", PASSWORD), ("code", code.as_str())];
    without.post("/admin/login", &fresh).await.expect(303);
    Clerk::new(&app).post("/admin/login", &fresh).await.expect(422);
    app.stop().await;
}

#[actix_web::test]
async fn every_page_has_the_headers_of_the_site() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    for path in ["/admin/login", "/admin/me", "/admin/people", "/admin/nowhere"] {
        let page = boss.get(path).await;
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!page.text.contains("<style") && !page.text.contains(" style="), "{path}");
        assert!(!page.text.contains("<script>"), "{path}");
    }
    app.stop().await;
}
