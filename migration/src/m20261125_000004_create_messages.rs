//! The outbox and the grants it may use.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        notification(manager).await?;
        message_grant(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["message_grant", "notification"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

async fn notification(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("notification")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("event").string_len(32).not_null())
        .col(ColumnDef::new("ref_id").big_integer().not_null())
        .col(ColumnDef::new("state").string_len(24).not_null())
        .col(ColumnDef::new("reason").string_len(64).null())
        .col(ColumnDef::new("payload").text().not_null())
        .col(ColumnDef::new("form_id").string_len(64).null())
        .col(ColumnDef::new("tries").big_integer().not_null())
        .col(ColumnDef::new("next_at").big_integer().not_null())
        .col(ColumnDef::new("claim_token").string_len(32).null())
        .col(ColumnDef::new("claim_until").big_integer().null())
        .col(ColumnDef::new("msg_id").string_len(64).null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("notification_order_id_event_ref_id_key")
                .table("notification")
                .col("order_id")
                .col("event")
                .col("ref_id")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("notification_state_next_at_idx")
                .table("notification")
                .col("state")
                .col("next_at")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn message_grant(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("message_grant")
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("template_id").string_len(64).not_null())
        .col(ColumnDef::new("remaining").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("wxapp_id").col("user_id").col("template_id"))
        .to_owned();
    manager.make_table(table).await?;
    Ok(())
}
