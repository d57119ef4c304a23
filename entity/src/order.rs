//! An order (订单).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub user_id: i64,
    /// Shown to people; the first attempt's `out_trade_no`.
    pub order_no: String,
    /// `unpaid`, `paid`, `shipped`, `completed`, `closed`, `refunded`.
    pub state: String,
    pub goods_fen: i64,
    pub freight_fen: i64,
    pub discount_fen: i64,
    /// Signed.
    pub adjust_fen: i64,
    pub pay_fen: i64,
    pub refunded_fen: i64,
    pub remark: String,
    pub transaction_id: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
    /// Since when the closing is intended (关闭中).
    pub closing_at: Option<i64>,
    /// `expired`, `buyer`, `staff`, `sold_out`.
    pub closing_reason: Option<String>,
    /// When the closer tries next.
    pub close_next_at: Option<i64>,
    pub close_tries: i64,
    pub paid_at: Option<i64>,
    pub shipped_at: Option<i64>,
    pub completed_at: Option<i64>,
    pub closed_at: Option<i64>,
    pub close_reason: Option<String>,
    pub refunded_at: Option<i64>,
    /// What `adjust_fen` becomes when the attempt at the former price is closed.
    pub reprice_fen: Option<i64>,
    pub reprice_at: Option<i64>,
    /// The staff member who changes it.
    pub reprice_by: Option<i64>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
