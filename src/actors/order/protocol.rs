//! The order actor: takes orders and cancels them.
//!
//! It owns the requests in flight by idempotency key, and nothing of any order: what an order is
//! like is read from the store whenever it is asked. It asks the goods actor for admission and puts
//! entries into the journal; it never talks to WeChat.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`PlaceOrder`] | [`PlacedOrder`] | [`PlaceError`] | buyer and key | future, after the commit |
//! | [`CancelOrder`] | the order | [`CancelError`] | the order | future, after the commit |
//! | [`ConfirmReceipt`] | the order | [`ReceiptError`] | the order | future, after the commit |

use std::sync::Arc;

use actix::prelude::*;
use tracing::Span;

use super::keys::Arrival;
use crate::domain::admission::PlaceRefusal;
use crate::domain::cart::{Cart, CartItem};
use crate::domain::fold::{ClosingRefusal, ReceiptRefusal};
use crate::domain::id::{AddressId, IdempotencyKey, OrderId, UserId};
use crate::domain::money::Money;
use crate::domain::order::Order;
use crate::domain::price::FreightPolicy;
use crate::store::order_views::OrderView;

/// A buyer buys.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<PlacedOrder, PlaceError>")]
pub struct PlaceOrder {
    pub user: UserId,
    pub key: IdempotencyKey,
    /// As sent: what the key is bound to.
    pub items: Vec<CartItem>,
    /// What they come to.
    pub cart: Cart,
    pub address: AddressId,
    pub remark: String,
    pub expect_pay: Option<Money>,
    pub freight: FreightPolicy,
    /// Of the request, so that its id stands on what is logged about it.
    pub span: Span,
    /// Given at the [gate](super::Gate), to be counted until the request has begun or is dropped.
    pub arrival: Option<Arc<Arrival>>,
}

/// The order that the request has placed, now or before.
#[derive(Debug, Clone)]
pub struct PlacedOrder {
    pub order: Arc<OrderView>,
    /// The key was known: this is the order of the first request, as it is now.
    pub replayed: bool,
}

/// Why no order was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error(transparent)]
    Refused(#[from] PlaceRefusal),
    /// Too much is under way; nothing was done.
    #[error("too much is under way")]
    Busy,
    /// Not known whether the order was placed: repeat with the same key.
    #[error("the database does not answer")]
    Unavailable,
}

/// A buyer gives an order up before he has paid it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Order, CancelError>")]
pub struct CancelOrder {
    pub order: OrderId,
    pub user: UserId,
    pub span: Span,
}

/// Why an order was not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    #[error(transparent)]
    Refused(#[from] ClosingRefusal),
    #[error("too much is under way")]
    Busy,
    #[error("the database does not answer")]
    Unavailable,
}

/// A buyer says that he has the goods.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Order, ReceiptError>")]
pub struct ConfirmReceipt {
    pub order: OrderId,
    pub user: UserId,
    pub span: Span,
}

/// Why an order was not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error(transparent)]
    Refused(#[from] ReceiptRefusal),
    #[error("too much is under way")]
    Busy,
    #[error("the database does not answer")]
    Unavailable,
}
