//! Passwords, checked off the HTTP threads, a few at a time.

use std::sync::OnceLock;

use actix_web::web;
use secrecy::SecretString;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::staff::password::{self, HashError};

pub use crate::store::staff::password::is_allowed;

/// Hashing takes memory and a core: so many at once, the others wait.
const AT_ONCE: usize = 2;
/// So many wait at the most; whoever comes then is told to come again.
const WAITING_MAX: usize = 64;

/// Hashes a password, in PHC form.
pub async fn hash(password: SecretString) -> Result<String, HashError> {
    let _turn = turn().await?;
    web::block(move || password::hash(&password)).await.map_err(|_| HashError)?
}

/// Whether this is the password. Without a hash, for an account that is not there, it takes as long
/// and says no.
pub async fn verify(password: SecretString, hash: Option<String>) -> Result<bool, HashError> {
    let _turn = turn().await?;
    let check = move || match hash {
        Some(hash) => password::verify(&password, &hash),
        None => password::verify(&password, nobodys_hash()?).map(|_| false),
    };
    web::block(check).await.map_err(|_| HashError)?
}

/// A place, and the turn that it had to wait for.
async fn turn() -> Result<[SemaphorePermit<'static>; 2], HashError> {
    static PLACES: Semaphore = Semaphore::const_new(AT_ONCE + WAITING_MAX);
    static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);
    let place = PLACES.try_acquire().map_err(|_| HashError)?;
    Ok([place, TURNS.acquire().await.map_err(|_| HashError)?])
}

fn nobodys_hash() -> Result<&'static str, HashError> {
    static HASH: OnceLock<String> = OnceLock::new();
    if let Some(hash) = HASH.get() {
        return Ok(hash);
    }
    let hash = password::hash(&SecretString::from("nobody's password"))?;
    Ok(HASH.get_or_init(|| hash))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[actix_web::test]
    async fn a_password_opens_its_own_hash_only() {
        let hash = hash(SecretString::from("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        let verify = |password: &str, hash: Option<&String>| {
            verify(SecretString::from(password), hash.cloned())
        };
        assert!(verify("correct horse", Some(&hash)).await.unwrap());
        assert!(!verify("correct hors", Some(&hash)).await.unwrap());
        assert!(!verify("nobody's password", None).await.unwrap());
    }
}
