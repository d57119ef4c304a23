//! Money received (支付记录). Never changes.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub order_id: i64,
    /// None: settled as zero never has a row; always set today.
    pub attempt_id: Option<i64>,
    pub mch_id: String,
    pub transaction_id: String,
    /// `settled` or `surplus`.
    pub kind: String,
    pub amount_fen: i64,
    pub cash_fen: Option<i64>,
    pub bank_type: Option<String>,
    pub payer_openid: Option<String>,
    pub paid_at: i64,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
