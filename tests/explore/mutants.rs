//! Rules that are wrong on purpose, around the real fold: the explorer must find each of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use buynow::domain::attempt::AttemptState;
use buynow::domain::books::{Books, EntryKind, Kept};
use buynow::domain::fold::{Act, Command, Outcome, fold};
use buynow::domain::money::Money;
use buynow::domain::notification::Event;
use buynow::domain::order::{CloseReason, OrderState};
use buynow::domain::time::Timestamp;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A closed order keeps the pieces that it held.
    KeepStock,
    /// An order is placed without a look at the stock.
    Oversell,
    /// Goods that ran out are sold at payment all the same.
    OversellAtPayment,
    /// A transaction that is recorded already is taken for a new one.
    ForgetPayments,
    /// Surplus money is recorded, and no refund.
    KeepSurplus,
    /// A key binds nothing.
    ForgetKeys,
    /// An order that is paid lets its other attempts live.
    StopNothing,
    /// A second attempt starts beside a live one.
    StartBeside,
    /// An order is closed without waiting for WeChat.
    CloseAtOnce,
    /// Money that comes after the closing opens the order again.
    ReopenClosed,
    /// Who has paid is not told.
    TellNobody,
    /// WeChat's "unknown number" is believed at once (a mutant of the closer, not of the fold).
    BelieveUnknown,
    /// It is believed although a prepay_id has come meanwhile (a mutant of the closer, too).
    CloseBlind,
    /// It is as good as new when it is told hours after it was heard (of the closer, too).
    TellLate,
    /// What has gone back is not counted.
    MiscountRefunds,
    /// The limit for each buyer is not counted.
    ForgetLimit,
    /// An order is shipped without a look at its refunds.
    ShipWhatGoesBack,
    /// Money is given back without a look at what is going back.
    RefundTwice,
    /// Pieces that a parcel has taken go back to stock.
    ResellWhatIsSent,
}

/// The fold, or a wrong one. A panic in it is an error with its words.
pub fn fold_as(
    mutant: Option<Mutant>,
    books: &mut Books,
    command: Command,
    now: Timestamp,
) -> Outcome {
    let Some(mutant) = mutant else { return fold(books, command, now) };
    let hidden = before(mutant, books, &command);
    let told = books.notifications.len();
    let entries = books.entries.len();
    let refunds: Vec<_> = books.refunds.keys().copied().collect();
    let outcome = fold(books, command, now);
    after(mutant, books, hidden);
    match mutant {
        Mutant::KeepStock => {
            for entry in books.entries.split_off(entries) {
                if entry.kind == EntryKind::Cancel || entry.kind == EntryKind::Expire {
                    let sku = books.skus.get_mut(&entry.sku).unwrap().change();
                    (sku.stock, sku.seq) = (sku.stock - entry.delta, sku.seq - 1);
                } else {
                    books.entries.push(entry);
                }
            }
        }
        Mutant::KeepSurplus => books.refunds.retain(|id, _| refunds.contains(id)),
        Mutant::TellNobody => {
            let kept = books.notifications.split_off(told);
            let others = kept.into_iter().filter(|told| told.event != Event::OrderPaid);
            books.notifications.extend(others);
        }
        Mutant::MiscountRefunds => {
            let orders = books.orders.values_mut().filter(|kept| kept.is_changed());
            orders.for_each(|kept| kept.change().refunded = Money::ZERO);
        }
        _ => {}
    }
    outcome
}

/// What the fold does not get to see.
#[derive(Default)]
struct Hidden {
    books: Books,
    stock: i64,
}

const MANY: i64 = 100;

fn before(mutant: Mutant, books: &mut Books, command: &Command) -> Hidden {
    let mut hidden = Hidden::default();
    match (mutant, command) {
        (Mutant::Oversell, Command::Place(_)) | (Mutant::OversellAtPayment, Command::Settle(_)) => {
            hidden.stock = MANY;
            add_stock(books, MANY);
        }
        (Mutant::ForgetPayments, Command::Settle(_)) => {
            hidden.books.payments = std::mem::take(&mut books.payments);
        }
        (Mutant::ForgetKeys, Command::Place(place)) => {
            books.keys.remove(&place.key.key);
        }
        (Mutant::StopNothing, Command::Settle(settle)) => {
            let others: Vec<_> =
                books.attempts.keys().copied().filter(|id| *id != settle.attempt).collect();
            for id in others {
                hidden.books.attempts.extend(books.attempts.remove_entry(&id));
            }
        }
        (Mutant::StartBeside, Command::StartAttempt(_))
        | (Mutant::CloseAtOnce, Command::BeginClosing(_)) => {
            hidden.books.attempts = std::mem::take(&mut books.attempts);
        }
        (Mutant::ReopenClosed, Command::Settle(settle)) => reopen(books, settle.attempt),
        (Mutant::ForgetLimit, Command::Place(_)) => books.bought.clear(),
        (Mutant::ShipWhatGoesBack, Command::Desk(desk)) if matches!(desk.act, Act::Ship { .. }) => {
            hidden.books.refunds = std::mem::take(&mut books.refunds);
        }
        (Mutant::RefundTwice, Command::Desk(desk)) if matches!(desk.act, Act::Refund { .. }) => {
            hidden.books.refunds = std::mem::take(&mut books.refunds);
        }
        (Mutant::ResellWhatIsSent, Command::ChangeRefund(_)) => {
            hidden.books.shipments = std::mem::take(&mut books.shipments);
        }
        _ => {}
    }
    hidden
}

fn after(mutant: Mutant, books: &mut Books, mut hidden: Hidden) {
    if hidden.stock > 0 {
        add_stock(books, -hidden.stock);
        let entries = books.entries.iter_mut();
        entries.for_each(|entry| entry.balance -= hidden.stock);
    }
    books.payments.append(&mut hidden.books.payments);
    books.refunds.append(&mut hidden.books.refunds);
    books.shipments.append(&mut hidden.books.shipments);
    if mutant != Mutant::ForgetPayments {
        let mut shown = std::mem::take(&mut books.attempts);
        books.attempts.append(&mut hidden.books.attempts);
        books.attempts.append(&mut shown);
    }
}

fn add_stock(books: &mut Books, pieces: i64) {
    for kept in books.skus.values_mut() {
        if pieces > 0 {
            let mut sku = kept.get().clone();
            sku.stock += pieces;
            *kept = Kept::loaded(sku);
        } else if kept.is_changed() {
            kept.change().stock += pieces;
        } else {
            let mut sku = kept.get().clone();
            sku.stock += pieces;
            *kept = Kept::loaded(sku);
        }
    }
}

fn reopen(books: &mut Books, attempt: buynow::domain::id::AttemptId) {
    let Some(attempt) = books.attempts.get(&attempt).map(|kept| kept.get().clone()) else { return };
    if attempt.state == AttemptState::Paid {
        return;
    }
    if let Some(kept) = books.orders.get_mut(&attempt.order) {
        let is_closed = matches!(&kept.get().state, OrderState::Closed { reason, .. }
            if *reason != CloseReason::SoldOut);
        if is_closed {
            kept.change().state = OrderState::Unpaid(None);
        }
    }
}

/// Runs what may panic; the panic's words become the error.
pub fn survive<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "a panic".into()))
    })
}
