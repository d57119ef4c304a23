//! The audit log: every change of staff, with who, before and after, and no secret.

use awc::http::Method;
use buynow::domain::id::WxappId;
use buynow::domain::staff::{Role, Scope};
use buynow::http::admin::access::{Access, Face};
use buynow::http::admin::routes;
use serde_json::{Value, json};

use crate::clerk::{Clerk, PASSWORD};
use crate::support::{FIRST_SHOP, TestApp};

const OWNER: &[(Scope, Role)] = &[(Scope::All, Role::Owner)];

/// A token of this member of staff with these rights, everywhere.
pub async fn token(boss: &Clerk<'_>, rights: &[&str]) -> String {
    let mut fields = vec![("name", "erp"), ("shop", "all"), ("days", "30")];
    fields.extend(rights.iter().map(|right| ("rights", *right)));
    let page = boss.post("/admin/tokens", &fields).await.expect(200).text;
    page.split_once("id=\"made\" readonly value=\"").unwrap().1.split('"').next().unwrap().into()
}

async fn entries(app: &TestApp, token: &str) -> Vec<Value> {
    let log = app.get("/api/admin/v1/audit", Some(token)).await.expect(200);
    log.body["items"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn every_change_of_an_account_is_written_down_with_before_and_after() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    app.advance(1);
    let fields = [("login", "packer"), ("name", "张三"), ("password", PASSWORD)];
    let made = boss.post("/admin/people", &fields).await.expect(303);
    let place = made.header("location").unwrap().split('?').next().unwrap().to_owned();
    let post = async |path: &str, fields: &[(&str, &str)]| {
        boss.post(&format!("{place}/{path}"), fields).await.expect(303);
    };
    post("roles", &[("role-all", "warehouse")]).await;
    post("state", &[("active", "false")]).await;
    post("password", &[("password", "a secret of packer")]).await;
    boss.post("/admin/me/language", &[("language", "en")]).await.expect(303);
    let token = token(&boss, &["audit.read"]).await;
    let log = entries(&app, &token).await;
    let acts: Vec<&str> = log.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let expected = [
        "add_token",
        "set_language",
        "set_password",
        "set_state",
        "set_roles",
        "add_staff",
        "add_staff",
    ];
    assert_eq!(acts, expected, "the newest first");
    let roles = &log[4];
    assert_eq!((&roles["who"], &roles["kind"]), (&json!("boss"), &json!("staff")));
    assert_eq!(roles["before"], json!({"roles": {}}));
    assert_eq!(roles["after"], json!({"roles": {"all": "warehouse"}}));
    assert_eq!(
        (&log[3]["before"], &log[3]["after"]),
        (&json!({"active": true}), &json!({"active": false}))
    );
    assert_eq!(log[6]["who"], "", "the command line made the first account");
    let page = boss.get("/admin/audit").await.expect(200).text;
    for text in [serde_json::to_string(&log).unwrap(), page] {
        for secret in ["a secret of packer", PASSWORD, "argon2", token.as_str()] {
            assert!(!text.contains(secret), "{secret}");
        }
        assert!(text.contains("packer"));
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_change_that_is_refused_leaves_no_entry() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["audit.read", "staff.manage"]).await;
    let before = entries(&app, &token).await.len();
    let short = [("login", "packer"), ("name", "x"), ("password", "short")];
    boss.post("/admin/people", &short).await.expect(422);
    let new =
        json!({"login": "evil", "name": "x", "password": PASSWORD, "roles": {"all": "owner"}});
    app.post("/api/admin/v1/people", Some(&token), new).await.expect(409);
    assert_eq!(entries(&app, &token).await.len(), before);
    app.stop().await;
}

#[actix_web::test]
async fn only_who_may_reads_the_log_and_only_of_his_shop() {
    let app = TestApp::builder().second_shop().start().await;
    let first = WxappId::parse(FIRST_SHOP).unwrap();
    let clerk = Clerk::of(&app, "money", &[(Scope::One(first), Role::Finance)]).await;
    clerk.get(&format!("/admin/shops/{FIRST_SHOP}/audit")).await.expect(200);
    clerk.get("/admin/shops/10002/audit").await.expect(404);
    clerk.get("/admin/audit").await.expect(403);
    app.stop().await;
}

#[actix_web::test]
async fn reading_everything_changes_nothing() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["audit.read"]).await;
    let before = entries(&app, &token).await;
    for entry in routes().table().0 {
        let open = entry.face == Face::Html && entry.method == Method::GET;
        if open && entry.access != Access::Public {
            let path = entry.pattern.replace("{shop}", &FIRST_SHOP.to_string());
            boss.get(&path.replace("{id}", "1")).await;
        }
    }
    assert_eq!(entries(&app, &token).await, before);
    app.stop().await;
}
