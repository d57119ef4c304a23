//! Messages to buyers: the subscribe message, and the retired template message behind a switch.
//!
//! It owns the wire form, the field rules and what each error code means for the outbox. It keeps
//! no grants and repeats nothing but the one call after a refused token; sends for one openid must
//! be serial (43108), which is the notifier's matter.

mod rules;

use std::fmt;

use serde_json::{Map, Value, json};

use super::api::{ApiClient, ApiError, BUSY, Question};
use super::token::{TokenCallError, TokenError, TokenKeeper, refuses_token};
use super::transport::CallError;

pub use rules::{FieldRule, RuleError, check_fields, fit_fields};

const SUBSCRIBE_SEND: &str = "/cgi-bin/message/subscribe/send";
const TEMPLATE_SEND: &str = "/cgi-bin/message/wxopen/template/send";

/// Which version of the mini-program a tap on the message opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MiniProgramState {
    #[default]
    Formal,
    Trial,
    Developer,
}

impl MiniProgramState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Formal => "formal",
            Self::Trial => "trial",
            Self::Developer => "developer",
        }
    }
}

/// A subscribe message. One accepted subscription pays for one message.
#[derive(Clone, PartialEq, Eq)]
pub struct SubscribeMessage {
    pub openid: String,
    pub template_id: String,
    /// Opened by a tap, `pages/order/index?id=1`.
    pub page: Option<String>,
    pub state: MiniProgramState,
    /// Field (`thing1`) and its value; see [`FieldRule`].
    pub data: Vec<(String, String)>,
}

/// A template message of before 2020.
#[derive(Clone, PartialEq, Eq)]
pub struct TemplateMessage {
    pub openid: String,
    pub template_id: String,
    pub page: Option<String>,
    /// The prepay_id of a paid order (3 messages within 7 days), or a form's id.
    pub form_id: String,
    /// Field (`keyword1`) and its value.
    pub data: Vec<(String, String)>,
    /// The field shown large, `keyword1.DATA`.
    pub emphasis_keyword: Option<String>,
}

impl fmt::Debug for SubscribeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubscribeMessage({})", self.template_id)
    }
}

impl fmt::Debug for TemplateMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TemplateMessage({})", self.template_id)
    }
}

/// WeChat has taken the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub msg_id: Option<String>,
}

/// Why a message was not sent, by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// 43101: the user refused, or no grant is left. Final, no alarm; local grants become 0.
    #[error("the user has not agreed to this message")]
    Refused,
    /// 47003: this field breaks its rule. A defect of ours; never resend unchanged.
    #[error("field {0} breaks its rule")]
    FieldRule(String),
    /// 40001, 40014, 42001, also with a fresh token.
    #[error("WeChat refuses the access token")]
    TokenInvalid,
    /// There was no token to send with; nothing was sent.
    #[error("no access token: {0}")]
    NoToken(TokenError),
    /// -1: later, a duplicate is possible.
    #[error("WeChat is busy")]
    Busy,
    /// 43108: another call for the same openid is running; again, one after another.
    #[error("another message to this user is being sent")]
    Concurrent,
    /// 45009 (a day), 45011 (a minute): later.
    #[error("the quota is used up: {0}")]
    Quota(i64),
    /// 41028, template message: also seen in the first seconds after payment; once more after 10 s.
    #[error("form_id is not valid")]
    FormIdInvalid,
    /// 41029, template message: used up; another form_id, or give up.
    #[error("form_id is used up")]
    FormIdUsedUp,
    /// Any other code: no repeat mends it.
    #[error("WeChat refused: {0}")]
    Final(i64),
    /// No connection: the message certainly did not leave.
    #[error("not sent")]
    NotSent,
    /// No usable answer: it may have been delivered. At most once more.
    #[error("outcome unknown")]
    Unknown,
}

impl MessageError {
    /// Whether the grant taken for this message is to be given back: the failure used none up.
    pub fn gives_grant_back(&self) -> bool {
        match self {
            Self::FieldRule(_)
            | Self::TokenInvalid
            | Self::NoToken(_)
            | Self::Concurrent
            | Self::Quota(_)
            | Self::NotSent => true,
            Self::Final(code) => matches!(code, 40037 | 41030 | 47001),
            Self::Refused
            | Self::Busy
            | Self::FormIdInvalid
            | Self::FormIdUsedUp
            | Self::Unknown => false,
        }
    }
    /// Whether the same message may be sent again later.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::NoToken(error) => !matches!(error, TokenError::Configuration(_)),
            Self::TokenInvalid
            | Self::Busy
            | Self::Concurrent
            | Self::Quota(_)
            | Self::FormIdInvalid
            | Self::NotSent
            | Self::Unknown => true,
            Self::Refused | Self::FieldRule(_) | Self::FormIdUsedUp | Self::Final(_) => false,
        }
    }
    /// Whether someone must look: template, page, field or configuration are wrong.
    pub fn needs_alarm(&self) -> bool {
        match self {
            Self::FieldRule(_) | Self::NoToken(TokenError::Configuration(_)) => true,
            Self::Final(code) => *code != 40003,
            _ => false,
        }
    }
}

impl From<ApiError> for MessageError {
    fn from(error: ApiError) -> Self {
        if refuses_token(&error) {
            return Self::TokenInvalid;
        }
        match error {
            ApiError::Code { code, errmsg } => match code {
                BUSY => Self::Busy,
                43101 => Self::Refused,
                43108 => Self::Concurrent,
                45009 | 45011 => Self::Quota(code),
                47003 => Self::FieldRule(named_field(&errmsg).to_owned()),
                41028 => Self::FormIdInvalid,
                41029 => Self::FormIdUsedUp,
                other => Self::Final(other),
            },
            ApiError::Call(CallError::NotSent) => Self::NotSent,
            ApiError::Call(_) | ApiError::Garbage => Self::Unknown,
        }
    }
}

impl From<TokenCallError> for MessageError {
    fn from(error: TokenCallError) -> Self {
        match error {
            TokenCallError::Token(error) => Self::NoToken(error),
            TokenCallError::Call(error) => error.into(),
        }
    }
}

/// `argument invalid! data.thing1.value is empty rid: ...` names `thing1`.
fn named_field(errmsg: &str) -> &str {
    let after = errmsg.split_once("data.").map_or("", |(_, after)| after);
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    &after[..end.min(64)]
}

/// Sends a subscribe message, once; once more when WeChat refuses the token.
pub async fn send_subscribe(
    api: &ApiClient,
    tokens: &TokenKeeper,
    message: &SubscribeMessage,
) -> Result<Sent, MessageError> {
    let mut body = json!({
        "touser": message.openid,
        "template_id": message.template_id,
        "miniprogram_state": message.state.as_str(),
        "lang": "zh_CN",
        "data": data(&message.data),
    });
    if let Some(page) = &message.page {
        body["page"] = json!(page);
    }
    send(api, tokens, SUBSCRIBE_SEND, &body).await
}

/// Sends a template message (ended for new mini-programs in 2020), once; once more when WeChat
/// refuses the token.
pub async fn send_template(
    api: &ApiClient,
    tokens: &TokenKeeper,
    message: &TemplateMessage,
) -> Result<Sent, MessageError> {
    let mut body = json!({
        "touser": message.openid,
        "template_id": message.template_id,
        "form_id": message.form_id,
        "data": data(&message.data),
    });
    if let Some(page) = &message.page {
        body["page"] = json!(page);
    }
    if let Some(keyword) = &message.emphasis_keyword {
        body["emphasis_keyword"] = json!(keyword);
    }
    send(api, tokens, TEMPLATE_SEND, &body).await
}

/// An object of objects, as WeChat wants it; never a JSON string.
fn data(fields: &[(String, String)]) -> Value {
    let fields = fields.iter().map(|(name, value)| (name.clone(), json!({ "value": value })));
    Value::Object(fields.collect::<Map<_, _>>())
}

async fn send(
    api: &ApiClient,
    tokens: &TokenKeeper,
    path: &'static str,
    body: &Value,
) -> Result<Sent, MessageError> {
    let call = |token: super::token::Token| async move {
        let query = [("access_token", token.expose())];
        api.ask(path, &Question::Post { query: &query, json: body }).await
    };
    let answer = tokens.with_token(call).await?;
    let msg_id = match &answer["msgid"] {
        Value::String(id) => Some(id.chars().take(64).collect()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    };
    Ok(Sent { msg_id })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn coded(code: i64, errmsg: &str) -> MessageError {
        ApiError::Code { code, errmsg: errmsg.to_owned() }.into()
    }

    #[test]
    fn codes_are_classified_by_what_follows_from_them() {
        for (code, expected) in [
            (43101, MessageError::Refused),
            (43108, MessageError::Concurrent),
            (-1, MessageError::Busy),
            (45009, MessageError::Quota(45009)),
            (40001, MessageError::TokenInvalid),
            (40014, MessageError::TokenInvalid),
            (42001, MessageError::TokenInvalid),
            (41028, MessageError::FormIdInvalid),
            (41029, MessageError::FormIdUsedUp),
            (40003, MessageError::Final(40003)),
            (40037, MessageError::Final(40037)),
        ] {
            assert_eq!(coded(code, ""), expected);
        }
    }

    #[test]
    fn a_broken_rule_names_its_field() {
        let errmsg = "argument invalid! data.thing1.value is empty rid: 5f-1";
        assert_eq!(coded(47003, errmsg), MessageError::FieldRule("thing1".to_owned()));
        assert_eq!(coded(47003, "argument invalid!"), MessageError::FieldRule(String::new()));
    }

    #[test]
    fn a_grant_comes_back_only_when_none_was_used_up() {
        for back in [coded(47003, ""), coded(40037, ""), coded(41030, ""), coded(40001, "")] {
            assert!(back.gives_grant_back(), "{back}");
        }
        assert!(MessageError::from(ApiError::Call(CallError::NotSent)).gives_grant_back());
        for kept in [coded(43101, ""), coded(-1, ""), coded(40003, "")] {
            assert!(!kept.gives_grant_back(), "{kept}");
        }
        assert!(!MessageError::from(ApiError::Call(CallError::Timeout)).gives_grant_back());
        assert!(!MessageError::from(ApiError::Garbage).gives_grant_back());
    }

    #[test]
    fn a_refusal_is_neither_repeated_nor_an_alarm() {
        let refused = coded(43101, "");
        assert!(!refused.may_retry() && !refused.needs_alarm());
        assert!(!coded(40037, "").may_retry() && coded(40037, "").needs_alarm());
        assert!(coded(43108, "").may_retry());
        let wrong_secret = MessageError::NoToken(TokenError::Configuration(40125));
        assert!(!wrong_secret.may_retry() && wrong_secret.needs_alarm());
    }
}
