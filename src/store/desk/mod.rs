//! What staff look at. Read only, by mini-program, and never the whole of a large table: every
//! query runs along an index, which `plans.rs` proves.

mod detail;
mod inbox;
mod list;
#[cfg(test)]
mod plans;
mod search;
mod shipping;
#[cfg(test)]
mod tests;

pub use detail::{OrderDetail, detail};
pub use inbox::{
    AuditRow, IncidentRow, LedgerRow, MessageRow, audit_log, incident, incidents, messages,
    stock_ledger,
};
pub use list::{OrderFilter, Span, StaffOrder, orders};
pub use search::{Shape, search, shapes};
pub use shipping::{
    LastScan, Print, by_ids, by_numbers, count_to_ship, last_scan, mark_printed, numbers_in_use,
    print_job, prints, to_ship,
};
