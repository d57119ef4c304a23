//! Accounts of staff: nobody gives what he does not hold, and one owner stays.

use buynow::domain::id::WxappId;
use buynow::domain::staff::{Role, Scope};

use crate::clerk::{Clerk, PASSWORD, account};
use crate::support::{FIRST_SHOP, Reply, TestApp};

const OWNER: &[(Scope, Role)] = &[(Scope::All, Role::Owner)];

/// The id in the place that a form leads to.
fn id(reply: &Reply) -> String {
    let place = reply.header("location").unwrap();
    place.trim_start_matches("/admin/people/").split('?').next().unwrap().to_owned()
}

#[actix_web::test]
async fn an_owner_makes_an_account_that_works() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let shop = format!("role-{FIRST_SHOP}");
    let fields = [
        ("login", "packer"),
        ("name", "张三"),
        ("password", "packer's password"),
        (shop.as_str(), "warehouse"),
    ];
    boss.post("/admin/people", &fields).await.expect(303);
    let taken = boss.post("/admin/people", &fields).await.expect(422);
    assert!(taken.text.contains("账号已被使用"));
    let packer = Clerk::new(&app);
    packer.logs_in("packer", "packer's password").await.expect(303);
    packer.get("/admin/people").await.expect(403);
    app.stop().await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_new_account_is_said_at_its_field() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    for (login, name, password, field) in [
        ("a b", "x", "long enough pw", "#login"),
        ("good", "", "long enough pw", "#name"),
        ("good", "x", "short", "#password"),
    ] {
        let fields = [("login", login), ("name", name), ("password", password)];
        let page = boss.post("/admin/people", &fields).await.expect(422);
        assert!(page.text.contains(&format!("href=\"{field}\"")), "{field}");
        assert!(!page.text.contains(password), "a password is never shown again");
    }
    app.stop().await;
}

#[actix_web::test]
async fn nobody_gives_or_touches_more_than_he_holds() {
    let app = TestApp::start().await;
    account(&app, "boss", OWNER).await;
    let first = WxappId::parse(FIRST_SHOP).unwrap();
    let of_one = Clerk::of(&app, "of-one", &[(Scope::One(first), Role::Owner)]).await;
    // An owner of one mini-program does not manage accounts, which are everybody's.
    of_one.get("/admin/people").await.expect(403);
    app.stop().await;
}

#[actix_web::test]
async fn the_last_owner_stays() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let second = boss
        .post(
            "/admin/people",
            &[("login", "second"), ("name", "x"), ("password", PASSWORD), ("role-all", "owner")],
        )
        .await
        .expect(303);
    let second = id(&second);
    let list = boss.get("/admin/people").await.expect(200).text;
    let link = list.split(">boss</a>").next().unwrap().rsplit("/admin/people/").next().unwrap();
    let own = link.trim_end_matches('"').to_owned();
    let state = |id: &str| format!("/admin/people/{id}/state");
    boss.post(&state(&second), &[("active", "false")]).await.expect(303);
    let refused = boss.post(&state(&own), &[("active", "false")]).await.expect(422);
    assert!(refused.text.contains("至少要保留一位可登录的店主"));
    let roles = format!("/admin/people/{own}/roles");
    boss.post(&roles, &[("role-all", "read_only")]).await.expect(422);
    boss.post(&state(&second), &[("active", "true")]).await.expect(303);
    boss.post(&roles, &[("role-all", "read_only")]).await.expect(303);
    boss.get("/admin/people").await.expect(403);
    app.stop().await;
}

#[actix_web::test]
async fn a_changed_role_or_state_ends_what_was_open() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let made = boss
        .post(
            "/admin/people",
            &[("login", "clerk"), ("name", "x"), ("password", PASSWORD), ("role-all", "finance")],
        )
        .await
        .expect(303);
    let id = id(&made);
    for (action, field, value) in [("roles", "role-all", "warehouse"), ("state", "active", "false")]
    {
        let clerk = Clerk::logged_in(&app, "clerk").await;
        boss.post(&format!("/admin/people/{id}/{action}"), &[(field, value)]).await.expect(303);
        clerk.get("/admin/me").await.expect(303);
    }
    Clerk::new(&app).logs_in("clerk", PASSWORD).await.expect(422);
    app.stop().await;
}

#[actix_web::test]
async fn the_password_is_asked_again_after_a_while() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    app.advance(601);
    let sent = boss.get("/admin/people").await.expect(303);
    assert_eq!(sent.header("location"), Some("/admin/confirm?next=%2Fadmin%2Fpeople"));
    boss.post("/admin/confirm", &[("password", "wrong")]).await.expect(422);
    boss.get("/admin/people").await.expect(303);
    let fields = [("password", PASSWORD), ("next", "/admin/people")];
    let back = boss.post("/admin/confirm", &fields).await.expect(303);
    assert_eq!(back.header("location"), Some("/admin/people"));
    boss.get("/admin/people").await.expect(200);
    app.stop().await;
}

#[actix_web::test]
async fn names_are_shown_as_text() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let evil = "<img src=x hx-on=1>";
    boss.post("/admin/people", &[("login", "evil"), ("name", evil), ("password", PASSWORD)])
        .await
        .expect(303);
    let page = boss.get("/admin/people").await.expect(200).text;
    assert!(!page.contains(evil));
    assert!(page.contains("&lt;img") || page.contains("&#60;img"), "{page}");
    app.stop().await;
}

#[actix_web::test]
async fn a_form_that_is_sent_twice_changes_an_account_once() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", OWNER).await;
    let key = crate::orders::field(&boss.get("/admin/people").await.expect(200).text, "key");
    let new = [
        ("login", "clerk"),
        ("name", "x"),
        ("password", PASSWORD),
        ("role-all", "finance"),
        ("key", key.as_str()),
    ];
    let id = id(&boss.post("/admin/people", &new).await.expect(303));
    let twice = boss.post("/admin/people", &new).await.expect(409);
    assert!(twice.text.contains("这个表单已经提交过"), "and not that the name is taken");
    let place = format!("/admin/people/{id}");
    let page = boss.get(&place).await.expect(200).text;
    let key = crate::orders::field(&page, "key");
    let roles = format!("{place}/roles");
    let key = ("key", key.as_str());
    boss.post(&roles, &[("role-all", "warehouse"), key]).await.expect(303);
    boss.post(&roles, &[("role-all", "operations")]).await.expect(303);
    // The first form once more, late: it changes nothing back.
    let late = boss.post(&roles, &[("role-all", "warehouse"), key]).await.expect(409);
    assert!(late.text.contains("这个表单已经提交过"));
    let page = boss.get(&place).await.expect(200).text;
    assert!(page.contains("value=\"operations\" selected"), "{page}");
    app.stop().await;
}
