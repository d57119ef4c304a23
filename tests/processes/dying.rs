//! One of two servers dies or stands still in the middle of its work.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use buynow::sandbox::{Fault, FaultKind};

use crate::pair::*;
use crate::support::Shopper;
use crate::support::process::Process;

fn stick(process: &Process, path: &str) {
    process.sandbox.fault(Fault::next(path, FaultKind::DelayAnswer)).unwrap();
}

/// A cancel that the buyer does not wait for.
fn cancels_unheard(shopper: &Shopper, order: i64) {
    let shopper = shopper.clone();
    actix_rt::spawn(async move {
        let path = format!("/api/v1/orders/{order}/cancel");
        drop(shopper.tries(awc::http::Method::POST, &path, &[], serde_json::json!({})).await);
    });
}

#[actix_web::test]
async fn a_closing_whose_server_is_killed_is_taken_over_when_its_time_is_over() {
    let Some([mut first, mut second]) = hasty() else { return };
    first.start();
    second.start();
    let sku = first.a_sku_of("order", 100, 3).await;
    let here = first.shopper("alice").await;
    let order = here.buys(sku, 1).await.expect(201).order_id();
    stick(&first, QUERY);
    let claimed = Instant::now();
    cancels_unheard(&here, order);
    first.sandbox.wait_for_held(QUERY, 1).await.unwrap();
    first.kill();
    let there = here.at_process(&second);
    assert_eq!(there.order(order).await["closing"], true);
    becomes(&there, order, "closed").await;
    let patience = Duration::from_secs(CLAIM_SECONDS - 1);
    assert!(claimed.elapsed() > patience, "{:?}", claimed.elapsed());
    assert_eq!(first.sandbox.calls(CLOSE).count, 1);
    assert_eq!(second.stock(sku).await, 3);
    second.audit_is_clean();
}

#[actix_web::test]
async fn a_closing_whose_server_stood_still_is_done_by_the_other_and_by_that_alone() {
    let Some([mut first, mut second]) = hasty() else { return };
    first.start();
    second.start();
    let sku = first.a_sku_of("order", 100, 3).await;
    let here = first.shopper("alice").await;
    let order = here.buys(sku, 1).await.expect(201).order_id();
    stick(&first, CLOSE);
    cancels_unheard(&here, order);
    first.sandbox.wait_for_held(CLOSE, 1).await.unwrap();
    first.freeze();
    first.sandbox.release(CLOSE);
    let there = here.at_process(&second);
    becomes(&there, order, "closed").await;
    let before = first.sandbox.calls(QUERY).count;
    first.thaw();
    // It serves, and has nothing to say about this order.
    becomes(&here, order, "closed").await;
    first.get("/health/ready").await;
    assert_eq!(first.sandbox.calls(QUERY).count, before);
    assert_eq!(first.sandbox.calls(CLOSE).count, 1);
    assert_eq!(first.stock(sku).await, 3);
    first.audit_is_clean();
}

/// A buyer who has paid at the first server while nobody sends messages.
async fn is_to_be_told(first: &Process) -> (Shopper, i64) {
    let sku = first.a_sku_of("order", 100, 3).await;
    let shopper = first.shopper("alice").await;
    shopper.agree_to_messages().await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    (shopper, placed.order_id())
}

#[actix_web::test]
async fn a_message_whose_server_is_killed_is_sent_once_more_by_the_other() {
    let Some([mut first, mut second]) = hasty() else { return };
    first.start();
    stick(&first, SEND);
    let (shopper, order) = is_to_be_told(&first).await;
    first.sandbox.wait_for_held(SEND, 1).await.unwrap();
    second.start();
    first.kill();
    first.sandbox.wait_for_calls(SEND, 2).await.unwrap();
    eventually("settled", async || {
        let states = column(&second, "SELECT state FROM notification").await;
        (states != ["sending"]).then_some(())
    })
    .await;
    assert_eq!(first.sandbox.calls(SEND).count, 2);
    becomes(&shopper.at_process(&second), order, "paid").await;
    second.audit_is_clean();
}

#[actix_web::test]
async fn a_message_whose_server_stood_still_keeps_what_the_other_wrote() {
    let Some([mut first, mut second]) = hasty() else { return };
    first.start();
    stick(&first, SEND);
    let (shopper, order) = is_to_be_told(&first).await;
    first.sandbox.wait_for_held(SEND, 1).await.unwrap();
    first.freeze();
    second.start();
    first.sandbox.wait_for_calls(SEND, 2).await.unwrap();
    let written = async || {
        let states = column(&second, "SELECT state FROM notification").await;
        (states != ["sending"]).then_some(states)
    };
    let written = eventually("written", written).await;
    first.thaw();
    becomes(&shopper, order, "paid").await;
    let again = column(&second, "SELECT state FROM notification").await;
    assert_eq!(again, written);
    assert_eq!(first.sandbox.calls(SEND).count, 2);
    first.audit_is_clean();
}

#[actix_web::test]
async fn a_server_that_is_asked_to_end_gives_its_work_back_at_once() {
    let Some([mut first, second]) = serving("[engine]\nclaim_seconds = 300\n") else { return };
    let sku = first.a_sku_of("order", 100, 30).await;
    let here = first.shopper("alice").await;
    let mut orders = Vec::new();
    for _ in 0..10 {
        orders.push(here.buys(sku, 1).await.expect(201).order_id());
    }
    for order in &orders {
        cancels_unheard(&here, *order);
    }
    first.sandbox.wait_for_calls(QUERY, 1).await.unwrap();
    first.send_sigterm();
    assert!(first.ended().await.success());
    let there = here.at_process(&second);
    for order in orders {
        becomes(&there, order, "closed").await;
    }
    second.audit_is_clean();
}

/// Orders until its server does not answer; remembers what was acknowledged.
async fn orders_until_it_dies(shopper: Shopper, sku: i64, told: Rc<RefCell<Vec<(Shopper, i64)>>>) {
    loop {
        let key = format!("key-{}", rand::random::<u64>());
        let mut body = shopper.order_body(&[(sku, 1)]);
        body["prepay"] = serde_json::json!(false);
        let Ok(placed) = shopper.tries_to_order(&key, body).await else { return };
        told.borrow_mut().push((shopper.clone(), placed.expect(201).order_id()));
        if told.borrow().len() > 120 {
            return;
        }
    }
}

#[actix_web::test]
async fn when_one_of_two_servers_is_killed_under_load_every_acknowledged_order_is_there() {
    let Some([mut first, second]) = serving("") else { return };
    let sku = first.a_sku_of("order", 100, 100_000).await;
    let told = Rc::new(RefCell::new(Vec::new()));
    let mut buying = Vec::new();
    for buyer in 0..8 {
        let shopper = first.shopper(&format!("buyer-{buyer}")).await;
        let shopper = if buyer % 2 == 0 { shopper } else { shopper.at_process(&second) };
        buying.push(actix_rt::spawn(orders_until_it_dies(shopper, sku, told.clone())));
    }
    eventually("forty", async || (told.borrow().len() >= 40).then_some(())).await;
    first.kill();
    for buyer in buying {
        buyer.await.unwrap();
    }
    let told = told.take();
    assert!(told.len() > 120, "the other one sells on: {}", told.len());
    for (shopper, order) in &told {
        assert_eq!(shopper.at_process(&second).order(*order).await["id"], *order);
    }
    // Some were committed and not acknowledged any more; none was acknowledged and not committed.
    let sold = 100_000 - second.stock(sku).await;
    assert!(sold >= told.len() as i64, "{sold} sold, {} acknowledged", told.len());
    second.audit_is_clean();
}
