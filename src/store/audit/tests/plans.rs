//! Plans of repair: they change nothing, and what they say mends what it says.

use super::super::remedies::{REMEDIES, remedy_of};
use super::*;
use crate::store::test_databases::Kind;

/// A corrupted shop, as it stays until somebody runs a plan.
async fn broken_shop(change: &str) -> TestReaders {
    let readers = TestReaders::small().await;
    let ids = "INSERT INTO id_block (name, next) VALUES ('id', 5000);";
    readers.db().execute_unprepared(&format!("{SHOP}{ids}{change}")).await.unwrap();
    readers
}

/// Runs all statements of a plan, those too that people would choose from.
async fn run_all(readers: &Readers, plan: &[Repair]) {
    for step in plan.iter().flat_map(|repair| &repair.steps) {
        if let Step::Run(sql) | Step::Look(sql) = step {
            readers.db().execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
    }
}

/// The plan names a breach of this invariant, and its statements mend it; run once more, they
/// change nothing.
async fn mends(change: &str, invariant: u8, people_decide: bool) {
    let readers = broken_shop(change).await;
    let (report, plan) = audit_with_plan(&readers, NOW).await.unwrap();
    assert_eq!(plan.len(), report.breaches.len(), "{change}");
    let planned: Vec<_> = plan.iter().map(|repair| repair.breach.clone()).collect();
    assert_eq!(planned, report.breaches);
    let same = |repair: &Repair| {
        repair.breach.invariant == invariant && repair.people_decide == people_decide
    };
    assert!(plan.iter().any(same), "{change}: {plan:#?}");
    for _ in 0..2 {
        run_all(&readers, &plan).await;
        let after = audit(&readers, NOW).await.unwrap();
        assert_eq!(after.breaches, [], "after the plan for: {change}");
    }
}

#[test]
fn every_check_has_a_remedy_that_says_something() {
    for check in CHECKS {
        let remedy = remedy_of(check.words);
        assert_eq!(remedy.words, check.words, "write a remedy for this check");
        assert!(!remedy.parts.is_empty(), "{}", check.words);
    }
    let mut words: Vec<_> = REMEDIES.iter().map(|remedy| remedy.words).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), REMEDIES.len(), "one remedy for each check");
}

#[test]
fn each_invariant_is_covered() {
    for invariant in 1..=7 {
        assert!(CHECKS.iter().any(|check| check.invariant == invariant), "{invariant}");
    }
}

#[tokio::test]
async fn one_stock_follows_its_ledger() {
    mends("UPDATE sku SET stock = 8", 1, false).await;
    mends("UPDATE sku SET seq = 6", 1, false).await;
    mends("UPDATE stock_entry SET balance = 9 WHERE seq = 5", 1, false).await;
    let negative = "UPDATE sku SET stock = -3; UPDATE stock_entry SET delta = 0, balance = 0 WHERE \
                    seq = 1; UPDATE stock_entry SET balance = balance - 10 WHERE seq > 1;";
    let readers = broken_shop(negative).await;
    let (_, plan) = audit_with_plan(&readers, NOW).await.unwrap();
    let first = &plan[0];
    assert!(first.people_decide, "{first:?}");
    run_all(&readers, &plan[..1]).await;
    let after = audit(&readers, NOW).await.unwrap();
    assert!(!after.breaches.iter().any(|breach| breach.text.starts_with("SKU")), "{after:#?}");
}

#[tokio::test]
async fn two_missing_deductions_and_returns_are_written() {
    let gift =
        "INSERT INTO order_goods (id, wxapp_id, order_id, goods_id, sku_id, goods_name, attr,
         image_url, price_fen, quantity, total_fen, weight_g, deduct_stock)
         VALUES (73, 10001, 62, 40, 50, 'gift', '', '', 0, 1, 0, 0, 'order')";
    mends(gift, 2, false).await;
    let closed = "UPDATE \"order\" SET state = 'closed', closed_at = 9, close_reason = 'buyer' WHERE id = 62";
    mends(closed, 2, false).await;
    mends("UPDATE stock_entry SET order_id = 60 WHERE id = 4", 2, false).await;
}

#[tokio::test]
async fn two_what_was_returned_for_a_living_order_is_left_to_people() {
    let reopened = "UPDATE \"order\" SET state = 'unpaid', closed_at = NULL, close_reason = NULL WHERE id = 61";
    let readers = broken_shop(reopened).await;
    let (before, plan) = audit_with_plan(&readers, NOW).await.unwrap();
    run_all(&readers, &plan).await;
    assert_eq!(audit(&readers, NOW).await.unwrap().breaches, before.breaches);
}

#[tokio::test]
async fn three_money_is_for_people_and_a_lost_refund_can_be_made_due() {
    let lost = "DELETE FROM refund; UPDATE \"order\" SET refunded_fen = 0;";
    mends(lost, 3, true).await;
    let other = "UPDATE \"order\" SET transaction_id = 'T99' WHERE id = 60";
    let readers = broken_shop(other).await;
    let (_, plan) = audit_with_plan(&readers, NOW).await.unwrap();
    assert!(plan[0].people_decide);
    let runs = plan[0].steps.iter().any(|step| matches!(step, Step::Run(_)));
    assert!(!runs, "no statement settles money: {plan:#?}");
}

#[tokio::test]
async fn three_a_refund_that_is_made_due_has_the_number_that_refunds_once() {
    let readers = broken_shop("DELETE FROM refund; UPDATE \"order\" SET refunded_fen = 0;").await;
    let (_, plan) = audit_with_plan(&readers, NOW).await.unwrap();
    run_all(&readers, &plan).await;
    let refunds = entity::refund::Entity::find().all(readers.db()).await.unwrap();
    let [refund] = &refunds[..] else { panic!("{refunds:?}") };
    assert_eq!((refund.out_refund_no.as_str(), refund.amount_fen), ("rT61-1", 100));
    assert_eq!((refund.state.as_str(), refund.id, refund.auto_payment_id), ("due", 5000, Some(91)));
}

#[tokio::test]
async fn four_sums_of_refunds() {
    mends("UPDATE \"order\" SET refunded_fen = 1 WHERE id = 60", 4, false).await;
    let twice = "INSERT INTO refund (id, wxapp_id, order_id, payment_id, mch_id, transaction_id,
        out_refund_no, number, kind, amount_fen, total_fen, reason, state, tries, created_at)
        VALUES (96, 10001, 61, 91, 'm', 'T61', 'rT61-2', 2, 'auto', 40, 100, '', 'due', 0, 5)";
    mends(twice, 4, true).await;
}

#[tokio::test]
async fn five_a_message_that_is_missing_is_written_down_as_not_sent() {
    mends("DELETE FROM notification", 5, false).await;
}

#[tokio::test]
async fn six_times_addresses_keys_and_attempts() {
    mends("UPDATE \"order\" SET paid_at = NULL WHERE id = 60", 6, true).await;
    mends("UPDATE \"order\" SET closing_at = 5 WHERE id = 62", 6, false).await;
    mends("UPDATE idempotency SET result_id = 4711", 6, false).await;
    let address = "INSERT INTO user_address (id, wxapp_id, user_id, name, phone, province, city,
        district, detail, is_default, created_at, updated_at)
        VALUES (31, 10001, 30, 'x', '1', '', '', '', '', TRUE, 0, 0);
        DELETE FROM order_address WHERE order_id = 62";
    mends(address, 6, true).await;
    let attempt =
        "INSERT INTO payment_attempt SELECT 82, wxapp_id, order_id, user_id, mch_id, appid,
        'N61-b', 'open', amount_fen, provider, sign_type, key_version, notify_url, body, attach,
        openid, client_ip, time_expire, prepay_id, prepay_at, fail_code, created_at, updated_at
        FROM payment_attempt WHERE id = 81";
    mends(attempt, 6, true).await;
}

#[tokio::test]
async fn seven_sums_are_for_people_and_no_statement_changes_them() {
    for change in [
        "UPDATE \"order\" SET freight_fen = 11 WHERE id = 60",
        "UPDATE order_goods SET price_fen = 99 WHERE id = 70",
    ] {
        let readers = broken_shop(change).await;
        let (_, plan) = audit_with_plan(&readers, NOW).await.unwrap();
        assert!(plan.iter().all(|repair| repair.people_decide), "{plan:#?}");
        let runs = plan.iter().flat_map(|repair| &repair.steps);
        assert_eq!(runs.filter(|step| matches!(step, Step::Run(_))).count(), 0);
    }
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    // SQLite alone counts all changes of a connection.
    if Kind::chosen() != Kind::Sqlite {
        return;
    }
    let wrecked = "UPDATE sku SET stock = 8; DELETE FROM notification; DELETE FROM refund;
        UPDATE \"order\" SET freight_fen = 11, paid_at = NULL WHERE id = 60;
        UPDATE \"order\" SET closing_at = 5 WHERE id = 62; DELETE FROM order_goods WHERE id = 71;";
    let readers = broken_shop(wrecked).await;
    let changes = async || {
        let sql = "SELECT total_changes() AS a";
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        let row = readers.db().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get::<i64>("", "a").unwrap()
    };
    let before = changes().await;
    let (report, plan) = audit_with_plan(&readers, NOW).await.unwrap();
    assert!(plan.len() > 6 && plan.len() == report.breaches.len(), "{report:#?}");
    assert_eq!(changes().await, before);
    assert_eq!(audit_with_plan(&readers, NOW).await.unwrap(), (report, plan));
}

#[tokio::test]
async fn what_stands_in_a_row_cannot_break_out_of_a_statement() {
    let evil = "INSERT INTO payment_attempt SELECT 82, wxapp_id, order_id, user_id, mch_id, appid,
        'N61-b', 'open', amount_fen, provider, sign_type, key_version, notify_url, body, attach,
        openid, client_ip, time_expire, prepay_id, prepay_at, fail_code, created_at, updated_at
        FROM payment_attempt WHERE id = 81; UPDATE stock_entry SET order_id = 1,
        kind = 'x''; {a}' WHERE id = 4";
    let readers = broken_shop(evil).await;
    let (_, plan) = audit_with_plan(&readers, NOW).await.unwrap();
    run_all(&readers, &plan).await;
}
