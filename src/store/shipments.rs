//! Parcels, as batches and readers see them.

use std::collections::BTreeMap;

use entity::{shipment, shipment_goods};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::db::StoreError;
use super::rows;
use crate::domain::shipment::Shipment;

/// Parcels of orders, with what is in them, oldest first.
pub(super) async fn of_orders(
    db: &impl ConnectionTrait,
    orders: impl Iterator<Item = i64> + Clone,
) -> Result<Vec<Shipment>, StoreError> {
    let found = shipment::Entity::find()
        .filter(shipment::Column::OrderId.is_in(orders.clone()))
        .order_by_asc(shipment::Column::Id)
        .all(db)
        .await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let packed = shipment_goods::Entity::find()
        .filter(shipment_goods::Column::OrderId.is_in(orders))
        .order_by_asc(shipment_goods::Column::OrderGoodsId)
        .all(db)
        .await?;
    let mut by_shipment: BTreeMap<i64, Vec<shipment_goods::Model>> = BTreeMap::new();
    for row in packed {
        by_shipment.entry(row.shipment_id).or_default().push(row);
    }
    let read = |row: shipment::Model| {
        let packed = by_shipment.remove(&row.id).unwrap_or_default();
        rows::shipments::shipment(row, packed)
    };
    found.into_iter().map(read).collect()
}
