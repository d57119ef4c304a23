//! The admin site as staff meet it, without a browser: cookies, forms and answers.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use support::storage::Kind;

mod attacks;
mod clerk;
mod goods;
mod log_in;
mod logged;
mod orders;
mod people;
mod rights;
mod scripts;
mod shipping;
mod shipping_files;
mod stock;
mod tokens;

#[test]
fn all_of_this_on_postgresql() {
    support::everywhere::all_tests_on(Kind::Postgres);
}

#[test]
fn all_of_this_on_mariadb() {
    support::everywhere::all_tests_on(Kind::Mariadb);
}
