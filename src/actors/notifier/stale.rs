//! Messages that have nothing to say any more.

use crate::clock::Clock;
use crate::domain::id::OrderId;
use crate::domain::notification::{Event, Facts};
use crate::domain::time::Timestamp;
use crate::store::outbox::Waiting;
use crate::store::{Readers, StoreError, order_life};

/// Whether a message is too old to be sent: who has paid, or cannot any more, is not told to hurry.
pub(super) async fn is_too_old(
    readers: &Readers,
    clock: &Clock,
    message: &Waiting,
) -> Result<bool, StoreError> {
    if message.event != Event::OrderExpiring {
        return Ok(false);
    }
    let expires_at = number(&message.facts, "expires_ms").map(Timestamp::from_millis);
    if expires_at.is_none_or(|expires_at| expires_at <= clock.now()) {
        return Ok(true);
    }
    match number(&message.facts, "order_id").map(OrderId::parse) {
        Some(Ok(order)) => Ok(!order_life::is_unpaid(readers, order).await?),
        Some(Err(_)) | None => Ok(true),
    }
}

fn number(facts: &Facts, name: &str) -> Option<i64> {
    facts.get(name)?.parse().ok()
}
