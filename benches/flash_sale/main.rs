//! How fast a flash sale is, against the ways it could have been written instead.
//!
//! `cargo bench --bench flash_sale` starts the built server as a process of its own on SQLite with
//! `synchronous=FULL`, puts load on it over 64 keep-alive connections, and prints a table of ratios.
//! What is compared runs in alternating pairs within one run, so that a machine that becomes slower
//! makes both slower. `PAIRS` and `SECONDS` in the environment change how long it takes.

#![allow(clippy::unwrap_used, clippy::float_arithmetic)]

mod load;
mod one_by_one;
mod server;

use std::time::Duration;

use load::{Load, Measured};
use server::{Kind, Server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--serve-one-by-one") {
        return server::serve_one_by_one(&arguments[place + 1], &arguments[place + 2]);
    }
    let _installed = rustls::crypto::ring::default_provider().install_default();
    actix_rt::System::new().block_on(bench());
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn bench() {
    let pairs = setting("PAIRS", 5);
    let each = Duration::from_secs(setting("SECONDS", 3));
    println!("{CONNECTIONS} connections, {pairs} alternating pairs of {} s each", each.as_secs());
    let journal = Server::start(Kind::Journal).await;
    let one_by_one = Server::start(Kind::OneByOne).await;

    let hot = Load::orders(&journal, journal.hot_sku);
    let alone = Load::orders(&one_by_one, one_by_one.hot_sku);
    compare("hot SKU: group commit / one transaction per order", &hot, &alone, pairs, each).await;
    println!("  members of a batch: {:.1}", journal.mean_batch().await);

    let sold_out = Load::orders(&journal, journal.sold_out_sku);
    let plain = Load::plain(&journal);
    compare("sold out / a plain JSON answer", &sold_out, &plain, pairs, each).await;

    for server in [&journal, &one_by_one] {
        let report = server.audit().await;
        println!("audit of {:?}: {} orders, {} breaches", server.kind, report.0, report.1);
        assert_eq!(report.1, 0, "the benchmark must leave clean books");
    }
}

/// Runs two loads in turn and prints each side's medians and the median of the ratios.
async fn compare(name: &str, first: &Load, second: &Load, pairs: u64, each: Duration) {
    let warm_up = Duration::from_millis(700);
    first.run(CONNECTIONS, warm_up).await;
    second.run(CONNECTIONS, warm_up).await;
    let mut sides: [Vec<Measured>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..pairs {
        sides[0].push(first.run(CONNECTIONS, each).await);
        sides[1].push(second.run(CONNECTIONS, each).await);
    }
    let rate = |measured: &Measured| measured.per_second;
    let ratios = sides[0].iter().zip(&sides[1]).map(|(a, b)| rate(a) / rate(b));
    println!("\n{name}");
    for (side, load) in sides.iter().zip([first, second]) {
        let median_of = |value: fn(&Measured) -> f64| median(side.iter().map(value));
        println!(
            "  {:<28} {:>8.0}/s   p50 {:>6.2} ms   p99 {:>6.2} ms   {}",
            load.name,
            median_of(|measured| measured.per_second),
            median_of(|measured| measured.p50_ms),
            median_of(|measured| measured.p99_ms),
            side.last().map(|last| last.statuses.as_str()).unwrap_or_default(),
        );
    }
    println!("  ratio, median of {pairs} pairs: {:.2}", median(ratios));
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
