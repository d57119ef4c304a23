//! The part of the support that the unit tests of src share: servers of their own.
#![allow(dead_code, clippy::unwrap_used, reason = "unit tests neither kill nor cluster servers")]

pub mod servers;
pub mod skipped;
