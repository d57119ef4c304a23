//! The API described: `/api/openapi.json`, and a page to read and try it, `/api/docs`.

use std::collections::BTreeMap;

use actix_web::web::{self, ServiceConfig};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use super::error::{PROBLEM_JSON, Problem};
use super::{health, shop};

pub fn routes(config: &mut ServiceConfig) {
    let page = SwaggerUi::new("/api/docs/{_:.*}").url("/api/openapi.json", document());
    config.service(web::redirect("/api/docs", "/api/docs/")).service(page);
}

/// The whole contract as an OpenAPI 3.1 document.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = ApiDoc::openapi();
    document.merge(super::admin::openapi::document());
    document
}

/// How every call may refuse.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description("Refused: decide by `code`; `message` may be shown to the buyer")
            .content(PROBLEM_JSON, problem)
            .build();
        BTreeMap::from([("default".to_owned(), response.into())])
    }
}

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token of `POST /api/v1/session`"))
            .build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("buyer", SecurityScheme::Http(bearer));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "buynow",
        description = "The shop of a WeChat mini-program. Ids are numbers below 2^53, money is \
            integer fen, times are RFC 3339 in UTC; unknown request fields are refused. The \
            header `X-WX-APPID` names the mini-program; it may be left out while the server has \
            only one. `Accept-Language: en` asks for English messages. `/api/admin/v1` is for programs \
            of the staff, with tokens of their own."
    ),
    paths(
        shop::session::log_in,
        shop::session::log_out,
        shop::me::get_me,
        shop::me::patch_me,
        shop::goods::list_categories,
        shop::goods::list_goods,
        shop::goods::get_goods,
        shop::addresses::list_addresses,
        shop::addresses::add_address,
        shop::addresses::replace_address,
        shop::addresses::delete_address,
        shop::addresses::make_address_default,
        shop::checkout::checkout,
        shop::orders::place_order,
        shop::orders::list_orders,
        shop::orders::get_order,
        shop::orders::get_order_by_no,
        shop::orders::pay_order,
        shop::orders::cancel_order,
        shop::receipt::confirm_receipt,
        shop::messages::list_templates,
        shop::messages::report_grants,
        health::healthz,
        health::readyz,
        health::metrics,
    ),
    components(schemas(Problem)),
    modifiers(&Security)
)]
struct ApiDoc;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_document_is_openapi_3_1_and_names_every_call() {
        let document = serde_json::to_value(document()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let calls: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        for call in [
            "post /api/v1/session",
            "delete /api/v1/session",
            "patch /api/v1/me",
            "get /api/v1/categories",
            "get /api/v1/goods/{id}",
            "put /api/v1/addresses/{id}/default",
            "post /api/v1/checkout",
            "post /api/v1/orders",
            "get /api/v1/orders/by-no/{out_trade_no}",
            "post /api/v1/orders/{id}/payment",
            "post /api/v1/orders/{id}/cancel",
            "post /api/v1/orders/{id}/receipt",
            "post /api/v1/message-grants",
        ] {
            assert!(calls.contains(&call.to_owned()), "{call} of {calls:?}");
        }
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let text = serde_json::to_string(&document()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
        }
    }
}
