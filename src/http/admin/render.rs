//! Pages: the frame around each of them, the headers that all have, and refusals as pages.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpResponse};
use askama::Template;

use super::guard::{Credential, Staff};
use super::texts::{OrderTexts, Texts, Tongue};
use crate::domain::staff::Right;
use crate::domain::time::Timestamp;
use crate::http::error::{ApiError, Code};

/// No script, style, image or form target but our own; nobody may put a page into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'";

/// What stands around a page.
pub struct Frame {
    pub t: &'static Texts,
    pub o: &'static OrderTexts,
    pub tongue: Tongue,
    /// Nobody: the pages before the log-in.
    pub staff: Option<Shown>,
    /// Which entry of the menu is meant.
    pub place: &'static str,
    /// What has just been done, said once above the page.
    pub notice: Option<String>,
    /// What is wrong, said above the page, with the field it is about.
    pub problems: Vec<Trouble>,
}

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The id of the field; empty when it is about the whole.
    pub field: String,
    pub text: String,
}

impl Trouble {
    pub fn new(field: &str, text: impl Into<String>) -> Self {
        Self { field: field.to_owned(), text: text.into() }
    }
}

impl Frame {
    /// The frame of a page before the log-in.
    pub fn outside(tongue: Tongue) -> Self {
        Self {
            t: tongue.texts(),
            o: tongue.orders(),
            tongue,
            staff: None,
            place: "",
            notice: None,
            problems: Vec::new(),
        }
    }

    /// The frame of a page of somebody who is known.
    pub fn of(staff: &Staff, place: &'static str) -> Self {
        Self { staff: Some(Shown::new(staff)), place, ..Self::outside(staff.tongue) }
    }

    pub fn notice(mut self, notice: Option<&str>) -> Self {
        self.notice = notice.map(str::to_owned);
        self
    }

    pub fn problems(mut self, problems: Vec<Trouble>) -> Self {
        self.problems = problems;
        self
    }

    /// Whether something is wrong with this field.
    pub fn wrong(&self, field: &str) -> bool {
        self.problems.iter().any(|problem| problem.field == field)
    }

    /// The token of this session's forms; empty before the log-in.
    pub fn form_token(&self) -> &str {
        self.staff.as_ref().map_or("", |staff| &staff.form_token)
    }

    /// The word for what the engine calls `name`.
    pub fn word(&self, kind: &str, name: &str) -> String {
        self.tongue.word(kind, name)
    }

    /// The name of this place in the menu.
    pub fn place_label(&self) -> &'static str {
        label(self.t, self.place)
    }

    /// A time as people of the shop read it.
    pub fn time(&self, at: &Timestamp) -> String {
        time(*at)
    }
}

/// What the frame shows of the member of staff.
#[derive(Clone)]
pub struct Shown {
    pub name: String,
    pub tongue: Tongue,
    pub form_token: String,
    pub shop: Option<(i64, String)>,
    /// The other mini-programs that he works for: address of the place there, name.
    pub shops: Vec<(String, String)>,
    /// What the menu leads to: name of the place, address.
    pub menu: Vec<(&'static str, String)>,
}

impl Shown {
    pub fn new(staff: &Staff) -> Self {
        let form_token = match &staff.credential {
            Credential::Session(session) => session.form_token.clone(),
            Credential::Token { .. } => String::new(),
        };
        let shop = staff.shop_if_named();
        let shop = shop.map(|shop| (shop.wxapp.id.get(), shop.wxapp.name.clone()));
        Self {
            name: staff.member.name.clone(),
            tongue: staff.tongue,
            form_token,
            menu: menu(staff),
            shops: other_shops(staff),
            shop,
        }
    }

    /// The word for a place of the menu.
    pub fn label(&self, place: &str) -> &'static str {
        label(self.tongue.texts(), place)
    }
}

fn label(t: &Texts, place: &str) -> &'static str {
    match place {
        "orders" => t.orders,
        "shipping" => t.shipping,
        "incidents" => t.incidents,
        "goods" => t.goods,
        "log" => t.audit,
        "people" => t.people,
        "tokens" => t.tokens,
        "audit" => t.account_log,
        _ => t.my_account,
    }
}

/// The rights that open the places of one mini-program.
const OF_SHOP: [(&str, &str, Right); 5] = [
    ("orders", "orders", Right::OrdersRead),
    ("shipping", "shipping", Right::OrdersShip),
    ("goods", "goods", Right::GoodsRead),
    ("incidents", "incidents", Right::Incidents),
    ("log", "audit", Right::Audit),
];

/// The places that this member of staff may go to; what one may not do is not in the menu.
pub fn menu(staff: &Staff) -> Vec<(&'static str, String)> {
    let named = staff.shop_if_named().map(|shop| shop.wxapp.id);
    let shop = named.or_else(|| staff.shops().first().map(|(id, _)| *id));
    let here = shop.into_iter().flat_map(|shop| {
        let open = OF_SHOP.into_iter().filter(move |(_, _, right)| staff.may(*right, shop));
        open.map(move |(place, path, _)| (place, format!("/admin/shops/{shop}/{path}")))
    });
    let places = [("people", Right::Staff), ("tokens", Right::Tokens), ("audit", Right::Audit)];
    let open = places.into_iter().filter(|(_, right)| staff.may_everywhere(*right));
    here.chain(open.map(|(place, _)| (place, format!("/admin/{place}")))).collect()
}

fn other_shops(staff: &Staff) -> Vec<(String, String)> {
    let here = staff.shop_if_named().map(|shop| shop.wxapp.id);
    if staff.shops().len() < 2 {
        return Vec::new();
    }
    let others = staff.shops().iter().filter(|(id, _)| Some(*id) != here);
    let orders = others.filter(|(id, _)| staff.may(Right::OrdersRead, *id));
    orders.map(|(id, name)| (format!("/admin/shops/{id}/orders"), name.clone())).collect()
}

/// A page, 200.
pub fn page(template: &impl Template) -> Result<HttpResponse, ApiError> {
    page_with(StatusCode::OK, template)
}

/// A page with a status of its own, such as 422 for a form with something wrong in it.
pub fn page_with(status: StatusCode, template: &impl Template) -> Result<HttpResponse, ApiError> {
    let html = template.render().map_err(ApiError::internal)?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html))
}

/// To another page after a form was done.
pub fn see(place: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, place)).finish()
}

/// A time as people read it, in the shop's time zone (+08:00).
pub fn time(at: Timestamp) -> String {
    let shop = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map(|at| shop.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

#[derive(Template)]
#[template(path = "admin/refused.html")]
struct Refused {
    frame: Frame,
    text: &'static str,
    reason: String,
}

/// Gives an answer the headers of the site, and makes a page of a refusal.
pub fn dressed(response: ServiceResponse<BoxBody>, tongue: Tongue) -> ServiceResponse<BoxBody> {
    let refusal = response.response().error().and_then(|error| error.as_error::<ApiError>());
    let mut response = match refusal.cloned() {
        Some(refusal) => {
            let shown = response.request().extensions().get::<Shown>().cloned();
            let (request, old) = response.into_parts();
            let mut page = refusal_page(&refusal, old.status(), shown, tongue);
            if let Some(wait) = old.headers().get(header::RETRY_AFTER) {
                page.headers_mut().insert(header::RETRY_AFTER, wait.clone());
            }
            ServiceResponse::new(request, page)
        }
        None => response,
    };
    let headers = response.headers_mut();
    let always = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What programs hear in English is for a Chinese page only where there is a word for it.
fn why(tongue: Tongue, reason: &str) -> String {
    let word = tongue.word("why", reason);
    if tongue == Tongue::Chinese && word == reason { String::new() } else { word }
}

fn refusal_page(
    refusal: &ApiError,
    status: StatusCode,
    shown: Option<Shown>,
    tongue: Tongue,
) -> HttpResponse {
    let tongue = shown.as_ref().map_or(tongue, |shown| shown.tongue);
    let t = tongue.texts();
    let text = match refusal.code() {
        Code::NotFound => t.not_found,
        Code::IdempotencyConflict => t.sent_before,
        Code::Forbidden => t.not_allowed,
        Code::InvalidRequest | Code::TooLarge => t.not_valid,
        Code::Busy | Code::Unavailable | Code::RateLimited => t.unavailable,
        _ => t.went_wrong,
    };
    let frame = Frame { staff: shown, ..Frame::outside(tongue) };
    let reason = why(tongue, &refusal.detail("reason"));
    let page = page_with(status, &Refused { frame, text, reason });
    page.unwrap_or_else(|_| HttpResponse::InternalServerError().finish())
}
