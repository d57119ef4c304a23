//! The search box: decided by the shape of what is typed, always by equality along an index.

use entity::{order, order_address, payment, shipment};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::super::db::{Readers, StoreError};
use super::list::{StaffOrder, staff_orders};
use crate::domain::id::WxappId;

/// Orders that one search shows.
const FOUND_MAX: u64 = 50;

/// What a text may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// The number of an order; of a further attempt's number the part before the hyphen.
    OrderNo(String),
    /// WeChat's number of a payment.
    Transaction(String),
    Express(String),
    /// A whole phone number.
    Phone(String),
}

/// What the text may be; nothing: it fits nothing that can be looked for. Without the right to see
/// buyers a phone cannot be looked for either.
pub fn shapes(text: &str, may_see_buyers: bool) -> Vec<Shape> {
    let text = text.trim();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_|*@".contains(c));
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let mut found = Vec::new();
    if plain && (6..=32).contains(&text.len()) {
        let number = text.split('-').next().unwrap_or_default();
        if number.len() == 24 || text.len() == number.len() {
            found.push(Shape::OrderNo(number.to_owned()));
        }
        found.push(Shape::Transaction(text.to_owned()));
    }
    if plain && (5..=40).contains(&text.len()) {
        found.push(Shape::Express(text.to_owned()));
    }
    let phone = text.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c));
    if may_see_buyers && phone && (5..=20).contains(&digits) && text.len() <= 32 {
        found.push(Shape::Phone(text.to_owned()));
    }
    found
}

/// The orders that a text names, the newest first, at most 50.
pub async fn search(
    readers: &Readers,
    wxapp: WxappId,
    text: &str,
    may_see_buyers: bool,
) -> Result<Vec<StaffOrder>, StoreError> {
    let mut ids = Vec::new();
    for shape in shapes(text, may_see_buyers) {
        ids.extend(look_for(wxapp, &shape, readers).await?);
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = order::Entity::find()
        .filter(order::Column::Id.is_in(ids))
        .order_by_desc(order::Column::CreatedAt)
        .order_by_desc(order::Column::Id)
        .limit(FOUND_MAX)
        .all(readers.db())
        .await?;
    staff_orders(readers, rows).await
}

async fn look_for(
    wxapp: WxappId,
    shape: &Shape,
    readers: &Readers,
) -> Result<Vec<i64>, StoreError> {
    let db = readers.db();
    Ok(match shape {
        Shape::OrderNo(number) => by_number(wxapp, number).into_tuple().all(db).await?,
        Shape::Transaction(number) => by_transaction(wxapp, number).into_tuple().all(db).await?,
        Shape::Express(number) => by_express(wxapp, number).into_tuple().all(db).await?,
        Shape::Phone(phone) => by_phone(wxapp, phone).into_tuple().all(db).await?,
    })
}

pub(super) fn by_number(wxapp: WxappId, number: &str) -> Select<order::Entity> {
    order::Entity::find()
        .select_only()
        .column(order::Column::Id)
        .filter(order::Column::WxappId.eq(wxapp.get()))
        .filter(order::Column::OrderNo.eq(number))
}

pub(super) fn by_transaction(wxapp: WxappId, number: &str) -> Select<payment::Entity> {
    payment::Entity::find()
        .select_only()
        .column(payment::Column::OrderId)
        .filter(payment::Column::WxappId.eq(wxapp.get()))
        .filter(payment::Column::TransactionId.eq(number))
        .limit(FOUND_MAX)
}

pub(super) fn by_express(wxapp: WxappId, number: &str) -> Select<shipment::Entity> {
    shipment::Entity::find()
        .select_only()
        .column(shipment::Column::OrderId)
        .filter(shipment::Column::WxappId.eq(wxapp.get()))
        .filter(shipment::Column::Number.eq(number))
        .order_by_desc(shipment::Column::Id)
        .limit(FOUND_MAX)
}

pub(super) fn by_phone(wxapp: WxappId, phone: &str) -> Select<order_address::Entity> {
    order_address::Entity::find()
        .select_only()
        .column(order_address::Column::OrderId)
        .filter(order_address::Column::WxappId.eq(wxapp.get()))
        .filter(order_address::Column::Phone.eq(phone))
        .order_by_desc(order_address::Column::OrderId)
        .limit(FOUND_MAX)
}
