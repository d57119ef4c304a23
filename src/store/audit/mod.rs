//! `buynow audit`: whether a database, live or not, keeps the invariants of the shop.
//!
//! All checks read one consistent snapshot on one connection. The comparing is done in SQL, so that
//! only what is wrong travels; each check names at most [`BREACHES_MAX`] breaches and says when
//! there are more. What the invariants are, and their queries: `checks.rs`. A plan of what would
//! mend a breach, which changes nothing either: `plan.rs`, from the words of `remedies.rs`.

mod checks;
mod plan;
mod remedies;
mod remedies_text;
#[cfg(test)]
mod tests;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, IsolationLevel, QueryResult,
    Statement, TransactionTrait,
};

use super::db::{Readers, StoreError};
use crate::domain::time::Timestamp;
use checks::{CHECKS, Check, WARNINGS};
use plan::Values;
pub use plan::{Repair, Step};

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
    Ok(audit_with_plan(readers, now).await?.0)
}

/// As [`audit`], and for each breach, in the same order, what would mend it. Nothing is changed.
pub async fn audit_with_plan(
    readers: &Readers,
    now: Timestamp,
) -> Result<(AuditReport, Vec<Repair>), StoreError> {
    let snapshot = begin_snapshot(readers).await?;
    let report = read(&snapshot, now).await;
    snapshot.rollback().await?;
    report
}

/// A transaction that sees the database as it is at its first read, whatever is written meanwhile.
pub(super) async fn begin_snapshot(readers: &Readers) -> Result<DatabaseTransaction, StoreError> {
    let db = readers.connection();
    Ok(match readers.backend() {
        DbBackend::Sqlite => db.begin().await?,
        _ => {
            let isolation = Some(IsolationLevel::RepeatableRead);
            db.begin_with_config(isolation, Some(AccessMode::ReadOnly)).await?
        }
    })
}

async fn read(
    snapshot: &DatabaseTransaction,
    now: Timestamp,
) -> Result<(AuditReport, Vec<Repair>), StoreError> {
    let mut plan = Vec::new();
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
        for finding in run(snapshot, check, now).await? {
            let breach = Breach { invariant: check.invariant, text: finding.text };
            if let Some(values) = &finding.values {
                plan.push(plan::repair(breach.clone(), check.words, values, |sql| {
                    spell(snapshot.get_database_backend(), sql, now)
                }));
            }
            report.breaches.push(breach);
        }
    }
    for check in WARNINGS {
        let found = run(snapshot, check, now).await?;
        report.warnings.extend(found.into_iter().map(|finding| finding.text));
    }
    Ok((report, plan))
}

/// What a check has found.
struct Finding {
    text: String,
    /// The columns of the row; none: there are more than are named.
    values: Option<Values>,
}

async fn count(snapshot: &DatabaseTransaction, table: &str) -> Result<i64, StoreError> {
    let sql = format!("SELECT COUNT(*) AS a FROM {table}");
    let row = snapshot.query_one_raw(statement(snapshot, &sql, Timestamp::from_millis(0))).await?;
    Ok(row.map(|row| row.try_get("", "a")).transpose()?.unwrap_or(0))
}

/// Runs one check; the answer is a finding for each breach.
async fn run(
    snapshot: &DatabaseTransaction,
    check: &Check,
    now: Timestamp,
) -> Result<Vec<Finding>, StoreError> {
    let sql = format!("{} LIMIT {}", check.sql, BREACHES_MAX + 1);
    let rows = snapshot.query_all_raw(statement(snapshot, &sql, now)).await?;
    let more = rows.len() > BREACHES_MAX;
    let find = |row: &QueryResult| {
        let values = Values::of(check.words, row)?;
        Ok(Finding { text: values.tell(check.words), values: Some(values) })
    };
    let found = rows.iter().take(BREACHES_MAX).map(find);
    let mut found: Vec<Finding> = found.collect::<Result<_, StoreError>>()?;
    if more {
        let shape = check.words.split('{').next().unwrap_or_default().trim();
        let text = format!("more than {BREACHES_MAX} of the kind \"{shape} ...\"");
        found.push(Finding { text, values: None });
    }
    Ok(found)
}

fn statement(snapshot: &DatabaseTransaction, sql: &str, now: Timestamp) -> Statement {
    let backend = snapshot.get_database_backend();
    Statement::from_string(backend, spell(backend, sql, now))
}

/// Spells the portable parts of a query for this database, and puts `now` in.
fn spell(backend: DbBackend, sql: &str, now: Timestamp) -> String {
    let (order, integer) = match backend {
        DbBackend::MySql => ("`order`", "SIGNED"),
        DbBackend::Sqlite => ("\"order\"", "INTEGER"),
        _ => ("\"order\"", "BIGINT"),
    };
    sql.replace("{order}", order)
        .replace("{integer}", integer)
        .replace("{now}", &now.as_millis().to_string())
}
