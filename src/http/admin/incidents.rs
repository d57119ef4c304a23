//! The inbox of incidents: payments that WeChat has signed and that fit no order. Matched with one,
//! given back at the merchant platform, or dismissed; always with a reason.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Access, Routes};
use super::form::Form;
use super::guard::Staff;
use super::orders::{clerk, desk as the_desk, json::by, refusals};
use super::render::{self, Frame, Trouble};
use crate::actors::desk::{Acted, Clerk, DeskError};
use crate::domain::desk::Resolution;
use crate::domain::id::{IncidentId, OrderId};
use crate::domain::money::Money;
use crate::domain::staff::Right;
use crate::http::error::ApiError;
use crate::http::extract::{Json, Query};
use crate::http::openapi::Refusals;
use crate::http::shop::views::time;
use crate::http::{AppState, auth, page};
use crate::store::desk::{self, IncidentRow};

const ACCESS: Access = Access::Shop(Right::Incidents);
/// The name that cursors of this list carry.
const LIST: &str = "incidents";
const PAGE: u32 = 50;
const STATES: [&str; 4] = ["open", "matched", "refunded", "dismissed"];

pub fn routes(routes: &mut Routes) {
    routes.page("/shops/{shop}/incidents", ACCESS, list);
    routes.read("/shops/{shop}/incidents", ACCESS, list_incidents);
    routes.page("/shops/{shop}/incidents/{id}", ACCESS, show);
    routes.action("/shops/{shop}/incidents/{id}", ACCESS, settle_form, settle_incident);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    state: Option<String>,
    cursor: Option<String>,
    done: Option<String>,
}

impl Wanted {
    fn state(&self) -> Result<&str, ApiError> {
        let state = self.state.as_deref().unwrap_or("open");
        let known = STATES.contains(&state);
        if known { Ok(state) } else { Err(ApiError::invalid("state", "no such state")) }
    }
}

#[derive(Template)]
#[template(path = "admin/incidents.html")]
struct IncidentsPage {
    frame: Frame,
    base: String,
    state: String,
    rows: Vec<IncidentRow>,
    next: Option<String>,
}

impl IncidentsPage {
    fn states(&self) -> [&'static str; 4] {
        STATES
    }
}

fn yuan(fen: &i64) -> Money {
    Money::from_fen(*fen)
}

async fn list(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let (shop, state) = (staff.shop()?.wxapp.id, wanted.state()?);
    let after = page::after(LIST, wanted.cursor.as_deref())?;
    let found = desk::incidents(&app.readers, shop, state, after, PAGE).await?;
    let done = wanted.done.as_deref().filter(|done| *done == "settled");
    let said = done.map(|done| staff.tongue.word("done", done));
    let next = found.next.map(|next| page::cursor(LIST, next));
    render::page(&IncidentsPage {
        frame: Frame::of(&staff, "incidents").notice(said.as_deref()),
        base: format!("/admin/shops/{shop}/incidents"),
        state: state.to_owned(),
        rows: found.items,
        next: next.map(|cursor| format!("?state={state}&cursor={cursor}")),
    })
}

#[derive(Template)]
#[template(path = "admin/incident.html")]
struct IncidentPage {
    frame: Frame,
    base: String,
    incident: IncidentRow,
    given: Form,
    key: String,
}

impl IncidentPage {
    fn how(&self) -> [(&'static str, &'static str); 3] {
        let o = self.frame.o;
        [("matched", o.how_matched), ("refunded", o.how_refunded), ("dismissed", o.how_dismissed)]
    }
    fn chosen(&self, how: &str) -> bool {
        self.given.value("how") == how
    }
}

/// The id of the path; what is none is not found.
fn id(at: &(i64, i64)) -> Result<IncidentId, ApiError> {
    IncidentId::parse(at.1).map_err(|_| ApiError::not_found("id"))
}

async fn incident_page(
    app: &AppState,
    staff: &Staff,
    id: IncidentId,
    (frame, given): (Frame, Form),
) -> Result<IncidentPage, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let incident = desk::incident(&app.readers, shop, id).await?;
    let incident = incident.ok_or_else(|| ApiError::not_found("id"))?;
    let base = format!("/admin/shops/{shop}/incidents");
    Ok(IncidentPage { frame, base, incident, given, key: auth::new_token() })
}

async fn show(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&staff, "incidents");
    render::page(&incident_page(&app, &staff, id(&at)?, (frame, Form::default())).await?)
}

async fn settle(
    app: &AppState,
    by: &Clerk,
    id: IncidentId,
    how: Resolution,
    reason: &str,
) -> Result<Acted, DeskError> {
    the_desk(app).resolve_incident(by, id, how, reason).await
}

/// The order with exactly this number.
async fn numbered(app: &AppState, by: &Clerk, number: &str) -> Result<Option<OrderId>, ApiError> {
    let number = number.trim();
    let found = desk::search(&app.readers, by.wxapp, number, false).await?;
    let order = found.into_iter().find(|found| found.order.order_no == number);
    Ok(order.map(|found| found.order.id))
}

async fn settle_form(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let (id, by, o) = (id(&at)?, clerk(&staff, form.value("key"))?, staff.tongue.orders());
    let how = match form.value("how") {
        "matched" => match numbered(&app, &by, form.value("order_no")).await? {
            Some(order) => Ok(Resolution::Matched(order)),
            None => Err(Trouble::new("order_no", o.no_such_order)),
        },
        "refunded" => Ok(Resolution::Refunded),
        "dismissed" => Ok(Resolution::Dismissed),
        _ => Err(Trouble::new("how-matched", o.choose_how)),
    };
    let trouble = match how {
        Err(trouble) => trouble,
        Ok(how) => match settle(&app, &by, id, how, form.value("reason")).await {
            Ok(_) => {
                let place = format!("/admin/shops/{}/incidents?done=settled", by.wxapp);
                return Ok(render::see(&place));
            }
            Err(error) => refusals::trouble(error, staff.tongue)?,
        },
    };
    let frame = Frame::of(&staff, "incidents").problems(vec![trouble]);
    let page = incident_page(&app, &staff, id, (frame, form)).await?;
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Word of money that fits nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminIncident)]
pub struct IncidentJson {
    id: i64,
    transaction_id: String,
    out_trade_no: String,
    amount_fen: i64,
    /// `unknown_number`, `wrong_amount`, `wrong_attach`, `wrong_mini_program`.
    reason: String,
    /// `open`, `matched`, `refunded`, `dismissed`.
    state: String,
    seen: i64,
    created_at: String,
    resolution: Option<String>,
    order_id: Option<i64>,
}

impl From<IncidentRow> for IncidentJson {
    fn from(row: IncidentRow) -> Self {
        Self {
            id: row.id,
            transaction_id: row.transaction_id,
            out_trade_no: row.out_trade_no,
            amount_fen: row.amount_fen,
            reason: row.reason,
            state: row.state,
            seen: row.seen,
            created_at: time(row.created_at),
            resolution: row.resolution,
            order_id: row.order_id,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminIncidents)]
pub struct IncidentsJson {
    items: Vec<IncidentJson>,
    next_cursor: Option<String>,
}

/// Incidents in one state, the newest first; the open ones unless another is named.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/incidents", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"),
        ("state" = Option<String>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = IncidentsJson), Refusals), security(("staff" = [])))]
pub async fn list_incidents(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<web::Json<IncidentsJson>, ApiError> {
    let (shop, state) = (staff.shop()?.wxapp.id, wanted.state()?);
    let after = page::after(LIST, wanted.cursor.as_deref())?;
    let found = desk::incidents(&app.readers, shop, state, after, PAGE).await?;
    Ok(web::Json(IncidentsJson {
        items: found.items.into_iter().map(IncidentJson::from).collect(),
        next_cursor: found.next.map(|next| page::cursor(LIST, next)),
    }))
}

/// How an incident ends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminSettlement)]
pub struct SettleBody {
    /// `matched`, `refunded`, `dismissed`.
    how: String,
    /// The order it belongs to; with `matched` only.
    order_id: Option<i64>,
    /// 1 to 120 characters.
    reason: String,
}

impl SettleBody {
    fn how(&self) -> Result<Resolution, ApiError> {
        match (self.how.as_str(), self.order_id) {
            ("matched", Some(order)) => {
                let order = OrderId::parse(order).map_err(|_| ApiError::not_found("order_id"))?;
                Ok(Resolution::Matched(order))
            }
            ("matched", None) => Err(ApiError::invalid("order_id", "needed with `matched`")),
            ("refunded", None) => Ok(Resolution::Refunded),
            ("dismissed", None) => Ok(Resolution::Dismissed),
            (_, Some(_)) => Err(ApiError::invalid("order_id", "only with `matched`")),
            _ => Err(ApiError::invalid("how", "matched, refunded or dismissed")),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminSettled)]
pub struct SettledJson {
    /// The `Idempotency-Key` had acted before; nothing has changed.
    repeated: bool,
}

/// Ends an incident, with a reason.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/incidents/{id}", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = SettleBody,
    responses((status = 200, body = SettledJson), Refusals), security(("staff" = [])))]
pub async fn settle_incident(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
    request: HttpRequest,
    Json(body): Json<SettleBody>,
) -> Result<web::Json<SettledJson>, ApiError> {
    let by = by(&request, &staff)?;
    let acted = settle(&app, &by, id(&at)?, body.how()?, &body.reason).await?;
    Ok(web::Json(SettledJson { repeated: acted.repeated }))
}
