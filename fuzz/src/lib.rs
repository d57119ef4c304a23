//! The readers of buynow without its server, so that they build in a minute.
//!
//! The very files of `src/`, taken by path. Left out is what calls over the network
//! (`wechat/transport.rs`, `wechat/pay/client.rs`), which would bring a server and TLS; of it the
//! two types that the readers name are written again here.
#![allow(dead_code, unused_imports)]

#[path = "../../src/domain/mod.rs"]
pub mod domain;

pub mod wechat;
