//! Drains the outbox.

mod actor;
pub mod protocol;

pub use actor::{NotifierActor, NotifierSettings};
pub use protocol::*;
