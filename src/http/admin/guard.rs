//! Lets a request to the site pass, or not: who is it, may he, and is the form one of ours.
//!
//! Runs before every handler. A page is opened by the session cookie, JSON by a token, never the
//! other way round. Another mini-program's id answers as if it were not there.

use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use subtle::ConstantTimeEq as _;

use super::access::{Access, Entry, Face};
use super::form::{FORM_MAX, Form, PUBLIC_FORM_MAX, TOKEN};
use super::render::{self, Shown};
use super::texts::Tongue;
use super::{AdminState, session, upload};
use crate::actors::directory::Shop;
use crate::domain::id::{StaffId, WxappId};
use crate::domain::staff::{Grants, Right, Role, Scope};
use crate::domain::time::Timestamp;
use crate::http::error::{ApiError, Code};
use crate::http::{AppState, auth, extract};
use crate::store::staff::Member;
use crate::store::staff::sessions::{self, AdminSession};
use crate::store::staff::tokens::{self, AdminToken};
use crate::store::wxapps;

/// How long after the password was given it need not be given again, in seconds.
pub const CONFIRMED_SECONDS: i64 = 10 * 60;
/// How old the note may be that a log-in or token was used, in seconds: not each request writes.
const TOUCH_SECONDS: i64 = 60;

/// How the caller is known.
#[derive(Debug, Clone)]
pub enum Credential {
    Session(AdminSession),
    /// A token: its maker's rights, cut down to these.
    Token {
        id: i64,
        rights: BTreeSet<Right>,
        scope: Scope,
        expires_at: Timestamp,
    },
}

/// The member of staff who calls, and the mini-program that the path names.
#[derive(Clone)]
pub struct Staff {
    pub member: Arc<Member>,
    pub credential: Credential,
    pub tongue: Tongue,
    shop: Option<Arc<Shop>>,
    /// The mini-programs that are anything to this caller.
    shops: Arc<Vec<(WxappId, String)>>,
}

impl Staff {
    pub fn id(&self) -> StaffId {
        self.member.id
    }

    /// The mini-program of the path; its routes have one.
    pub fn shop(&self) -> Result<&Arc<Shop>, ApiError> {
        self.shop.as_ref().ok_or_else(|| ApiError::new(Code::Internal))
    }

    /// The mini-program of the path, if the path names one.
    pub fn shop_if_named(&self) -> Option<&Arc<Shop>> {
        self.shop.as_ref()
    }

    /// The mini-programs that this caller works for, by id.
    pub fn shops(&self) -> &[(WxappId, String)] {
        &self.shops
    }

    /// Whether this is allowed in this mini-program.
    pub fn may(&self, right: Right, wxapp: WxappId) -> bool {
        self.token_has(right, Scope::One(wxapp)) && self.grants().allow(right, wxapp)
    }

    /// Whether this is allowed in the mini-program of the path.
    pub fn may_here(&self, right: Right) -> bool {
        self.shop.as_ref().is_some_and(|shop| self.may(right, shop.wxapp.id))
    }

    /// Whether this is allowed everywhere.
    pub fn may_everywhere(&self, right: Right) -> bool {
        self.token_has(right, Scope::All) && self.grants().allow_everywhere(right)
    }

    /// Whether this mini-program is anything to this caller.
    pub fn reaches(&self, wxapp: WxappId) -> bool {
        let token = match &self.credential {
            Credential::Session(_) => true,
            Credential::Token { scope, .. } => covers(*scope, Scope::One(wxapp)),
        };
        token && self.grants().reach(wxapp)
    }

    pub fn grants(&self) -> &Grants {
        &self.member.grants
    }

    /// Whether this caller holds all that the role gives there, and so may give it.
    pub fn may_grant(&self, role: Role, scope: Scope) -> bool {
        let rights = Right::ALL.iter().filter(|right| role.has(**right));
        self.grants().may_grant(role, scope)
            && rights.into_iter().all(|right| self.token_has(*right, scope))
    }

    /// The session of a page.
    pub fn session(&self) -> Result<&AdminSession, ApiError> {
        match &self.credential {
            Credential::Session(session) => Ok(session),
            Credential::Token { .. } => Err(ApiError::new(Code::Internal)),
        }
    }

    /// When the token of this call ends; nothing made by it may be good for longer.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match &self.credential {
            Credential::Session(_) => None,
            Credential::Token { expires_at, .. } => Some(*expires_at),
        }
    }

    fn token_has(&self, right: Right, wanted: Scope) -> bool {
        match &self.credential {
            Credential::Session(_) => true,
            Credential::Token { rights, scope, .. } => {
                rights.contains(&right) && covers(*scope, wanted)
            }
        }
    }

    fn confirmed(&self, now: Timestamp) -> bool {
        match &self.credential {
            Credential::Session(session) => {
                now < session.confirmed_at.plus_seconds(CONFIRMED_SECONDS)
            }
            // Made by somebody who had given the password.
            Credential::Token { .. } => true,
        }
    }
}

fn covers(scope: Scope, wanted: Scope) -> bool {
    scope == Scope::All || scope == wanted
}

impl FromRequest for Staff {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let staff = request.extensions().get::<Staff>().cloned();
        ready(staff.ok_or_else(ApiError::unauthorized))
    }
}

/// Why a request does not pass.
enum Stopped {
    Refused(ApiError),
    /// A page for somebody who must log in, or give the password again, first.
    GoTo(String),
}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// The middleware of both faces.
pub async fn guard(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let face = match request.path().starts_with(super::API) {
        true => Face::Json,
        false => Face::Html,
    };
    let tongue = tongue(request.request());
    let passed = match states(request.request()) {
        Ok((app, admin)) => pass(&app, &admin, &mut request).await,
        Err(error) => Err(error.into()),
    };
    let response = match passed {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(Stopped::GoTo(place)) => {
            let see = HttpResponse::SeeOther().insert_header((header::LOCATION, place)).finish();
            request.into_response(see)
        }
        Err(Stopped::Refused(error)) => request.error_response(error),
    };
    Ok(match face {
        Face::Json => for_this_caller_alone(response),
        Face::Html => render::dressed(response, tongue),
    })
}

/// Nobody keeps an answer that was for one caller.
fn for_this_caller_alone(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What both states of a request are.
pub fn states(request: &HttpRequest) -> Result<super::States, ApiError> {
    let app = request.app_data::<Data<AppState>>().cloned();
    let admin = request.app_data::<Data<AdminState>>().cloned();
    app.zip(admin).ok_or_else(|| ApiError::new(Code::Internal))
}

/// The language for somebody who is not known yet: the browser's choice, else Chinese.
fn tongue(request: &HttpRequest) -> Tongue {
    let admin = request.app_data::<Data<AdminState>>();
    let chosen = admin.and_then(|admin| session::language(admin, request));
    chosen.and_then(|chosen| Tongue::parse(&chosen)).unwrap_or_default()
}

async fn pass(
    app: &AppState,
    admin: &AdminState,
    request: &mut ServiceRequest,
) -> Result<(), Stopped> {
    let entry = entry(admin, request)?;
    let sends_form = entry.face == Face::Html && entry.method == Method::POST;
    if sends_form {
        same_origin(request, &admin.origin)?;
    }
    // Nobody sends a body before it is known who he is: with files it is large.
    let staff = match entry.access {
        Access::Public => None,
        _ => Some(known(app, admin, request, &entry).await?),
    };
    let form = match sends_form {
        true => Some(read_form(request, &entry).await?),
        false => None,
    };
    if let Some(staff) = staff {
        if let (Some(form), Credential::Session(session)) = (&form, &staff.credential) {
            one_of_ours(form, session)?;
        }
        request.extensions_mut().insert(Shown::new(&staff));
        request.extensions_mut().insert(staff);
    }
    if let Some(form) = form {
        request.extensions_mut().insert(form);
    }
    Ok(())
}

fn entry(admin: &AdminState, request: &ServiceRequest) -> Result<Entry, ApiError> {
    let not_found = || ApiError::not_found("path");
    // The router reads what is written in per cent before it chooses a handler, the table of
    // rights does not: `%76iews` would be an id here and a place of its own there. No path of ours
    // needs it.
    if request.path().contains('%') {
        return Err(not_found());
    }
    let pattern = request.match_pattern().ok_or_else(not_found)?;
    let entry = admin.table.access(request.method(), &pattern);
    entry.cloned().ok_or_else(not_found)
}

async fn known(
    app: &AppState,
    admin: &AdminState,
    request: &ServiceRequest,
    entry: &Entry,
) -> Result<Staff, Stopped> {
    let now = app.clock.now();
    let found = match entry.face {
        Face::Html => by_session(app, admin, request, now).await?,
        Face::Json => by_token(app, request, now).await?,
    };
    let Some(mut staff) = found else {
        return Err(match entry.face {
            Face::Html => Stopped::GoTo(login_place(request)),
            Face::Json => Stopped::Refused(ApiError::unauthorized()),
        });
    };
    staff.shop = shop(app, &staff, named_shop(entry, request)).await?;
    if entry.face == Face::Html {
        let all = wxapps::names(&app.readers).await.map_err(ApiError::from)?;
        let own = all.into_iter().filter(|(id, _)| staff.reaches(*id));
        staff.shops = Arc::new(own.collect());
    }
    allowed(&staff, entry.access)?;
    if matches!(entry.access, Access::Everywhere(_)) && !staff.confirmed(now) {
        return Err(Stopped::GoTo(confirm_place(request)));
    }
    Ok(staff)
}

fn allowed(staff: &Staff, access: Access) -> Result<(), ApiError> {
    let allowed = match access {
        Access::Public => true,
        // What is one's own is done by a person, not by a token.
        Access::LoggedIn => matches!(staff.credential, Credential::Session(_)),
        Access::Shop(right) => staff.may_here(right),
        Access::Everywhere(right) => staff.may_everywhere(right),
    };
    if allowed { Ok(()) } else { Err(ApiError::new(Code::Forbidden)) }
}

async fn by_session(
    app: &AppState,
    admin: &AdminState,
    request: &ServiceRequest,
    now: Timestamp,
) -> Result<Option<Staff>, ApiError> {
    let Some(token) = session::token(admin, request.request()) else { return Ok(None) };
    let found = sessions::find(&app.readers, &auth::hash(&token), now).await?;
    let Some((session, member)) = found else { return Ok(None) };
    if session.seen_at.plus_seconds(TOUCH_SECONDS) < now {
        app.journal.write(sessions::touch(app.readers.backend(), session.id, now)).await?;
    }
    let tongue = Tongue::parse(&member.language).unwrap_or_default();
    let credential = Credential::Session(session);
    Ok(Some(Staff {
        member: Arc::new(member),
        credential,
        tongue,
        shop: None,
        shops: Arc::default(),
    }))
}

async fn by_token(
    app: &AppState,
    request: &ServiceRequest,
    now: Timestamp,
) -> Result<Option<Staff>, ApiError> {
    let Some(token) = auth::bearer(request.request()) else { return Ok(None) };
    let found = tokens::find(&app.readers, &auth::hash(token), now).await?;
    let Some((token, member)) = found else { return Ok(None) };
    if token.used_at.is_none_or(|used| used.plus_seconds(TOUCH_SECONDS) < now) {
        app.journal.write(tokens::touch(app.readers.backend(), token.id, now)).await?;
    }
    let tongue = Tongue::parse(&member.language).unwrap_or_default();
    let AdminToken { id, rights, scope, expires_at, .. } = token;
    let credential = Credential::Token { id, rights, scope, expires_at };
    Ok(Some(Staff {
        member: Arc::new(member),
        credential,
        tongue,
        shop: None,
        shops: Arc::default(),
    }))
}

/// What stands at the place `{shop}` of the path. The resource is not chosen yet, so nobody has
/// taken the path apart.
fn named_shop<'a>(entry: &Entry, request: &'a ServiceRequest) -> Option<&'a str> {
    let place = entry.pattern.split('/').position(|part| part == "{shop}")?;
    request.path().split('/').nth(place)
}

/// The mini-program of the path; one that is nothing to this caller is not found.
async fn shop(
    app: &AppState,
    staff: &Staff,
    named: Option<&str>,
) -> Result<Option<Arc<Shop>>, ApiError> {
    let Some(id) = named else { return Ok(None) };
    let not_found = || ApiError::not_found("shop");
    let id = id.parse().ok().and_then(|id| WxappId::parse(id).ok()).ok_or_else(not_found)?;
    if !staff.reaches(id) {
        return Err(not_found());
    }
    app.directory.shop(id).await.map(Some).map_err(|_| not_found())
}

/// Files are read where the route says so; elsewhere a form is small.
async fn read_form(request: &mut ServiceRequest, entry: &Entry) -> Result<Form, ApiError> {
    let has_files = upload::is_multipart(request.headers());
    if has_files && !entry.takes_files {
        return Err(ApiError::invalid("Content-Type", "no files are taken here"));
    }
    let mut payload = request.take_payload();
    let payload = web::Payload::from_request(request.request(), &mut payload);
    let payload = payload.await.map_err(ApiError::internal)?;
    if has_files {
        return upload::read(request.headers(), payload).await;
    }
    let max = if entry.access == Access::Public { PUBLIC_FORM_MAX } else { FORM_MAX };
    let bytes = extract::body(request.request(), payload, max).await?;
    Form::parse(&bytes)
}

/// Browsers say from where a form was sent; another site's is refused. Ours is the host that was
/// asked, or `public` where a proxy before us says another: nginx's `$host` leaves the port out.
fn same_origin(request: &ServiceRequest, public: &str) -> Result<(), ApiError> {
    let headers = request.headers();
    let forged = || ApiError::new(Code::Forbidden).with("reason", "sent from another site");
    if let Some(site) = headers.get("sec-fetch-site")
        && !matches!(site.as_bytes(), b"same-origin" | b"none")
    {
        return Err(forged());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    if origin == public {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let of_origin = origin.split_once("://").map_or("", |(_, host)| host);
    if host.is_empty() || of_origin != host { Err(forged()) } else { Ok(()) }
}

fn one_of_ours(form: &Form, session: &AdminSession) -> Result<(), ApiError> {
    let given = form.value(TOKEN).as_bytes();
    if bool::from(given.ct_eq(session.form_token.as_bytes())) {
        return Ok(());
    }
    Err(ApiError::new(Code::Forbidden).with("reason", "not a form of this session"))
}

/// Back to the page after the log-in; a form that was sent is lost, so its page is meant.
fn login_place(request: &ServiceRequest) -> String {
    place("/admin/login", request)
}

fn confirm_place(request: &ServiceRequest) -> String {
    place("/admin/confirm", request)
}

fn place(to: &str, request: &ServiceRequest) -> String {
    let from = match request.method() {
        &Method::GET => request.uri().path_and_query().map_or("", |place| place.as_str()),
        _ => "",
    };
    if from.is_empty() || from == super::PAGES {
        return to.to_owned();
    }
    let next: String = form_urlencoded::byte_serialize(from.as_bytes()).collect();
    format!("{to}?next={next}")
}
