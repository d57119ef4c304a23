//! The tree of categories: added to, renamed, moved, and pruned of what is empty.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use askama::Template;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::base;
use super::detail::Said;
use crate::domain::id::CategoryId;
use crate::domain::sheet::NUMBER_MAX;
use crate::domain::staff::Right;
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::log::{self, Noted};
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::admin::texts::GoodsTexts;
use crate::http::auth;
use crate::http::error::{ApiError, Code};
use crate::http::extract::{Json, Query, text};
use crate::http::openapi::Refusals;
use crate::store::Write;
use crate::store::goods::categories::{self, Branch, CATEGORIES_MAX, CategoryTerms, DEPTH_MAX};
use crate::store::staff::log::About;

/// A category as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminCategoryBody)]
pub struct CategoryBody {
    /// 1 to 64 characters; no other one beside it may have it.
    name: String,
    /// Left out: at the top.
    #[serde(default)]
    parent_id: Option<i64>,
    /// Place among those beside it, the lowest first; 100 when left out.
    #[serde(default = "hundred")]
    sort: i64,
}

fn hundred() -> i64 {
    100
}

/// Why a category is not written.
enum Refused {
    Taken,
    Used,
    Loop,
    TooMany,
    Other(ApiError),
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Refused {
    fn text(&self, g: &GoodsTexts) -> Option<&'static str> {
        match self {
            Self::Taken => Some(g.category_taken),
            Self::Used => Some(g.category_used),
            Self::Loop => Some(g.category_loop),
            Self::TooMany => Some(g.too_many),
            Self::Other(_) => None,
        }
    }
    fn api(self) -> ApiError {
        let reason = match self {
            Self::Taken => "name_taken",
            Self::Used => "not_empty",
            Self::Loop => "loop",
            Self::TooMany => "too_many",
            Self::Other(error) => return error,
        };
        ApiError::new(Code::InvalidState).with("reason", reason)
    }
}

async fn tree(app: &AppState, staff: &Staff) -> Result<Vec<Branch>, ApiError> {
    Ok(categories::tree(&app.readers, staff.shop()?.wxapp.id).await?)
}

fn find(tree: &[Branch], id: i64) -> Result<&Branch, ApiError> {
    let found = tree.iter().find(|branch| branch.id.get() == id);
    found.ok_or_else(|| ApiError::not_found("id"))
}

/// What is to be written, if the tree allows it; `own`: of one that is there.
fn terms(
    tree: &[Branch],
    own: Option<&Branch>,
    body: &CategoryBody,
) -> Result<CategoryTerms, Refused> {
    let name = text("name", &body.name, 1, 64)?;
    if !(0..=NUMBER_MAX).contains(&body.sort) {
        return Err(ApiError::invalid("sort", "out of range").into());
    }
    let mut depth = 1;
    let mut above = body.parent_id;
    while let Some(id) = above {
        depth += 1;
        let parent = tree.iter().find(|branch| branch.id.get() == id);
        let parent = parent.ok_or_else(|| ApiError::not_found("parent_id"))?;
        if own.is_some_and(|own| own.id == parent.id) || depth > DEPTH_MAX {
            return Err(Refused::Loop);
        }
        above = parent.parent.map(CategoryId::get);
    }
    if depth + own.map_or(0, |own| height(tree, own.id)) > DEPTH_MAX {
        return Err(Refused::Loop);
    }
    let parent = body.parent_id.map(CategoryId::parse).transpose();
    let parent = parent.map_err(|_| ApiError::not_found("parent_id"))?;
    let beside = |branch: &&Branch| branch.parent == parent && branch.name == name;
    if tree.iter().find(beside).is_some_and(|found| own.is_none_or(|own| own.id != found.id)) {
        return Err(Refused::Taken);
    }
    Ok(CategoryTerms { name, parent, sort: body.sort })
}

/// How many levels hang below a category.
fn height(tree: &[Branch], id: CategoryId) -> usize {
    let Some(at) = tree.iter().position(|branch| branch.id == id) else { return 0 };
    let own = tree[at].depth;
    let below = tree[at + 1..].iter().take_while(|branch| branch.depth > own);
    below.map(|branch| branch.depth - own).max().unwrap_or(0)
}

fn told(terms: &CategoryTerms) -> Value {
    let parent = terms.parent.map(CategoryId::get);
    json!({"name": terms.name, "parent_id": parent, "sort": terms.sort})
}

fn told_of(branch: &Branch) -> Value {
    let parent = branch.parent.map(CategoryId::get);
    json!({"name": branch.name, "parent_id": parent, "sort": branch.sort})
}

/// Writes, with its entry in the log; nothing happens when the form was sent before. When the
/// database refuses it the tree has changed since it was looked at, and is looked at again.
async fn write(
    app: &AppState,
    staff: &Staff,
    (write, noted): (Write, Noted),
    key: &str,
    why: impl FnOnce(&[Branch]) -> Refused,
) -> Result<(), Refused> {
    let entry = log::keyed(app, staff, noted, key).await?;
    let written = log::once(app, entry.then(write)).await?;
    if written || log::has_acted(app, staff, key).await? {
        return Ok(());
    }
    Err(why(&tree(app, staff).await?))
}

/// Why a category could not be written over a tree that has changed: what is wrong with it now,
/// or a name that somebody was faster with.
fn refusal(tree: &[Branch], own: Option<i64>, body: &CategoryBody) -> Refused {
    let own = match own.map(|id| find(tree, id)).transpose() {
        Ok(own) => own,
        Err(gone) => return gone.into(),
    };
    terms(tree, own, body).err().unwrap_or(Refused::Taken)
}

/// What stands above a place, from below.
fn above(tree: &[Branch], parent: Option<CategoryId>) -> Vec<&Branch> {
    let find = |id: CategoryId| tree.iter().find(|branch| branch.id == id);
    let up = |branch: &&Branch| branch.parent.and_then(find);
    std::iter::successors(parent.and_then(find), up).take(DEPTH_MAX).collect()
}

async fn add(
    app: &AppState,
    staff: &Staff,
    body: &CategoryBody,
    key: &str,
) -> Result<CategoryId, Refused> {
    let (tree, shop) = (tree(app, staff).await?, staff.shop()?.wxapp.id);
    let terms = terms(&tree, None, body)?;
    if tree.len() >= CATEGORIES_MAX {
        return Err(Refused::TooMany);
    }
    let id = app.ids.draw_one().await.map_err(ApiError::unavailable)?;
    let id = CategoryId::parse(id).map_err(ApiError::internal)?;
    let about = About("category", id.get());
    let noted = Noted { what: "add_category", about, before: json!({}), after: told(&terms) };
    let insert = categories::insert(app.readers.backend(), shop, id, &terms, app.clock.now());
    let still =
        categories::if_above_is_still(app.readers.backend(), shop, &above(&tree, terms.parent));
    let why = |tree: &[Branch]| refusal(tree, None, body);
    write(app, staff, (still.then(insert), noted), key, why).await?;
    Ok(id)
}

async fn change(
    app: &AppState,
    staff: &Staff,
    id: i64,
    body: &CategoryBody,
    key: &str,
) -> Result<(), Refused> {
    let (tree, shop) = (tree(app, staff).await?, staff.shop()?.wxapp.id);
    let own = find(&tree, id)?;
    let terms = terms(&tree, Some(own), body)?;
    let noted = Noted {
        what: "change_category",
        about: About("category", id),
        before: told_of(own),
        after: told(&terms),
    };
    let update = categories::update(app.readers.backend(), shop, own.id, &terms);
    let still =
        categories::if_above_is_still(app.readers.backend(), shop, &above(&tree, terms.parent));
    let why = |tree: &[Branch]| refusal(tree, Some(id), body);
    write(app, staff, (still.then(update), noted), key, why).await
}

async fn delete(app: &AppState, staff: &Staff, id: i64, key: &str) -> Result<(), Refused> {
    let (tree, shop) = (tree(app, staff).await?, staff.shop()?.wxapp.id);
    let own = find(&tree, id)?;
    let below = tree.iter().any(|branch| branch.parent == Some(own.id));
    if below || categories::has_goods(&app.readers, shop, own.id).await? {
        return Err(Refused::Used);
    }
    let about = About("category", id);
    let noted = Noted { what: "delete_category", about, before: told_of(own), after: json!({}) };
    let gone = categories::delete(app.readers.backend(), shop, own.id);
    let still = categories::if_above_is_still(app.readers.backend(), shop, &[]);
    let why = |tree: &[Branch]| find(tree, id).map_or_else(Refused::from, |_| Refused::Used);
    write(app, staff, (still.then(gone), noted), key, why).await
}

#[derive(Template)]
#[template(path = "admin/categories.html")]
struct CategoriesPage {
    frame: Frame,
    g: &'static GoodsTexts,
    here: String,
    goods: String,
    tree: Vec<Branch>,
    keys: BTreeMap<i64, String>,
    key: String,
    given: Form,
    may_edit: bool,
}

impl CategoriesPage {
    fn key_of(&self, branch: &Branch) -> &str {
        self.keys.get(&branch.id.get()).map_or("", String::as_str)
    }
    fn is_parent(&self, branch: &Branch, other: &Branch) -> bool {
        branch.parent == Some(other.id)
    }
    fn chosen(&self, branch: &Branch) -> bool {
        self.given.value("parent_id") == branch.id.to_string()
    }
}

async fn categories_page(
    app: &AppState,
    staff: &Staff,
    (frame, given): (Frame, Form),
) -> Result<CategoriesPage, ApiError> {
    let tree = tree(app, staff).await?;
    Ok(CategoriesPage {
        frame,
        g: staff.tongue.goods(),
        here: format!("/admin/shops/{}/categories", staff.shop()?.wxapp.id),
        goods: base(staff)?,
        keys: tree.iter().map(|branch| (branch.id.get(), auth::new_token())).collect(),
        tree,
        key: auth::new_token(),
        given,
        may_edit: staff.may_here(Right::GoodsEdit),
    })
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    Query(said): Query<Said>,
) -> Result<HttpResponse, ApiError> {
    let done = said.is("category").then(|| staff.tongue.word("done", "category"));
    let frame = Frame::of(&staff, "goods").notice(done.as_deref());
    render::page(&categories_page(&app, &staff, (frame, Form::default())).await?)
}

/// Back to the page, or what is wrong on it.
async fn answer<T>(
    app: &AppState,
    staff: &Staff,
    done: Result<T, Refused>,
    (form, field): (Form, String),
) -> Result<HttpResponse, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let refused = match done {
        Ok(_) => {
            return Ok(render::see(&format!("/admin/shops/{shop}/categories?done=category")));
        }
        Err(refused) => refused,
    };
    let text = match (refused.text(staff.tongue.goods()), refused) {
        (Some(text), _) => text.to_owned(),
        (None, Refused::Other(error)) if error.code() == Code::InvalidRequest => {
            staff.tongue.word("invalid", "is empty")
        }
        (None, other) => return Err(other.api()),
    };
    let frame = Frame::of(staff, "goods").problems(vec![Trouble::new(&field, text)]);
    let page = categories_page(app, staff, (frame, form)).await?;
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

fn typed(form: &Form) -> CategoryBody {
    let sort = form.value("sort").trim();
    CategoryBody {
        name: form.value("name").to_owned(),
        parent_id: form.value("parent_id").parse().ok(),
        sort: if sort.is_empty() { hundred() } else { sort.parse().unwrap_or(-1) },
    }
}

pub async fn add_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let done = add(&app, &staff, &typed(&form), form.value("key")).await;
    answer(&app, &staff, done, (form, "name".to_owned())).await
}

pub async fn change_form(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let done = change(&app, &staff, at.1, &typed(&form), form.value("key")).await;
    answer(&app, &staff, done, (Form::default(), format!("name-{}", at.1))).await
}

pub async fn delete_form(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let done = delete(&app, &staff, at.1, form.value("key")).await;
    answer(&app, &staff, done, (Form::default(), format!("name-{}", at.1))).await
}

/// A category in its place.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminCategory)]
pub struct CategoryJson {
    id: i64,
    parent_id: Option<i64>,
    name: String,
    sort: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminCategories)]
pub struct CategoriesJson {
    items: Vec<CategoryJson>,
}

/// The tree, each category before those below it.
#[utoipa::path(get, path = "/api/admin/v1/shops/{shop}/categories", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id")),
    responses((status = 200, body = CategoriesJson), Refusals), security(("staff" = [])))]
pub async fn list_categories(
    app: Data<AppState>,
    staff: Staff,
) -> Result<web::Json<CategoriesJson>, ApiError> {
    let one = |branch: Branch| CategoryJson {
        id: branch.id.get(),
        parent_id: branch.parent.map(CategoryId::get),
        name: branch.name,
        sort: branch.sort,
    };
    let items = tree(&app, &staff).await?.into_iter().map(one).collect();
    Ok(web::Json(CategoriesJson { items }))
}

#[derive(Serialize, ToSchema)]
#[schema(as = AdminCategoryAdded)]
pub struct AddedJson {
    id: i64,
}

/// Adds a category.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/categories", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id")), request_body = CategoryBody,
    responses((status = 200, body = AddedJson), Refusals), security(("staff" = [])))]
pub async fn add_category(
    app: Data<AppState>,
    staff: Staff,
    Json(body): Json<CategoryBody>,
) -> Result<web::Json<AddedJson>, ApiError> {
    let id = add(&app, &staff, &body, "").await.map_err(Refused::api)?;
    Ok(web::Json(AddedJson { id: id.get() }))
}

/// Renames or moves a category.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/categories/{id}", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path)),
    request_body = CategoryBody,
    responses((status = 204, description = "It is changed"), Refusals),
    security(("staff" = [])))]
pub async fn change_category(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
    Json(body): Json<CategoryBody>,
) -> Result<HttpResponse, ApiError> {
    change(&app, &staff, at.1, &body, "").await.map_err(Refused::api)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a category in which nothing is.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/categories/{id}/delete", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path)),
    responses((status = 204, description = "It is gone"), Refusals),
    security(("staff" = [])))]
pub async fn delete_category(
    app: Data<AppState>,
    staff: Staff,
    at: web::Path<(i64, i64)>,
) -> Result<HttpResponse, ApiError> {
    delete(&app, &staff, at.1, "").await.map_err(Refused::api)?;
    Ok(HttpResponse::NoContent().finish())
}
