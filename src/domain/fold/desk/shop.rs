//! What staff do beside orders: incidents, stock, sale, messages.

use super::{Change, Clerk, DeskRefusal, facts, find};
use crate::domain::books::{Books, EntryKind, Kept};
use crate::domain::desk::{Resolution, Resolved, Subject};
use crate::domain::id::{GoodsId, IncidentId, NotificationId, SkuId};
use crate::domain::stock::Adjustment;
use crate::domain::timeline::What;

/// No adjustment moves more pieces than this.
const DELTA_MAX: i64 = 10_000_000;

pub(super) fn resolve(
    books: &mut Books,
    clerk: &Clerk,
    id: IncidentId,
    how: Resolution,
    reason: String,
) -> Result<Change, DeskRefusal> {
    let kept = books.desk.incidents.get(&id).map(Kept::get);
    let case = kept.filter(|case| case.wxapp == clerk.wxapp).cloned();
    let case = case.ok_or(DeskRefusal::Unknown("incident"))?;
    if case.resolved.is_some() {
        return Err(DeskRefusal::AlreadyResolved);
    }
    let mut after = facts([("state", how.as_str().to_owned())]);
    if let Resolution::Matched(order) = how {
        find(books, clerk, order)?;
        let detail = facts([("amount_fen", case.amount_fen.to_string())]);
        books.happened(order, What::IncidentMatched, detail, clerk.now);
        after.insert("order_id".into(), order.to_string());
    }
    if let Some(kept) = books.desk.incidents.get_mut(&id) {
        let by = clerk.staff;
        kept.change().resolved = Some(Resolved { how, by, reason: reason.clone(), at: clerk.now });
    }
    let before = facts([("state", "open".to_owned())]);
    Ok(Change::new(Subject::Incident(id.get()), before, after).because(reason))
}

pub(super) fn adjust_stock(
    books: &mut Books,
    clerk: &Clerk,
    id: SkuId,
    delta: i64,
    reason: String,
) -> Result<Change, DeskRefusal> {
    if delta == 0 || delta.unsigned_abs() > DELTA_MAX.unsigned_abs() {
        return Err(DeskRefusal::BadDelta);
    }
    let kept = books.skus.get(&id).map(Kept::get);
    let sku = kept.filter(|sku| sku.wxapp == clerk.wxapp).cloned();
    let sku = sku.ok_or(DeskRefusal::Unknown("sku"))?;
    let stock = sku.stock.checked_add(delta).ok_or(DeskRefusal::BadDelta)?;
    if stock < 0 {
        return Err(DeskRefusal::NotEnough { stock: sku.stock });
    }
    let Some(entry) = books.draw() else { return Err(DeskRefusal::Unknown("sku")) };
    if let Some(kept) = books.skus.get_mut(&id) {
        let changed = kept.change();
        changed.stock = stock;
        changed.seq += 1;
        changed.version += 1;
    }
    books.desk.adjustments.push(Adjustment {
        id: entry,
        wxapp: clerk.wxapp,
        sku: id,
        seq: sku.seq + 1,
        delta,
        balance: stock,
        by: clerk.staff,
        reason: reason.clone(),
        at: clerk.now,
    });
    let pieces = |stock: i64| facts([("stock", stock.to_string())]);
    let subject = Subject::Sku(id.get());
    debug_assert_eq!(EntryKind::Adjust.as_str(), "adjust");
    Ok(Change::new(subject, pieces(sku.stock), pieces(stock)).because(reason))
}

/// Its SKUs count as changed, so that whoever holds them in memory reads them again.
pub(super) fn set_sale(
    books: &mut Books,
    clerk: &Clerk,
    id: GoodsId,
    on_sale: bool,
) -> Result<Change, DeskRefusal> {
    let kept = books.goods.get(&id).map(Kept::get);
    let goods = kept.filter(|goods| goods.wxapp == clerk.wxapp).cloned();
    let goods = goods.ok_or(DeskRefusal::Unknown("goods"))?;
    if goods.on_sale == on_sale {
        return Err(DeskRefusal::NothingChanges);
    }
    if let Some(kept) = books.goods.get_mut(&id) {
        let changed = kept.change();
        changed.on_sale = on_sale;
        changed.version += 1;
    }
    for kept in books.skus.values_mut().filter(|kept| kept.get().goods == id) {
        kept.change().version += 1;
    }
    books.desk.sale.insert(id, on_sale);
    let state = |on: bool| facts([("on_sale", on.to_string())]);
    Ok(Change::new(Subject::Goods(id.get()), state(goods.on_sale), state(on_sale)))
}

pub(super) fn resend(
    books: &mut Books,
    clerk: &Clerk,
    id: NotificationId,
) -> Result<Change, DeskRefusal> {
    let kept = books.desk.messages.get(&id).map(Kept::get);
    let case = kept.filter(|case| case.wxapp == clerk.wxapp).cloned();
    let case = case.ok_or(DeskRefusal::Unknown("message"))?;
    if !case.parked {
        return Err(DeskRefusal::NotParked);
    }
    if let Some(kept) = books.desk.messages.get_mut(&id) {
        kept.change().parked = false;
    }
    let state = |name: &str| facts([("state", name.to_owned())]);
    Ok(Change::new(Subject::Message(id.get()), state("parked"), state("waiting")))
}
