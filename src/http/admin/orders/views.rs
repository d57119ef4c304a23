//! Filters that a member of staff keeps for himself.

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::filter::Wanted;
use crate::domain::id::WxappId;
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::log::{self, Noted};
use crate::http::admin::render;
use crate::http::error::{ApiError, Code};
use crate::http::extract::{Json, text};
use crate::http::openapi::Refusals;
use crate::store::staff::log::About;
use crate::store::staff::views::{self, QUERY_MAX, VIEWS_MAX, View};

/// A filter under a name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminNewView)]
pub struct NewView {
    /// 1 to 32 characters.
    name: String,
    /// As in the address of the list.
    #[schema(example = "state=paid")]
    query: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminView)]
pub struct ViewJson {
    id: i64,
    name: String,
    query: String,
}

impl From<View> for ViewJson {
    fn from(View { id, name, query }: View) -> Self {
        Self { id, name, query }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminViews)]
pub struct ViewsJson {
    items: Vec<ViewJson>,
}

fn shop(staff: &Staff) -> Result<WxappId, ApiError> {
    Ok(staff.shop()?.wxapp.id)
}

async fn keep(app: &AppState, staff: &Staff, new: NewView, key: &str) -> Result<View, ApiError> {
    let name = text("name", &new.name, 1, 32)?;
    // Only what is a filter, in the one way to write it.
    let query = Wanted::parse(&new.query)?.kept();
    if query.len() > QUERY_MAX {
        return Err(ApiError::invalid("query", "too long"));
    }
    let shop = shop(staff)?;
    if views::of(&app.readers, staff.id(), shop).await?.len() >= VIEWS_MAX {
        return Err(ApiError::new(Code::LimitExceeded).with("limit", VIEWS_MAX));
    }
    let id = app.ids.draw_one().await.map_err(ApiError::unavailable)?;
    let view = View { id, name, query };
    let after = json!({"name": view.name, "query": view.query});
    let about = About::staff(staff.id());
    let noted = Noted { what: "keep_view", about, before: json!({}), after };
    let entry = log::keyed(app, staff, noted, key).await?;
    let (backend, now) = (app.readers.backend(), app.clock.now());
    let write = views::insert(backend, (staff.id(), shop), &view, now);
    log::once(app, write.then(entry)).await?;
    Ok(view)
}

async fn forget(app: &AppState, staff: &Staff, id: i64) -> Result<(), ApiError> {
    let shop = shop(staff)?;
    let own = views::of(&app.readers, staff.id(), shop).await?;
    let view = own.iter().find(|view| view.id == id);
    let view = view.ok_or_else(|| ApiError::not_found("id"))?;
    let before = json!({"name": view.name, "query": view.query});
    let about = About::staff(staff.id());
    let noted = Noted { what: "forget_view", about, before, after: json!({}) };
    let entry = log::entry(app, staff, noted).await?;
    let write = views::delete(app.readers.backend(), staff.id(), shop, id);
    Ok(app.journal.write(write.then(entry)).await?)
}

/// The filters that the token's maker has kept.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/orders/views", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id")),
    responses((status = 200, body = ViewsJson), Refusals), security(("staff" = [])))]
pub async fn list_views(
    app: Data<AppState>,
    staff: Staff,
) -> Result<web::Json<ViewsJson>, ApiError> {
    let own = views::of(&app.readers, staff.id(), shop(&staff)?).await?;
    Ok(web::Json(ViewsJson { items: own.into_iter().map(ViewJson::from).collect() }))
}

/// Keeps a filter; at most 20.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/orders/views", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id")), request_body = NewView,
    responses((status = 200, body = ViewJson), Refusals), security(("staff" = [])))]
pub async fn keep_view(
    app: Data<AppState>,
    staff: Staff,
    Json(new): Json<NewView>,
) -> Result<web::Json<ViewJson>, ApiError> {
    Ok(web::Json(keep(&app, &staff, new, "").await?.into()))
}

/// Deletes a filter.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/orders/views/{id}/forget", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path)),
    responses((status = 204, description = "It is gone"), Refusals),
    security(("staff" = [])))]
pub async fn forget_view(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
) -> Result<HttpResponse, ApiError> {
    forget(&app, &staff, at.1).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn keep_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let new =
        NewView { name: form.value("name").to_owned(), query: form.value("query").to_owned() };
    let place = format!("/admin/shops/{}/orders", shop(&staff)?);
    match keep(&app, &staff, new, form.value("key")).await {
        Ok(view) => Ok(render::see(&format!("{place}?{}", joined(&view.query, "done=saved")))),
        Err(error) if error.code() == Code::LimitExceeded => {
            Ok(render::see(&format!("{place}?done=views_full")))
        }
        Err(error) => Err(error),
    }
}

fn joined(query: &str, more: &str) -> String {
    if query.is_empty() { more.to_owned() } else { format!("{query}&{more}") }
}

pub async fn forget_form(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
) -> Result<HttpResponse, ApiError> {
    forget(&app, &staff, at.1).await?;
    Ok(render::see(&format!("/admin/shops/{}/orders?done=saved", shop(&staff)?)))
}
