//! The life of an order.
//!
//! An [`Order`] carries only what its state can have: one that is not paid has no time of payment.
//! [`apply`] is total: for every state and every event it says what follows, or refuses by name.

use serde::{Deserialize, Serialize};

use super::goods::DeductStock;
use super::id::{
    GoodsId, LineId, OrderId, OutTradeNo, SkuId, StaffId, TransactionId, UserId, WxappId,
};
use super::money::{Money, Quantity};
use super::notification::Event;
use super::price::Amounts;
use super::stock::EntryKind;
use super::time::Timestamp;

/// An order (订单).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub wxapp: WxappId,
    pub user: UserId,
    /// Shown to people; the `out_trade_no` of the first attempt.
    pub order_no: OutTradeNo,
    pub amounts: Amounts,
    /// Money of this order that has gone back.
    pub refunded: Money,
    pub remark: String,
    pub created_at: Timestamp,
    /// From then on nobody can start to pay, and closing begins.
    pub expires_at: Timestamp,
    pub state: OrderState,
    /// A change of its price that waits for WeChat; only while it is unpaid and not being closed.
    pub repricing: Option<Repricing>,
    pub version: i64,
}

/// A change of price (改价), persisted before the attempt at the former price is closed at WeChat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repricing {
    /// `adjust` as it will be.
    pub adjust: Money,
    pub since: Timestamp,
    /// When closing the former attempt is tried next.
    pub next_at: Timestamp,
    pub tries: i64,
    pub by: StaffId,
}

/// When WeChat is asked again to close what shall not be paid, and how often it has been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTry {
    pub at: Timestamp,
    pub tries: i64,
}

impl Order {
    /// When closing at WeChat goes on; none: nothing waits for it.
    pub fn next_try(&self) -> Option<NextTry> {
        match (&self.state, &self.repricing) {
            (OrderState::Unpaid(Some(closing)), _) => {
                Some(NextTry { at: closing.next_at, tries: closing.tries })
            }
            (OrderState::Unpaid(None), Some(repricing)) => {
                Some(NextTry { at: repricing.next_at, tries: repricing.tries })
            }
            _ => None,
        }
    }
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// 待付款. With a closing: it is meant to be closed, but WeChat has not confirmed yet.
    Unpaid(Option<Closing>),
    /// 已付款. Some of it may be in parcels already.
    Paid(Paid),
    /// 已发货: every piece is in a parcel.
    Shipped { paid: Paid, at: Timestamp },
    /// 已完成: the buyer has it.
    Completed { paid: Paid, shipped_at: Timestamp, at: Timestamp },
    /// 已关闭: nothing was sold; what was deducted has been returned.
    Closed { at: Timestamp, reason: CloseReason },
    /// 已退款: paid once, and all of it given back, perhaps after it was shipped or completed.
    Refunded {
        paid: Paid,
        shipped_at: Option<Timestamp>,
        completed_at: Option<Timestamp>,
        at: Timestamp,
    },
}

/// The intention to close (关闭中), persisted before WeChat is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    pub since: Timestamp,
    pub reason: CloseReason,
    /// When the closer tries next.
    pub next_at: Timestamp,
    pub tries: i64,
}

/// That and how an order was paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    pub at: Timestamp,
    /// None: there was nothing to pay.
    pub transaction: Option<TransactionId>,
}

/// Why an order was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    Expired,
    Buyer,
    Staff,
    SoldOut,
}

impl CloseReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Buyer => "buyer",
            Self::Staff => "staff",
            Self::SoldOut => "sold_out",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "expired" => Some(Self::Expired),
            "buyer" => Some(Self::Buyer),
            "staff" => Some(Self::Staff),
            "sold_out" => Some(Self::SoldOut),
            _ => None,
        }
    }
}

impl From<CloseReason> for EntryKind {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Expired => Self::Expire,
            CloseReason::Buyer | CloseReason::Staff | CloseReason::SoldOut => Self::Cancel,
        }
    }
}

impl OrderState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unpaid(_) => "unpaid",
            Self::Paid(_) => "paid",
            Self::Shipped { .. } => "shipped",
            Self::Completed { .. } => "completed",
            Self::Closed { .. } => "closed",
            Self::Refunded { .. } => "refunded",
        }
    }
    /// Whether its lines still claim goods: neither closed nor refunded.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Unpaid(_) | Self::Paid(_) | Self::Shipped { .. } | Self::Completed { .. } => true,
            Self::Closed { .. } | Self::Refunded { .. } => false,
        }
    }
    /// That and how it was paid, if it ever was.
    pub fn paid(&self) -> Option<&Paid> {
        match self {
            Self::Paid(paid)
            | Self::Shipped { paid, .. }
            | Self::Completed { paid, .. }
            | Self::Refunded { paid, .. } => Some(paid),
            Self::Unpaid(_) | Self::Closed { .. } => None,
        }
    }
}

/// A line of an order (订单商品): what was bought, on the terms of that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub id: LineId,
    pub order: OrderId,
    pub goods: GoodsId,
    pub sku: SkuId,
    pub goods_name: String,
    pub attr: String,
    pub image_url: String,
    pub price: Money,
    pub quantity: Quantity,
    pub total: Money,
    pub weight_g: i64,
    /// The mode when the order was placed; a later change of the goods does not touch it.
    pub deduct_stock: DeductStock,
}

/// What can happen to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderEvent {
    /// It shall be closed; from now on no attempt to pay may start.
    BeginClosing(CloseReason),
    /// WeChat did not confirm yet; the closer comes back.
    PostponeClosing { next_at: Timestamp },
    /// No attempt can bring money any more.
    FinishClosing,
    /// The money is there, and so are the goods.
    Pay(Paid),
    /// The money is there, the goods are not.
    SellOut,
    /// A parcel leaves, and not the last one.
    ShipPart,
    /// The parcel leaves after which nothing is left to ship.
    Ship,
    /// A parcel has not left after all.
    Unship,
    /// The buyer has the goods, or has had the time to say that he has not.
    Receive,
    /// All the money has gone back, by WeChat's own records.
    ReturnMoney,
}

/// What follows from an event: the next state, and what must be done with it in the same commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    pub next: OrderState,
    pub effects: Vec<Effect>,
}

/// What a transition asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Deduct the lines that wait for the payment, and count the sale.
    Sell,
    /// Return every piece that the ledger shows as deducted for this order and no parcel has taken.
    ReturnStock(EntryKind),
    /// Stop the attempts that could still bring money.
    StopAttempts,
    /// Tell the buyer.
    Notify(Event),
}

/// Why an event does not fit a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    #[error("the order is already being closed")]
    AlreadyClosing,
    #[error("the order is closed")]
    AlreadyClosed,
    #[error("the order is paid")]
    AlreadyPaid,
    #[error("the order is shipped")]
    AlreadyShipped,
    #[error("the order is completed")]
    AlreadyCompleted,
    #[error("the order is refunded")]
    AlreadyRefunded,
    #[error("the order is not shipped, or not wholly")]
    NotShipped,
    #[error("the order is not being closed")]
    NotClosing,
    #[error("the order is not paid")]
    NotPaid,
}

/// The rule of an order's life: total over states and events.
pub fn apply(
    state: &OrderState,
    event: OrderEvent,
    now: Timestamp,
) -> Result<Transition, TransitionError> {
    use OrderEvent as E;
    use OrderState as S;
    use TransitionError as Refused;
    match (state, event) {
        (S::Unpaid(None), E::BeginClosing(reason)) => {
            let closing = Closing { since: now, reason, next_at: now, tries: 0 };
            to(S::Unpaid(Some(closing)), vec![Effect::StopAttempts])
        }
        (S::Unpaid(Some(_)), E::BeginClosing(_)) => Err(Refused::AlreadyClosing),
        (S::Unpaid(Some(closing)), E::PostponeClosing { next_at }) => {
            let tries = closing.tries.saturating_add(1);
            to(S::Unpaid(Some(Closing { next_at, tries, ..*closing })), vec![])
        }
        (S::Unpaid(Some(closing)), E::FinishClosing) => close(now, closing.reason),
        (S::Unpaid(None), E::PostponeClosing { .. } | E::FinishClosing) => Err(Refused::NotClosing),
        (S::Unpaid(_), E::Pay(paid)) => {
            let effects =
                vec![Effect::StopAttempts, Effect::Sell, Effect::Notify(Event::OrderPaid)];
            to(S::Paid(paid), effects)
        }
        (S::Unpaid(_), E::SellOut) => close(now, CloseReason::SoldOut),
        (S::Unpaid(_), E::ReturnMoney | E::ShipPart | E::Ship | E::Unship | E::Receive) => {
            Err(Refused::NotPaid)
        }
        (S::Paid(paid), E::ShipPart) => to(S::Paid(paid.clone()), vec![]),
        (S::Paid(paid), E::Ship) => to(S::Shipped { paid: paid.clone(), at: now }, vec![]),
        (S::Paid(paid) | S::Shipped { paid, .. }, E::Unship) => to(S::Paid(paid.clone()), vec![]),
        (S::Paid(_), E::Receive) => Err(Refused::NotShipped),
        (S::Shipped { paid, at }, E::Receive) => {
            to(S::Completed { paid: paid.clone(), shipped_at: *at, at: now }, vec![])
        }
        (S::Paid(paid), E::ReturnMoney) => give_back(paid, None, None, now),
        (S::Shipped { paid, at }, E::ReturnMoney) => give_back(paid, Some(*at), None, now),
        (S::Completed { paid, shipped_at, at }, E::ReturnMoney) => {
            give_back(paid, Some(*shipped_at), Some(*at), now)
        }
        (
            S::Paid(_) | S::Shipped { .. } | S::Completed { .. },
            E::BeginClosing(_)
            | E::PostponeClosing { .. }
            | E::FinishClosing
            | E::Pay(_)
            | E::SellOut,
        )
        | (S::Shipped { .. }, E::ShipPart | E::Ship)
        | (S::Completed { .. }, E::ShipPart | E::Ship | E::Unship | E::Receive) => {
            Err(already(state))
        }
        (
            S::Closed { .. } | S::Refunded { .. },
            E::BeginClosing(_)
            | E::PostponeClosing { .. }
            | E::FinishClosing
            | E::Pay(_)
            | E::SellOut
            | E::ShipPart
            | E::Ship
            | E::Unship
            | E::Receive
            | E::ReturnMoney,
        ) => Err(already(state)),
    }
}

/// That a state is reached, as a reason to refuse.
pub fn already(state: &OrderState) -> TransitionError {
    match state {
        OrderState::Unpaid(None) => TransitionError::NotPaid,
        OrderState::Unpaid(Some(_)) => TransitionError::AlreadyClosing,
        OrderState::Paid(_) => TransitionError::AlreadyPaid,
        OrderState::Shipped { .. } => TransitionError::AlreadyShipped,
        OrderState::Completed { .. } => TransitionError::AlreadyCompleted,
        OrderState::Closed { .. } => TransitionError::AlreadyClosed,
        OrderState::Refunded { .. } => TransitionError::AlreadyRefunded,
    }
}

fn give_back(
    paid: &Paid,
    shipped_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Transition, TransitionError> {
    let next = OrderState::Refunded { paid: paid.clone(), shipped_at, completed_at, at: now };
    to(next, vec![Effect::ReturnStock(EntryKind::Refund)])
}

fn to(next: OrderState, effects: Vec<Effect>) -> Result<Transition, TransitionError> {
    Ok(Transition { next, effects })
}

fn close(now: Timestamp, reason: CloseReason) -> Result<Transition, TransitionError> {
    let effects = vec![Effect::StopAttempts, Effect::ReturnStock(reason.into())];
    to(OrderState::Closed { at: now, reason }, effects)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn paid() -> Paid {
        Paid { at: NOW, transaction: None }
    }

    fn states() -> [OrderState; 7] {
        let closing = Closing { since: NOW, reason: CloseReason::Buyer, next_at: NOW, tries: 0 };
        [
            OrderState::Unpaid(None),
            OrderState::Unpaid(Some(closing)),
            OrderState::Paid(paid()),
            OrderState::Shipped { paid: paid(), at: NOW },
            OrderState::Completed { paid: paid(), shipped_at: NOW, at: NOW },
            OrderState::Closed { at: NOW, reason: CloseReason::Expired },
            OrderState::Refunded { paid: paid(), shipped_at: None, completed_at: None, at: NOW },
        ]
    }

    #[track_caller]
    fn check(event: OrderEvent, expected: [Result<&str, TransitionError>; 7]) {
        for (state, expected) in states().iter().zip(expected) {
            let outcome = apply(state, event.clone(), NOW);
            let name = outcome.as_ref().map(|t| t.next.as_str()).map_err(|error| *error);
            assert_eq!(name, expected, "{state:?} + {event:?}");
        }
    }

    #[test]
    fn the_table_of_an_orders_life() {
        use TransitionError::*;
        let done = [Err(AlreadyPaid), Err(AlreadyShipped), Err(AlreadyCompleted)];
        let dead = [Err(AlreadyClosed), Err(AlreadyRefunded)];
        let unpaid = |a, b| [a, b, done[0], done[1], done[2], dead[0], dead[1]];
        let paid_for = |a, b, c| [Err(NotPaid), Err(NotPaid), a, b, c, dead[0], dead[1]];
        check(
            OrderEvent::BeginClosing(CloseReason::Buyer),
            unpaid(Ok("unpaid"), Err(AlreadyClosing)),
        );
        check(OrderEvent::PostponeClosing { next_at: NOW }, unpaid(Err(NotClosing), Ok("unpaid")));
        check(OrderEvent::FinishClosing, unpaid(Err(NotClosing), Ok("closed")));
        check(OrderEvent::Pay(paid()), unpaid(Ok("paid"), Ok("paid")));
        check(OrderEvent::SellOut, unpaid(Ok("closed"), Ok("closed")));
        check(OrderEvent::ShipPart, paid_for(Ok("paid"), done[1], done[2]));
        check(OrderEvent::Ship, paid_for(Ok("shipped"), done[1], done[2]));
        check(OrderEvent::Unship, paid_for(Ok("paid"), Ok("paid"), done[2]));
        check(OrderEvent::Receive, paid_for(Err(NotShipped), Ok("completed"), done[2]));
        check(OrderEvent::ReturnMoney, paid_for(Ok("refunded"), Ok("refunded"), Ok("refunded")));
    }

    #[test]
    fn a_refunded_order_remembers_how_far_it_had_come() {
        let times = |state: &OrderState| match apply(state, OrderEvent::ReturnMoney, NOW) {
            Ok(Transition {
                next: OrderState::Refunded { shipped_at, completed_at, .. }, ..
            }) => (shipped_at.is_some(), completed_at.is_some()),
            other => panic!("not refunded: {other:?}"),
        };
        let [_, _, paid, shipped, completed, ..] = states();
        assert_eq!(times(&paid), (false, false));
        assert_eq!(times(&shipped), (true, false));
        assert_eq!(times(&completed), (true, true));
    }

    #[test]
    fn every_way_to_closed_returns_the_stock() {
        for state in states() {
            for event in [OrderEvent::FinishClosing, OrderEvent::SellOut] {
                if let Ok(transition) = apply(&state, event, NOW) {
                    let returns = |e: &Effect| matches!(e, Effect::ReturnStock(_));
                    assert!(transition.effects.iter().any(returns));
                }
            }
        }
    }
}
