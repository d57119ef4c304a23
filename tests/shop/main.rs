//! The shop as a buyer meets it.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use support::storage::Kind;

mod altered;
mod api;
mod bad_input;
mod bad_wire;
mod buy_now;
mod buyers;
mod carts;
mod edge;
mod errors;
mod lists;
mod repeats;
mod shapes;
mod tenants;

#[test]
fn all_of_this_on_postgresql() {
    support::everywhere::all_tests_on(Kind::Postgres);
}

#[test]
fn all_of_this_on_mariadb() {
    support::everywhere::all_tests_on(Kind::Mariadb);
}
