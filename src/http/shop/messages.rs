//! What the buyer may be told: `/message-templates`, `/message-grants`.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::notification::{Event, TemplateKind};
use crate::http::AppState;
use crate::http::auth::{Shopper, Tenant};
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::openapi::Refusals;
use crate::store::{accounts, outbox};

/// How many messages of one template a buyer can have agreed to: what the client reports is a hint.
pub const GRANTS_MAX: i64 = 20;
/// `wx.requestSubscribeMessage` takes at most 5 templates at once.
const TEMPLATES_MAX: usize = 5;

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/message-templates").route(web::get().to(list_templates)))
        .service(web::resource("/message-grants").route(web::post().to(report_grants)));
}

/// The templates that `wx.requestSubscribeMessage` should ask for.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageTemplates {
    pub items: Vec<MessageTemplate>,
}

/// A template and what it tells of.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageTemplate {
    #[schema(value_type = String, example = "order_paid")]
    pub event: Event,
    pub template_id: String,
}

/// Templates of this shop.
#[utoipa::path(get, path = "/api/v1/message-templates", tag = "messages",
    responses((status = 200, body = MessageTemplates), Refusals))]
pub async fn list_templates(Tenant(shop): Tenant) -> web::Json<MessageTemplates> {
    let asked = shop.wxapp.templates.iter();
    let asked = asked.filter(|(_, template)| template.kind == TemplateKind::Subscribe);
    let item = |(event, template): (&Event, &crate::domain::notification::MessageTemplate)| {
        MessageTemplate { event: *event, template_id: template.template_id.clone() }
    };
    web::Json(MessageTemplates { items: asked.map(item).collect() })
}

/// The templates that the buyer accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    #[schema(max_items = 5)]
    template_ids: Vec<String>,
}

/// Reports what the buyer accepted in `wx.requestSubscribeMessage`.
#[utoipa::path(post, path = "/api/v1/message-grants", tag = "messages", security(("buyer" = [])),
    request_body = Grants, responses((status = 204), Refusals))]
pub async fn report_grants(
    state: Data<AppState>,
    shopper: Shopper,
    Json(grants): Json<Grants>,
) -> Result<HttpResponse, ApiError> {
    let known: Vec<&str> =
        shopper.shop.wxapp.templates.values().map(|t| t.template_id.as_str()).collect();
    let accepted = accepted(grants.template_ids, &known)?;
    let (backend, now) = (state.readers.backend(), state.clock.now());
    let (wxapp, user) = (shopper.shop.wxapp.id, shopper.user);
    let grants = accounts::add_grants(backend, wxapp, user, &accepted, GRANTS_MAX, now);
    // What waits for this consent need not wait any longer.
    state.journal.write(grants.then(outbox::wake(backend, wxapp, user, now))).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Each accepted template once; one that this shop does not have is refused.
fn accepted(mut ids: Vec<String>, known: &[&str]) -> Result<Vec<String>, ApiError> {
    if ids.len() > TEMPLATES_MAX {
        return Err(ApiError::invalid("template_ids", format!("at most {TEMPLATES_MAX}")));
    }
    if let Some(index) = ids.iter().position(|id| !known.contains(&id.as_str())) {
        let field = format!("template_ids[{index}]");
        return Err(ApiError::invalid(&field, "no template of this shop"));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::accepted;

    #[test]
    fn only_known_templates_count_and_each_once() {
        let ids = |ids: &[&str]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(accepted(ids(&["b", "a", "b"]), &["a", "b"]).unwrap(), ids(&["a", "b"]));
        assert!(accepted(ids(&["a", "x"]), &["a", "b"]).is_err());
        assert!(accepted(ids(&["a"; 6]), &["a"]).is_err());
    }
}
