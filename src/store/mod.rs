//! All SQL of buynow, and the only place where rows become domain values and back.
//!
//! Reads go to the pool of [`Readers`]. Writes are never executed here on their own: functions build
//! a [`Write`] for the journal, or are called by it inside its transaction. Exceptions are the
//! commands that run beside or without a server: migrations and [`seed`].

pub mod batch;
pub mod db;
pub mod ids;
pub mod migrate;
mod rows;
pub mod seal;
pub mod stock;
pub mod wxapps;

pub use db::{Readers, StoreError, Write};
