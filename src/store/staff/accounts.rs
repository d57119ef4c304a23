//! Accounts as the command line makes and mends them, without a server or beside one.

use sea_orm::DatabaseConnection;

use super::sessions::{self, Which};
use serde_json::{Value, json};

use super::log::{self, About, Entry};
use super::{Change, Member, tokens};
use crate::domain::id::StaffId;
use crate::domain::staff::Grants;
use crate::domain::time::Timestamp;
use crate::store::db::{Readers, StoreError, begin_write, open_writer};
use crate::store::ids;

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("there is an account {0} already")]
    Taken(String),
    #[error("there is no account {0}")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sea_orm::DbErr> for AccountError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Store(error.into())
    }
}

/// A new account.
pub struct NewAccount {
    /// Lower case.
    pub login: String,
    pub name: String,
    pub password_hash: String,
    pub grants: Grants,
}

/// The accounts of a database, over a connection of its own.
pub struct Accounts(DatabaseConnection);

impl Accounts {
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Ok(Self(open_writer(url).await?))
    }

    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.0.close().await?)
    }

    /// Everybody, by log-in.
    pub async fn all(&self) -> Result<Vec<Member>, StoreError> {
        super::all(&self.readers()).await
    }

    /// Makes an account.
    pub async fn create(&self, new: NewAccount, now: Timestamp) -> Result<(), AccountError> {
        if super::by_login(&self.readers(), &new.login).await?.is_some() {
            return Err(AccountError::Taken(new.login));
        }
        let transaction = begin_write(&self.0).await?;
        let block = ids::take_blocks(&transaction, 1).await?;
        let id = StaffId::parse(block.start).map_err(|error| StoreError::row("id_block", error))?;
        let member = Member {
            id,
            login: new.login,
            name: new.name,
            password_hash: new.password_hash,
            totp_secret: None,
            totp_step: None,
            language: "zh".to_owned(),
            disabled_at: None,
            version: 1,
            created_at: now,
            grants: new.grants,
        };
        let after = json!({"login": member.login, "name": member.name});
        let noted = noted(block.start + 1, id, "add_staff", after);
        let backend = self.0.get_database_backend();
        let write = super::insert(backend, &member, now).then(log::entry(backend, noted, now));
        write.execute(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives a new password; what was open ends.
    pub async fn set_password(
        &self,
        login: &str,
        hash: String,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        self.change(login, "set_password", Change::PasswordHash(hash), now).await
    }

    /// Takes two-step log-in away; what was open ends.
    pub async fn clear_two_step(&self, login: &str, now: Timestamp) -> Result<(), AccountError> {
        self.change(login, "stop_two_step", Change::TotpSecret(None), now).await
    }

    async fn change(
        &self,
        login: &str,
        what: &'static str,
        change: Change,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        let member = super::by_login(&self.readers(), login).await?;
        let id = member.ok_or_else(|| AccountError::Unknown(login.to_owned()))?.id;
        let backend = self.0.get_database_backend();
        let transaction = begin_write(&self.0).await?;
        let entry = ids::take_blocks(&transaction, 1).await?.start;
        let write = super::update(backend, id, change, now)
            .then(sessions::revoke(backend, id, Which::All, now))
            .then(tokens::revoke_all_of(backend, id, now))
            .then(log::entry(backend, noted(entry, id, what, json!({})), now));
        write.execute(&transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    fn readers(&self) -> Readers {
        Readers::from(self.0.clone())
    }
}

/// What the audit log says of a change from the command line.
fn noted(id: i64, member: StaffId, what: &'static str, after: Value) -> Entry {
    Entry {
        id,
        who: None,
        shop: None,
        what,
        about: About::staff(member),
        before: json!({}),
        after,
        key: None,
    }
}
