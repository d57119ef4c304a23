//! A line of an order (订单商品): what was bought, as it was then.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_goods")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub order_id: i64,
    pub goods_id: i64,
    pub sku_id: i64,
    pub goods_name: String,
    pub attr: String,
    pub image_url: String,
    pub price_fen: i64,
    pub quantity: i64,
    pub total_fen: i64,
    pub weight_g: i64,
    /// The goods' mode when the order was placed.
    pub deduct_stock: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
