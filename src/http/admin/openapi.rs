//! `/api/admin/v1` in the OpenAPI document.

use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::orders::{detail, json, list, views};
use super::{goods, incidents, log, people, shipping, tokens};

/// The calls of the admin site for programs.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = AdminDoc::openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token that staff have made at `/admin/tokens`"))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("staff", SecurityScheme::Http(bearer));
    document
}

#[derive(OpenApi)]
#[openapi(paths(
    list::list_orders,
    detail::get_order,
    detail::reveal_order,
    views::list_views,
    views::keep_view,
    views::forget_view,
    json::ship,
    json::correct,
    json::add_note,
    json::change_address,
    json::change_price,
    json::cancel,
    json::release,
    json::refund,
    json::complete,
    json::ask_wechat,
    shipping::json::scan,
    shipping::json::take_back,
    shipping::files::export_json,
    shipping::files::check_json,
    shipping::files::ship_json,
    shipping::slips::print_json,
    goods::list::list_goods,
    goods::edit::create_goods,
    goods::detail::get_goods,
    goods::edit::save_goods,
    goods::detail::set_sale,
    goods::stock::move_stock,
    goods::ledger::list_ledger,
    goods::categories::list_categories,
    goods::categories::add_category,
    goods::categories::change_category,
    goods::categories::delete_category,
    incidents::list_incidents,
    incidents::settle_incident,
    log::list_all,
    log::list_json,
    people::json::list_json,
    people::json::add_json,
    people::json::roles_json,
    people::json::state_json,
    people::json::password_json,
    tokens::list_json,
    tokens::add_json,
    tokens::revoke_json,
))]
struct AdminDoc;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::super::access::Face;
    use super::super::routes;

    #[test]
    fn the_document_has_the_calls_of_the_table_and_no_others() {
        let table = routes().table().0.into_iter().filter(|entry| entry.face == Face::Json);
        let table = table
            .map(|entry| format!("{} {}", entry.method.as_str().to_lowercase(), entry.pattern));
        let document = serde_json::to_value(super::document()).unwrap();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            documented
                .extend(item.as_object().unwrap().keys().map(|call| format!("{call} {path}")));
        }
        assert_eq!(table.collect::<BTreeSet<_>>(), documented);
    }
}
