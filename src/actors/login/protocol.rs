//! The login actor: asks WeChat who is behind a code of `wx.login`.
//!
//! It owns the HTTP client that such calls need, on the io arbiter, and nothing else. It asks no
//! actor. What an openid is to the shop is decided by who asked.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`ExchangeCode`] | [`Openid`] | [`ExchangeError`] | nothing: a code works once | future |

use std::sync::Arc;

use actix::prelude::*;

use crate::store::wxapps::Wxapp;
pub use crate::wechat::login::LoginError;

/// Calls under way at once; beyond it callers are told `busy`.
pub const CALLS_MAX: usize = 256;

/// Asks WeChat who is behind a code.
#[derive(Message)]
#[rtype(result = "Result<Openid, ExchangeError>")]
pub struct ExchangeCode {
    pub wxapp: Arc<Wxapp>,
    pub code: String,
}

/// A buyer as one mini-program knows him. Personal: not for logs.
pub struct Openid(pub String);

/// Why a code did not become an openid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    #[error("too many log-ins are under way")]
    Busy,
    #[error(transparent)]
    Wechat(#[from] LoginError),
}
