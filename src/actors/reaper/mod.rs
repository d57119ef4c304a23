//! Closes what is unpaid, asks WeChat what it forgot to say, and works on refunds.

mod actor;
mod life;
pub mod protocol;

pub use actor::{ReaperActor, ReaperSettings};
pub use life::LifeSettings;
pub use protocol::*;
