//! `buynow audit`: whether stock, orders and money of the database agree, and what would mend it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use super::migrate::url_of;
use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::store::audit::{self, AuditReport, Repair, Step};
use crate::store::db;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Print for each breach what would mend it, as SQL with comments; change nothing
    #[arg(long)]
    pub repair_plan: bool,
}

pub(super) async fn run(config: Config, arguments: AuditArgs) -> anyhow::Result<ExitCode> {
    let (report, plan) = look(&config.database).await?;
    print!("{}", in_words(&report));
    if arguments.repair_plan {
        print!("{}", plan_in_words(&plan));
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(database: &Database) -> anyhow::Result<(AuditReport, Vec<Repair>)> {
    let (url, shown) = (url_of(database).await?, database.shown());
    // Opening makes a missing file, and an empty database has no breaches: say so instead.
    if let Some(file) = db::sqlite_file(&url).filter(|file| !file.exists()) {
        bail!("there is no database file {}", file.display());
    }
    let readers = db::open_readers(&url, 1).await;
    let readers = readers.with_context(|| format!("cannot open the database {shown}"))?;
    let report = audit::audit_with_plan(&readers, Clock::system().now()).await;
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

/// What stands before every plan.
const BEFORE: &str = "
-- Repair plan. Nothing was changed. Copy the database first (buynow backup FILE), stop every
-- `buynow serve`, take one breach after the other from the top, each in one transaction, and run
-- `buynow audit` after each: mending one often mends others. A statement that does not fit any
-- more changes nothing.
";

fn plan_in_words(plan: &[Repair]) -> String {
    let nothing = "\n-- Repair plan: nothing is to be mended.\n".to_owned();
    let all: String = plan.iter().map(repair_in_words).collect();
    if plan.is_empty() { nothing } else { format!("{BEFORE}{all}") }
}

fn repair_in_words(repair: &Repair) -> String {
    let decides = if repair.people_decide { "\n-- Only people can decide this." } else { "" };
    let lines = repair.steps.iter().map(|step| match step {
        // What only looks is not run by accident, nor what people must decide.
        Step::Look(_) => format!("-- look: {step}\n"),
        Step::Run(_) if repair.people_decide => format!("-- if so: {step}\n"),
        Step::Say(_) | Step::Run(_) => format!("{step}\n"),
    });
    let lines: String = lines.collect();
    format!("\n-- {}{decides}\n{lines}", repair.breach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::audit::Breach;

    fn repair(people_decide: bool) -> Repair {
        let breach = Breach { invariant: 1, text: "SKU 7 has a stock of 8".into() };
        let steps = vec![
            Step::Say("count".into()),
            Step::Look("SELECT 1".into()),
            Step::Run("UPDATE sku SET stock = 7 WHERE id = 7".into()),
        ];
        Repair { breach, people_decide, steps }
    }

    #[test]
    fn a_plan_can_be_run_except_for_what_people_must_decide() {
        let plan = plan_in_words(&[repair(false), repair(true)]);
        let (_, steps) = plan.split_once("any\n-- more changes nothing.\n").unwrap_or_default();
        assert_eq!(
            steps,
            "\n-- invariant 1: SKU 7 has a stock of 8\n-- count\n-- look: SELECT 1;\n\
             UPDATE sku SET stock = 7 WHERE id = 7;\n\
             \n-- invariant 1: SKU 7 has a stock of 8\n-- Only people can decide this.\n-- count\n\
             -- look: SELECT 1;\n-- if so: UPDATE sku SET stock = 7 WHERE id = 7;\n"
        );
        assert!(plan_in_words(&[]).contains("nothing is to be mended"));
    }

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
