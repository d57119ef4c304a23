//! The edge: HTTP in, messages to the engine, JSON out.
//!
//! Uses the actors, the domain, and the store's read-only queries and the functions that build its
//! writes. Knows no entity and no SQL.

pub mod client_address;
pub mod error;
pub mod extract;
pub mod page;
