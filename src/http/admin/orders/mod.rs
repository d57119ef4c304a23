//! Orders: the list, one order, and all that staff do to it. Each action is one function
//! ([`acts`]) that its form ([`forms`]) and its JSON twin ([`json`]) call.

mod acts;
pub(super) mod detail;
pub(super) mod doc;
mod filter;
mod forms;
pub(super) mod json;
pub(super) mod list;
pub(super) mod mask;
pub(super) mod refusals;
pub(super) mod views;

use std::time::Duration;

use super::access::{Access, Routes};
use super::guard::Staff;
use crate::actors::desk::{Clerk, Desk, DeskSettings};
use crate::domain::id::IdempotencyKey;
use crate::domain::money::Money;
use crate::domain::staff::Right;
use crate::http::AppState;
use crate::http::error::ApiError;
use forms::Act;

const READ: Access = Access::Shop(Right::OrdersRead);

pub fn routes(routes: &mut Routes) {
    routes.page("/shops/{shop}/orders", READ, list::show);
    routes.read("/shops/{shop}/orders", READ, list::list_orders);
    routes.read("/shops/{shop}/orders/views", READ, views::list_views);
    routes.action("/shops/{shop}/orders/views", READ, views::keep_form, views::keep_view);
    let forget = "/shops/{shop}/orders/views/{id}/forget";
    routes.action(forget, READ, views::forget_form, views::forget_view);
    routes.page("/shops/{shop}/orders/{id}", READ, detail::show);
    routes.read("/shops/{shop}/orders/{id}", READ, detail::get_order);
    let reveal = "/shops/{shop}/orders/{id}/reveal";
    let people = Access::Shop(Right::PersonalData);
    routes.action(reveal, people, detail::reveal_form, detail::reveal_order);
    act(routes, Act::Note, json::add_note);
    act(routes, Act::Address, json::change_address);
    act(routes, Act::Price, json::change_price);
    act(routes, Act::Cancel, json::cancel);
    act(routes, Act::Release, json::release);
    act(routes, Act::Refund, json::refund);
    act(routes, Act::Complete, json::complete);
    act(routes, Act::Ship, json::ship);
    act(routes, Act::Correct, json::correct);
    let ask = "/shops/{shop}/orders/{id}/ask";
    let may_ask = Access::Shop(Right::OrdersAskWechat);
    routes.page(ask, may_ask, forms::show_ask);
    routes.action(ask, may_ask, forms::ask_form, json::ask_wechat);
}

/// The page of an action, its form, and its twin; all under the action's own right.
fn act<J, Args>(routes: &mut Routes, act: Act, json: J)
where
    J: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    J::Output: actix_web::Responder + 'static,
{
    let (path, access) = (act.path(), Access::Shop(act.right()));
    routes.page(&path, access, move |app, staff, at| forms::show(act, app, staff, at));
    let form = move |app, staff, at, form| forms::post(act, app, staff, at, form);
    routes.action(&path, access, form, json);
}

/// The engine's desk.
pub(super) fn desk(app: &AppState) -> Desk {
    let settings = DeskSettings {
        max_order: Money::from_fen(app.config.engine.max_order_fen),
        wechat_wait: Duration::from_millis(app.config.engine.cancel_wait_ms),
    };
    Desk::new(app.directory.clone(), app.journal.clone(), settings)
}

/// Who acts, where, under which one-time key; an empty one is none.
pub(super) fn clerk(staff: &Staff, key: &str) -> Result<Clerk, ApiError> {
    let bad = |_| ApiError::invalid("key", "1 to 64 visible ASCII characters");
    let key = match key {
        "" => None,
        key => Some(IdempotencyKey::parse(key).map_err(bad)?),
    };
    Ok(Clerk { wxapp: staff.shop()?.wxapp.id, staff: staff.id(), key })
}
