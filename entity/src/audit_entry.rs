//! What staff have done (操作日志), with before and after.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entry")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub staff_id: i64,
    /// `ship`, `reprice`, ...: `domain::fold::Act`.
    pub action: String,
    /// `order`, `sku`, `goods`, `incident`, `message`.
    pub subject: String,
    pub subject_id: i64,
    /// JSON. Of a changed address it holds the address.
    #[sea_orm(column_type = "Text")]
    pub before_json: String,
    #[sea_orm(column_type = "Text")]
    pub after_json: String,
    pub reason: String,
    /// The one-time key of the form; each acts once.
    pub form_key: Option<String>,
    pub request_hash: Option<String>,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
