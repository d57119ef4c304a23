#![allow(clippy::unwrap_used)]
use sea_orm::ConnectionTrait;

use crate::domain::address::Address;
use crate::domain::id::{AddressId, CategoryId, OrderId, OutTradeNo, UserId, WxappId};
use crate::domain::time::Timestamp;
use crate::store::accounts::*;
use crate::store::catalogue::{GoodsFilter, GoodsSort, categories, goods_page};
use crate::store::db::{Readers, Write};
use crate::store::order_views::*;
use crate::store::page::After;
use crate::store::test_databases::TestReaders;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn wxapp() -> WxappId {
    WxappId::parse(10001).unwrap()
}
fn user(id: i64) -> UserId {
    UserId::parse(id).unwrap()
}
fn address_id(id: i64) -> AddressId {
    AddressId::parse(id).unwrap()
}

async fn shop() -> TestReaders {
    TestReaders::small().await
}

async fn write(readers: &Readers, write: Write) {
    write.execute(readers.db()).await.unwrap();
}

fn home(id: i64, name: &str, is_default: bool) -> BookAddress {
    let text = |text: &str| text.to_owned();
    let address = Address {
        name: text(name),
        phone: text("13800000000"),
        province: text("广东省"),
        city: text("广州市"),
        district: text("天河区"),
        detail: text("1 号"),
    };
    BookAddress { id: address_id(id), address, is_default }
}

#[tokio::test]
async fn two_first_log_ins_make_one_buyer() {
    let readers = shop().await;
    let backend = readers.backend();
    write(&readers, insert_user(backend, wxapp(), user(1), "o1", NOW)).await;
    write(&readers, insert_user(backend, wxapp(), user(2), "o1", NOW)).await;
    let found = user_by_openid(&readers, wxapp(), "o1").await.unwrap().unwrap();
    assert_eq!(found.id, user(1));
    let other = WxappId::parse(10002).unwrap();
    assert_eq!(user_by_openid(&readers, other, "o1").await.unwrap(), None);
    let renamed = update_profile(backend, wxapp(), user(1), Some("小明".into()), None);
    write(&readers, renamed).await;
    let found = user_by_id(&readers, wxapp(), user(1)).await.unwrap().unwrap();
    assert_eq!((found.nickname.as_str(), found.avatar_url.as_str()), ("小明", ""));
}

#[tokio::test]
async fn a_log_in_ends_by_time_or_by_will() {
    let readers = shop().await;
    let backend = readers.backend();
    let opened = Session { wxapp: wxapp(), user: user(1), expires_at: NOW.plus_seconds(60) };
    write(&readers, insert_session(backend, "hash", opened, NOW)).await;
    assert_eq!(session(&readers, "hash", NOW).await.unwrap(), Some(opened));
    assert_eq!(session(&readers, "hash", NOW.plus_seconds(60)).await.unwrap(), None);
    assert_eq!(session(&readers, "other", NOW).await.unwrap(), None);
    write(&readers, revoke_session(backend, "hash", NOW)).await;
    assert_eq!(session(&readers, "hash", NOW).await.unwrap(), None);
}

#[tokio::test]
async fn an_address_book_has_one_default_and_one_owner() {
    let readers = shop().await;
    let (backend, me, other) = (readers.backend(), user(1), user(2));
    write(&readers, insert_address(backend, wxapp(), me, home(11, "甲", true), NOW)).await;
    write(&readers, insert_address(backend, wxapp(), me, home(12, "乙", true), NOW)).await;
    write(&readers, insert_address(backend, wxapp(), other, home(13, "丙", true), NOW)).await;
    let book = addresses(&readers, wxapp(), me).await.unwrap();
    let ids = |book: &[BookAddress]| -> Vec<_> {
        book.iter().map(|a| (a.id.get(), a.is_default)).collect()
    };
    assert_eq!(ids(&book), [(12, true), (11, false)]);
    write(&readers, set_default_address(backend, wxapp(), me, address_id(11))).await;
    write(&readers, update_address(backend, wxapp(), me, home(13, "贼", false), NOW)).await;
    write(&readers, delete_address(backend, wxapp(), me, address_id(13))).await;
    write(&readers, update_address(backend, wxapp(), me, home(12, "乙二", false), NOW)).await;
    let book = addresses(&readers, wxapp(), me).await.unwrap();
    assert_eq!(ids(&book), [(11, true), (12, false)]);
    assert_eq!(book[1].address.name, "乙二");
    let theirs = address(&readers, wxapp(), other, address_id(13)).await.unwrap().unwrap();
    assert_eq!((theirs.address.name.as_str(), theirs.is_default), ("丙", true));
    assert_eq!(address(&readers, wxapp(), me, address_id(13)).await.unwrap(), None);
    assert_eq!(address_count(&readers, wxapp(), me).await.unwrap(), 2);
}

#[tokio::test]
async fn reported_grants_are_counted_and_capped() {
    let readers = shop().await;
    let templates = ["a".to_owned(), "b".to_owned()];
    let report = |ids: &[String]| add_grants(readers.backend(), wxapp(), user(1), ids, 3, NOW);
    for _ in 0..5 {
        write(&readers, report(&templates[..1])).await;
    }
    write(&readers, report(&templates)).await;
    use sea_orm::{EntityTrait, QueryOrder};
    let rows = entity::message_grant::Entity::find()
        .order_by_asc(entity::message_grant::Column::TemplateId)
        .all(readers.db())
        .await
        .unwrap();
    let counts: Vec<_> = rows.iter().map(|row| (row.template_id.as_str(), row.remaining)).collect();
    assert_eq!(counts, [("a", 3), ("b", 1)]);
}

async fn fill(readers: &Readers, sql: &str) {
    readers.db().execute_unprepared(sql).await.unwrap();
}

async fn orders(readers: &Readers) {
    fill(
        readers,
        "INSERT INTO \"order\" (id, wxapp_id, user_id, order_no, state, goods_fen, freight_fen,
           discount_fen, adjust_fen, pay_fen, refunded_fen, remark, transaction_id, created_at,
           expires_at, close_tries, closing_at, paid_at, closed_at, close_reason, version) VALUES
         (60, 10001, 1, 'N000060', 'unpaid', 5, 1, 0, 0, 6, 0, '', NULL, 10, 99, 0, 50, NULL, NULL, NULL, 1),
         (61, 10001, 1, 'N000061', 'paid', 5, 0, 0, 0, 5, 0, '', 'T', 20, 99, 0, NULL, 5, NULL, NULL, 1),
         (62, 10001, 1, 'N000062', 'closed', 5, 0, 0, 0, 5, 5, '', NULL, 20, 99, 0, NULL, NULL, 7, 'sold_out', 1),
         (63, 10001, 2, 'N000063', 'paid', 5, 0, 0, 0, 5, 0, '', 'T', 30, 99, 0, NULL, 5, NULL, NULL, 1);
         INSERT INTO order_goods (id, wxapp_id, order_id, goods_id, sku_id, goods_name, attr, image_url,
           price_fen, quantity, total_fen, weight_g, deduct_stock)
           VALUES (70, 10001, 60, 40, 50, 'tea', '', '', 5, 1, 5, 0, 'order');
         INSERT INTO order_address (order_id, wxapp_id, name, phone, province, city, district, detail)
           VALUES (60, 10001, 'n', 'p', 'p', 'c', 'd', 'd');
         INSERT INTO payment (id, wxapp_id, order_id, mch_id, transaction_id, kind, amount_fen, paid_at,
           created_at) VALUES (91, 10001, 62, 'm', 'T62', 'surplus', 5, 5, 5);
         INSERT INTO refund (id, wxapp_id, order_id, payment_id, mch_id, transaction_id, out_refund_no,
           number, kind, amount_fen, total_fen, reason, state, tries, created_at) VALUES
           (95, 10001, 62, 91, 'm', 'T62', 'r1', 1, 'auto', 5, 5, '', 'success', 1, 5),
           (96, 10001, 61, 92, 'm', 'T61', 'r2', 1, 'auto', 5, 5, '', 'processing', 1, 5);
         INSERT INTO payment_attempt (id, wxapp_id, order_id, user_id, mch_id, appid, out_trade_no, state,
           amount_fen, provider, sign_type, key_version, notify_url, body, attach, openid, client_ip,
           time_expire, created_at, updated_at) VALUES
           (80, 10001, 61, 1, 'm', 'wx', 'N000061-ab12', 'paid', 5, 'v2', 'MD5', 1, '', '', '', '', '', 0, 0, 0);",
    )
    .await;
}

#[tokio::test]
async fn a_buyer_sees_the_own_orders_newest_first_page_by_page() {
    let readers = shop().await;
    orders(&readers).await;
    let filter = OrderFilter::default();
    let first = orders_page(&readers, wxapp(), user(1), filter, None, 2).await.unwrap();
    let ids: Vec<_> = first.items.iter().map(|order| order.id.get()).collect();
    assert_eq!(ids, [62, 61]);
    assert_eq!(first.next, Some(After { key: 20, id: 61 }));
    let second = orders_page(&readers, wxapp(), user(1), filter, first.next, 2).await.unwrap();
    assert_eq!((second.items.len(), second.next), (1, None));
    let unpaid = &second.items[0];
    assert!(unpaid.closing);
    assert_eq!((unpaid.lines.len(), unpaid.amounts.pay.as_fen()), (1, 6));
    assert!(unpaid.address.is_some());
}

#[tokio::test]
async fn refunds_show_how_far_they_are() {
    let readers = shop().await;
    orders(&readers).await;
    let progress = async |id| {
        let id = OrderId::parse(id).unwrap();
        order(&readers, wxapp(), user(1), id).await.unwrap().unwrap().refund
    };
    assert_eq!(progress(60).await, RefundProgress::None);
    assert_eq!(progress(61).await, RefundProgress::Open);
    assert_eq!(progress(62).await, RefundProgress::Full);
    let filter = OrderFilter { state: Some(ListState::Paid), refund_open: true };
    let open = orders_page(&readers, wxapp(), user(1), filter, None, 9).await.unwrap();
    assert_eq!(open.items.iter().map(|order| order.id.get()).collect::<Vec<_>>(), [61]);
}

#[tokio::test]
async fn an_order_is_found_by_any_of_its_numbers_by_its_buyer_only() {
    let readers = shop().await;
    orders(&readers).await;
    let by_no = async |number: &str, buyer| {
        let number = OutTradeNo::parse(number).unwrap();
        let found = order_by_no(&readers, wxapp(), user(buyer), &number).await.unwrap();
        found.map(|order| order.id.get())
    };
    assert_eq!(by_no("N000060", 1).await, Some(60));
    assert_eq!(by_no("N000061-ab12", 1).await, Some(61));
    assert_eq!(by_no("N000061-ab12", 2).await, None);
    assert_eq!(by_no("N000099", 1).await, None);
    let another = order(&readers, wxapp(), user(2), OrderId::parse(60).unwrap()).await.unwrap();
    assert_eq!(another, None);
    let counts = order_counts(&readers, wxapp(), user(1)).await.unwrap();
    assert_eq!(counts, OrderCounts { unpaid: 1, paid: 1, shipped: 0 });
}

#[tokio::test]
async fn goods_are_found_by_category_word_and_order() {
    let readers = shop().await;
    fill(
        &readers,
        "INSERT INTO category (id, wxapp_id, parent_id, name, image_url, sort, created_at) VALUES
           (1, 10001, 0, 'food', '', 1, 0), (2, 10001, 1, 'tea', '', 1, 0), (3, 10001, 3, 'loop', '', 1, 0);
         INSERT INTO goods (id, wxapp_id, category_id, code, name, images, content, specs, deduct_stock,
           status, price_min_fen, price_max_fen, sales, sort, version, created_at, updated_at) VALUES
           (11, 10001, 2, 'a', 'Green 50% tea', '[\"x\"]', '', '[]', 'order', 'on_sale', 300, 300, 5, 100, 1, 0, 0),
           (12, 10001, 1, 'b', 'Bread', '[]', '', '[]', 'order', 'on_sale', 100, 100, 9, 100, 1, 0, 0),
           (13, 10001, 0, 'c', 'Black tea', '[]', '', '[]', 'order', 'on_sale', 300, 300, 0, 1, 1, 0, 0),
           (14, 10001, 1, 'd', 'Old tea', '[]', '', '[]', 'order', 'off_sale', 1, 1, 0, 1, 1, 0, 0),
           (15, 10002, 1, 'e', 'Other tea', '[]', '', '[]', 'order', 'on_sale', 1, 1, 0, 1, 1, 0, 0);",
    )
    .await;
    let tree = categories(&readers, wxapp()).await.unwrap();
    assert_eq!((tree.len(), tree[0].children[0].name.as_str()), (1, "tea"));
    let list = async |category: Option<i64>, keyword: Option<&str>, sort| {
        let category = category.map(|id| CategoryId::parse(id).unwrap());
        let filter = GoodsFilter { category, keyword: keyword.map(str::to_owned), sort };
        let mut ids = Vec::new();
        let mut after = None;
        loop {
            let page = goods_page(&readers, wxapp(), &filter, after, 1).await.unwrap();
            ids.extend(page.items.iter().map(|item| item.id.get()));
            after = page.next;
            if after.is_none() {
                return ids;
            }
        }
    };
    assert_eq!(list(None, None, GoodsSort::Default).await, [13, 12, 11]);
    assert_eq!(list(None, None, GoodsSort::Sales).await, [12, 11, 13]);
    assert_eq!(list(None, None, GoodsSort::PriceAscending).await, [12, 13, 11]);
    assert_eq!(list(None, None, GoodsSort::PriceDescending).await, [13, 11, 12]);
    assert_eq!(list(Some(1), None, GoodsSort::Default).await, [12, 11]);
    assert_eq!(list(None, Some("TEA"), GoodsSort::Default).await, [13, 11]);
    assert_eq!(list(None, Some("0% t"), GoodsSort::Default).await, [11]);
    assert_eq!(list(None, Some("0_"), GoodsSort::Default).await, [0; 0]);
}
