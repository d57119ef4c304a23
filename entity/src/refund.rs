//! Money given back (退款).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refund")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub order_id: i64,
    pub payment_id: i64,
    pub mch_id: String,
    pub transaction_id: String,
    pub out_refund_no: String,
    /// 1, and one more after each REFUNDCLOSE.
    pub number: i64,
    /// `auto`: surplus money; `staff`: ordered by staff; `external`: found at WeChat.
    pub kind: String,
    pub amount_fen: i64,
    pub total_fen: i64,
    pub reason: String,
    /// `due`, `requested`, `processing`, `success`, `abnormal`, `failed`.
    pub state: String,
    pub wechat_refund_id: Option<String>,
    pub fail_code: Option<String>,
    pub tries: i64,
    pub next_at: Option<i64>,
    /// The payment, for an automatic refund: one for each.
    pub auto_payment_id: Option<i64>,
    pub created_at: i64,
    pub requested_at: Option<i64>,
    pub success_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
