//! buynow: an actor-based order engine for WeChat mini-program shops. Start with ARCHITECTURE.md.

pub mod actors;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crash;
pub mod domain;
pub mod http;
pub mod metrics;
pub mod sandbox;
pub mod soak;
pub mod store;
pub mod telemetry;
#[cfg(test)]
#[path = "../tests/support/units.rs"]
mod test_support;
pub mod wechat;
