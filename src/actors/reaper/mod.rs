//! Closes what is unpaid, asks WeChat what it forgot to say, and works on refunds.

mod actor;
pub mod protocol;

pub use actor::{ReaperActor, ReaperSettings};
pub use protocol::*;
