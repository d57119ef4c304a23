//! The page of the shipping files: what is to be shipped goes out as a table with two empty
//! columns, and comes back filled in. First it is looked at, then the good rows ship.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::bulk::{self, Checked, CheckedJson, Row};
use super::export::{self, ORDERS_MAX};
use super::table::{self, Line, TableError};
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::{CONFIRMED_SECONDS, Staff};
use crate::http::admin::orders::clerk;
use crate::http::admin::orders::json::by;
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::admin::texts::{ShippingTexts, Tongue};
use crate::http::auth;
use crate::http::error::{ApiError, Code};
use crate::http::extract::Json;
use crate::http::openapi::Refusals;
use crate::store::desk;

/// Separates the cells of a row that waits in a form for its confirmation.
const BETWEEN: char = '\t';

#[derive(Template)]
#[template(path = "admin/shipping_files.html")]
struct FilesPage {
    frame: Frame,
    s: &'static ShippingTexts,
    base: String,
    waiting: u64,
    /// A file that was read, and whether its rows have shipped.
    file: Option<Vec<Checked>>,
    is_done: bool,
    key: String,
}

impl FilesPage {
    fn waiting_shown(&self) -> String {
        match self.waiting > ORDERS_MAX as u64 {
            true => format!("{ORDERS_MAX}+"),
            false => self.waiting.to_string(),
        }
    }
    fn count(&self, state: &str) -> usize {
        self.file.iter().flatten().filter(|row| row.state() == state).count()
    }
    /// Rows that say something, those that are wrong first.
    fn rows(&self) -> Vec<&Checked> {
        let told = |row: &&Checked| row.state() != "empty";
        let mut rows: Vec<&Checked> = self.file.iter().flatten().filter(told).collect();
        rows.sort_by_key(|row| !row.is_wrong());
        rows
    }
    fn state(&self, row: &Checked) -> String {
        self.frame.word("row_state", row.state())
    }
    fn why(&self, row: &Checked) -> String {
        row.why(self.frame.tongue)
    }
    /// The rows as the form keeps them until they are confirmed.
    fn kept(&self) -> String {
        let rows = self.file.iter().flatten().filter(|row| row.state() == "ready");
        let line = |row: &Checked| {
            let (Row { order_no, number, .. }, line) = (&row.row, row.line);
            let code = row.company_code();
            format!("{line}{BETWEEN}{order_no}{BETWEEN}{code}{BETWEEN}{number}\n")
        };
        rows.map(line).collect()
    }
}

async fn page(
    app: &AppState,
    staff: &Staff,
    frame: Frame,
    file: Option<Vec<Checked>>,
    is_done: bool,
) -> Result<FilesPage, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    Ok(FilesPage {
        frame,
        s: staff.tongue.shipping(),
        base: format!("/admin/shops/{shop}/shipping"),
        waiting: desk::count_to_ship(&app.readers, shop, ORDERS_MAX as u64 + 1).await?,
        file,
        is_done,
        key: auth::new_token(),
    })
}

pub async fn show(app: Data<AppState>, staff: Staff) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&staff, "shipping");
    render::page(&page(&app, &staff, frame, None, false).await?)
}

/// Addresses of many buyers go out: the password is asked for again, as for all of that kind.
pub async fn export_form(app: Data<AppState>, staff: Staff) -> Result<HttpResponse, ApiError> {
    let confirmed = staff.session()?.confirmed_at.plus_seconds(CONFIRMED_SECONDS);
    if app.clock.now() >= confirmed {
        let files = format!("/admin/shops/{}/shipping/files", staff.shop()?.wxapp.id);
        return Ok(render::see(&format!("/admin/confirm?next={files}")));
    }
    export::to_ship(app, &staff).await
}

/// What is to be shipped, the oldest first, as CSV in UTF-8; at most 5,000 orders. The columns of
/// company and number are empty; filled in, the file is what `/shipping/file` reads on the page.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/shipping/export", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id")),
    responses((status = 200, body = String, content_type = "text/csv"), Refusals),
    security(("staff" = [])))]
pub async fn export_json(app: Data<AppState>, staff: Staff) -> Result<HttpResponse, ApiError> {
    export::to_ship(app, &staff).await
}

pub async fn upload_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let read = match form.file("file") {
        Some(file) => {
            let bytes = file.bytes.clone();
            web::block(move || rows(&bytes)).await.map_err(ApiError::internal)?
        }
        None => Err(Bad::NoFile),
    };
    let frame = Frame::of(&staff, "shipping");
    match read {
        Ok(rows) => {
            let checked = bulk::check(&app, &clerk(&staff, "")?, rows).await?;
            render::page(&page(&app, &staff, frame, Some(checked), false).await?)
        }
        Err(bad) => {
            let frame = frame.problems(vec![Trouble::new("file", bad.text(staff.tongue))]);
            let page = page(&app, &staff, frame, None, false).await?;
            render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

pub async fn ship_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let by = clerk(&staff, form.value("key"))?;
    let rows = form.value("rows").lines().map(kept_row).take(table::ROWS_MAX).collect();
    let shipped = bulk::ship(&app, &by, rows).await?;
    let frame = Frame::of(&staff, "shipping");
    render::page(&page(&app, &staff, frame, Some(shipped), true).await?)
}

fn kept_row(line: &str) -> Row {
    let mut cells = line.split(BETWEEN).map(str::to_owned);
    let mut next = || cells.next().unwrap_or_default();
    let line = next().parse().unwrap_or_default();
    Row { line, order_no: next(), company: next(), number: next() }
}

/// Why a file cannot be used.
enum Bad {
    NoFile,
    Table(TableError),
    /// A column is missing.
    Column(&'static [&'static str]),
}

impl Bad {
    fn text(&self, tongue: Tongue) -> String {
        let s = tongue.shipping();
        match self {
            Self::NoFile => s.no_file.to_owned(),
            Self::Table(error) => tongue.word("table", error.as_str()),
            Self::Column(names) => format!("{}: {}", s.no_column, names.join(" / ")),
        }
    }
}

const ORDER_NO: &[&str] = &["订单号", "Order number", "order_no"];
const COMPANY: &[&str] = &["快递公司", "Express company", "company"];
const NUMBER: &[&str] = &["快递单号", "Express number", "number"];

/// The rows of a file; its columns are known by their heads, in any order.
fn rows(bytes: &[u8]) -> Result<Vec<Row>, Bad> {
    let mut rows = table::rows(bytes).map_err(Bad::Table)?.into_iter();
    let head = rows.next().unwrap_or_default().cells;
    let column = |names: &'static [&'static str]| {
        let is = |cell: &String| names.iter().any(|name| name.eq_ignore_ascii_case(cell));
        head.iter().position(is).ok_or(Bad::Column(names))
    };
    let (order_no, company, number) = (column(ORDER_NO)?, column(COMPANY)?, column(NUMBER)?);
    let row = |Line { line, cells }: Line| {
        let cell = |place: usize| cells.get(place).cloned().unwrap_or_default();
        let (order_no, company, number) = (cell(order_no), cell(company), cell(number));
        Row { line, order_no, company, number }
    };
    Ok(rows.map(row).collect())
}

/// Rows of a file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminParcelRows)]
pub struct RowsBody {
    /// At most 2,000, in a body of at most `server.body_max_bytes`.
    rows: Vec<Row>,
}

impl RowsBody {
    fn checked(self) -> Result<Vec<Row>, ApiError> {
        if self.rows.len() > table::ROWS_MAX {
            return Err(ApiError::new(Code::TooLarge).with("max_rows", table::ROWS_MAX));
        }
        let texts = self.rows.iter().flat_map(|row| [&row.order_no, &row.company, &row.number]);
        if texts.into_iter().any(|text| text.contains(char::is_control)) {
            return Err(ApiError::invalid("rows", "no control characters"));
        }
        Ok(self.rows)
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminCheckedRows)]
pub struct CheckedRows {
    items: Vec<CheckedJson>,
}

fn answer(checked: Vec<Checked>) -> web::Json<CheckedRows> {
    web::Json(CheckedRows { items: checked.into_iter().map(CheckedJson::from).collect() })
}

/// Tells of each row whether it could ship; nothing is done.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/shipping/file", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id")), request_body = RowsBody,
    responses((status = 200, body = CheckedRows), Refusals), security(("staff" = [])))]
pub async fn check_json(
    app: Data<AppState>,
    staff: Staff,
    Json(body): Json<RowsBody>,
) -> Result<web::Json<CheckedRows>, ApiError> {
    let by = clerk(&staff, "")?;
    Ok(answer(bulk::check(&app, &by, body.checked()?).await?))
}

/// Ships the rows that can ship, each with all that is left of its order.
#[utoipa::path(post, path = "/api/admin/v1/shops/{shop}/shipping/file/ship", tag = "admin",
    params(("shop" = i64, Path, description = "Mini-program id"),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = RowsBody,
    responses((status = 200, body = CheckedRows), Refusals), security(("staff" = [])))]
pub async fn ship_json(
    app: Data<AppState>,
    staff: Staff,
    request: HttpRequest,
    Json(body): Json<RowsBody>,
) -> Result<web::Json<CheckedRows>, ApiError> {
    let by = by(&request, &staff)?;
    Ok(answer(bulk::ship(&app, &by, body.checked()?).await?))
}
