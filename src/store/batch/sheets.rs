//! Goods as staff write them. Their rows were locked with the goods and SKUs of the batch; here the
//! rest of these rows is read, and who has the codes that are wanted.

use std::collections::{BTreeMap, BTreeSet};

use entity::{goods, sku};
use sea_orm::sea_query::Query;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect as _,
};

use super::super::db::StoreError;
use super::super::rows;
use super::insert::insert;
use crate::domain::books::{Books, Kept};
use crate::domain::desk::CodeOf;
use crate::domain::fold::{Act, Desk};
use crate::domain::id::{GoodsId, WxappId};
use crate::domain::sheet::{Sheet, SheetSku};
use crate::domain::time::Timestamp;

/// Codes in one question.
const CODES: usize = 500;

/// Reads the sheets that are written, and the owners of the codes that they want.
pub(super) async fn load(
    db: &impl ConnectionTrait,
    desks: &[&Desk],
    books: &mut Books,
) -> Result<(), StoreError> {
    let mut ids = BTreeSet::new();
    let mut wanted: BTreeMap<WxappId, Vec<&Sheet>> = BTreeMap::new();
    for desk in desks {
        if let Act::SaveGoods { over, sheet } = &desk.act {
            ids.extend(over.map(|(id, _)| id.get()));
            wanted.entry(desk.wxapp).or_default().push(sheet);
        }
    }
    for (wxapp, sheets) in wanted {
        load_codes(db, wxapp, &sheets, books).await?;
    }
    if ids.is_empty() {
        return Ok(());
    }
    for (id, sheet) in read(db, ids).await? {
        books.desk.sheets.insert(id, Kept::loaded(sheet));
    }
    Ok(())
}

async fn read(
    db: &impl ConnectionTrait,
    ids: BTreeSet<i64>,
) -> Result<Vec<(GoodsId, Sheet)>, StoreError> {
    let mut skus: BTreeMap<i64, Vec<sku::Model>> = BTreeMap::new();
    let of = sku::Entity::find()
        .filter(sku::Column::GoodsId.is_in(ids.iter().copied()))
        .order_by_asc(sku::Column::Sort)
        .order_by_asc(sku::Column::Id);
    for row in of.all(db).await? {
        skus.entry(row.goods_id).or_default().push(row);
    }
    let rows = goods::Entity::find().filter(goods::Column::Id.is_in(ids)).all(db).await?;
    let sheet = |row: goods::Model| {
        let id = GoodsId::parse(row.id).map_err(|error| StoreError::row("goods", error))?;
        let skus = skus.remove(&row.id).unwrap_or_default();
        Ok((id, rows::sheets::sheet(row, skus)?))
    };
    rows.into_iter().map(sheet).collect()
}

async fn load_codes(
    db: &impl ConnectionTrait,
    wxapp: WxappId,
    sheets: &[&Sheet],
    books: &mut Books,
) -> Result<(), StoreError> {
    let of_goods = sheets.iter().map(|sheet| sheet.code.as_str()).collect::<Vec<_>>();
    let found: Vec<(i64, String)> = goods::Entity::find()
        .select_only()
        .columns([goods::Column::Id, goods::Column::Code])
        .filter(goods::Column::WxappId.eq(wxapp.get()))
        .filter(goods::Column::Code.is_in(of_goods))
        .into_tuple()
        .all(db)
        .await?;
    let found = found.into_iter().map(|(id, code)| ((wxapp, CodeOf::Goods(code)), id));
    books.desk.codes.extend(found);
    let skus = sheets.iter().flat_map(|sheet| &sheet.skus).map(|sku| sku.code.as_str());
    for codes in skus.collect::<Vec<_>>().chunks(CODES) {
        let found: Vec<(i64, String)> = sku::Entity::find()
            .select_only()
            .columns([sku::Column::Id, sku::Column::Code])
            .filter(sku::Column::WxappId.eq(wxapp.get()))
            .filter(sku::Column::Code.is_in(codes.iter().copied()))
            .into_tuple()
            .all(db)
            .await?;
        let found = found.into_iter().map(|(id, code)| ((wxapp, CodeOf::Sku(code)), id));
        books.desk.codes.extend(found);
    }
    Ok(())
}

/// Writes what was written on sheets. Stock and versions of SKUs that were there are written with
/// the stock of the batch.
pub(super) async fn save(
    db: &impl ConnectionTrait,
    books: &Books,
    now: Timestamp,
) -> Result<(), StoreError> {
    for (id, kept) in &books.desk.sheets {
        let written = kept.is_new() || kept.is_changed();
        let Some(goods) = books.goods.get(id).map(Kept::get).filter(|_| written) else { continue };
        let sheet = kept.get();
        if kept.is_new() {
            let row = rows::sheets::new_goods(goods.wxapp, *id, goods.version, sheet, now)?;
            insert(db, vec![row]).await?;
        } else {
            save_goods(db, *id, goods.version, sheet, now).await?;
        }
        save_skus(db, books, sheet, now).await?;
    }
    Ok(())
}

async fn save_goods(
    db: &impl ConnectionTrait,
    id: GoodsId,
    version: i64,
    sheet: &Sheet,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = rows::sheets::GoodsColumns::of(sheet)?.0;
    let update = Query::update()
        .table(goods::Entity)
        .values(columns.into_iter().map(|(column, value)| (column, value.into())))
        .value(goods::Column::Version, version)
        .value(goods::Column::UpdatedAt, now.as_millis())
        .and_where(goods::Column::Id.eq(id.get()))
        .to_owned();
    db.execute(&update).await?;
    Ok(())
}

async fn save_skus(
    db: &impl ConnectionTrait,
    books: &Books,
    sheet: &Sheet,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut fresh = Vec::new();
    for (place, sku) in sheet.skus.iter().enumerate() {
        let Some(kept) = sku.id.and_then(|id| books.skus.get(&id)) else { continue };
        if kept.is_new() {
            fresh.push(rows::sheets::new_sku(kept.get(), sku, place, now)?);
        } else {
            save_sku(db, sku, place, now).await?;
        }
    }
    insert(db, fresh).await
}

/// One statement each: staff save one of the goods at a time.
async fn save_sku(
    db: &impl ConnectionTrait,
    sku: &SheetSku,
    place: usize,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(id) = sku.id else { return Ok(()) };
    let update = Query::update()
        .table(sku::Entity)
        .values(rows::sheets::sku_columns(sku, place, now)?)
        .and_where(sku::Column::Id.eq(id.get()))
        .to_owned();
    db.execute(&update).await?;
    Ok(())
}
