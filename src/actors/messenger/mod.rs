//! Everything that one mini-program has to do with api.weixin.qq.com.

mod actor;
pub mod protocol;

pub use actor::MessengerActor;
pub use protocol::*;
