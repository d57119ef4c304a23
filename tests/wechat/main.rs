//! WeChat's wire forms against the vectors in `tests/data/wechat_vectors.json`.
#![allow(clippy::unwrap_used)]

mod vectors;
