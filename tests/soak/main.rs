//! The soak, short: two chapters of a fixed seed, so that CI meets the same plan every time, and
//! one of a random seed, which a failure prints.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use buynow::soak::{Counts, SoakSettings, run};

use support::storage::{Kind, Storage};

async fn soak(seed: u64, chapters_max: u64) -> Counts {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let storage = Storage::new();
    storage.make_empty().await;
    let settings = SoakSettings {
        seed,
        duration: Duration::from_secs(15),
        chapters_max,
        buyers: 8,
        steps: 60,
        database_url: storage.url(),
    };
    let soaked = run(&settings, |counts| println!("{counts:?}")).await;
    soaked.unwrap_or_else(|failure| {
        let history = failure.history.join("\n");
        panic!("{history}\n{}\nseed {seed}, chapter {}", failure.error, failure.chapter)
    })
}

#[actix_web::test]
async fn what_was_acknowledged_holds_whatever_goes_wrong() {
    let counts = soak(20_261_125, 2).await;
    assert!(counts.orders > 50 && counts.paid > 10 && counts.refunded > 0, "{counts:?}");
    assert!(counts.crashes + counts.restarts > 0 && counts.commits_hit > 0, "{counts:?}");
}

#[actix_web::test]
async fn a_seed_that_nobody_has_chosen_holds_as_well() {
    soak(rand::random(), 1).await;
}

#[test]
fn all_of_this_on_postgresql() {
    support::everywhere::all_tests_on(Kind::Postgres);
}

#[test]
fn all_of_this_on_mariadb() {
    support::everywhere::all_tests_on(Kind::Mariadb);
}
