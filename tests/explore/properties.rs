//! What must hold in every state, across every step, and when nothing is left to do.

use std::collections::BTreeSet;

use buynow::domain::attempt::AttemptState;
use buynow::domain::goods::DeductStock;
use buynow::domain::money::Money;
use buynow::domain::notification::Event;
use buynow::domain::order::{Line, Order, OrderState};
use buynow::domain::payment::{Payment, PaymentKind, Refund, RefundKind, RefundState};

use super::shop::*;
use super::steps::{second_charge, transaction};
use super::world::*;

type Check = Result<(), String>;

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// In every state.
pub fn check(scenario: &Scenario, state: &State) -> Check {
    stock(scenario, state)?;
    refunds(state)?;
    given_back(state)?;
    for order in state.db.orders.values() {
        lines(state, order)?;
        money(state, order)?;
        attempts(state, order)?;
        messages(state, order)?;
    }
    keys(scenario, state)
}

fn stock(scenario: &Scenario, state: &State) -> Check {
    for (nth, sku) in state.db.skus.values().enumerate() {
        let (mut balance, mut seq) = (scenario.stock[nth], 1);
        for entry in state.db.entries.iter().filter(|entry| entry.sku == sku.id) {
            (balance, seq) = (balance + entry.delta, seq + 1);
            ensure(balance >= 0, || format!("SKU {} is oversold", sku.id))?;
            let fits = (entry.seq, entry.balance) == (seq, balance);
            ensure(fits, || format!("the ledger of SKU {} has a gap", sku.id))?;
        }
        let fits = (sku.seq, sku.stock) == (seq, balance) && sku.stock >= 0;
        ensure(fits, || format!("SKU {} is not what its ledger says", sku.id))?;
        let held: i64 = live_lines(state)
            .filter(|line| line.sku == sku.id && is_held(state, line))
            .map(|line| line.quantity.pieces())
            .sum();
        ensure(held <= scenario.stock[nth], || {
            format!(
                "{held} pieces of SKU {} are promised, {} were there",
                sku.id, scenario.stock[nth]
            )
        })?;
    }
    Ok(())
}

fn live_lines(state: &State) -> impl Iterator<Item = &Line> {
    let live = state.db.orders.values().filter(|order| order.state.is_live());
    live.flat_map(|order| state.db.lines[&order.id].iter())
}

fn is_live(state: &State, line: &Line) -> bool {
    state.db.orders[&line.order].state.is_live()
}

/// Paid, and not given back.
fn is_paid(state: &OrderState) -> bool {
    state.is_live() && state.paid().is_some()
}

/// Whether a live line has its pieces for sure.
fn is_held(state: &State, line: &Line) -> bool {
    line.deduct_stock == DeductStock::Order || is_paid(&state.db.orders[&line.order].state)
}

/// Each piece is deducted once, and returned once when the order ends, unless it is in a parcel.
fn lines(state: &State, order: &Order) -> Check {
    for line in state.db.lines[&order.id].iter() {
        let moves = state.db.entries.iter().filter(|entry| entry.line == line.id);
        let moves: Vec<i64> = moves.map(|entry| entry.delta).collect();
        let pieces = line.quantity.pieces();
        let sent = sent(state, line);
        ensure(sent <= pieces, || format!("{sent} of {pieces} pieces are sent"))?;
        let over = matches!(order.state, OrderState::Closed { .. } | OrderState::Refunded { .. });
        let fits = match line.deduct_stock {
            _ if is_paid(&order.state) => moves == [-pieces],
            _ if over && sent == pieces => moves == [-pieces],
            DeductStock::Order if over => moves == [-pieces, pieces - sent],
            DeductStock::Order => moves == [-pieces],
            DeductStock::Payment if over => moves.is_empty() || moves == [-pieces, pieces - sent],
            DeductStock::Payment => moves.is_empty(),
        };
        ensure(fits, || {
            let state = order.state.as_str();
            format!("SKU {} of order {} ({state}) has moved {moves:?}", line.sku, order.id)
        })?;
    }
    Ok(())
}

fn sent(state: &State, line: &Line) -> i64 {
    state.db.shipments.values().map(|shipment| shipment.pieces_of(line.id)).sum()
}

fn payments<'a>(state: &'a State, order: &'a Order) -> impl Iterator<Item = &'a Payment> {
    state.db.payments.values().map(|row| &**row).filter(|payment| payment.order == order.id)
}

fn refunds_of<'a>(state: &'a State, payment: &'a Payment) -> impl Iterator<Item = &'a Refund> {
    state.db.refunds.values().map(|row| &**row).filter(|refund| refund.payment == payment.id)
}

fn sum<'a>(refunds: impl Iterator<Item = &'a Refund>) -> i64 {
    refunds.map(|refund| refund.amount.as_fen()).sum()
}

/// A paid order has one settled payment of its amount, and keeps it; no other order has any.
fn money(state: &State, order: &Order) -> Check {
    let settled: Vec<&Payment> =
        payments(state, order).filter(|payment| payment.kind == PaymentKind::Settled).collect();
    match order.state.paid() {
        Some(paid) => {
            let [only] = settled[..] else {
                return Err(format!("order {} is paid {} times", order.id, settled.len()));
            };
            let fits = only.evidence.amount == order.amounts.pay
                && Some(&only.evidence.transaction) == paid.transaction.as_ref();
            ensure(fits, || format!("order {} is paid by other money", order.id))?;
        }
        None => {
            ensure(settled.is_empty(), || format!("order {} keeps money for nothing", order.id))?;
        }
    }
    if let OrderState::Paid(_) = order.state {
        let auto = settled.iter().flat_map(|payment| refunds_of(state, payment));
        let auto = auto.filter(|refund| refund.kind == RefundKind::Auto).count();
        ensure(auto == 0, || format!("order {} is paid, and its money goes back", order.id))?;
    }
    let gone = payments(state, order).flat_map(|payment| refunds_of(state, payment));
    let gone = sum(gone.filter(|refund| refund.state == RefundState::Success));
    ensure(order.refunded.as_fen() == gone, || format!("order {} miscounts refunds", order.id))
}

fn refunds(state: &State) -> Check {
    let (mut transactions, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for payment in state.db.payments.values() {
        let transaction = &payment.evidence.transaction;
        ensure(transactions.insert(transaction), || format!("{transaction} is counted twice"))?;
        let amount = payment.evidence.amount.as_fen();
        let failed = |refund: &&Refund| matches!(refund.state, RefundState::Failed { .. });
        let moving = sum(refunds_of(state, payment).filter(|refund| !failed(refund)));
        ensure(moving <= amount, || format!("{moving} of the {amount} of {transaction} go back"))?;
        let all = sum(refunds_of(state, payment));
        let whole = payment.kind == PaymentKind::Settled || all >= amount;
        ensure(whole, || format!("only {all} of the {amount} of surplus {transaction} go back"))?;
    }
    for refund in state.db.refunds.values() {
        let number = &refund.out_refund_no;
        ensure(numbers.insert(number), || format!("{number} is there twice"))?;
        ensure(refund.amount > Money::ZERO, || format!("{number} is of nothing"))?;
    }
    Ok(())
}

/// At WeChat no payment goes back twice, and none that paid an order goes back by our doing, unless
/// staff want it.
fn given_back(state: &State) -> Check {
    for payment in state.db.payments.values() {
        let transaction = payment.evidence.transaction.as_str();
        let gone = state.gone_back(transaction);
        let amount = payment.evidence.amount.as_fen();
        ensure(gone <= amount, || format!("WeChat gives back {gone} of {amount}"))?;
        let ours = state.backs.iter().filter(|back| {
            back.transaction == transaction
                && back.number.starts_with('r')
                && back.state != BackState::Closed
        });
        let ours = ours.count();
        ensure(ours <= 1, || format!("{transaction} goes back under {ours} numbers of ours"))?;
        let staff = refunds_of(state, payment).any(|refund| refund.kind == RefundKind::Staff);
        let kept = payment.kind == PaymentKind::Settled && !staff;
        ensure(!kept || ours == 0, || format!("{transaction} paid an order, and goes back"))?;
    }
    Ok(())
}

fn attempts(state: &State, order: &Order) -> Check {
    let of_order = || state.db.attempts.values().filter(|attempt| attempt.order == order.id);
    let live = of_order().filter(|attempt| attempt.state.is_live()).count();
    ensure(live <= 1, || format!("order {} has {live} live attempts", order.id))?;
    let waits = matches!(order.state, OrderState::Unpaid(Some(_)));
    ensure(!waits || live == 1, || format!("order {} is closing and waits for nothing", order.id))?;
    for attempt in of_order() {
        let paid = payments(state, order).any(|payment| payment.attempt == attempt.id);
        let says = attempt.state == AttemptState::Paid;
        ensure(paid == says, || format!("attempt {} is {}", attempt.id, attempt.state.as_str()))?;
        let meant = matches!(attempt.state, AttemptState::Requesting | AttemptState::Open);
        let fits = !meant || matches!(order.state, OrderState::Unpaid(None));
        ensure(fits, || format!("attempt {} may be paid, its order not", attempt.id))?;
    }
    Ok(())
}

fn messages(state: &State, order: &Order) -> Check {
    let told = |event| state.db.messages.iter().filter(|told| **told == (order.id, event)).count();
    let paid = usize::from(is_paid(&order.state));
    // Of one that is refunded: if the money was there before it went back.
    let may_be = usize::from(order.state.paid().is_some());
    ensure((paid..=may_be).contains(&told(Event::OrderPaid)), || {
        format!("of order {} wrong things are told", order.id)
    })?;
    let of_order = payments(state, order).flat_map(|payment| refunds_of(state, payment));
    let automatic = of_order.filter(|refund| !refund.reason.is_empty()).count();
    ensure(told(Event::OrderRefunded) == automatic, || {
        format!("of refunds of order {} wrong things are told", order.id)
    })
}

/// One key, one order; and no buyer has more than he may.
fn keys(scenario: &Scenario, state: &State) -> Check {
    ensure(state.db.keys.len() == state.db.orders.len(), || "a key made two orders".into())?;
    for goods in state.db.goods.values() {
        let Some(limit) = goods.limit_per_user else { continue };
        for request in scenario.requests {
            let user = buynow::domain::id::UserId::parse(request.buyer).unwrap();
            let pieces = state.db.live_pieces(user, goods.id);
            ensure(pieces <= limit, || format!("buyer {user} has {pieces} of {limit}"))?;
        }
    }
    Ok(())
}

/// Across one step: what is over stays over, and what is recorded stays recorded.
pub fn check_step(before: &State, after: &State) -> Check {
    for (id, order) in &before.db.orders {
        let now = &after.db.orders[id].state;
        let fits = match &order.state {
            OrderState::Closed { .. } | OrderState::Refunded { .. } => *now == order.state,
            OrderState::Paid(_) => now.paid().is_some(),
            OrderState::Shipped { .. } => {
                let parcels = |state: &State| {
                    state.db.shipments.values().filter(|parcel| parcel.order == *id).count()
                };
                let is_back = parcels(after) < parcels(before);
                now.paid().is_some() && (is_back || !matches!(now, OrderState::Paid(_)))
            }
            OrderState::Completed { .. } => {
                matches!(now, OrderState::Completed { .. } | OrderState::Refunded { .. })
            }
            OrderState::Unpaid(Some(_)) => !matches!(now, OrderState::Unpaid(None)),
            OrderState::Unpaid(None) => true,
        };
        ensure(fits, || {
            format!("order {id} was {} and is {}", order.state.as_str(), now.as_str())
        })?;
    }
    no_parcel_while_money_goes_back(before, after)?;
    for (id, payment) in &before.db.payments {
        ensure(after.db.payments.get(id) == Some(payment), || format!("payment {id} has changed"))?;
    }
    for (id, refund) in &before.db.refunds {
        let is_final = matches!(refund.state, RefundState::Success | RefundState::Failed { .. });
        let same = after.db.refunds.get(id).map(|row| &row.state) == Some(&refund.state);
        ensure(!is_final || same, || format!("refund {id} was at its end"))?;
    }
    for (slot, attempt) in before.db.attempts.iter() {
        let was_paid = attempt.state == AttemptState::Paid;
        let same = after.db.attempts[slot].state == AttemptState::Paid;
        ensure(!was_paid || same, || format!("attempt {slot} was paid"))?;
    }
    Ok(())
}

/// Nor is an order completed by time.
fn no_parcel_while_money_goes_back(before: &State, after: &State) -> Check {
    for order in before.db.orders.values() {
        let parcels = |state: &State| {
            let of_order = state.db.shipments.values().filter(|parcel| parcel.order == order.id);
            of_order.count()
        };
        // One that is taken back does not leave: that is how to keep it.
        let moved = parcels(after) > parcels(before)
            || matches!(after.db.orders[&order.id].state, OrderState::Completed { .. })
                && !matches!(order.state, OrderState::Completed { .. });
        let settled = payments(before, order).filter(|p| p.kind == PaymentKind::Settled);
        let mut back = settled.flat_map(|payment| refunds_of(before, payment));
        let back = back.any(|refund| refund.state.is_open());
        ensure(!(moved && back), || format!("order {} moves, and its money goes back", order.id))?;
    }
    Ok(())
}

/// When time is over and the reaper has nothing left to do: no order waits, no closed order holds
/// goods, and every yuan that WeChat took is kept for an order or has gone back.
pub fn check_at_rest(scenario: &Scenario, state: &State) -> Check {
    for order in state.db.orders.values() {
        let waits = matches!(order.state, OrderState::Unpaid(_));
        ensure(!waits, || format!("order {} is unpaid for ever", order.id))?;
    }
    for attempt in state.db.attempts.values() {
        ensure(!attempt.state.is_live(), || format!("attempt {} lives for ever", attempt.id))?;
    }
    for (nth, sku) in state.db.skus.values().enumerate() {
        let sold = live_lines(state).filter(|line| line.sku == sku.id);
        let sold: i64 = sold.map(|line| line.quantity.pieces()).sum();
        let lost = state.db.lines.values().flat_map(|lines| lines.iter());
        let lost = lost.filter(|line| line.sku == sku.id && !is_live(state, line));
        let sold = sold + lost.map(|line| sent(state, line)).sum::<i64>();
        let fits = sku.stock + sold == scenario.stock[nth];
        ensure(fits, || format!("SKU {}: {} left, {sold} sold", sku.id, sku.stock))?;
    }
    for (slot, pay) in state.pays.iter().enumerate() {
        if pay.trade == Trade::Paid {
            yuan(state, &transaction(slot), state.fen(slot))?;
        }
        let second = second_charge(slot);
        if state.db.payments.values().any(|p| p.evidence.transaction.as_str() == second) {
            yuan(state, &second, state.fen(slot))?;
        }
    }
    Ok(())
}

/// Where the money of one transaction is in the end.
fn yuan(state: &State, transaction: &str, fen: i64) -> Check {
    let gone: i64 = state.gone_back(transaction);
    let mut payments = state.db.payments.values();
    let payment = payments.find(|payment| payment.evidence.transaction.as_str() == transaction);
    let Some(payment) = payment else {
        let known = state.db.incidents.iter().any(|id| id.as_str() == transaction);
        return ensure(known, || format!("{transaction} was paid, and nobody here knows"));
    };
    if payment.kind == PaymentKind::Settled {
        return Ok(());
    }
    let staff = refunds_of(state, payment)
        .any(|refund| matches!(refund.state, RefundState::Failed { .. } | RefundState::Abnormal));
    ensure(gone == fen || staff, || format!("of surplus {transaction} {gone} of {fen} went back"))
}
