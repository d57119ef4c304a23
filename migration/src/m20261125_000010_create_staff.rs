//! Staff: accounts, what they may do and where, log-ins, API tokens.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(admin_user()).await?;
        manager.create_table(admin_grant()).await?;
        manager.create_table(admin_session()).await?;
        manager.create_table(admin_token()).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["admin_token", "admin_session", "admin_grant", "admin_user"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn admin_user() -> TableCreateStatement {
    Table::create()
        .table("admin_user")
        .if_not_exists()
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("login").string_len(64).not_null())
        .col(ColumnDef::new("name").string_len(64).not_null())
        .col(ColumnDef::new("password_hash").string_len(255).not_null())
        .col(ColumnDef::new("totp_secret").text().null())
        .col(ColumnDef::new("totp_step").big_integer().null())
        .col(ColumnDef::new("language").string_len(8).not_null())
        .col(ColumnDef::new("disabled_at").big_integer().null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("updated_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .index(Index::create().name("admin_user_login_key").col("login").unique())
        .to_owned()
}

/// `wxapp_id` 0: in all mini-programs.
fn admin_grant() -> TableCreateStatement {
    Table::create()
        .table("admin_grant")
        .if_not_exists()
        .col(ColumnDef::new("admin_id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("role").string_len(32).not_null())
        .primary_key(Index::create().col("admin_id").col("wxapp_id"))
        .to_owned()
}

fn admin_session() -> TableCreateStatement {
    Table::create()
        .table("admin_session")
        .if_not_exists()
        .col(ColumnDef::new("token_hash").string_len(64).not_null())
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("admin_id").big_integer().not_null())
        .col(ColumnDef::new("form_token").string_len(64).not_null())
        .col(ColumnDef::new("client").string_len(128).not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("seen_at").big_integer().not_null())
        .col(ColumnDef::new("confirmed_at").big_integer().not_null())
        .col(ColumnDef::new("expires_at").big_integer().not_null())
        .col(ColumnDef::new("revoked_at").big_integer().null())
        .primary_key(Index::create().col("token_hash"))
        .index(Index::create().name("admin_session_id_key").col("id").unique())
        .to_owned()
}

/// `rights`: their names, separated by blanks; `wxapp_id` 0: in all mini-programs.
fn admin_token() -> TableCreateStatement {
    Table::create()
        .table("admin_token")
        .if_not_exists()
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("admin_id").big_integer().not_null())
        .col(ColumnDef::new("name").string_len(64).not_null())
        .col(ColumnDef::new("token_hash").string_len(64).not_null())
        .col(ColumnDef::new("rights").string_len(1024).not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .col(ColumnDef::new("expires_at").big_integer().not_null())
        .col(ColumnDef::new("used_at").big_integer().null())
        .col(ColumnDef::new("revoked_at").big_integer().null())
        .primary_key(Index::create().col("id"))
        .index(Index::create().name("admin_token_token_hash_key").col("token_hash").unique())
        .to_owned()
}
