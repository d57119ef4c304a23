//! Every page, in both languages, light and dark, wide and narrow: nothing that axe-core objects
//! to, nothing wider than the screen, no word in the console.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buynow::domain::staff::{Role, Scope};
use buynow::sandbox::{Forge, Notify};

use crate::clerk::account;
use crate::driver::{Browser, Scripts};
use crate::support::TestApp;
use crate::work::{ORDERS, log_in, paid};

const AXE: &str = include_str!("../data/axe/axe.min.js");
/// The rules of WCAG 2.0 to 2.2, A and AA.
const ALL_RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']";
/// Names a folder: pictures of some pages are put there, for the documentation.
const PICTURES: &str = "BUYNOW_PICTURES";

/// Orders in the states that show every part of the pages; the places of these pages.
async fn places(app: &TestApp) -> Vec<String> {
    let sku = app.a_sku(1990, 99).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let unpaid = alice.buys(sku, 1).await.expect(201);
    let shipped = paid(&alice, sku, 2).await.order_id();
    let back = paid(&alice, sku, 1).await.order_id();
    let fresh = paid(&alice, sku, 3).await;
    let number = buynow::domain::id::TrackingNo::parse("SF1234567890").unwrap();
    let carrier = buynow::domain::shipment::Carrier::parse("SF", None).unwrap();
    let id = |id: i64| buynow::domain::id::OrderId::parse(id).unwrap();
    let (desk, clerk) = (app.desk(), app.clerk());
    let parcel = desk.ship(&clerk, id(shipped), carrier, number, vec![]).await.unwrap();
    desk.refund(&clerk, id(back), "破损").await.unwrap();
    app.run_notifier().await;
    let forged = Forge { amount: Some(99), ..Forge::default() };
    let mut notice = Notify::of(&fresh.order_no()).forged(forged);
    notice.times = 1;
    app.sandbox.notify(&notice).await.unwrap();
    let (unpaid, fresh) = (unpaid.order_id(), fresh.order_id());
    let mut places: Vec<String> =
        ["/admin/me", "/admin/people", "/admin/tokens", "/admin/audit", "/admin/me/two-step"]
            .map(str::to_owned)
            .into();
    places.push("/admin/shops/10001/audit".to_owned());
    places.push("/admin/shops/10001/incidents".to_owned());
    places.push("/admin/confirm".to_owned());
    places.push("/admin/nowhere".to_owned());
    places.push(ORDERS.to_owned());
    places.push(format!("{ORDERS}?state=paid&sku=tea"));
    places.push(format!("{ORDERS}?q=nothing-like-it"));
    for order in [unpaid, shipped, back, fresh] {
        places.push(format!("{ORDERS}/{order}"));
    }
    for act in ["price", "cancel", "address", "ask"] {
        places.push(format!("{ORDERS}/{unpaid}/{act}"));
    }
    places.extend(crate::goods::places(app, sku).await);
    places.push(format!("{ORDERS}/{fresh}/refund"));
    places.push(format!("{ORDERS}/{shipped}/parcels/{}", parcel.shipment.unwrap()));
    places
}

/// What axe objects to on the page as it is shown now: rule and element.
async fn violations(browser: &Browser, rules: &str) -> Vec<String> {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         axe.run(document, {{runOnly: {rules}, resultTypes: ['violations']}}).then(
             (found) => done(found.violations.flatMap((violation) =>
                 violation.nodes.map((node) => violation.id + ' ' + node.html + ' '
                     + node.failureSummary))),
             (error) => done(['axe: ' + error]));"
    );
    let found = browser.runs_until_done(&script).await;
    found.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

pub async fn is_fine(browser: &Browser, place: &str) {
    browser.screen(1280, "light").await;
    browser.goto(place).await;
    is_fine_here(browser, place).await;
}

/// The same of a page that is no address of its own, such as the answer to a form.
pub async fn is_fine_here(browser: &Browser, place: &str) {
    browser.runs(AXE).await;
    let some = "['color-contrast', 'target-size', 'scrollable-region-focusable']";
    for (width, scheme, rules) in [
        (1280, "light", ALL_RULES),
        (1280, "dark", some),
        (390, "light", some),
        (390, "dark", ALL_RULES),
    ] {
        browser.screen(width, scheme).await;
        let found = violations(browser, rules).await;
        assert_eq!(found, [""; 0], "{place} {width} {scheme}");
        let wide = browser.runs("return document.documentElement.scrollWidth").await;
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{place} is {wide} wide on {width}");
    }
    assert_eq!(browser.complaints().await, [""; 0], "{place}");
}

/// Chooses the language of the pages.
pub async fn speak(browser: &Browser, language: &str) {
    browser.goto("/admin/me").await;
    browser.click(&format!("button[name=language][value={language}]")).await;
    browser.is_there(".notice").await;
}

async fn all_pages_are_fine(language: &str) {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    account(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    let places = places(&app).await;
    is_fine(&browser, "/admin/login").await;
    log_in(&browser, "boss").await;
    speak(&browser, language).await;
    for place in places {
        is_fine(&browser, &place).await;
    }
    browser.goto("/admin/shops/10001/incidents").await;
    browser.click("tbody a").await;
    browser.is_there("#facts-heading").await;
    let incident = browser.place().await;
    is_fine(&browser, &incident).await;
    browser.goto("/admin/people").await;
    browser.click("tbody a").await;
    browser.is_there("#state-heading").await;
    let person = browser.place().await;
    is_fine(&browser, &person).await;
    let said = browser.runs("return document.documentElement.lang").await;
    assert!(said.as_str().unwrap().starts_with(language));
    app.stop().await;
}

#[actix_web::test]
async fn every_page_is_fine_in_chinese() {
    all_pages_are_fine("zh").await;
}

#[actix_web::test]
async fn every_page_is_fine_in_english() {
    all_pages_are_fine("en").await;
}

/// A form that was refused is a page, too.
#[actix_web::test]
async fn a_refused_form_is_fine_and_says_where_to_look() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await.order_id();
    account(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    log_in(&browser, "boss").await;
    browser.goto(&format!("{ORDERS}/{order}")).await;
    browser.enters("#number", "bad number").await;
    browser.focuses("problems").await;
    browser.runs(AXE).await;
    for scheme in ["light", "dark"] {
        browser.screen(390, scheme).await;
        assert_eq!(violations(&browser, ALL_RULES).await, [""; 0], "{scheme}");
    }
    let title = browser.runs("return document.title").await;
    assert!(title.as_str().unwrap().starts_with("有问题"), "{title}");
    app.stop().await;
}

/// Pictures for the documentation, when somebody asks for them.
#[actix_web::test]
async fn pictures_are_taken_on_request() {
    let Ok(folder) = std::env::var(PICTURES) else { return };
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    account(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    let places = places(&app).await;
    log_in(&browser, "boss").await;
    let order = places.iter().rfind(|place| place.ends_with("/refund")).unwrap();
    let order = order.trim_end_matches("/refund").to_owned();
    browser.goto(&order).await;
    let number = browser.text("h1 small").await;
    let slip = format!("{}?slip={number}", crate::shipping::DESK);
    for (name, place, width, scheme) in [
        ("admin-orders", ORDERS, 1280, "light"),
        ("admin-order", order.as_str(), 1280, "light"),
        ("admin-shipping", slip.as_str(), 1280, "light"),
        ("admin-order-phone", order.as_str(), 390, "dark"),
    ] {
        browser.screen(width, scheme).await;
        browser.goto(place).await;
        let picture = STANDARD.decode(browser.picture().await).unwrap();
        std::fs::write(format!("{folder}/{name}.png"), picture).unwrap();
    }
    browser.screen(1280, "light").await;
    browser.goto(&format!("{}/slips", crate::shipping::DESK)).await;
    browser.click("main form button").await;
    browser.is_there(".barcode").await;
    let picture = STANDARD.decode(browser.picture().await).unwrap();
    std::fs::write(format!("{folder}/admin-slips.png"), picture).unwrap();
    app.stop().await;
}
