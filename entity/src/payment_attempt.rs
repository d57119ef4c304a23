//! An attempt to pay (支付尝试): one `out_trade_no` at WeChat.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub order_id: i64,
    pub user_id: i64,
    pub mch_id: String,
    pub appid: String,
    pub out_trade_no: String,
    /// `requesting`, `open`, `failed`, `closing`, `closed`, `paid`.
    pub state: String,
    pub amount_fen: i64,
    pub provider: String,
    pub sign_type: String,
    pub key_version: i64,
    pub notify_url: String,
    pub body: String,
    /// Attempt id and a random token: whose environment the money belongs to.
    pub attach: String,
    pub openid: String,
    pub client_ip: String,
    pub time_expire: i64,
    pub prepay_id: Option<String>,
    pub prepay_at: Option<i64>,
    pub fail_code: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
