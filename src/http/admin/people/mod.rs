//! Staff: accounts and what they may do where. Nobody gives what he does not hold, and one owner
//! who can log in always stays.

pub mod actions;
pub(super) mod json;
mod pages;

use super::access::{Access, Routes};
use crate::domain::staff::Right;

const ACCESS: Access = Access::Everywhere(Right::Staff);

pub fn routes(routes: &mut Routes) {
    routes.page("/people", ACCESS, pages::list);
    routes.read("/people", ACCESS, json::list_json);
    routes.action("/people", ACCESS, pages::add_form, json::add_json);
    routes.page("/people/{id}", ACCESS, pages::show);
    routes.action("/people/{id}/roles", ACCESS, pages::roles_form, json::roles_json);
    routes.action("/people/{id}/state", ACCESS, pages::state_form, json::state_json);
    routes.action("/people/{id}/password", ACCESS, pages::password_form, json::password_json);
}
