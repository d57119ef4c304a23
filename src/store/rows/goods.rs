//! Goods, SKUs and the stock ledger.

use sea_orm::Set;

use super::super::db::StoreError;
use super::{BadValue, fen, in_table, times, word};
use crate::domain::books::StockEntry;
use crate::domain::goods::{DeductStock, Goods, Sku};

pub fn goods(row: entity::goods::Model) -> Result<Goods, StoreError> {
    in_table("goods", read_goods(row))
}

fn read_goods(row: entity::goods::Model) -> Result<Goods, BadValue> {
    let images: Vec<String> = serde_json::from_str(&row.images).unwrap_or_default();
    let mode = DeductStock::parse(&row.deduct_stock);
    Ok(Goods {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        name: row.name,
        image_url: images.into_iter().next().unwrap_or_default(),
        deduct_stock: word("deduct_stock", row.deduct_stock, mode)?,
        on_sale: row.status == "on_sale",
        sale_starts_at: times(row.sale_starts_at),
        sale_ends_at: times(row.sale_ends_at),
        limit_per_user: row.limit_per_user,
        sales: row.sales,
        version: row.version,
    })
}

pub fn sku(row: entity::sku::Model) -> Result<Sku, StoreError> {
    in_table("sku", read_sku(row))
}

fn read_sku(row: entity::sku::Model) -> Result<Sku, BadValue> {
    Ok(Sku {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        goods: row.goods_id.try_into()?,
        attr: row.attr,
        image_url: row.image_url,
        price: fen(row.price_fen),
        weight_g: row.weight_g,
        stock: row.stock,
        seq: row.seq,
        version: row.version,
        retired: row.retired_at.is_some(),
    })
}

pub fn stock_entry(entry: &StockEntry) -> entity::stock_entry::ActiveModel {
    entity::stock_entry::ActiveModel {
        id: Set(entry.id.get()),
        wxapp_id: Set(entry.wxapp.get()),
        sku_id: Set(entry.sku.get()),
        seq: Set(entry.seq),
        kind: Set(entry.kind.as_str().to_owned()),
        order_id: Set(Some(entry.order.get())),
        order_goods_id: Set(Some(entry.line.get())),
        delta: Set(entry.delta),
        balance: Set(entry.balance),
        who: Set("engine".to_owned()),
        reason: Set(String::new()),
        created_at: Set(entry.at.as_millis()),
    }
}
