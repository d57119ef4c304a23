//! Goods (商品); what can be bought are its SKUs.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "goods")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    /// 0: none.
    pub category_id: i64,
    /// What a repeated import knows it by.
    pub code: String,
    pub name: String,
    /// JSON list of URLs.
    #[sea_orm(column_type = "Text")]
    pub images: String,
    #[sea_orm(column_type = "Text")]
    pub content: String,
    /// JSON: `[{"text":".."},{"image":".."}]`; none: `content` is all there is.
    #[sea_orm(column_type = "Text", nullable)]
    pub blocks: Option<String>,
    /// JSON: `[{id,name,values:[{id,value}]}]`.
    #[sea_orm(column_type = "Text")]
    pub specs: String,
    /// `order` or `payment`: when stock is deducted (减库存方式).
    pub deduct_stock: String,
    /// `on_sale` or `off_sale`.
    pub status: String,
    pub sale_starts_at: Option<i64>,
    pub sale_ends_at: Option<i64>,
    /// Pieces one buyer may have in live orders.
    pub limit_per_user: Option<i64>,
    pub price_min_fen: i64,
    pub price_max_fen: i64,
    /// Pieces sold, shown to buyers.
    pub sales: i64,
    pub sort: i64,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
