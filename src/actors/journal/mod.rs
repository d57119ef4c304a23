//! Group commit: the only writer of orders, stock and money.

mod actor;
mod aside;
mod fence;
#[cfg(test)]
mod galera_tests;
mod handle;
mod link;
mod probe;
pub mod protocol;
mod queue;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
mod transaction;
mod turns;
mod writer;

pub use actor::{JournalActor, JournalSettings};
pub(crate) use handle::random_token;
pub use handle::{JournalHandle, LateAnswer};
pub use probe::{CommitProbe, NoProbe, Point, Verdict};
pub use protocol::*;
