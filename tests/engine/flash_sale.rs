//! Many more buyers than pieces, all at the same moment.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Reply, Shopper, TestApp};

const BUYERS: usize = 500;
const PIECES: usize = 100;

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
    let orders = join_all(orders.iter().map(|(shopper, id)| shopper.order(*id))).await;
    let mut states = BTreeMap::new();
    for order in &orders {
        *states.entry(order["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    (orders, states)
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
