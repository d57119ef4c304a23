//! Staff: accounts, what they may do and where, log-ins, API tokens.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.make_table(admin_user()).await?;
        manager.make_table(admin_grant()).await?;
        manager.make_table(admin_session()).await?;
        manager.make_table(admin_token()).await?;
        manager.make_table(admin_view()).await?;
        for (name, table, column) in [
            ("admin_user_login_key", "admin_user", "login"),
            ("admin_session_id_key", "admin_session", "id"),
            ("admin_token_token_hash_key", "admin_token", "token_hash"),
        ] {
            let index = Index::create().name(name).table(table).col(column).unique().to_owned();
            manager.make_index(index).await?;
        }
        let views = Index::create()
            .name("admin_view_admin_id_wxapp_id_idx")
            .table("admin_view")
            .col("admin_id")
            .col("wxapp_id")
            .to_owned();
        manager.make_index(views).await?;
        manager.make_index(log_by_time()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_time = Index::drop().name(LOG_BY_TIME).table("audit_entry").to_owned();
        manager.drop_index(by_time).await?;
        for table in ["admin_view", "admin_token", "admin_session", "admin_grant", "admin_user"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

const LOG_BY_TIME: &str = "audit_entry_wxapp_id_created_at_id_idx";

/// As the audit log is read: ids of two processes do not tell which was first.
fn log_by_time() -> IndexCreateStatement {
    Index::create()
        .name(LOG_BY_TIME)
        .table("audit_entry")
        .col("wxapp_id")
        .col("created_at")
        .col("id")
        .to_owned()
}

fn admin_user() -> TableCreateStatement {
    Table::create()
        .table("admin_user")
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
        .to_owned()
}

/// `wxapp_id` 0: in all mini-programs.
fn admin_grant() -> TableCreateStatement {
    Table::create()
        .table("admin_grant")
        .col(ColumnDef::new("admin_id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("role").string_len(32).not_null())
        .primary_key(Index::create().col("admin_id").col("wxapp_id"))
        .to_owned()
}

fn admin_view() -> TableCreateStatement {
    Table::create()
        .table("admin_view")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("admin_id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("name").string_len(64).not_null())
        .col(ColumnDef::new("query").string_len(1024).not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned()
}

fn admin_session() -> TableCreateStatement {
    Table::create()
        .table("admin_session")
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
        .to_owned()
}

/// `rights`: their names, separated by blanks; `wxapp_id` 0: in all mini-programs.
fn admin_token() -> TableCreateStatement {
    Table::create()
        .table("admin_token")
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
        .to_owned()
}
