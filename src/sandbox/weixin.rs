//! The platform behind the mini-program (api.weixin.qq.com): login, tokens, messages. JSON.
//!
//! Every answer has status 200; `errcode` tells what is wrong.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::fault::FaultCode;
use super::login::CodeError;
use super::mail::{Letter, MessageKind};
use super::reply::Reply;
use super::token::TokenError;
use super::world::World;
use crate::clock::Timestamp;

pub(super) const SESSION_PATH: &str = "/sns/jscode2session";
pub(super) const TOKEN_PATH: &str = "/cgi-bin/stable_token";
pub(super) const SUBSCRIBE_PATH: &str = "/cgi-bin/message/subscribe/send";
pub(super) const TEMPLATE_PATH: &str = "/cgi-bin/message/wxopen/template/send";

fn forced(code: Option<&FaultCode>) -> Result<(), Reply> {
    match code {
        Some(code) => Err(Reply::errcode(code.number(), "sandbox fault")),
        None => Ok(()),
    }
}

fn either(outcome: Result<Reply, Reply>) -> Reply {
    outcome.unwrap_or_else(|refusal| refusal)
}

/// appid and secret go together: 40013 and 40125.
fn check_secret(world: &World, appid: &str, secret: &str) -> Result<(), Reply> {
    let app = world.app(appid);
    let app = app.ok_or_else(|| Reply::errcode(40013, "invalid appid"))?;
    if app.secret.expose_secret() == secret {
        Ok(())
    } else {
        Err(Reply::errcode(40125, "invalid appsecret"))
    }
}

/// GET /sns/jscode2session
pub(super) fn session(
    world: &mut World,
    query: &BTreeMap<String, String>,
    code: Option<&FaultCode>,
    now: Timestamp,
) -> Reply {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let mut open = || {
        if text("grant_type") != "authorization_code" {
            return Err(Reply::errcode(40002, "invalid grant_type"));
        }
        check_secret(world, text("appid"), text("secret"))?;
        if text("js_code").is_empty() {
            return Err(Reply::errcode(41008, "missing code"));
        }
        forced(code)?;
        let opened = world.logins.open(text("appid"), text("js_code"), now);
        let opened = opened.map_err(|error| match error {
            CodeError::Invalid => Reply::errcode(40029, "invalid code"),
            CodeError::Used => Reply::errcode(40163, "code been used"),
        })?;
        let session = json!({"openid": opened.openid, "session_key": opened.session_key});
        Ok(Reply::Json(session))
    };
    either(open())
}

#[derive(Deserialize)]
struct TokenRequest {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    appid: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    force_refresh: bool,
}

/// POST /cgi-bin/stable_token
pub(super) fn stable_token(
    world: &mut World,
    body: &[u8],
    code: Option<&FaultCode>,
    now: Timestamp,
) -> Reply {
    let mut give = || {
        let request: TokenRequest =
            serde_json::from_slice(body).map_err(|_| Reply::errcode(47001, "data format error"))?;
        if request.grant_type != "client_credential" {
            return Err(Reply::errcode(40002, "invalid grant_type"));
        }
        check_secret(world, &request.appid, &request.secret)?;
        forced(code)?;
        let fresh = format!("{}{}", world.serial.text32(), fresh_text());
        let (token, seconds) =
            world.tokens.stable(&request.appid, request.force_refresh, fresh, now);
        Ok(Reply::Json(json!({"access_token": token, "expires_in": seconds})))
    };
    either(give())
}

/// Makes tokens as long as WeChat's.
fn fresh_text() -> String {
    hex::encode(rand::random::<[u8; 52]>())
}

/// The mini-program that a token speaks for.
fn authorize(world: &World, token: &str, now: Timestamp) -> Result<String, Reply> {
    let checked = world.tokens.check(token, now).map(str::to_owned);
    checked.map_err(|error| match error {
        TokenError::Missing => Reply::errcode(41001, "access_token missing"),
        TokenError::Invalid => Reply::errcode(40001, "invalid credential, access_token is invalid"),
        TokenError::Expired => Reply::errcode(42001, "access_token expired"),
    })
}

/// The two send calls.
pub(super) fn send(
    world: &mut World,
    kind: MessageKind,
    token: &str,
    body: &[u8],
    code: Option<&FaultCode>,
    now: Timestamp,
) -> Reply {
    let mut send = || {
        let appid = authorize(world, token, now)?;
        forced(code)?;
        let letter = Letter::read(body).map_err(|e| Reply::errcode(e.code, &e.text))?;
        let World { mail, logins, .. } = world;
        let buyer = logins.buyer(&letter.openid);
        let sent = match kind {
            MessageKind::Subscribe => mail.subscribe(&appid, &letter, buyer, now),
            MessageKind::Template => mail.template_send(&appid, &letter, buyer, now),
        };
        let message = sent.map_err(|e| Reply::errcode(e.code, &e.text))?;
        Ok(Reply::Json(json!({"errcode": 0, "errmsg": "ok", "msgid": message.id})))
    };
    either(send())
}

/// Another send to the same openid is still going on.
pub(super) fn concurrent() -> Reply {
    Reply::errcode(43108, "concurrent request for the same openid")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sandbox::terms::tests::APPID;
    use crate::sandbox::trade::tests::NOON;
    use crate::sandbox::world::tests::world;
    use serde_json::Value;

    fn value(reply: Reply) -> Value {
        match reply {
            Reply::Json(value) => value,
            _ => panic!("JSON was expected"),
        }
    }

    fn query(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
        let base = [
            ("appid", APPID),
            ("secret", "app-secret"),
            ("js_code", "c1"),
            ("grant_type", "authorization_code"),
        ];
        let all = base.iter().chain(changes);
        all.map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_login_code_opens_a_session_once() {
        let mut world = world();
        world.logins.login(APPID, "alice", "c1".to_owned(), NOON);
        for (name, text, code) in [
            ("appid", "wx0", 40013),
            ("secret", "x", 40125),
            ("js_code", "", 41008),
            ("js_code", "c9", 40029),
            ("grant_type", "x", 40002),
        ] {
            let refused = value(session(&mut world, &query(&[(name, text)]), None, NOON));
            assert_eq!(refused["errcode"], code, "{name}");
        }
        let opened = value(session(&mut world, &query(&[]), None, NOON));
        assert_eq!(opened["openid"].as_str().unwrap().len(), 28);
        assert!(opened.get("errcode").is_none());
        let again = value(session(&mut world, &query(&[]), None, NOON));
        assert_eq!(again["errcode"], 40163);
    }

    fn token(world: &mut World, body: Value) -> Value {
        value(stable_token(world, body.to_string().as_bytes(), None, NOON))
    }

    #[test]
    fn tokens_are_given_for_the_right_secret() {
        let mut world = world();
        let good = json!({"grant_type": "client_credential", "appid": APPID,
            "secret": "app-secret"});
        let first = token(&mut world, good.clone());
        assert_eq!(first["expires_in"], 7200);
        assert_eq!(first["access_token"].as_str().unwrap().len(), 136);
        assert_eq!(token(&mut world, good.clone()), first);
        let mut bad = good.clone();
        bad["secret"] = json!("x");
        assert_eq!(token(&mut world, bad)["errcode"], 40125);
        let mut bad = good.clone();
        bad["force_refresh"] = json!("true");
        assert_eq!(token(&mut world, bad)["errcode"], 47001);
        let mut bad = good;
        bad["grant_type"] = json!("authorization_code");
        assert_eq!(token(&mut world, bad)["errcode"], 40002);
    }

    #[test]
    fn sending_needs_a_good_token() {
        let mut world = world();
        let good = json!({"grant_type": "client_credential", "appid": APPID,
            "secret": "app-secret"});
        let given = token(&mut world, good)["access_token"].as_str().unwrap().to_owned();
        let code = |world: &mut World, token: &str, body: &[u8]| {
            let reply = send(world, MessageKind::Subscribe, token, body, None, NOON);
            value(reply)["errcode"].as_i64()
        };
        assert_eq!(code(&mut world, "", b"{}"), Some(41001));
        assert_eq!(code(&mut world, "x", b"{}"), Some(40001));
        assert_eq!(code(&mut world, &given, b"{"), Some(47001));
        world.tokens.expire(APPID, NOON);
        assert_eq!(code(&mut world, &given, b"{}"), Some(42001));
    }
}
