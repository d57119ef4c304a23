//! `buynow audit`: whether stock, orders and money of the database agree.

use std::process::ExitCode;

use anyhow::{Context, bail};
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::store::audit::{self, AuditReport};
use crate::store::db;

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let report = look(&config.database).await?;
    print!("{}", in_words(&report));
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(database: &Database) -> anyhow::Result<AuditReport> {
    let (url, shown) = (database.url.expose_secret(), database.shown());
    // Opening makes a missing file, and an empty database has no breaches: say so instead.
    if let Some(file) = db::sqlite_file(url).filter(|file| !file.exists()) {
        bail!("there is no database file {}", file.display());
    }
    let readers = db::open_readers(url, 1).await;
    let readers = readers.with_context(|| format!("cannot open the database {shown}"))?;
    let report = audit::audit(&readers, Clock::system().now()).await;
    readers.close().await.with_context(|| format!("cannot close the database {shown}"))?;
    report.with_context(|| format!("cannot read {shown}"))
}

fn in_words(report: &AuditReport) -> String {
    let lines = report.breaches.iter().map(|breach| format!("{breach}\n"));
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    let verdict = match report.breaches.len() {
        0 => "all agree".to_owned(),
        1 => "1 breach".to_owned(),
        more => format!("{more} breaches"),
    };
    let AuditReport { orders, skus, stock_entries, payments, refunds, .. } = report;
    let seen = format!(
        "{orders} orders, {skus} SKUs, {stock_entries} stock entries, {payments} payments, \
         {refunds} refunds: {verdict}.\n"
    );
    lines.chain(warnings).chain([seen]).collect()
}

#[cfg(test)]
mod tests {
    use super::in_words;
    use crate::store::audit::{AuditReport, Breach};

    #[test]
    fn a_breach_has_a_line_before_the_verdict() {
        let breach = Breach { invariant: 1, text: "SKU 7 has stock -1".into() };
        let report = AuditReport {
            orders: 3,
            skus: 1,
            stock_entries: 4,
            payments: 2,
            refunds: 0,
            breaches: vec![breach],
            warnings: vec!["an incident is open".into()],
        };
        assert_eq!(
            in_words(&report),
            "invariant 1: SKU 7 has stock -1\nwarning: an incident is open\n\
             3 orders, 1 SKUs, 4 stock entries, 2 payments, 0 refunds: 1 breach.\n"
        );
    }
}
