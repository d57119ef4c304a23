//! The one shape of a write transaction: lock, fold, write.
//!
//! [`load`] reads under lock what the commands of a batch are about, in the lock order of
//! ARCHITECTURE.md; the fold works on it; [`save`] writes what has become of it, one statement for
//! each table. Called by the journal inside its transaction, by nobody else.

mod blocked;
mod certify;
mod desk;
mod goods;
mod insert;
mod key_text;
mod keys;
mod load;
mod marker;
mod payments;
mod save;
mod scope;
mod sheets;
#[cfg(test)]
mod tests;
mod turn;

pub use blocked::{Blocked, blocked};
pub use certify::certify;
pub use keys::{Claims, bindings, each_key};
pub use load::load;
pub use marker::{Marker, insert_fence, insert_marker, is_fenced, purge_markers};
pub use save::save;
pub use turn::{has_turns, wait_for_turn};

/// SQLite takes 32,766 bound values in one statement.
const VALUES_MAX: usize = 30_000;
