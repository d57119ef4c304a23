//! The notifier: sends what the outbox holds.
//!
//! It owns the claims that it has taken and nothing else; a message is in the outbox from the
//! commit of the fact that it tells, and stays there until it is sent, refused, skipped or parked.
//! It never touches an order. It asks the messengers and puts results into the journal.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`RunNotifier`] | how many were worked on | none | claims | future, one run at a time |
//! | [`StopNotifier`] | none | none | itself | when the message under way is done |

use actix::prelude::*;

/// Sends what is due now; the clock actor says so, and tests do.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "usize")]
pub struct RunNotifier;

/// Sends no further message, gives back what is claimed, then answers.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopNotifier;
