//! The invariants of design.md, section 3, on books and log.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::domain::books::{Kept, StockEntry};
use crate::domain::goods::DeductStock;
use crate::domain::id::LineId;
use crate::domain::money::Money;
use crate::domain::notification::Event;
use crate::domain::order::{Line, Order, OrderState};
use crate::domain::payment::{Payment, PaymentKind, Refund, RefundKind, RefundState};
use crate::domain::shipment::PARCELS_MAX;

/// Fails with the name of the invariant that does not hold.
#[track_caller]
pub fn check(world: &World) {
    assert_eq!(world.books.missing(), None, "something that a command needed was not there");
    stock_is_what_the_ledger_says(world);
    for kept in world.books.orders.values() {
        let order = kept.get();
        lines_are_deducted_and_returned(world, order);
        parcels_fit(world, order);
        a_price_waits_for_an_attempt(world, order);
        money_is_settled_once(world, order);
        sums_add_up(world, order);
        attempts_fit(world, order);
    }
    refunds_fit_payments(world);
    messages_tell(world);
    limits_hold(world);
    keys_fit_orders(world);
}

fn entries(world: &World) -> impl Iterator<Item = &StockEntry> {
    world.log.entries.iter().chain(&world.books.entries)
}

fn stock_is_what_the_ledger_says(world: &World) {
    let adjustments = || world.log.adjustments.iter().chain(&world.books.desk.adjustments);
    for kept in world.books.skus.values() {
        let sku = kept.get();
        let (mut balance, mut seq) = (world.initial[&sku.id], 1);
        let of_orders = entries(world).filter(|entry| entry.sku == sku.id);
        let by_staff = adjustments().filter(|entry| entry.sku == sku.id);
        let mut ledger: Vec<(i64, i64, i64)> = of_orders
            .map(|entry| (entry.seq, entry.delta, entry.balance))
            .chain(by_staff.map(|entry| (entry.seq, entry.delta, entry.balance)))
            .collect();
        ledger.sort_unstable();
        for (found_seq, delta, found_balance) in ledger {
            balance += delta;
            seq += 1;
            assert_eq!((found_seq, found_balance), (seq, balance), "ledger of SKU {}", sku.id);
            assert!(balance >= 0, "SKU {} was oversold", sku.id);
        }
        assert_eq!((sku.seq, sku.stock), (seq, balance), "SKU {}", sku.id);
    }
}

fn sent(world: &World, line: &Line) -> i64 {
    world.books.shipments_of(line.order).map(|shipment| shipment.pieces_of(line.id)).sum()
}

fn parcels_fit(world: &World, order: &Order) {
    let lines = world.books.lines_of(order.id);
    let whole = lines.iter().all(|line| sent(world, line) == line.quantity.pieces());
    for line in lines {
        assert!(sent(world, line) <= line.quantity.pieces(), "line {} was sent twice", line.id);
    }
    let parcels: Vec<_> = world.books.shipments_of(order.id).collect();
    assert!(parcels.len() <= PARCELS_MAX);
    assert!(parcels.iter().flat_map(|p| &p.lines).all(|p| lines.iter().any(|l| l.id == p.line)));
    match &order.state {
        OrderState::Unpaid(_) | OrderState::Closed { .. } => assert!(parcels.is_empty()),
        OrderState::Paid(_) => assert!(!whole, "order {} has left and does not know", order.id),
        OrderState::Shipped { .. } | OrderState::Completed { .. } => {
            assert!(whole, "order {} says that all of it has left", order.id);
        }
        OrderState::Refunded { shipped_at, completed_at, .. } => {
            assert_eq!(shipped_at.is_some(), whole, "order {}", order.id);
            assert!(completed_at.is_none() || whole);
        }
    }
}

fn lines_are_deducted_and_returned(world: &World, order: &Order) {
    let mut moved: BTreeMap<LineId, Vec<i64>> = BTreeMap::new();
    for entry in entries(world).filter(|entry| entry.order == order.id) {
        moved.entry(entry.line).or_default().push(entry.delta);
    }
    let lines = world.books.lines_of(order.id);
    assert!(!lines.is_empty(), "order {} has no lines", order.id);
    for line in lines {
        let moves = moved.remove(&line.id).unwrap_or_default();
        let q = line.quantity.pieces();
        let rest = q - sent(world, line);
        let returned = if rest > 0 { vec![-q, rest] } else { vec![-q] };
        let expected: Vec<Vec<i64>> = match (&order.state, line.deduct_stock) {
            (OrderState::Unpaid(_), DeductStock::Order) => vec![vec![-q]],
            (OrderState::Unpaid(_), DeductStock::Payment) => vec![vec![]],
            (
                OrderState::Paid(_) | OrderState::Shipped { .. } | OrderState::Completed { .. },
                _,
            ) => vec![vec![-q]],
            (OrderState::Closed { .. } | OrderState::Refunded { .. }, DeductStock::Order) => {
                vec![returned]
            }
            (OrderState::Closed { .. } | OrderState::Refunded { .. }, DeductStock::Payment) => {
                vec![vec![], returned]
            }
        };
        assert!(expected.contains(&moves), "line {} of {:?}: {moves:?}", line.id, order.state);
        check_counted(world, line, &moves);
    }
    assert!(moved.is_empty(), "entries without a line: {moved:?}");
}

fn check_counted(world: &World, line: &Line, moves: &[i64]) {
    let deducted = world.books.deducted.get(&line.id).copied().unwrap_or(0);
    assert_eq!(deducted, -moves.iter().sum::<i64>(), "the books count otherwise than the ledger");
}

fn payments_of<'a>(world: &'a World, order: &'a Order) -> impl Iterator<Item = &'a Payment> {
    world.books.payments.values().map(Kept::get).filter(|payment| payment.order == order.id)
}

fn refunds_of<'a>(world: &'a World, payment: &'a Payment) -> impl Iterator<Item = &'a Refund> {
    world.books.refunds.values().map(Kept::get).filter(|refund| refund.payment == payment.id)
}

fn sum<'a>(refunds: impl Iterator<Item = &'a Refund>) -> i64 {
    refunds.map(|refund| refund.amount.as_fen()).sum()
}

fn money_is_settled_once(world: &World, order: &Order) {
    let settled: Vec<&Payment> =
        payments_of(world, order).filter(|payment| payment.kind == PaymentKind::Settled).collect();
    match order.state.paid() {
        Some(paid) if order.amounts.pay > Money::ZERO => {
            assert_eq!(settled.len(), 1, "order {} has {settled:?}", order.id);
            assert_eq!(settled[0].evidence.amount, order.amounts.pay);
            assert_eq!(Some(&settled[0].evidence.transaction), paid.transaction.as_ref());
        }
        _ => assert!(
            settled.is_empty(),
            "order {} ({}) has {settled:?}",
            order.id,
            order.state.as_str()
        ),
    }
    let gone = payments_of(world, order).flat_map(|payment| refunds_of(world, payment));
    let gone = sum(gone.filter(|refund| refund.state == RefundState::Success));
    assert_eq!(order.refunded.as_fen(), gone, "what has gone back of order {}", order.id);
}

fn refunds_fit_payments(world: &World) {
    let (mut transactions, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for kept in world.books.payments.values() {
        let payment = kept.get();
        let transaction = (&payment.mch_id, &payment.evidence.transaction);
        assert!(transactions.insert(transaction), "{transaction:?} is counted twice");
        let moves = |refund: &&Refund| !matches!(refund.state, RefundState::Failed { .. });
        let all = sum(refunds_of(world, payment).filter(moves));
        let amount = payment.evidence.amount.as_fen();
        assert!(all <= amount, "refunds of payment {} make {all} of {amount}", payment.id);
        let open = refunds_of(world, payment).filter(|refund| refund.state.is_open());
        let by_staff = open.filter(|refund| refund.kind == RefundKind::Staff).count();
        assert!(by_staff <= 1, "payment {} goes back twice", payment.id);
        if payment.kind == PaymentKind::Surplus {
            let all = sum(refunds_of(world, payment));
            assert!(all >= amount, "surplus {} goes back whole, or staff know", payment.id);
        }
    }
    for kept in world.books.refunds.values() {
        let refund = kept.get();
        assert!(numbers.insert((&refund.mch_id, &refund.out_refund_no)), "{refund:?}");
        assert!(refund.amount > Money::ZERO);
    }
}

fn sums_add_up(world: &World, order: &Order) {
    let goods: i64 = world.books.lines_of(order.id).iter().map(|line| line.total.as_fen()).sum();
    let amounts = &order.amounts;
    assert_eq!(amounts.goods.as_fen(), goods);
    let pay =
        goods + amounts.freight.as_fen() - amounts.discount.as_fen() + amounts.adjust.as_fen();
    assert_eq!(amounts.pay.as_fen(), pay);
}

fn attempts_fit(world: &World, order: &Order) {
    let live = world.books.attempts_of(order.id).filter(|attempt| attempt.state.is_live()).count();
    assert!(live <= 1, "order {} has {live} attempts that may be paid", order.id);
    match order.state {
        OrderState::Unpaid(Some(_)) => {
            assert_eq!(live, 1, "order {} is closing, but waits for nothing", order.id);
        }
        OrderState::Closed { .. } => {}
        OrderState::Unpaid(None)
        | OrderState::Paid(_)
        | OrderState::Shipped { .. }
        | OrderState::Completed { .. }
        | OrderState::Refunded { .. } => {}
    }
    for attempt in world.books.attempts_of(order.id) {
        let paid = payments_of(world, order).any(|payment| payment.attempt == attempt.id);
        let says_paid = attempt.state == crate::domain::attempt::AttemptState::Paid;
        assert_eq!(says_paid, paid, "attempt {}", attempt.id);
    }
}

/// A change of price that nothing stands in the way of is done.
fn a_price_waits_for_an_attempt(world: &World, order: &Order) {
    if order.repricing.is_some() {
        assert_eq!(order.state, OrderState::Unpaid(None), "order {}", order.id);
        let live = world.books.attempts_of(order.id).any(|attempt| attempt.state.is_live());
        assert!(live, "the price of order {} waits for nothing", order.id);
    }
}

fn messages_tell(world: &World) {
    let messages = world.messages();
    for kept in world.books.orders.values() {
        let order = kept.get();
        let told = |event| messages.iter().filter(|m| **m == (order.id.get(), event)).count();
        let paid = match order.state {
            OrderState::Paid(_) | OrderState::Shipped { .. } | OrderState::Completed { .. } => {
                1..=1
            }
            // What WeChat had given back before we heard of it was never told as paid.
            OrderState::Refunded { .. } => 0..=1,
            OrderState::Unpaid(_) | OrderState::Closed { .. } => 0..=0,
        };
        assert!(paid.contains(&told(Event::OrderPaid)), "messages of order {}", order.id);
        let parcels = world.books.shipments_of(order.id).count();
        assert_eq!(told(Event::OrderShipped), parcels, "parcels of order {}", order.id);
        assert!(told(Event::OrderExpiring) <= 1, "order {} is reminded once", order.id);
        let automatic = payments_of(world, order)
            .flat_map(|payment| refunds_of(world, payment))
            .filter(|refund| !refund.reason.is_empty());
        assert_eq!(
            told(Event::OrderRefunded),
            automatic.count(),
            "refund messages of order {}",
            order.id
        );
    }
}

fn limits_hold(world: &World) {
    for ((user, goods), bought) in &world.books.bought {
        let live = world.live_pieces(user.get(), *goods);
        assert_eq!(*bought, live, "the books count otherwise than the orders");
        if let Some(limit) = world.books.goods[goods].get().limit_per_user {
            assert!(live <= limit, "buyer {user} has {live} of goods {goods}");
        }
    }
}

fn keys_fit_orders(world: &World) {
    let mut bound = BTreeSet::new();
    for (key, binding) in &world.books.keys {
        let order = world.books.orders.get(&binding.result).expect("a key is bound to an order");
        assert_eq!(order.get().user, key.user);
        assert!(bound.insert(binding.result), "two keys made order {}", binding.result);
    }
    assert_eq!(bound.len(), world.books.orders.len(), "every order was placed under a key");
}
