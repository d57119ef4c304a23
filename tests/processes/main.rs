//! Several processes on one database: each test is two real servers, on PostgreSQL and on MariaDB,
//! with one WeChat. SQLite carries one process; there these tests have nothing to do.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use support::storage::Kind;

mod dying;
mod letterbox;
mod money;
mod pair;
mod selling;
mod sharing;

#[test]
fn all_of_this_on_postgresql() {
    support::everywhere::all_tests_on(Kind::Postgres);
}

#[test]
fn all_of_this_on_mariadb() {
    support::everywhere::all_tests_on(Kind::Mariadb);
}
