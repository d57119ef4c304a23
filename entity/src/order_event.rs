//! What has happened to an order (订单动态): its timeline.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub order_id: i64,
    /// `paid`, `shipped`, ...: `domain::timeline::What`.
    pub event: String,
    /// `buyer`, `staff:ID`, `system`, `wechat`.
    pub who: String,
    /// JSON: numbers, amounts, reasons; no personal data.
    #[sea_orm(column_type = "Text")]
    pub detail: String,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
