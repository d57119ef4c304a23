//! `wx.login` codes become openids.

mod actor;
pub mod protocol;

pub use actor::LoginActor;
pub use protocol::*;
