//! `buynow audit`: whether a database, live or not, keeps the invariants of the shop.
//!
//! All checks read one consistent snapshot on one connection. The comparing is done in SQL, so that
//! only what is wrong travels; each check names at most [`BREACHES_MAX`] breaches and says when
//! there are more. What the invariants are, and their queries: `checks.rs`.

mod checks;
#[cfg(test)]
mod tests;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, IsolationLevel, QueryResult,
    Statement, TransactionTrait,
};

use super::db::{Readers, StoreError};
use crate::domain::time::Timestamp;
use checks::{CHECKS, Check, WARNINGS};

/// The most breaches that one check names.
pub const BREACHES_MAX: usize = 100;

/// One row, or group of rows, that should not be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// 1 to 7, as the design numbers them.
    pub invariant: u8,
    /// What is wrong, with the ids concerned; no personal data.
    pub text: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invariant {}: {}", self.invariant, self.text)
    }
}

/// What an audit has looked at and found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    pub orders: i64,
    pub skus: i64,
    pub stock_entries: i64,
    pub payments: i64,
    pub refunds: i64,
    pub breaches: Vec<Breach>,
    /// What staff should look at, though nothing is broken.
    pub warnings: Vec<String>,
}

impl AuditReport {
    pub fn is_clean(&self) -> bool {
        self.breaches.is_empty()
    }
}

/// Checks every invariant over one snapshot. `now` decides what is old.
pub async fn audit(readers: &Readers, now: Timestamp) -> Result<AuditReport, StoreError> {
    let snapshot = begin_snapshot(readers).await?;
    let report = read(&snapshot, now).await;
    snapshot.rollback().await?;
    report
}

/// A transaction that sees the database as it is at its first read, whatever is written meanwhile.
async fn begin_snapshot(readers: &Readers) -> Result<DatabaseTransaction, StoreError> {
    let db = readers.db();
    Ok(match readers.backend() {
        DbBackend::Sqlite => db.begin().await?,
        _ => {
            let isolation = Some(IsolationLevel::RepeatableRead);
            db.begin_with_config(isolation, Some(AccessMode::ReadOnly)).await?
        }
    })
}

async fn read(snapshot: &DatabaseTransaction, now: Timestamp) -> Result<AuditReport, StoreError> {
    let mut report = AuditReport {
        orders: count(snapshot, "{order}").await?,
        skus: count(snapshot, "sku").await?,
        stock_entries: count(snapshot, "stock_entry").await?,
        payments: count(snapshot, "payment").await?,
        refunds: count(snapshot, "refund").await?,
        breaches: Vec::new(),
        warnings: Vec::new(),
    };
    for check in CHECKS {
        let invariant = check.invariant;
        let found = run(snapshot, check, now).await?;
        report.breaches.extend(found.into_iter().map(|text| Breach { invariant, text }));
    }
    for check in WARNINGS {
        report.warnings.extend(run(snapshot, check, now).await?);
    }
    Ok(report)
}

async fn count(snapshot: &DatabaseTransaction, table: &str) -> Result<i64, StoreError> {
    let sql = format!("SELECT COUNT(*) AS a FROM {table}");
    let row = snapshot.query_one_raw(statement(snapshot, &sql, Timestamp::from_millis(0))).await?;
    Ok(row.map(|row| row.try_get("", "a")).transpose()?.unwrap_or(0))
}

/// Runs one check; the answer is a text for each breach.
async fn run(
    snapshot: &DatabaseTransaction,
    check: &Check,
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let sql = format!("{} LIMIT {}", check.sql, BREACHES_MAX + 1);
    let rows = snapshot.query_all_raw(statement(snapshot, &sql, now)).await?;
    let more = rows.len() > BREACHES_MAX;
    let told = rows.iter().take(BREACHES_MAX).map(|row| tell(check.words, row));
    let mut texts: Vec<String> = told.collect::<Result<_, _>>()?;
    if more {
        let shape = check.words.split('{').next().unwrap_or_default().trim();
        texts.push(format!("more than {BREACHES_MAX} of the kind \"{shape} ...\""));
    }
    Ok(texts)
}

/// Spells the portable parts of a query for this database, and puts `now` in.
fn statement(snapshot: &DatabaseTransaction, sql: &str, now: Timestamp) -> Statement {
    let backend = snapshot.get_database_backend();
    let (order, integer) = match backend {
        DbBackend::MySql => ("`order`", "SIGNED"),
        DbBackend::Sqlite => ("\"order\"", "INTEGER"),
        _ => ("\"order\"", "BIGINT"),
    };
    let sql = sql
        .replace("{order}", order)
        .replace("{integer}", integer)
        .replace("{now}", &now.as_millis().to_string());
    Statement::from_string(backend, sql)
}

/// Fills `{a}`, `{b}`, `{c}` (numbers) and `{s}` (text) of a check's words from a row.
fn tell(words: &str, row: &QueryResult) -> Result<String, StoreError> {
    let mut text = words.to_owned();
    for column in ["a", "b", "c"] {
        let place = format!("{{{column}}}");
        if text.contains(&place) {
            let value: Option<i64> = row.try_get("", column)?;
            let value = value.map_or("nothing".to_owned(), |value| value.to_string());
            text = text.replace(&place, &value);
        }
    }
    if text.contains("{s}") {
        let value: Option<String> = row.try_get("", "s")?;
        text = text.replace("{s}", value.as_deref().unwrap_or("nothing"));
    }
    Ok(text)
}
