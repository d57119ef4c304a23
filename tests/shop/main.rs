//! The shop as a buyer meets it.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

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
