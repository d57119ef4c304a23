//! All SQL of buynow, and the only place where rows become domain values and back.
//!
//! Reads go to the pool of [`Readers`]. Writes are never executed here on their own: functions
//! build a [`Write`] for the journal, or are called by it inside its transaction. Exceptions are
//! the commands that run beside or without a server: migrations and [`seed`].

pub mod accounts;
pub mod audit;
pub mod backend;
pub mod backup;
pub mod batch;
pub mod catalogue;
pub mod claims;
mod connect;
pub mod db;
pub mod desk;
pub mod durability;
pub mod errors;
pub mod goods;
pub mod housekeeping;
pub mod ids;
pub mod migrate;
pub mod order_life;
pub mod order_views;
pub mod outbox;
pub mod page;
pub mod payments;
mod readers;
mod rows;
pub mod seal;
pub mod seed;
pub mod servers;
mod shipments;
pub mod staff;
pub mod stock;
pub mod wxapps;

pub use db::{Readers, StoreError, Write};

#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod read_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
pub(crate) mod test_databases;
#[cfg(test)]
pub(crate) mod testing;
