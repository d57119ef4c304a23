//! Owner of the stock in memory and its holds.

mod actor;
mod board;
pub mod protocol;
#[cfg(test)]
mod tests;

pub use actor::GoodsActor;
pub use board::{Board, Listener};
pub use protocol::*;
