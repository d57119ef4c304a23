//! Goods, stock and categories. Each action is one function that its form and its JSON twin call;
//! the engine's desk decides. Nothing here writes stock but by a movement with a reason.

pub(super) mod body;
pub(super) mod categories;
pub(super) mod detail;
mod draft;
pub(super) mod edit;
pub(super) mod ledger;
pub(super) mod list;
mod merge;
pub(super) mod stock;

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, offset};

use super::access::{Access, Routes};
use super::guard::Staff;
use crate::domain::id::GoodsId;
use crate::domain::staff::Right;
use crate::domain::time::Timestamp;
use crate::http::AppState;
use crate::http::error::ApiError;
use crate::store::goods::{self, GoodsSheet};

const READ: Access = Access::Shop(Right::GoodsRead);
const EDIT: Access = Access::Shop(Right::GoodsEdit);
const STOCK: Access = Access::Shop(Right::StockAdjust);

pub fn routes(routes: &mut Routes) {
    routes.page("/shops/{shop}/goods", READ, list::show);
    routes.read("/shops/{shop}/goods", READ, list::list_goods);
    routes.action("/shops/{shop}/goods", EDIT, edit::create_form, edit::create_goods);
    routes.page("/shops/{shop}/goods/new", EDIT, edit::show_new);
    routes.page("/shops/{shop}/goods/{id}", READ, detail::show);
    routes.read("/shops/{shop}/goods/{id}", READ, detail::get_goods);
    routes.action("/shops/{shop}/goods/{id}", EDIT, edit::save_form, edit::save_goods);
    routes.page("/shops/{shop}/goods/{id}/edit", EDIT, edit::show_edit);
    routes.action("/shops/{shop}/goods/{id}/sale", EDIT, detail::sale_form, detail::set_sale);
    routes.page("/shops/{shop}/goods/{id}/stock", STOCK, stock::show);
    routes.action("/shops/{shop}/goods/{id}/stock", STOCK, stock::move_form, stock::move_stock);
    routes.page("/shops/{shop}/skus/{id}/ledger", READ, ledger::show);
    routes.read("/shops/{shop}/skus/{id}/ledger", READ, ledger::list_ledger);
    routes.page("/shops/{shop}/categories", READ, categories::show);
    routes.read("/shops/{shop}/categories", READ, categories::list_categories);
    let (add, add_json) = (categories::add_form, categories::add_category);
    routes.action("/shops/{shop}/categories", EDIT, add, add_json);
    let (change, change_json) = (categories::change_form, categories::change_category);
    routes.action("/shops/{shop}/categories/{id}", EDIT, change, change_json);
    let (delete, delete_json) = (categories::delete_form, categories::delete_category);
    routes.action("/shops/{shop}/categories/{id}/delete", EDIT, delete, delete_json);
}

/// The goods that the path names.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub GoodsId);

impl FromRequest for At {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|id| id.parse().ok());
        let id = id.and_then(|id: i64| GoodsId::parse(id).ok());
        ready(id.map(Self).ok_or_else(|| ApiError::not_found("id")))
    }
}

/// Where the goods of the path's mini-program are.
fn base(staff: &Staff) -> Result<String, ApiError> {
    Ok(format!("/admin/shops/{}/goods", staff.shop()?.wxapp.id))
}

async fn find(app: &AppState, staff: &Staff, at: At) -> Result<GoodsSheet, ApiError> {
    let found = goods::goods_sheet(&app.readers, staff.shop()?.wxapp.id, at.0).await?;
    found.ok_or_else(|| ApiError::not_found("id"))
}

/// A moment as a browser's field for date and time has it, in the shop's time zone (+08:00).
fn moment(text: &str) -> Option<Timestamp> {
    let at: DateTime = text.trim().parse().ok()?;
    let at = TimeZone::fixed(offset(8)).to_timestamp(at).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

/// The same, to be shown in such a field.
fn moment_text(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map(|at| TimeZone::fixed(offset(8)).to_datetime(at))
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn moments_are_those_of_the_shop() {
        let at = moment("2026-11-25T20:00").unwrap();
        assert_eq!(moment_text(at), "2026-11-25T20:00:00");
        assert_eq!(moment(&moment_text(at)), Some(at));
        assert_eq!(at.as_millis(), 1_795_608_000_000);
        for bad in ["", "2026-11-25x", "20:00", "2026-13-01T00:00"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
