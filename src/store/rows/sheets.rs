//! Sheets of goods: rows of goods and their SKUs as staff write them.

use sea_orm::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, Value};

use super::super::db::StoreError;
use super::{BadValue, fen, in_table, millis, times, word};
use crate::domain::goods::{DeductStock, Sku};
use crate::domain::id::{CategoryId, GoodsId, WxappId};
use crate::domain::sheet::{Block, Sheet, SheetSku};
use crate::domain::time::Timestamp;

/// The sheet of goods; `skus` in their order, the retired among them.
pub fn sheet(
    row: entity::goods::Model,
    skus: Vec<entity::sku::Model>,
) -> Result<Sheet, StoreError> {
    let skus = skus.into_iter().map(sku).collect::<Result<_, _>>()?;
    let json = |error| StoreError::row("goods", error);
    let specs = serde_json::from_str(&row.specs).map_err(json)?;
    let images = serde_json::from_str(&row.images).map_err(json)?;
    let blocks = blocks(&row)?;
    let mode = DeductStock::parse(&row.deduct_stock);
    Ok(Sheet {
        code: row.code,
        name: row.name,
        category: CategoryId::parse(row.category_id).ok(),
        images,
        blocks,
        specs,
        deduct_stock: in_table("goods", word("deduct_stock", row.deduct_stock, mode))?,
        on_sale: row.status == "on_sale",
        sale_starts_at: times(row.sale_starts_at),
        sale_ends_at: times(row.sale_ends_at),
        limit_per_user: row.limit_per_user,
        sort: row.sort,
        skus,
    })
}

/// The description: its blocks, else the text that was loaded.
pub fn blocks(row: &entity::goods::Model) -> Result<Vec<Block>, StoreError> {
    match &row.blocks {
        Some(blocks) => {
            serde_json::from_str(blocks).map_err(|error| StoreError::row("goods", error))
        }
        None if row.content.trim().is_empty() => Ok(Vec::new()),
        None => Ok(vec![Block::Text(row.content.clone())]),
    }
}

fn sku(row: entity::sku::Model) -> Result<SheetSku, StoreError> {
    let values = serde_json::from_str(&row.spec_value_ids);
    let id = row.id.try_into().map_err(BadValue::from);
    Ok(SheetSku {
        id: Some(in_table("sku", id)?),
        code: row.code,
        values: values.map_err(|error| StoreError::row("sku", error))?,
        attr: row.attr,
        price: fen(row.price_fen),
        line_price: fen(row.line_price_fen),
        weight_g: row.weight_g,
        image_url: row.image_url,
        retired: row.retired_at.is_some(),
    })
}

fn text<T: serde::Serialize>(table: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::row(table, error))
}

/// What a sheet writes of its goods: all but sales, version and the times of the row.
pub struct GoodsColumns(pub Vec<(entity::goods::Column, Value)>);

impl GoodsColumns {
    pub fn of(sheet: &Sheet) -> Result<Self, StoreError> {
        use entity::goods::Column::*;
        let (lowest, highest) = sheet.prices();
        let plain = matches!(sheet.blocks.as_slice(), [] | [Block::Text(_)]);
        let blocks = if plain { None } else { Some(text("goods", &sheet.blocks)?) };
        Ok(Self(vec![
            (CategoryId, sheet.category.map_or(0, |id| id.get()).into()),
            (Code, sheet.code.clone().into()),
            (Name, sheet.name.clone().into()),
            (Images, text("goods", &sheet.images)?.into()),
            (Content, sheet.content().into()),
            (Blocks, blocks.into()),
            (Specs, text("goods", &sheet.specs)?.into()),
            (DeductStock, sheet.deduct_stock.as_str().into()),
            (Status, if sheet.on_sale { "on_sale" } else { "off_sale" }.into()),
            (SaleStartsAt, millis(sheet.sale_starts_at).into()),
            (SaleEndsAt, millis(sheet.sale_ends_at).into()),
            (LimitPerUser, sheet.limit_per_user.into()),
            (PriceMinFen, lowest.as_fen().into()),
            (PriceMaxFen, highest.as_fen().into()),
            (Sort, sheet.sort.into()),
        ]))
    }
}

/// Goods that are not there yet.
pub fn new_goods(
    wxapp: WxappId,
    id: GoodsId,
    version: i64,
    sheet: &Sheet,
    now: Timestamp,
) -> Result<entity::goods::ActiveModel, StoreError> {
    let mut row = entity::goods::ActiveModel {
        id: Set(id.get()),
        wxapp_id: Set(wxapp.get()),
        sales: Set(0),
        version: Set(version),
        created_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
        ..Default::default()
    };
    for (column, value) in GoodsColumns::of(sheet)?.0 {
        sea_orm::ActiveModelTrait::set(&mut row, column, value);
    }
    Ok(row)
}

/// What a sheet writes of a SKU: all but stock, ledger number and version.
pub fn sku_columns(
    sku: &SheetSku,
    place: usize,
    now: Timestamp,
) -> Result<Vec<(entity::sku::Column, Expr)>, StoreError> {
    use entity::sku::Column::*;
    // Retired since when it was, or since now.
    let retired = match sku.retired {
        true => Expr::col(RetiredAt).if_null(now.as_millis()),
        false => Expr::val(Option::<i64>::None),
    };
    Ok(vec![
        (Code, Expr::val(sku.code.clone())),
        (Attr, Expr::val(sku.attr.clone())),
        (SpecValueIds, Expr::val(text("sku", &sku.values)?)),
        (PriceFen, Expr::val(sku.price.as_fen())),
        (LinePriceFen, Expr::val(sku.line_price.as_fen())),
        (WeightG, Expr::val(sku.weight_g)),
        (ImageUrl, Expr::val(sku.image_url.clone())),
        (Sort, Expr::val(i64::try_from(place).unwrap_or(i64::MAX))),
        (RetiredAt, retired),
    ])
}

/// A SKU that is not there yet.
pub fn new_sku(
    row: &Sku,
    sku: &SheetSku,
    place: usize,
    now: Timestamp,
) -> Result<entity::sku::ActiveModel, StoreError> {
    Ok(entity::sku::ActiveModel {
        id: Set(row.id.get()),
        wxapp_id: Set(row.wxapp.get()),
        goods_id: Set(row.goods.get()),
        code: Set(sku.code.clone()),
        attr: Set(sku.attr.clone()),
        spec_value_ids: Set(text("sku", &sku.values)?),
        price_fen: Set(sku.price.as_fen()),
        line_price_fen: Set(sku.line_price.as_fen()),
        stock: Set(row.stock),
        seq: Set(row.seq),
        version: Set(row.version),
        weight_g: Set(sku.weight_g),
        image_url: Set(sku.image_url.clone()),
        sort: Set(i64::try_from(place).unwrap_or(i64::MAX)),
        retired_at: Set(sku.retired.then_some(now.as_millis())),
        created_at: Set(now.as_millis()),
        updated_at: Set(now.as_millis()),
    })
}
