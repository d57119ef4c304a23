//! Two servers on one database, and how a test looks at both.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::json;

use crate::support::process::Process;
use crate::support::storage::Kind;
use crate::support::{Reply, Shopper};

pub const QUERY: &str = "/pay/orderquery";
pub const CLOSE: &str = "/pay/closeorder";
pub const REFUND: &str = "/secapi/pay/refund";
pub const SEND: &str = "/cgi-bin/message/subscribe/send";

/// Longest wait for what healthy servers do by themselves.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Seconds after which a piece of work is another's, for pairs that are [`hasty`].
pub const CLAIM_SECONDS: u64 = 5;
/// WeChat answers them within two seconds, or not at all.
const HASTE: [(&str, &str); 4] = [
    ("BUYNOW__ENGINE__CLAIM_SECONDS", "5"),
    ("BUYNOW__WECHAT__CONNECT_TIMEOUT_MS", "1000"),
    ("BUYNOW__WECHAT__CALL_TIMEOUT_MS", "2000"),
    ("BUYNOW__WECHAT__REFUND_TIMEOUT_MS", "2000"),
];

/// Two servers that are not started yet; none: this database carries one.
pub fn prepared(settings: &str) -> Option<[Process; 2]> {
    if Kind::chosen() == Kind::Sqlite {
        return None;
    }
    let first = Process::prepare_with(settings);
    let second = first.beside(settings);
    Some([first, second])
}

/// The same with short claims.
pub fn hasty() -> Option<[Process; 2]> {
    let hasty = |process: Process| {
        HASTE.into_iter().fold(process, |process, (name, value)| process.with_variable(name, value))
    };
    Some(prepared("")?.map(hasty))
}

/// Two servers that serve.
pub fn serving(settings: &str) -> Option<[Process; 2]> {
    let mut pair = prepared(settings)?;
    pair.iter_mut().for_each(Process::start);
    Some(pair)
}

/// Looks again and again until it is so.
#[track_caller]
pub fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
{
    let place = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            assert!(started.elapsed() < PATIENCE, "at {place}: never {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Waits until an order is in a state.
pub async fn becomes(shopper: &Shopper, order: i64, state: &str) {
    eventually(state, async || {
        let now = shopper.order(order).await;
        (now["state"] == json!(state)).then_some(())
    })
    .await;
}

/// The sum of a counter, of all its labels that contain this.
pub async fn counted(process: &Process, name: &str, label: &str) -> u64 {
    let metrics = process.get("/metrics").await.expect(200).text;
    let of_name = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(label);
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    metrics.lines().filter(of_name).map(value).sum()
}

/// The first column of what a statement answers, as text.
pub async fn column(process: &Process, sql: &str) -> Vec<String> {
    let db = Database::connect(process.database_url()).await.unwrap();
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
    let text = |row: sea_orm::QueryResult| match row.try_get_by_index::<Option<String>>(0) {
        Ok(text) => text.unwrap_or_default(),
        Err(_) => row.try_get_by_index::<i64>(0).unwrap().to_string(),
    };
    let rows = rows.unwrap().into_iter().map(text).collect();
    db.close().await.unwrap();
    rows
}

/// No batch of these has met a deadlock.
pub async fn no_deadlock(pair: [&Process; 2]) {
    for process in pair {
        for code in ["\"40P01\"", "\"1213\""] {
            assert_eq!(counted(process, "buynow_rollbacks_total", code).await, 0, "{code}");
        }
    }
}

/// Deadlocks that the database has found among us.
pub async fn deadlocks(process: &Process) -> String {
    match Kind::chosen() {
        Kind::Postgres => {
            let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            column(process, sql).await.remove(0)
        }
        _ => {
            let sql = "SELECT variable_value FROM information_schema.global_status \
                       WHERE variable_name = 'INNODB_DEADLOCKS'";
            column(process, sql).await.remove(0)
        }
    }
}

#[track_caller]
pub fn state_of(order: &Reply) -> &str {
    order.body["state"].as_str().unwrap()
}
