//! For the shipping desk: which slips were printed, and what a clerk has shipped last.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = |name: &'static str| ColumnDef::new(name).big_integer().not_null().to_owned();
        let table = Table::create()
            .table("slip_print")
            .col(column("order_id"))
            .col(column("wxapp_id"))
            .col(column("job_id"))
            .col(column("staff_id"))
            .col(column("copies"))
            .col(column("printed_at"))
            .primary_key(Index::create().col("order_id"))
            .to_owned();
        manager.make_table(table).await?;
        for (name, table, columns) in INDEXES {
            let mut index = Index::create();
            index.name(*name).table(*table);
            for column in *columns {
                index.col(*column);
            }
            manager.make_index(index.to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (name, table, _) = INDEXES[1];
        manager.drop_index(Index::drop().name(name).table(table).to_owned()).await?;
        manager.drop_table(Table::drop().table("slip_print").to_owned()).await
    }
}

const INDEXES: &[(&str, &str, &[&str])] = &[
    ("slip_print_wxapp_id_job_id_idx", "slip_print", &["wxapp_id", "job_id"]),
    (
        "shipment_wxapp_id_staff_id_shipped_at_id_idx",
        "shipment",
        &["wxapp_id", "staff_id", "shipped_at", "id"],
    ),
];
