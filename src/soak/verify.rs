//! The end of a chapter: everything is brought to its end, and what buyers were told is compared
//! with what the shop, its database and WeChat say.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::buyer::Buyer;
use super::goods::LIMITED;
use super::model::{Answer, Breach, Wanted};
use super::plan::SKUS;
use super::shop::Ending;
use super::{SoakError, World, chaos};
use crate::actors::notifier::RunNotifier;
use crate::actors::reaper::RunReaper;
use crate::domain::id::SkuId;
use crate::sandbox::{PaymentView, RefundStatus, SettingsChange};
use crate::store::stock::received;

/// What is not at its end after so many looks will not come there.
const LOOKS_MAX: u64 = 160;
const DUE: Duration = Duration::from_secs(20);
/// A message may come twice when its first answer was lost, never more often.
const MESSAGES_MAX: usize = 2;

/// An order as the shop shows it at the end.
pub(super) struct Shown(Value);

impl Shown {
    fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }
    /// Paid, and not given back.
    fn is_sold(&self) -> bool {
        matches!(self.state(), "paid" | "shipped" | "completed")
    }
    fn is_sent(&self) -> bool {
        !self.0["shipped_at"].is_null()
    }
    fn id(&self) -> i64 {
        self.0["id"].as_i64().unwrap_or_default()
    }
    /// SKU id and pieces of each line.
    fn lines(&self) -> impl Iterator<Item = (i64, i64)> {
        let lines = self.0["lines"].as_array().into_iter().flatten();
        lines.map(|line| {
            let number = |name: &str| line[name].as_i64().unwrap_or_default();
            (number("sku_id"), number("quantity"))
        })
    }
}

/// Nothing goes wrong any more; the shop starts anew.
pub(super) async fn calm(world: &World) -> Result<(), SoakError> {
    let sandbox = &world.shop.sandbox;
    sandbox.clear_faults();
    for path in ["/pay/unifiedorder", "/pay/orderquery", "/pay/closeorder"] {
        sandbox.release(path);
    }
    for path in ["/secapi/pay/refund", "/pay/refundquery"] {
        sandbox.release(path);
    }
    sandbox.settings(SettingsChange { balance_fen: Some(None), ..SettingsChange::default() });
    world.shop.chance.set(false);
    world.shop.end(Ending::Orderly).await?;
    world.shop.start().await
}

/// Brings everything to its end and compares.
pub(super) async fn verify(world: &World, buyers: &[Buyer]) -> Result<(), SoakError> {
    calm(world).await?;
    chaos::look(world).await?;
    answer_all(world, buyers).await?;
    let shown = end_all(world, buyers).await?;
    chaos::look(world).await?;
    compare_orders(world, &shown)?;
    compare_money(world, &shown)?;
    compare_pieces(world, &shown).await?;
    compare_messages(world, buyers)
}

/// Every request that was never answered is repeated until it is.
async fn answer_all(world: &World, buyers: &[Buyer]) -> Result<(), SoakError> {
    let open = |wanted: &Wanted| wanted.order.is_none() && wanted.refused.is_none();
    let open: Vec<(String, usize)> = {
        let model = world.model.borrow();
        let all = model.all().iter().filter(|(_, wanted)| open(wanted));
        all.map(|(key, wanted)| (key.clone(), wanted.buyer)).collect()
    };
    for (key, buyer) in open {
        if buyers[buyer].place(&key, true).await? == Answer::Unknown {
            return Err(Breach::of_order(&key, "there is no answer in a quiet shop").into());
        }
    }
    Ok(())
}

/// Lets time pass until no order is unpaid and no money is on its way; all orders by their id.
async fn end_all(world: &World, buyers: &[Buyer]) -> Result<BTreeMap<i64, Shown>, SoakError> {
    let mut open = None;
    for look in 0..LOOKS_MAX {
        let seconds = if look < 60 { 61 } else { 3_600 };
        world.shop.clock.advance(Duration::from_secs(seconds));
        let _late = tokio::time::timeout(DUE, world.shop.sandbox.run_due()).await;
        let Some(parts) = world.shop.parts() else { break };
        let _gone = parts.reaper.send(RunReaper).await;
        let _gone = parts.notifier.send(RunNotifier).await;
        if look % 4 != 3 {
            continue;
        }
        let shown = read_all(buyers).await?;
        open = first_open(world, &shown);
        if open.is_none() {
            return Ok(shown);
        }
    }
    let (key, what) = open.unwrap_or_default();
    Err(Breach::of_order(&key, format!("comes to no end: {what}")).into())
}

async fn read_all(buyers: &[Buyer]) -> Result<BTreeMap<i64, Shown>, SoakError> {
    let mut shown = BTreeMap::new();
    for buyer in buyers {
        let mut cursor = String::new();
        loop {
            let page = buyer.get(&format!("/orders?limit=100{cursor}")).await;
            let Ok((200, page)) = page else {
                return Err(Breach::new(format!("the list of orders: {page:?}")).into());
            };
            let orders = page["items"].as_array().cloned().unwrap_or_default();
            shown.extend(orders.into_iter().map(Shown).map(|order| (order.id(), order)));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    Ok(shown)
}

/// An order that is not at its end yet.
fn first_open(world: &World, shown: &BTreeMap<i64, Shown>) -> Option<(String, String)> {
    let model = world.model.borrow();
    for (key, wanted) in model.all() {
        let Some(order) = wanted.order.as_ref().and_then(|(id, _)| shown.get(id)) else {
            continue;
        };
        if order.state() == "unpaid" {
            return Some((key.clone(), order.0.to_string()));
        }
        let money = payments(world, wanted);
        let kept = money.iter().filter(|paid| !is_refunded(paid)).count();
        let goes_back = wanted.goes_back && order.state() != "refunded";
        if goes_back || kept > usize::from(order.is_sold()) {
            return Some((key.clone(), format!("{} with {money:?}", order.0)));
        }
    }
    None
}

/// All money that came in under the numbers of an order.
fn payments(world: &World, wanted: &Wanted) -> Vec<PaymentView> {
    let trades = wanted.numbers.iter().filter_map(|number| world.shop.sandbox.trade(number).ok());
    trades.flat_map(|trade| trade.payments).collect()
}

fn is_refunded(paid: &PaymentView) -> bool {
    let done = paid.refunds.iter().filter(|refund| refund.status == RefundStatus::Success);
    done.map(|refund| refund.refund_fen).sum::<i64>() == paid.total_fen
}

/// One order for each key that was acknowledged, as it was acknowledged, and none for others.
fn compare_orders(world: &World, shown: &BTreeMap<i64, Shown>) -> Result<(), SoakError> {
    let model = world.model.borrow();
    let mut expected = 0;
    for (key, wanted) in model.all() {
        let Some((id, number)) = &wanted.order else { continue };
        expected += 1;
        let Some(order) = shown.get(id) else {
            return Err(
                Breach::of_order(key, format!("the acknowledged order {id} is gone")).into()
            );
        };
        let lines = wanted.lines.iter().map(|(sku, pieces)| (world.skus[*sku].id, *pieces));
        let (mut lines, mut is): (Vec<_>, Vec<_>) = (lines.collect(), order.lines().collect());
        lines.sort_unstable();
        is.sort_unstable();
        if order.0["order_no"].as_str() != Some(number) || lines != is {
            return Err(Breach::of_order(key, format!("is not as ordered: {}", order.0)).into());
        }
    }
    if shown.len() != expected {
        let what = format!("{expected} orders were acknowledged, {} are there", shown.len());
        return Err(Breach::new(what).into());
    }
    Ok(())
}

/// Of each paid order exactly one payment stays; all other money has gone back, once.
fn compare_money(world: &World, shown: &BTreeMap<i64, Shown>) -> Result<(), SoakError> {
    let model = world.model.borrow();
    let mut counts = (0, 0);
    for (key, wanted) in model.all() {
        let Some(order) = wanted.order.as_ref().and_then(|(id, _)| shown.get(id)) else {
            continue;
        };
        let money = payments(world, wanted);
        let breach = |what: &str| {
            let what = format!("{what}: {} with {money:?}", order.0);
            Err(Breach::of_order(key, what).into())
        };
        if let Some(lost) = wanted.paid.iter().find(|id| !is_among(id, &money)) {
            return breach(&format!("WeChat does not know the payment {lost}"));
        }
        let kept: Vec<_> = money.iter().filter(|paid| !is_refunded(paid)).collect();
        match (order.state(), kept.as_slice()) {
            (_, [paid]) if order.is_sold() && order.0["transaction_id"] == *paid.transaction_id => {
            }
            ("closed", []) => {}
            ("refunded", []) if wanted.may_go_back => {}
            _ => return breach("the money does not fit the order"),
        }
        if money.iter().any(|paid| returned(paid) > paid.total_fen) {
            return breach("more went back than had come");
        }
        if wanted.shipped && !order.is_sent() {
            return breach("a parcel is forgotten");
        }
        counts = (counts.0 + kept.len(), counts.1 + money.len() - kept.len());
    }
    world.count(|sum| {
        sum.paid += counts.0 as u64;
        sum.refunded += counts.1 as u64;
    });
    Ok(())
}

/// Fen that were given back of a payment, or are on their way.
fn returned(paid: &PaymentView) -> i64 {
    let alive = paid.refunds.iter().filter(|refund| refund.status != RefundStatus::RefundClose);
    alive.map(|refund| refund.refund_fen).sum()
}

fn is_among(transaction: &str, money: &[PaymentView]) -> bool {
    money.iter().any(|paid| paid.transaction_id == transaction)
}

/// Every piece that came is either sold or there; no buyer has more than he may.
async fn compare_pieces(world: &World, shown: &BTreeMap<i64, Shown>) -> Result<(), SoakError> {
    let Some(parts) = world.shop.parts() else { return Ok(()) };
    for place in 0..SKUS {
        let sku = &world.skus[place];
        // What was sent is with its buyer, though he has his money again.
        let sold = shown.values().filter(|order| order.is_sold() || order.is_sent());
        let sold: i64 = sold
            .flat_map(Shown::lines)
            .filter(|(id, _)| *id == sku.id)
            .map(|(_, pieces)| pieces)
            .sum();
        let sold = world.sold.borrow()[place] + sold;
        world.sold.borrow_mut()[place] = sold;
        let id = SkuId::parse(sku.id).map_err(|error| Breach::of_sku(place, error.to_string()))?;
        let came = received(&parts.readers, id).await?;
        let there = stock_shown(world, place).await?;
        if there < 0 || came - sold != there {
            let what = format!("{came} pieces came, {sold} are sold, {there} are there");
            return Err(Breach::of_sku(place, what).into());
        }
    }
    limits(world, shown)
}

async fn stock_shown(world: &World, place: usize) -> Result<i64, SoakError> {
    let path = format!("/api/v1/goods/{}", world.skus[place].goods);
    let goods = world.shop.call(awc::http::Method::GET, &path, &[], None).await;
    let stock = goods.as_ref().ok().and_then(|(_, body)| body["skus"][0]["stock"].as_i64());
    let breach = || Breach::of_sku(place, format!("its goods cannot be seen: {goods:?}"));
    Ok(stock.ok_or_else(breach)?)
}

fn limits(world: &World, shown: &BTreeMap<i64, Shown>) -> Result<(), SoakError> {
    let model = world.model.borrow();
    let (place, most) = LIMITED;
    let mut of_buyer: BTreeMap<usize, i64> = BTreeMap::new();
    for wanted in model.all().values() {
        let order = wanted.order.as_ref().and_then(|(id, _)| shown.get(id));
        let live = order.filter(|order| order.is_sold());
        let lines = live.into_iter().flat_map(Shown::lines);
        let pieces = lines.filter(|(id, _)| *id == world.skus[place].id).map(|(_, pieces)| pieces);
        *of_buyer.entry(wanted.buyer).or_default() += pieces.sum::<i64>();
    }
    match of_buyer.iter().find(|(_, pieces)| **pieces > most) {
        None => Ok(()),
        Some((buyer, pieces)) => {
            let what = format!("buyer {buyer} has {pieces} pieces, and {most} is the limit");
            Err(Breach::of_sku(place, what).into())
        }
    }
}

/// No buyer has read of one payment more than twice.
fn compare_messages(world: &World, buyers: &[Buyer]) -> Result<(), SoakError> {
    for buyer in buyers {
        let messages = world.shop.sandbox.messages(None, Some(&buyer.name));
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for message in &messages {
            let lines: Vec<_> = message.lines.iter().map(|line| line.value.as_str()).collect();
            *seen.entry(format!("{} {lines:?}", message.title)).or_default() += 1;
        }
        let refunds_alike = |text: &str| !text.starts_with("退款");
        let often = seen.iter().find(|(text, n)| **n > MESSAGES_MAX && refunds_alike(text));
        if let Some((text, times)) = often {
            return Err(
                Breach::new(format!("{} was told {times} times: {text}", buyer.name)).into()
            );
        }
        world.count(|counts| counts.messages += messages.len() as u64);
    }
    Ok(())
}
