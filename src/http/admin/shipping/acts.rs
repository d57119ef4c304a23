//! What is scanned: checked for what a scan can be wrong in, and handed to the engine's desk.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::actors::desk::{Acted, Clerk, DeskError};
use crate::domain::express::{self, OTHER};
use crate::domain::id::{LineId, OrderId, TrackingNo};
use crate::domain::money::Quantity;
use crate::domain::shipment::Carrier;
use crate::http::AppState;
use crate::http::error::{ApiError, Code};
use crate::store::desk;
use crate::store::desk::StaffOrder;

/// Digits of an order number: a day and sixteen. No express number is as long.
const ORDER_NO_DIGITS: usize = 24;

/// A slip and the label of the parcel that it went into.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminScan)]
pub struct ScanBody {
    pub order_no: String,
    #[schema(example = "SF1234567890123")]
    pub number: String,
    /// Code of the express company; left out: by the form of the number, else as the last time.
    #[serde(default)]
    pub company: String,
    /// Only where `company` is `OTHER`.
    #[serde(default)]
    pub company_name: String,
    /// The number is on a parcel of another order already, and both are in it.
    #[serde(default)]
    pub same_parcel: bool,
    /// What is in the parcel; not part of the JSON: there it is all that is left.
    #[serde(skip)]
    pub lines: Vec<(LineId, Quantity)>,
}

/// Why a scan is not taken.
#[derive(Debug)]
pub enum ScanError {
    NoSuchSlip,
    /// The slip was scanned where the label was expected.
    NotALabel,
    /// `7.3E+13`
    Ruined,
    BadNumber,
    /// Its order's number.
    OfAnother(String),
    UnknownCompany,
    Desk(DeskError),
    Other(ApiError),
}

impl ScanError {
    /// Stable, for programs.
    fn name(&self) -> &'static str {
        match self {
            Self::NoSuchSlip => "unknown_order",
            Self::NotALabel => "order_no_as_number",
            Self::Ruined => "number_ruined",
            Self::BadNumber => "not an express number",
            Self::OfAnother(_) => "number_of_another_order",
            Self::UnknownCompany => "company_unknown",
            Self::Desk(_) | Self::Other(_) => "",
        }
    }
}

impl From<ScanError> for ApiError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Desk(error) => error.into(),
            ScanError::Other(error) => error,
            ScanError::NoSuchSlip => Self::not_found("order_no"),
            ScanError::OfAnother(order_no) => Self::new(Code::InvalidState)
                .with("reason", "number_of_another_order")
                .with("order_no", order_no),
            ScanError::UnknownCompany => Self::invalid("company", "company_unknown"),
            other => Self::invalid("number", other.name()),
        }
    }
}

impl From<DeskError> for ScanError {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

impl From<ApiError> for ScanError {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl From<crate::store::StoreError> for ScanError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

/// What a scanner or a spreadsheet gives for an express number.
pub fn number(text: &str) -> Result<TrackingNo, ScanError> {
    let text = text.trim().to_uppercase();
    if is_order_no(&text) {
        return Err(ScanError::NotALabel);
    }
    if is_ruined(&text) {
        return Err(ScanError::Ruined);
    }
    TrackingNo::parse(text).map_err(|_| ScanError::BadNumber)
}

/// Whether this can only be the number of an order.
pub fn is_order_no(text: &str) -> bool {
    text.len() == ORDER_NO_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a spreadsheet has made a power of ten of it, or has lost what is behind 15 digits.
pub fn is_ruined(text: &str) -> bool {
    let power = text.split_once("E+").or_else(|| text.split_once("E-"));
    let power = power.is_some_and(|(front, behind)| {
        front.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',')
            && behind.bytes().all(|byte| byte.is_ascii_digit())
    });
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    power || (digits && text.len() >= 18 && text[15..].bytes().all(|byte| byte == b'0'))
}

/// Who carries it: as chosen, else by the form of the number, else as before.
pub fn carrier(body: &ScanBody, before: Option<&str>) -> Result<Carrier, ScanError> {
    let number = body.number.trim().to_uppercase();
    let proposed = || express::of_number(&number).map(|company| company.code);
    let before = before.filter(|code| *code != OTHER);
    let code = match body.company.trim() {
        "" => proposed().or(before).ok_or(ScanError::UnknownCompany)?,
        chosen => chosen,
    };
    let bad = DeskError::Invalid { field: "company", why: "not an express company" };
    Ok(Carrier::parse(code, Some(&body.company_name)).map_err(|_| bad)?)
}

/// The order that a slip is of.
pub async fn slip(
    app: &AppState,
    by: &Clerk,
    order_no: &str,
) -> Result<Option<StaffOrder>, ApiError> {
    let order_no = order_no.trim();
    let found = desk::search(&app.readers, by.wxapp, order_no, false).await?;
    Ok(found.into_iter().find(|found| found.order.order_no == order_no))
}

/// Another order whose parcel has this number.
async fn of_another(
    app: &AppState,
    by: &Clerk,
    order: OrderId,
    number: &TrackingNo,
) -> Result<Option<String>, ApiError> {
    let found = desk::search(&app.readers, by.wxapp, number.as_str(), false).await?;
    let has =
        |found: &StaffOrder| found.order.shipments.iter().any(|parcel| parcel.number == *number);
    let mut others = found.into_iter().filter(|found| found.order.id != order && has(found));
    Ok(others.next().map(|found| found.order.order_no))
}

/// A parcel leaves the desk.
pub async fn scan(app: &AppState, by: &Clerk, body: ScanBody) -> Result<Acted, ScanError> {
    let found = slip(app, by, &body.order_no).await?.ok_or(ScanError::NoSuchSlip)?;
    let order = found.order.id;
    let number = number(&body.number)?;
    let before = match body.company.trim() {
        "" => desk::last_scan(&app.readers, by.wxapp, by.staff).await?,
        _ => None,
    };
    let carrier = carrier(&body, before.as_ref().map(|last| last.company_code.as_str()))?;
    if !body.same_parcel
        && let Some(order_no) = of_another(app, by, order, &number).await?
    {
        return Err(ScanError::OfAnother(order_no));
    }
    let desk = super::super::orders::desk(app);
    Ok(desk.scan(by, order, carrier, number, body.lines).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_spreadsheet_or_a_hand_spoils_is_no_number() {
        for (text, expected) in [
            (" sf1234567890123 ", ""),
            ("773123456789012", ""),
            ("773123456789000", ""),
            ("JDVA123-1", ""),
            ("7.3E+13", "number_ruined"),
            ("7.31235E+13", "number_ruined"),
            ("773123456789012000", "number_ruined"),
            ("202611251234567890123456", "order_no_as_number"),
            ("", "not an express number"),
            ("单号12345", "not an express number"),
            ("=1+1", "not an express number"),
        ] {
            let name = number(text).as_ref().err().map_or("", ScanError::name);
            assert_eq!(name, expected, "{text}");
        }
    }

    #[test]
    fn the_form_of_a_number_goes_before_memory_and_choice_before_both() {
        let code = |number: &str, company: &str, before: Option<&str>| {
            let body =
                ScanBody { number: number.into(), company: company.into(), ..ScanBody::default() };
            carrier(&body, before).map_or("-".to_owned(), |carrier| carrier.code().to_owned())
        };
        assert_eq!(code("SF1234567890123", "", Some("ZTO")), "SF");
        assert_eq!(code("123456789012", "", Some("ZTO")), "ZTO");
        assert_eq!(code("123456789012", "", None), "-");
        assert_eq!(code("123456789012", "", Some("OTHER")), "-");
        assert_eq!(code("SF1234567890123", "YTO", Some("ZTO")), "YTO");
        assert_eq!(code("SF1234567890123", "XX", None), "-");
    }
}
