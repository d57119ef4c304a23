//! What buyers and staff type is shown as text, wherever it is shown.

use awc::http::Method;
use buynow::domain::staff::{Role, Scope};
use serde_json::json;

use crate::clerk::{Clerk, PASSWORD};
use crate::orders::{ORDERS, first};
use crate::support::TestApp;

/// Breaks out of text, of attributes, and into htmx, if anybody lets it.
const EVIL: &str = "\"'><img src=x onerror=alert(1) hx-get=/x data-hx-get=/y>";

/// No page may hold the marks of [`EVIL`] as they were typed.
#[track_caller]
fn is_harmless(path: &str, page: &str) {
    assert!(!page.contains("<img src=x"), "{path}: {page}");
    assert!(!page.contains("\"'>"), "{path}: {page}");
}

#[actix_web::test]
async fn nothing_that_anybody_typed_becomes_markup() {
    let app = TestApp::start().await;
    let goods = json!({
        "name": EVIL, "code": "evil",
        "skus": [{"code": "evil", "attr": EVIL, "price_fen": 100, "stock": 9}],
    });
    let sku = app.seed(json!({ "goods": [goods] })).await[0];
    let alice = app.shopper("alice").await;
    let address = json!({
        "name": EVIL, "phone": "13800138000", "province": EVIL, "city": EVIL, "district": EVIL,
        "detail": EVIL,
    });
    let address = alice.post("/api/v1/addresses", address).await.expect(201).body["id"].clone();
    let body = json!({
        "items": [{"sku_id": sku, "quantity": 1}], "address_id": address, "remark": EVIL,
    });
    let headers = [("idempotency-key", "evil")];
    let body = Some(body.to_string().into_bytes());
    let placed = alice.call(Method::POST, "/api/v1/orders", &headers, body).await.expect(201);
    alice.pays(placed.payment()).await;
    let order = placed.order_id();
    let boss = Clerk::of(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    let place = format!("{ORDERS}/{order}");
    boss.post(&format!("{place}/note"), &[("text", EVIL)]).await.expect(303);
    let short = &EVIL[..32];
    let new = [("login", "evil"), ("name", short), ("password", PASSWORD)];
    boss.post("/admin/people", &new).await.expect(303);
    let token = [("name", short), ("shop", "all"), ("days", "3"), ("rights", "orders.read")];
    is_harmless("tokens", &boss.post("/admin/tokens", &token).await.expect(200).text);
    let view =
        [("name", short), ("query", "sku=%22%27%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")];
    boss.post(&format!("{ORDERS}/views"), &view).await.expect(303);
    let fields = [
        ("company", "OTHER"),
        ("company_name", short),
        ("number", "SF12345"),
        (&format!("line-{}", alice.order(order).await["lines"][0]["id"]), "1"),
    ];
    boss.post(&format!("{place}/ship"), &fields).await.expect(303);
    boss.post(&format!("{place}/refund"), &[("reason", EVIL), ("confirmed", "yes")])
        .await
        .expect(303);
    let revealed = boss.post(&format!("{place}/reveal"), &[]).await.expect(200).text;
    assert!(revealed.contains("onerror"), "it is there, as text");
    is_harmless("reveal", &revealed);
    for path in [
        ORDERS.to_owned(),
        format!("{ORDERS}?q=%22%27%3E%3Cimg%20src%3Dx%3E"),
        place.clone(),
        format!("{place}/refund"),
        "/admin/people".to_owned(),
        "/admin/tokens".to_owned(),
        "/admin/audit".to_owned(),
        "/admin/shops/10001/audit".to_owned(),
        "/admin/me".to_owned(),
    ] {
        is_harmless(&path, &boss.get(&path).await.expect(200).text);
    }
    app.stop().await;
}

#[actix_web::test]
async fn what_a_refused_form_held_comes_back_as_text() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = crate::orders::paid(&alice, sku, 1).await;
    let boss = Clerk::of(&app, "boss", &first(Role::Owner)).await;
    let place = format!("{ORDERS}/{order}");
    let fields = [
        ("company", EVIL),
        ("company_name", EVIL),
        ("number", EVIL),
        ("reason", EVIL),
        ("pay", EVIL),
        ("text", ""),
        ("name", EVIL),
        ("phone", EVIL),
        ("detail", EVIL),
        ("line-1", EVIL),
    ];
    for act in ["ship", "note", "address", "price", "cancel", "release", "refund", "complete"] {
        let page = boss.post(&format!("{place}/{act}"), &fields).await;
        assert_eq!(page.status, 422, "{act}: {}", page.text);
        is_harmless(act, &page.text);
    }
    let login = Clerk::new(&app);
    let page = login.post("/admin/login", &[("login", EVIL), ("next", EVIL)]).await.text;
    is_harmless("login", &page);
    is_harmless("next", &login.get("/admin/login?next=%22%27%3E%3Cimg%20src%3Dx%3E").await.text);
    app.stop().await;
}
