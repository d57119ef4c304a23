//! Signatures of WeChat Pay v2: MD5 or HMAC-SHA256 over the fields and the API key.
//!
//! It knows fields and keys, no messages. Rule (signature algorithm, v2): all fields but `sign`,
//! without the empty ones, by name in byte order, `name=value` joined by `&`, then `&key=` and the
//! API key; upper-case hexadecimal. Unknown fields take part.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::xml::Fields;

/// The field that holds the signature, and is itself not signed.
pub const SIGN: &str = "sign";
/// The field that names the algorithm, and is signed when it is there.
pub const SIGN_TYPE: &str = "sign_type";

/// How messages of a merchant are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignType {
    Md5,
    HmacSha256,
}

/// The text names no algorithm that v2 has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sign_type is MD5 or HMAC-SHA256")]
pub struct InvalidSignType;

impl SignType {
    /// As it stands in `sign_type` and `signType`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
    pub fn parse(text: &str) -> Result<Self, InvalidSignType> {
        match text {
            "MD5" => Ok(Self::Md5),
            "HMAC-SHA256" => Ok(Self::HmacSha256),
            _ => Err(InvalidSignType),
        }
    }
}

impl std::fmt::Display for SignType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message is not taken for WeChat's (or, in the simulation, for the merchant's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("the signature is missing or empty")]
    Missing,
    #[error("sign_type is not the one agreed upon")]
    OtherType,
    #[error("the signature does not fit")]
    Mismatch,
}

/// The signature of the fields; a `sign` among them is left out.
pub fn sign(fields: &Fields, key: &SecretString, sign_type: SignType) -> String {
    let key = key.expose_secret().as_bytes();
    match sign_type {
        SignType::Md5 => {
            let mut hash = Md5::new();
            feed(fields, key, |bytes| hash.update(bytes));
            hex::encode_upper(hash.finalize())
        }
        SignType::HmacSha256 => {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
            feed(fields, key, |bytes| mac.update(bytes));
            hex::encode_upper(mac.finalize().into_bytes())
        }
    }
}

/// Checks the `sign` of a message, in constant time.
///
/// The type is the one stored with the order or used in the request; a message that names another
/// one is refused before its signature is computed.
pub fn verify(fields: &Fields, key: &SecretString, sign_type: SignType) -> Result<(), SignError> {
    let given = fields.filled(SIGN).ok_or(SignError::Missing)?;
    if fields.filled(SIGN_TYPE).is_some_and(|named| named != sign_type.as_str()) {
        return Err(SignError::OtherType);
    }
    let expected = sign(fields, key, sign_type);
    if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        Ok(())
    } else {
        Err(SignError::Mismatch)
    }
}

/// Hands the string to sign on in pieces, so that no copy of the key stays in memory.
fn feed(fields: &Fields, key: &[u8], mut take: impl FnMut(&[u8])) {
    for (name, value) in fields.iter().filter(|(name, value)| *name != SIGN && !value.is_empty()) {
        take(name.as_bytes());
        take(b"=");
        take(value.as_bytes());
        take(b"&");
    }
    take(b"key=");
    take(key);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn key() -> SecretString {
        SecretString::from("192006250b4c09247ec02edce69f6a2d")
    }

    fn signed(mut fields: Fields, sign_type: SignType) -> Fields {
        let signature = sign(&fields, &key(), sign_type);
        fields.insert(SIGN, signature);
        fields
    }

    #[test]
    fn types_have_wechats_names() {
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            assert_eq!(SignType::parse(sign_type.as_str()), Ok(sign_type));
        }
        for bad in ["", "md5", "RSA", "HMAC-SHA1"] {
            assert_eq!(SignType::parse(bad), Err(InvalidSignType));
        }
    }

    #[test]
    fn a_missing_or_empty_signature_is_refused() {
        let mut fields = Fields::from_iter([("a", "1")]);
        assert_eq!(verify(&fields, &key(), SignType::Md5), Err(SignError::Missing));
        fields.insert(SIGN, "");
        assert_eq!(verify(&fields, &key(), SignType::Md5), Err(SignError::Missing));
    }

    #[test]
    fn a_message_that_names_another_type_is_refused_even_when_it_is_signed_so() {
        let fields = Fields::from_iter([("a", "1"), (SIGN_TYPE, "MD5")]);
        let fields = signed(fields, SignType::Md5);
        assert_eq!(verify(&fields, &key(), SignType::Md5), Ok(()));
        assert_eq!(verify(&fields, &key(), SignType::HmacSha256), Err(SignError::OtherType));
        let fields = signed(Fields::from_iter([("a", "1"), (SIGN_TYPE, "RSA")]), SignType::Md5);
        assert_eq!(verify(&fields, &key(), SignType::Md5), Err(SignError::OtherType));
    }

    #[test]
    fn a_signature_of_the_other_type_does_not_fit() {
        let fields = signed(Fields::from_iter([("a", "1")]), SignType::Md5);
        assert_eq!(verify(&fields, &key(), SignType::HmacSha256), Err(SignError::Mismatch));
    }

    #[test]
    fn a_message_of_nothing_but_a_signature_is_computed_without_a_leading_separator() {
        let md5_of_key_alone =
            hex::encode_upper(Md5::digest(b"key=192006250b4c09247ec02edce69f6a2d"));
        assert_eq!(sign(&Fields::new(), &key(), SignType::Md5), md5_of_key_alone);
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_any_change_does_not(
            fields in prop::collection::btree_map("[a-z_]{1,8}", ".{1,20}", 1..8),
            hmac in any::<bool>(),
            other in ".{1,20}",
        ) {
            let sign_type = if hmac { SignType::HmacSha256 } else { SignType::Md5 };
            let mut fields: Fields = fields.into_iter().collect();
            fields.remove(SIGN);
            fields.remove(SIGN_TYPE);
            let fields = signed(fields, sign_type);
            prop_assert_eq!(verify(&fields, &key(), sign_type), Ok(()));
            let mut added = fields.clone();
            let before = added.insert("zz_forged", other.clone());
            if before.as_deref() != Some(other.as_str()) {
                prop_assert_eq!(verify(&added, &key(), sign_type), Err(SignError::Mismatch));
            }
            let other_key = SecretString::from("another key");
            prop_assert_eq!(verify(&fields, &other_key, sign_type), Err(SignError::Mismatch));
        }
    }
}
