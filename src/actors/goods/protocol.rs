//! The goods actor: admission of orders, in memory.
//!
//! It owns, for one mini-program, the SKUs as last seen and the holds in flight; what can still be
//! promised is stock less holds. Memory admits, the journal's fold decides: a replaced actor starts
//! with empty hands and at worst admits what the fold then refuses. It asks the store for SKUs that
//! it does not know and before it refuses from old memory; it asks no actor.
//!
//! | message | reply | refusals | idempotent by | response |
//! |---|---|---|---|---|
//! | [`Admit`] | [`Admitted`] | [`AdmitError`] | nothing: each makes a hold | value, or after one read |
//! | [`Quote`] | [`Quoted`] | [`AdmitError`] | itself | value, or after one read |
//! | [`BatchDone`] | none | none | hold tokens, row versions | value |
//! | [`ReleaseHold`] | none | none | hold token | value |
//! | [`GetSnapshot`] | [`Snapshot`] | none | itself | value |

use actix::prelude::*;

use crate::domain::admission::PlaceRefusal;
use crate::domain::cart::{Cart, CartItem};
use crate::domain::goods::{Goods, Sku};
use crate::domain::id::SkuId;
use crate::domain::money::Money;
use crate::domain::price::{Amounts, FreightPolicy};

/// Asks for a hold on every deduct-on-order line of a cart, all or nothing.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Admitted, AdmitError>")]
pub struct Admit {
    pub cart: Cart,
    pub freight: FreightPolicy,
    pub max: Money,
    pub expect_pay: Option<Money>,
}

/// The cart may go to the journal.
#[derive(Debug)]
pub struct Admitted {
    pub hold: HoldToken,
    pub amounts: Amounts,
}

/// Why a cart may not go to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    #[error(transparent)]
    Refused(#[from] PlaceRefusal),
    /// Memory is old and the database does not answer: nothing can be said.
    #[error("the database does not answer")]
    Unavailable,
}

/// Asks what a cart would cost, and what stands in its way. Nothing is held.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Quoted, AdmitError>")]
pub struct Quote {
    pub cart: Cart,
    pub freight: FreightPolicy,
    pub max: Money,
}

/// A quote: every line that is known, the sums, and each line's problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    pub lines: Vec<QuotedLine>,
    /// None: it would cost more than one order may.
    pub amounts: Option<Amounts>,
}

/// A line of a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedLine {
    pub item: CartItem,
    /// None: there is no such SKU.
    pub offer: Option<QuotedOffer>,
    pub problem: Option<PlaceRefusal>,
}

/// What is offered on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedOffer {
    pub sku: Sku,
    pub goods: Goods,
    pub available: i64,
}

/// A batch has been decided: these holds have ended, and so stand the rows it has read or changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct BatchDone {
    pub holds: Vec<HoldId>,
    pub skus: Vec<Sku>,
    pub goods: Vec<Goods>,
}

/// A hold whose order never reached the journal.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ReleaseHold(pub HoldId);

/// How the actor stands.
#[derive(Message)]
#[rtype(result = "Snapshot")]
pub struct GetSnapshot;

/// A copy of the actor's counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, MessageResponse)]
pub struct Snapshot {
    pub skus_known: usize,
    pub holds: usize,
    pub admitted: u64,
    pub refused: u64,
    pub reads: u64,
    /// Stock and held pieces by SKU.
    pub stock: Vec<(SkuId, i64, i64)>,
}

/// Names a hold of one incarnation of the goods actor; a successor does not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HoldId {
    pub incarnation: u64,
    pub number: u64,
}

/// A hold, carried to the journal with the order. Dropped on the way it is given back, so that no
/// caller who goes away keeps goods from the next.
#[derive(Debug)]
pub struct HoldToken {
    id: HoldId,
    owner: Option<Recipient<ReleaseHold>>,
}

impl HoldToken {
    pub(super) fn new(id: HoldId, owner: Recipient<ReleaseHold>) -> Self {
        Self { id, owner: Some(owner) }
    }

    /// The fate of the order is certain: the journal tells the goods actor itself.
    pub fn settle(mut self) -> HoldId {
        self.owner = None;
        self.id
    }
}

impl Drop for HoldToken {
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            owner.do_send(ReleaseHold(self.id));
        }
    }
}
