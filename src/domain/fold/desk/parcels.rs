//! Shipping an order, whole or in parts, correcting what was typed, and taking back what was
//! scanned by mistake.

use super::{Change, Clerk, DeskRefusal, facts, find};
use crate::domain::books::{Books, Kept};
use crate::domain::fold::refund;
use crate::domain::id::{LineId, OrderId, ShipmentId, TrackingNo};
use crate::domain::money::Quantity;
use crate::domain::notification::{Event, Facts};
use crate::domain::order::{Line, OrderEvent, apply};
use crate::domain::shipment::{Carrier, PARCELS_MAX, Packed, Shipment};
use crate::domain::timeline::What;

/// By whom and under which number.
pub(super) struct Parcel {
    pub carrier: Carrier,
    pub number: TrackingNo,
}

impl Parcel {
    fn facts(&self) -> Facts {
        facts([
            ("company_code", self.carrier.code().to_owned()),
            ("company", self.carrier.name().to_owned()),
            ("number", self.number.to_string()),
        ])
    }
}

pub(super) fn ship(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    parcel: Parcel,
    (wanted, hold_seconds): (&[(LineId, Quantity)], i64),
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    apply(&order.state, OrderEvent::ShipPart, clerk.now)?;
    if refund::is_on_its_way_back(books, id) {
        return Err(DeskRefusal::RefundOpen);
    }
    number_is_free(books, id, None, &parcel.number)?;
    let lines = pack(books, id, wanted)?;
    let whole = is_last(books, id, &lines);
    let last_place = books.shipments_of(id).count() + 1 >= PARCELS_MAX;
    if last_place && !whole {
        return Err(DeskRefusal::TooManyParcels);
    }
    let Some(shipment) = books.draw::<ShipmentId>() else {
        return Err(DeskRefusal::Unknown("order"));
    };
    enter(books, clerk, id, shipment, &parcel, lines);
    let (event, what) = match whole {
        true => (OrderEvent::Ship, What::Shipped),
        false => (OrderEvent::ShipPart, What::ShippedPart),
    };
    super::super::transition(books, id, event, clerk.now)?;
    books.happened(id, what, parcel.facts(), clerk.now);
    tell(books, clerk, id, shipment, (&parcel, hold_seconds));
    let state = books.orders.get(&id).map_or("", |kept| kept.get().state.as_str());
    let mut after = parcel.facts();
    after.insert("state".into(), state.into());
    let before = facts([("state", order.state.as_str().into())]);
    Ok(Change { shipment: Some(shipment), ..Change::of(id, before, after) })
}

fn number_is_free(
    books: &Books,
    id: OrderId,
    own: Option<ShipmentId>,
    number: &TrackingNo,
) -> Result<(), DeskRefusal> {
    let mut others = books.shipments_of(id).filter(|shipment| Some(shipment.id) != own);
    match others.any(|shipment| shipment.number == *number) {
        true => Err(DeskRefusal::NumberTaken),
        false => Ok(()),
    }
}

/// What goes into the parcel: what is wanted, or all that is left.
fn pack(
    books: &Books,
    id: OrderId,
    wanted: &[(LineId, Quantity)],
) -> Result<Vec<Packed>, DeskRefusal> {
    let mut packed: Vec<Packed> = Vec::new();
    for line in books.lines_of(id) {
        let left = left(books, line);
        let of_line = wanted.iter().filter(|(wanted, _)| *wanted == line.id);
        let pieces: i64 = match wanted.is_empty() {
            true => left,
            false => of_line.map(|(_, quantity)| quantity.pieces()).sum(),
        };
        if pieces > left {
            return Err(DeskRefusal::TooManyPieces { line: line.id, left });
        }
        if let Ok(quantity) = Quantity::parse(pieces) {
            packed.push(Packed { line: line.id, quantity });
        }
    }
    let is_of_order = |line: LineId| books.lines_of(id).iter().any(|own| own.id == line);
    if packed.is_empty() || !wanted.iter().all(|(line, _)| is_of_order(*line)) {
        return Err(DeskRefusal::Unknown("line"));
    }
    Ok(packed)
}

fn left(books: &Books, line: &Line) -> i64 {
    let gone: i64 =
        books.shipments_of(line.order).map(|shipment| shipment.pieces_of(line.id)).sum();
    line.quantity.pieces() - gone
}

/// Whether nothing is left to ship after this.
fn is_last(books: &Books, id: OrderId, packed: &[Packed]) -> bool {
    let goes = |line: &Line| packed.iter().find(|packed| packed.line == line.id);
    let lines = books.lines_of(id).iter();
    lines
        .into_iter()
        .all(|line| left(books, line) == goes(line).map_or(0, |packed| packed.quantity.pieces()))
}

fn enter(
    books: &mut Books,
    clerk: &Clerk,
    order: OrderId,
    id: ShipmentId,
    parcel: &Parcel,
    lines: Vec<Packed>,
) {
    let shipment = Shipment {
        id,
        wxapp: clerk.wxapp,
        order,
        carrier: parcel.carrier.clone(),
        number: parcel.number.clone(),
        lines,
        shipped_at: clerk.now,
        by: clerk.staff,
        corrections: 0,
        corrected_at: None,
    };
    books.shipments.insert(id, Kept::new(shipment));
}

fn tell(
    books: &mut Books,
    clerk: &Clerk,
    order: OrderId,
    shipment: ShipmentId,
    (parcel, hold_seconds): (&Parcel, i64),
) {
    let (ref_id, more) = (shipment.get(), parcel.facts());
    let about = super::super::settle::About { ref_id, amount: None, more, hold_seconds };
    super::super::settle::tell(books, order, Event::OrderShipped, about, clerk.now);
}

pub(super) fn correct(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    shipment: ShipmentId,
    parcel: Parcel,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    let kept = books.shipments.get(&shipment).map(Kept::get).filter(|own| own.order == id);
    let former = kept.cloned().ok_or(DeskRefusal::Unknown("shipment"))?;
    // Neither a parcel that has arrived nor one whose money went back is looked for any more.
    if apply(&order.state, OrderEvent::ShipPart, clerk.now).is_err() {
        apply(&order.state, OrderEvent::Receive, clerk.now)?;
    }
    if former.carrier == parcel.carrier && former.number == parcel.number {
        return Err(DeskRefusal::NothingChanges);
    }
    number_is_free(books, id, Some(shipment), &parcel.number)?;
    if let Some(kept) = books.shipments.get_mut(&shipment) {
        let changed = kept.change();
        changed.carrier = parcel.carrier.clone();
        changed.number = parcel.number.clone();
        changed.corrections += 1;
        changed.corrected_at = Some(clerk.now);
    }
    if let Some(kept) = books.desk.unsent.get_mut(&shipment) {
        // Nobody is told of a number that is known to be wrong.
        kept.change().facts.extend(parcel.facts());
    }
    let mut detail = parcel.facts();
    detail.insert("former_number".into(), former.number.to_string());
    books.happened(id, What::NumberCorrected, detail, clerk.now);
    let before = Parcel { carrier: former.carrier, number: former.number }.facts();
    Ok(Change::of(id, before, parcel.facts()))
}

/// Undoes a parcel as if it had not been scanned. What decides is the buyer's message: it is locked
/// with the order, and whoever sends claims it first.
pub(super) fn take_back(
    books: &mut Books,
    clerk: &Clerk,
    id: OrderId,
    shipment: ShipmentId,
) -> Result<Change, DeskRefusal> {
    let order = find(books, clerk, id)?;
    let kept = books.shipments.get(&shipment).map(Kept::get).filter(|own| own.order == id);
    let former = kept.cloned().ok_or(DeskRefusal::Unknown("shipment"))?;
    apply(&order.state, OrderEvent::Unship, clerk.now)?;
    let message = books.desk.unsent.get_mut(&shipment).ok_or(DeskRefusal::BuyerTold)?;
    message.change().is_void = true;
    super::super::transition(books, id, OrderEvent::Unship, clerk.now)?;
    books.shipments.remove(&shipment);
    books.desk.taken_back.push(shipment);
    let parcel = Parcel { carrier: former.carrier, number: former.number };
    books.happened(id, What::TakenBack, parcel.facts(), clerk.now);
    let state = |books: &Books| books.orders.get(&id).map_or("", |kept| kept.get().state.as_str());
    let mut before = parcel.facts();
    before.insert("state".into(), order.state.as_str().into());
    let after = facts([("state", state(books).into())]);
    Ok(Change { shipment: Some(shipment), ..Change::of(id, before, after) })
}
