//! What staff do to an order, as page and program give it: read, checked for its form, and handed
//! to the engine's desk, which decides.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::actors::desk::{Acted, Clerk, DeskError};
use crate::domain::address::Address;
use crate::domain::id::{LineId, OrderId, ShipmentId, TrackingNo};
use crate::domain::money::{Money, Quantity};
use crate::domain::shipment::Carrier;
use crate::http::AppState;
use crate::http::error::ApiError;
use crate::store::desk;

type Done = Result<Acted, DeskError>;

/// A parcel that leaves.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminParcel)]
pub struct ParcelBody {
    /// Code of the express company: `SF`, `ZTO`, ...; `OTHER` with a `company_name`.
    #[schema(example = "SF")]
    pub company: String,
    #[serde(default)]
    pub company_name: Option<String>,
    #[schema(example = "SF1234567890")]
    pub number: String,
    /// Left out or empty: all that is left.
    #[serde(default)]
    pub lines: Vec<ParcelLine>,
}

/// So many pieces of a line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminParcelLine)]
pub struct ParcelLine {
    pub order_goods_id: i64,
    pub quantity: i64,
}

/// Another company or number of a parcel.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminParcelNumber)]
pub struct NumberBody {
    pub company: String,
    #[serde(default)]
    pub company_name: Option<String>,
    pub number: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminNote)]
pub struct NoteBody {
    /// 1 to 500 characters.
    pub text: String,
}

/// What is empty or left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AdminAddress)]
pub struct AddressBody {
    pub name: String,
    pub phone: String,
    pub province: String,
    pub city: String,
    pub district: String,
    pub detail: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminPrice)]
pub struct PriceBody {
    /// What the order shall cost, in fen; at least 1.
    pub pay_fen: i64,
    pub reason: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminReason)]
pub struct ReasonBody {
    /// 1 to 120 characters, for the audit log; of a refund 1 to 80, which the buyer reads.
    pub reason: String,
}

fn invalid(field: &'static str, why: &'static str) -> DeskError {
    DeskError::Invalid { field, why }
}

fn carrier(code: &str, name: Option<&str>) -> Result<Carrier, DeskError> {
    Carrier::parse(code, name).map_err(|_| invalid("company", "not an express company"))
}

/// What a scanner sends may have blanks around it.
fn number(text: &str) -> Result<TrackingNo, DeskError> {
    TrackingNo::parse(text.trim()).map_err(|_| invalid("number", "not an express number"))
}

fn lines(wanted: &[ParcelLine]) -> Result<Vec<(LineId, Quantity)>, DeskError> {
    let bad = || invalid("lines", "not a number of pieces");
    let line = |line: &ParcelLine| {
        let id = LineId::parse(line.order_goods_id).map_err(|_| bad())?;
        Ok((id, Quantity::parse(line.quantity).map_err(|_| bad())?))
    };
    wanted.iter().map(line).collect()
}

pub async fn ship(app: &AppState, by: &Clerk, order: OrderId, body: ParcelBody) -> Done {
    let carrier = carrier(&body.company, body.company_name.as_deref())?;
    let number = number(&body.number)?;
    super::desk(app).ship(by, order, carrier, number, lines(&body.lines)?).await
}

pub async fn correct(
    app: &AppState,
    by: &Clerk,
    order: OrderId,
    parcel: ShipmentId,
    body: NumberBody,
) -> Done {
    let carrier = carrier(&body.company, body.company_name.as_deref())?;
    let number = number(&body.number)?;
    super::desk(app).correct_number(by, order, parcel, carrier, number).await
}

pub async fn note(app: &AppState, by: &Clerk, order: OrderId, body: NoteBody) -> Done {
    super::desk(app).note(by, order, &body.text).await
}

pub async fn address(
    app: &AppState,
    by: &Clerk,
    order: OrderId,
    body: AddressBody,
) -> Result<Acted, Failed> {
    let found = desk::detail(&app.readers, by.wxapp, order).await?;
    let found = found.and_then(|detail| detail.order.order.address);
    let now = found.ok_or_else(|| ApiError::not_found("id"))?;
    let or = |given: String, now: String| if given.trim().is_empty() { now } else { given };
    let to = Address {
        name: or(body.name, now.name),
        phone: or(body.phone, now.phone),
        province: or(body.province, now.province),
        city: or(body.city, now.city),
        district: or(body.district, now.district),
        detail: or(body.detail, now.detail),
    };
    Ok(super::desk(app).change_address(by, order, to).await?)
}

/// The engine keeps the difference to what the goods cost; people name what is to be paid.
pub async fn price(
    app: &AppState,
    by: &Clerk,
    order: OrderId,
    body: PriceBody,
) -> Result<Acted, Failed> {
    let found = desk::detail(&app.readers, by.wxapp, order).await?;
    let amounts = found.ok_or_else(|| ApiError::not_found("id"))?.order.order.amounts;
    let change = Money::from_fen(body.pay_fen).checked_sub(amounts.pay);
    let adjust = change.and_then(|change| amounts.adjust.checked_add(change));
    let adjust = adjust.ok_or_else(|| invalid("pay", "out of range"))?;
    Ok(super::desk(app).reprice(by, order, adjust, &body.reason).await?)
}

pub async fn cancel(app: &AppState, by: &Clerk, order: OrderId, body: ReasonBody) -> Done {
    super::desk(app).cancel_unpaid(by, order, &body.reason).await
}

pub async fn release(app: &AppState, by: &Clerk, order: OrderId, body: ReasonBody) -> Done {
    super::desk(app).release(by, order, &body.reason).await
}

pub async fn refund(app: &AppState, by: &Clerk, order: OrderId, body: ReasonBody) -> Done {
    super::desk(app).refund(by, order, &body.reason).await
}

pub async fn complete(app: &AppState, by: &Clerk, order: OrderId, body: ReasonBody) -> Done {
    super::desk(app).complete(by, order, &body.reason).await
}

/// A refusal of the desk, or of anything else.
#[derive(Debug)]
pub enum Failed {
    Desk(DeskError),
    Other(ApiError),
}

impl From<DeskError> for Failed {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl From<crate::store::StoreError> for Failed {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Failed> for ApiError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Desk(error) => error.into(),
            Failed::Other(error) => error,
        }
    }
}
