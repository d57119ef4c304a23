//! Orders, their lines, the stock ledger, idempotency keys.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        order(manager).await?;
        order_goods(manager).await?;
        order_address(manager).await?;
        stock_entry(manager).await?;
        idempotency(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["idempotency", "stock_entry", "order_address", "order_goods", "order"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

async fn order(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("order")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("order_no").string_len(32).not_null())
        .col(ColumnDef::new("state").string_len(16).not_null())
        .col(ColumnDef::new("goods_fen").big_integer().not_null())
        .col(ColumnDef::new("freight_fen").big_integer().not_null())
        .col(ColumnDef::new("discount_fen").big_integer().not_null())
        .col(ColumnDef::new("adjust_fen").big_integer().not_null())
        .col(ColumnDef::new("pay_fen").big_integer().not_null())
        .col(ColumnDef::new("refunded_fen").big_integer().not_null())
        .col(ColumnDef::new("remark").string_len(255).not_null())
        .col(ColumnDef::new("transaction_id").string_len(32).null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("expires_at").big_integer().not_null())
        .col(ColumnDef::new("closing_at").big_integer().null())
        .col(ColumnDef::new("closing_reason").string_len(16).null())
        .col(ColumnDef::new("close_next_at").big_integer().null())
        .col(ColumnDef::new("close_tries").big_integer().not_null())
        .col(ColumnDef::new("paid_at").big_integer().null())
        .col(ColumnDef::new("shipped_at").big_integer().null())
        .col(ColumnDef::new("completed_at").big_integer().null())
        .col(ColumnDef::new("closed_at").big_integer().null())
        .col(ColumnDef::new("close_reason").string_len(16).null())
        .col(ColumnDef::new("refunded_at").big_integer().null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("order_wxapp_id_order_no_key")
                .table("order")
                .col("wxapp_id")
                .col("order_no")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("order_wxapp_id_user_id_created_at_id_idx")
                .table("order")
                .col("wxapp_id")
                .col("user_id")
                .col("created_at")
                .col("id")
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("order_state_expires_at_idx")
                .table("order")
                .col("state")
                .col("expires_at")
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("order_state_close_next_at_idx")
                .table("order")
                .col("state")
                .col("close_next_at")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn order_goods(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("order_goods")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("goods_id").big_integer().not_null())
        .col(ColumnDef::new("sku_id").big_integer().not_null())
        .col(ColumnDef::new("goods_name").string_len(128).not_null())
        .col(ColumnDef::new("attr").string_len(128).not_null())
        .col(ColumnDef::new("image_url").string_len(512).not_null())
        .col(ColumnDef::new("price_fen").big_integer().not_null())
        .col(ColumnDef::new("quantity").big_integer().not_null())
        .col(ColumnDef::new("total_fen").big_integer().not_null())
        .col(ColumnDef::new("weight_g").big_integer().not_null())
        .col(ColumnDef::new("deduct_stock").string_len(8).not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("order_goods_order_id_idx")
                .table("order_goods")
                .col("order_id")
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("order_goods_goods_id_order_id_idx")
                .table("order_goods")
                .col("goods_id")
                .col("order_id")
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("order_goods_sku_id_idx")
                .table("order_goods")
                .col("sku_id")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn order_address(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("order_address")
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("name").string_len(64).not_null())
        .col(ColumnDef::new("phone").string_len(32).not_null())
        .col(ColumnDef::new("province").string_len(64).not_null())
        .col(ColumnDef::new("city").string_len(64).not_null())
        .col(ColumnDef::new("district").string_len(64).not_null())
        .col(ColumnDef::new("detail").string_len(255).not_null())
        .primary_key(Index::create().col("order_id"))
        .to_owned();
    manager.make_table(table).await?;
    Ok(())
}

async fn stock_entry(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("stock_entry")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("sku_id").big_integer().not_null())
        .col(ColumnDef::new("seq").big_integer().not_null())
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(ColumnDef::new("order_id").big_integer().null())
        .col(ColumnDef::new("order_goods_id").big_integer().null())
        .col(ColumnDef::new("delta").big_integer().not_null())
        .col(ColumnDef::new("balance").big_integer().not_null())
        .col(ColumnDef::new("who").string_len(32).not_null())
        .col(ColumnDef::new("reason").string_len(128).not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("stock_entry_sku_id_seq_key")
                .table("stock_entry")
                .col("sku_id")
                .col("seq")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("stock_entry_order_id_idx")
                .table("stock_entry")
                .col("order_id")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn idempotency(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("idempotency")
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("operation").string_len(16).not_null())
        .col(ColumnDef::new("key").string_len(64).not_null())
        .col(ColumnDef::new("request_hash").string_len(64).not_null())
        .col(ColumnDef::new("result_id").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("wxapp_id").col("user_id").col("operation").col("key"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("idempotency_created_at_idx")
                .table("idempotency")
                .col("created_at")
                .to_owned(),
        )
        .await?;
    Ok(())
}
