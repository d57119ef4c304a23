//! API tokens: scoped, expiring, shown once, and never worth more than their maker.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::{Access, Routes};
use super::form::Form;
use super::guard::Staff;
use super::log::{self, Noted};
use super::render::{self, Frame, Trouble};
use crate::domain::id::WxappId;
use crate::domain::staff::{Right, Scope};
use crate::http::error::{ApiError, Code};
use crate::http::extract::{Json, PathId, text};
use crate::http::openapi::Refusals;
use crate::http::shop::views::time;
use crate::http::{AppState, auth};
use crate::store::staff::log::{About, logins};
use crate::store::staff::tokens::{self, AdminToken};
use crate::store::wxapps;

const ACCESS: Access = Access::Everywhere(Right::Tokens);
/// The longest a token is good for.
const DAYS_MAX: i64 = 365;
const DAY_SECONDS: i64 = 24 * 3600;

pub fn routes(routes: &mut Routes) {
    routes.page("/tokens", ACCESS, list);
    routes.read("/tokens", ACCESS, list_json);
    routes.action("/tokens", ACCESS, add_form, add_json);
    routes.action("/tokens/{id}/revoke", ACCESS, revoke_form, revoke_json);
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminNewToken)]
pub struct NewToken {
    name: String,
    rights: Vec<String>,
    /// Mini-program id, or `all`.
    shop: String,
    days: i64,
}

async fn add(
    app: &AppState,
    by: &Staff,
    new: NewToken,
    key: &str,
) -> Result<(AdminToken, String), ApiError> {
    let scope = scope(app, &new.shop).await?;
    let rights = rights(by, &new.rights, scope)?;
    if !(1..=DAYS_MAX).contains(&new.days) {
        return Err(ApiError::invalid("days", format!("from 1 to {DAYS_MAX}")));
    }
    let now = app.clock.now();
    let expires_at = now.plus_seconds(new.days * DAY_SECONDS);
    // Else a token that is about to end could live on in its children.
    if by.ends_at().is_some_and(|end| expires_at > end) {
        return Err(ApiError::invalid("days", "longer than the token that makes it"));
    }
    if tokens::all(&app.readers, now).await?.len() >= tokens::TOKENS_MAX {
        return Err(ApiError::new(Code::LimitExceeded).with("limit", tokens::TOKENS_MAX));
    }
    let token = AdminToken {
        id: app.ids.draw_one().await.map_err(ApiError::unavailable)?,
        staff: by.id(),
        name: text("name", &new.name, 1, 32)?,
        rights,
        scope,
        created_at: now,
        expires_at,
        used_at: None,
    };
    let value = auth::new_token();
    let write = tokens::insert(app.readers.backend(), &auth::hash(&value), &token);
    let noted = Noted {
        what: "add_token",
        about: About::token(token.id),
        before: json!({}),
        after: facts(&token),
    };
    let entry = log::keyed(app, by, noted, key).await?;
    match log::once(app, write.then(entry)).await? {
        true => Ok((token, value)),
        false => Err(ApiError::new(Code::IdempotencyConflict)),
    }
}

async fn scope(app: &AppState, shop: &str) -> Result<Scope, ApiError> {
    if shop == "all" {
        return Ok(Scope::All);
    }
    let id = shop.parse().ok().and_then(|id| WxappId::parse(id).ok());
    let shops = wxapps::names(&app.readers).await?;
    let known = id.filter(|id| shops.iter().any(|(shop, _)| shop == id));
    known.map(Scope::One).ok_or_else(|| ApiError::invalid("shop", "no such mini-program"))
}

/// The rights by their names, all of them held by the maker there.
fn rights(by: &Staff, names: &[String], scope: Scope) -> Result<BTreeSet<Right>, ApiError> {
    let parse = |name: &String| {
        let unknown = || ApiError::invalid("rights", format!("{name}: no such right"));
        Right::parse(name).ok_or_else(unknown)
    };
    let rights: BTreeSet<Right> = names.iter().map(parse).collect::<Result<_, _>>()?;
    if rights.is_empty() {
        return Err(ApiError::invalid("rights", "at least one"));
    }
    let held = |right: &Right| match scope {
        Scope::All => by.may_everywhere(*right),
        Scope::One(shop) => by.may(*right, shop),
    };
    match rights.iter().find(|right| !held(right)) {
        None => Ok(rights),
        Some(right) => {
            Err(ApiError::invalid("rights", format!("{}: you do not hold it", right.as_str())))
        }
    }
}

/// Revoked by a form that is sent again, it is revoked.
async fn revoke(app: &AppState, by: &Staff, id: i64, key: &str) -> Result<(), ApiError> {
    let now = app.clock.now();
    let all = tokens::all(&app.readers, now).await?;
    let Some(token) = all.iter().find(|token| token.id == id) else {
        let repeated = log::has_acted(app, by, key).await?;
        return if repeated { Ok(()) } else { Err(ApiError::not_found("id")) };
    };
    let noted = Noted {
        what: "revoke_token",
        about: About::token(id),
        before: facts(token),
        after: json!({}),
    };
    let entry = log::keyed(app, by, noted, key).await?;
    let write = tokens::revoke(app.readers.backend(), id, now).then(entry);
    match log::once(app, write).await? {
        true => Ok(()),
        false => Err(ApiError::new(Code::IdempotencyConflict)),
    }
}

/// What the audit log says of a token: never its value.
fn facts(token: &AdminToken) -> Value {
    json!({
        "name": token.name,
        "rights": token.rights.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(" "),
        "shop": scope_key(token.scope),
        "expires_at": time(token.expires_at),
    })
}

fn scope_key(scope: Scope) -> String {
    match scope {
        Scope::All => "all".to_owned(),
        Scope::One(shop) => shop.to_string(),
    }
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "admin/tokens.html")]
struct TokensPage {
    frame: Frame,
    tokens: Vec<AdminToken>,
    /// Whose they are.
    logins: BTreeMap<i64, String>,
    shops: Vec<(WxappId, String)>,
    rights: Vec<Right>,
    /// The value of the token that was just made.
    made: Option<String>,
    key: String,
}

async fn tokens_page(
    app: &AppState,
    staff: &Staff,
    frame: Frame,
    made: Option<String>,
) -> Result<TokensPage, ApiError> {
    let held = |right: &&Right| staff.may_everywhere(**right);
    Ok(TokensPage {
        frame,
        tokens: tokens::all(&app.readers, app.clock.now()).await?,
        logins: logins(&app.readers).await?,
        shops: wxapps::names(&app.readers).await?,
        rights: Right::ALL.iter().filter(held).copied().collect(),
        made,
        key: auth::new_token(),
    })
}

impl TokensPage {
    fn maker(&self, token: &AdminToken) -> &str {
        self.logins.get(&token.staff.get()).map_or("", String::as_str)
    }
    fn scope_label(&self, token: &AdminToken) -> String {
        match token.scope {
            Scope::All => self.frame.t.all_shops.to_owned(),
            Scope::One(id) => {
                let shop = self.shops.iter().find(|(shop, _)| *shop == id);
                shop.map_or_else(|| id.to_string(), |(_, name)| name.clone())
            }
        }
    }
}

async fn list(
    app: Data<AppState>,
    staff: Staff,
    query: Query<Done>,
) -> Result<HttpResponse, ApiError> {
    let notice = (query.done == "saved").then_some(staff.tongue.texts().saved);
    let frame = Frame::of(&staff, "tokens").notice(notice);
    render::page(&tokens_page(&app, &staff, frame, None).await?)
}

async fn add_form(app: Data<AppState>, staff: Staff, form: Form) -> Result<HttpResponse, ApiError> {
    let new = NewToken {
        name: form.value("name").to_owned(),
        rights: form.values("rights").to_vec(),
        shop: form.value("shop").to_owned(),
        days: form.value("days").parse().unwrap_or(0),
    };
    let frame = Frame::of(&staff, "tokens");
    match add(&app, &staff, new, form.value("key")).await {
        // Shown in the answer itself: it is nowhere to be read again.
        Ok((_, value)) => render::page(&tokens_page(&app, &staff, frame, Some(value)).await?),
        Err(error) if matches!(error.code(), Code::InvalidRequest | Code::LimitExceeded) => {
            let field = error.detail("field");
            let t = frame.t;
            let full = error.code() == Code::LimitExceeded;
            let text = match field.as_str() {
                _ if full => t.tokens_full.to_owned(),
                "rights" => t.no_rights_chosen.to_owned(),
                "name" => format!("{}: {}", t.name, t.not_valid),
                "days" => format!("{}: {}", t.days_valid, t.not_valid),
                _ => t.not_valid.to_owned(),
            };
            let frame = frame.problems(vec![Trouble::new(&field, text)]);
            let page = tokens_page(&app, &staff, frame, None).await?;
            let status = if full { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
            render::page_with(status, &page)
        }
        Err(error) => Err(error),
    }
}

async fn revoke_form(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<i64>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    revoke(&app, &staff, id.0, form.value("key")).await?;
    Ok(render::see("/admin/tokens?done=saved"))
}

/// A token as programs see it.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminToken)]
pub struct TokenView {
    id: i64,
    name: String,
    /// The member of staff whose it is.
    staff_id: i64,
    #[schema(value_type = Vec<String>)]
    rights: Vec<&'static str>,
    shop: String,
    expires_at: String,
    /// Its value; only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TokenView {
    fn new(token: AdminToken, value: Option<String>) -> Self {
        Self {
            id: token.id,
            name: token.name,
            staff_id: token.staff.get(),
            rights: token.rights.iter().map(|right| right.as_str()).collect(),
            shop: scope_key(token.scope),
            expires_at: time(token.expires_at),
            token: value,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminTokens)]
pub struct Tokens {
    items: Vec<TokenView>,
}

/// The tokens that are good now, without their values.
#[utoipa::path(get, path = "/api/admin/v1/tokens", tag = "admin",
    responses((status = 200, body = Tokens), Refusals), security(("staff" = [])))]
pub async fn list_json(app: Data<AppState>) -> Result<web::Json<Tokens>, ApiError> {
    let all = tokens::all(&app.readers, app.clock.now()).await?;
    let items = all.into_iter().map(|token| TokenView::new(token, None)).collect();
    Ok(web::Json(Tokens { items }))
}

/// Makes a token; its value is in this answer only. Made by a token, it ends no later than that.
#[utoipa::path(post, path = "/api/admin/v1/tokens", tag = "admin",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewToken,
    responses((status = 200, body = TokenView), Refusals), security(("staff" = [])))]
pub async fn add_json(
    app: Data<AppState>,
    staff: Staff,
    request: HttpRequest,
    Json(new): Json<NewToken>,
) -> Result<web::Json<TokenView>, ApiError> {
    let (token, value) = add(&app, &staff, new, log::header_key(&request)?).await?;
    Ok(web::Json(TokenView::new(token, Some(value))))
}

/// Ends a token at once.
#[utoipa::path(post, path = "/api/admin/v1/tokens/{id}/revoke", tag = "admin",
    params(("id" = i64, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204, description = "It is dead"), Refusals), security(("staff" = [])))]
pub async fn revoke_json(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<i64>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    revoke(&app, &staff, id.0, log::header_key(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
