//! The journal: the only writer of orders, stock and money in this process.
//!
//! It owns the queue of what is to be written and the one connection that writes. While one commit
//! is in flight, entries queue; the next transaction takes them all, up to a cap, and runs lock,
//! fold, write. An answer goes out after the durable commit, never before. It asks nobody; it tells
//! the goods actors which holds have ended and how their SKUs stand now.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`Submit`] | [`Outcome`] | [`JournalError`] | the command's own identity | sent after the commit |
//! | [`WriteRows`] | `()` | [`JournalError`] | the statements themselves | sent after the commit |
//! | [`ChangeClaim`] | how often it was taken | [`JournalError`] | the token | sent after the commit |
//! | [`Listen`] | none | none | mini-program | value |
//! | [`Drain`] | none | none | itself | when all is written |
//! | [`GetSnapshot`] | [`Snapshot`] | none | itself | value |

use std::time::Instant;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::goods::{HoldToken, Listener};
use crate::domain::fold::{Command, Outcome};
use crate::domain::id::WxappId;
use crate::store::Write;
use crate::store::claims::{Claim, ClaimChange};

/// Why there is no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The queue is full; nothing was done.
    #[error("too much is waiting to be written")]
    Busy,
    /// The database is away, or the fate of the commit is not known yet. The caller repeats with
    /// the same identity and learns what has become of it.
    #[error("the database does not answer")]
    Unavailable,
    /// The database refused this entry alone, for a reason that a repeat with the same content will
    /// meet again.
    #[error("the entry cannot be written")]
    Refused,
    /// The claim under which it was done has run out, and somebody else has taken the work over:
    /// nothing was written.
    #[error("somebody else has taken the work over")]
    Overtaken,
    /// The server is going down.
    #[error("the server is going down")]
    Closing,
}

/// Where the outcome goes.
pub type Reply<T> = oneshot::Sender<Result<T, JournalError>>;

/// A command for the next batch.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    pub wxapp: WxappId,
    pub command: Command,
    /// Ends when the fate of the command is certain.
    pub hold: Option<HoldToken>,
    /// Written only while this claim holds.
    pub claim: Option<Claim>,
    /// Since when it has waited for rows that somebody keeps locked.
    pub locked_since: Option<Instant>,
    pub reply: Reply<Outcome>,
}

/// Plain statements that ride in the next commit: sessions, addresses, grants, claims.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WriteRows {
    pub write: Write,
    pub reply: Reply<()>,
}

/// Takes a piece of work, or lets it go. The answer is how often it has been taken; none: it is
/// another's.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ChangeClaim {
    pub change: ClaimChange,
    pub reply: Reply<Option<i64>>,
}

/// From now on this is the goods actor of the mini-program.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Listen {
    pub wxapp: WxappId,
    pub goods: Listener,
}

/// Takes no more entries, writes what is queued, closes the connection, then answers.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;

/// How the journal stands.
#[derive(Message)]
#[rtype(result = "Snapshot")]
pub struct GetSnapshot;

/// A copy of the journal's counters, for tests, metrics and the engine room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, MessageResponse)]
pub struct Snapshot {
    pub queued: usize,
    pub batches: u64,
    pub entries: u64,
    pub largest_batch: usize,
    pub failed_batches: u64,
    /// Commits whose answer was lost and whose fate was found out by the marker.
    pub resolved: u64,
}
