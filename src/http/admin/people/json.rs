//! The same as JSON.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{self, Data};
use serde::Serialize;
use utoipa::ToSchema;

use super::actions::{self, By, NewMember, NewPassword, NewRoles, NewState};
use crate::domain::id::StaffId;
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::log;
use crate::http::error::ApiError;
use crate::http::extract::{Json, PathId};
use crate::http::openapi::Refusals;
use crate::store::staff::{self, Member};

/// A member of staff, as programs see him.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminMember)]
pub struct MemberView {
    id: i64,
    login: String,
    name: String,
    active: bool,
    two_step: bool,
    /// Mini-program id, or `all`, to role.
    #[schema(value_type = BTreeMap<String, String>)]
    roles: BTreeMap<String, &'static str>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            roles: log::roles(&member.grants),
            id: member.id.get(),
            active: member.disabled_at.is_none(),
            two_step: member.totp_secret.is_some(),
            login: member.login,
            name: member.name,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminMembers)]
pub struct People {
    items: Vec<MemberView>,
}

/// The members of staff and their roles.
#[utoipa::path(get, path = "/api/admin/v1/people", tag = "admin",
    responses((status = 200, body = People), Refusals), security(("staff" = [])))]
pub async fn list_json(app: Data<AppState>) -> Result<web::Json<People>, ApiError> {
    let members = staff::all(&app.readers).await?;
    Ok(web::Json(People { items: members.into_iter().map(MemberView::from).collect() }))
}

/// Who acts, under the key of the request.
fn by<'a>(staff: &'a Staff, request: &'a HttpRequest) -> Result<By<'a>, ApiError> {
    Ok(By { staff, key: log::header_key(request)? })
}

async fn view(app: &AppState, id: StaffId) -> Result<web::Json<MemberView>, ApiError> {
    let member = staff::by_id(&app.readers, id).await?;
    Ok(web::Json(member.ok_or_else(|| ApiError::not_found("id"))?.into()))
}

/// Makes an account; nobody gives what he does not hold.
#[utoipa::path(post, path = "/api/admin/v1/people", tag = "admin",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewMember,
    responses((status = 200, body = MemberView), Refusals), security(("staff" = [])))]
pub async fn add_json(
    app: Data<AppState>,
    staff: Staff,
    request: HttpRequest,
    Json(new): Json<NewMember>,
) -> Result<web::Json<MemberView>, ApiError> {
    let id = actions::add(&app, by(&staff, &request)?, new).await?;
    view(&app, id).await
}

/// Gives exactly these roles; ends the log-ins and tokens of the account.
#[utoipa::path(post, path = "/api/admin/v1/people/{id}/roles", tag = "admin",
    params(("id" = i64, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = NewRoles,
    responses((status = 200, body = MemberView), Refusals), security(("staff" = [])))]
pub async fn roles_json(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<StaffId>,
    request: HttpRequest,
    Json(new): Json<NewRoles>,
) -> Result<web::Json<MemberView>, ApiError> {
    actions::set_roles(&app, by(&staff, &request)?, id.0, &new.roles).await?;
    view(&app, id.0).await
}

/// Enables or disables an account; one owner who can log in stays.
#[utoipa::path(post, path = "/api/admin/v1/people/{id}/state", tag = "admin",
    params(("id" = i64, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = NewState,
    responses((status = 200, body = MemberView), Refusals), security(("staff" = [])))]
pub async fn state_json(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<StaffId>,
    request: HttpRequest,
    Json(new): Json<NewState>,
) -> Result<web::Json<MemberView>, ApiError> {
    actions::set_state(&app, by(&staff, &request)?, id.0, new.active).await?;
    view(&app, id.0).await
}

/// Sets a password; ends the log-ins and tokens of the account.
#[utoipa::path(post, path = "/api/admin/v1/people/{id}/password", tag = "admin",
    params(("id" = i64, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = NewPassword,
    responses((status = 200, body = MemberView), Refusals), security(("staff" = [])))]
pub async fn password_json(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<StaffId>,
    request: HttpRequest,
    Json(new): Json<NewPassword>,
) -> Result<web::Json<MemberView>, ApiError> {
    actions::set_password(&app, by(&staff, &request)?, id.0, new.password).await?;
    view(&app, id.0).await
}
