//! The admin site as staff meet it, without a browser: cookies, forms and answers.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod clerk;
mod log_in;
mod people;
mod rights;
mod tokens;
