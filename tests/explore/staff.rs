//! What staff do to an order, at any time and in any order.

use buynow::domain::fold::{Act, Command, Desk, Receive, Receiver};
use buynow::domain::id::{ShipmentId, StaffId, TrackingNo};
use buynow::domain::money::{Money, Quantity};
use buynow::domain::shipment::Carrier;

use super::shop::*;
use super::world::*;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The first line alone; everything that is left.
    ShipPart,
    ShipRest,
    /// The newest parcel of the order; its message has not been claimed.
    TakeBack,
    GiveBack,
    Release,
    /// Half the price of a piece less.
    Reprice,
    Cancel,
    /// Of time, not of staff: it is long enough on its way.
    Complete,
}

pub const DEEDS: [Deed; 8] = [
    Deed::ShipPart,
    Deed::ShipRest,
    Deed::TakeBack,
    Deed::GiveBack,
    Deed::Release,
    Deed::Reprice,
    Deed::Cancel,
    Deed::Complete,
];

/// The command of a deed.
pub fn command(state: &State, slot: usize, deed: Deed) -> Command {
    let order = order_id(slot);
    let reason = String::new();
    let act = match deed {
        Deed::ShipPart => {
            let line = state.db.lines[&order][0].id;
            ship(state, slot, vec![(line, Quantity::parse(1).unwrap())])
        }
        Deed::ShipRest => ship(state, slot, Vec::new()),
        Deed::TakeBack => {
            let parcels = state.db.shipments.values().filter(|parcel| parcel.order == order);
            let newest = parcels.map(|parcel| parcel.id).max();
            Act::TakeBack { order, shipment: newest.unwrap_or(ShipmentId::parse(1).unwrap()) }
        }
        Deed::GiveBack => Act::Refund { order, reason: "r".into() },
        Deed::Release => Act::Release { order, reason },
        Deed::Reprice => {
            let adjust = Money::from_fen(-PRICE / 2);
            Act::Reprice { order, adjust, max: Money::from_fen(1_000_000), reason }
        }
        Deed::Cancel => Act::Cancel { order, reason },
        Deed::Complete => {
            let by = Receiver::Time { shipped_by: state.now };
            return Command::Receive(Receive { order, by });
        }
    };
    let staff = StaffId::parse(7).unwrap();
    Command::Desk(Box::new(Desk { wxapp: wxapp(), staff, key: None, act }))
}

fn ship(state: &State, slot: usize, lines: Vec<(buynow::domain::id::LineId, Quantity)>) -> Act {
    let parcels = state.db.shipments.len();
    Act::Ship {
        order: order_id(slot),
        carrier: Carrier::parse("SF", None).unwrap(),
        number: TrackingNo::parse(format!("SF{parcels:05}")).unwrap(),
        lines,
        hold_seconds: 0,
    }
}
