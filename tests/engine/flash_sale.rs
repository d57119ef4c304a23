//! Many more buyers than pieces, all at the same moment.

use std::collections::BTreeMap;

use buynow::sandbox::PayAction;
use futures_util::future::{join, join_all};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::support::{Reply, Shopper, TestApp};

const BUYERS: usize = 500;
const PIECES: usize = 100;
/// How many look at their orders at the same moment.
const LOOKING: usize = 64;

/// How many answers had each status and code.
fn tally(replies: &[Reply]) -> BTreeMap<(u16, String), usize> {
    let mut tally = BTreeMap::new();
    for reply in replies {
        let code = reply.body["code"].as_str().unwrap_or_default().to_owned();
        *tally.entry((reply.status, code)).or_default() += 1;
    }
    tally
}

fn expected(counts: &[(u16, &str, usize)]) -> BTreeMap<(u16, String), usize> {
    counts.iter().map(|(status, code, count)| ((*status, (*code).to_owned()), *count)).collect()
}

#[actix_rt::test]
async fn five_hundred_buyers_at_once_get_exactly_the_hundred_pieces_that_are_there() {
    let app = TestApp::start().await;
    let sku = app.a_sku(9_900, i64::try_from(PIECES).unwrap()).await;
    let crowd = app.crowd(BUYERS).await;

    let replies = join_all(crowd.iter().map(|shopper| shopper.buys(sku, 1))).await;

    let sold_out = BUYERS - PIECES;
    assert_eq!(tally(&replies), expected(&[(201, "", PIECES), (409, "sold_out", sold_out)]));
    for refused in replies.iter().filter(|reply| reply.status == 409) {
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        assert_eq!(refused.body["detail"]["sku_id"], json!(sku));
    }
    assert_eq!(app.stock(sku).await, 0);
    app.audit_is_clean().await;
    app.stop().await;
}

/// The orders of a crowd as they are now, with how many have each state.
async fn look(orders: &[(&Shopper, i64)]) -> (Vec<Value>, BTreeMap<String, usize>) {
    // Not all at once: a read that waits for seconds is refused.
    let looking = stream::iter(orders).map(|(shopper, id)| shopper.order(*id));
    let orders: Vec<Value> = looking.buffered(LOOKING).collect().await;
    let mut states = BTreeMap::new();
    for order in &orders {
        *states.entry(order["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    (orders, states)
}

/// WeChat tells again what a slow machine did not acknowledge within its five seconds.
async fn tell_again(app: &TestApp) {
    for _ in 0..4 {
        app.advance(15);
        app.sandbox.run_due().await.unwrap();
    }
}

#[actix_rt::test]
async fn five_hundred_payments_at_once_settle_a_hundred_and_give_the_others_back() {
    let app = TestApp::start().await;
    let sku = app.a_sku_of("payment", 9_900, i64::try_from(PIECES).unwrap()).await;
    let crowd = app.crowd(BUYERS).await;
    join_all(crowd.iter().map(Shopper::agree_to_messages)).await;

    let placed = join_all(crowd.iter().map(|shopper| shopper.buys(sku, 1))).await;
    assert_eq!(tally(&placed), expected(&[(201, "", BUYERS)]));
    assert_eq!(app.stock(sku).await, i64::try_from(PIECES).unwrap());

    let paying = crowd.iter().zip(&placed).map(|(shopper, order)| shopper.pays(order.payment()));
    join_all(paying).await;
    tell_again(&app).await;
    app.finish_refunds().await;
    while app.run_notifier().await > 0 {}

    let ids: Vec<(&Shopper, i64)> =
        crowd.iter().zip(&placed).map(|(shopper, order)| (shopper, order.order_id())).collect();
    let (orders, states) = look(&ids).await;
    let surplus = BUYERS - PIECES;
    let ends = [("closed".to_owned(), surplus), ("paid".to_owned(), PIECES)];
    assert_eq!(states, BTreeMap::from(ends));
    for order in &orders {
        let (reason, refund) = match order["state"].as_str() {
            Some("paid") => (Value::Null, json!({"state": "none", "refunded_fen": 0})),
            _ => (json!("sold_out"), json!({"state": "full", "refunded_fen": 9_900})),
        };
        assert_eq!((&order["close_reason"], &order["refund"]), (&reason, &refund), "{order}");
    }
    assert_eq!(app.stock(sku).await, 0);

    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    let messages = app.sandbox.messages(None, None);
    for message in &messages {
        *told.entry(message.title.as_str()).or_default() += 1;
    }
    assert_eq!(told, BTreeMap::from([("付款成功通知", PIECES), ("退款通知", surplus)]));
    app.audit_is_clean().await;
    app.stop().await;
}

/// What one buyer of a lively crowd does with an order; `number` decides.
async fn goes_on(app: &TestApp, shopper: &Shopper, placed: &Reply, number: usize) {
    match number % 6 {
        0 | 1 => drop(shopper.pays(placed.payment()).await),
        2 => drop(shopper.acts(placed.payment(), PayAction::Twice).await),
        3 => drop(shopper.cancels(placed.order_id()).await),
        4 => {
            // Pays and gives up at the same moment; either may win.
            let (_, cancelled) =
                join(shopper.pays(placed.payment()), shopper.cancels(placed.order_id())).await;
            assert!(matches!(cancelled.status, 200 | 409), "{}", cancelled.text);
        }
        _ => drop(shopper.acts(placed.payment(), PayAction::Late).await),
    }
    app.run_reaper().await;
}

/// Pieces of a SKU in orders that are paid.
fn sold(orders: &[Value], sku: i64) -> i64 {
    let paid = orders.iter().filter(|order| order["state"] == "paid");
    let lines = paid.flat_map(|order| order["lines"].as_array().unwrap());
    let of_sku = lines.filter(|line| line["sku_id"] == json!(sku));
    of_sku.map(|line| line["quantity"].as_i64().unwrap()).sum()
}

#[actix_rt::test]
async fn a_crowd_that_buys_pays_and_gives_up_all_at_once_leaves_the_books_right() {
    let app = TestApp::start().await;
    let skus = [
        app.a_sku_of("order", 1_000, 30).await,
        app.a_sku_of("payment", 2_000, 20).await,
        app.a_sku_of("order", 3_000, 10).await,
    ];
    let crowd = app.crowd(60).await;
    let shopping = crowd.iter().enumerate().map(|(number, shopper)| {
        let (app, one) = (&app, (skus[number % 3], 1));
        let cart = [one, (skus[(number / 3 + 1) % 3], 1), one];
        async move {
            let placed = shopper.orders(&cart).await;
            if placed.status == 409 {
                placed.refused(409, "sold_out");
                return None;
            }
            let placed = placed.expect(201);
            goes_on(app, shopper, &placed, number).await;
            Some((shopper, placed.order_id()))
        }
    });
    let orders: Vec<(&Shopper, i64)> = join_all(shopping).await.into_iter().flatten().collect();
    assert!(orders.len() >= 10, "{}", orders.len());
    // What is left unpaid runs out, and late money lands on closed orders.
    app.advance(1_000);
    for _ in 0..5 {
        app.run_reaper().await;
        app.advance(60);
        app.sandbox.run_due().await.unwrap();
    }
    app.finish_refunds().await;
    let (orders, states) = look(&orders).await;
    assert!(states.keys().all(|state| state == "paid" || state == "closed"), "{states:?}");
    for order in &orders {
        let open = order["refund"]["state"] == "open";
        assert!(!open && order["closing"] == false, "{order}");
    }
    for (sku, stock) in skus.into_iter().zip([30, 20, 10]) {
        assert_eq!(app.stock(sku).await, stock - sold(&orders, sku), "SKU {sku}");
    }
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn goods_that_are_restocked_in_the_rush_are_sold_to_the_last_piece() {
    let app = TestApp::start().await;
    let sku = app.load("TEA", 1_000, 20).await;
    let crowd = app.crowd(60).await;
    let (early, late) = crowd.split_at(40);
    let rush = join_all(early.iter().map(|shopper| shopper.buys(sku, 1)));
    let (replies, _) = join(rush, app.load("TEA", 1_000, 30)).await;
    let first = replies.iter().filter(|reply| reply.status == 201).count();
    app.advance(1);
    let left = app.stock(sku).await;
    let replies = join_all(late.iter().map(|shopper| shopper.buys(sku, 1))).await;
    let second = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(second, usize::try_from(left).unwrap().min(late.len()), "{first}");
    // The file set the stock to 30 when it was loaded, whatever had been sold before.
    assert!((30..=50).contains(&(first + second + app.stock(sku).await as usize)));
    app.audit_is_clean().await;
    app.stop().await;
}
