//! The shop: mini-programs, buyers, goods.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        wxapp(manager).await?;
        user(manager).await?;
        session(manager).await?;
        user_address(manager).await?;
        category(manager).await?;
        goods(manager).await?;
        sku(manager).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sku", "goods", "category", "user_address", "session", "user", "wxapp"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

async fn wxapp(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("wxapp")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("name").string_len(64).not_null())
        .col(ColumnDef::new("appid").string_len(32).not_null())
        .col(ColumnDef::new("secret").text().not_null())
        .col(ColumnDef::new("mch_id").string_len(32).not_null())
        .col(ColumnDef::new("api_key").text().not_null())
        .col(ColumnDef::new("prev_api_key").text().null())
        .col(ColumnDef::new("prev_key_until").big_integer().null())
        .col(ColumnDef::new("key_version").big_integer().not_null())
        .col(ColumnDef::new("sign_type").string_len(16).not_null())
        .col(ColumnDef::new("provider").string_len(8).not_null())
        .col(ColumnDef::new("cert_file").text().null())
        .col(ColumnDef::new("key_file").text().null())
        .col(ColumnDef::new("templates").text().not_null())
        .col(ColumnDef::new("freight_fen").big_integer().not_null())
        .col(ColumnDef::new("free_freight_from_fen").big_integer().null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create().name("wxapp_appid_key").table("wxapp").col("appid").unique().to_owned(),
        )
        .await?;
    Ok(())
}

async fn user(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("user")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("openid").string_len(128).not_null())
        .col(ColumnDef::new("nickname").string_len(64).not_null())
        .col(ColumnDef::new("avatar_url").string_len(512).not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("user_wxapp_id_openid_key")
                .table("user")
                .col("wxapp_id")
                .col("openid")
                .unique()
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn session(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("session")
        .col(ColumnDef::new("token_hash").string_len(64).not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("expires_at").big_integer().not_null())
        .col(ColumnDef::new("revoked_at").big_integer().null())
        .primary_key(Index::create().col("token_hash"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create().name("session_user_id_idx").table("session").col("user_id").to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("session_expires_at_idx")
                .table("session")
                .col("expires_at")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn user_address(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("user_address")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("name").string_len(64).not_null())
        .col(ColumnDef::new("phone").string_len(32).not_null())
        .col(ColumnDef::new("province").string_len(64).not_null())
        .col(ColumnDef::new("city").string_len(64).not_null())
        .col(ColumnDef::new("district").string_len(64).not_null())
        .col(ColumnDef::new("detail").string_len(255).not_null())
        .col(ColumnDef::new("is_default").boolean().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("user_address_wxapp_id_user_id_idx")
                .table("user_address")
                .col("wxapp_id")
                .col("user_id")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn category(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("category")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("parent_id").big_integer().not_null())
        .col(ColumnDef::new("name").string_len(64).not_null())
        .col(ColumnDef::new("image_url").string_len(512).not_null())
        .col(ColumnDef::new("sort").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("category_wxapp_id_parent_id_name_key")
                .table("category")
                .col("wxapp_id")
                .col("parent_id")
                .col("name")
                .unique()
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn goods(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("goods")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("category_id").big_integer().not_null())
        .col(ColumnDef::new("code").string_len(64).not_null())
        .col(ColumnDef::new("name").string_len(128).not_null())
        .col(ColumnDef::new("images").text().not_null())
        .col(ColumnDef::new("content").text().not_null())
        .col(ColumnDef::new("specs").text().not_null())
        .col(ColumnDef::new("deduct_stock").string_len(8).not_null())
        .col(ColumnDef::new("status").string_len(16).not_null())
        .col(ColumnDef::new("sale_starts_at").big_integer().null())
        .col(ColumnDef::new("sale_ends_at").big_integer().null())
        .col(ColumnDef::new("limit_per_user").big_integer().null())
        .col(ColumnDef::new("price_min_fen").big_integer().not_null())
        .col(ColumnDef::new("price_max_fen").big_integer().not_null())
        .col(ColumnDef::new("sales").big_integer().not_null())
        .col(ColumnDef::new("sort").big_integer().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("goods_wxapp_id_code_key")
                .table("goods")
                .col("wxapp_id")
                .col("code")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("goods_wxapp_id_status_sort_idx")
                .table("goods")
                .col("wxapp_id")
                .col("status")
                .col("sort")
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create()
                .name("goods_wxapp_id_category_id_idx")
                .table("goods")
                .col("wxapp_id")
                .col("category_id")
                .to_owned(),
        )
        .await?;
    Ok(())
}

async fn sku(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("sku")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("goods_id").big_integer().not_null())
        .col(ColumnDef::new("code").string_len(64).not_null())
        .col(ColumnDef::new("attr").string_len(128).not_null())
        .col(ColumnDef::new("spec_value_ids").text().not_null())
        .col(ColumnDef::new("price_fen").big_integer().not_null())
        .col(ColumnDef::new("line_price_fen").big_integer().not_null())
        .col(ColumnDef::new("stock").big_integer().not_null())
        .col(ColumnDef::new("seq").big_integer().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("weight_g").big_integer().not_null())
        .col(ColumnDef::new("image_url").string_len(512).not_null())
        .col(ColumnDef::new("sort").big_integer().not_null())
        .col(ColumnDef::new("retired_at").big_integer().null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await?;
    manager
        .make_index(
            Index::create()
                .name("sku_wxapp_id_code_key")
                .table("sku")
                .col("wxapp_id")
                .col("code")
                .unique()
                .to_owned(),
        )
        .await?;
    manager
        .make_index(
            Index::create().name("sku_goods_id_idx").table("sku").col("goods_id").to_owned(),
        )
        .await?;
    Ok(())
}
