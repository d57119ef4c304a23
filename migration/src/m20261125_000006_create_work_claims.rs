//! Who works on what on the engine's own account. Refunds had columns for it that nobody used.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        work_claim(manager).await?;
        for column in ["claim_token", "claim_until"] {
            let drop = Table::alter().table("refund").drop_column(column).to_owned();
            manager.alter_table(drop).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let token = ColumnDef::new("claim_token").string_len(32).null().to_owned();
        let until = ColumnDef::new("claim_until").big_integer().null().to_owned();
        for column in [token, until] {
            let add = Table::alter().table("refund").add_column(column).to_owned();
            manager.alter_table(add).await?;
        }
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
    manager.create_table(table).await?;
    manager
        .create_index(
            Index::create()
                .name("work_claim_until_idx")
                .table("work_claim")
                .col("until")
                .to_owned(),
        )
        .await
}
