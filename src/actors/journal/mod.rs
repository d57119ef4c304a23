//! Group commit: the only writer of orders, stock and money.

mod actor;
mod handle;
mod probe;
pub mod protocol;
mod queue;
#[cfg(test)]
mod tests;
mod writer;

pub use actor::{JournalActor, JournalSettings};
pub(crate) use handle::random_token;
pub use handle::{JournalHandle, LateAnswer};
pub use probe::{CommitProbe, NoProbe, Point, Verdict};
pub use protocol::*;
