//! Goods as staff write them: terms, prices, SKUs. Stock is not theirs to write here.

use std::collections::BTreeSet;

use super::{Change, Clerk, DeskRefusal};
use crate::domain::books::{Books, Kept};
use crate::domain::desk::{CodeOf, Subject};
use crate::domain::goods::{Goods, Sku};
use crate::domain::id::{GoodsId, SkuId};
use crate::domain::sheet::{Sheet, SheetSku, differences};

/// Writes a sheet over the goods that had this version, or makes new goods of it. All their SKUs
/// count as changed, so that whoever holds them in memory reads them again; what the sheet leaves
/// out is retired.
pub(super) fn save(
    books: &mut Books,
    clerk: &Clerk,
    over: Option<(GoodsId, i64)>,
    mut sheet: Sheet,
) -> Result<Change, DeskRefusal> {
    let before = match over {
        Some((id, version)) => Some(current(books, clerk, id, version)?),
        None => None,
    };
    let old = before.as_ref().map(|(goods, sheet)| (goods.id, sheet));
    check_skus(&sheet, old.map(|(_, sheet)| sheet))?;
    check_codes(books, clerk, &sheet, old.map(|(id, _)| id))?;
    keep_left_out(&mut sheet, old.map(|(_, sheet)| sheet));
    if old.is_some_and(|(_, old)| *old == sheet) {
        return Err(DeskRefusal::NothingChanges);
    }
    let id = match old {
        Some((id, _)) => id,
        None => books.draw().ok_or(DeskRefusal::Unknown("goods"))?,
    };
    for sku in sheet.skus.iter_mut().filter(|sku| sku.id.is_none()) {
        sku.id = books.draw();
    }
    let (told_before, told_after) = differences(old.map(|(_, sheet)| sheet), &sheet);
    write_goods(books, clerk, id, &sheet);
    for sku in &sheet.skus {
        write_sku(books, clerk, id, sku);
    }
    take_codes(books, clerk, id, &sheet);
    match books.desk.sheets.get_mut(&id) {
        Some(kept) => *kept.change() = sheet,
        None => drop(books.desk.sheets.insert(id, Kept::new(sheet))),
    }
    let change = Change::new(Subject::Goods(id.get()), told_before, told_after);
    Ok(Change { goods: Some(id), ..change })
}

fn current(
    books: &mut Books,
    clerk: &Clerk,
    id: GoodsId,
    version: i64,
) -> Result<(Goods, Sheet), DeskRefusal> {
    let kept = books.goods.get(&id).map(Kept::get);
    let goods = kept.filter(|goods| goods.wxapp == clerk.wxapp).cloned();
    let goods = goods.ok_or(DeskRefusal::Unknown("goods"))?;
    if goods.version != version {
        return Err(DeskRefusal::Stale);
    }
    let Some(sheet) = books.desk.sheets.get(&id).map(|kept| kept.get().clone()) else {
        books.miss("the sheet of goods");
        return Err(DeskRefusal::Unknown("goods"));
    };
    // Only the goods of the batch know: another member may have put them on or off sale.
    let sheet = Sheet { on_sale: goods.on_sale, ..sheet };
    Ok((goods, sheet))
}

/// A SKU that the sheet names is one of these goods.
fn check_skus(sheet: &Sheet, old: Option<&Sheet>) -> Result<(), DeskRefusal> {
    let known: BTreeSet<SkuId> =
        old.into_iter().flat_map(|old| &old.skus).filter_map(|sku| sku.id).collect();
    let mut named = sheet.skus.iter().filter_map(|sku| sku.id);
    if named.all(|id| known.contains(&id)) { Ok(()) } else { Err(DeskRefusal::Unknown("sku")) }
}

/// Nothing else of this shop has these codes.
fn check_codes(
    books: &Books,
    clerk: &Clerk,
    sheet: &Sheet,
    id: Option<GoodsId>,
) -> Result<(), DeskRefusal> {
    let has = |code: CodeOf, own: Option<i64>| {
        books.desk.codes.get(&(clerk.wxapp, code)).is_some_and(|owner| Some(*owner) != own)
    };
    if has(CodeOf::Goods(sheet.code.clone()), id.map(GoodsId::get)) {
        return Err(DeskRefusal::CodeTaken { row: None });
    }
    let taken = |sku: &SheetSku| has(CodeOf::Sku(sku.code.clone()), sku.id.map(SkuId::get));
    match sheet.skus.iter().position(taken) {
        Some(row) => Err(DeskRefusal::CodeTaken { row: Some(row) }),
        None => Ok(()),
    }
}

/// What they had before is free, for the next member of the batch.
fn take_codes(books: &mut Books, clerk: &Clerk, id: GoodsId, sheet: &Sheet) {
    let own: BTreeSet<i64> = sheet.skus.iter().filter_map(|sku| sku.id).map(SkuId::get).collect();
    books.desk.codes.retain(|(_, code), owner| match code {
        CodeOf::Goods(_) => *owner != id.get(),
        CodeOf::Sku(_) => !own.contains(owner),
    });
    let skus = sheet.skus.iter().filter_map(|sku| Some((&sku.code, sku.id?.get())));
    let skus = skus.map(|(code, id)| (CodeOf::Sku(code.clone()), id));
    let all = skus.chain([(CodeOf::Goods(sheet.code.clone()), id.get())]);
    books.desk.codes.extend(all.map(|(code, id)| ((clerk.wxapp, code), id)));
}

/// Retired, never deleted: orders name it.
fn keep_left_out(sheet: &mut Sheet, old: Option<&Sheet>) {
    let named: BTreeSet<SkuId> = sheet.skus.iter().filter_map(|sku| sku.id).collect();
    let left = old.into_iter().flat_map(|old| &old.skus);
    let left = left.filter(|sku| sku.id.is_some_and(|id| !named.contains(&id)));
    sheet.skus.extend(left.map(|sku| SheetSku { retired: true, ..sku.clone() }));
}

fn write_goods(books: &mut Books, clerk: &Clerk, id: GoodsId, sheet: &Sheet) {
    let fresh = || Goods {
        id,
        wxapp: clerk.wxapp,
        name: String::new(),
        image_url: String::new(),
        deduct_stock: sheet.deduct_stock,
        on_sale: false,
        sale_starts_at: None,
        sale_ends_at: None,
        limit_per_user: None,
        sales: 0,
        version: 0,
    };
    let goods = books.goods.entry(id).or_insert_with(|| Kept::new(fresh())).change();
    goods.name.clone_from(&sheet.name);
    goods.image_url = sheet.images.first().cloned().unwrap_or_default();
    goods.deduct_stock = sheet.deduct_stock;
    goods.on_sale = sheet.on_sale;
    goods.sale_starts_at = sheet.sale_starts_at;
    goods.sale_ends_at = sheet.sale_ends_at;
    goods.limit_per_user = sheet.limit_per_user;
    goods.version += 1;
}

/// A new one has no stock, and so no ledger yet.
fn write_sku(books: &mut Books, clerk: &Clerk, goods: GoodsId, sheet: &SheetSku) {
    let Some(id) = sheet.id else { return };
    let fresh = || Sku {
        id,
        wxapp: clerk.wxapp,
        goods,
        attr: String::new(),
        image_url: String::new(),
        price: sheet.price,
        weight_g: 0,
        stock: 0,
        seq: 0,
        version: 0,
        retired: false,
    };
    let sku = books.skus.entry(id).or_insert_with(|| Kept::new(fresh())).change();
    sku.attr.clone_from(&sheet.attr);
    sku.image_url.clone_from(&sheet.image_url);
    sku.price = sheet.price;
    sku.weight_g = sheet.weight_g;
    sku.retired = sheet.retired;
    sku.version += 1;
}
