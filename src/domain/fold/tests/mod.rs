//! Tests of the fold: tables of every refusal, and properties over any sequence of commands.
#![allow(clippy::unwrap_used)]

mod closing;
mod desk;
pub(crate) mod invariants;
mod parcels;
mod place;
pub(crate) mod properties;
mod refund;
mod settle;
pub(crate) mod steps;
mod words;
pub(crate) mod world;
