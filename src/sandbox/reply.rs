//! What the simulation answers, before it is bytes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fault::FaultCode;
use super::notice;
use super::refusal::Refusal;
use super::world::App;
use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::{self, Fields};

/// An answer of one of the two hosts.
pub(super) enum Reply {
    /// The merchant platform, signed: `return_code` SUCCESS, `result_code` either.
    Signed { fields: Fields, app: Arc<App>, sign_type: SignType },
    /// The merchant platform, to what it could not read or whose signature is wrong: only
    /// `return_code` FAIL and a text.
    Unsigned(&'static str),
    /// api.weixin.qq.com.
    Json(Value),
}

impl Reply {
    pub(super) fn errcode(code: i64, text: &str) -> Self {
        let errmsg = format!("{text} rid: 00000000-00000000-00000000");
        Self::Json(json!({"errcode": code, "errmsg": errmsg}))
    }

    /// For the list of calls: SUCCESS or the code.
    pub(super) fn outcome(&self) -> String {
        match self {
            Self::Unsigned(text) => (*text).to_owned(),
            Self::Signed { fields, .. } => fields.get("err_code").unwrap_or("SUCCESS").to_owned(),
            Self::Json(value) => match value.get("errcode").and_then(Value::as_i64) {
                None | Some(0) => "SUCCESS".to_owned(),
                Some(code) => code.to_string(),
            },
        }
    }

    /// The same answer, saying that the call was refused with the code.
    pub(super) fn refused_with(self, code: &FaultCode) -> Self {
        match self {
            Self::Signed { app, sign_type, .. } => {
                let refusal = Refusal::Ordered(code.text());
                let fields = refused(&refusal);
                Self::Signed { fields, app, sign_type }
            }
            Self::Json(_) => Self::errcode(code.number(), "sandbox fault"),
            Self::Unsigned(text) => Self::Unsigned(text),
        }
    }

    /// Content type and body; `spoilt`: with a signature that does not fit.
    pub(super) fn render(self, nonce: String, spoilt: bool) -> (&'static str, String) {
        match self {
            Self::Json(value) => ("application/json; charset=utf-8", value.to_string()),
            Self::Unsigned(text) => {
                let fields = Fields::from_iter([("return_code", "FAIL"), ("return_msg", text)]);
                ("text/xml; charset=utf-8", xml::write(&fields))
            }
            Self::Signed { mut fields, app, sign_type } => {
                fields.insert("return_code", "SUCCESS");
                fields.insert("return_msg", "OK");
                fields.insert("appid", app.appid.as_str());
                fields.insert("mch_id", app.mch_id.as_str());
                fields.insert("nonce_str", nonce);
                let mut signature = sign::sign(&fields, &app.api_key, sign_type);
                if spoilt {
                    signature = notice::spoil(&signature);
                }
                fields.insert(sign::SIGN, signature);
                ("text/xml; charset=utf-8", xml::write(&fields))
            }
        }
    }
}

/// The business part of a refusal.
pub(super) fn refused(refusal: &Refusal) -> Fields {
    Fields::from_iter([
        ("result_code", "FAIL".to_owned()),
        ("err_code", refusal.code().to_owned()),
        ("err_code_des", refusal.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sandbox::world::tests::app;

    fn signed(fields: Fields) -> Reply {
        Reply::Signed { fields, app: app(), sign_type: SignType::HmacSha256 }
    }

    #[test]
    fn signed_answers_verify_unless_they_are_spoilt() {
        for (spoilt, expected) in [(false, true), (true, false)] {
            let (_, body) = signed(refused(&Refusal::Paid)).render("n".to_owned(), spoilt);
            let fields = xml::parse(body.as_bytes()).unwrap();
            let verified = sign::verify(&fields, &app().api_key, SignType::HmacSha256);
            assert_eq!(verified.is_ok(), expected);
            assert_eq!(fields.get("err_code"), Some("ORDERPAID"));
        }
    }

    #[test]
    fn an_answer_to_what_could_not_be_read_has_no_signature() {
        let (_, body) = Reply::Unsigned("签名错误").render("n".to_owned(), false);
        let fields = xml::parse(body.as_bytes()).unwrap();
        assert_eq!(fields.get("return_code"), Some("FAIL"));
        assert_eq!(fields.get("sign"), None);
    }

    #[test]
    fn a_refusal_can_be_laid_over_any_answer() {
        let code = FaultCode::Text("SYSTEMERROR".to_owned());
        assert_eq!(signed(Fields::new()).outcome(), "SUCCESS");
        assert_eq!(signed(Fields::new()).refused_with(&code).outcome(), "SYSTEMERROR");
        let busy = Reply::Json(json!({})).refused_with(&FaultCode::Number(-1));
        assert_eq!(busy.outcome(), "-1");
    }
}
