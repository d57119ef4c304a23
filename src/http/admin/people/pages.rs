//! The pages of staff and their forms.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use super::actions::{self, By, Failure, NewMember};
use crate::domain::id::StaffId;
use crate::domain::staff::{Role, Scope};
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::admin::texts::Texts;
use crate::http::error::{ApiError, Code};
use crate::http::extract::PathId;
use crate::http::{AppState, auth};
use crate::store::staff::{self, Member};
use crate::store::wxapps;

#[derive(Deserialize)]
pub struct Done {
    #[serde(default)]
    done: String,
}

/// Where a role can be given: id or `all`, name.
struct Place {
    key: String,
    name: String,
}

/// What a form of a new member held, to show it again.
#[derive(Default)]
struct Given {
    login: String,
    name: String,
}

#[derive(Template)]
#[template(path = "admin/people.html")]
struct PeoplePage {
    frame: Frame,
    members: Vec<Member>,
    places: Vec<Place>,
    given: Given,
    key: String,
}

#[derive(Template)]
#[template(path = "admin/person.html")]
struct PersonPage {
    frame: Frame,
    member: Member,
    places: Vec<Place>,
    key: String,
}

/// The role of a member at a place of the form.
fn role_at(member: &Member, key: &str) -> Option<Role> {
    let has = |(scope, _): &(&Scope, &Role)| match scope {
        Scope::All => key == "all",
        Scope::One(id) => id.to_string() == key,
    };
    member.grants.0.iter().find(has).map(|(_, role)| *role)
}

/// The roles of a member, in words.
fn roles_in_words(t: &Texts, member: &Member, places: &[Place]) -> Vec<String> {
    let word = |place: &Place| {
        let role = role_at(member, &place.key)?;
        Some(format!("{}: {}", place.name, t.role_label(&role)))
    };
    places.iter().filter_map(word).collect()
}

impl PeoplePage {
    fn roles_of(&self, member: &Member) -> Vec<String> {
        roles_in_words(self.frame.t, member, &self.places)
    }
}

impl PersonPage {
    fn has(&self, place: &Place, role: &Role) -> bool {
        role_at(&self.member, &place.key) == Some(*role)
    }
}

async fn places(app: &AppState, t: &Texts) -> Result<Vec<Place>, ApiError> {
    let all = Place { key: "all".to_owned(), name: t.all_shops.to_owned() };
    let shops = wxapps::names(&app.readers).await?.into_iter();
    let shops = shops.map(|(id, name)| Place { key: id.to_string(), name });
    Ok(std::iter::once(all).chain(shops).collect())
}

pub async fn list(
    app: Data<AppState>,
    staff: Staff,
    query: Query<Done>,
) -> Result<HttpResponse, ApiError> {
    let t = staff.tongue.texts();
    let notice = (query.done == "saved").then_some(t.saved);
    let frame = Frame::of(&staff, "people").notice(notice);
    render::page(&people_page(&app, frame, Given::default()).await?)
}

async fn people_page(app: &AppState, frame: Frame, given: Given) -> Result<PeoplePage, ApiError> {
    let members = staff::all(&app.readers).await?;
    let places = places(app, frame.t).await?;
    Ok(PeoplePage { frame, members, places, given, key: auth::new_token() })
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<StaffId>,
    query: Query<Done>,
) -> Result<HttpResponse, ApiError> {
    let notice = (query.done == "saved").then_some(staff.tongue.texts().saved);
    let frame = Frame::of(&staff, "people").notice(notice);
    render::page(&person_page(&app, frame, id.0).await?)
}

async fn person_page(app: &AppState, frame: Frame, id: StaffId) -> Result<PersonPage, ApiError> {
    let member = staff::by_id(&app.readers, id).await?;
    let member = member.ok_or_else(|| ApiError::not_found("id"))?;
    let places = places(app, frame.t).await?;
    Ok(PersonPage { frame, member, places, key: auth::new_token() })
}

/// Who acts, under the key of the form.
fn by<'a>(staff: &'a Staff, form: &'a Form) -> By<'a> {
    By { staff, key: form.value("key") }
}

/// The roles of a form: a field `role-KEY` for each place.
fn roles_of(form: &Form, places: &[Place]) -> BTreeMap<String, String> {
    let role =
        |place: &Place| (place.key.clone(), form.value(&format!("role-{}", place.key)).to_owned());
    places.iter().map(role).collect()
}

pub async fn add_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let t = staff.tongue.texts();
    let new = NewMember {
        login: form.value("login").to_owned(),
        name: form.value("name").to_owned(),
        password: SecretString::from(form.value("password")),
        roles: roles_of(&form, &places(&app, t).await?),
    };
    let given = Given { login: new.login.clone(), name: new.name.clone() };
    match actions::add(&app, by(&staff, &form), new).await {
        Ok(id) => Ok(render::see(&format!("/admin/people/{id}?done=saved"))),
        Err(failure) => {
            let problem = trouble(failure, t)?;
            let frame = Frame::of(&staff, "people").problems(vec![problem]);
            let page = people_page(&app, frame, given).await?;
            render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// What a form shows of a failure; what is not about the form goes on as it is.
fn trouble(failure: Failure, t: &Texts) -> Result<Trouble, ApiError> {
    match failure {
        Failure::Refused(refusal) => Ok(Trouble::new(refusal.field(), refusal.text(t))),
        Failure::Other(error) if error.code() == Code::InvalidRequest => {
            let field = error.detail("field");
            let text = match field.as_str() {
                "login" => format!("{}: {}", t.login_name, t.login_hint),
                "password" => format!("{}: {}", t.password, t.new_password_hint),
                "name" => format!("{}: {}", t.name, t.not_valid),
                _ => t.not_valid.to_owned(),
            };
            Ok(Trouble::new(&field, text))
        }
        Failure::Other(error) => Err(error),
    }
}

pub async fn roles_form(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<StaffId>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let roles = roles_of(&form, &places(&app, staff.tongue.texts()).await?);
    let done = actions::set_roles(&app, by(&staff, &form), id.0, &roles).await;
    changed(&app, &staff, id.0, done).await
}

pub async fn state_form(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<StaffId>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let active = form.value("active") == "true";
    let done = actions::set_state(&app, by(&staff, &form), id.0, active).await;
    changed(&app, &staff, id.0, done).await
}

pub async fn password_form(
    app: Data<AppState>,
    staff: Staff,
    id: PathId<StaffId>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let password = SecretString::from(form.value("password"));
    let done = actions::set_password(&app, by(&staff, &form), id.0, password).await;
    changed(&app, &staff, id.0, done).await
}

async fn changed(
    app: &AppState,
    staff: &Staff,
    id: StaffId,
    done: Result<(), Failure>,
) -> Result<HttpResponse, ApiError> {
    match done {
        Ok(()) => Ok(render::see(&format!("/admin/people/{id}?done=saved"))),
        Err(failure) => {
            let problem = trouble(failure, staff.tongue.texts())?;
            let frame = Frame::of(staff, "people").problems(vec![problem]);
            let page = person_page(app, frame, id).await?;
            render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
