//! That the slip (发货单) of an order was printed, so that nobody packs it twice.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "slip_print")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: i64,
    pub wxapp_id: i64,
    /// What was printed together; the last time that this order was among it.
    pub job_id: i64,
    pub staff_id: i64,
    pub copies: i64,
    pub printed_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
