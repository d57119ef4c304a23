//! A member of staff (店员) who logs in to the admin site.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "admin_user")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Lower case; unique.
    pub login: String,
    pub name: String,
    /// Argon2id, in PHC form.
    pub password_hash: String,
    /// Sealed with the master key.
    #[sea_orm(column_type = "Text", nullable)]
    pub totp_secret: Option<String>,
    /// The last time step whose code was used, so that none is used twice.
    pub totp_step: Option<i64>,
    /// `zh` or `en`.
    pub language: String,
    pub disabled_at: Option<i64>,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
