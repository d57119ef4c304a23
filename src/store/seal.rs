//! Secrets at rest: AES-256-GCM under the master key of the configuration.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

/// A sealed secret could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the master key is not 32 bytes")]
    MasterKey,
    #[error("a secret in the database cannot be opened with this security.master_key")]
    Open,
    #[error("no randomness")]
    Random,
}

/// Seals and opens secrets. Made from 32 bytes.
pub struct Sealer(LessSafeKey);

impl Sealer {
    pub fn new(master_key: &[u8]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, master_key).map_err(|_| SealError::MasterKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// `v1:` and base64 of nonce and ciphertext.
    pub fn seal(&self, secret: &SecretString) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut sealed = secret.expose_secret().as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut sealed,
            )
            .map_err(|_| SealError::Random)?;
        Ok(format!("v1:{}", STANDARD.encode([nonce.as_slice(), &sealed].concat())))
    }

    pub fn open(&self, sealed: &str) -> Result<SecretString, SealError> {
        let bytes = sealed.strip_prefix("v1:").and_then(|text| STANDARD.decode(text).ok());
        let mut bytes = bytes.filter(|bytes| bytes.len() > NONCE_LEN).ok_or(SealError::Open)?;
        let mut ciphertext = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| SealError::Open)?;
        let plain = self.0.open_in_place(nonce, Aad::empty(), &mut ciphertext);
        let plain = plain.map_err(|_| SealError::Open)?;
        let text = std::str::from_utf8(plain).map_err(|_| SealError::Open)?;
        Ok(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal(&SecretString::from("api key")).unwrap();
        assert!(!sealed.contains("api"));
        assert_eq!(sealer.open(&sealed).unwrap().expose_secret(), "api key");
        assert!(Sealer::new(&[8; 32]).unwrap().open(&sealed).is_err());
        for broken in ["", "v1:", "v1:AAAA", "v2:xyz"] {
            assert!(sealer.open(broken).is_err(), "{broken}");
        }
    }
}
