//! The engine under what happens to machines: crashes, shutdowns, full disks, locked files, crowds.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use support::storage::Kind;

mod actor_death;
mod backup;
mod clock;
mod crash;
mod crash_points;
mod diary;
mod flash_sale;
mod full_disk;
mod locked;
mod restart;
mod shutdown;

#[test]
fn all_of_this_on_postgresql() {
    support::everywhere::all_tests_on(Kind::Postgres);
}

#[test]
fn all_of_this_on_mariadb() {
    support::everywhere::all_tests_on(Kind::Mariadb);
}
