//! The shipping desk: worked by keyboard and barcode scanner, with its files and slips. What ships
//! is decided by the engine; here scans are read, proposed for and answered.

mod acts;
mod barcode;
mod bulk;
mod desk;
mod export;
pub(super) mod files;
pub(super) mod json;
pub(super) mod slips;
mod table;
mod xlsx;

use super::access::{Access, Routes};
use crate::domain::staff::Right;
use crate::store::order_views::{LineView, OrderView};

const SHIP: Access = Access::Shop(Right::OrdersShip);

pub fn routes(routes: &mut Routes) {
    routes.page("/shops/{shop}/shipping", SHIP, desk::show);
    routes.action("/shops/{shop}/shipping/scan", SHIP, desk::scan_form, json::scan);
    let back = "/shops/{shop}/orders/{id}/parcels/{parcel}/take-back";
    routes.action(back, SHIP, desk::take_back_form, json::take_back);
    routes.page("/shops/{shop}/shipping/files", SHIP, files::show);
    let export = "/shops/{shop}/shipping/export";
    routes.action(export, SHIP, files::export_form, files::export_json);
    routes.upload("/shops/{shop}/shipping/file", SHIP, files::upload_form, files::check_json);
    let ship = "/shops/{shop}/shipping/file/ship";
    routes.action(ship, SHIP, files::ship_form, files::ship_json);
    let slips = "/shops/{shop}/shipping/slips";
    routes.page(slips, SHIP, slips::show);
    routes.action(slips, SHIP, slips::print_form, slips::print_json);
    routes.page("/shops/{shop}/shipping/slips/{job}", SHIP, slips::show_print);
}

/// Pieces of a line that no parcel has.
fn left_of(order: &OrderView, line: &LineView) -> i64 {
    let gone: i64 = order.shipments.iter().map(|parcel| parcel.pieces_of(line.id)).sum();
    line.quantity - gone
}

/// What is left to ship of an order, in words, and how many pieces that is.
fn left(order: &OrderView) -> (String, i64) {
    let left = order.lines.iter().map(|line| (line, left_of(order, line)));
    let left: Vec<(&LineView, i64)> = left.filter(|(_, pieces)| *pieces > 0).collect();
    let name = |line: &LineView| format!("{} {}", line.goods_name, line.attr).trim_end().to_owned();
    let words = left.iter().map(|(line, pieces)| format!("{} × {pieces}", name(line)));
    (words.collect::<Vec<_>>().join("; "), left.iter().map(|(_, pieces)| pieces).sum())
}
