//! The audit log: entries of the site's own changes, and the pages to read all of them.

use std::collections::BTreeMap;

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::{Access, Routes};
use super::facts;
use super::guard::Staff;
use super::render::{self, Frame};
use super::texts::Tongue;
use crate::actors::journal::JournalError;
use crate::domain::id::{IdempotencyKey, WxappId};
use crate::domain::staff::{Grants, Right, Scope};
use crate::http::AppState;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::openapi::Refusals;
use crate::http::page;
use crate::http::shop::orders::IDEMPOTENCY_KEY;
use crate::http::shop::views::time;
use crate::store::Write;
use crate::store::staff::log::{self, About, AuditRow, COMMAND_LINE, Entry};

/// The name that cursors of this list carry.
const LIST: &str = "audit";
/// Entries of a page.
const PAGE: u32 = 50;
/// Kinds of things that entries are about.
const KINDS: &[&str] =
    &["order", "incident", "message", "sku", "goods", "category", "staff", "token"];

const HERE: Access = Access::Shop(Right::Audit);
const EVERYWHERE: Access = Access::Everywhere(Right::Audit);

pub fn routes(routes: &mut Routes) {
    routes.page("/audit", EVERYWHERE, list);
    routes.read("/audit", EVERYWHERE, list_all);
    routes.page("/shops/{shop}/audit", HERE, list);
    routes.read("/shops/{shop}/audit", HERE, list_json);
}

/// What is written down of a change.
pub(super) struct Noted {
    pub what: &'static str,
    pub about: About,
    pub before: Value,
    pub after: Value,
}

/// The entry for a change that this caller makes; it belongs into the commit of the change.
pub(super) async fn entry(app: &AppState, by: &Staff, noted: Noted) -> Result<Write, ApiError> {
    keyed(app, by, noted, "").await
}

/// The same under the one-time key of a form; an empty one is none. A key that has acted before
/// makes the journal refuse the whole change.
pub(super) async fn keyed(
    app: &AppState,
    by: &Staff,
    noted: Noted,
    key: &str,
) -> Result<Write, ApiError> {
    let bad = |_| ApiError::invalid("key", "1 to 64 visible ASCII characters");
    let key = match key {
        "" => None,
        key => Some(IdempotencyKey::parse(key).map_err(bad)?.to_string()),
    };
    let entry = Entry {
        id: app.ids.draw_one().await.map_err(ApiError::unavailable)?,
        who: Some(by.id()),
        shop: by.shop_if_named().map(|shop| shop.wxapp.id),
        what: noted.what,
        about: noted.about,
        before: noted.before,
        after: noted.after,
        key,
    };
    Ok(log::entry(app.readers.backend(), entry, app.clock.now()))
}

/// The one-time key of a program's call; without the header none. One that cannot be read is
/// refused: left out, the repeat would act again.
pub(super) fn header_key(request: &HttpRequest) -> Result<&str, ApiError> {
    let Some(header) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok("") };
    let key = header.to_str().ok().filter(|key| IdempotencyKey::parse(*key).is_ok());
    let bad = || ApiError::invalid(IDEMPOTENCY_KEY, "1 to 64 visible ASCII characters");
    key.ok_or_else(bad)
}

/// Whether a form with this key has acted already.
pub(super) async fn has_acted(app: &AppState, by: &Staff, key: &str) -> Result<bool, ApiError> {
    Ok(!key.is_empty() && log::has_acted(&app.readers, by.id(), key).await?)
}

/// Writes a change that the database may refuse. `false`: the form was sent before, or a condition
/// of the change does not hold, and nothing has changed.
pub(super) async fn once(app: &AppState, write: Write) -> Result<bool, ApiError> {
    match app.journal.write(write).await {
        Ok(()) => Ok(true),
        Err(JournalError::Refused) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Roles as entries and programs name them: mini-program id, or `all`, to role.
pub(super) fn roles(grants: &Grants) -> BTreeMap<String, &'static str> {
    let key = |scope: &Scope| match scope {
        Scope::All => "all".to_owned(),
        Scope::One(id) => id.to_string(),
    };
    grants.0.iter().map(|(scope, role)| (key(scope), role.as_str())).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Only about one thing: `order`, `staff`, ..., with its id.
    kind: Option<String>,
    id: Option<i64>,
    cursor: Option<String>,
}

impl Wanted {
    fn about(&self) -> Result<Option<(&str, i64)>, ApiError> {
        match (self.kind.as_deref(), self.id) {
            (None, None) => Ok(None),
            (Some(kind), Some(id)) if KINDS.contains(&kind) => Ok(Some((kind, id))),
            _ => Err(ApiError::invalid("kind", "a known kind, and an id with it")),
        }
    }
}

/// An entry as it is shown.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AdminAuditEntry)]
pub struct EntryView {
    id: i64,
    at: String,
    /// The log-in of who did it; empty for the command line.
    who: String,
    action: String,
    /// `order`, `incident`, `staff`, `token`, ...
    kind: String,
    subject_id: i64,
    #[schema(value_type = Object)]
    before: Value,
    #[schema(value_type = Object)]
    after: Value,
    reason: String,
    #[serde(skip)]
    shown_at: String,
    /// The number of the order that it is about.
    #[serde(skip)]
    order_no: Option<String>,
}

impl EntryView {
    fn facts(&self, tongue: Tongue, value: &Value) -> Vec<(String, String)> {
        let all = value.as_object().into_iter().flatten();
        let said = |(name, value): (&String, &Value)| {
            (tongue.word("fact", name), facts::value(tongue, &self.kind, name, value))
        };
        all.map(said).collect()
    }
    fn before(&self, frame: &Frame) -> Vec<(String, String)> {
        self.facts(frame.tongue, &self.before)
    }
    fn after(&self, frame: &Frame) -> Vec<(String, String)> {
        self.facts(frame.tongue, &self.after)
    }
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AdminAuditEntries)]
pub struct Entries {
    items: Vec<EntryView>,
    next_cursor: Option<String>,
}

async fn read(app: &AppState, staff: &Staff, wanted: &Wanted) -> Result<Entries, ApiError> {
    let shop = staff.shop_if_named().map(|shop| shop.wxapp.id);
    let after = page::after(LIST, wanted.cursor.as_deref())?;
    let found = log::entries(&app.readers, shop, wanted.about()?, after, PAGE).await?;
    let logins = log::logins(&app.readers).await?;
    let orders = found.items.iter().filter(|row| row.subject == "order");
    let numbers = log::order_numbers(&app.readers, orders.map(|row| row.subject_id).collect());
    let numbers = numbers.await?;
    let shown = |row: AuditRow| EntryView {
        who: who(&logins, row.staff_id),
        order_no: numbers.get(&row.subject_id).filter(|_| row.subject == "order").cloned(),
        ..view(row, may_see_people(staff, shop))
    };
    Ok(Entries {
        items: found.items.into_iter().map(shown).collect(),
        next_cursor: found.next.map(|next| page::cursor(LIST, next)),
    })
}

fn may_see_people(staff: &Staff, shop: Option<WxappId>) -> bool {
    shop.is_some_and(|shop| staff.may(Right::PersonalData, shop))
}

fn who(logins: &BTreeMap<i64, String>, id: i64) -> String {
    match id {
        COMMAND_LINE => String::new(),
        id => logins.get(&id).cloned().unwrap_or_else(|| id.to_string()),
    }
}

/// Addresses only for those who may see them.
fn view(row: AuditRow, people: bool) -> EntryView {
    let masked = row.action == "change_address" && !people;
    let read = |json: &str| {
        let value: Value = serde_json::from_str(json).unwrap_or_default();
        match value {
            Value::Object(facts) if masked => {
                facts.into_iter().map(|(name, _)| (name, Value::from("***"))).collect()
            }
            value => value,
        }
    };
    EntryView {
        id: row.id,
        at: time(row.at),
        who: String::new(),
        before: read(&row.before),
        after: read(&row.after),
        action: row.action,
        kind: row.subject,
        subject_id: row.subject_id,
        reason: row.reason,
        shown_at: render::time(row.at),
        order_no: None,
    }
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    frame: Frame,
    entries: Vec<EntryView>,
    /// Where the next page is.
    next: Option<String>,
    shop: Option<i64>,
}

async fn list(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let found = read(&app, &staff, &wanted).await?;
    let about = wanted.about()?.map(|(kind, id)| format!("&kind={kind}&id={id}"));
    let about = about.unwrap_or_default();
    let place = if staff.shop_if_named().is_some() { "log" } else { "audit" };
    render::page(&AuditPage {
        frame: Frame::of(&staff, place),
        entries: found.items,
        next: found.next_cursor.map(|cursor| format!("?cursor={cursor}{about}")),
        shop: staff.shop_if_named().map(|shop| shop.wxapp.id.get()),
    })
}

/// Who changed what of accounts, roles, log-ins and tokens, the newest first.
#[utoipa::path(get, path = "/api/admin/v1/audit", tag = "admin",
    params(("kind" = Option<String>, Query, description = "`staff`, `token`"), ("id" = Option<i64>, Query),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Entries), Refusals), security(("staff" = [])))]
pub async fn list_all(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<web::Json<Entries>, ApiError> {
    Ok(web::Json(read(&app, &staff, &wanted).await?))
}

/// Who did what in a mini-program, the newest first. Addresses only for who may see them.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/audit", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"),
        ("kind" = Option<String>, Query, description = "`order`, `incident`, ..."),
        ("id" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Entries), Refusals), security(("staff" = [])))]
pub async fn list_json(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<web::Json<Entries>, ApiError> {
    Ok(web::Json(read(&app, &staff, &wanted).await?))
}
