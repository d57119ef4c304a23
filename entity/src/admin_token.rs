//! A token for `/api/admin/v1`; only its hash is kept.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "admin_token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Whose rights bound it.
    pub admin_id: i64,
    pub name: String,
    /// SHA-256, hex.
    pub token_hash: String,
    /// Their names, separated by blanks.
    pub rights: String,
    /// 0: in all mini-programs.
    pub wxapp_id: i64,
    pub created_at: i64,
    pub expires_at: i64,
    pub used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
