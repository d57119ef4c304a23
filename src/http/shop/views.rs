//! The JSON shapes that several calls answer with, exactly as the contract has them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::address::Address;
use crate::domain::shipment::{Packed, Shipment};
use crate::domain::time::Timestamp;
use crate::store::order_views::{LineView, OrderView};

/// A point in time as RFC 3339, UTC.
pub fn time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis());
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// ORDER of the contract.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderJson {
    #[schema(example = 1048577)]
    pub id: i64,
    pub order_no: String,
    #[schema(value_type = OrderStateJson)]
    pub state: &'static str,
    /// Still `unpaid`, but being closed: WeChat has not confirmed yet.
    pub closing: bool,
    pub goods_fen: i64,
    pub freight_fen: i64,
    pub discount_fen: i64,
    /// A price change by staff; signed.
    pub adjust_fen: i64,
    pub pay_fen: i64,
    pub refund: RefundJson,
    pub remark: String,
    pub lines: Vec<LineJson>,
    pub address: Option<AddressJson>,
    pub shipments: Vec<ShipmentJson>,
    /// The first shipment.
    pub express: Option<ExpressJson>,
    pub transaction_id: Option<String>,
    pub created_at: String,
    pub expires_at: String,
    pub paid_at: Option<String>,
    pub shipped_at: Option<String>,
    pub completed_at: Option<String>,
    pub closed_at: Option<String>,
    #[schema(value_type = Option<CloseReasonJson>)]
    pub close_reason: Option<&'static str>,
}

/// The states that lists are asked for.
#[derive(ToSchema)]
#[schema(as = OrderState, rename_all = "snake_case")]
#[allow(dead_code, reason = "only described")]
pub enum OrderStateJson {
    Unpaid,
    Paid,
    Shipped,
    Completed,
    Closed,
    Refunded,
}

/// Why an order was closed.
#[derive(ToSchema)]
#[schema(as = CloseReason, rename_all = "snake_case")]
#[allow(dead_code, reason = "only described")]
pub enum CloseReasonJson {
    Expired,
    Buyer,
    Staff,
    SoldOut,
}

/// How much of an order's money goes back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct RefundJson {
    /// `none`, `open`, `part` or `full`.
    #[schema(example = "none")]
    pub state: &'static str,
    pub refunded_fen: i64,
}

/// A line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderLine)]
pub struct LineJson {
    pub id: i64,
    pub goods_id: i64,
    pub sku_id: i64,
    pub goods_name: String,
    pub attr: String,
    pub image_url: String,
    pub price_fen: i64,
    pub quantity: i64,
    pub total_fen: i64,
}

/// Where an order goes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderAddress)]
pub struct AddressJson {
    pub name: String,
    pub phone: String,
    pub province: String,
    pub city: String,
    pub district: String,
    pub detail: String,
}

/// A parcel on its way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shipment)]
pub struct ShipmentJson {
    pub company_code: String,
    pub company: String,
    pub number: String,
    pub lines: Vec<ShippedLineJson>,
    pub shipped_at: String,
}

/// What is in a parcel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShippedLine)]
pub struct ShippedLineJson {
    pub order_goods_id: i64,
    pub quantity: i64,
}

/// Company and number of a parcel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Express)]
pub struct ExpressJson {
    pub company: String,
    pub number: String,
}

impl From<Address> for AddressJson {
    fn from(address: Address) -> Self {
        let Address { name, phone, province, city, district, detail } = address;
        Self { name, phone, province, city, district, detail }
    }
}

impl From<LineView> for LineJson {
    fn from(line: LineView) -> Self {
        Self {
            id: line.id.get(),
            goods_id: line.goods.get(),
            sku_id: line.sku.get(),
            goods_name: line.goods_name,
            attr: line.attr,
            image_url: line.image_url,
            price_fen: line.price.as_fen(),
            quantity: line.quantity,
            total_fen: line.total.as_fen(),
        }
    }
}

impl From<Shipment> for ShipmentJson {
    fn from(shipment: Shipment) -> Self {
        let line = |packed: &Packed| ShippedLineJson {
            order_goods_id: packed.line.get(),
            quantity: packed.quantity.pieces(),
        };
        Self {
            company_code: shipment.carrier.code().to_owned(),
            company: shipment.carrier.name().to_owned(),
            number: shipment.number.to_string(),
            lines: shipment.lines.iter().map(line).collect(),
            shipped_at: time(shipment.shipped_at),
        }
    }
}

impl From<&Shipment> for ExpressJson {
    fn from(shipment: &Shipment) -> Self {
        Self { company: shipment.carrier.name().to_owned(), number: shipment.number.to_string() }
    }
}

impl From<OrderView> for OrderJson {
    fn from(order: OrderView) -> Self {
        let refunded_fen = order.refunded.as_fen();
        Self {
            id: order.id.get(),
            order_no: order.order_no,
            state: order.state.as_str(),
            closing: order.closing,
            goods_fen: order.amounts.goods.as_fen(),
            freight_fen: order.amounts.freight.as_fen(),
            discount_fen: order.amounts.discount.as_fen(),
            adjust_fen: order.amounts.adjust.as_fen(),
            pay_fen: order.amounts.pay.as_fen(),
            refund: RefundJson { state: order.refund.as_str(), refunded_fen },
            remark: order.remark,
            lines: order.lines.into_iter().map(LineJson::from).collect(),
            address: order.address.map(AddressJson::from),
            express: order.shipments.first().map(ExpressJson::from),
            shipments: order.shipments.into_iter().map(ShipmentJson::from).collect(),
            transaction_id: order.transaction_id,
            created_at: time(order.created_at),
            expires_at: time(order.expires_at),
            paid_at: order.paid_at.map(time),
            shipped_at: order.shipped_at.map(time),
            completed_at: order.completed_at.map(time),
            closed_at: order.closed_at.map(time),
            close_reason: order.close_reason.map(|reason| reason.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(time(Timestamp::from_seconds(1_764_000_000)), "2025-11-24T16:00:00Z");
        assert_eq!(time(Timestamp::from_millis(1_764_000_000_120)), "2025-11-24T16:00:00.12Z");
    }
}
