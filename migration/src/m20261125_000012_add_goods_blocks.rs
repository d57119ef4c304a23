//! A description of goods as blocks, and the list of goods that staff look at.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

const TABLE: &str = "goods";
const BLOCKS: &str = "blocks";
/// Name and columns.
const INDEXES: &[(&str, &[&str])] = &[
    ("goods_wxapp_id_id_idx", &["wxapp_id", "id"]),
    ("goods_wxapp_id_status_id_idx", &["wxapp_id", "status", "id"]),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // There already, when a process died in the middle of this step.
        if !manager.has_column(TABLE, BLOCKS).await? {
            let mut column = ColumnDef::new(BLOCKS).text().null().to_owned();
            let add = Table::alter().table(TABLE).add_column(&mut column).to_owned();
            manager.alter_table(add).await?;
        }
        for (name, columns) in INDEXES {
            let mut index = Index::create();
            index.name(*name).table(TABLE);
            for column in *columns {
                index.col(*column);
            }
            manager.make_index(index.to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in INDEXES {
            manager.drop_index(Index::drop().name(*name).table(TABLE).to_owned()).await?;
        }
        manager.alter_table(Table::alter().table(TABLE).drop_column(BLOCKS).to_owned()).await
    }
}
