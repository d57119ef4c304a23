//! buynow: an actor-based order engine for WeChat mini-program shops. Start with ARCHITECTURE.md.

pub mod clock;
pub mod domain;
pub mod sandbox;
pub mod wechat;
