//! The engine under load, and what it must never do.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod flash_sale;
