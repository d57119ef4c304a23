//! Money as buyers, WeChat and the shop's owner meet it: the hard cases.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use support::storage::Kind;

mod altered;
mod asking;
mod claims;
mod closing;
mod copies;
mod desk;
mod environments;
mod goods_and_money;
mod life;
mod matrix;
mod messages;
mod notifications;
mod prepay;
mod races;
mod records;
mod refunds;
mod repricing;
mod restored;
mod second_host;
mod staff;
mod storms;
mod surplus;
mod wechat;

#[test]
fn all_of_this_on_postgresql() {
    support::everywhere::all_tests_on(Kind::Postgres);
}

#[test]
fn all_of_this_on_mariadb() {
    support::everywhere::all_tests_on(Kind::Mariadb);
}
