//! The reaper: does what time brings.
//!
//! It owns when it last asked about an attempt, which may be forgotten, and nothing else: what is
//! due stands in the store, what is done is decided in the fold. It asks the payment actors and
//! puts entries into the journal.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`StopReaper`] | none | none | itself | when the runs under way are done |
//! | [`RunReaper`] | [`Reaped`] | none | the orders, attempts and refunds | future; each kind of work once at a time |

use actix::prelude::*;

/// Does what is due now; the clock actor says so, and tests do.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Reaped")]
pub struct RunReaper;

/// What one run has worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, MessageResponse)]
pub struct Reaped {
    /// Orders whose closing began because their time is over.
    pub expired: usize,
    /// Orders whose attempts were to be closed at WeChat.
    pub closings: usize,
    /// Attempts that WeChat was asked about.
    pub asked: usize,
    pub refunds: usize,
    /// Orders whose buyer was told that they are about to expire.
    pub reminded: usize,
    /// Orders that count as received after their time on the way.
    pub completed: usize,
}

/// Starts no further run, and answers when those under way are done.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopReaper;
