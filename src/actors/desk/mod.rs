//! What staff do, each one typed function: called alike by a page and by a program.
//!
//! Each puts one command into the journal, where it is decided and logged in the same commit. Who
//! acts is an argument; whether he may is the caller's business. What WeChat has to be asked first
//! is asked after the commit of the intention, for some seconds, and goes on by itself after that.

mod input;

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::directory::Directory;
use super::journal::{JournalError, JournalHandle};
use super::payment::{CloseOrder, Inquire};
pub use super::payment::{Inquired, InquiredWord};
use crate::domain::address::Address;
use crate::domain::desk::{DeskKey, Resolution};
use crate::domain::fold::{self, Act, Command, Outcome};
pub use crate::domain::fold::{Acted, DeskRefusal};
use crate::domain::id::{
    GoodsId, IdempotencyKey, IncidentId, LineId, NotificationId, OrderId, ShipmentId, SkuId,
    StaffId, TrackingNo, WxappId,
};
use crate::domain::money::{Money, Quantity};
use crate::domain::sheet::Sheet;
use crate::domain::shipment::{Carrier, HOLD_SECONDS};
use input::{reason, text};

/// Somebody of the staff, at work for one mini-program.
#[derive(Debug, Clone)]
pub struct Clerk {
    pub wxapp: WxappId,
    pub staff: StaffId,
    /// One-time key of the form: a repeat of the same changes nothing, and says so.
    pub key: Option<IdempotencyKey>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Refused(#[from] DeskRefusal),
    /// A field that cannot be taken, and why.
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: &'static str },
    #[error("too much is under way")]
    Busy,
    /// Not known whether it was done: repeat with the same key.
    #[error("the database does not answer")]
    Unavailable,
}

/// How the desk works.
#[derive(Debug, Clone, Copy)]
pub struct DeskSettings {
    /// The most that one order may cost.
    pub max_order: Money,
    /// How long an action waits for WeChat before it goes on by itself.
    pub wechat_wait: Duration,
}

/// The way to everything that staff do. Clones lead to the same.
#[derive(Clone)]
pub struct Desk {
    directory: Directory,
    journal: JournalHandle,
    settings: DeskSettings,
}

type Done = Result<Acted, DeskError>;

impl Desk {
    pub fn new(directory: Directory, journal: JournalHandle, settings: DeskSettings) -> Self {
        Self { directory, journal, settings }
    }

    /// A parcel leaves, with these pieces of these lines; none named: with all that is left. The
    /// buyer is told. An order has at most ten parcels.
    pub async fn ship(
        &self,
        by: &Clerk,
        order: OrderId,
        carrier: Carrier,
        number: TrackingNo,
        lines: Vec<(LineId, Quantity)>,
    ) -> Done {
        self.act(by, Act::Ship { order, carrier, number, lines, hold_seconds: 0 }).await
    }

    /// The same at the shipping desk: the buyer is told only after [`HOLD_SECONDS`], and until
    /// then the scan can be taken back.
    pub async fn scan(
        &self,
        by: &Clerk,
        order: OrderId,
        carrier: Carrier,
        number: TrackingNo,
        lines: Vec<(LineId, Quantity)>,
    ) -> Done {
        let hold_seconds = HOLD_SECONDS;
        self.act(by, Act::Ship { order, carrier, number, lines, hold_seconds }).await
    }

    /// A parcel has not left after all; refused once sending the buyer's message has begun.
    pub async fn take_back(&self, by: &Clerk, order: OrderId, shipment: ShipmentId) -> Done {
        self.act(by, Act::TakeBack { order, shipment }).await
    }

    /// Carrier or number of a parcel were wrong. WeChat takes one such change for a payment:
    /// `Shipment::corrections` tells how many there were.
    pub async fn correct_number(
        &self,
        by: &Clerk,
        order: OrderId,
        shipment: ShipmentId,
        carrier: Carrier,
        number: TrackingNo,
    ) -> Done {
        self.act(by, Act::CorrectNumber { order, shipment, carrier, number }).await
    }

    /// A note of the staff for the staff, in the order's timeline; 1 to 500 characters.
    pub async fn note(&self, by: &Clerk, order: OrderId, note: &str) -> Done {
        let note = text("text", note, 1, 500)?;
        self.act(by, Act::Note { order, text: note }).await
    }

    /// Until the first parcel leaves.
    pub async fn change_address(&self, by: &Clerk, order: OrderId, to: Address) -> Done {
        let address = input::address(to)?;
        self.act(by, Act::ChangeAddress { order, address }).await
    }

    /// Makes `adjust_fen` of an unpaid order this; at least one fen must be left to pay. An attempt
    /// at the former price is closed at WeChat first: until then the order keeps its price, and can
    /// be paid by what the buyer has open, but not anew.
    pub async fn reprice(&self, by: &Clerk, order: OrderId, adjust: Money, why: &str) -> Done {
        let max = self.settings.max_order;
        let act = Act::Reprice { order, adjust, max, reason: reason(why)? };
        let acted = self.act(by, act).await?;
        self.close_at_wechat(by, order).await;
        Ok(acted)
    }

    /// Gives an unpaid order up, at WeChat first; it may still be closing when this answers.
    pub async fn cancel_unpaid(&self, by: &Clerk, order: OrderId, why: &str) -> Done {
        let acted = self.act(by, Act::Cancel { order, reason: reason(why)? }).await?;
        self.close_at_wechat(by, order).await;
        Ok(acted)
    }

    /// Closes an order that WeChat has been asked to close and has not confirmed. Money that comes
    /// all the same goes back.
    pub async fn release(&self, by: &Clerk, order: OrderId, why: &str) -> Done {
        self.act(by, Act::Release { order, reason: reason(why)? }).await
    }

    /// Ends a shipped order before its time: the buyer has said that the goods are there.
    pub async fn complete(&self, by: &Clerk, order: OrderId, why: &str) -> Done {
        self.act(by, Act::Complete { order, reason: reason(why)? }).await
    }

    /// Gives back all that was paid and is not back yet, under a number of its own. `why` is read
    /// by the buyer as well; 1 to 80 characters.
    pub async fn refund(&self, by: &Clerk, order: OrderId, why: &str) -> Done {
        let reason = text("reason", why, 1, input::REFUND_REASON_MAX)?;
        self.act(by, Act::Refund { order, reason }).await
    }

    /// Asks WeChat about each attempt of an order; money that it shows is settled, or goes back.
    pub async fn ask_wechat(&self, by: &Clerk, order: OrderId) -> Result<Vec<Inquired>, DeskError> {
        let shop = self.directory.shop(by.wxapp).await.map_err(|_| DeskError::Unavailable)?;
        let asked = shop.payment.send(Inquire { order, span: tracing::Span::current() });
        match asked.await {
            Ok(Ok(words)) => Ok(words),
            Ok(Err(error)) => {
                tracing::warn!(%order, %error, "WeChat could not be asked");
                Err(DeskError::Unavailable)
            }
            Err(_) => Err(DeskError::Unavailable),
        }
    }

    /// Ends an incident. Matching and giving back are done elsewhere; here it is written down.
    pub async fn resolve_incident(
        &self,
        by: &Clerk,
        incident: IncidentId,
        how: Resolution,
        why: &str,
    ) -> Done {
        self.act(by, Act::ResolveIncident { incident, how, reason: reason(why)? }).await
    }

    /// Moves stock by so many pieces, never below zero.
    pub async fn adjust_stock(&self, by: &Clerk, sku: SkuId, delta: i64, why: &str) -> Done {
        self.act(by, Act::AdjustStock { sku, delta, reason: reason(why)? }).await
    }

    /// Puts goods on sale, or takes them off.
    pub async fn set_sale(&self, by: &Clerk, goods: GoodsId, on_sale: bool) -> Done {
        self.act(by, Act::SetSale { goods, on_sale }).await
    }

    /// Writes a sheet over the goods that had this version, or makes new goods of it. What the
    /// sheet leaves out of their SKUs is retired. Stock is no part of it.
    pub async fn save_goods(
        &self,
        by: &Clerk,
        over: Option<(GoodsId, i64)>,
        mut sheet: Sheet,
    ) -> Done {
        sheet.name_skus();
        if let Some(flaw) = sheet.flaws().into_iter().next() {
            return Err(DeskError::Invalid { field: flaw.field, why: flaw.why });
        }
        self.act(by, Act::SaveGoods { over, sheet: Box::new(sheet) }).await
    }

    /// Tries a message again that was given up.
    pub async fn resend(&self, by: &Clerk, message: NotificationId) -> Done {
        self.act(by, Act::Resend { message }).await
    }

    async fn act(&self, by: &Clerk, act: Act) -> Done {
        let key = by.key.clone().map(|key| DeskKey { key, request_hash: request_hash(&act) });
        let desk = fold::Desk { wxapp: by.wxapp, staff: by.staff, key, act };
        match self.journal.submit(by.wxapp, Command::Desk(Box::new(desk)), None).await {
            Ok(Outcome::Acted(acted)) => Ok(acted?),
            Err(JournalError::Busy) => Err(DeskError::Busy),
            Ok(_) | Err(_) => Err(DeskError::Unavailable),
        }
    }

    /// For some seconds; the reaper goes on with it.
    async fn close_at_wechat(&self, by: &Clerk, order: OrderId) {
        let Ok(shop) = self.directory.shop(by.wxapp).await else { return };
        let closing = shop.payment.send(CloseOrder { order, span: tracing::Span::current() });
        match tokio::time::timeout(self.settings.wechat_wait, closing).await {
            Ok(Ok(Err(error))) => tracing::warn!(%order, %error, "WeChat is asked again later"),
            Ok(Err(error)) => tracing::warn!(%order, %error, "the payment actor is gone"),
            Ok(Ok(Ok(_))) | Err(_) => {}
        }
    }
}

/// SHA-256 over the action: what a key is bound to.
fn request_hash(act: &Act) -> String {
    let said = serde_json::to_vec(act).expect("numbers and texts are JSON");
    hex::encode(Sha256::digest(said))
}
