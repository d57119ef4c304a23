//! A mini-program (小程序), the tenant, with the merchant account that takes its money.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "wxapp")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Shop name; the first part of what the buyer reads in WeChat's bill.
    pub name: String,
    pub appid: String,
    /// App secret, sealed (see `store::seal`).
    #[sea_orm(column_type = "Text")]
    pub secret: String,
    /// Merchant number (商户号).
    pub mch_id: String,
    /// API v2 key, sealed.
    #[sea_orm(column_type = "Text")]
    pub api_key: String,
    /// The former key, sealed; verifies until `prev_key_until`.
    #[sea_orm(column_type = "Text", nullable)]
    pub prev_api_key: Option<String>,
    pub prev_key_until: Option<i64>,
    pub key_version: i64,
    /// `MD5` or `HMAC-SHA256`, for new attempts.
    pub sign_type: String,
    /// `v2`.
    pub provider: String,
    /// PEM file of the merchant certificate, for refunds.
    #[sea_orm(column_type = "Text", nullable)]
    pub cert_file: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub key_file: Option<String>,
    /// JSON: event -> template.
    #[sea_orm(column_type = "Text")]
    pub templates: String,
    /// Flat freight.
    pub freight_fen: i64,
    /// Goods value from which freight is free.
    pub free_freight_from_fen: Option<i64>,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
