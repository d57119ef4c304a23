//! The engine: who owns what, and who asks whom.
//!
//! ```text
//! http ──► order ──► goods            reaper ──► payment ──► WeChat
//!   │        └─────► journal ◄──────────────────────┘
//!   ├────► payment ──► journal        notifier ──► journal, WeChat
//!   └────► desk ──► journal, payment  (functions, no actor: what staff do)
//!                      journal ──(tells)──► goods
//! ```
//!
//! Asks go one way, so no two actors can wait for each other. The journal asks nobody. Goods and
//! order live on the engine arbiter, the journal on its own, everything that talks to WeChat on the
//! io arbiter. Any actor can be made anew from the store at any moment; [`directory`] does so.

mod arbiter;
mod clockwork;
pub mod desk;
pub mod directory;
pub mod engine;
pub mod goods;
pub mod journal;
pub mod messenger;
pub mod notifier;
pub mod order;
pub mod payment;
mod perish;
pub mod reaper;
mod steady;

pub use clockwork::Ticks;
pub use perish::Perish;

#[cfg(test)]
mod facts;
#[cfg(test)]
pub(crate) mod testing;
