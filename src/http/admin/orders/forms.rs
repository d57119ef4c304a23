//! The forms of what staff do to an order: each a page that works without script, sent with a
//! one-time key, and shown again with what was typed when it is refused.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;

use super::acts::{self, Failed};
use super::acts::{
    AddressBody, NoteBody, NumberBody, ParcelBody, ParcelLine, PriceBody, ReasonBody,
};
use super::detail::{self, At};
use super::doc::InquiredJson;
use super::{clerk, refusals};
use crate::actors::desk::{Acted, Clerk, DeskError};
use crate::domain::express::{self, Express};
use crate::domain::money::Money;
use crate::domain::shipment::Shipment;
use crate::domain::staff::Right;
use crate::http::AppState;
use crate::http::admin::form::Form;
use crate::http::admin::guard::Staff;
use crate::http::admin::render::{self, Frame, Trouble};
use crate::http::auth;
use crate::http::error::ApiError;
use crate::store::order_views::OrderView;

/// What can be done to an order by a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Note,
    Ship,
    Correct,
    Address,
    Price,
    Cancel,
    Release,
    Complete,
    Refund,
}

impl Act {
    pub const ALL: &[Act] = &[
        Act::Note,
        Act::Ship,
        Act::Correct,
        Act::Address,
        Act::Price,
        Act::Cancel,
        Act::Release,
        Act::Complete,
        Act::Refund,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Ship => "ship",
            Self::Correct => "correct",
            Self::Address => "address",
            Self::Price => "price",
            Self::Cancel => "cancel",
            Self::Release => "release",
            Self::Complete => "complete",
            Self::Refund => "refund",
        }
    }

    pub fn right(self) -> Right {
        match self {
            Self::Note => Right::OrdersNote,
            Self::Ship | Self::Correct | Self::Complete => Right::OrdersShip,
            Self::Address => Right::OrdersAddress,
            Self::Price => Right::OrdersPrice,
            Self::Cancel => Right::OrdersCancel,
            Self::Release => Right::OrdersRelease,
            Self::Refund => Right::OrdersRefund,
        }
    }

    pub fn path(self) -> String {
        let what = match self {
            Self::Correct => "parcels/{parcel}".to_owned(),
            other => other.name().to_owned(),
        };
        format!("/shops/{{shop}}/orders/{{id}}/{what}")
    }

    /// Whether money moves, or goods whose money may yet come: to be confirmed.
    fn is_confirmed(self) -> bool {
        matches!(self, Self::Price | Self::Release | Self::Refund)
    }
}

#[derive(Template)]
#[template(path = "admin/order_act.html")]
struct ActPage {
    frame: Frame,
    act: &'static str,
    order: OrderView,
    /// The order's page.
    back: String,
    /// Where the form goes.
    here: String,
    parcel: Option<Shipment>,
    companies: &'static [Express],
    given: Form,
    key: String,
}

impl ActPage {
    /// What was typed, else what is there now.
    fn or<'a>(&'a self, field: &str, now: &'a str) -> &'a str {
        match self.given.value(field) {
            "" => now,
            typed => typed,
        }
    }
    fn last_correction(&self) -> bool {
        self.parcel.as_ref().is_some_and(detail::is_last_correction)
    }
    fn rest(&self) -> String {
        let rest = self.order.amounts.pay.checked_sub(self.order.refunded);
        rest.unwrap_or(Money::ZERO).to_string()
    }
}

async fn act_page(
    act: Act,
    app: &AppState,
    staff: &Staff,
    at: At,
    (frame, given): (Frame, Form),
) -> Result<ActPage, ApiError> {
    let order = detail::find(app, staff, at.order).await?.order.order;
    let parcel = order.shipments.iter().find(|parcel| Some(parcel.id) == at.parcel).cloned();
    if act == Act::Correct && parcel.is_none() {
        return Err(ApiError::not_found("parcel"));
    }
    let back = back(staff, at)?;
    let here = match at.parcel {
        Some(parcel) => format!("{back}/parcels/{parcel}"),
        None => format!("{back}/{}", act.name()),
    };
    let companies = express::COMPANIES;
    let key = auth::new_token();
    Ok(ActPage { frame, act: act.name(), order, back, here, parcel, companies, given, key })
}

fn back(staff: &Staff, at: At) -> Result<String, ApiError> {
    Ok(format!("/admin/shops/{}/orders/{}", staff.shop()?.wxapp.id, at.order))
}

pub async fn show(
    act: Act,
    app: Data<AppState>,
    staff: Staff,
    at: At,
) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&staff, "orders");
    render::page(&act_page(act, &app, &staff, at, (frame, Form::default())).await?)
}

pub async fn post(
    act: Act,
    app: Data<AppState>,
    staff: Staff,
    at: At,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    let o = staff.tongue.orders();
    if act.is_confirmed() && form.value("confirmed") != "yes" {
        let trouble = Trouble::new("confirmed", o.confirm_missing);
        return again(act, &app, &staff, at, (form, trouble)).await;
    }
    let by = clerk(&staff, form.value("key"))?;
    match perform(act, &app, &by, at, &form).await {
        Ok(acted) => {
            let done = if acted.repeated { "repeated" } else { act.name() };
            Ok(render::see(&format!("{}?done={done}", back(&staff, at)?)))
        }
        Err(Failed::Other(error)) => Err(error),
        Err(Failed::Desk(error)) => {
            let trouble = refusals::trouble(error, staff.tongue)?;
            again(act, &app, &staff, at, (form, trouble)).await
        }
    }
}

async fn again(
    act: Act,
    app: &AppState,
    staff: &Staff,
    at: At,
    (given, trouble): (Form, Trouble),
) -> Result<HttpResponse, ApiError> {
    if matches!(act, Act::Ship | Act::Note) {
        return detail::again(app, staff, at.order, (given, trouble)).await;
    }
    let frame = Frame::of(staff, "orders").problems(vec![trouble]);
    let page = act_page(act, app, staff, at, (frame, given)).await?;
    render::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn perform(
    act: Act,
    app: &AppState,
    by: &Clerk,
    at: At,
    form: &Form,
) -> Result<Acted, Failed> {
    let (order, text) = (at.order, |name: &str| form.value(name).to_owned());
    let reason = ReasonBody { reason: text("reason") };
    Ok(match act {
        Act::Note => acts::note(app, by, order, NoteBody { text: text("text") }).await?,
        Act::Ship => acts::ship(app, by, order, parcel(form)?).await?,
        Act::Correct => {
            let parcel = at.parcel.ok_or_else(|| ApiError::not_found("parcel"))?;
            acts::correct(app, by, order, parcel, number(form)).await?
        }
        Act::Address => acts::address(app, by, order, address(form)).await?,
        Act::Price => {
            let pay_fen = fen(form.value("pay"))?;
            acts::price(app, by, order, PriceBody { pay_fen, reason: reason.reason }).await?
        }
        Act::Cancel => acts::cancel(app, by, order, reason).await?,
        Act::Release => acts::release(app, by, order, reason).await?,
        Act::Complete => acts::complete(app, by, order, reason).await?,
        Act::Refund => acts::refund(app, by, order, reason).await?,
    })
}

fn number(form: &Form) -> NumberBody {
    NumberBody {
        company: form.value("company").to_owned(),
        company_name: Some(form.value("company_name").to_owned()),
        number: form.value("number").to_owned(),
    }
}

fn parcel(form: &Form) -> Result<ParcelBody, DeskError> {
    let NumberBody { company, company_name, number } = number(form);
    let bad = || DeskError::Invalid { field: "lines", why: "not a number of pieces" };
    let mut lines = Vec::new();
    for (name, value) in form.starting_with("line-") {
        let order_goods_id = name.parse().map_err(|_| bad())?;
        let quantity: i64 = value.trim().parse().map_err(|_| bad())?;
        if quantity != 0 {
            lines.push(ParcelLine { order_goods_id, quantity });
        }
    }
    if lines.is_empty() {
        return Err(bad());
    }
    Ok(ParcelBody { company, company_name, number, lines })
}

fn address(form: &Form) -> AddressBody {
    let text = |name: &str| form.value(name).to_owned();
    AddressBody {
        name: text("name"),
        phone: text("phone"),
        province: text("province"),
        city: text("city"),
        district: text("district"),
        detail: text("detail"),
    }
}

/// Yuan with at most two decimals, as fen.
fn fen(text: &str) -> Result<i64, DeskError> {
    let bad = || DeskError::Invalid { field: "pay", why: "out of range" };
    let text = text.trim().trim_start_matches('¥');
    let (yuan, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if yuan.is_empty() || yuan.len() > 9 || part.len() > 2 || !digits(yuan) || !digits(part) {
        return Err(bad());
    }
    format!("{yuan}{part:0<2}").parse().map_err(|_| bad())
}

#[derive(Template)]
#[template(path = "admin/order_ask.html")]
struct AskPage {
    frame: Frame,
    order_no: String,
    back: String,
    /// None: not asked yet.
    answers: Option<Vec<InquiredJson>>,
}

async fn ask_page(
    app: &AppState,
    staff: &Staff,
    at: At,
    answers: Option<Vec<InquiredJson>>,
) -> Result<HttpResponse, ApiError> {
    let order_no = detail::find(app, staff, at.order).await?.order.order.order_no;
    let frame = Frame::of(staff, "orders");
    render::page(&AskPage { frame, order_no, back: back(staff, at)?, answers })
}

pub async fn show_ask(app: Data<AppState>, staff: Staff, at: At) -> Result<HttpResponse, ApiError> {
    ask_page(&app, &staff, at, None).await
}

pub async fn ask_form(app: Data<AppState>, staff: Staff, at: At) -> Result<HttpResponse, ApiError> {
    let answers = super::json::asked(&app, &staff, at).await?;
    ask_page(&app, &staff, at, Some(answers)).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn yuan_become_fen_and_nothing_else_does() {
        for (text, expected) in [("12.34", 1234), (" ¥0.5 ", 50), ("7", 700), ("0.01", 1)] {
            assert_eq!(fen(text).unwrap(), expected, "{text}");
        }
        for bad in ["", ".5", "1.234", "1,00", "-1", "1e3", "1 000", "9999999999", "一"] {
            assert!(fen(bad).is_err(), "{bad}");
        }
    }
}
