//! The client side of WeChat's protocols: bytes in, typed values out.
//!
//! It owns the wire forms (XML v2 of WeChat Pay, JSON of `api.weixin.qq.com`), signatures, error
//! codes and their meaning, time limits and the one repeat of a connection that never came about.
//! It refuses to know orders, stock, the database and the actors; from the domain it takes money,
//! ids and points in time only.
//!
//! Invariant: *refused* (WeChat said so, in a message whose signature holds) and *unknown* (no
//! usable word came back) are different types everywhere. Nothing unknown is ever taken for either.

pub mod api;
mod hosts;
pub mod login;
pub mod message;
pub mod pay;
pub mod sign;
pub mod time;
pub mod token;
mod transport;
pub mod xml;
