//! What is kept of a password: its Argon2id hash in PHC form, with a salt of its own. Slow on
//! purpose; servers call it off their threads.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};

/// The shortest password, in characters.
pub const MIN: usize = 10;
/// The longest one, in characters.
pub const MAX: usize = 128;

/// A password could not be hashed, or a hash not be read; nothing was decided.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed")]
pub struct HashError;

/// Hashes a password.
pub fn hash(password: &SecretString) -> Result<String, HashError> {
    let hashed = Argon2::default().hash_password(password.expose_secret().as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|_| HashError)
}

/// Whether this is the password of the hash.
pub fn verify(password: &SecretString, hash: &str) -> Result<bool, HashError> {
    let hash = PasswordHash::new(hash).map_err(|_| HashError)?;
    let given = password.expose_secret().as_bytes();
    Ok(Argon2::default().verify_password(given, &hash).is_ok())
}

/// Whether a password has an allowed length.
pub fn is_allowed(password: &SecretString) -> bool {
    (MIN..=MAX).contains(&password.expose_secret().chars().count())
}
