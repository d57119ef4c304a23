//! `wx.login`: a code of the phone becomes an openid.
//!
//! The session_key stays here and with the caller; it never goes to the phone and never into logs.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::api::{ApiClient, ApiError, BUSY, Question};

const CODE_TO_SESSION: &str = "/sns/jscode2session";

/// Who is behind a code.
#[derive(Clone)]
pub struct WechatSession {
    /// The user in this mini-program.
    pub openid: String,
    /// Base64 of 16 bytes; decrypts user data.
    pub session_key: SecretString,
    /// The user over all apps bound to one account, when there is such a binding.
    pub unionid: Option<String>,
}

impl fmt::Debug for WechatSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WechatSession")
    }
}

/// Why a code did not become a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// 40029: wrong, expired, or of another mini-program. The phone calls wx.login again.
    #[error("the login code is not valid")]
    CodeInvalid,
    /// 40163: used before; also where a repeat after a lost answer ends. wx.login again.
    #[error("the login code was used before")]
    CodeUsed,
    /// 40226: WeChat blocks this user. Final.
    #[error("WeChat blocks this user")]
    Blocked,
    /// 45011: more than 100 a minute for this user.
    #[error("too many logins of this user")]
    TooFast,
    /// -1, after two repeats.
    #[error("WeChat is busy")]
    Busy,
    /// 40013, 40125: appid or secret are wrong. Alarm.
    #[error("WeChat refuses appid or secret: {0}")]
    Configuration(i64),
    #[error("WeChat refused: {0}")]
    Other(i64),
    /// No usable answer.
    #[error("no usable answer")]
    Unknown,
}

impl LoginError {
    pub fn needs_alarm(&self) -> bool {
        matches!(self, Self::Configuration(_))
    }
}

impl From<ApiError> for LoginError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Code { code, .. } => match code {
                BUSY => Self::Busy,
                40029 => Self::CodeInvalid,
                40163 => Self::CodeUsed,
                40226 => Self::Blocked,
                45011 => Self::TooFast,
                40013 | 40125 => Self::Configuration(code),
                other => Self::Other(other),
            },
            ApiError::Call(_) | ApiError::Garbage => Self::Unknown,
        }
    }
}

/// Asks WeChat who is behind a code of `wx.login`. A code lives five minutes and works once.
pub async fn code_to_session(
    api: &ApiClient,
    appid: &str,
    secret: &SecretString,
    code: &str,
) -> Result<WechatSession, LoginError> {
    let query = [
        ("appid", appid),
        ("secret", secret.expose_secret()),
        ("js_code", code),
        ("grant_type", "authorization_code"),
    ];
    let answer = api.ask_patiently(CODE_TO_SESSION, &Question::Get(&query)).await?;
    let text = |name: &str| answer[name].as_str().filter(|text| !text.is_empty());
    let openid = text("openid").filter(|id| id.len() <= 128).ok_or(LoginError::Unknown)?;
    let session_key = text("session_key").ok_or(LoginError::Unknown)?;
    Ok(WechatSession {
        openid: openid.to_owned(),
        session_key: SecretString::from(session_key),
        unionid: text("unionid").map(str::to_owned),
    })
}
