//! wx.login codes and openids. Source: jscode2session; a code lives five minutes and works once.
//!
//! An openid follows from the mini-program and the buyer's name alone and carries a check of the
//! mini-program, so that a shop's database that outlives a run of the simulation still fits it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::bounded::Bounded;
use crate::clock::Timestamp;

const CODES_MAX: usize = 100_000;
const BUYERS_MAX: usize = 200_000;
const CODE_LIVES_SECONDS: i64 = 300;
/// Characters of an openid that follow from the buyer; the other six follow from these and the
/// appid.
const OPENID_HEAD: usize = 22;

fn digest(parts: [&str; 3], length: usize) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(Sha256::digest(parts.join("\n").as_bytes()));
    text.truncate(length);
    text
}

/// The openid of a buyer in a mini-program: 28 characters, the same in every run.
pub fn openid(appid: &str, buyer: &str) -> String {
    let head = format!("o{}", digest(["buyer", appid, buyer], OPENID_HEAD - 1));
    let check = digest(["check", appid, &head], 6);
    head + &check
}

/// Whether the openid is one that this mini-program could have been given.
pub(super) fn is_openid_of(appid: &str, openid: &str) -> bool {
    openid.is_char_boundary(OPENID_HEAD)
        && openid.len() == OPENID_HEAD + 6
        && digest(["check", appid, &openid[..OPENID_HEAD]], 6) == openid[OPENID_HEAD..]
}

struct Code {
    appid: String,
    openid: String,
    made_at: Timestamp,
    used: bool,
}

/// Why a code opens no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeError {
    /// 40029: unknown, too old, or of another mini-program.
    Invalid,
    /// 40163: worked before.
    Used,
}

/// What jscode2session hands out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) openid: String,
    pub(super) session_key: String,
}

pub(super) struct Logins {
    codes: Bounded<String, Code>,
    buyers: Bounded<String, String>,
}

impl Logins {
    pub(super) fn new() -> Self {
        Self { codes: Bounded::new(CODES_MAX), buyers: Bounded::new(BUYERS_MAX) }
    }

    /// wx.login on the buyer's phone.
    pub(super) fn login(&mut self, appid: &str, buyer: &str, code: String, now: Timestamp) {
        let openid = openid(appid, buyer);
        self.buyers.insert(openid.clone(), buyer.to_owned());
        let code_of_buyer = Code { appid: appid.to_owned(), openid, made_at: now, used: false };
        self.codes.insert(code, code_of_buyer);
    }

    /// jscode2session, once the appid and its secret are found right.
    pub(super) fn open(
        &mut self,
        appid: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<Opened, CodeError> {
        let known = self.codes.get_mut(code).ok_or(CodeError::Invalid)?;
        let age = now.millis_since(known.made_at);
        if known.appid != appid || age >= CODE_LIVES_SECONDS * 1000 {
            return Err(CodeError::Invalid);
        }
        if known.used {
            return Err(CodeError::Used);
        }
        known.used = true;
        Ok(Opened {
            openid: known.openid.clone(),
            session_key: STANDARD.encode(rand::random::<[u8; 16]>()),
        })
    }

    /// The name that goes with an openid; buyers of an earlier run have none yet.
    pub(super) fn buyer(&self, openid: &str) -> Option<&str> {
        self.buyers.get(openid).map(String::as_str)
    }

    /// A buyer is mentioned by a control call.
    pub(super) fn meet(&mut self, appid: &str, buyer: &str) -> String {
        let openid = openid(appid, buyer);
        self.buyers.insert(openid.clone(), buyer.to_owned());
        openid
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn logins() -> Logins {
        let mut logins = Logins::new();
        logins.login("wx1", "alice", "c1".to_owned(), NOW);
        logins
    }

    #[test]
    fn a_code_works_once() {
        let mut logins = logins();
        let opened = logins.open("wx1", "c1", NOW).unwrap();
        assert_eq!(opened.openid, openid("wx1", "alice"));
        assert_eq!(STANDARD.decode(opened.session_key).unwrap().len(), 16);
        assert_eq!(logins.open("wx1", "c1", NOW), Err(CodeError::Used));
    }

    #[test]
    fn a_code_lives_five_minutes() {
        assert!(logins().open("wx1", "c1", NOW.plus_seconds(299)).is_ok());
        assert_eq!(logins().open("wx1", "c1", NOW.plus_seconds(300)), Err(CodeError::Invalid));
    }

    #[test]
    fn a_code_is_of_one_mini_program() {
        let mut logins = logins();
        assert_eq!(logins.open("wx2", "c1", NOW), Err(CodeError::Invalid));
        assert_eq!(logins.open("wx1", "c2", NOW), Err(CodeError::Invalid));
        assert!(logins.open("wx1", "c1", NOW).is_ok(), "a wrong attempt uses nothing up");
    }

    #[test]
    fn openids_are_stable_and_tell_their_mini_program() {
        let alice = openid("wx1", "alice");
        assert_eq!(alice, openid("wx1", "alice"));
        assert_eq!(alice.len(), 28);
        assert_ne!(alice, openid("wx1", "bob"));
        assert!(is_openid_of("wx1", &alice));
        assert!(!is_openid_of("wx2", &alice));
        for bad in ["", "o", "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "微信微信微信微信微信微"] {
            assert!(!is_openid_of("wx1", bad), "{bad}");
        }
    }
}
