//! The schema of buynow, one step per file. How it is locked and run: `buynow::store::migrate`.

pub use sea_orm_migration::prelude::*;
pub use sea_orm_migration::seaql_migrations;

mod m20261125_000001_create_shop;
mod m20261125_000002_create_orders;
mod m20261125_000003_create_payments;
mod m20261125_000004_create_messages;
mod m20261125_000005_create_housekeeping;
mod m20261125_000006_create_work_claims;
mod m20261125_000010_add_order_life;
mod m20261125_000011_create_staff;
mod m20261125_000012_add_goods_blocks;
mod m20261125_000013_create_slip_prints;
mod steps;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261125_000001_create_shop::Migration),
            Box::new(m20261125_000002_create_orders::Migration),
            Box::new(m20261125_000003_create_payments::Migration),
            Box::new(m20261125_000004_create_messages::Migration),
            Box::new(m20261125_000005_create_housekeeping::Migration),
            Box::new(m20261125_000006_create_work_claims::Migration),
            Box::new(m20261125_000010_add_order_life::Migration),
            Box::new(m20261125_000011_create_staff::Migration),
            Box::new(m20261125_000012_add_goods_blocks::Migration),
            Box::new(m20261125_000013_create_slip_prints::Migration),
        ]
    }
}
