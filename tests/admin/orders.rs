//! Orders as staff work with them: found, looked at, shipped, changed, given back.

use buynow::domain::id::WxappId;
use buynow::domain::staff::{Role, Scope};
use buynow::sandbox::{FaultKind, Forge, Notify};
use serde_json::{Value, json};

use crate::clerk::Clerk;
use crate::support::{FIRST_SHOP, Reply, Shopper, TestApp};

pub const ORDERS: &str = "/admin/shops/10001/orders";

pub fn first(role: Role) -> Vec<(Scope, Role)> {
    vec![(Scope::One(WxappId::parse(FIRST_SHOP).unwrap()), role)]
}

/// An order of so many pieces, paid.
pub async fn paid(shopper: &Shopper, sku: i64, pieces: i64) -> i64 {
    let placed = shopper.buys(sku, pieces).await.expect(201);
    shopper.pays(placed.payment()).await;
    placed.order_id()
}

pub async fn state(shopper: &Shopper, order: i64) -> String {
    shopper.order(order).await["state"].as_str().unwrap().to_owned()
}

/// The value of the field of this name on a page.
pub fn field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// The fields of the form that ships what is left.
fn parcel(page: &str, number: &str) -> Vec<(String, String)> {
    let mut fields = vec![
        ("company".to_owned(), "SF".to_owned()),
        ("number".to_owned(), number.to_owned()),
        ("key".to_owned(), field(page, "key")),
    ];
    for part in page.split("name=\"line-").skip(1) {
        let id = part.split('"').next().unwrap();
        let pieces = part.split_once(" value=\"").unwrap().1.split('"').next().unwrap();
        fields.push((format!("line-{id}"), pieces.to_owned()));
    }
    fields
}

async fn send(clerk: &Clerk<'_>, path: &str, fields: &[(String, String)]) -> Reply {
    let fields: Vec<_> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    clerk.post(path, &fields).await
}

#[actix_web::test]
async fn a_packer_ships_in_two_parcels_and_a_double_click_acts_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 3).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let place = format!("{ORDERS}/{order}");
    let page = packer.get(&place).await.expect(200).text;
    let mut some = parcel(&page, " SF11111 ");
    some.last_mut().unwrap().1 = "2".to_owned();
    send(&packer, &format!("{place}/ship"), &some).await.expect(303);
    let twice = send(&packer, &format!("{place}/ship"), &some).await.expect(303);
    assert!(twice.header("location").unwrap().ends_with("done=repeated"));
    assert_eq!(state(&alice, order).await, "paid");

    let page = packer.get(&place).await.expect(200).text;
    assert!(page.contains("SF11111") && page.contains("部分发货"));
    let rest = parcel(&page, "SF22222");
    assert_eq!(rest.last().unwrap().1, "1");
    let taken = send(&packer, &format!("{place}/ship"), &parcel(&page, "SF11111")).await;
    assert!(taken.expect(422).text.contains("这个单号已用于本订单的另一个包裹"));
    send(&packer, &format!("{place}/ship"), &rest).await.expect(303);
    assert_eq!(state(&alice, order).await, "shipped");
    let late = parcel(&page, "SF33333");
    let refused = send(&packer, &format!("{place}/ship"), &late).await.expect(422);
    assert!(refused.text.contains("href=\"#"), "a summary: {}", refused.text);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn what_is_wrong_with_a_parcel_is_said_at_its_field_and_nothing_is_lost() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let place = format!("{ORDERS}/{order}");
    let page = packer.get(&place).await.expect(200).text;
    let ship = format!("{place}/ship");
    let bad = send(&packer, &ship, &parcel(&page, "7.3E+13")).await.expect(422).text;
    assert!(bad.contains("href=\"#number\"") && bad.contains("value=\"7.3E+13\""));
    let mut unknown = parcel(&page, "SF11111");
    unknown[0].1 = "XX".to_owned();
    assert!(send(&packer, &ship, &unknown).await.expect(422).text.contains("href=\"#company\""));
    let mut many = parcel(&page, "SF11111");
    many.last_mut().unwrap().1 = "5".to_owned();
    let many = send(&packer, &ship, &many).await.expect(422).text;
    assert!(many.contains("href=\"#line-") && many.contains("最多 2"), "{many}");
    assert_eq!(state(&alice, order).await, "paid");
    app.stop().await;
}

#[actix_web::test]
async fn numbers_are_corrected_with_a_warning_and_orders_completed() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let place = format!("{ORDERS}/{order}");
    let early = packer.post(&format!("{place}/complete"), &[("reason", "x")]).await.expect(422);
    assert!(early.text.contains("订单还没有全部发货"));
    let page = packer.get(&place).await.expect(200).text;
    send(&packer, &format!("{place}/ship"), &parcel(&page, "SF11111")).await.expect(303);
    let page = packer.get(&place).await.expect(200).text;
    let link = page.split("href=\"").find(|link| link.contains("/parcels/")).unwrap();
    let link = link.split('"').next().unwrap();
    assert!(packer.get(link).await.expect(200).text.contains("微信只接受一次单号更正"));
    let same = [("company", "SF"), ("number", "SF11111")];
    assert!(packer.post(link, &same).await.expect(422).text.contains("没有任何变化"));
    packer.post(link, &[("company", "ZTO"), ("number", "ZT99999")]).await.expect(303);
    assert!(packer.get(link).await.expect(200).text.contains("微信已接受过一次更正"));
    packer.post(&format!("{place}/complete"), &[("reason", "买家来电")]).await.expect(303);
    assert_eq!(state(&alice, order).await, "completed");
    app.stop().await;
}

#[actix_web::test]
async fn the_price_changes_only_when_confirmed_and_before_the_payment() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1000, 9).await;
    let alice = app.shopper("alice").await;
    let order = alice.buys(sku, 1).await.expect(201).order_id();
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let price = format!("{ORDERS}/{order}/price");
    let unsure = clerk.post(&price, &[("pay", "8.00"), ("reason", "老客户")]).await.expect(422);
    assert!(unsure.text.contains("href=\"#confirmed\"") && unsure.text.contains("value=\"8.00\""));
    for (pay, field) in [("0", "pay"), ("abc", "pay"), ("999999999", "pay"), ("10.00", "")] {
        let fields = [("pay", pay), ("reason", "老客户"), ("confirmed", "yes")];
        let page = clerk.post(&price, &fields).await.expect(422).text;
        assert!(field.is_empty() || page.contains(&format!("href=\"#{field}\"")), "{pay}");
    }
    let fields = [("pay", "8.00"), ("reason", "老客户"), ("confirmed", "yes")];
    clerk.post(&price, &fields).await.expect(303);
    assert_eq!(alice.order(order).await["pay_fen"], 800);
    let payment = alice.asks_to_pay(order).await.expect(200).body;
    alice.pays(&payment).await;
    let late = clerk.post(&price, &fields).await.expect(422);
    assert!(late.text.contains("订单已经付款"));
    let finance = Clerk::of(&app, "money", &first(Role::Finance)).await;
    let log = finance.get("/admin/shops/10001/audit").await.expect(200).text;
    assert!(log.contains("</span> ¥8.00") && !log.contains("</span> 800"), "yuan, as people read");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_refund_is_confirmed_once_and_needs_its_own_right() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await;
    let refund = format!("{ORDERS}/{order}/refund");
    let fields = [("reason", "缺货"), ("confirmed", "yes")];
    let operations = Clerk::of(&app, "ops", &first(Role::Operations)).await;
    operations.post(&refund, &fields).await.expect(403);
    assert!(!operations.get(&format!("{ORDERS}/{order}")).await.text.contains(&refund));
    let finance = Clerk::of(&app, "money", &first(Role::Finance)).await;
    assert!(finance.get(&refund).await.expect(200).text.contains("¥2.00"));
    finance.post(&refund, &fields[..1]).await.expect(422);
    finance.post(&refund, &fields).await.expect(303);
    let twice = finance.post(&refund, &fields).await.expect(422);
    assert!(twice.text.contains("订单正在退款"));
    let open = finance.get(&format!("{ORDERS}?refund_open=yes")).await.expect(200).text;
    assert!(open.contains("退款中"));
    app.finish_refunds().await;
    assert_eq!(state(&alice, order).await, "refunded");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn unpaid_orders_are_cancelled_and_what_wechat_keeps_open_is_released() {
    let hasty = |config: &mut buynow::config::Config| config.engine.cancel_wait_ms = 50;
    let app = TestApp::builder().config(hasty).start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = alice.buys(sku, 1).await.expect(201).order_id();
    let boss = Clerk::of(&app, "boss", &first(Role::Owner)).await;
    let place = format!("{ORDERS}/{order}");
    let early = [("reason", "x"), ("confirmed", "yes")];
    let early = boss.post(&format!("{place}/release"), &early).await.expect(422);
    assert!(early.text.contains("订单没有在关闭中"));
    let broken = buynow::sandbox::Fault::next("/pay/closeorder", FaultKind::Http500);
    app.sandbox.fault(broken.times(10_000)).unwrap();
    boss.post(&format!("{place}/cancel"), &[("reason", "不要了")]).await.expect(303);
    app.run_reaper().await;
    assert!(boss.get(&place).await.expect(200).text.contains("等待微信确认"));
    boss.post(&format!("{place}/release"), &[("reason", "不答")]).await.expect(422);
    let sure = [("reason", "微信不回答"), ("confirmed", "yes")];
    boss.post(&format!("{place}/release"), &sure).await.expect(303);
    assert_eq!((state(&alice, order).await.as_str(), app.stock(sku).await), ("closed", 9));
    assert!(boss.get(&place).await.expect(200).text.contains("手动释放库存"));
    app.stop().await;
}

#[actix_web::test]
async fn personal_data_is_hidden_and_each_look_is_written_down() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let place = format!("{ORDERS}/{order}");
    for path in [ORDERS, &place] {
        let page = packer.get(path).await.expect(200).text;
        assert!(page.contains("138****8000"), "{path}");
        assert!(!page.contains("13800138000") && !page.contains("科技园"), "{path}");
    }
    let shown = packer.post(&format!("{place}/reveal"), &[]).await.expect(200).text;
    assert!(shown.contains("13800138000") && shown.contains("科技园"));
    let reader = Clerk::of(&app, "reader", &first(Role::ReadOnly)).await;
    reader.post(&format!("{place}/reveal"), &[]).await.expect(403);
    let by_phone = format!("{ORDERS}?q=13800138000");
    assert!(reader.get(&by_phone).await.expect(200).text.contains("没有找到订单"));
    packer.get(&by_phone).await.expect(303);
    let finance = Clerk::of(&app, "money", &first(Role::Finance)).await;
    let log = finance.get("/admin/shops/10001/audit").await.expect(200).text;
    assert!(log.contains("查看个人信息") && log.contains("packer"));
    app.stop().await;
}

#[actix_web::test]
async fn an_address_changes_before_shipping_and_what_is_left_empty_stays() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let address = format!("{ORDERS}/{order}/address");
    let bad = clerk.post(&address, &[("phone", "ring me")]).await.expect(422);
    assert!(bad.text.contains("href=\"#phone\""));
    clerk.post(&address, &[("detail", "后海 2 号")]).await.expect(303);
    let to = &alice.order(order).await["address"];
    assert_eq!((&to["detail"], &to["name"]), (&json!("后海 2 号"), &json!("小明")));
    let finance = Clerk::of(&app, "money", &first(Role::Finance)).await;
    let log = finance.get("/admin/shops/10001/audit").await.expect(200).text;
    assert!(log.contains("修改地址") && !log.contains("后海"), "finance sees no addresses");
    app.stop().await;
}

/// Ids of the orders that a page of the list links to.
fn listed(page: &str) -> Vec<i64> {
    let links = page.split("class=\"number-link\" href=\"").skip(1);
    let id = |link: &str| {
        let path = link.split('"').next().unwrap();
        path.rsplit('/').next().unwrap().parse().unwrap()
    };
    links.map(id).collect()
}

#[actix_web::test]
async fn the_list_is_filtered_and_the_filter_is_kept_in_the_address_and_per_person() {
    let app = TestApp::start().await;
    let (tea, cup) = (app.a_sku(100, 9).await, app.a_sku(200, 9).await);
    let alice = app.shopper("alice").await;
    let one = paid(&alice, tea, 1).await;
    app.advance(24 * 3600);
    let two = paid(&alice, cup, 1).await;
    app.advance(1);
    let three = alice.buys(tea, 2).await.expect(201).order_id();
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let list =
        async |query: &str| listed(&clerk.get(&format!("{ORDERS}?{query}")).await.expect(200).text);
    assert_eq!(list("").await, [three, two, one]);
    assert_eq!(list("state=paid&state=unpaid").await, [three, two, one]);
    assert_eq!(list("state=unpaid").await, [three]);
    assert_eq!(list("state=paid&created_to=2026-11-25").await, [one]);
    assert_eq!(list("created_from=2026-11-26").await, [three, two]);
    assert_eq!(list("paid_from=2026-11-25&paid_to=2026-11-26").await, [two, one]);
    assert_eq!(list(&format!("sku={tea}")).await, [three, one]);
    assert_eq!(list("refund_open=yes").await, [0i64; 0]);
    let bad = clerk.get(&format!("{ORDERS}?created_from=tomorrow")).await.expect(422).text;
    assert!(bad.contains("href=\"#created_from\"") && bad.contains("value=\"tomorrow\""));

    let kept = [("name", "未付"), ("query", "state=unpaid&cursor=x")];
    let views = format!("{ORDERS}/views");
    let kept = clerk.post(&views, &kept).await.expect(303);
    assert!(kept.header("location").unwrap().ends_with("orders?state=unpaid&done=saved"));
    let page = clerk.get(ORDERS).await.expect(200).text;
    assert!(page.contains("★ 未付"));
    let other = Clerk::of(&app, "other", &first(Role::Operations)).await;
    assert!(!other.get(ORDERS).await.expect(200).text.contains("未付"), "each for himself");
    let forget = page.split("action=\"").find(|part| part.contains("/forget\"")).unwrap();
    let forget = forget.split('"').next().unwrap();
    other.post(forget, &[]).await.expect(404);
    clerk.post(forget, &[]).await.expect(303);
    assert!(!clerk.get(ORDERS).await.expect(200).text.contains("★ 未付"));
    app.stop().await;
}

#[actix_web::test]
async fn a_program_pages_through_orders_and_ships_one() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(paid(&alice, sku, 1).await);
        app.advance(1);
    }
    let boss = Clerk::of(&app, "boss", &[(Scope::All, Role::Owner)]).await;
    let token = crate::logged::token(&boss, &["orders.read", "orders.ship"]).await;
    let api = "/api/admin/v1/shops/10001/orders";
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("{api}?limit=2{cursor}"), Some(&token)).await.expect(200);
        for item in page.body["items"].as_array().unwrap() {
            seen.push(item["order"]["id"].as_i64().unwrap());
            assert_eq!(item["order"]["address"]["phone"], "138****8000");
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    orders.reverse();
    assert_eq!(seen, orders);
    app.get(&format!("{api}?limit=101"), Some(&token)).await.refused(400, "invalid_request");

    let ship = format!("{api}/{}/ship", orders[0]);
    let parcel = json!({"company": "SF", "number": "SF12345"});
    let key = [("idempotency-key", "k1"), ("content-type", "application/json")];
    let post = async || {
        let body = Some(parcel.to_string().into_bytes());
        app.call(awc::http::Method::POST, &ship, Some(&token), &key, body).await.expect(200).body
    };
    let done = post().await;
    assert_eq!(done["repeated"], false);
    assert_eq!(post().await, json!({"repeated": true, "parcel_id": null}));
    let again = app.post(&ship, Some(&token), parcel.clone()).await;
    let reason = again.refused(409, "invalid_state").body["detail"]["reason"].clone();
    assert_eq!(reason, "already_shipped");
    let detail = app.get(&format!("{api}/{}", orders[0]), Some(&token)).await.expect(200).body;
    assert_eq!(detail["parcels"][0]["id"], done["parcel_id"]);
    let events: Vec<&Value> = detail["timeline"].as_array().unwrap().iter().collect();
    assert_eq!(events.last().unwrap()["event"], "shipped");
    let note = format!("{api}/{}/note", orders[0]);
    app.post(&note, Some(&token), json!({"text": "x"})).await.refused(403, "forbidden");
    app.stop().await;
}

#[actix_web::test]
async fn staff_ask_wechat_and_hear_its_word_for_each_attempt() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = alice.buys(sku, 1).await.expect(201).order_id();
    let clerk = Clerk::of(&app, "clerk", &first(Role::Operations)).await;
    let ask = format!("{ORDERS}/{order}/ask");
    clerk.get(&ask).await.expect(200);
    assert!(clerk.post(&ask, &[]).await.expect(200).text.contains("未付款"));
    app.stop().await;
}

#[actix_web::test]
async fn an_incident_is_matched_with_its_order_by_number() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.pays(placed.payment()).await;
    let (order, number) = (placed.order_id(), placed.order_no());
    let forged = Forge { amount: Some(99), ..Forge::default() };
    let mut notice = Notify::of(&number).forged(forged);
    notice.times = 1;
    app.sandbox.notify(&notice).await.unwrap();
    let clerk = Clerk::of(&app, "money", &first(Role::Finance)).await;
    let inbox = "/admin/shops/10001/incidents";
    let page = clerk.get(inbox).await.expect(200).text;
    assert!(page.contains("金额不符") && page.contains("¥0.99"), "{page}");
    let link = page.split("href=\"").find(|link| link.starts_with(&format!("{inbox}/")));
    let link = link.unwrap().split('"').next().unwrap();
    clerk.get(link).await.expect(200);
    for (how, no, reason, field) in [
        ("", "", "x", "how-matched"),
        ("matched", "20260000000000000000", "x", "order_no"),
        ("dismissed", "", "", "reason"),
    ] {
        let fields = [("how", how), ("order_no", no), ("reason", reason)];
        let page = clerk.post(link, &fields).await.expect(422).text;
        assert!(page.contains(&format!("href=\"#{field}\"")), "{field}");
    }
    let fields = [("how", "matched"), ("order_no", number.as_str()), ("reason", "已核对")];
    clerk.post(link, &fields).await.expect(303);
    let again = clerk.post(link, &fields).await.expect(422);
    assert!(again.text.contains("异常通知已经处理过"));
    let page = clerk.get(&format!("{ORDERS}/{order}")).await.expect(200).text;
    assert!(page.contains("匹配异常通知"));
    app.stop().await;
}
