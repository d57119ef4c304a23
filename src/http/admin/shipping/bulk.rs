//! Many parcels at once, as a file names them: each row is checked by itself, the good ones ship,
//! and a row that has shipped already changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acts::{self, ScanBody, ScanError};
use crate::actors::desk::{Clerk, DeskError, DeskRefusal};
use crate::domain::express;
use crate::domain::id::{IdempotencyKey, OrderId, TrackingNo};
use crate::domain::shipment::Carrier;
use crate::http::AppState;
use crate::http::admin::orders::refusals;
use crate::http::admin::texts::Tongue;
use crate::http::error::{ApiError, Code};
use crate::http::shop::orders::IDEMPOTENCY_KEY;
use crate::store::desk;
use crate::store::order_views::{ListState, OrderView, RefundProgress};

/// Parcels that are put to the engine at the same time: they share its commits.
const AT_ONCE: usize = 16;

/// A row of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdminParcelRow)]
pub struct Row {
    pub order_no: String,
    /// Code or name of the express company; empty: by the form of the number.
    #[serde(default)]
    pub company: String,
    #[serde(default)]
    pub number: String,
    /// Where it stands in its file; 0: rows are counted.
    #[serde(skip)]
    pub line: usize,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It can ship.
    Ready { order: OrderId, carrier: Carrier, number: TrackingNo },
    /// It has just shipped.
    Shipped,
    /// It had shipped before, with this number.
    Done,
    /// Nothing is filled in.
    Empty,
    /// By a word of the table of words, with what it is about.
    Wrong(&'static str, String),
}

/// A row with its place in the file, the first behind the head being 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub line: usize,
    pub row: Row,
    pub fate: Fate,
}

impl Checked {
    /// Stable, for programs and for the table of words.
    pub fn state(&self) -> &'static str {
        match &self.fate {
            Fate::Ready { .. } => "ready",
            Fate::Shipped => "shipped",
            Fate::Done => "done",
            Fate::Empty => "empty",
            Fate::Wrong(..) => "wrong",
        }
    }
    pub fn company(&self) -> &str {
        match &self.fate {
            Fate::Ready { carrier, .. } => carrier.name(),
            _ => &self.row.company,
        }
    }
    /// As a form keeps it.
    pub fn company_code(&self) -> &str {
        match &self.fate {
            Fate::Ready { carrier, .. } => carrier.code(),
            _ => "",
        }
    }
    pub fn is_wrong(&self) -> bool {
        matches!(self.fate, Fate::Wrong(..))
    }
    /// Why it does not ship, in words.
    pub fn why(&self, tongue: Tongue) -> String {
        let Fate::Wrong(why, about) = &self.fate else { return String::new() };
        let word = match tongue.word("row", why) {
            same if same == *why => tongue.word("refusal", why),
            word => word,
        };
        format!("{word} {about}").trim_end().to_owned()
    }
}

/// A row as programs see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminCheckedRow)]
pub struct CheckedJson {
    /// From 1.
    row: usize,
    order_no: String,
    /// `ready`, `shipped`, `done`: had shipped before, `empty`, `wrong`.
    state: &'static str,
    reason: Option<&'static str>,
    company_code: Option<String>,
}

impl From<Checked> for CheckedJson {
    fn from(checked: Checked) -> Self {
        let state = checked.state();
        let (reason, company_code) = match checked.fate {
            Fate::Wrong(why, _) => (Some(why), None),
            Fate::Ready { carrier, .. } => (None, Some(carrier.code().to_owned())),
            Fate::Shipped | Fate::Done | Fate::Empty => (None, None),
        };
        Self { row: checked.line - 1, order_no: checked.row.order_no, state, reason, company_code }
    }
}

/// What the rows would do; nothing is done.
pub async fn check(app: &AppState, by: &Clerk, rows: Vec<Row>) -> Result<Vec<Checked>, ApiError> {
    let filled = rows.iter().filter(|row| !row.number.is_empty());
    // No number has such a character, and PostgreSQL no text with a NUL.
    let is_text = |text: &&str| !text.contains(char::is_control);
    let order_nos: Vec<&str> = filled.map(|row| row.order_no.as_str()).filter(is_text).collect();
    let found = desk::by_numbers(&app.readers, by.wxapp, &order_nos).await?;
    let orders = found.iter().map(|order| (order.order_no.as_str(), order)).collect();
    let numbers: Vec<String> = rows.iter().map(|row| row.number.trim().to_uppercase()).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).filter(is_text).collect();
    let in_use = desk::numbers_in_use(&app.readers, by.wxapp, &numbers).await?;
    let mut known = Known { orders, in_use, seen: BTreeSet::new(), numbers: BTreeSet::new() };
    let checked = rows.iter().enumerate().map(|(nth, row)| Checked {
        line: if row.line > 0 { row.line } else { nth + 2 },
        row: row.clone(),
        fate: known.fate(row),
    });
    Ok(checked.collect())
}

/// What is known of all rows together.
struct Known<'a> {
    orders: BTreeMap<&'a str, &'a OrderView>,
    in_use: Vec<(String, i64)>,
    /// Orders and express numbers of the rows before.
    seen: BTreeSet<OrderId>,
    numbers: BTreeSet<TrackingNo>,
}

impl Known<'_> {
    fn fate(&mut self, row: &Row) -> Fate {
        if row.number.is_empty() {
            return match row.company.is_empty() {
                true => Fate::Empty,
                false => Fate::Wrong("no_number", String::new()),
            };
        }
        self.judge(row).unwrap_or_else(|(why, about)| Fate::Wrong(why, about))
    }

    fn judge(&mut self, row: &Row) -> Result<Fate, (&'static str, String)> {
        let number = acts::number(&row.number).map_err(|error| match error {
            ScanError::Ruined => ("number_ruined", row.number.clone()),
            ScanError::NotALabel => ("number_is_order_no", row.number.clone()),
            _ => ("number_bad", row.number.clone()),
        })?;
        if acts::is_ruined(&row.order_no.to_uppercase()) {
            return Err(("order_no_ruined", row.order_no.clone()));
        }
        let order = self.orders.get(row.order_no.as_str());
        let order = *order.ok_or_else(|| ("no_such_order", row.order_no.clone()))?;
        if !self.seen.insert(order.id) {
            return Err(("order_twice", String::new()));
        }
        if order.shipments.iter().any(|parcel| parcel.number == number) {
            return Ok(Fate::Done);
        }
        may_leave(order)?;
        let other = |(used, of): &(String, i64)| used == number.as_str() && *of != order.id.get();
        if self.in_use.iter().any(other) || !self.numbers.insert(number.clone()) {
            return Err(("number_twice", number.to_string()));
        }
        let carrier = company(row, &number)?;
        Ok(Fate::Ready { order: order.id, carrier, number })
    }
}

fn may_leave(order: &OrderView) -> Result<(), (&'static str, String)> {
    if order.refund == RefundProgress::Open {
        return Err(("refund_open", String::new()));
    }
    match order.state {
        ListState::Paid => Ok(()),
        ListState::Unpaid => Err(("not_paid", String::new())),
        ListState::Shipped => Err(("already_shipped", String::new())),
        ListState::Completed => Err(("already_completed", String::new())),
        ListState::Closed => Err(("already_closed", String::new())),
        ListState::Refunded => Err(("already_refunded", String::new())),
    }
}

fn company(row: &Row, number: &TrackingNo) -> Result<Carrier, (&'static str, String)> {
    let named = express::named(&row.company).map(|company| company.code.to_owned());
    if !row.company.is_empty() && named.is_none() {
        return Err(("company_unknown", row.company.clone()));
    }
    let body = ScanBody {
        number: number.to_string(),
        company: named.unwrap_or_default(),
        ..ScanBody::default()
    };
    acts::carrier(&body, None).map_err(|_| ("company_unknown", row.company.clone()))
}

/// Ships the rows that can; the others are answered with what is wrong with them. Sent twice under
/// one key, each row acts once.
pub async fn ship(app: &AppState, by: &Clerk, rows: Vec<Row>) -> Result<Vec<Checked>, ApiError> {
    let checked = check(app, by, rows).await?;
    let keyed = checked.into_iter().map(|row| Ok((row_key(by, row.line)?, row)));
    let keyed = keyed.collect::<Result<Vec<_>, ApiError>>()?;
    let desk = crate::http::admin::orders::desk(app);
    let one = |(key, checked): (Option<IdempotencyKey>, Checked)| {
        let (desk, by) = (&desk, by);
        async move {
            // Whoever asked is answered for each row; what is not known yet may be sent again.
            let Fate::Ready { order, carrier, number } = checked.fate.clone() else {
                return Ok::<_, ApiError>(checked);
            };
            let by = Clerk { key, ..by.clone() };
            let fate = match desk.ship(&by, order, carrier, number, Vec::new()).await {
                Ok(acted) if acted.repeated => Fate::Done,
                Ok(_) => Fate::Shipped,
                Err(error) => refused(error)?,
            };
            Ok(Checked { fate, ..checked })
        }
    };
    let shipped = futures_util::stream::iter(keyed).map(one).buffered(AT_ONCE);
    shipped.collect::<Vec<_>>().await.into_iter().collect()
}

/// The key of the form, made one of a row. One that has no room for that is refused: left out, the
/// repeat would act again.
fn row_key(by: &Clerk, line: usize) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(key) = by.key.as_ref() else { return Ok(None) };
    let too_long = |_| ApiError::invalid(IDEMPOTENCY_KEY, "too long: each row adds its number");
    IdempotencyKey::parse(format!("{key}-{line}")).map(Some).map_err(too_long)
}

/// What the engine refuses, somebody else has just changed; where it does not answer, the file is
/// to be sent again.
fn refused(error: DeskError) -> Result<Fate, ApiError> {
    match error {
        DeskError::Refused(DeskRefusal::Unknown(_)) => {
            Ok(Fate::Wrong("no_such_order", String::new()))
        }
        DeskError::Refused(refusal) => Ok(Fate::Wrong(refusals::name(&refusal), String::new())),
        DeskError::Busy => Ok(Fate::Wrong("busy", String::new())),
        DeskError::Invalid { .. } => Err(ApiError::new(Code::Internal)),
        DeskError::Unavailable => Err(ApiError::new(Code::Unavailable)),
    }
}
