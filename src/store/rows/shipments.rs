//! Parcels and timelines.

use sea_orm::Set;

use super::super::db::StoreError;
use super::{BadValue, in_table, time, times, word};
use crate::domain::id::TrackingNo;
use crate::domain::notification::Facts;
use crate::domain::shipment::{Carrier, Packed, Shipment};
use crate::domain::timeline::{Happening, What, Who};

/// A parcel with what is in it.
pub fn shipment(
    row: entity::shipment::Model,
    packed: Vec<entity::shipment_goods::Model>,
) -> Result<Shipment, StoreError> {
    in_table("shipment", read_shipment(row, packed))
}

fn read_shipment(
    row: entity::shipment::Model,
    packed: Vec<entity::shipment_goods::Model>,
) -> Result<Shipment, BadValue> {
    let read = |row: entity::shipment_goods::Model| -> Result<Packed, BadValue> {
        let (line, quantity) = (row.order_goods_id.try_into()?, row.quantity.try_into()?);
        Ok(Packed { line, quantity })
    };
    Ok(Shipment {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        order: row.order_id.try_into()?,
        carrier: Carrier::stored(row.company_code, row.company),
        number: TrackingNo::parse(row.number)?,
        lines: packed.into_iter().map(read).collect::<Result<_, _>>()?,
        shipped_at: time(row.shipped_at),
        by: row.staff_id.try_into()?,
        corrections: row.corrections,
        corrected_at: times(row.corrected_at),
    })
}

pub fn shipment_row(shipment: &Shipment) -> entity::shipment::ActiveModel {
    entity::shipment::ActiveModel {
        id: Set(shipment.id.get()),
        wxapp_id: Set(shipment.wxapp.get()),
        order_id: Set(shipment.order.get()),
        company_code: Set(shipment.carrier.code().to_owned()),
        company: Set(shipment.carrier.name().to_owned()),
        number: Set(shipment.number.as_str().to_owned()),
        staff_id: Set(shipment.by.get()),
        corrections: Set(shipment.corrections),
        corrected_at: Set(shipment.corrected_at.map(|at| at.as_millis())),
        shipped_at: Set(shipment.shipped_at.as_millis()),
    }
}

pub fn packed_rows(
    shipment: &Shipment,
) -> impl Iterator<Item = entity::shipment_goods::ActiveModel> + '_ {
    shipment.lines.iter().map(|packed| entity::shipment_goods::ActiveModel {
        shipment_id: Set(shipment.id.get()),
        order_goods_id: Set(packed.line.get()),
        order_id: Set(shipment.order.get()),
        quantity: Set(packed.quantity.pieces()),
    })
}

pub fn happening(row: entity::order_event::Model) -> Result<Happening, StoreError> {
    let detail: Facts =
        serde_json::from_str(&row.detail).map_err(|error| StoreError::row("order_event", error))?;
    in_table("order_event", read_happening(row, detail))
}

fn read_happening(row: entity::order_event::Model, detail: Facts) -> Result<Happening, BadValue> {
    let (what, who) = (What::parse(&row.event), Who::parse(&row.who));
    Ok(Happening {
        id: row.id.try_into()?,
        wxapp: row.wxapp_id.try_into()?,
        order: row.order_id.try_into()?,
        what: word("event", row.event, what)?,
        who: word("who", row.who, who)?,
        detail,
        at: time(row.created_at),
    })
}

pub fn happening_row(
    happening: &Happening,
) -> Result<entity::order_event::ActiveModel, StoreError> {
    let detail = serde_json::to_string(&happening.detail);
    Ok(entity::order_event::ActiveModel {
        id: Set(happening.id.get()),
        wxapp_id: Set(happening.wxapp.get()),
        order_id: Set(happening.order.get()),
        event: Set(happening.what.as_str().to_owned()),
        who: Set(happening.who.to_string()),
        detail: Set(detail.map_err(|error| StoreError::row("order_event", error))?),
        created_at: Set(happening.at.as_millis()),
    })
}
