//! What is in a parcel: so many pieces of a line.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shipment_goods")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub shipment_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_goods_id: i64,
    pub order_id: i64,
    pub quantity: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
