//! The way in and out, and the password asked again.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use super::access::{Access, Routes};
use super::form::Form;
use super::guard::Staff;
use super::log;
use super::render::{self, Frame, Trouble};
use super::texts::Tongue;
use super::throttle::Subject;
use super::{AdminState, password, session, totp};
use crate::http::error::ApiError;
use crate::http::{AppState, auth, client_address};
use crate::store::Write;
use crate::store::staff::sessions::{self, ABSOLUTE_SECONDS, AdminSession, Which};
use crate::store::staff::{self, Member};

/// How much is kept of what a browser says it is, in characters.
const CLIENT_MAX: usize = 100;

pub fn routes(routes: &mut Routes) {
    routes.page("", Access::LoggedIn, home);
    routes.page("/login", Access::Public, show);
    routes.form("/login", Access::Public, log_in);
    routes.form("/language", Access::Public, choose_language);
    routes.form("/logout", Access::LoggedIn, log_out);
    routes.page("/confirm", Access::LoggedIn, show_confirm);
    routes.form("/confirm", Access::LoggedIn, confirm);
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "admin/login.html")]
struct LoginPage {
    frame: Frame,
    login: String,
    next: String,
}

#[derive(Template)]
#[template(path = "admin/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    login: String,
    next: String,
}

/// Where somebody begins: the first place of his menu.
async fn home(staff: Staff) -> HttpResponse {
    let menu = render::menu(&staff);
    render::see(menu.first().map_or("/admin/me", |(_, place)| place))
}

async fn show(
    request: HttpRequest,
    admin: Data<AdminState>,
    query: Query<Next>,
) -> Result<HttpResponse, ApiError> {
    let frame = Frame::outside(browsers_tongue(&admin, &request));
    let next = query.into_inner().next;
    render::page(&LoginPage { frame, login: String::new(), next })
}

fn browsers_tongue(admin: &AdminState, request: &HttpRequest) -> Tongue {
    let chosen = session::language(admin, request);
    chosen.and_then(|chosen| Tongue::parse(&chosen)).unwrap_or_default()
}

/// The form of a log-in.
struct Try {
    login: String,
    password: SecretString,
    code: String,
    next: String,
}

async fn log_in(
    request: HttpRequest,
    app: Data<AppState>,
    admin: Data<AdminState>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let tried = Try {
        login: form.value("login").trim().to_lowercase().chars().take(64).collect(),
        password: SecretString::from(form.value("password")),
        code: form.value("code").to_owned(),
        next: form.value("next").to_owned(),
    };
    let tongue = browsers_tongue(&admin, &request);
    let now = app.clock.now();
    let subjects = subjects(&app, &admin, &request, &tried.login);
    let waits = subjects.iter().filter_map(|subject| admin.throttle.wait(subject, now));
    if let Some(seconds) = waits.max() {
        return too_many(tongue, tried, seconds);
    }
    subjects.iter().for_each(|subject| admin.throttle.count(subject.clone(), now));
    let opened = match prove(&app, &admin, &tried).await? {
        Some(member) => open(&request, &app, &admin, &member, &tried.next).await?,
        None => None,
    };
    let Some(opened) = opened else {
        let frame = Frame::outside(tongue);
        let problems = vec![Trouble::new("login", frame.t.wrong_log_in)];
        return show_again(frame.problems(problems), tried, StatusCode::UNPROCESSABLE_ENTITY);
    };
    subjects.iter().for_each(|subject| admin.throttle.forgive(subject));
    Ok(opened)
}

/// Whose tries are counted: the address, and the browser if it is known, else the account.
fn subjects(
    app: &AppState,
    admin: &AdminState,
    request: &HttpRequest,
    login: &str,
) -> [Subject; 2] {
    let address = client_address::of_request(request, &app.config.server.trusted_proxies);
    let unknown = || Subject::Address("unknown".to_owned());
    let address = address.map_or_else(unknown, Subject::address);
    let at_account = match session::device(admin, request, login) {
        Some(device) => Subject::Device(device),
        None => Subject::Account(login.to_owned()),
    };
    [address, at_account]
}

/// The member whose account this is, if everything about it is right. Known or not, disabled or
/// not, it takes as long.
async fn prove(
    app: &AppState,
    admin: &AdminState,
    tried: &Try,
) -> Result<Option<Member>, ApiError> {
    let member = staff::by_login(&app.readers, &tried.login).await?;
    let member = member.filter(|member| member.disabled_at.is_none());
    let hash = member.as_ref().map(|member| member.password_hash.clone());
    let right = password::verify(tried.password.clone(), hash).await;
    if !right.map_err(ApiError::unavailable)? {
        return Ok(None);
    }
    let Some(member) = member else { return Ok(None) };
    let Some(sealed) = &member.totp_secret else { return Ok(Some(member)) };
    let secret = admin.sealer.open(sealed).map_err(ApiError::internal)?;
    let now = app.clock.now();
    let step = totp::check(&secret, &member.login, &tried.code, member.totp_step, now);
    let Some(step) = step.map_err(ApiError::internal)? else { return Ok(None) };
    let used = staff::use_totp_step(app.readers.backend(), member.id, step);
    Ok(log::once(app, used).await?.then_some(member))
}

fn too_many(tongue: Tongue, tried: Try, seconds: u64) -> Result<HttpResponse, ApiError> {
    let frame = Frame::outside(tongue);
    let text = format!("{} ({seconds} {})", frame.t.too_many_tries, frame.t.seconds_to_wait);
    let frame = frame.problems(vec![Trouble::new("", text)]);
    let mut page = show_again(frame, tried, StatusCode::TOO_MANY_REQUESTS)?;
    let seconds = actix_web::http::header::HeaderValue::from(seconds);
    page.headers_mut().insert(actix_web::http::header::RETRY_AFTER, seconds);
    Ok(page)
}

fn show_again(frame: Frame, tried: Try, status: StatusCode) -> Result<HttpResponse, ApiError> {
    render::page_with(status, &LoginPage { frame, login: tried.login, next: tried.next })
}

/// Opens a session of its own: what the browser had before is worth nothing. `None`: the password
/// was changed, or the account disabled, while this went on.
async fn open(
    request: &HttpRequest,
    app: &AppState,
    admin: &AdminState,
    member: &Member,
    next: &str,
) -> Result<Option<HttpResponse>, ApiError> {
    let (now, token) = (app.clock.now(), auth::new_token());
    let id = app.ids.draw_one().await.map_err(ApiError::unavailable)?;
    let session = AdminSession {
        id,
        staff: member.id,
        form_token: auth::new_token(),
        client: client(request),
        created_at: now,
        seen_at: now,
        confirmed_at: now,
        expires_at: now.plus_seconds(ABSOLUTE_SECONDS),
    };
    let backend = app.readers.backend();
    let write = staff::if_password_is_still(backend, member)
        .then(sessions::insert(backend, &auth::hash(&token), &session))
        .then(end_former(request, app, admin).await?);
    if !log::once(app, write).await? {
        return Ok(None);
    }
    let mut answer = render::see(inside(next));
    let device = session::device_cookie(admin, &member.login, &auth::new_token());
    let cookies = [Some(session::session_cookie(admin, token)), device];
    for cookie in cookies.into_iter().flatten() {
        answer.add_cookie(&cookie).map_err(ApiError::internal)?;
    }
    Ok(Some(answer))
}

/// Ends the session that the browser had, whosever it was.
async fn end_former(
    request: &HttpRequest,
    app: &AppState,
    admin: &AdminState,
) -> Result<Write, ApiError> {
    let (backend, now) = (app.readers.backend(), app.clock.now());
    let Some(token) = session::token(admin, request) else { return Ok(Write::default()) };
    let former = sessions::find(&app.readers, &auth::hash(&token), now).await?;
    let end =
        |former: AdminSession| sessions::revoke(backend, former.staff, Which::One(former.id), now);
    Ok(former.map_or_else(Write::default, |(former, _)| end(former)))
}

fn client(request: &HttpRequest) -> String {
    let agent = request.headers().get(actix_web::http::header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.chars().filter(|c| !c.is_control()).take(CLIENT_MAX).collect()
}

/// A place of this site, or its beginning: a link must not lead away from here.
fn inside(next: &str) -> &str {
    let ours = next == "/admin" || next.starts_with("/admin/") || next.starts_with("/admin?");
    let odd = |c: char| c == '\\' || c.is_control();
    let plain = !next.contains(odd) && !next.contains("//") && !next.contains("..");
    if ours && plain { next } else { "/admin" }
}

async fn choose_language(admin: Data<AdminState>, form: Form) -> Result<HttpResponse, ApiError> {
    let tongue = Tongue::parse(form.value("language"))
        .ok_or_else(|| ApiError::invalid("language", "zh or en"))?;
    let mut answer = render::see("/admin/login");
    let cookie = session::language_cookie(&admin, tongue.code());
    answer.add_cookie(&cookie).map_err(ApiError::internal)?;
    Ok(answer)
}

async fn log_out(
    app: Data<AppState>,
    admin: Data<AdminState>,
    staff: Staff,
) -> Result<HttpResponse, ApiError> {
    let which = Which::One(staff.session()?.id);
    let write = sessions::revoke(app.readers.backend(), staff.id(), which, app.clock.now());
    app.journal.write(write).await?;
    let mut answer = render::see("/admin/login");
    answer.add_cookie(&session::no_session_cookie(&admin)).map_err(ApiError::internal)?;
    Ok(answer)
}

async fn show_confirm(staff: Staff, query: Query<Next>) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&staff, "");
    let login = staff.member.login.clone();
    render::page(&ConfirmPage { frame, login, next: query.into_inner().next })
}

async fn confirm(
    app: Data<AppState>,
    admin: Data<AdminState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    if !is_password_of(&app, &admin, &staff, form.value("password")).await? {
        let frame = Frame::of(&staff, "");
        let problems = vec![Trouble::new("password", frame.t.wrong_password)];
        let (login, next) = (staff.member.login.clone(), form.value("next").to_owned());
        let page = ConfirmPage { frame: frame.problems(problems), login, next };
        return render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let id = staff.session()?.id;
    let write = sessions::confirm(app.readers.backend(), id, app.clock.now());
    app.journal.write(write).await?;
    Ok(render::see(inside(form.value("next"))))
}

/// Whether this is the caller's password; his tries are counted like those of a log-in.
pub(super) async fn is_password_of(
    app: &AppState,
    admin: &AdminState,
    staff: &Staff,
    given: &str,
) -> Result<bool, ApiError> {
    let now = app.clock.now();
    let subject = Subject::Device(format!("session {}", staff.session()?.id));
    if let Some(seconds) = admin.throttle.wait(&subject, now) {
        let refusal = ApiError::new(crate::http::error::Code::RateLimited);
        return Err(refusal.retry_after(seconds));
    }
    admin.throttle.count(subject.clone(), now);
    let hash = Some(staff.member.password_hash.clone());
    let right = password::verify(SecretString::from(given), hash).await;
    let right = right.map_err(ApiError::unavailable)?;
    if right {
        admin.throttle.forgive(&subject);
    }
    Ok(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_leads_to_a_place_of_this_site_only() {
        for (next, leads) in [
            ("/admin/shops/1/orders?state=paid", "/admin/shops/1/orders?state=paid"),
            ("/admin", "/admin"),
            ("https://evil.example", "/admin"),
            ("//evil.example", "/admin"),
            ("/admin/../x", "/admin"),
            ("/admin//evil.example", "/admin"),
            ("/administrator", "/admin"),
            ("/admin/a\u{1}b", "/admin"),
            ("", "/admin"),
        ] {
            assert_eq!(inside(next), leads, "{next}");
        }
    }
}
