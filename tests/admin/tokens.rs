//! API tokens: scoped, expiring, shown once.

use buynow::domain::staff::{Right, Role, Scope};
use serde_json::json;

use crate::clerk::{Clerk, PASSWORD};
use crate::support::{FIRST_SHOP, TestApp};

const OWNER: &[(Scope, Role)] = &[(Scope::All, Role::Owner)];
const PEOPLE: &str = "/api/admin/v1/people";

/// The value on the page that has just made a token.
fn made(page: &str) -> String {
    page.split_once("id=\"made\" readonly value=\"").unwrap().1.split('"').next().unwrap().into()
}

async fn token(boss: &Clerk<'_>, rights: &[&str], shop: &str) -> String {
    let mut fields = vec![("name", "erp"), ("shop", shop), ("days", "30")];
    fields.extend(rights.iter().map(|right| ("rights", *right)));
    made(&boss.post("/admin/tokens", &fields).await.expect(200).text)
}

#[actix_web::test]
async fn a_token_opens_what_it_is_for_until_it_ends() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["staff.manage"], "all").await;
    let people = app.get(PEOPLE, Some(&token)).await.expect(200);
    assert_eq!(people.body["items"][0]["login"], "boss");
    app.get("/api/admin/v1/tokens", Some(&token)).await.refused(403, "forbidden");
    assert!(!boss.get("/admin/tokens").await.text.contains(&token), "shown once");
    app.advance(30 * 24 * 3600);
    app.get(PEOPLE, Some(&token)).await.refused(401, "unauthorized");
    app.stop().await;
}

#[actix_web::test]
async fn a_token_for_one_shop_opens_nothing_that_is_everybodys() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["staff.manage"], &FIRST_SHOP.to_string()).await;
    app.get(PEOPLE, Some(&token)).await.refused(403, "forbidden");
    app.stop().await;
}

#[actix_web::test]
async fn cookies_do_not_open_the_api_nor_tokens_the_pages() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    boss.get(PEOPLE).await.refused(401, "unauthorized");
    let token = token(&boss, &["staff.manage"], "all").await;
    assert_eq!(app.get("/admin/people", Some(&token)).await.status, 303);
    app.stop().await;
}

#[actix_web::test]
async fn a_token_gives_no_more_than_it_holds() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["staff.manage", "orders.read", "goods.read"], "all").await;
    let new = |login: &str, role: &str| json!({"login": login, "name": "x", "password": PASSWORD, "roles": {"all": role}});
    let refused = app.post(PEOPLE, Some(&token), new("evil", "owner")).await;
    refused.refused(409, "invalid_state");
    app.post(PEOPLE, Some(&token), new("reader", "read_only")).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn a_revoked_token_and_one_of_a_disabled_maker_are_dead() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let second = Clerk::of(&app, "second", OWNER).await;
    let seconds = token(&second, &["staff.manage"], "all").await;
    let all: Vec<&str> = Right::ALL.iter().map(|right| right.as_str()).collect();
    let first = token(&boss, &all, "all").await;
    let people = app.get(PEOPLE, Some(&first)).await.expect(200);
    let id = people.body["items"][1]["id"].as_i64().unwrap();
    let state = format!("{PEOPLE}/{id}/state");
    app.post(&state, Some(&first), json!({"active": false})).await.expect(200);
    app.get(PEOPLE, Some(&seconds)).await.refused(401, "unauthorized");
    let tokens = boss.get("/admin/tokens").await.text;
    let revoke = tokens.split("action=\"").find(|part| part.contains("/revoke\"")).unwrap();
    boss.post(revoke.split('"').next().unwrap(), &[]).await.expect(303);
    app.get(PEOPLE, Some(&first)).await.refused(401, "unauthorized");
    app.stop().await;
}

#[actix_web::test]
async fn a_form_that_is_sent_twice_makes_one_token() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let page = boss.get("/admin/tokens").await.expect(200).text;
    let key = crate::orders::field(&page, "key");
    let fields = [
        ("name", "only once"),
        ("shop", "all"),
        ("days", "30"),
        ("rights", "orders.read"),
        ("key", key.as_str()),
    ];
    boss.post("/admin/tokens", &fields).await.expect(200);
    let twice = boss.post("/admin/tokens", &fields).await.expect(409);
    assert!(twice.text.contains("这个表单已经提交过"));
    let page = boss.get("/admin/tokens").await.expect(200).text;
    assert_eq!(page.matches("only once").count(), 1);
    app.stop().await;
}

#[actix_web::test]
async fn a_token_needs_rights_that_its_maker_holds() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    for fields in [
        vec![("name", "x"), ("shop", "all"), ("days", "30")],
        vec![("name", "x"), ("shop", "all"), ("days", "30"), ("rights", "no.such")],
        vec![("name", "x"), ("shop", "all"), ("days", "400"), ("rights", "orders.read")],
        vec![("name", "x"), ("shop", "5"), ("days", "30"), ("rights", "orders.read")],
    ] {
        boss.post("/admin/tokens", &fields).await.expect(422);
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_token_makes_none_that_outlives_it() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["tokens.manage"], "all").await;
    let new = |days: i64| json!({"name": "child", "rights": ["tokens.manage"], "shop": "all", "days": days});
    let tokens = "/api/admin/v1/tokens";
    app.post(tokens, Some(&token), new(31)).await.refused(400, "invalid_request");
    app.advance(1);
    app.post(tokens, Some(&token), new(30)).await.refused(400, "invalid_request");
    app.post(tokens, Some(&token), new(29)).await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn a_key_makes_a_repeated_call_act_once() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let token = token(&boss, &["tokens.manage"], "all").await;
    let new = json!({"name": "once", "rights": ["tokens.manage"], "shop": "all", "days": 1});
    let headers = [("idempotency-key", "k1"), ("content-type", "application/json")];
    let post = async || {
        let body = Some(new.to_string().into_bytes());
        let path = "/api/admin/v1/tokens";
        app.call(awc::http::Method::POST, path, Some(&token), &headers, body).await
    };
    post().await.expect(200);
    post().await.refused(409, "idempotency_conflict");
    app.stop().await;
}

#[actix_web::test]
async fn there_are_no_more_tokens_than_are_shown() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let new = [("name", "x"), ("shop", "all"), ("days", "30"), ("rights", "orders.read")];
    for _ in 0..200 {
        boss.post("/admin/tokens", &new).await.expect(200);
    }
    let full = boss.post("/admin/tokens", &new).await.expect(409);
    assert!(full.text.contains("最多 200 个令牌"), "{}", full.text);
    app.stop().await;
}

#[actix_web::test]
async fn a_token_that_is_revoked_twice_is_revoked() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    token(&boss, &["orders.read"], "all").await;
    let page = boss.get("/admin/tokens").await.expect(200).text;
    assert!(page.contains("<td>boss</td>"), "whose it is");
    let revoke = page.split("action=\"").find(|part| part.contains("/revoke\"")).unwrap();
    let key = crate::orders::field(revoke, "key");
    let revoke = revoke.split('"').next().unwrap();
    for _ in 0..2 {
        let done = boss.post(revoke, &[("key", &key)]).await.expect(303);
        assert!(done.header("location").unwrap().starts_with("/admin/tokens"));
    }
    app.stop().await;
}
