//! An entry of the stock ledger (库存流水).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stock_entry")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub sku_id: i64,
    /// Gapless for each SKU, from 1.
    pub seq: i64,
    /// `initial`, `order`, `payment`, `cancel`, `expire`, `adjust`, `refund`, `import`.
    pub kind: String,
    pub order_id: Option<i64>,
    pub order_goods_id: Option<i64>,
    pub delta: i64,
    /// Stock after this entry.
    pub balance: i64,
    pub who: String,
    pub reason: String,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
