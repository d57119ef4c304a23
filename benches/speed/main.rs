//! How fast the shop is, against the ways it could have been written instead.
//!
//! `cargo bench --bench speed` starts the built server as a process of its own, puts load on it
//! over keep-alive connections, and writes a line of JSON for each scenario and database. What is
//! compared runs in alternating pairs within one run. `-- --help` shows how to run a part of it;
//! `cargo bench --bench report` draws the charts and the table of docs/benchmarks.md.

#![allow(clippy::unwrap_used, clippy::float_arithmetic)]

mod ceiling;
mod database;
mod fill;
mod history;
mod load;
mod one_by_one;
mod pairs;
mod requests;
mod results;
mod scenarios;
mod server;
mod support;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use database::Database;
use pairs::Plan;
use scenarios::Scenario;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How fast the shop is, against the ways it could have been written instead
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these databases
    #[arg(long, value_delimiter = ',')]
    database: Vec<Database>,
    /// Only these scenarios
    #[arg(long, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// How often the two sides take turns
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// How long each turn takes
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Where the results go; a line for each scenario and database is added
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// For this program itself
    #[arg(long, hide = true)]
    serve_one_by_one: Option<String>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match &arguments.serve_one_by_one {
        Some(port) => server::serve_one_by_one(port),
        None => actix_rt::System::new().block_on(bench(arguments)),
    }
}

async fn bench(arguments: Arguments) {
    let plan = Plan { pairs: arguments.pairs, each: Duration::from_secs_f64(arguments.seconds) };
    let here = |database: &Database| database.is_here();
    for database in chosen(&arguments.database).into_iter().filter(here) {
        for scenario in chosen(&arguments.scenario) {
            let result = scenarios::run(scenario, database, plan).await;
            results::print(&result);
            if let Some(out) = &arguments.out {
                let file = std::fs::File::options().create(true).append(true).open(out);
                writeln!(file.unwrap(), "{result}").unwrap();
            }
        }
    }
}

/// Those that were named, or all.
fn chosen<T: clap::ValueEnum + Clone>(named: &[T]) -> Vec<T> {
    if named.is_empty() { T::value_variants().to_vec() } else { named.to_vec() }
}
