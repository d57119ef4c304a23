//! What becomes of an order after its payment: parcels, timeline, the staff's log; and a change of
//! price that waits for WeChat.

use sea_orm_migration::prelude::*;

use crate::steps::Steps as _;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        shipment(manager).await?;
        shipment_goods(manager).await?;
        order_event(manager).await?;
        audit_entry(manager).await?;
        for column in order_columns() {
            add(manager, "order", column).await?;
        }
        for column in incident_columns() {
            add(manager, "incident", column).await?;
        }
        indexes(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, table, _) in INDEXES {
            manager.drop_index(Index::drop().name(*name).table(*table).to_owned()).await?;
        }
        for column in ["resolved_by", "resolved_at", "resolution", "order_id"] {
            remove(manager, "incident", column).await?;
        }
        for column in ["reprice_fen", "reprice_at", "reprice_by"] {
            remove(manager, "order", column).await?;
        }
        for table in ["audit_entry", "order_event", "shipment_goods", "shipment"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn order_columns() -> [ColumnDef; 3] {
    ["reprice_fen", "reprice_at", "reprice_by"]
        .map(|name| ColumnDef::new(name).big_integer().null().to_owned())
}

fn incident_columns() -> [ColumnDef; 4] {
    let number = |name: &'static str| ColumnDef::new(name).big_integer().null().to_owned();
    [
        number("resolved_by"),
        number("resolved_at"),
        ColumnDef::new("resolution").string_len(128).null().to_owned(),
        number("order_id"),
    ]
}

/// One column for each statement: SQLite takes no more. What is there already, because a process
/// died in the middle of this step, stays.
async fn add(
    manager: &SchemaManager<'_>,
    table: &'static str,
    mut column: ColumnDef,
) -> Result<(), DbErr> {
    if manager.has_column(table, column.get_column_name()).await? {
        return Ok(());
    }
    manager.alter_table(Table::alter().table(table).add_column(&mut column).to_owned()).await
}

async fn remove(
    manager: &SchemaManager<'_>,
    table: &'static str,
    column: &'static str,
) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await
}

async fn shipment(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("shipment")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("company_code").string_len(16).not_null())
        .col(ColumnDef::new("company").string_len(32).not_null())
        .col(ColumnDef::new("number").string_len(40).not_null())
        .col(ColumnDef::new("staff_id").big_integer().not_null())
        .col(ColumnDef::new("corrections").big_integer().not_null())
        .col(ColumnDef::new("corrected_at").big_integer().null())
        .col(ColumnDef::new("shipped_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await
}

async fn shipment_goods(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("shipment_goods")
        .col(ColumnDef::new("shipment_id").big_integer().not_null())
        .col(ColumnDef::new("order_goods_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("quantity").big_integer().not_null())
        .primary_key(Index::create().col("shipment_id").col("order_goods_id"))
        .to_owned();
    manager.make_table(table).await
}

async fn order_event(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("order_event")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("order_id").big_integer().not_null())
        .col(ColumnDef::new("event").string_len(24).not_null())
        .col(ColumnDef::new("who").string_len(32).not_null())
        .col(ColumnDef::new("detail").text().not_null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await
}

async fn audit_entry(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_entry")
        .col(ColumnDef::new("id").big_integer().not_null())
        .col(ColumnDef::new("wxapp_id").big_integer().not_null())
        .col(ColumnDef::new("staff_id").big_integer().not_null())
        .col(ColumnDef::new("action").string_len(32).not_null())
        .col(ColumnDef::new("subject").string_len(16).not_null())
        .col(ColumnDef::new("subject_id").big_integer().not_null())
        .col(ColumnDef::new("before_json").text().not_null())
        .col(ColumnDef::new("after_json").text().not_null())
        .col(ColumnDef::new("reason").string_len(255).not_null())
        .col(ColumnDef::new("form_key").string_len(64).null())
        .col(ColumnDef::new("request_hash").string_len(64).null())
        .col(ColumnDef::new("created_at").big_integer().not_null())
        .primary_key(Index::create().col("id"))
        .to_owned();
    manager.make_table(table).await
}

/// Name, table, columns; a name that ends in `_key` is of a unique one.
const INDEXES: &[(&str, &str, &[&str])] = &[
    ("shipment_order_id_idx", "shipment", &["order_id"]),
    ("shipment_wxapp_id_number_idx", "shipment", &["wxapp_id", "number"]),
    ("shipment_goods_order_id_idx", "shipment_goods", &["order_id"]),
    ("order_event_order_id_id_idx", "order_event", &["order_id", "id"]),
    ("audit_entry_staff_id_form_key_key", "audit_entry", &["staff_id", "form_key"]),
    ("audit_entry_subject_subject_id_id_idx", "audit_entry", &["subject", "subject_id", "id"]),
    ("audit_entry_wxapp_id_id_idx", "audit_entry", &["wxapp_id", "id"]),
    // For the reaper, and for what staff list and look for.
    ("order_state_shipped_at_idx", "order", &["state", "shipped_at"]),
    ("order_wxapp_id_state_created_at_id_idx", "order", &["wxapp_id", "state", "created_at", "id"]),
    ("order_wxapp_id_paid_at_id_idx", "order", &["wxapp_id", "paid_at", "id"]),
    ("order_address_wxapp_id_phone_idx", "order_address", &["wxapp_id", "phone"]),
    ("payment_wxapp_id_transaction_id_idx", "payment", &["wxapp_id", "transaction_id"]),
    ("refund_wxapp_id_state_order_id_idx", "refund", &["wxapp_id", "state", "order_id"]),
    // For the notifier, which sends one message to a buyer at a time.
    ("notification_user_id_state_idx", "notification", &["user_id", "state"]),
    ("incident_wxapp_id_state_id_idx", "incident", &["wxapp_id", "state", "id"]),
];

async fn indexes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for (name, table, columns) in INDEXES {
        let mut index = Index::create();
        index.name(*name).table(*table);
        for column in *columns {
            index.col(*column);
        }
        if name.ends_with("_key") {
            index.unique();
        }
        manager.make_index(index.to_owned()).await?;
    }
    Ok(())
}
