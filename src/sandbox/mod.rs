//! The simulated WeChat: a server of its own that speaks WeChat's protocols over real HTTP.
//!
//! It owns the merchant platform (v2, XML), login, tokens and messages (JSON), the buyers' phones
//! (`/sandbox/*`, see `control.rs`), and the notifications to the shop. It verifies what it is sent
//! strictly, with the keys of its own configuration, and can pay, refuse, delay, double, forge and
//! lose on command. It knows WeChat's wire forms and nothing of the engine: a shop cannot tell it
//! from WeChat by anything but its address. Not simulated: TLS and client certificates, bills,
//! refund notifications, shipping uploads, v3.
//!
//! Below the server everything is plain data under one lock (`world.rs`), with time as an argument:
//!
//! ```text
//! serve.rs, control_routes.rs, stream.rs     HTTP
//! desk.rs, courier.rs, control.rs            lock and waiting, deliveries, commands
//! merchant.rs, weixin.rs, sheet.rs           words: requests in, answers out
//! trade.rs refund.rs login.rs token.rs mail.rs notice.rs fault.rs calls.rs    rules
//! ```

mod beijing;
mod bounded;
mod calls;
mod control;
mod control_routes;
mod courier;
mod desk;
mod fault;
mod field_rule;
mod login;
mod mail;
mod merchant;
mod notice;
mod refund;
mod refusal;
mod reply;
mod serial;
mod serve;
mod server;
mod settings;
mod sheet;
mod stream;
mod terms;
mod token;
mod trade;
mod view;
mod weixin;
mod world;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use secrecy::SecretString;

use crate::clock::Clock;

pub use calls::{Call, Calls};
pub use control::{Control, ControlError, LoggedIn, Notify, TokenAction};
pub use fault::{Fault, FaultCode, FaultKind};
pub use login::openid;
pub use mail::{Message, MessageKind, MessageLine};
pub use notice::{Forge, ShopAnswer};
pub use refund::RefundStatus;
pub use server::{Sandbox, SandboxHandle};
pub use settings::{CloseUnknown, Mode, Settings, SettingsChange};
pub use sheet::{PayAction, PayByNumber, PayFailure, PayOutcome, PayResult, PaySheet};
pub use view::{PaymentView, RefundView, TradeView};

/// What the simulation is started with.
pub struct SandboxConfig {
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// With a manual clock nothing is due until a test moves it and calls [`Control::run_due`].
    pub clock: Clock,
    pub apps: Vec<SandboxApp>,
}

/// A mini-program and its merchant account, as WeChat has them on file.
#[derive(Clone)]
pub struct SandboxApp {
    pub appid: String,
    pub secret: SecretString,
    pub mch_id: String,
    /// The merchant's; mini-programs of one merchant share it.
    pub api_key: SecretString,
    pub templates: Vec<SandboxTemplate>,
}

/// A message template as chosen at the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxTemplate {
    pub template_id: String,
    pub title: String,
    /// Name (`thing1`) and label (`商品`), in the order in which the buyer reads them.
    pub fields: Vec<(String, String)>,
}
