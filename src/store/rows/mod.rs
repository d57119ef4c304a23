//! Rows to domain values and back, one file for each group of tables.
//!
//! What a column may hold is decided in `domain`; a row that says something else is an error that
//! names the table, never a guess.

pub mod desk;
pub mod goods;
pub mod orders;
pub mod payments;
pub mod sheets;
pub mod shipments;

use super::db::StoreError;
use crate::domain::id::InvalidId;
use crate::domain::money::{InvalidQuantity, Money};
use crate::domain::time::Timestamp;

/// Why a value of a row is not what the domain knows.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadValue {
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Quantity(#[from] InvalidQuantity),
    #[error("unknown {0} {1:?}")]
    Word(&'static str, String),
    #[error("{0} is missing")]
    Missing(&'static str),
}

pub(super) fn in_table<T>(
    table: &'static str,
    value: Result<T, BadValue>,
) -> Result<T, StoreError> {
    value.map_err(|error| StoreError::row(table, error))
}

fn word<T>(what: &'static str, text: String, known: Option<T>) -> Result<T, BadValue> {
    known.ok_or(BadValue::Word(what, text))
}

fn needed<T>(what: &'static str, value: Option<T>) -> Result<T, BadValue> {
    value.ok_or(BadValue::Missing(what))
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn times(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(time)
}

fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millis)
}

fn fen(amount: i64) -> Money {
    Money::from_fen(amount)
}
