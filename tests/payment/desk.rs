//! What the tests of payment have in common: names of WeChat's calls, and looks behind the counter.

use buynow::sandbox::{Calls, Fault, FaultKind, PayByNumber, ShopAnswer};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::Value;

use crate::support::{Shopper, TestApp};

pub const OPEN: &str = "/pay/unifiedorder";
pub const QUERY: &str = "/pay/orderquery";
pub const CLOSE: &str = "/pay/closeorder";
pub const REFUND: &str = "/secapi/pay/refund";
pub const REFUND_QUERY: &str = "/pay/refundquery";
pub const TOKEN: &str = "/cgi-bin/stable_token";
pub const SEND: &str = "/cgi-bin/message/subscribe/send";

/// The body that ends WeChat's repeats, to the byte.
pub const SUCCESS: &str = "<xml><return_code><![CDATA[SUCCESS]]></return_code>\
                           <return_msg><![CDATA[OK]]></return_msg></xml>";

/// The next call of a path goes wrong.
pub fn fault(app: &TestApp, path: &str, kind: FaultKind) {
    app.sandbox.fault(Fault::next(path, kind)).unwrap();
}

/// Every call of a path goes wrong, until the faults are cleared.
pub fn broken(app: &TestApp, path: &str, kind: FaultKind) {
    app.sandbox.fault(Fault::next(path, kind).times(10_000)).unwrap();
}

pub fn calls(app: &TestApp, path: &str) -> Calls {
    app.sandbox.calls(path)
}

/// What was asked under a path, without what differs in every call.
pub fn requests(app: &TestApp, path: &str) -> Vec<Value> {
    let request = |call: &buynow::sandbox::Call| {
        let mut request = call.request.clone();
        request.as_object_mut().unwrap().remove("nonce_str");
        request
    };
    app.sandbox.calls(path).recent.iter().map(request).collect()
}

/// One field of every request of a path.
pub fn asked(app: &TestApp, path: &str, field: &str) -> Vec<String> {
    let text = |request: &Value| request[field].as_str().unwrap_or_default().to_owned();
    requests(app, path).iter().map(text).collect()
}

/// The number of the latest attempt.
pub fn latest_number(app: &TestApp) -> String {
    asked(app, OPEN, "out_trade_no").pop().unwrap()
}

/// Money for a number in whatever state; the shop has been told when this returns.
pub async fn money_for(app: &TestApp, number: &str) -> String {
    let pay = PayByNumber { out_trade_no: number.to_owned(), ..PayByNumber::default() };
    let transaction = app.sandbox.pay_by_number(&pay).unwrap();
    app.sandbox.run_due().await.unwrap();
    transaction
}

/// From now on payments are notified only on command.
pub fn silent(app: &TestApp) {
    let manual = Some(buynow::sandbox::Mode::Manual);
    app.sandbox.settings(buynow::sandbox::SettingsChange { notify: manual, ..Default::default() });
}

#[track_caller]
pub fn all_acknowledge(answers: &[ShopAnswer]) {
    for answer in answers {
        assert_eq!((answer.status, answer.body.as_str()), (200, SUCCESS));
    }
}

#[track_caller]
pub fn all_fail(answers: &[ShopAnswer]) {
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.starts_with("<xml><return_code><![CDATA[FAIL]]>"), "{answer:?}");
    }
}

/// How many open incidents `audit` warns of.
pub async fn incidents(app: &TestApp) -> usize {
    let warnings = app.audit_is_clean().await.warnings;
    warnings.iter().filter(|warning| warning.contains("incident")).count()
}

/// What staff would see in a table: the first column of each row, as text.
pub async fn column(app: &TestApp, sql: &str) -> Vec<String> {
    let db = Database::connect(app.database_url()).await.unwrap();
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let text = |row: sea_orm::QueryResult| match row.try_get_by_index::<Option<String>>(0) {
        Ok(text) => text.unwrap_or_default(),
        Err(_) => row.try_get_by_index::<i64>(0).unwrap().to_string(),
    };
    let rows = rows.unwrap().into_iter().map(text).collect();
    db.close().await.unwrap();
    rows
}

/// An order whose prepay_id is lost on its way: the attempt stands, its answer does not.
pub async fn buys_without_answer(
    app: &TestApp,
    shopper: &Shopper,
    sku: i64,
    kind: FaultKind,
) -> i64 {
    fault(app, OPEN, kind);
    let placed = shopper.buys(sku, 1).await.expect(201);
    assert_eq!(placed.body["payment"], Value::Null, "{}", placed.text);
    placed.order_id()
}

#[track_caller]
pub fn state_of(order: &Value) -> &str {
    order["state"].as_str().unwrap()
}
