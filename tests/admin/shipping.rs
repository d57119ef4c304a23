//! The shipping desk: scanned, refused, taken back; and never shipped twice.

use buynow::domain::staff::Role;
use futures_util::future::join;
use serde_json::json;

use crate::clerk::Clerk;
use crate::orders::{ORDERS, field, first, state};
use crate::support::{Reply, Shopper, TestApp};

const DESK: &str = "/admin/shops/10001/shipping";
const API: &str = "/api/admin/v1/shops/10001";

/// A paid order of so many pieces.
async fn paid(shopper: &Shopper, sku: i64, pieces: i64) -> Reply {
    let placed = shopper.buys(sku, pieces).await.expect(201);
    shopper.pays(placed.payment()).await;
    placed
}

async fn opens(clerk: &Clerk<'_>, slip: &str) -> String {
    clerk.get(&format!("{DESK}?slip={slip}")).await.expect(200).text
}

/// The fields of the form of an open slip, with the label of the parcel.
fn label(page: &str, number: &str) -> Vec<(String, String)> {
    let mut fields = vec![("number".to_owned(), number.to_owned())];
    for name in ["key", "order_no"] {
        fields.push((name.to_owned(), field(page, name)));
    }
    for part in page.split("name=\"line-").skip(1) {
        let (id, rest) = part.split_once("\" value=\"").unwrap();
        fields.push((format!("line-{id}"), rest.split('"').next().unwrap().to_owned()));
    }
    fields
}

async fn sends(clerk: &Clerk<'_>, fields: &[(String, String)]) -> Reply {
    let fields: Vec<_> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    clerk.post(&format!("{DESK}/scan"), &fields).await
}

async fn scans(clerk: &Clerk<'_>, slip: &str, number: &str) -> Reply {
    let page = opens(clerk, slip).await;
    sends(clerk, &label(&page, number)).await
}

fn done(reply: &Reply) -> &str {
    reply.header("location").unwrap().split("done=").nth(1).unwrap()
}

/// Where the button that takes the last scan back leads.
fn way_back(page: &str) -> Option<String> {
    let (before, _) = page.split_once("/take-back\"")?;
    Some(format!("{}/take-back", before.rsplit('"').next()?))
}

#[actix_web::test]
async fn a_slip_and_a_label_ship_an_order_and_the_company_comes_from_the_number() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let (one, two) = (paid(&alice, sku, 2).await, paid(&alice, sku, 1).await);
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let start = packer.get(DESK).await.expect(200).text;
    assert!(start.contains("id=\"slip\"") && start.contains("autofocus"), "{start}");
    let page = opens(&packer, &one.order_no()).await;
    assert!(page.contains("id=\"number\"") && page.contains(">2 <"), "{page}");
    let sent = sends(&packer, &label(&page, " yt1234567890123 ")).await.expect(303);
    assert_eq!(done(&sent), "shipped");
    let page = packer.get(sent.header("location").unwrap()).await.expect(200).text;
    assert!(page.contains("圆通速递") && page.contains("YT1234567890123"), "{page}");
    assert_eq!(state(&alice, one.order_id()).await, "shipped");
    // Twelve digits may be anybody's: then it is the company of the last scan.
    assert_eq!(done(&scans(&packer, &two.order_no(), "123456789012").await.expect(303)), "shipped");
    let order = alice.order(two.order_id()).await;
    assert_eq!(order["shipments"][0]["company_code"], "YTO", "{order}");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_wrong_scan_is_refused_in_words_and_ships_nothing() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let (one, two) = (paid(&alice, sku, 1).await, paid(&alice, sku, 1).await);
    let unpaid = alice.buys(sku, 1).await.expect(201);
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    for (slip, word) in [
        ("202611259999999999999999", "没有这个订单"),
        ("SF1234567890123", "请先扫描发货单"),
        (&*unpaid.order_no(), "订单状态: 待付款"),
    ] {
        let page = opens(&packer, slip).await;
        assert!(page.contains("data-sound=\"bad\"") && page.contains(word), "{slip}: {page}");
        assert!(page.contains("id=\"slip\""), "{page}");
    }
    for (number, word) in [
        ("7.3E+13", "科学计数法"),
        (&*two.order_no(), "这是发货单"),
        ("单号", "快递单号应为"),
        ("123456789012", "请选择"),
    ] {
        let page = scans(&packer, &one.order_no(), number).await.expect(422).text;
        assert!(page.contains("data-sound=\"bad\"") && page.contains(word), "{number}: {page}");
        assert!(page.contains("id=\"number\""), "the slip stays open: {page}");
    }
    assert_eq!(state(&alice, one.order_id()).await, "paid");
    scans(&packer, &one.order_no(), "SF1234567890123").await.expect(303);
    let again = opens(&packer, &one.order_no()).await;
    assert!(again.contains("已发货 顺丰速运 SF1234567890123"), "{again}");
    app.stop().await;
}

#[actix_web::test]
async fn one_label_for_two_orders_is_asked_about() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let (one, two) = (paid(&alice, sku, 1).await, paid(&alice, sku, 1).await);
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    scans(&packer, &one.order_no(), "SF1234567890123").await.expect(303);
    let asked = scans(&packer, &two.order_no(), "SF1234567890123").await.expect(422).text;
    assert!(asked.contains("这个单号已用于订单") && asked.contains(&one.order_no()), "{asked}");
    assert_eq!(state(&alice, two.order_id()).await, "paid");
    let mut sure = label(&asked, "SF1234567890123");
    sure.push(("same_parcel".to_owned(), "yes".to_owned()));
    sends(&packer, &sure).await.expect(303);
    assert_eq!(state(&alice, two.order_id()).await, "shipped");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn two_clerks_at_one_slip_and_a_form_sent_twice_ship_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let other = Clerk::of(&app, "other", &first(Role::Warehouse)).await;
    let mine = label(&opens(&packer, &order.order_no()).await, "SF1111111111111");
    let hers = label(&opens(&other, &order.order_no()).await, "SF2222222222222");
    let (one, two) = join(sends(&packer, &mine), sends(&other, &hers)).await;
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422], "{} {}", one.text, two.text);
    let (winner, form) = if one.status == 303 { (&packer, &mine) } else { (&other, &hers) };
    assert_eq!(done(&sends(winner, form).await.expect(303)), "repeated");
    let shipped = alice.order(order.order_id()).await;
    assert_eq!(shipped["shipments"].as_array().unwrap().len(), 1, "{shipped}");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_form_that_is_sent_again_after_a_crash_ships_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let order = paid(&app.shopper("alice").await, sku, 2).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let form = label(&opens(&packer, &order.order_no()).await, "SF1111111111111");
    sends(&packer, &form).await.expect(303);
    let app = app.crashes_and_restarts().await;
    let packer = Clerk::logged_in(&app, "packer").await;
    assert_eq!(done(&sends(&packer, &form).await.expect(303)), "repeated");
    let page = packer.get(DESK).await.expect(200).text;
    let back = way_back(&page).expect("what was held before the crash is held after it");
    packer.post(&back, &[]).await.expect(303);
    let alice = app.shopper("alice").await;
    assert_eq!(state(&alice, order.order_id()).await, "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn an_order_whose_money_goes_back_does_not_leave() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let open = label(&opens(&packer, &order.order_no()).await, "SF1111111111111");
    let id = buynow::domain::id::OrderId::parse(order.order_id()).unwrap();
    app.desk().refund(&app.clerk(), id, "缺货").await.unwrap();
    let refused = sends(&packer, &open).await.expect(422).text;
    assert!(refused.contains("退款中"), "{refused}");
    assert!(opens(&packer, &order.order_no()).await.contains("退款中"));
    assert_eq!(state(&alice, order.order_id()).await, "paid");
    app.stop().await;
}

#[actix_web::test]
async fn the_last_scan_is_taken_back_until_its_message_leaves() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let order = paid(&alice, sku, 1).await;
    app.run_notifier().await;
    let told = || app.sandbox.messages(None, Some("alice")).len();
    let before = told();
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    scans(&packer, &order.order_no(), "SF1111111111111").await.expect(303);
    app.run_notifier().await;
    assert_eq!(told(), before, "the message waits");
    let page = packer.get(DESK).await.expect(200).text;
    let back = way_back(&page).unwrap();
    let fields = [("key", field(&page, "key"))];
    let fields: Vec<_> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
    assert_eq!(done(&packer.post(&back, &fields).await.expect(303)), "taken_back");
    assert_eq!(done(&packer.post(&back, &fields).await.expect(303)), "taken_back", "sent twice");
    packer.post(&back, &[]).await.expect(404);
    assert_eq!(state(&alice, order.order_id()).await, "paid");
    assert!(alice.order(order.order_id()).await["shipments"].as_array().unwrap().is_empty());
    app.audit_is_clean().await;
    // The right label: its message leaves when its time has come, and then the scan stays.
    scans(&packer, &order.order_no(), "SF2222222222222").await.expect(303);
    app.advance(61);
    app.run_notifier().await;
    assert_eq!(told(), before + 1);
    let page = packer.get(DESK).await.expect(200).text;
    assert_eq!(way_back(&page), None, "{page}");
    let detail = packer.get(&format!("{ORDERS}/{}", order.order_id())).await.expect(200).text;
    assert!(detail.contains("撤回发货"), "the timeline tells: {detail}");
    let parcel = detail.split_once("/parcels/").unwrap().1.split('"').next().unwrap();
    let late = format!("{ORDERS}/{}/parcels/{parcel}/take-back", order.order_id());
    let late = packer.post(&late, &[]).await.expect(422).text;
    assert!(late.contains("不能再撤回"), "{late}");
    assert_eq!(state(&alice, order.order_id()).await, "shipped");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_message_that_is_being_sent_and_a_scan_that_is_taken_back_exclude_each_other() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 30).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    for round in 0..6 {
        let order = paid(&alice, sku, 1).await;
        app.run_notifier().await;
        scans(&packer, &order.order_no(), &format!("SF333333333333{round}")).await.expect(303);
        let page = packer.get(DESK).await.expect(200).text;
        let back = way_back(&page).unwrap();
        app.advance(61);
        let before = app.sandbox.messages(None, Some("alice")).len();
        let (taken, _) = join(packer.post(&back, &[]), app.run_notifier()).await;
        app.run_notifier().await;
        let told = app.sandbox.messages(None, Some("alice")).len() - before;
        let is_back = taken.status == 303;
        assert_eq!(told, usize::from(!is_back), "round {round}: {}", taken.status);
        let expected = if is_back { "paid" } else { "shipped" };
        assert_eq!(state(&alice, order.order_id()).await, expected);
        alice.agree_to_messages().await;
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_scanner_with_a_token_does_the_same() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    crate::clerk::account(&app, "packer", &first(Role::Warehouse)).await;
    let token = crate::rights::token(&app, "packer", first(Role::Warehouse)[0].0).await;
    let scan = async |number: &str| {
        let body = json!({"order_no": order.order_no(), "number": number});
        app.post(&format!("{API}/shipping/scan"), Some(&token), body).await
    };
    scan("7.3E+13").await.refused(400, "invalid_request");
    scan("123456789012").await.refused(400, "invalid_request");
    let shipped = scan("SF1234567890123").await.expect(200);
    let parcel = shipped.body["parcel_id"].as_i64().unwrap();
    scan("SF1234567890124").await.refused(409, "invalid_state");
    let back = format!("{API}/orders/{}/parcels/{parcel}/take-back", order.order_id());
    app.post(&back, Some(&token), json!({})).await.expect(200);
    assert_eq!(state(&alice, order.order_id()).await, "paid");
    app.stop().await;
}
