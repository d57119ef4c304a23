//! A role that a member of staff has in one mini-program, or in all.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "admin_grant")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub admin_id: i64,
    /// 0: in all mini-programs.
    #[sea_orm(primary_key, auto_increment = false)]
    pub wxapp_id: i64,
    pub role: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
