//! The engine on clusters: servers die and freeze, others take over.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod galera;
mod load;
mod postgres;
mod servers;
