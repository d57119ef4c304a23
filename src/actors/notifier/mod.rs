//! Drains the outbox.

mod actor;
pub mod protocol;
mod stale;

pub use actor::{NotifierActor, NotifierSettings};
pub use protocol::*;
