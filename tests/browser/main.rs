//! The admin site in a browser: what each role does all day, without a mouse, without script, and
//! for people who read a page by its words or enlarge it.
//!
//! Needs chromium and chromedriver as Debian packs them; skipped with a line where there is none.

#![allow(clippy::unwrap_used)]

#[path = "../admin/clerk.rs"]
#[allow(dead_code)]
mod clerk;
#[path = "../support/mod.rs"]
mod support;

mod driver;
mod goods;
mod pages;
mod shipping;
mod work;
