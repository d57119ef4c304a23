#![allow(clippy::unwrap_used)]
mod plans;

use sea_orm::{ConnectionTrait, EntityTrait as _};

use super::*;
use crate::store::test_databases::TestReaders;

const NOW: Timestamp = Timestamp::from_millis(100_000_000);

/// One paid order with a deducted line, one closed order whose surplus money goes back, one unpaid.
const SHOP: &str = "
INSERT INTO sku (id, wxapp_id, goods_id, code, attr, spec_value_ids, price_fen, line_price_fen, stock,
  seq, version, weight_g, image_url, sort, created_at, updated_at)
  VALUES (50, 10001, 40, 'A', '', '[]', 100, 0, 7, 5, 1, 0, '', 0, 0, 0);
INSERT INTO stock_entry (id, wxapp_id, sku_id, seq, kind, order_id, order_goods_id, delta, balance,
  who, reason, created_at) VALUES
  (1, 10001, 50, 1, 'initial', NULL, NULL, 10, 10, 'seed', '', 0),
  (2, 10001, 50, 2, 'order', 60, 70, -2, 8, '', '', 0),
  (3, 10001, 50, 3, 'order', 61, 71, -1, 7, '', '', 0),
  (4, 10001, 50, 4, 'order', 62, 72, -1, 6, '', '', 0),
  (5, 10001, 50, 5, 'expire', 61, 71, 1, 7, '', '', 0);
INSERT INTO \"order\" (id, wxapp_id, user_id, order_no, state, goods_fen, freight_fen, discount_fen,
  adjust_fen, pay_fen, refunded_fen, remark, transaction_id, created_at, expires_at, close_tries,
  paid_at, closed_at, close_reason, version) VALUES
  (60, 10001, 30, 'N60', 'paid', 200, 10, 0, 0, 210, 0, '', 'T60', 0, 9, 0, 5, NULL, NULL, 1),
  (61, 10001, 30, 'N61', 'closed', 100, 0, 0, 0, 100, 100, '', NULL, 0, 9, 0, NULL, 9, 'expired', 1),
  (62, 10001, 30, 'N62', 'unpaid', 100, 0, 0, 0, 100, 0, '', NULL, 0, 99400000, 0, NULL, NULL, NULL, 1);
INSERT INTO order_goods (id, wxapp_id, order_id, goods_id, sku_id, goods_name, attr, image_url,
  price_fen, quantity, total_fen, weight_g, deduct_stock) VALUES
  (70, 10001, 60, 40, 50, 'tea', '', '', 100, 2, 200, 0, 'order'),
  (71, 10001, 61, 40, 50, 'tea', '', '', 100, 1, 100, 0, 'order'),
  (72, 10001, 62, 40, 50, 'tea', '', '', 100, 1, 100, 0, 'order');
INSERT INTO order_address (order_id, wxapp_id, name, phone, province, city, district, detail) VALUES
  (60, 10001, '', '', '', '', '', ''), (61, 10001, '', '', '', '', '', ''),
  (62, 10001, '', '', '', '', '', '');
INSERT INTO idempotency (wxapp_id, user_id, operation, \"key\", request_hash, result_id, created_at)
  VALUES (10001, 30, 'place_order', 'k', 'h', 60, 0);
INSERT INTO payment_attempt (id, wxapp_id, order_id, user_id, mch_id, appid, out_trade_no, state,
  amount_fen, provider, sign_type, key_version, notify_url, body, attach, openid, client_ip,
  time_expire, created_at, updated_at) VALUES
  (80, 10001, 60, 30, 'm', 'wx', 'N60', 'paid', 210, 'v2', 'MD5', 1, '', '', '', '', '', 0, 0, 0),
  (81, 10001, 61, 30, 'm', 'wx', 'N61', 'paid', 100, 'v2', 'MD5', 1, '', '', '', '', '', 0, 0, 0);
INSERT INTO payment (id, wxapp_id, order_id, attempt_id, mch_id, transaction_id, kind, amount_fen,
  paid_at, created_at) VALUES
  (90, 10001, 60, 80, 'm', 'T60', 'settled', 210, 5, 5),
  (91, 10001, 61, 81, 'm', 'T61', 'surplus', 100, 5, 5);
INSERT INTO refund (id, wxapp_id, order_id, payment_id, mch_id, transaction_id, out_refund_no, number,
  kind, amount_fen, total_fen, reason, state, tries, created_at) VALUES
  (95, 10001, 61, 91, 'm', 'T61', 'rT61-1', 1, 'auto', 100, 100, '', 'success', 1, 5);
INSERT INTO notification (id, wxapp_id, user_id, order_id, event, ref_id, state, payload, tries,
  next_at, created_at, updated_at) VALUES
  (97, 10001, 30, 60, 'order_paid', 0, 'sent', '{}', 1, 99000000, 5, 5);
";

async fn shop(change: &str) -> AuditReport {
    let readers = TestReaders::small().await;
    readers.db().execute_unprepared(SHOP).await.unwrap();
    if !change.is_empty() {
        readers.db().execute_unprepared(change).await.unwrap();
    }
    audit(&readers, NOW).await.unwrap()
}

/// Corrupts a clean shop; the audit must name exactly this breach.
async fn check(change: &str, invariant: u8, text: &str) {
    let report = shop(change).await;
    let expected = vec![Breach { invariant, text: text.to_owned() }];
    assert_eq!(report.breaches, expected, "{change}");
}

#[tokio::test]
async fn a_clean_database_passes() {
    let report = shop("").await;
    assert_eq!(report.breaches, []);
    assert_eq!(report.warnings, Vec::<String>::new());
    let counted =
        (report.orders, report.skus, report.stock_entries, report.payments, report.refunds);
    assert_eq!(counted, (3, 1, 5, 2, 1));
}

#[tokio::test]
async fn one_stock_that_its_ledger_contradicts() {
    check("UPDATE sku SET stock = 8", 1, "SKU 50 has a stock of 8, but its ledger adds up to 7")
        .await;
    let negative = "UPDATE sku SET stock = -1; UPDATE stock_entry SET delta = 2 WHERE seq = 1;";
    let report = shop(negative).await;
    assert!(report.breaches.iter().any(|breach| breach.text == "SKU 50 has a stock of -1"));
}

#[tokio::test]
async fn one_ledger_with_a_gap_or_a_wrong_balance() {
    check(
        "UPDATE sku SET seq = 6",
        1,
        "SKU 50 counts 6 ledger entries, but its ledger ends with number 5, or has gaps",
    )
    .await;
    check(
        "UPDATE stock_entry SET balance = 9 WHERE seq = 5",
        1,
        "ledger entry 5 of SKU 50 carries a balance of 9, which the entry before it contradicts",
    )
    .await;
}

#[tokio::test]
async fn two_lines_deducted_twice_never_or_not_returned() {
    check(
        "INSERT INTO order_goods (id, wxapp_id, order_id, goods_id, sku_id, goods_name, attr,
         image_url, price_fen, quantity, total_fen, weight_g, deduct_stock)
         VALUES (73, 10001, 62, 40, 50, 'gift', '', '', 0, 1, 0, 0, 'order')",
        2,
        "line 73 of 1 pieces in order 62 (unpaid) is not deducted and returned as it should be",
    )
    .await;
    check(
        "UPDATE \"order\" SET state = 'closed', closed_at = 9, close_reason = 'buyer' WHERE id = 62",
        2,
        "line 72 of 1 pieces in order 62 (closed) is not deducted and returned as it should be",
    )
    .await;
    check(
        "UPDATE \"order\" SET state = 'unpaid', closed_at = NULL, close_reason = NULL WHERE id = 61",
        2,
        "line 71 of 1 pieces in order 61 (unpaid) is not deducted and returned as it should be",
    )
    .await;
    check(
        "UPDATE stock_entry SET order_id = 60 WHERE id = 4",
        2,
        "ledger entry 4 (order) names line 72, which does not exist or is of another SKU or order",
    )
    .await;
}

#[tokio::test]
async fn three_money_that_does_not_settle_its_order() {
    check(
        "UPDATE \"order\" SET transaction_id = 'T99' WHERE id = 60",
        3,
        "order 60 is paid with 210 fen to pay, but has 0 settled payments of that amount",
    )
    .await;
    check(
        "DELETE FROM refund; UPDATE \"order\" SET refunded_fen = 0;",
        3,
        "payment 91 of order 61 over 100 fen is neither settled nor refunded in full (surplus)",
    )
    .await;
    check(
        "UPDATE payment SET kind = 'settled' WHERE id = 91",
        3,
        "order 61 is closed with 100 fen to pay, but has 0 settled payments of that amount",
    )
    .await;
}

#[tokio::test]
async fn three_surplus_money_that_goes_back_in_part() {
    let part =
        "UPDATE refund SET amount_fen = 99; UPDATE \"order\" SET refunded_fen = 99 WHERE id = 61;";
    let text =
        "payment 91 of order 61 over 100 fen is neither settled nor refunded in full (surplus)";
    check(part, 3, text).await;
    let rest = "UPDATE refund SET amount_fen = 60; UPDATE \"order\" SET refunded_fen = 60 WHERE id = 61;
        INSERT INTO refund (id, wxapp_id, order_id, payment_id, mch_id, transaction_id, out_refund_no,
        number, kind, amount_fen, total_fen, reason, state, tries, created_at)
        VALUES (96, 10001, 61, 91, 'm', 'T61', 'rT61-2', 2, 'auto', 40, 100, '', 'failed', 1, 5)";
    let report = shop(rest).await;
    assert_eq!(report.breaches, [], "a refund that failed is staff's");
    assert_eq!(report.warnings, ["refund 96 of order 61 is failed: staff must look"]);
}

/// Makes order 60 refunded, its line returned as `returned` says, its refund in this state.
fn refunded(state: &str, fen: i64, returned: bool) -> String {
    let given_back =
        "UPDATE sku SET stock = 9, seq = 6; INSERT INTO stock_entry (id, wxapp_id, sku_id,
        seq, kind, order_id, order_goods_id, delta, balance, who, reason, created_at)
        VALUES (6, 10001, 50, 6, 'refund', 60, 70, 2, 9, '', '', 0);";
    let counted = if state == "success" { fen } else { 0 };
    format!(
        "UPDATE \"order\" SET state = 'refunded', refunded_at = 9, refunded_fen = {counted} WHERE id = 60;
         INSERT INTO refund (id, wxapp_id, order_id, payment_id, mch_id, transaction_id, out_refund_no,
         number, kind, amount_fen, total_fen, reason, state, tries, created_at) VALUES
         (96, 10001, 60, 90, 'm', 'T60', 'x', 1, 'external', {fen}, 210, '', '{state}', 1, 5);
         {}",
        if returned { given_back } else { "" }
    )
}

#[tokio::test]
async fn a_refunded_order_has_its_money_and_its_goods_back() {
    for state in ["success", "processing"] {
        assert_eq!(shop(&refunded(state, 210, true)).await.breaches, [], "{state}");
        let text =
            "order 60 is refunded, but refunds of the 210 fen it was paid with add up to 209";
        check(&refunded(state, 209, true), 4, text).await;
    }
    let text =
        "line 70 of 2 pieces in order 60 (refunded) is not deducted and returned as it should be";
    check(&refunded("success", 210, false), 2, text).await;
    let shipped = refunded("success", 210, false)
        + PARCEL
        + "UPDATE \"order\" SET shipped_at = 6 WHERE id = 60";
    assert_eq!(shop(&shipped).await.breaches, [], "the goods are with the buyer");
}

/// Order 60, sent whole.
const PARCEL: &str = "
INSERT INTO shipment (id, wxapp_id, order_id, company_code, company, number, staff_id, corrections,
  shipped_at) VALUES (90, 10001, 60, 'SF', 'SF', 'SF0001', 7, 0, 6);
INSERT INTO shipment_goods (shipment_id, order_goods_id, order_id, quantity) VALUES (90, 70, 60, 2);
";

fn shipped(change: &str) -> String {
    let state = "UPDATE \"order\" SET state = 'shipped', shipped_at = 6 WHERE id = 60;";
    format!("{PARCEL}{state}{change}")
}

#[tokio::test]
async fn six_parcels_that_say_something_else_than_their_order() {
    assert_eq!(shop(&shipped("")).await.breaches, []);
    check(PARCEL, 6, "order 60 is paid, which its parcels contradict: 0 pieces are not in one")
        .await;
    check(
        &shipped("UPDATE shipment_goods SET quantity = 1"),
        6,
        "order 60 is shipped, which its parcels contradict: 1 pieces are not in one",
    )
    .await;
    let twice = shop(&shipped("UPDATE shipment_goods SET quantity = 3")).await;
    assert!(twice.breaches.iter().any(|b| b.text == "line 70 of 2 pieces was sent with 3 pieces"));
    let foreign = shop(&shipped("UPDATE shipment_goods SET order_goods_id = 71")).await;
    let text = "parcel 90 holds line 71, which does not exist or is of another order";
    assert!(foreign.breaches.iter().any(|breach| breach.text == text));
    let unpaid = shop(&shipped("UPDATE shipment SET order_id = 62")).await;
    let text = "parcel 90 of order 62 (unpaid) is empty, or of an order that nobody has paid";
    assert!(unpaid.breaches.iter().any(|breach| breach.text == text));
}

#[tokio::test]
async fn six_a_price_that_waits_where_nothing_can() {
    let waits = "UPDATE \"order\" SET reprice_fen = -5, reprice_at = 9, reprice_by = 7 WHERE id = ";
    assert_eq!(shop(&format!("{waits} 62")).await.breaches, []);
    check(&format!("{waits} 60"), 6, "order 60 is paid, but a change of its price waits").await;
}

#[tokio::test]
async fn an_order_released_by_hand_is_warned_of_until_wechat_confirms() {
    let open = "UPDATE \"order\" SET closed_at = 9 WHERE id = 61; INSERT INTO payment_attempt
        SELECT 82, wxapp_id, order_id, user_id, mch_id, appid, 'N61-b', 'closing', amount_fen, provider,
        sign_type, key_version, notify_url, body, attach, openid, client_ip, time_expire, prepay_id,
        prepay_at, fail_code, created_at, updated_at FROM payment_attempt WHERE id = 81;";
    let released = "INSERT INTO audit_entry (id, wxapp_id, staff_id, action, subject, subject_id,
        before_json, after_json, reason, created_at)
        VALUES (1, 10001, 7, 'release', 'order', 61, '{}', '{}', '', 9);";
    assert!(!shop(open).await.is_clean());
    let report = shop(&format!("{open}{released}")).await;
    assert_eq!(report.breaches, []);
    let warning = "attempt 82 of order 61 is closing: staff have released the order, \
                   WeChat has not confirmed";
    assert_eq!(report.warnings, [warning]);
}

#[tokio::test]
async fn four_refunds_beyond_the_payment() {
    check(
        "UPDATE refund SET amount_fen = 101; UPDATE \"order\" SET refunded_fen = 101 WHERE id = 61;",
        4,
        "refunds of payment 91 add up to 101 fen, more than its 100 fen",
    )
    .await;
    check(
        "UPDATE \"order\" SET refunded_fen = 1 WHERE id = 60",
        4,
        "order 60 says that 1 fen were refunded; its refunds say 0",
    )
    .await;
}

#[tokio::test]
async fn five_a_paid_order_that_nobody_is_told_of() {
    check(
        "DELETE FROM notification",
        5,
        "order 60 (paid) has no message that tells of its payment",
    )
    .await;
}

#[tokio::test]
async fn six_states_that_times_or_attempts_contradict() {
    check(
        "UPDATE \"order\" SET paid_at = NULL WHERE id = 60",
        6,
        "order 60 is paid, which its times contradict",
    )
    .await;
    check(
        "UPDATE \"order\" SET closing_at = 5 WHERE id = 62",
        6,
        "order 62 (unpaid) has a closing without time or reason",
    )
    .await;
    check(
        "INSERT INTO payment_attempt SELECT 82, wxapp_id, order_id, user_id, mch_id, appid, 'N61-b',
         'open', amount_fen, provider, sign_type, key_version, notify_url, body, attach, openid,
         client_ip, time_expire, prepay_id, prepay_at, fail_code, created_at, updated_at
         FROM payment_attempt WHERE id = 81",
        6,
        "attempt 82 of order 61 is open, though the order has been closed for hours",
    )
    .await;
    check(
        "UPDATE payment_attempt SET amount_fen = 99 WHERE id = 80",
        6,
        "payment 90 does not agree with its order 60 and its attempt 80",
    )
    .await;
}

#[tokio::test]
async fn six_orders_without_address_and_keys_without_order() {
    check("DELETE FROM order_address WHERE order_id = 62", 6, "order 62 (unpaid) has no address")
        .await;
    for (change, order) in [("result_id = 4711", 4711), ("user_id = 31", 60), ("wxapp_id = 7", 60)]
    {
        let buyer = if change.starts_with("user") { 31 } else { 30 };
        let text = format!(
            "an idempotency key of buyer {buyer} belongs to order {order}, \
             which does not exist or is not his"
        );
        check(&format!("UPDATE idempotency SET {change}"), 6, &text).await;
    }
}

#[tokio::test]
async fn an_order_that_nobody_closes_is_warned_of() {
    let expire = "UPDATE \"order\" SET expires_at = 99399999 WHERE id = 62";
    let report = shop(expire).await;
    assert!(report.is_clean());
    let warning =
        "order 62 is unpaid and not being closed, though it expired more than ten minutes ago";
    assert_eq!(report.warnings, [warning]);
    let closing = "UPDATE \"order\" SET closing_at = 9, closing_reason = 'expired' WHERE id = 62;";
    assert_eq!(shop(&format!("{expire};{closing}")).await.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn seven_sums_that_do_not_add_up() {
    check(
        "UPDATE \"order\" SET freight_fen = 11 WHERE id = 60",
        7,
        "order 60 asks for 210 fen; goods, freight, discount and adjustment make 211",
    )
    .await;
    check(
        "UPDATE order_goods SET price_fen = 99 WHERE id = 70",
        7,
        "line 70 of order 60 has a total of 200 fen, which is not price times quantity",
    )
    .await;
}

#[tokio::test]
async fn open_incidents_and_late_messages_are_warned_of() {
    let report = shop(
        "INSERT INTO incident (id, wxapp_id, mch_id, transaction_id, out_trade_no, amount_fen, reason,
         state, seen, created_at, updated_at)
         VALUES (1, 10001, 'm', 'T7', 'N7', 5, 'unknown_number', 'open', 1, 0, 0);
         UPDATE notification SET state = 'waiting', next_at = 1000;",
    )
    .await;
    assert!(report.is_clean());
    assert_eq!(
        report.warnings,
        [
            "incident 1 over 5 fen is open: unknown_number",
            "message 97 of order 60 is waiting, though it was due more than an hour ago",
        ]
    );
}

#[tokio::test]
async fn refunds_that_take_more_than_a_day_are_warned_of() {
    for state in ["due", "requested", "processing"] {
        let slow = |created_at: i64| {
            format!(
                "UPDATE refund SET state = '{state}', created_at = {created_at};
                 UPDATE \"order\" SET refunded_fen = 0 WHERE id = 61;"
            )
        };
        let report = shop(&slow(5)).await;
        assert!(report.is_clean());
        let expected = format!("refund 95 of order 61 is {state} since more than a day");
        assert_eq!(report.warnings, [expected]);
        assert!(shop(&slow(50_000_000)).await.warnings.is_empty());
    }
}

#[tokio::test]
async fn each_check_is_bounded() {
    let report = shop(
        "INSERT INTO notification (id, wxapp_id, user_id, order_id, event, ref_id, state, payload,
         tries, next_at, created_at, updated_at)
         WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
         SELECT i, 10001, 30, i, 'order_paid', 0, 'sent', '{}', 1, 0, 0, 0 FROM n",
    )
    .await;
    assert_eq!(report.breaches.len(), BREACHES_MAX + 1);
    assert!(report.breaches[BREACHES_MAX].text.starts_with("more than 100"));
}
