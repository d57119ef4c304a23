//! The shop as a buyer meets it.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod bad_input;
mod buy_now;
mod carts;
mod errors;
mod repeats;
mod tenants;
