//! Money in, money back, and what fits nothing.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        payment_attempt(manager).await?;
        payment(manager).await?;
        refund(manager).await?;
        incident(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["incident", "refund", "payment", "payment_attempt"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

async fn payment_attempt(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("payment_attempt")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("mch_id").string_len(32).not_null())
        .col(ColumnDef::new("appid").string_len(32).not_null())
        .col(ColumnDef::new("out_trade_no").string_len(32).not_null())
        .col(ColumnDef::new("state").string_len(16).not_null())
        .col(ColumnDef::new("amount_fen").big_integer().not_null())
        .col(ColumnDef::new("provider").string_len(8).not_null())
        .col(ColumnDef::new("sign_type").string_len(16).not_null())
        .col(ColumnDef::new("key_version").big_integer().not_null())
        .col(ColumnDef::new("notify_url").string_len(255).not_null())
        .col(ColumnDef::new("body").string_len(127).not_null())
        .col(ColumnDef::new("attach").string_len(127).not_null())
        .col(ColumnDef::new("openid").string_len(128).not_null())
        .col(ColumnDef::new("client_ip").string_len(64).not_null())
        .col(ColumnDef::new("time_expire").big_integer().not_null())
        .col(ColumnDef::new("prepay_id").string_len(64).null())
        .col(ColumnDef::new("prepay_at").big_integer().null())
        .col(ColumnDef::new("fail_code").string_len(64).null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("payment_attempt_mch_id_out_trade_no_key")
                .table("payment_attempt")
                .col("mch_id")
                .col("out_trade_no")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("payment_attempt_order_id_idx")
                .table("payment_attempt")
                .col("order_id")
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("payment_attempt_state_created_at_idx")
                .table("payment_attempt")
                .col("state")
                .col("created_at")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn payment(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("payment")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("attempt_id").big_integer().null())
        .col(ColumnDef::new("mch_id").string_len(32).not_null())
        .col(ColumnDef::new("transaction_id").string_len(32).not_null())
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(ColumnDef::new("amount_fen").big_integer().not_null())
        .col(ColumnDef::new("cash_fen").big_integer().null())
        .col(ColumnDef::new("bank_type").string_len(32).null())
        .col(ColumnDef::new("payer_openid").string_len(128).null())
        .col(ColumnDef::new("paid_at").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("payment_mch_id_transaction_id_key")
                .table("payment")
                .col("mch_id")
                .col("transaction_id")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("payment_order_id_idx")
                .table("payment")
                .col("order_id")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn refund(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("refund")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("payment_id").big_integer().not_null())
        .col(ColumnDef::new("mch_id").string_len(32).not_null())
        .col(ColumnDef::new("transaction_id").string_len(32).not_null())
        .col(ColumnDef::new("out_refund_no").string_len(64).not_null())
        .col(ColumnDef::new("number").big_integer().not_null())
        .col(ColumnDef::new("kind").string_len(16).not_null())
        .col(ColumnDef::new("amount_fen").big_integer().not_null())
        .col(ColumnDef::new("total_fen").big_integer().not_null())
        .col(ColumnDef::new("reason").string_len(80).not_null())
        .col(ColumnDef::new("state").string_len(16).not_null())
        .col(ColumnDef::new("wechat_refund_id").string_len(32).null())
        .col(ColumnDef::new("fail_code").string_len(64).null())
        .col(ColumnDef::new("tries").big_integer().not_null())
        .col(ColumnDef::new("next_at").big_integer().null())
        .col(ColumnDef::new("auto_payment_id").big_integer().null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("requested_at").big_integer().null())
        .col(ColumnDef::new("success_at").big_integer().null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("refund_mch_id_out_refund_no_key")
                .table("refund")
                .col("mch_id")
                .col("out_refund_no")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("refund_auto_payment_id_key")
                .table("refund")
                .col("auto_payment_id")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create().name("refund_order_id_idx").table("refund").col("order_id").to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("refund_state_next_at_idx")
                .table("refund")
                .col("state")
                .col("next_at")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn incident(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("incident")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("mch_id").string_len(32).not_null())
        .col(ColumnDef::new("transaction_id").string_len(32).not_null())
        .col(ColumnDef::new("out_trade_no").string_len(64).not_null())
        .col(ColumnDef::new("amount_fen").big_integer().not_null())
        .col(ColumnDef::new("reason").string_len(32).not_null())
        .col(ColumnDef::new("state").string_len(16).not_null())
        .col(ColumnDef::new("seen").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("incident_mch_id_transaction_id_key")
                .table("incident")
                .col("mch_id")
                .col("transaction_id")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create().name("incident_state_idx").table("incident").col("state").to_owned(),
        )
        .await?;
    Ok(())
}
