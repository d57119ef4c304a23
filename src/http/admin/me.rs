//! One's own account: language, password, two-step log-in, where one is logged in.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Access, Routes};
use super::form::Form;
use super::guard::Staff;
use super::log::{self, Noted};
use super::login::is_password_of;
use super::render::{self, Frame, Trouble};
use super::texts::Tongue;
use super::{AdminState, password, session, totp};
use crate::http::AppState;
use crate::http::error::ApiError;
use crate::store::Write;
use crate::store::staff::log::About;
use crate::store::staff::sessions::{self, AdminSession, Which};
use crate::store::staff::{self, Change};

pub fn routes(routes: &mut Routes) {
    routes.page("/me", Access::LoggedIn, show);
    routes.form("/me/language", Access::LoggedIn, set_language);
    routes.form("/me/password", Access::LoggedIn, set_password);
    routes.form("/me/sessions/end", Access::LoggedIn, end_sessions);
    routes.page("/me/two-step", Access::LoggedIn, show_two_step);
    routes.form("/me/two-step", Access::LoggedIn, start_two_step);
    routes.form("/me/two-step/stop", Access::LoggedIn, stop_two_step);
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    done: String,
}

#[derive(Template)]
#[template(path = "admin/me.html")]
struct MePage {
    frame: Frame,
    login: String,
    two_step: bool,
    sessions: Vec<AdminSession>,
    this: i64,
}

#[derive(Template)]
#[template(path = "admin/two_step.html")]
struct TwoStepPage {
    frame: Frame,
    login: String,
    picture: String,
    key: String,
    /// The key, sealed, so that it comes back as it was.
    sealed: String,
}

async fn show(
    app: Data<AppState>,
    staff: Staff,
    query: Query<Done>,
) -> Result<HttpResponse, ApiError> {
    let t = staff.tongue.texts();
    let notice = match query.done.as_str() {
        "password" => Some(t.password_changed),
        "saved" => Some(t.saved),
        _ => None,
    };
    let frame = Frame::of(&staff, "me").notice(notice);
    render::page(&me_page(&app, &staff, frame).await?)
}

async fn me_page(app: &AppState, staff: &Staff, frame: Frame) -> Result<MePage, ApiError> {
    let sessions = sessions::of_member(&app.readers, staff.id(), app.clock.now()).await?;
    Ok(MePage {
        frame,
        login: staff.member.login.clone(),
        two_step: staff.member.totp_secret.is_some(),
        sessions,
        this: staff.session()?.id,
    })
}

async fn wrong(
    app: &AppState,
    staff: &Staff,
    field: &str,
    text: &str,
) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(staff, "me").problems(vec![Trouble::new(field, text)]);
    let page = me_page(app, staff, frame).await?;
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// Writes a change of the caller's own account, with its entry in the audit log.
async fn change(
    app: &AppState,
    staff: &Staff,
    what: &'static str,
    [before, after]: [Value; 2],
    write: Write,
) -> Result<(), ApiError> {
    let noted = Noted { what, about: About::staff(staff.id()), before, after };
    let entry = log::entry(app, staff, noted).await?;
    Ok(app.journal.write(write.then(entry)).await?)
}

fn update(app: &AppState, staff: &Staff, change: Change) -> Write {
    staff::update(app.readers.backend(), staff.id(), change, app.clock.now())
}

async fn set_language(
    app: Data<AppState>,
    admin: Data<AdminState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let tongue = Tongue::parse(form.value("language"))
        .ok_or_else(|| ApiError::invalid("language", "zh or en"))?;
    let languages = [staff.tongue, tongue].map(|tongue| json!({"language": tongue.code()}));
    let write = update(&app, &staff, Change::Language(tongue.code().to_owned()));
    change(&app, &staff, "set_language", languages, write).await?;
    let mut answer = render::see("/admin/me?done=saved");
    let cookie = session::language_cookie(&admin, tongue.code());
    answer.add_cookie(&cookie).map_err(ApiError::internal)?;
    Ok(answer)
}

async fn set_password(
    app: Data<AppState>,
    admin: Data<AdminState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let t = staff.tongue.texts();
    let new = SecretString::from(form.value("new_password"));
    if !password::is_allowed(&new) {
        return wrong(&app, &staff, "new_password", t.new_password_hint).await;
    }
    if !is_password_of(&app, &admin, &staff, form.value("present_password")).await? {
        return wrong(&app, &staff, "present_password", t.wrong_password).await;
    }
    let hash = password::hash(new).await.map_err(ApiError::unavailable)?;
    let (backend, now) = (app.readers.backend(), app.clock.now());
    let others = Which::AllBut(staff.session()?.id);
    let write = staff::update(backend, staff.id(), Change::PasswordHash(hash), now)
        .then(sessions::revoke(backend, staff.id(), others, now))
        .then(staff::tokens::revoke_all_of(backend, staff.id(), now));
    change(&app, &staff, "set_password", [json!({}), json!({})], write).await?;
    Ok(render::see("/admin/me?done=password"))
}

async fn end_sessions(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let which = match form.value("session") {
        "" => Which::AllBut(staff.session()?.id),
        id => Which::One(id.parse().map_err(|_| ApiError::invalid("session", "not a number"))?),
    };
    let write = sessions::revoke(app.readers.backend(), staff.id(), which, app.clock.now());
    let ended = match which {
        Which::One(id) => json!({"ended": id}),
        _ => json!({"ended": "others"}),
    };
    change(&app, &staff, "end_sessions", [json!({}), ended], write).await?;
    Ok(render::see("/admin/me?done=saved"))
}

async fn show_two_step(admin: Data<AdminState>, staff: Staff) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&staff, "me");
    two_step_page(&admin, &staff, frame, &totp::new_secret(), StatusCode::OK)
}

fn two_step_page(
    admin: &AdminState,
    staff: &Staff,
    frame: Frame,
    secret: &SecretString,
    status: StatusCode,
) -> Result<HttpResponse, ApiError> {
    let address = totp::address(secret, &staff.member.login).map_err(ApiError::internal)?;
    let offer = SecretString::from(format!("{}{}", offer_mark(staff)?, secret.expose_secret()));
    let page = TwoStepPage {
        frame,
        login: staff.member.login.clone(),
        picture: totp::picture(&address).map_err(ApiError::internal)?,
        key: secret.expose_secret().to_owned(),
        sealed: admin.sealer.seal(&offer).map_err(ApiError::internal)?,
    };
    render::page_with(status, &page)
}

/// What an offered key is sealed with: this page shows what it opens, so it opens nothing that was
/// sealed elsewhere, such as the keys of others in a copy of the database, and no other session's.
fn offer_mark(staff: &Staff) -> Result<String, ApiError> {
    Ok(format!("two-step offer {} ", staff.session()?.id))
}

/// The key that this page has offered.
fn offered(admin: &AdminState, staff: &Staff, sealed: &str) -> Result<SecretString, ApiError> {
    let mark = offer_mark(staff)?;
    let opened = admin.sealer.open(sealed).ok();
    let key = opened.as_ref().and_then(|opened| opened.expose_secret().strip_prefix(&mark));
    let key = key.ok_or_else(|| ApiError::invalid("sealed", "not made by this page"))?;
    Ok(SecretString::from(key))
}

async fn start_two_step(
    app: Data<AppState>,
    admin: Data<AdminState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let t = staff.tongue.texts();
    let secret = offered(&admin, &staff, form.value("sealed"))?;
    let retry = |field: &str, text: &str| {
        let frame = Frame::of(&staff, "me").problems(vec![Trouble::new(field, text)]);
        two_step_page(&admin, &staff, frame, &secret, StatusCode::UNPROCESSABLE_ENTITY)
    };
    if !is_password_of(&app, &admin, &staff, form.value("password")).await? {
        return retry("password", t.wrong_password);
    }
    let login = &staff.member.login;
    let step = totp::check(&secret, login, form.value("code"), None, app.clock.now());
    let step = step.map_err(|_| ApiError::invalid("sealed", "not a key for codes"))?;
    let Some(step) = step else { return retry("code", t.wrong_code) };
    let (backend, now) = (app.readers.backend(), app.clock.now());
    let sealed = admin.sealer.seal(&secret).map_err(ApiError::internal)?;
    let secret = Change::TotpSecret(Some(sealed));
    // Whoever is logged in elsewhere has not shown a code.
    let others = Which::AllBut(staff.session()?.id);
    let write = staff::update(backend, staff.id(), secret, now)
        .then(staff::use_totp_step(backend, staff.id(), step))
        .then(sessions::revoke(backend, staff.id(), others, now));
    let before = json!({"two_step": staff.member.totp_secret.is_some()});
    change(&app, &staff, "start_two_step", [before, json!({"two_step": true})], write).await?;
    Ok(render::see("/admin/me?done=saved"))
}

async fn stop_two_step(
    app: Data<AppState>,
    admin: Data<AdminState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    if !is_password_of(&app, &admin, &staff, form.value("password")).await? {
        let text = staff.tongue.texts().wrong_password;
        return wrong(&app, &staff, "two_step_password", text).await;
    }
    let write = update(&app, &staff, Change::TotpSecret(None));
    let states = [staff.member.totp_secret.is_some(), false].map(|on| json!({"two_step": on}));
    change(&app, &staff, "stop_two_step", states, write).await?;
    Ok(render::see("/admin/me?done=saved"))
}
