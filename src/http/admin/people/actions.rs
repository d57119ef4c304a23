//! What can be done to accounts of staff, each a typed function that form and JSON call alike.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::domain::id::{StaffId, WxappId};
use crate::domain::staff::{Grants, Role, Scope, login_name};
use crate::domain::time::Timestamp;
use crate::http::AppState;
use crate::http::admin::guard::Staff;
use crate::http::admin::log::{self, Noted};
use crate::http::admin::password;
use crate::http::admin::texts::{Texts, Tongue};
use crate::http::error::{ApiError, Code};
use crate::http::extract::text;
use crate::store::staff::log::About;
use crate::store::staff::sessions::{self, Which};
use crate::store::staff::{self, Change, Member, tokens};
use crate::store::wxapps;
use crate::store::{StoreError, Write};

/// A new member of staff.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminNewMember)]
pub struct NewMember {
    pub login: String,
    pub name: String,
    /// 10 to 128 characters.
    #[schema(value_type = String)]
    pub password: SecretString,
    /// Mini-program id, or `all`, to role.
    pub roles: BTreeMap<String, String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminRoles)]
pub struct NewRoles {
    pub roles: BTreeMap<String, String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminState)]
pub struct NewState {
    pub active: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminPassword)]
pub struct NewPassword {
    /// 10 to 128 characters.
    #[schema(value_type = String)]
    pub password: SecretString,
}

/// Why a change of staff is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    LoginTaken,
    Full,
    CannotGrant,
    LastOwner,
    NotAbove,
}

impl Refusal {
    pub fn text(self, t: &Texts) -> &'static str {
        match self {
            Self::LoginTaken => t.login_taken,
            Self::Full => t.people_full,
            Self::CannotGrant => t.cannot_grant,
            Self::LastOwner => t.last_owner,
            Self::NotAbove => t.not_above,
        }
    }
    pub fn field(self) -> &'static str {
        match self {
            Self::LoginTaken | Self::Full => "login",
            _ => "roles",
        }
    }
}

/// A refusal of this page, or of anything else.
pub enum Failure {
    Refused(Refusal),
    Other(ApiError),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => {
                let english = Tongue::English.texts();
                Self::new(Code::InvalidState)
                    .with("field", refusal.field())
                    .with("reason", refusal.text(english))
            }
            Failure::Other(error) => error,
        }
    }
}

/// Who changes staff, under which one-time key; an empty one is none.
#[derive(Clone, Copy)]
pub struct By<'a> {
    pub staff: &'a Staff,
    pub key: &'a str,
}

pub async fn add(app: &AppState, by: By<'_>, new: NewMember) -> Result<StaffId, Failure> {
    let login =
        login_name(&new.login).map_err(|error| ApiError::invalid("login", error.to_string()))?;
    let name = text("name", &new.name, 1, 32)?;
    let grants = grants(app, &new.roles).await?;
    may_give(by, &grants)?;
    if staff::by_login(&app.readers, &login).await?.is_some() {
        return Err(repeated_or(app, by, Refusal::LoginTaken).await);
    }
    // No more than are listed: one that nobody sees could not be disabled.
    if staff::count(&app.readers).await? >= staff::MEMBERS_MAX {
        return Err(Failure::Refused(Refusal::Full));
    }
    let hash = hash(new.password).await?;
    let id = app.ids.draw_one().await.map_err(ApiError::unavailable)?;
    let id = StaffId::parse(id).map_err(ApiError::internal)?;
    let now = app.clock.now();
    let member = Member {
        id,
        login,
        name,
        password_hash: hash,
        totp_secret: None,
        totp_step: None,
        language: by.staff.tongue.code().to_owned(),
        disabled_at: None,
        version: 1,
        created_at: now,
        grants,
    };
    let after = json!({
        "login": member.login, "name": member.name, "roles": log::roles(&member.grants),
    });
    let entry = noted(app, by, id, "add_staff", [json!({}), after]).await?;
    let write = staff::insert(app.readers.backend(), &member, now).then(entry);
    write_or(app, by, write, Refusal::LoginTaken).await.map(|()| id)
}

pub async fn set_roles(
    app: &AppState,
    by: By<'_>,
    id: StaffId,
    roles: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let member = below(app, by, id).await?;
    let grants = grants(app, roles).await?;
    may_give(by, &grants)?;
    let (backend, now) = (app.readers.backend(), app.clock.now());
    // Whoever may do other things from now on logs in anew.
    let write = staff::replace_grants(backend, id, &grants).then(end_all_but_own(app, by, id, now));
    let roles = [&member.grants, &grants].map(|grants| json!({"roles": log::roles(grants)}));
    let entry = noted(app, by, id, "set_roles", roles).await?;
    keep_an_owner(app, by, write.then(entry)).await
}

pub async fn set_state(
    app: &AppState,
    by: By<'_>,
    id: StaffId,
    active: bool,
) -> Result<(), Failure> {
    let member = below(app, by, id).await?;
    let (backend, now) = (app.readers.backend(), app.clock.now());
    let change = Change::Disabled((!active).then_some(now));
    let write = staff::update(backend, id, change, now).then(end_all_but_own(app, by, id, now));
    let states = [member.disabled_at.is_none(), active].map(|active| json!({"active": active}));
    let entry = noted(app, by, id, "set_state", states).await?;
    keep_an_owner(app, by, write.then(entry)).await
}

pub async fn set_password(
    app: &AppState,
    by: By<'_>,
    id: StaffId,
    password: SecretString,
) -> Result<(), Failure> {
    below(app, by, id).await?;
    let change = Change::PasswordHash(hash(password).await?);
    let (backend, now) = (app.readers.backend(), app.clock.now());
    let write = staff::update(backend, id, change, now).then(end_all_but_own(app, by, id, now));
    let entry = noted(app, by, id, "set_password", [json!({}), json!({})]).await?;
    write_or(app, by, write.then(entry), Refusal::NotAbove).await
}

async fn noted(
    app: &AppState,
    by: By<'_>,
    id: StaffId,
    what: &'static str,
    [before, after]: [Value; 2],
) -> Result<Write, ApiError> {
    let noted = Noted { what, about: About::staff(id), before, after };
    log::keyed(app, by.staff, noted, by.key).await
}

fn end_all_but_own(app: &AppState, by: By<'_>, id: StaffId, now: Timestamp) -> Write {
    let backend = app.readers.backend();
    let which = match by.staff.session() {
        Ok(session) if by.staff.id() == id => Which::AllBut(session.id),
        _ => Which::All,
    };
    sessions::revoke(backend, id, which, now).then(tokens::revoke_all_of(backend, id, now))
}

async fn hash(password: SecretString) -> Result<String, ApiError> {
    if !password::is_allowed(&password) {
        return Err(ApiError::invalid("password", "10 to 128 characters"));
    }
    password::hash(password).await.map_err(ApiError::unavailable)
}

async fn grants(app: &AppState, roles: &BTreeMap<String, String>) -> Result<Grants, ApiError> {
    let shops = wxapps::names(&app.readers).await?;
    let mut grants = Grants::default();
    for (scope, role) in roles.iter().filter(|(_, role)| !role.is_empty()) {
        let unknown = || ApiError::invalid("roles", format!("{scope}: no such mini-program"));
        let scope = match scope.as_str() {
            "all" => Scope::All,
            id => {
                let id = id.parse().ok().and_then(|id| WxappId::parse(id).ok());
                let known = id.filter(|id| shops.iter().any(|(shop, _)| shop == id));
                Scope::One(known.ok_or_else(unknown)?)
            }
        };
        let no_role = || ApiError::invalid("roles", format!("{role}: no such role"));
        grants.0.insert(scope, Role::parse(role).ok_or_else(no_role)?);
    }
    Ok(grants)
}

fn may_give(by: By<'_>, grants: &Grants) -> Result<(), Failure> {
    let may = |(scope, role): (&Scope, &Role)| by.staff.may_grant(*role, *scope);
    if grants.0.iter().all(may) { Ok(()) } else { Err(Failure::Refused(Refusal::CannotGrant)) }
}

/// The member, if he holds nothing that the caller does not hold.
async fn below(app: &AppState, by: By<'_>, id: StaffId) -> Result<Member, Failure> {
    let member = staff::by_id(&app.readers, id).await?;
    let member = member.ok_or_else(|| ApiError::not_found("id"))?;
    match may_give(by, &member.grants) {
        Ok(()) => Ok(member),
        Err(_) => Err(Failure::Refused(Refusal::NotAbove)),
    }
}

/// Whether somebody is left who owns everything, the database decides in the commit of the change.
async fn keep_an_owner(app: &AppState, by: By<'_>, change: Write) -> Result<(), Failure> {
    let write = staff::with_an_owner_left(app.readers.backend(), change);
    write_or(app, by, write, Refusal::LastOwner).await
}

/// Writes; what the database refuses was sent before, or is refused for this.
async fn write_or(
    app: &AppState,
    by: By<'_>,
    write: Write,
    refusal: Refusal,
) -> Result<(), Failure> {
    match log::once(app, write).await? {
        true => Ok(()),
        false => Err(repeated_or(app, by, refusal).await),
    }
}

/// Whoever sends a form twice hears that, and not that what it made is in the way.
async fn repeated_or(app: &AppState, by: By<'_>, refusal: Refusal) -> Failure {
    match log::has_acted(app, by.staff, by.key).await {
        Ok(true) => ApiError::new(Code::IdempotencyConflict).into(),
        Ok(false) => Failure::Refused(refusal),
        Err(error) => error.into(),
    }
}
