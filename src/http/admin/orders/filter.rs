//! Which orders a list shows: read from its address and written to it, so that a filter can be
//! kept, sent and come back to.

use jiff::civil::{Date, Time};
use jiff::tz::{TimeZone, offset};

use super::super::render::Trouble;
use super::super::texts::{OrderTexts, Tongue};
use crate::domain::id::SkuId;
use crate::domain::time::Timestamp;
use crate::http::error::ApiError;
use crate::store::desk::{OrderFilter, Span};
use crate::store::order_views::ListState;

/// The longest text that is looked for, in characters.
const FIND_MAX: usize = 64;

/// The address of a list, taken apart; dates and numbers as they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub states: Vec<ListState>,
    pub created_from: String,
    pub created_to: String,
    pub paid_from: String,
    pub paid_to: String,
    pub sku: String,
    pub refund_open: bool,
    /// What to look for; then nothing else counts.
    pub q: String,
    pub cursor: Option<String>,
    pub limit: Option<u32>,
    /// Word of what was just done.
    pub done: String,
}

/// A field that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    Date(&'static str),
    Sku,
}

impl Bad {
    pub fn trouble(self, o: &OrderTexts) -> Trouble {
        match self {
            Self::Date(field) => Trouble::new(field, o.not_a_date),
            Self::Sku => Trouble::new("sku", o.not_a_sku),
        }
    }
}

impl From<Bad> for ApiError {
    fn from(bad: Bad) -> Self {
        let trouble = bad.trouble(Tongue::English.orders());
        Self::invalid(&trouble.field, trouble.text)
    }
}

impl Wanted {
    /// Reads the query part of an address; unknown names and values are refused.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            wanted.take(&name, &value)?;
        }
        Ok(wanted)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        let value = value.trim();
        let text: String = value.chars().filter(|c| !c.is_control()).take(FIND_MAX).collect();
        match name {
            "state" => {
                let state = ListState::parse(value);
                let state = state.ok_or_else(|| ApiError::invalid("state", "no such state"))?;
                if !self.states.contains(&state) {
                    self.states.push(state);
                }
            }
            "created_from" => self.created_from = text,
            "created_to" => self.created_to = text,
            "paid_from" => self.paid_from = text,
            "paid_to" => self.paid_to = text,
            "sku" => self.sku = text,
            "refund_open" => self.refund_open = value == "yes" || value == "true",
            "q" => self.q = text,
            "cursor" => self.cursor = Some(value.to_owned()),
            "limit" => {
                let number = value.parse().map_err(|_| ApiError::invalid("limit", "a number"))?;
                self.limit = Some(number);
            }
            "done" => self.done = text,
            _ => return Err(ApiError::invalid(name, "no such filter")),
        }
        Ok(())
    }

    /// What the store is asked for.
    pub fn filter(&self) -> Result<OrderFilter, Bad> {
        Ok(OrderFilter {
            states: self.states.clone(),
            created: Span {
                from: day("created_from", &self.created_from, 0)?,
                before: day("created_to", &self.created_to, 1)?,
            },
            paid: Span {
                from: day("paid_from", &self.paid_from, 0)?,
                before: day("paid_to", &self.paid_to, 1)?,
            },
            sku: sku(&self.sku)?,
            refund_open: self.refund_open,
        })
    }

    /// The same filter as an address, without a place in the list.
    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for state in &self.states {
            query.append_pair("state", state.as_str());
        }
        let texts = [
            ("created_from", &self.created_from),
            ("created_to", &self.created_to),
            ("paid_from", &self.paid_from),
            ("paid_to", &self.paid_to),
            ("sku", &self.sku),
            ("q", &self.q),
        ];
        for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if self.refund_open {
            query.append_pair("refund_open", "yes");
        }
        query.finish()
    }

    pub fn has(&self, state: &ListState) -> bool {
        self.states.contains(state)
    }

    /// What can be kept of it: not what was looked for, which may be a buyer's phone.
    pub fn kept(&self) -> String {
        Self { q: String::new(), ..self.clone() }.query()
    }

    /// Whether this is a filter that can be kept.
    pub fn is_set(&self) -> bool {
        !self.kept().is_empty()
    }
}

/// The beginning of a day in the shop's time zone, or of a later one.
fn day(field: &'static str, text: &str, days: i32) -> Result<Option<Timestamp>, Bad> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || Bad::Date(field);
    let mut date: Date = text.parse().map_err(|_| bad())?;
    for _ in 0..days {
        date = date.tomorrow().map_err(|_| bad())?;
    }
    let midnight = date.to_datetime(Time::midnight());
    let start = TimeZone::fixed(offset(8)).to_timestamp(midnight).map_err(|_| bad())?;
    Ok(Some(Timestamp::from_millis(start.as_millisecond())))
}

fn sku(text: &str) -> Result<Option<SkuId>, Bad> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = text.parse().ok().and_then(|id| SkuId::parse(id).ok());
    id.map(Some).ok_or(Bad::Sku)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_filter_goes_into_the_address_and_comes_back() {
        let query =
            "state=paid&state=shipped&created_from=2026-11-25&sku=7&q=SF1+2&refund_open=yes";
        let wanted = Wanted::parse(query).unwrap();
        assert_eq!(wanted.states, [ListState::Paid, ListState::Shipped]);
        assert_eq!(Wanted::parse(&wanted.query()).unwrap(), wanted);
        assert!(!Wanted::parse("").unwrap().is_set());
        assert!(!Wanted::parse("q=13800138000").unwrap().is_set());
        assert!(Wanted::parse("state=lost").is_err());
        assert!(Wanted::parse("colour=red").is_err());
    }

    #[test]
    fn days_begin_in_the_shops_time_zone_and_the_last_one_counts() {
        let wanted = Wanted::parse("created_from=2026-11-25&created_to=2026-11-25").unwrap();
        let span = wanted.filter().unwrap().created;
        assert_eq!(span.from.unwrap().as_millis(), 1_795_536_000_000);
        assert_eq!(span.before.unwrap().as_millis(), 1_795_536_000_000 + 24 * 3600 * 1000);
        let bad = Wanted::parse("paid_to=25.11.2026&sku=x").unwrap();
        assert_eq!(bad.filter().unwrap_err(), Bad::Date("paid_to"));
        assert_eq!(Wanted::parse("sku=x").unwrap().filter().unwrap_err(), Bad::Sku);
    }
}
