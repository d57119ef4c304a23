//! The messenger: login codes, the access token, messages.
//!
//! It owns the access token of one appid, so that there is one keeper of it, and knows nothing of
//! orders. It asks nobody but WeChat.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`Login`] | [`WechatSession`] | [`LoginError`] | nothing: a code works once | future |
//! | [`Deliver`] | [`Sent`] | [`MessageError`] | nothing: the outbox counts tries | future |

use actix::prelude::*;

use crate::domain::notification::TemplateKind;
use crate::domain::time::Timestamp;
pub use crate::wechat::login::{LoginError, WechatSession};
pub use crate::wechat::message::{MessageError, Sent};

/// Exchanges a `wx.login` code.
#[derive(Message)]
#[rtype(result = "Result<WechatSession, LoginError>")]
pub struct Login {
    pub code: String,
    /// Of the request.
    pub span: tracing::Span,
}

/// Sends one message.
#[derive(Message)]
#[rtype(result = "Result<Sent, MessageError>")]
pub struct Deliver {
    pub kind: TemplateKind,
    pub openid: String,
    pub template_id: String,
    pub page: String,
    /// For the historic template message.
    pub form_id: Option<String>,
    /// Fields and their values, filled in but not yet fitted to WeChat's rules.
    pub data: Vec<(String, String)>,
    /// Later than this it is not sent.
    pub not_after: Timestamp,
}
