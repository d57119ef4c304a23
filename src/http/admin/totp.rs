//! The second step of a log-in: codes of six digits by time (RFC 6238), as phones make them.

use secrecy::{ExposeSecret, SecretString};
use totp_rs::{Builder, Secret, Totp};

use crate::domain::time::Timestamp;

const ISSUER: &str = "buynow";
/// One step of 30 seconds before and after counts: clocks differ.
const SKEW: u16 = 1;

/// The secret cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("a secret for one-time codes is not valid")]
pub struct TotpError;

/// A new secret, in base32 as people type it.
pub fn new_secret() -> SecretString {
    use rand::RngCore as _;
    let mut bytes = [0u8; 20];
    rand::rng().fill_bytes(&mut bytes);
    SecretString::from(Secret::from(bytes.to_vec()).to_base32())
}

fn totp(secret: &SecretString, login: &str) -> Result<Totp, TotpError> {
    let secret = Secret::try_from_base32(secret.expose_secret()).map_err(|_| TotpError)?;
    Builder::new()
        .with_secret(secret)
        .with_skew(SKEW)
        .with_account_name(login)
        .with_issuer(Some(ISSUER))
        .build()
        .map_err(|_| TotpError)
}

/// The time step of a code that is right now; `None` when it is wrong or its step, or a later one,
/// was used before.
pub fn check(
    secret: &SecretString,
    login: &str,
    code: &str,
    last_step: Option<i64>,
    now: Timestamp,
) -> Result<Option<i64>, TotpError> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let seconds = u64::try_from(now.as_millis() / 1000).unwrap_or(0);
    let step = totp(secret, login)?.check(&code, seconds);
    let step = step.and_then(|step| i64::try_from(step).ok());
    Ok(step.filter(|step| last_step.is_none_or(|last| *step > last)))
}

/// The address that a phone reads from the picture.
pub fn address(secret: &SecretString, login: &str) -> Result<String, TotpError> {
    totp(secret, login)?.to_url().map_err(|_| TotpError)
}

/// The picture of an address, as SVG without style or script.
pub fn picture(address: &str) -> Result<String, TotpError> {
    let code = qrcode::QrCode::new(address).map_err(|_| TotpError)?;
    Ok(code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(192, 192).build())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_code_is_good_once_and_only_about_now() {
        // The secret and the code at 59 s of RFC 6238, appendix B, cut to six digits.
        let secret = SecretString::from("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let at = Timestamp::from_seconds;
        let step = check(&secret, "boss", "287 082", None, at(59)).unwrap();
        assert_eq!(step, Some(1));
        assert_eq!(check(&secret, "boss", "287082", step, at(59)).unwrap(), None);
        assert_eq!(check(&secret, "boss", "287083", None, at(59)).unwrap(), None);
        assert_eq!(check(&secret, "boss", "287082", None, at(300)).unwrap(), None);
    }

    #[test]
    fn a_new_secret_works() {
        let secret = new_secret();
        let address = address(&secret, "boss").unwrap();
        assert!(address.starts_with("otpauth://totp/"), "{address}");
        assert!(picture(&address).unwrap().contains("<svg"));
        assert_ne!(new_secret().expose_secret(), secret.expose_secret());
    }
}
