//! Who may do what: the application's own table of routes x roles x mini-programs.

use std::collections::BTreeSet;

use awc::http::Method;
use buynow::domain::id::WxappId;
use buynow::domain::staff::{Right, Role, Scope};
use buynow::http::admin::access::{API, Access, Entry, Face};
use buynow::http::admin::routes;

use buynow::store::staff;
use buynow::store::staff::tokens::{self, AdminToken};

use crate::clerk::{Clerk, account};
use crate::orders::{ORDERS, paid};
use crate::support::{FIRST_SHOP, Reply, SECOND_SHOP, TestApp};

/// A path of the pattern, in this mini-program, with ids that are nobody's.
fn path(entry: &Entry, shop: i64) -> String {
    let mut path = entry.pattern.replace("{shop}", &shop.to_string());
    while let Some((before, rest)) = path.split_once('{') {
        let (name, after) = rest.split_once('}').unwrap();
        let value = if name.contains("file") { "admin.css" } else { "999999999" };
        path = format!("{before}{value}{after}");
    }
    path
}

async fn ask(clerk: &Clerk<'_>, entry: &Entry, shop: i64) -> Reply {
    let path = path(entry, shop);
    match entry.method {
        Method::POST => clerk.post(&path, &[]).await,
        _ => clerk.get(&path).await,
    }
}

/// Passed the guard: what a handler says of ids that are nobody's is its own affair.
fn passed(reply: &Reply) -> bool {
    let asks_again = reply.header("location").is_some_and(|to| to.starts_with("/admin/login"));
    reply.status != 403 && !asks_again
}

fn pages() -> Vec<Entry> {
    let table = routes().table().0;
    table.into_iter().filter(|entry| entry.face == Face::Html).collect()
}

#[actix_web::test]
async fn the_openapi_document_lists_exactly_the_calls_that_staff_may_make() {
    let app = TestApp::start().await;
    let document = app.get("/api/openapi.json", None).await.expect(200).body;
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        let ours = methods.filter(|_| path.starts_with(API));
        listed.extend(ours.map(|method| (method.to_uppercase(), path.clone())));
    }
    let table = routes().table().0;
    let table = table.into_iter().filter(|entry| entry.face == Face::Json);
    let table = table.map(|entry| (entry.method.to_string(), entry.pattern.to_owned()));
    assert_eq!(listed, table.collect());
    app.stop().await;
}

#[actix_web::test]
async fn nobody_gets_in_without_a_log_in() {
    let app = TestApp::builder().second_shop().start().await;
    let stranger = Clerk::new(&app);
    for entry in pages().iter().filter(|entry| entry.access != Access::Public) {
        let reply = ask(&stranger, entry, FIRST_SHOP).await;
        assert_eq!(reply.status, 303, "{entry:?}");
        assert!(!passed(&reply), "{entry:?}");
    }
    for entry in routes().table().0.iter().filter(|entry| entry.face == Face::Json) {
        let path = path(entry, FIRST_SHOP);
        let reply = app.call(entry.method.clone(), &path, None, &[], None).await;
        assert_eq!(reply.status, 401, "{entry:?}");
        let reply = app.call(entry.method.clone(), &path, Some("made-up"), &[], None).await;
        assert_eq!(reply.status, 401, "{entry:?}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn each_role_passes_where_it_has_the_right_and_nowhere_else() {
    let app = TestApp::builder().second_shop().start().await;
    let first = WxappId::parse(FIRST_SHOP).unwrap();
    for role in Role::ALL {
        for (scope, login) in [(Scope::All, "all"), (Scope::One(first), "one")] {
            let login = format!("{}-{login}", role.as_str().replace('_', "-"));
            let clerk = Clerk::of(&app, &login, &[(scope, *role)]).await;
            for entry in pages().iter().filter(|entry| !ends_the_session(entry)) {
                let here = ask(&clerk, entry, FIRST_SHOP).await;
                let allowed = match entry.access {
                    Access::Public | Access::LoggedIn => true,
                    Access::Shop(right) => role.has(right),
                    Access::Everywhere(right) => role.has(right) && scope == Scope::All,
                };
                assert_eq!(passed(&here), allowed, "{role:?} {scope:?} {entry:?}: {}", here.status);
                if entry.pattern.contains("{shop}") && scope != Scope::All {
                    let there = ask(&clerk, entry, SECOND_SHOP).await;
                    assert_eq!(there.status, 404, "{role:?} {entry:?}");
                }
            }
        }
    }
    app.stop().await;
}

/// A token of this member of staff with all rights, which his role cuts down.
pub async fn token(app: &TestApp, login: &str, scope: Scope) -> String {
    let member = staff::by_login(&app.readers, login).await.unwrap().unwrap();
    let value = format!("token-of-{login}");
    let token = AdminToken {
        id: rand::random_range(1..1_000_000_000),
        staff: member.id,
        name: "all".to_owned(),
        rights: Right::ALL.iter().copied().collect(),
        scope,
        created_at: app.clock.now(),
        expires_at: app.clock.now().plus_seconds(3600),
        used_at: None,
    };
    let hash = buynow::http::auth::hash(&value);
    let write = tokens::insert(app.readers.backend(), &hash, &token);
    app.journal.write(write).await.unwrap();
    value
}

#[actix_web::test]
async fn each_role_calls_by_token_what_it_may_and_nothing_else() {
    let app = TestApp::builder().second_shop().start().await;
    let first = WxappId::parse(FIRST_SHOP).unwrap();
    for role in Role::ALL {
        for (scope, login) in [(Scope::All, "all"), (Scope::One(first), "one")] {
            let login = format!("{}-{login}", role.as_str().replace('_', "-"));
            account(&app, &login, &[(scope, *role)]).await;
            let token = token(&app, &login, scope).await;
            for entry in routes().table().0.iter().filter(|entry| entry.face == Face::Json) {
                let call = async |shop: i64| {
                    let path = path(entry, shop);
                    app.call(entry.method.clone(), &path, Some(&token), &[], None).await.status
                };
                let allowed = match entry.access {
                    Access::Public | Access::LoggedIn => false,
                    Access::Shop(right) => role.has(right),
                    Access::Everywhere(right) => role.has(right) && scope == Scope::All,
                };
                let status = call(FIRST_SHOP).await;
                assert_eq!(status != 403, allowed, "{role:?} {scope:?} {entry:?}: {status}");
                assert_ne!(status, 401, "{role:?} {scope:?} {entry:?}");
                if entry.pattern.contains("{shop}") && scope != Scope::All {
                    assert_eq!(call(SECOND_SHOP).await, 404, "{role:?} {entry:?}");
                }
            }
        }
    }
    app.stop().await;
}

fn ends_the_session(entry: &Entry) -> bool {
    entry.pattern.ends_with("/logout") || entry.pattern.ends_with("/login")
}

#[actix_web::test]
async fn every_form_of_a_right_has_its_json_twin() {
    let table = routes().table().0;
    let forms = table.iter().filter(|entry| entry.face == Face::Html);
    let forms = forms.filter(|entry| entry.method == Method::POST);
    let with_right =
        |entry: &&Entry| matches!(entry.access, Access::Shop(_) | Access::Everywhere(_));
    for form in forms.filter(with_right) {
        let pattern = form.pattern.replacen("/admin", "/api/admin/v1", 1);
        let twin = table.iter().find(|entry| {
            entry.pattern == pattern && entry.method == form.method && entry.access == form.access
        });
        assert!(twin.is_some(), "{form:?}");
    }
}

#[actix_web::test]
async fn what_is_not_in_the_table_is_not_there() {
    let app = TestApp::start().await;
    let boss = Clerk::of(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    boss.get("/admin/nowhere").await.expect(404);
    boss.get("/admin/shops/x/orders").await.expect(404);
    boss.call(Method::PUT, "/admin/people", &[], None).await.expect(404);
    app.stop().await;
}

#[actix_web::test]
async fn no_link_and_no_form_of_any_page_leads_to_a_refusal() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let unpaid = alice.buys(sku, 1).await.expect(201).order_id();
    let paid = paid(&alice, sku, 2).await;
    let first = WxappId::parse(FIRST_SHOP).unwrap();
    for role in Role::ALL {
        let login = format!("m-{}", role.as_str().replace('_', "-"));
        let clerk = Clerk::of(&app, &login, &[(Scope::One(first), *role)]).await;
        let mut seen = BTreeSet::new();
        let mut ahead = vec!["/admin/me".to_owned()];
        ahead.extend([unpaid, paid].map(|order| format!("{ORDERS}/{order}")));
        while let Some(place) = ahead.pop() {
            let page = clerk.get(&place).await;
            assert!(page.status < 400, "{role:?} {place}: {}", page.status);
            // One that is sent by GET is a link.
            for form in attribute(&page.text, "method=\"post\" action") {
                // Empty, most are refused for what they lack; none for who sends it.
                if !form.ends_with("/logout") && !form.ends_with("/sessions/end") {
                    let reply = clerk.post(&form, &[]).await;
                    assert_ne!(reply.status, 403, "{role:?} {place} {form}");
                }
            }
            let links = attribute(&page.text, "href").into_iter().map(|link| full(&place, &link));
            ahead.extend(links.filter(|link| seen.insert(link.clone())));
            assert!(seen.len() < 300, "{seen:?}");
        }
        assert!(seen.contains(ORDERS), "{role:?}");
    }
    app.stop().await;
}

fn attribute(page: &str, name: &str) -> Vec<String> {
    let start = format!("{name}=\"");
    let all = page.split(&start).skip(1);
    let all = all.map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
    all.filter(|link| !link.starts_with('#')).collect()
}

/// The address of a link without a fragment; one that only changes the query is of this page.
fn full(place: &str, link: &str) -> String {
    match link.starts_with('?') {
        true => format!("{}{link}", place.split('?').next().unwrap()),
        false => link.to_owned(),
    }
}
