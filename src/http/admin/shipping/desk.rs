//! The page of the shipping desk: one field at a time, first the slip, then the parcel's label.
//!
//! Opening a slip changes nothing and is a plain link; shipping and taking back are forms. The
//! script of the page only swaps what these answer with, and gives a sound to it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::acts::{self, ScanBody, ScanError};
use crate::actors::desk::{DeskError, DeskRefusal};
use crate::domain::express::{self, Express, OTHER};
use crate::domain::id::LineId;
use crate::domain::money::Quantity;
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::orders::detail::At;
use crate::http::admin::orders::{clerk, refusals};
use crate::http::admin::render::{self, Frame};
use crate::http::admin::texts::{ShippingTexts, Tongue};
use crate::http::auth;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::store::desk::{self, LastScan};
use crate::store::order_views::{LineView, ListState, OrderView, RefundProgress};

/// What the address of the page says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    slip: String,
    done: String,
}

/// What came of the last step: said in text, and by a sound.
struct Said {
    good: bool,
    text: String,
}

impl Said {
    fn good(text: impl Into<String>) -> Self {
        Self { good: true, text: text.into() }
    }
    fn bad(text: impl Into<String>) -> Self {
        Self { good: false, text: text.into() }
    }
}

/// A slip that is open: its parcel is packed now.
struct Slip {
    order: OrderView,
}

impl Slip {
    fn left(&self, line: &LineView) -> i64 {
        super::left_of(&self.order, line)
    }
    fn pieces(&self) -> i64 {
        self.order.lines.iter().map(|line| self.left(line)).sum()
    }
}

#[derive(Template)]
#[template(path = "admin/shipping.html")]
struct DeskPage {
    frame: Frame,
    s: &'static ShippingTexts,
    base: String,
    orders: String,
    said: Option<Said>,
    slip: Option<Slip>,
    last: Option<LastScan>,
    companies: Vec<&'static Express>,
    given: Form,
    /// To be confirmed: this other order has the number.
    of_another: Option<String>,
    /// Where the next scan goes, or what is to be chosen first.
    focus: &'static str,
    key: String,
}

impl DeskPage {
    /// The company of the last scan, where it can serve again.
    fn before(&self) -> Option<&str> {
        let last = self.last.as_ref().filter(|last| last.company_code != OTHER);
        last.map(|last| last.company.as_str())
    }
}

/// What a page shows beside what is always there.
#[derive(Default)]
struct Shown {
    said: Option<Said>,
    slip: Option<Slip>,
    given: Form,
    of_another: Option<String>,
    focus: Option<&'static str>,
}

async fn page(app: &AppState, staff: &Staff, shown: Shown) -> Result<DeskPage, ApiError> {
    let shop = staff.shop()?.wxapp.id;
    let here = if shown.slip.is_some() { "number" } else { "slip" };
    Ok(DeskPage {
        frame: Frame::of(staff, "shipping"),
        s: staff.tongue.shipping(),
        base: format!("/admin/shops/{shop}/shipping"),
        orders: format!("/admin/shops/{shop}/orders"),
        said: shown.said,
        slip: shown.slip,
        last: desk::last_scan(&app.readers, shop, staff.id()).await?,
        companies: express::COMPANIES.iter().filter(|company| company.code != OTHER).collect(),
        given: shown.given,
        of_another: shown.of_another,
        focus: shown.focus.unwrap_or(here),
        key: auth::new_token(),
    })
}

pub async fn show(
    app: Data<AppState>,
    staff: Staff,
    Query(wanted): Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let s = staff.tongue.shipping();
    let done = match wanted.done.as_str() {
        "shipped" => Some(s.said_shipped),
        "repeated" => Some(s.said_repeated),
        "taken_back" => Some(s.said_taken_back),
        _ => None,
    };
    let mut shown = match wanted.slip.trim() {
        "" => Shown::default(),
        slip => opened(&app, &staff, slip).await?,
    };
    if let Some(done) = done {
        let mut page = page(&app, &staff, shown).await?;
        let last = page.last.as_ref().filter(|_| wanted.done == "shipped");
        let what = last.map(|last| format!(" {} {} {}", last.order_no, last.company, last.number));
        page.said = Some(Said::good(format!("{done}{}", what.unwrap_or_default())));
        return render::page(&page);
    }
    if shown.slip.is_some() {
        shown.said = Some(Said::good(s.said_ready));
    }
    render::page(&page(&app, &staff, shown).await?)
}

/// The slip that was scanned, or why it is not opened.
async fn opened(app: &AppState, staff: &Staff, text: &str) -> Result<Shown, ApiError> {
    let (s, by) = (staff.tongue.shipping(), clerk(staff, "")?);
    let refused = |text: String| Shown { said: Some(Said::bad(text)), ..Shown::default() };
    let Some(found) = acts::slip(app, &by, text).await? else {
        let why = match acts::is_order_no(text) {
            false if acts::number(text).is_ok() => s.slip_expected,
            _ => s.no_such_slip,
        };
        return Ok(refused(format!("{why}: {text}")));
    };
    let order = found.order;
    match why_not(&order, staff.tongue) {
        Some(why) => Ok(refused(format!("{why} ({text})"))),
        None => Ok(Shown { slip: Some(Slip { order }), ..Shown::default() }),
    }
}

/// Why nothing of this order can leave.
fn why_not(order: &OrderView, tongue: Tongue) -> Option<String> {
    let s = tongue.shipping();
    if order.refund == RefundProgress::Open {
        return Some(s.refund_open.to_owned());
    }
    if order.state == ListState::Paid {
        return None;
    }
    let state = tongue.word("state", order.state.as_str());
    let parcels = order.shipments.iter();
    let parcels = parcels.map(|parcel| format!(" {} {}", parcel.carrier.name(), parcel.number));
    Some(format!("{}: {state}{}", s.wrong_state, parcels.collect::<String>()))
}

pub async fn scan_form(
    app: Data<AppState>,
    staff: Staff,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let by = clerk(&staff, form.value("key"))?;
    let scanned = match scanned(&form) {
        Ok(body) => acts::scan(&app, &by, body).await,
        Err(error) => Err(error.into()),
    };
    match scanned {
        Ok(acted) => {
            let done = if acted.repeated { "repeated" } else { "shipped" };
            Ok(render::see(&place(&staff, &format!("done={done}"))?))
        }
        Err(ScanError::Other(error)) => Err(error),
        Err(refused) => again(&app, &staff, form, refused).await,
    }
}

fn place(staff: &Staff, query: &str) -> Result<String, ApiError> {
    Ok(format!("/admin/shops/{}/shipping?{query}", staff.shop()?.wxapp.id))
}

/// The lines as the clerk has seen them, so that nothing leaves that was not on the screen.
fn scanned(form: &Form) -> Result<ScanBody, DeskError> {
    let bad = || DeskError::Invalid { field: "lines", why: "not a number of pieces" };
    let mut lines = Vec::new();
    for (id, pieces) in form.starting_with("line-") {
        let id = id.parse().ok().and_then(|id| LineId::parse(id).ok()).ok_or_else(bad)?;
        let pieces = pieces.parse().ok().and_then(|pieces| Quantity::parse(pieces).ok());
        lines.push((id, pieces.ok_or_else(bad)?));
    }
    // Fields come in no order; the key of the form is bound to what they say.
    lines.sort_unstable_by_key(|(id, _)| id.get());
    Ok(ScanBody {
        order_no: form.value("order_no").to_owned(),
        number: form.value("number").to_owned(),
        company: form.value("company").to_owned(),
        same_parcel: form.value("same_parcel") == "yes",
        lines,
        ..ScanBody::default()
    })
}

/// The slip stays open where the label was wrong; what it was is said.
async fn again(
    app: &AppState,
    staff: &Staff,
    given: Form,
    refused: ScanError,
) -> Result<HttpResponse, ApiError> {
    let s = staff.tongue.shipping();
    let number = given.value("number").trim().to_owned();
    let (mut focus, mut of_another) = (None, None);
    let why = match refused {
        ScanError::NoSuchSlip => format!("{}: {}", s.no_such_slip, given.value("order_no")),
        ScanError::NotALabel => format!("{}: {number}", s.number_expected),
        ScanError::Ruined => format!("{}: {number}", s.number_ruined),
        ScanError::BadNumber => format!("{}: {number}", s.number_bad),
        ScanError::UnknownCompany => {
            focus = Some("company");
            s.company_unknown.to_owned()
        }
        ScanError::OfAnother(order_no) => {
            focus = Some("same_parcel");
            let why = format!("{} {order_no}: {number}", s.number_of_another);
            of_another = Some(order_no);
            why
        }
        ScanError::Desk(error) => refusals::trouble(error, staff.tongue)?.text,
        ScanError::Other(error) => return Err(error),
    };
    let opened = opened(app, staff, given.value("order_no")).await?;
    // Nothing of it can leave any more: then this says more than what the scan was refused with.
    let said = opened.said.unwrap_or_else(|| Said::bad(why));
    let shown = Shown { said: Some(said), slip: opened.slip, given, of_another, focus };
    let page = page(app, staff, shown).await?;
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

pub async fn take_back_form(
    app: Data<AppState>,
    staff: Staff,
    at: At,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let by = clerk(&staff, form.value("key"))?;
    let parcel = at.parcel.ok_or_else(|| ApiError::not_found("parcel"))?;
    match crate::http::admin::orders::desk(&app).take_back(&by, at.order, parcel).await {
        Ok(_) => {
            let found = desk::detail(&app.readers, by.wxapp, at.order).await?;
            let slip = found.map_or_else(String::new, |found| found.order.order.order_no);
            Ok(render::see(&place(&staff, &format!("slip={slip}&done=taken_back"))?))
        }
        Err(DeskError::Refused(DeskRefusal::Unknown(what))) => Err(ApiError::not_found(what)),
        Err(error) => {
            let why = refusals::trouble(error, staff.tongue)?.text;
            let shown = Shown { said: Some(Said::bad(why)), ..Shown::default() };
            let page = page(&app, &staff, shown).await?;
            render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
