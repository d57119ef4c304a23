//! The shipping desk as a packer works at it: a keyboard, a scanner, nothing else.

use buynow::domain::staff::Role;

use crate::clerk::account;
use crate::driver::{Browser, Scripts};
use crate::pages::{is_fine, is_fine_here};
use crate::support::TestApp;
use crate::work::{first, log_in, paid};

pub const DESK: &str = "/admin/shops/10001/shipping";
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';

/// What a scanner sends: the characters of the code and Enter, wherever the focus is.
async fn scan(browser: &Browser, code: &str) {
    browser.keys(&format!("{code}{ENTER}")).await;
}

/// Sounds are counted, not heard: `good` or `bad`, by their pitch.
const LISTEN: &str = "window.heard = [];
    window.AudioContext = class {
        get currentTime() { return 0; }
        get destination() { return this; }
        createGain() { return { gain: {}, connect: (next) => next }; }
        createOscillator() {
            const frequency = {};
            return { frequency, connect: (next) => next, stop() {},
                start(at) {
                    if (at === 0) window.heard.push(frequency.value > 500 ? 'good' : 'bad');
                } };
        }
    };";

async fn heard(browser: &Browser) -> String {
    browser.runs("return window.heard.splice(0).join(' ')").await.as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn twenty_orders_are_shipped_without_a_mouse() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let mut orders = Vec::new();
    for pieces in 0..20 {
        orders.push(paid(&alice, sku, pieces % 3 + 1).await);
    }
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    browser.goto(DESK).await;
    browser.focuses("slip").await;
    browser.runs(LISTEN).await;
    for (nth, order) in orders.iter().enumerate() {
        scan(&browser, &order.order_no()).await;
        browser.focuses("number").await;
        browser.shows("#slip-heading", &order.order_no()).await;
        let number = format!("SF12345678901{nth:02}");
        scan(&browser, &number).await;
        browser.shows("#said", &number).await;
        browser.focuses("slip").await;
    }
    assert_eq!(heard(&browser).await, vec!["good"; 40].join(" "));
    for order in &orders {
        assert_eq!(alice.order(order.order_id()).await["state"], "shipped");
    }
    assert_eq!(browser.place().await, format!("{DESK}?done=shipped"), "it never left the page");
    assert_eq!(browser.complaints().await, [""; 0]);
    app.audit_is_clean().await;
    app.stop().await;
}

/// A scanner does not wait for the answer to the slip.
#[actix_web::test]
async fn a_label_that_is_scanned_before_the_slip_is_open_is_not_lost() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    browser.goto(DESK).await;
    for nth in 0..5 {
        let order = paid(&alice, sku, 1).await;
        let number = format!("SF123456789012{nth}");
        browser.focuses("slip").await;
        browser.keys(&format!("{}{ENTER}{number}{ENTER}", order.order_no())).await;
        browser.shows("#said", &number).await;
        assert_eq!(alice.order(order.order_id()).await["express"]["number"], number);
    }
    assert_eq!(browser.complaints().await, [""; 0]);
    app.stop().await;
}

#[actix_web::test]
async fn a_wrong_scan_is_heard_and_read_and_the_last_one_taken_back_by_keys() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    browser.goto(DESK).await;
    browser.runs(LISTEN).await;
    scan(&browser, "SF1234567890123").await;
    browser.shows("#refused", "请先扫描发货单").await;
    browser.focuses("slip").await;
    assert_eq!(heard(&browser).await, "bad");
    scan(&browser, &order.order_no()).await;
    browser.focuses("number").await;
    scan(&browser, &order.order_no()).await;
    browser.shows("#refused", "这是发货单").await;
    browser.focuses("number").await;
    assert_eq!(heard(&browser).await, "good bad");
    browser.keys(&ESCAPE.to_string()).await;
    browser.focuses("slip").await;
    scan(&browser, &order.order_no()).await;
    browser.focuses("number").await;
    scan(&browser, "SF1234567890123").await;
    browser.shows("#said", "SF1234567890123").await;
    browser.focuses("slip").await;
    // From the field: the button beside it, the link to the order, the button that takes it back.
    browser.keys(&format!("{TAB}{TAB}{TAB}")).await;
    browser.focuses("take-back").await;
    browser.keys(&ENTER.to_string()).await;
    browser.shows("#said", "已撤回").await;
    browser.focuses("number").await;
    assert_eq!(alice.order(order.order_id()).await["state"], "paid");
    scan(&browser, "SF1234567890124").await;
    browser.shows("#said", "SF1234567890124").await;
    assert_eq!(alice.order(order.order_id()).await["state"], "shipped");
    assert_eq!(browser.complaints().await, [""; 0]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn the_desk_works_without_javascript() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::Off).await else { return };
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await;
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    browser.goto(DESK).await;
    browser.focuses("slip").await;
    scan(&browser, &order.order_no()).await;
    browser.shows("#slip-heading", &order.order_no()).await;
    browser.focuses("number").await;
    scan(&browser, "7.3E+13").await;
    browser.shows("#refused", "科学计数法").await;
    browser.focuses("number").await;
    scan(&browser, "SF1234567890123").await;
    browser.shows("#said", "SF1234567890123").await;
    browser.focuses("slip").await;
    browser.click("#take-back").await;
    browser.shows("#said", "已撤回").await;
    assert_eq!(alice.order(order.order_id()).await["state"], "paid");
    app.stop().await;
}

/// Chooses a file with these rows and has it looked at.
async fn upload(browser: &Browser, rows: &str) {
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let text = format!("order_no,company,number\n{rows}");
    std::fs::write(file.path(), text).unwrap();
    browser.goto(&format!("{DESK}/files")).await;
    browser.types("#file", file.path().to_str().unwrap()).await;
    browser.click("form[enctype] button").await;
    browser.is_there("#file-heading").await;
}

#[actix_web::test]
async fn a_file_ships_without_javascript() {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::Off).await else { return };
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await;
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    upload(&browser, &format!("{},,SF1234567890123\n", order.order_no())).await;
    browser.shows(".count", "可发货 1").await;
    browser.click("form[action$='/file/ship'] button").await;
    browser.shows(".count", "已发货 1").await;
    assert_eq!(alice.order(order.order_id()).await["state"], "shipped");
    upload(&browser, &format!("{},,SF1234567890123\n", order.order_no())).await;
    browser.shows(".count", "之前已发货 1").await;
    app.audit_is_clean().await;
    app.stop().await;
}

/// Both steps, what is refused, what is asked, and with something to take back.
async fn is_fine_in(language: &str) {
    let app = TestApp::start().await;
    let Some(browser) = Browser::open(&app.url, Scripts::On).await else { return };
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let (one, two) = (paid(&alice, sku, 1).await, paid(&alice, sku, 2).await);
    account(&app, "packer", &first(Role::Warehouse)).await;
    log_in(&browser, "packer").await;
    crate::pages::speak(&browser, language).await;
    is_fine(&browser, DESK).await;
    is_fine(&browser, &format!("{DESK}?slip={}", two.order_no())).await;
    is_fine(&browser, &format!("{DESK}?slip=SF1234567890123")).await;
    browser.goto(&format!("{DESK}?slip={}", one.order_no())).await;
    browser.enters("#number", "SF1234567890123").await;
    browser.shows("#said", "SF1234567890123").await;
    is_fine(&browser, &format!("{DESK}?done=shipped")).await;
    is_fine(&browser, &format!("{DESK}/files")).await;
    upload(&browser, &format!("{},,7.3E+13\n", two.order_no())).await;
    is_fine_here(&browser, "a file with a bad row").await;
    browser.click("form[data-export] button").await;
    browser.shows("#progress", "1 / 1").await;
    upload(&browser, &format!("{},,SF1234567890124\n", two.order_no())).await;
    is_fine_here(&browser, "a file with a good row").await;
    is_fine(&browser, &format!("{DESK}/slips")).await;
    browser.click("main form button").await;
    browser.is_there(".barcode").await;
    let printed = browser.place().await;
    is_fine(&browser, &printed).await;
    app.stop().await;
}

#[actix_web::test]
async fn the_desk_is_fine_in_chinese() {
    is_fine_in("zh").await;
}

#[actix_web::test]
async fn the_desk_is_fine_in_english() {
    is_fine_in("en").await;
}
