//! The rules of the shop, and nothing else: no async, no actix, no database, no clock, no chance.
//!
//! What time it is, which ids are free and what the rows say comes in as arguments; what is to be
//! written goes out as values. So every rule can be read, tested and explored without a server.

pub mod id;
pub mod money;
pub mod time;
