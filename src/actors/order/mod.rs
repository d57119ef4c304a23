//! The commands of an order's life.

mod actor;
mod gate;
mod keys;
mod lookups;
pub mod protocol;
#[cfg(test)]
mod tests;

pub use actor::{OrderActor, OrderDeps, Placer};
pub use gate::Gate;
pub use keys::KeySet;
pub use lookups::Lookups;
pub use protocol::*;
