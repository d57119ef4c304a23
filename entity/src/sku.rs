//! A stock keeping unit (规格): one combination of spec values, with price and stock.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sku")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub goods_id: i64,
    pub code: String,
    /// The spec values in words.
    pub attr: String,
    /// JSON list.
    #[sea_orm(column_type = "Text")]
    pub spec_value_ids: String,
    pub price_fen: i64,
    /// Struck-through price; 0: none.
    pub line_price_fen: i64,
    /// Pieces not yet deducted; never below 0.
    pub stock: i64,
    /// Number of the latest ledger entry.
    pub seq: i64,
    /// Counts every change of stock or terms.
    pub version: i64,
    pub weight_g: i64,
    pub image_url: String,
    pub sort: i64,
    pub retired_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
