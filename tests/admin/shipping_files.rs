//! The shipping files: out with empty columns, back filled in, and back once more; slips printed
//! once.

use awc::http::Method;
use buynow::domain::staff::Role;
use futures_util::future::join;
use serde_json::json;

use crate::clerk::Clerk;
use crate::orders::{field, first, state};
use crate::support::{Reply, Shopper, TestApp};

const FILES: &str = "/admin/shops/10001/shipping";
const API: &str = "/api/admin/v1/shops/10001/shipping";

async fn paid(shopper: &Shopper, sku: i64, pieces: i64) -> Reply {
    let placed = shopper.buys(sku, pieces).await.expect(201);
    shopper.pays(placed.payment()).await;
    placed
}

async fn uploads(clerk: &Clerk<'_>, file: &[u8]) -> Reply {
    let page = clerk.get(&format!("{FILES}/files")).await.expect(200).text;
    let token = field(&page, "form_token");
    let mut body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"form_token\"\r\n\r\n{token}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    clerk.call(Method::POST, &format!("{FILES}/file"), &headers, Some(body)).await
}

/// The rows that the preview keeps for its confirmation, and its key.
async fn confirms(clerk: &Clerk<'_>, page: &str) -> Reply {
    let rows = page.split_once("name=\"rows\" hidden>").unwrap().1;
    let rows = rows.split("</textarea>").next().unwrap().trim_start();
    let key = field(page, "key");
    clerk.post(&format!("{FILES}/file/ship"), &[("key", &key), ("rows", rows)]).await
}

/// How many rows a page counts under a word.
#[track_caller]
fn counts(page: &str, word: &str) -> usize {
    let count = page.split_once("class=\"count\">").unwrap().1.split("</p>").next().unwrap();
    let rest = count.split_once(word).unwrap_or_else(|| panic!("{word}: {count}")).1;
    rest.trim().split(' ').next().unwrap().parse().unwrap()
}

/// The export with number filled into the last column of each row but the head.
fn filled(export: &str, number: impl Fn(usize) -> String) -> String {
    let mut lines = export.lines().enumerate();
    let head = lines.next().unwrap().1.to_owned();
    let rows = lines.map(|(nth, line)| {
        let start = line.strip_suffix(",,").unwrap();
        format!("{start},,{}", number(nth))
    });
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\r\n")
}

#[actix_web::test]
async fn what_goes_out_comes_back_ships_and_changes_nothing_more() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(paid(&alice, sku, 2).await);
    }
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let export = packer.post(&format!("{FILES}/export"), &[]).await.expect(200);
    assert_eq!(export.header("content-type"), Some("text/csv; charset=utf-8"));
    let export = export.text;
    assert!(export.starts_with('\u{feff}'), "{export}");
    for order in &orders {
        assert!(export.contains(&format!("\t{}", order.order_no())), "{export}");
    }
    let file = filled(&export, |nth| format!("SF12345678901{nth:02}"));
    let preview = uploads(&packer, file.as_bytes()).await.expect(200).text;
    assert_eq!(counts(&preview, "可发货"), 5, "{preview}");
    assert_eq!(state(&alice, orders[0].order_id()).await, "paid", "looked at, not done");
    let done = confirms(&packer, &preview).await.expect(200).text;
    assert_eq!(counts(&done, "已发货"), 5, "{done}");
    for order in &orders {
        assert_eq!(state(&alice, order.order_id()).await, "shipped");
    }
    // The form once more, and the file once more, also as a spreadsheet in China saves it.
    let twice = confirms(&packer, &preview).await.expect(200).text;
    assert_eq!((counts(&twice, "已发货"), counts(&twice, "之前已发货")), (0, 5), "{twice}");
    for bytes in [file.clone().into_bytes(), encoding_rs::GB18030.encode(&file[3..]).0.into()] {
        let again = uploads(&packer, &bytes).await.expect(200).text;
        assert_eq!((counts(&again, "可发货"), counts(&again, "之前已发货")), (0, 5), "{again}");
        assert!(!again.contains("/file/ship"), "there is nothing to confirm: {again}");
    }
    let parcels = alice.order(orders[0].order_id()).await["shipments"].as_array().unwrap().len();
    assert_eq!(parcels, 1);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn each_bad_row_says_why_and_the_good_ones_ship() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let mut nos = Vec::new();
    for _ in 0..8 {
        nos.push(paid(&alice, sku, 1).await.order_no());
    }
    let unpaid = alice.buys(sku, 1).await.expect(201).order_no();
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let rows = [
        format!("{},中通,75312345678901", nos[0]),
        format!("{},,7.3E+13", nos[1]),
        format!("{},,773123456789012000", nos[2]),
        format!("{},飞鸽,123456789012", nos[3]),
        format!("{},,123456789012", nos[4]),
        format!("{},中通,", nos[5]),
        format!("{},,", nos[6]),
        format!("{},ZTO,75312345678902", nos[0]),
        format!("{},ZTO,75312345678901", nos[7]),
        "2.02611E+23,ZTO,75312345678903".to_owned(),
        "202611250000000000000000,ZTO,75312345678904".to_owned(),
        "202611250000000000000001,ZTO,75312345678906".to_owned(),
        format!("{unpaid},ZTO,75312345678905"),
    ];
    let file = format!("订单号,快递公司,快递单号\n{}\n", rows.join("\n"));
    let preview = uploads(&packer, file.as_bytes()).await.expect(200).text;
    for why in [
        "单号被表格软件改坏了： 7.3E+13",
        "单号被表格软件改坏了： 773123456789012000",
        "无法识别快递公司 飞鸽",
        "没有填写快递单号",
        "订单在表格里出现了两次",
        "单号已用于别的订单： 75312345678901",
        "订单号被表格软件改坏了： 2.02611E+23",
        "订单号被表格软件改坏了： 202611250000000000000000",
        "没有这个订单 202611250000000000000001",
        "订单还没有付款",
    ] {
        assert!(preview.contains(why), "{why}: {preview}");
    }
    let shown = ["可发货", "有问题", "未填写"].map(|word| counts(&preview, word));
    assert_eq!(shown, [1, 11, 1], "{preview}");
    let done = confirms(&packer, &preview).await.expect(200).text;
    assert_eq!(counts(&done, "已发货"), 1, "{done}");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn what_is_no_table_is_refused_in_words() {
    let app = TestApp::start().await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    for (bytes, why) in [
        (&b"PK\x03\x04\x00\x00"[..], "不是 UTF-8 或 GB18030"),
        ("订单号,快递公司\n1,2\n".as_bytes(), "表格缺少这一列: 快递单号"),
        (&b"a,b\n".repeat(2_100), "最多 2000 行"),
        (b"", "表格是空的"),
    ] {
        let page = uploads(&packer, bytes).await.expect(422).text;
        assert!(page.contains(why) && page.contains("href=\"#file\""), "{why}: {page}");
    }
    let large = vec![b'a'; 5 * 1024 * 1024];
    assert_eq!(uploads(&packer, &large).await.status, 413);
    // A form with a file needs its token like any other.
    let body = b"--b\r\nContent-Disposition: form-data; name=\"form_token\"\r\n\r\nx\r\n--b--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    let place = format!("{FILES}/file");
    let forged = packer.call(Method::POST, &place, &headers, Some(body.to_vec())).await;
    assert_eq!(forged.status, 403);
    app.stop().await;
}

#[actix_web::test]
async fn files_are_read_only_of_staff_and_only_where_they_belong() {
    let app = TestApp::start().await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let page = packer.get(FILES).await.expect(200).text;
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let place = format!("{FILES}/file");
    // Whoever read this first would say that it did not arrive whole.
    let torn = Some(b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n".to_vec());
    let stranger = Clerk::new(&app);
    let sent = stranger.call(Method::POST, &place, &[kind], torn.clone()).await.expect(303);
    assert_eq!(sent.header("location"), Some("/admin/login"));
    let headers = [kind, ("origin", "https://evil.example")];
    let forged = packer.call(Method::POST, &place, &headers, torn.clone()).await;
    assert_eq!(forged.status, 403, "{}", forged.text);
    packer.call(Method::POST, &place, &[kind], torn).await.expect(400);
    let token = field(&page, "form_token");
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"form_token\"\r\n\r\n{token}\r\n--b--\r\n"
    );
    for path in [format!("{FILES}/scan"), "/admin/login".to_owned()] {
        let form = Some(form.clone().into_bytes());
        packer.call(Method::POST, &path, &[kind], form).await.expect(400);
    }
    app.stop().await;
}

#[actix_web::test]
async fn nothing_that_a_buyer_typed_runs_in_a_spreadsheet_and_exports_ask_for_the_password() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let address = json!({
        "name": "=cmd|' /C calc'!A0", "phone": "+8613800138000", "province": "@x", "city": "-1",
        "district": "x", "detail": "=1+1",
    });
    let address = alice.post("/api/v1/addresses", address).await.expect(201).body["id"].clone();
    let body = json!({
        "items": [{"sku_id": sku, "quantity": 1}], "address_id": address, "remark": "=1+1",
    });
    let headers = [("idempotency-key", "evil")];
    let body = Some(body.to_string().into_bytes());
    let placed = alice.call(Method::POST, "/api/v1/orders", &headers, body).await.expect(201);
    alice.pays(placed.payment()).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let export = packer.post(&format!("{FILES}/export"), &[]).await.expect(200).text;
    let row = export.lines().nth(1).unwrap();
    for cell in ["'=cmd", "'+8613800138000", "'@x", "'=1+1"] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
    let starts = row.split(',').any(|cell| cell.trim_matches('"').starts_with(['=', '+', '@']));
    assert!(!starts, "{row}");
    let boss = Clerk::of(&app, "boss", &first(Role::Owner)).await;
    let log = boss.get("/admin/shops/10001/audit").await.expect(200).text;
    assert!(log.contains("导出待发货"), "{log}");
    app.advance(11 * 60);
    let asked = packer.post(&format!("{FILES}/export"), &[]).await.expect(303);
    assert!(asked.header("location").unwrap().starts_with("/admin/confirm?next="));
    app.stop().await;
}

#[actix_web::test]
async fn a_program_checks_and_ships_rows() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    crate::clerk::account(&app, "packer", &first(Role::Warehouse)).await;
    let token = crate::rights::token(&app, "packer", first(Role::Warehouse)[0].0).await;
    let body = json!({"rows": [
        {"order_no": order.order_no(), "number": "SF1234567890123"},
        {"order_no": "202611250000000000000001", "number": "SF1234567890124"},
    ]});
    let states = |reply: &Reply| {
        let items = reply.body["items"].as_array().unwrap().clone();
        items.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let checked = app.post(&format!("{API}/file"), Some(&token), body.clone()).await.expect(200);
    assert_eq!(states(&checked), ["ready", "wrong"]);
    assert_eq!(checked.body["items"][1]["reason"], "no_such_order");
    for row in [json!({"order_no": "1\0"}), json!({"order_no": "1", "number": "SF1\u{7}"})] {
        let spoilt = json!({"rows": [row]});
        let sent = app.post(&format!("{API}/file"), Some(&token), spoilt).await;
        sent.refused(400, "invalid_request");
    }
    // A key that leaves no room for the number of a row.
    let long = "k".repeat(63);
    let headers = [("idempotency-key", &*long), ("content-type", "application/json")];
    let sent = Some(body.to_string().into_bytes());
    let ship = format!("{API}/file/ship");
    let sent = app.call(Method::POST, &ship, Some(&token), &headers, sent);
    sent.await.refused(400, "invalid_request");
    assert_eq!(state(&alice, order.order_id()).await, "paid");
    for expected in [["shipped", "wrong"], ["done", "wrong"]] {
        let shipped = app.post(&format!("{API}/file/ship"), Some(&token), body.clone()).await;
        assert_eq!(states(&shipped.expect(200)), expected);
    }
    let export = app.post(&format!("{API}/export"), Some(&token), json!({})).await.expect(200);
    assert_eq!(export.text.lines().count(), 1, "nothing waits: {}", export.text);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_web::test]
async fn a_slip_is_printed_once_unless_somebody_says_so() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let (one, two) = (paid(&alice, sku, 1).await, paid(&alice, sku, 3).await);
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let other = Clerk::of(&app, "other", &first(Role::Warehouse)).await;
    let slips = format!("{FILES}/slips");
    let ids = [one.order_id().to_string(), two.order_id().to_string()];
    let chosen: Vec<_> = ids.iter().map(|id| ("order", id.as_str())).collect();
    let list = packer.get(&slips).await.expect(200).text;
    assert_eq!(list.matches("未打印").count(), 2, "{list}");
    other.get(&slips).await.expect(200);
    let (mine, hers) = join(packer.post(&slips, &chosen), other.post(&slips, &chosen)).await;
    let places = [&mine, &hers].map(|reply| reply.header("location").unwrap().to_owned());
    let jobs = places.iter().filter(|place| !place.contains("done=")).count();
    assert_eq!(jobs, 1, "one of two prints them: {places:?}");
    let (winner, loser, place) = match places[0].contains("done=") {
        true => (&other, &packer, &places[1]),
        false => (&packer, &other, &places[0]),
    };
    let page = winner.get(place).await.expect(200).text;
    assert_eq!(page.matches("class=\"barcode\"").count(), 2, "{page}");
    assert!(page.contains("拣货单") && page.contains(">4</td>"), "summed by SKU: {page}");
    loser.get(place).await.expect(404);
    assert_eq!(loser.get(&slips).await.expect(200).text.matches("已打印 1 次").count(), 2);
    let log = Clerk::of(&app, "boss", &first(Role::Owner)).await;
    let log = log.get("/admin/shops/10001/audit").await.expect(200).text;
    assert_eq!(log.matches("打印发货单").count(), 1, "who had none is not written down: {log}");
    let mut again = chosen[..1].to_vec();
    again.push(("again", "yes"));
    let again = loser.post(&slips, &again).await.expect(303);
    let page = loser.get(again.header("location").unwrap()).await.expect(200).text;
    assert!(page.contains("补打，第 2"), "{page}");
    let left = winner.get(place).await.expect(200).text;
    assert_eq!(left.matches("class=\"barcode\"").count(), 1, "the former print lost it: {left}");
    app.stop().await;
}

#[actix_web::test]
async fn a_double_click_prints_once_and_leads_to_that_print() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 99).await;
    let alice = app.shopper("alice").await;
    let (one, two) = (paid(&alice, sku, 1).await, paid(&alice, sku, 3).await);
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let slips = format!("{FILES}/slips");
    let ids = [one.order_id().to_string(), two.order_id().to_string()];
    let place = |reply: &Reply| reply.header("location").unwrap().to_owned();
    let other = packer.post(&slips, &[("order", &*ids[0])]).await.expect(303);
    let key = field(&packer.get(&slips).await.expect(200).text, "key");
    let form = [("key", &*key), ("order", &*ids[0]), ("order", &*ids[1])];
    let (a, b) = join(packer.post(&slips, &form), packer.post(&slips, &form)).await;
    let c = packer.post(&slips, &form).await;
    let places = [&a, &b, &c].map(place);
    assert!(places.iter().all(|one| *one == places[0] && *one != place(&other)), "{places:?}");
    let page = packer.get(&places[0]).await.expect(200).text;
    assert_eq!(page.matches("class=\"barcode\"").count(), 1, "the other was printed: {page}");
    crate::clerk::account(&app, "boss", &first(Role::Owner)).await;
    let token = crate::rights::token(&app, "boss", first(Role::Owner)[0].0).await;
    let log = app.get("/api/admin/v1/shops/10001/audit", Some(&token)).await.expect(200);
    let printed = log.body["items"].as_array().unwrap().iter();
    let printed = printed.filter(|entry| entry["action"] == "print_slips");
    let orders: Vec<_> = printed.map(|entry| entry["after"]["orders"].clone()).collect();
    assert_eq!(orders, [json!([two.order_id()]), json!([one.order_id()])]);
    app.stop().await;
}

/// Breaks out of text, of attributes, and into htmx, if anybody lets it.
const EVIL: &str = "\"'><img src=x onerror=alert(1) hx-get=/x>";

#[actix_web::test]
async fn nothing_that_anybody_typed_or_scanned_becomes_markup() {
    let app = TestApp::start().await;
    let goods = json!({
        "name": EVIL, "code": "evil",
        "skus": [{"code": "evil", "attr": EVIL, "price_fen": 100, "stock": 9}],
    });
    let sku = app.seed(json!({ "goods": [goods] })).await[0];
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    let packer = Clerk::of(&app, "packer", &first(Role::Warehouse)).await;
    let scanned: String = form_urlencoded::byte_serialize(EVIL.as_bytes()).collect();
    let id = order.order_id().to_string();
    let slips = packer.get(&format!("{FILES}/slips")).await.expect(200).text;
    let printed = packer.post(&format!("{FILES}/slips"), &[("order", id.as_str())]).await;
    let printed = packer.get(printed.expect(303).header("location").unwrap()).await.text;
    let rows = format!("order_no,company,number\n{0},{0},{0}\n", EVIL.replace('"', "\"\""));
    let key = packer.get(&format!("{FILES}?slip={}", order.order_no())).await.expect(200).text;
    let form = [("order_no", &*order.order_no()), ("number", EVIL), ("company", EVIL)];
    for (page, text) in [
        ("slips", slips),
        ("print", printed),
        ("slip", key),
        ("scanned slip", packer.get(&format!("{FILES}?slip={scanned}")).await.text),
        ("file", uploads(&packer, rows.as_bytes()).await.text),
        ("label", packer.post(&format!("{FILES}/scan"), &form).await.text),
    ] {
        assert!(text.contains("onerror"), "{page} shows it as text: {text}");
        assert!(!text.contains("<img src=x") && !text.contains("\"'>"), "{page}: {text}");
    }
    app.stop().await;
}
