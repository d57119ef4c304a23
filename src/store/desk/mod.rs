//! What staff look at. Read only, by mini-program, and never the whole of a large table: every
//! query runs along an index, which `plans.rs` proves.

mod detail;
mod inbox;
mod list;
#[cfg(test)]
mod plans;
mod search;
#[cfg(test)]
mod tests;

pub use detail::{OrderDetail, detail};
pub use inbox::{
    AuditRow, IncidentRow, LedgerRow, MessageRow, audit_log, incident, incidents, messages,
    stock_ledger,
};
pub use list::{OrderFilter, Span, StaffOrder, orders};
pub use search::{Shape, search, shapes};
