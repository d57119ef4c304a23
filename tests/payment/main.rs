//! Money as buyers, WeChat and the shop's owner meet it: the hard cases.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod asking;
mod closing;
mod copies;
mod desk;
mod environments;
mod goods_and_money;
mod life;
mod messages;
mod notifications;
mod prepay;
mod races;
mod records;
mod refunds;
mod repricing;
mod staff;
mod surplus;
mod wechat;
