//! A message to be sent (消息), written with the fact it tells: the outbox.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub user_id: i64,
    pub order_id: i64,
    /// `order_paid`, `order_refunded`, `order_shipped`, `order_expiring`.
    pub event: String,
    /// The refund or parcel told of; else 0.
    pub ref_id: i64,
    /// `waiting`, `sending`, `sent`, `refused`, `probably_delivered`, `parked`, `skipped`.
    pub state: String,
    pub reason: Option<String>,
    /// JSON: the facts that templates quote.
    #[sea_orm(column_type = "Text")]
    pub payload: String,
    /// prepay_id, for the historic template message.
    pub form_id: Option<String>,
    pub tries: i64,
    pub next_at: i64,
    pub claim_token: Option<String>,
    pub claim_until: Option<i64>,
    pub msg_id: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
