//! Which rows the commands of a batch need.

use std::collections::BTreeSet;

use crate::domain::attempt::AttemptEvent;
use crate::domain::fold::{Act, Command, Receiver};
use crate::domain::id::OrderId;

/// What the commands of a batch are about.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub orders: BTreeSet<i64>,
    /// Orders whose lines, ledger and SKUs are needed too.
    pub whole: BTreeSet<i64>,
    /// Orders that may become paid, which counts the sales of their goods.
    pub paid: BTreeSet<i64>,
    pub attempts: BTreeSet<i64>,
    pub whole_attempts: BTreeSet<i64>,
    pub settled_attempts: BTreeSet<i64>,
    /// What is told of a settled attempt: the number of WeChat's transaction.
    pub transactions: BTreeSet<(i64, String)>,
    pub refunds_of: BTreeSet<i64>,
    pub payments_of: BTreeSet<i64>,
    pub skus: BTreeSet<i64>,
    /// Goods that are changed themselves, with all their SKUs.
    pub goods: BTreeSet<i64>,
    pub buyers: BTreeSet<i64>,
    pub addresses: BTreeSet<i64>,
}

impl Scope {
    pub fn of(commands: &[Command]) -> Self {
        let mut scope = Self::default();
        for command in commands {
            match command {
                Command::Place(place) => {
                    scope.skus.extend(place.cart.items().iter().map(|item| item.sku.get()));
                    scope.buyers.insert(place.user.get());
                    scope.addresses.insert(place.address.get());
                }
                Command::StartAttempt(start) => drop(scope.orders.insert(start.order.get())),
                Command::RecordPrepay(record) => match record.event {
                    AttemptEvent::Opened(_) => drop(scope.attempts.insert(record.attempt.get())),
                    _ => drop(scope.whole_attempts.insert(record.attempt.get())),
                },
                Command::Settle(settle) => {
                    scope.whole_attempts.insert(settle.attempt.get());
                    scope.settled_attempts.insert(settle.attempt.get());
                    let transaction = settle.evidence.transaction.as_str().to_owned();
                    scope.transactions.insert((settle.attempt.get(), transaction));
                }
                Command::BeginClosing(begin) => drop(scope.whole.insert(begin.order.get())),
                Command::CloseAttempt(close) => drop(scope.whole.insert(close.order.get())),
                Command::PostponeClosing(postpone) => {
                    scope.orders.insert(postpone.order.get());
                }
                Command::ChangeRefund(change) => {
                    scope.orders.insert(change.order.get());
                    scope.refunds_of.insert(change.order.get());
                    if change.may_end_the_order() {
                        scope.whole.insert(change.order.get());
                        scope.payments_of.insert(change.order.get());
                    }
                }
                Command::KeepIncident(_) => {}
                Command::Receive(receive) => {
                    let order = receive.order.get();
                    scope.orders.insert(order);
                    if matches!(receive.by, Receiver::Time { .. }) {
                        scope.refunds_of.insert(order);
                        scope.payments_of.insert(order);
                    }
                }
                Command::Remind(remind) => drop(scope.orders.insert(remind.order.get())),
                Command::Desk(desk) => desk_scope(&mut scope, &desk.act),
            }
        }
        scope
    }
}

fn desk_scope(scope: &mut Scope, act: &Act) {
    if let Some(order) = act.order().map(OrderId::get) {
        scope.orders.insert(order);
        scope.whole.extend(act.moves_goods().then_some(order));
        scope.refunds_of.extend(act.needs_lines_and_money().then_some(order));
        scope.payments_of.extend(act.needs_lines_and_money().then_some(order));
    }
    match act {
        Act::AdjustStock { sku, .. } => drop(scope.skus.insert(sku.get())),
        Act::SetSale { goods, .. } | Act::SaveGoods { over: Some((goods, _)), .. } => {
            scope.goods.insert(goods.get());
        }
        _ => {}
    }
}
