//! No query of the staff walks a whole table: SQLite's own plans say along which index they go.
#![allow(clippy::unwrap_used)]

use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait, QuerySelect, QueryTrait, Select};
use sea_orm::{Statement, TryGetable as _};

use super::inbox::{audit_select, incident_select, ledger_select, message_select};
use super::list::{BySku, OrderFilter, Span, select};
use super::search::{by_express, by_number, by_phone, by_transaction};
use super::shipping::{job_select, last_select, to_ship_select};
use crate::domain::desk::Subject;
use crate::domain::id::{SkuId, StaffId, WxappId};
use crate::domain::time::Timestamp;
use crate::store::db::{Readers, open_readers};
use crate::store::order_views::ListState;
use crate::store::page::After;
use crate::store::staff::{log, views};

const AFTER: Option<After> = Some(After { key: 1_000_000, id: 500 });

fn wxapp() -> WxappId {
    WxappId::parse(10_001).unwrap()
}

async fn plan<E: EntityTrait>(readers: &Readers, select: Select<E>) -> String {
    let statement = select.limit(21).build(DbBackend::Sqlite);
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let explain = Statement { sql, ..statement };
    let rows = readers.db().query_all_raw(explain).await.unwrap();
    let text = |row: sea_orm::QueryResult| String::try_get_by(&row, "detail").unwrap();
    rows.into_iter().map(text).collect::<Vec<_>>().join("; ")
}

/// The plan goes along this index and neither scans nor sorts.
#[track_caller]
fn goes_along(plan: &str, index: &str) {
    assert!(plan.contains(index), "{plan} instead of {index}");
    for bad in ["SCAN ", "TEMP B-TREE"] {
        assert!(!plan.contains(bad), "{plan}");
    }
}

async fn database() -> Readers {
    let readers = open_readers("sqlite::memory:", 1).await.unwrap();
    crate::store::migrate::up(readers.db()).await.unwrap();
    readers
}

fn span() -> Span {
    let at = |seconds| Some(Timestamp::from_seconds(seconds));
    Span { from: at(1), before: at(2_000) }
}

#[tokio::test]
async fn the_list_of_orders_goes_along_an_index_whatever_is_asked() {
    let readers = database().await;
    let of = |state, filter: &OrderFilter, by_sku, after| {
        plan(&readers, select(wxapp(), filter, state, by_sku, after))
    };
    let all = OrderFilter::default();
    let created = OrderFilter { created: span(), ..OrderFilter::default() };
    let paid = OrderFilter { paid: span(), ..OrderFilter::default() };
    let open = OrderFilter { refund_open: true, ..OrderFilter::default() };
    const PAID: &[ListState] = &[ListState::Paid];
    let by_state = "order_wxapp_id_state_created_at_id_idx";
    for after in [None, AFTER] {
        for filter in [&all, &created] {
            goes_along(&of(PAID, filter, None, after).await, by_state);
        }
        let by_payment = "order_wxapp_id_paid_at_id_idx";
        goes_along(&of(&ListState::ALL, &paid, None, after).await, by_payment);
        goes_along(&of(PAID, &paid, None, after).await, by_payment);
        let refunds = of(PAID, &open, None, after).await;
        assert!(refunds.contains("refund_wxapp_id_state_order_id_idx"), "{refunds}");
        assert!(!refunds.contains("SCAN "), "{refunds}");
        let sku = SkuId::parse(50).unwrap();
        let rare = of(PAID, &all, Some(BySku::Rare(sku)), after).await;
        assert!(rare.contains("order_goods_sku_id_idx") && !rare.contains("SCAN "), "{rare}");
        let common = of(PAID, &all, Some(BySku::Common(sku)), after).await;
        assert!(common.contains(by_state), "{common}");
        assert!(!common.contains("SCAN ") && !common.contains("TEMP B-TREE"), "{common}");
    }
}

#[tokio::test]
async fn the_search_goes_along_an_index_for_each_shape() {
    let readers = database().await;
    let number = "202611251234567890123456";
    let plan_of = plan(&readers, by_number(wxapp(), number)).await;
    goes_along(&plan_of, "order_wxapp_id_order_no_key");
    let plan_of = plan(&readers, by_transaction(wxapp(), number)).await;
    goes_along(&plan_of, "payment_wxapp_id_transaction_id_idx");
    let plan_of = plan(&readers, by_express(wxapp(), number)).await;
    assert!(plan_of.contains("shipment_wxapp_id_number_idx"), "{plan_of}");
    let plan_of = plan(&readers, by_phone(wxapp(), number)).await;
    assert!(plan_of.contains("order_address_wxapp_id_phone_idx"), "{plan_of}");
}

#[tokio::test]
async fn inboxes_and_logs_go_along_an_index() {
    let readers = database().await;
    for after in [None, AFTER] {
        let incidents = plan(&readers, incident_select(wxapp(), "open", after)).await;
        goes_along(&incidents, "incident_wxapp_id_state_id_idx");
        let parked = plan(&readers, message_select(wxapp(), "parked", after)).await;
        assert!(parked.contains("notification_state_next_at_idx"), "{parked}");
        assert!(!parked.contains("SCAN "), "{parked}");
        let log = plan(&readers, audit_select(wxapp(), None, after)).await;
        goes_along(&log, "audit_entry_wxapp_id_id_idx");
        let of_order = audit_select(wxapp(), Some(Subject::Order(60)), after);
        let of_order = plan(&readers, of_order).await;
        goes_along(&of_order, "audit_entry_subject_subject_id_id_idx");
        let ledger = ledger_select(wxapp(), SkuId::parse(50).unwrap(), after);
        goes_along(&plan(&readers, ledger).await, "stock_entry_sku_id_seq_key");
    }
}

#[tokio::test]
async fn the_shipping_desk_goes_along_an_index() {
    let readers = database().await;
    let staff = StaffId::parse(7).unwrap();
    let last = plan(&readers, last_select(wxapp(), staff)).await;
    goes_along(&last, "shipment_wxapp_id_staff_id_shipped_at_id_idx");
    for after in [None, AFTER] {
        let to_ship = plan(&readers, to_ship_select(wxapp(), after)).await;
        goes_along(&to_ship, "order_wxapp_id_state_created_at_id_idx");
    }
    let job = plan(&readers, job_select(wxapp(), 9, staff)).await;
    goes_along(&job, "slip_print_wxapp_id_job_id_idx");
}

#[tokio::test]
async fn what_is_written_of_staff_goes_along_an_index() {
    let readers = database().await;
    for after in [None, AFTER] {
        for shop in [Some(wxapp()), None] {
            let all = plan(&readers, log::select(shop, None, after)).await;
            goes_along(&all, "audit_entry_wxapp_id_created_at_id_idx");
            // Sorted: about one thing there are few.
            let one = plan(&readers, log::select(shop, Some(("order", 60)), after)).await;
            assert!(one.contains("audit_entry_subject_subject_id_id_idx"), "{one}");
            assert!(!one.contains("SCAN "), "{one}");
        }
    }
    let kept = plan(&readers, views::select(StaffId::parse(7).unwrap(), wxapp())).await;
    assert!(kept.contains("admin_view_admin_id_wxapp_id_idx"), "{kept}");
    assert!(!kept.contains("SCAN "), "{kept}");
}
