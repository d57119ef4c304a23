//! Lists, search and details say what is there.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::id::{OrderId, SkuId, WxappId};
use crate::domain::time::Timestamp;
use crate::domain::timeline::What;
use crate::store::db::{Readers, open_readers};
use crate::store::order_views::ListState;
use sea_orm::ConnectionTrait as _;

/// Six orders of a mini-program, one of another; 60 is paid and partly sent, 61 closed, 62 to 64
/// unpaid, 65 paid with a refund under way.
const SHOP: &str = "
INSERT INTO \"order\" (id, wxapp_id, user_id, order_no, state, goods_fen, freight_fen, discount_fen,
  adjust_fen, pay_fen, refunded_fen, remark, transaction_id, created_at, expires_at, close_tries,
  paid_at, closed_at, close_reason, version) VALUES
  (60, 10001, 30, '202611250000000000000060', 'paid', 200, 0, 0, 0, 200, 0, '', 'T60', 1000, 9, 0, 5000, NULL, NULL, 1),
  (61, 10001, 30, '202611250000000000000061', 'closed', 100, 0, 0, 0, 100, 0, '', NULL, 2000, 9, 0, NULL, 9, 'expired', 1),
  (62, 10001, 31, '202611250000000000000062', 'unpaid', 100, 0, 0, 0, 100, 0, '', NULL, 3000, 9, 0, NULL, NULL, NULL, 1),
  (63, 10001, 31, '202611250000000000000063', 'unpaid', 100, 0, 0, 0, 100, 0, '', NULL, 3000, 9, 0, NULL, NULL, NULL, 1),
  (64, 10001, 31, '202611250000000000000064', 'unpaid', 100, 0, 0, 0, 100, 0, '', NULL, 4000, 9, 0, NULL, NULL, NULL, 1),
  (65, 10001, 31, '202611250000000000000065', 'paid', 100, 0, 0, 0, 100, 0, '', 'T65', 500, 9, 0, 6000, NULL, NULL, 1),
  (66, 10002, 31, '202611250000000000000066', 'paid', 100, 0, 0, 0, 100, 0, '', 'T66', 500, 9, 0, 6000, NULL, NULL, 1);
INSERT INTO order_goods (id, wxapp_id, order_id, goods_id, sku_id, goods_name, attr, image_url,
  price_fen, quantity, total_fen, weight_g, deduct_stock) VALUES
  (70, 10001, 60, 40, 50, 'tea', '', '', 100, 2, 200, 0, 'order'),
  (71, 10001, 61, 40, 51, 'tea', '', '', 100, 1, 100, 0, 'order'),
  (72, 10001, 62, 40, 50, 'tea', '', '', 100, 1, 100, 0, 'order'),
  (76, 10002, 66, 40, 50, 'tea', '', '', 100, 1, 100, 0, 'order');
INSERT INTO order_address (order_id, wxapp_id, name, phone, province, city, district, detail) VALUES
  (60, 10001, 'n', '13800138000', 'p', 'c', 'd', 'x'), (62, 10001, 'n', '13900139000', 'p', 'c', 'd', 'x');
INSERT INTO payment (id, wxapp_id, order_id, attempt_id, mch_id, transaction_id, kind, amount_fen,
  paid_at, created_at) VALUES (90, 10001, 60, 80, 'm', '4200000060202611251234567890', 'settled', 200, 5, 5);
INSERT INTO refund (id, wxapp_id, order_id, payment_id, mch_id, transaction_id, out_refund_no, number,
  kind, amount_fen, total_fen, reason, state, tries, created_at) VALUES
  (95, 10001, 65, 91, 'm', 'T65', 'rT65-1', 1, 'staff', 100, 100, '', 'processing', 1, 5);
INSERT INTO shipment (id, wxapp_id, order_id, company_code, company, number, staff_id, corrections,
  shipped_at) VALUES (97, 10001, 60, 'SF', 'SF', 'SF0001', 7, 0, 6);
INSERT INTO shipment_goods (shipment_id, order_goods_id, order_id, quantity) VALUES (97, 70, 60, 1);
INSERT INTO order_event (id, wxapp_id, order_id, event, who, detail, created_at) VALUES
  (98, 10001, 60, 'shipped_part', 'staff:7', '{\"number\":\"SF0001\"}', 6000),
  (99, 10001, 60, 'paid', 'wechat', '{}', 5000);
";

async fn shop() -> Readers {
    let readers = open_readers("sqlite::memory:", 1).await.unwrap();
    crate::store::migrate::up(readers.db()).await.unwrap();
    readers.db().execute_unprepared(SHOP).await.unwrap();
    readers
}

fn wxapp() -> WxappId {
    WxappId::parse(10_001).unwrap()
}

fn ids(orders: &[StaffOrder]) -> Vec<i64> {
    orders.iter().map(|order| order.order.id.get()).collect()
}

/// Every page of the list, of this many orders each.
async fn pages(readers: &Readers, filter: &OrderFilter, limit: u32) -> Vec<i64> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = orders(readers, wxapp(), filter, after, limit).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        found.extend(ids(&page.items));
        match page.next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

#[tokio::test]
async fn orders_are_listed_by_what_is_asked_for_page_by_page() {
    let readers = shop().await;
    let at = |millis| Some(Timestamp::from_millis(millis));
    let sku = |id| Some(SkuId::parse(id).unwrap());
    use ListState::*;
    for (filter, expected) in [
        (OrderFilter::default(), vec![64, 63, 62, 61, 60, 65]),
        (
            OrderFilter { states: vec![Unpaid, Paid], ..Default::default() },
            vec![64, 63, 62, 60, 65],
        ),
        (OrderFilter { states: vec![Closed, Closed], ..Default::default() }, vec![61]),
        (OrderFilter { states: vec![Completed], ..Default::default() }, vec![]),
        (
            OrderFilter {
                created: Span { from: at(1000), before: at(3000) },
                ..Default::default()
            },
            vec![61, 60],
        ),
        (
            OrderFilter { paid: Span { from: at(1), before: None }, ..Default::default() },
            vec![65, 60],
        ),
        (OrderFilter { sku: sku(50), ..Default::default() }, vec![62, 60]),
        (OrderFilter { sku: sku(50), states: vec![Paid], ..Default::default() }, vec![60]),
        (OrderFilter { refund_open: true, ..Default::default() }, vec![65]),
    ] {
        for limit in [1, 2, 100] {
            assert_eq!(pages(&readers, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn what_is_typed_is_found_by_its_shape() {
    let readers = shop().await;
    for (text, expected) in [
        ("202611250000000000000062", vec![62]),
        ("202611250000000000000062-a1B2", vec![62]),
        (" 4200000060202611251234567890 ", vec![60]),
        ("SF0001", vec![60]),
        ("13900139000", vec![62]),
        ("1390013", vec![]),
        ("202611250000000000000066", vec![]),
        ("茶", vec![]),
        ("%", vec![]),
        ("", vec![]),
    ] {
        let found = search(&readers, wxapp(), text, true).await.unwrap();
        assert_eq!(ids(&found), expected, "{text}");
    }
    let unseen = search(&readers, wxapp(), "13900139000", false).await.unwrap();
    assert_eq!(ids(&unseen), Vec::<i64>::new(), "a phone is looked for by those who may see it");
}

#[tokio::test]
async fn a_detail_has_the_whole_story_in_its_order() {
    let readers = shop().await;
    let id = OrderId::parse(60).unwrap();
    let detail = detail(&readers, wxapp(), id).await.unwrap().unwrap();
    let what: Vec<What> = detail.timeline.iter().map(|happening| happening.what).collect();
    assert_eq!(what, [What::Placed, What::Paid, What::ShippedPart]);
    assert_eq!(detail.timeline[2].detail["number"], "SF0001");
    assert_eq!(detail.order.order.shipments[0].lines[0].quantity.pieces(), 1);
    assert_eq!((detail.payments.len(), detail.refunds.len()), (1, 0));
    let elsewhere = WxappId::parse(10_002).unwrap();
    assert!(super::detail(&readers, elsewhere, id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_sku_of_another_mini_program_is_not_looked_for() {
    let shop = shop().await;
    let sku = |id| SkuId::parse(id).unwrap();
    assert_eq!(list::how(&shop, wxapp(), sku(51)).await.unwrap(), Some(list::BySku::Rare(sku(51))));
    let other = WxappId::parse(10_002).unwrap();
    assert_eq!(list::how(&shop, other, sku(51)).await.unwrap(), None);
}
