//! Correctly signed word of WeChat that fits nothing we know (异常通知); staff decide.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "incident")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub mch_id: String,
    pub transaction_id: String,
    pub out_trade_no: String,
    pub amount_fen: i64,
    pub reason: String,
    /// `open`, `matched`, `refunded`, `dismissed`.
    pub state: String,
    pub seen: i64,
    pub created_at: i64,
    pub updated_at: i64,
    /// The staff member who ended it, when, and why.
    pub resolved_by: Option<i64>,
    pub resolved_at: Option<i64>,
    pub resolution: Option<String>,
    /// The order that it was matched with.
    pub order_id: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
