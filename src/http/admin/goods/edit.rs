//! Goods are made and changed: one form for all of it, and the same as JSON.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::SheetBody;
use super::draft::{Draft, DraftSpec};
use super::{At, base, find};
use crate::actors::desk::{Acted, Clerk, DeskError, DeskRefusal};
use crate::domain::id::{CategoryId, GoodsId};
use crate::domain::sheet::{SPECS_MAX, Sheet, differences};
use crate::domain::time::Timestamp;
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::orders::json::by;
use crate::http::admin::orders::{clerk, desk, refusals};
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::admin::texts::{GoodsTexts, Tongue};
use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::extract::Json;
use crate::http::openapi::Refusals;
use crate::store::goods::categories::{self, Branch};

/// Blocks that are offered beyond those that are there.
const SPARE_BLOCKS: usize = 2;

/// The one function behind all faces: is the category one of this shop, then the engine decides.
async fn save(
    app: &AppState,
    by: &Clerk,
    over: Option<(GoodsId, i64)>,
    sheet: Sheet,
) -> Result<Acted, DeskError> {
    if let Some(category) = sheet.category {
        let tree = categories::tree(&app.readers, by.wxapp).await;
        let tree = tree.map_err(|_| DeskError::Unavailable)?;
        if !tree.iter().any(|branch| branch.id == category) {
            return Err(DeskError::Invalid { field: "category", why: "not a category" });
        }
    }
    desk(app).save_goods(by, over, sheet).await
}

/// A field that somebody else has changed meanwhile.
struct Conflict {
    field: String,
    yours: String,
    theirs: String,
}

#[derive(Template)]
#[template(path = "admin/goods_edit.html")]
struct EditPage {
    frame: Frame,
    g: &'static GoodsTexts,
    base: String,
    /// None: new goods.
    over: Option<(GoodsId, i64)>,
    draft: Draft,
    tree: Vec<Branch>,
    conflicts: Vec<Conflict>,
    key: String,
}

impl EditPage {
    fn action(&self) -> String {
        match self.over {
            Some((id, _)) => format!("{}/{id}", self.base),
            None => self.base.clone(),
        }
    }
    /// Kind is image, text, place.
    fn blocks(&self) -> Vec<(bool, String, usize)> {
        let there = self.draft.blocks.iter().map(|block| (block.is_image, block.text.clone()));
        let spare = std::iter::repeat_n((false, String::new()), SPARE_BLOCKS);
        let numbered = there.chain(spare).enumerate();
        numbered.map(|(at, (is_image, text))| (is_image, text, (at + 1) * 10)).collect()
    }
    /// Those there are, and a blank one.
    fn specs(&self) -> Vec<DraftSpec> {
        let mut specs = self.draft.specs.clone();
        if specs.len() < SPECS_MAX {
            let id = self.draft.highest_id() + 1;
            specs.push(DraftSpec { id, ..DraftSpec::default() });
        }
        specs
    }
    fn is_category(&self, branch: &Branch) -> bool {
        self.draft.category == branch.id.to_string()
    }
    fn wrong_at(&self, at: &usize, field: &str) -> bool {
        self.frame.wrong(&format!("sku-{at}-{field}"))
    }
    fn row_name(&self, at: &usize) -> String {
        let row = self.draft.rows.get(*at);
        row.map_or_else(String::new, |row| match (row.attr.as_str(), row.code.as_str()) {
            ("", "") => format!("{} {}", self.g.sku, at + 1),
            ("", code) => code.to_owned(),
            (attr, _) => attr.to_owned(),
        })
    }
}

async fn page(
    app: &AppState,
    staff: &Staff,
    over: Option<(GoodsId, i64)>,
    (frame, draft): (Frame, Draft),
) -> Result<EditPage, ApiError> {
    Ok(EditPage {
        frame,
        g: staff.tongue.goods(),
        base: base(staff)?,
        over,
        draft,
        tree: categories::tree(&app.readers, staff.shop()?.wxapp.id).await?,
        conflicts: Vec::new(),
        key: auth::new_token(),
    })
}

pub async fn show_new(app: Data<AppState>, staff: Staff) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&staff, "goods");
    render::page(&page(&app, &staff, None, (frame, Draft::blank())).await?)
}

pub async fn show_edit(
    app: Data<AppState>,
    staff: Staff,
    at: At,
) -> Result<HttpResponse, ApiError> {
    let goods = find(&app, &staff, at).await?;
    let (frame, over) = (Frame::of(&staff, "goods"), Some((goods.id, goods.version)));
    render::page(&page(&app, &staff, over, (frame, Draft::of(&goods.sheet))).await?)
}

pub async fn create_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    post(&app, &staff, None, Draft::typed(&form)?, &form).await
}

pub async fn save_form(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    // Found before anything is said about the form.
    let goods = find(&app, &staff, at).await?;
    // A form without a version is one of goods that nobody has read.
    let version = form.value("version").parse().unwrap_or(0);
    let draft = Draft::typed(&form)?.over(&goods.sheet);
    post(&app, &staff, Some((goods.id, version)), draft, &form).await
}

async fn post(
    app: &AppState,
    staff: &Staff,
    over: Option<(GoodsId, i64)>,
    draft: Draft,
    form: &Form,
) -> Result<HttpResponse, ApiError> {
    let g = staff.tongue.goods();
    let frame = || Frame::of(staff, "goods");
    if form.value("act") == "grid" {
        let frame = frame().notice(Some(g.grid_updated));
        return render::page(&page(app, staff, over, (frame, draft.arranged())).await?);
    }
    if !draft.is_arranged() {
        let frame = frame().problems(vec![Trouble::new("grid", g.grid_changed)]);
        return refused(&page(app, staff, over, (frame, draft.arranged())).await?);
    }
    let draft = draft.arranged().coded(|| fresh_code(form.value("key")));
    let by = clerk(staff, form.value("key"))?;
    let sheet = match draft.sheet(staff.tongue) {
        Ok(sheet) => sheet,
        Err(troubles) => {
            let frame = frame().problems(troubles);
            return refused(&page(app, staff, over, (frame, draft)).await?);
        }
    };
    match save(app, &by, over, sheet.clone()).await {
        Ok(acted) => done(staff, over, acted),
        Err(DeskError::Refused(DeskRefusal::Stale)) => {
            stale(app, staff, over, (draft, sheet)).await
        }
        Err(error) => {
            let frame = frame().problems(vec![trouble(error, &draft, staff.tongue)?]);
            refused(&page(app, staff, over, (frame, draft)).await?)
        }
    }
}

fn refused(page: &EditPage) -> Result<HttpResponse, ApiError> {
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// Ten digits and letters that no other goods have: of the form's one-time key, so that a second
/// press says the same.
fn fresh_code(key: &str) -> String {
    let key = if key.is_empty() { auth::new_token() } else { key.to_owned() };
    let code: String = key.chars().filter(char::is_ascii_alphanumeric).take(10).collect();
    format!("G{}", code.to_uppercase())
}

fn done(
    staff: &Staff,
    over: Option<(GoodsId, i64)>,
    acted: Acted,
) -> Result<HttpResponse, ApiError> {
    let base = base(staff)?;
    let said = if acted.repeated { "repeated" } else { "goods" };
    let id = acted.goods.or(over.map(|(id, _)| id));
    Ok(render::see(&match id {
        Some(id) => format!("{base}/{id}?done={said}"),
        None => base,
    }))
}

fn trouble(error: DeskError, draft: &Draft, tongue: Tongue) -> Result<Trouble, ApiError> {
    let field = match &error {
        DeskError::Refused(DeskRefusal::CodeTaken { row: None }) => Some("code".to_owned()),
        DeskError::Refused(DeskRefusal::CodeTaken { row: Some(at) }) => {
            Some(format!("sku-{at}-code"))
        }
        _ => None,
    };
    let trouble = refusals::trouble(error, tongue)?;
    let row = field.as_deref().and_then(|field| field.split('-').nth(1)?.parse::<usize>().ok());
    let name = row.and_then(|at| draft.rows.get(at)).map_or("", |row| &row.code);
    match field {
        Some(field) => {
            Ok(Trouble::new(&field, format!("{name} {}", trouble.text).trim().to_owned()))
        }
        None => Ok(trouble),
    }
}

/// Somebody else was faster: both values of what differs, and a form that would now win.
async fn stale(
    app: &AppState,
    staff: &Staff,
    over: Option<(GoodsId, i64)>,
    (draft, mine): (Draft, Sheet),
) -> Result<HttpResponse, ApiError> {
    let Some((id, _)) = over else { return Err(ApiError::not_found("id")) };
    let now = find(app, staff, At(id)).await?;
    let (theirs, yours) = differences(Some(&now.sheet), &mine);
    let names: std::collections::BTreeSet<&String> = theirs.keys().chain(yours.keys()).collect();
    let tree = categories::tree(&app.readers, staff.shop()?.wxapp.id).await?;
    let show = |name: &str, value: Option<&String>| {
        value.map_or_else(|| "-".to_owned(), |value| shown(name, value, &tree))
    };
    let conflict = |name: &String| Conflict {
        field: match name.split_once(' ') {
            Some((_, id)) => format!("{} {id}", staff.tongue.goods().sku),
            None => staff.tongue.word("fact", name),
        },
        yours: show(name, yours.get(name)),
        theirs: show(name, theirs.get(name)),
    };
    let conflicts = names.into_iter().map(conflict).collect();
    let text = staff.tongue.word("refusal", "stale");
    let frame = Frame::of(staff, "goods").problems(vec![Trouble::new("conflict", text)]);
    let draft = draft.with_added(&now.sheet, &mine).arranged();
    let page = page(app, staff, Some((id, now.version)), (frame, draft)).await?;
    let page = EditPage { conflicts, ..page };
    render::page_with(StatusCode::CONFLICT, &page)
}

/// The value of a fact for people.
fn shown(name: &str, value: &str, tree: &[Branch]) -> String {
    let number = value.parse::<i64>().ok();
    match (name, number) {
        ("sale_starts_at" | "sale_ends_at", Some(at)) => render::time(Timestamp::from_millis(at)),
        ("category_id", Some(id)) => {
            let named = tree.iter().find(|branch| CategoryId::parse(id) == Ok(branch.id));
            named.map_or_else(|| value.to_owned(), |branch| branch.path.clone())
        }
        _ => value.to_owned(),
    }
}

/// What was written.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminGoodsSaved)]
pub struct SavedJson {
    /// The `Idempotency-Key` had acted before; nothing has changed.
    repeated: bool,
    /// Of a new one that was made before it is not known here.
    goods_id: Option<i64>,
}

impl SavedJson {
    fn new(acted: Acted, over: Option<GoodsId>) -> web::Json<Self> {
        let goods_id = acted.goods.or(over).map(GoodsId::get);
        web::Json(Self { repeated: acted.repeated, goods_id })
    }
}

/// Makes goods. Their SKUs begin with no stock.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/goods", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = SheetBody,
    responses((status = 200, body = SavedJson), Refusals), security(("staff" = [])))]
pub async fn create_goods(
    app: Data<AppState>,
    staff: Staff,
    request: HttpRequest,
    Json(body): Json<SheetBody>,
) -> Result<web::Json<SavedJson>, ApiError> {
    let by = by(&request, &staff)?;
    Ok(SavedJson::new(save(&app, &by, None, body.sheet()?).await?, None))
}

/// Changes goods that still have the `version` that was read. SKUs that are left out are retired.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/goods/{id}", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"), ("id" = i64, Path),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = SheetBody,
    responses((status = 200, body = SavedJson), Refusals), security(("staff" = [])))]
pub async fn save_goods(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    request: HttpRequest,
    Json(body): Json<SheetBody>,
) -> Result<web::Json<SavedJson>, ApiError> {
    let by = by(&request, &staff)?;
    let version = body.version.ok_or_else(|| ApiError::invalid("version", "is needed"))?;
    let acted = save(&app, &by, Some((at.0, version)), body.sheet()?).await?;
    Ok(SavedJson::new(acted, Some(at.0)))
}
