//! Owner of the stock in memory and its holds.

mod actor;
pub mod protocol;
#[cfg(test)]
mod tests;

pub use actor::GoodsActor;
pub use protocol::*;
