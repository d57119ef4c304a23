//! Payments: prepay, notifications, closing at WeChat, refunds.

mod actor;
mod closing;
mod inquire;
mod notify;
mod prepay;
pub mod protocol;
mod provider;
mod refund;
mod turn;
mod v2;

pub use actor::{PaymentActor, PaymentDeps};
pub use protocol::*;
pub use provider::{PaymentProvider, Refused, TradeWord, WeChatError};
pub use v2::WechatPayV2;
