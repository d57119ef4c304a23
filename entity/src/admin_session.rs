//! A log-in to the admin site; only the hash of its cookie is kept.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "admin_session")]
pub struct Model {
    /// SHA-256 of the cookie's value, hex.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_hash: String,
    /// By which people name it when they end it.
    pub id: i64,
    pub admin_id: i64,
    /// What every form of this session carries.
    pub form_token: String,
    /// Browser and system, as far as they were said.
    pub client: String,
    pub created_at: i64,
    pub seen_at: i64,
    /// When the password was given last.
    pub confirmed_at: i64,
    pub expires_at: i64,
    pub revoked_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
