//! A parcel (发货单).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shipment")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub wxapp_id: i64,
    pub order_id: i64,
    /// As WeChat lists it, or `OTHER`.
    pub company_code: String,
    pub company: String,
    /// 快递单号.
    pub number: String,
    pub staff_id: i64,
    /// How often company or number were corrected.
    pub corrections: i64,
    pub corrected_at: Option<i64>,
    pub shipped_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
