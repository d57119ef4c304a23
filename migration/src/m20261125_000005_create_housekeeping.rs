//! What the engine keeps for itself.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        batch_marker(manager).await?;
        id_block(manager).await?;
        schema_info(manager).await?;
        let first = Query::insert()
            .into_table("schema_info")
            .columns(["id", "min_binary"])
            .values_panic([1.into(), "0.1.0".into()])
            .on_conflict(OnConflict::column("id").do_nothing_on(["id"]).to_owned())
            .to_owned();
        manager.execute(first).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["schema_info", "id_block", "batch_marker"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

async fn batch_marker(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("batch_marker")
        .col(ColumnDef::new("id").string_len(36).not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("batch_marker_created_at_idx")
                .table("batch_marker")
                .col("created_at")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn id_block(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("id_block")
        .col(ColumnDef::new("name").string_len(32).not_null())
        .col(ColumnDef::new("next").big_integer().not_null())
        .primary_key(Index::create().col("name"))
        .to_owned();
    manager.make_table(table).await?;
    Ok(())
}

async fn schema_info(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("schema_info")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("min_binary").string_len(32).not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    Ok(())
}
