//! Staff, in the middle of it: they ship, give money back, and move stock.

use super::model::Breach;
use super::plan::{Pick, StaffStep};
use super::{SoakError, World};
use crate::actors::desk::{Acted, Clerk, Desk, DeskError, DeskSettings};
use crate::domain::id::{OrderId, SkuId, StaffId, TrackingNo};
use crate::domain::money::Money;
use crate::domain::shipment::Carrier;

/// Who it is.
const STAFF: i64 = 7;

pub(super) async fn works(world: &World, step: StaffStep) -> Result<(), SoakError> {
    let Some(parts) = world.shop.parts() else { return Ok(()) };
    let settings = DeskSettings {
        max_order: Money::from_fen(world.shop.config.engine.max_order_fen),
        wechat_wait: std::time::Duration::from_millis(world.shop.config.engine.cancel_wait_ms),
    };
    let desk = Desk::new(parts.directory, parts.journal, settings);
    let staff = StaffId::parse(STAFF).map_err(|error| Breach::new(error.to_string()))?;
    let clerk = Clerk { wxapp: world.wxapp, staff, key: None };
    world.count(|counts| counts.deeds += 1);
    match step {
        StaffStep::Ship(pick) => ship(world, &desk, &clerk, pick).await,
        StaffStep::GiveBack(pick) => give_back(world, &desk, &clerk, pick).await,
        StaffStep::Adjust { sku, delta } => {
            let id = SkuId::parse(world.skus[sku].id);
            let id = id.map_err(|error| Breach::of_sku(sku, error.to_string()))?;
            let moved = desk.adjust_stock(&clerk, id, delta, "盘点").await;
            world.model.borrow_mut().note_all(Some(sku), format!("by {delta}: {moved:?}"));
            Ok(())
        }
    }
}

/// An order that WeChat has taken money for, counted from the youngest.
fn paid(world: &World, pick: Pick) -> Option<(String, OrderId)> {
    let model = world.model.borrow();
    let paid = model.all().iter().rev().filter(|(_, wanted)| !wanted.paid.is_empty());
    let known = paid.filter_map(|(key, wanted)| {
        let (id, _) = wanted.order.as_ref()?;
        Some((key.clone(), OrderId::parse(*id).ok()?))
    });
    known.take(pick + 1).last()
}

async fn ship(world: &World, desk: &Desk, clerk: &Clerk, pick: Pick) -> Result<(), SoakError> {
    let Some((key, order)) = paid(world, pick) else { return Ok(()) };
    let breach = |what: String| Breach::of_order(&key, what);
    let carrier = Carrier::parse("SF", None).map_err(|error| breach(error.to_string()))?;
    let number = TrackingNo::parse(format!("SF{order}")).map_err(|e| breach(e.to_string()))?;
    let shipped = desk.ship(clerk, order, carrier, number, Vec::new()).await;
    told(world, &key, "ship", &shipped);
    if shipped.is_ok() {
        world.model.borrow_mut().change(&key, |wanted| wanted.shipped = true);
    }
    Ok(())
}

async fn give_back(world: &World, desk: &Desk, clerk: &Clerk, pick: Pick) -> Result<(), SoakError> {
    let Some((key, order)) = paid(world, pick) else { return Ok(()) };
    let ordered = desk.refund(clerk, order, "缺货").await;
    told(world, &key, "refund", &ordered);
    let may_be = !matches!(ordered, Err(DeskError::Refused(_) | DeskError::Busy));
    world.model.borrow_mut().change(&key, |wanted| {
        wanted.may_go_back |= may_be;
        wanted.goes_back |= ordered.is_ok();
    });
    Ok(())
}

fn told(world: &World, key: &str, what: &str, done: &Result<Acted, DeskError>) {
    world.model.borrow_mut().note(key, format!("staff {what}: {done:?}"));
}
