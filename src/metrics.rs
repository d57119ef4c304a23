//! What the engine counts and measures, under Prometheus names. Where it is read: `http::metrics`.

use std::cell::RefCell;
use std::time::Duration;

use metrics::{Counter, counter, gauge, histogram};

use crate::domain::admission::PlaceRefusal;
use crate::domain::fold::{Outcome, Placed, Settlement};

/// A batch was decided.
pub fn batch(members: usize, took: Duration) {
    // Counts and durations become floats only here, for Prometheus.
    histogram!("buynow_batch_members").record(u32::try_from(members).unwrap_or(u32::MAX));
    histogram!("buynow_commit_seconds").record(took);
}

/// A transaction of the journal was rolled back, with the database's code for why; most are tried
/// again.
pub fn lost(code: Option<String>) {
    let code = code.unwrap_or_else(|| "none".to_owned());
    counter!("buynow_rollbacks_total", "code" => code).increment(1);
}

/// An entry of the journal was decided.
pub fn outcome(outcome: &Outcome) {
    match outcome {
        Outcome::Placed(Ok(Placed::New(_))) => order("placed"),
        Outcome::Placed(Ok(Placed::Replay(_))) => order("replayed"),
        Outcome::Placed(Err(refusal)) => order(refusal_name(refusal)),
        Outcome::Settled(settlement) => payment(settlement_name(settlement)),
        Outcome::AttemptStarted(_)
        | Outcome::PrepayRecorded(_)
        | Outcome::Closing(_)
        | Outcome::RefundChanged(_)
        | Outcome::IncidentKept
        | Outcome::Received(_)
        | Outcome::Reminded(_)
        | Outcome::Acted(_) => {}
    }
}

/// An order was refused before it reached the journal.
pub fn refused(refusal: &PlaceRefusal) {
    order(refusal_name(refusal));
}

fn order(result: &'static str) {
    count("buynow_orders_total", result);
}

fn payment(result: &'static str) {
    count("buynow_settlements_total", result);
}

thread_local! {
    /// Counters by name and result, looked up in the recorder once for each thread.
    static COUNTERS: RefCell<Vec<(&'static str, &'static str, Counter)>> = RefCell::default();
}

/// Counts by one label. The recorder must be there before the first call of a thread.
fn count(name: &'static str, result: &'static str) {
    COUNTERS.with_borrow_mut(|known| {
        let found = known.iter().find(|(of, with, _)| *of == name && *with == result);
        if let Some((_, _, counter)) = found {
            return counter.increment(1);
        }
        let counter = counter!(name, "result" => result);
        counter.increment(1);
        known.push((name, result, counter));
    });
}

/// A payment notification was answered.
pub fn notification(result: &'static str) {
    count("buynow_payment_notifications_total", result);
}

/// A request whose key was bound was answered with its order, before it reached the journal.
pub fn replayed() {
    order("replayed");
}

/// A message was worked on.
pub fn message(result: &'static str) {
    count("buynow_messages_total", result);
}

/// What was done under a claim was not written: somebody else had taken the work over.
pub fn overtaken() {
    counter!("buynow_overtaken_total").increment(1);
}

/// How much waits in a mailbox or queue.
pub fn depth(queue: &'static str, entries: usize) {
    gauge!("buynow_queue_depth", "queue" => queue).set(u32::try_from(entries).unwrap_or(u32::MAX));
}

/// What waits in the outbox, and for how long.
pub fn outbox(waiting: u64, oldest_seconds: i64) {
    gauge!("buynow_outbox_waiting").set(u32::try_from(waiting).unwrap_or(u32::MAX));
    gauge!("buynow_outbox_oldest_seconds").set(i32::try_from(oldest_seconds).unwrap_or(i32::MAX));
}

/// How long the oldest order has been closing.
pub fn oldest_closing(seconds: i64) {
    gauge!("buynow_closing_oldest_seconds").set(i32::try_from(seconds).unwrap_or(i32::MAX));
}

/// How long the oldest refund has not come to its end.
pub fn oldest_refund(seconds: i64) {
    gauge!("buynow_refunds_oldest_seconds").set(i32::try_from(seconds).unwrap_or(i32::MAX));
}

/// An actor was replaced.
pub fn replaced(actor: &'static str) {
    counter!("buynow_actors_replaced_total", "actor" => actor).increment(1);
}

fn refusal_name(refusal: &PlaceRefusal) -> &'static str {
    match refusal {
        PlaceRefusal::UnknownSku(_) | PlaceRefusal::UnknownAddress => "not_found",
        PlaceRefusal::OffSale(_) => "off_sale",
        PlaceRefusal::SoldOut { .. } => "sold_out",
        PlaceRefusal::TooExpensive(_) | PlaceRefusal::LimitExceeded { .. } => "limit_exceeded",
        PlaceRefusal::PriceChanged { .. } => "price_changed",
        PlaceRefusal::KeyConflict => "idempotency_conflict",
    }
}

fn settlement_name(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Settled => "settled",
        Settlement::Surplus(_) => "surplus",
        Settlement::AlreadyRecorded => "already_recorded",
        Settlement::Incident(_) => "incident",
        Settlement::UnknownAttempt => "unknown_attempt",
    }
}
