//! The shop as a buyer meets it.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod buy_now;
mod carts;
mod repeats;
mod tenants;
