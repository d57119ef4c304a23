//! Who works on what on the engine's own account. The columns that refunds have for it stay,
//! unused: a binary from before this step reads them.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        work_claim(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("work_claim").to_owned()).await
    }
}

async fn work_claim(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("work_claim")
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(ColumnDef::new("subject_id").big_integer().not_null())
        .col(ColumnDef::new("token").string_len(32).null())
        .col(ColumnDef::new("until").big_integer().not_null())
        .col(ColumnDef::new("tries").big_integer().not_null())
        .primary_key(Index::create().col("kind").col("subject_id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("work_claim_until_idx")
                .table("work_claim")
                .col("until")
                .to_owned(),
        )
        .await
}
