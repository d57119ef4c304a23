//! WeChat's client side: the vectors in `tests/data/wechat_vectors.json`, then the clients against
//! stubs that answer what the test says.
#![allow(clippy::unwrap_used)]

mod altered;
mod api;
mod certificate;
mod hosts;
mod logs;
mod pay;
mod rules;
mod stub;
mod vectors;
