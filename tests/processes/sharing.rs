//! Two reapers and two notifiers: each piece of work is done once.

use buynow::sandbox::PayAction;

use crate::pair::*;

const ORDERS: usize = 12;

#[actix_web::test]
async fn every_message_is_sent_once() {
    let Some([first, second]) = serving("") else { return };
    let sku = first.a_sku_of("order", 100, 100).await;
    for buyer in 0..ORDERS {
        let shopper = first.shopper(&format!("buyer-{buyer}")).await;
        shopper.agree_to_messages().await;
        let placed = shopper.buys(sku, 1).await.expect(201);
        shopper.pays(placed.payment()).await;
    }
    first.sandbox.wait_for_messages(ORDERS).await.unwrap();
    eventually("all sent", async || {
        let left = column(&first, "SELECT state FROM notification WHERE state <> 'sent'").await;
        left.is_empty().then_some(())
    })
    .await;
    assert_eq!(first.sandbox.calls(SEND).count, ORDERS as u64);
    assert_eq!(first.sandbox.messages(None, None).len(), ORDERS);
    no_deadlock([&first, &second]).await;
    second.audit_is_clean();
}

#[actix_web::test]
async fn every_closing_is_done_once() {
    let Some([first, second]) = serving("[engine]\norder_expire_seconds = 5\n") else { return };
    let sku = first.a_sku_of("order", 100, 100).await;
    let mut orders = Vec::new();
    for buyer in 0..ORDERS {
        let shopper = first.shopper(&format!("buyer-{buyer}")).await;
        let order = shopper.buys(sku, 1).await.expect(201).order_id();
        orders.push((shopper, order));
    }
    for (shopper, order) in &orders {
        becomes(shopper, *order, "closed").await;
    }
    // On a busy machine an order may be past its time before WeChat has heard of it.
    let sql = "SELECT COUNT(*) FROM payment_attempt WHERE prepay_id IS NOT NULL";
    let known: u64 = column(&first, sql).await[0].parse().unwrap();
    assert!(known > 0);
    assert_eq!(first.sandbox.calls(CLOSE).count, known);
    assert_eq!(second.stock(sku).await, 100);
    no_deadlock([&first, &second]).await;
    second.audit_is_clean();
}

#[actix_web::test]
async fn every_refund_is_asked_for_once() {
    let Some([first, second]) = serving("") else { return };
    let sku = first.a_sku_of("order", 100, 100).await;
    for buyer in 0..ORDERS {
        let shopper = first.shopper(&format!("buyer-{buyer}")).await;
        let placed = shopper.buys(sku, 1).await.expect(201);
        shopper.acts(placed.payment(), PayAction::Late).await;
        shopper.cancels(placed.order_id()).await.expect(200);
    }
    eventually("all asked for", async || {
        let states = column(&first, "SELECT state FROM refund").await;
        let asked_for = |state: &&String| !["due", "requested"].contains(&state.as_str());
        (states.iter().filter(asked_for).count() == ORDERS).then_some(())
    })
    .await;
    assert_eq!(first.sandbox.calls(REFUND).count, ORDERS as u64);
    no_deadlock([&first, &second]).await;
    second.audit_is_clean();
}
