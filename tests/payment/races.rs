//! Two things at once about one order: every order ends paid, or closed with its money on the way
//! back, and never both.

use buynow::sandbox::{FaultKind, Notify};
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::desk::*;
use crate::support::{Reply, Shopper, TestApp};

const BUYERS: usize = 12;

/// Buyers who have paid for one piece each; the shop has not been told.
struct Crowd {
    app: TestApp,
    sku: i64,
    buyers: Vec<(Shopper, Reply)>,
}

impl Crowd {
    async fn new(deduct_stock: &str, stock: i64) -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku_of(deduct_stock, 700, stock).await;
        silent(&app);
        let mut buyers = Vec::new();
        for n in 0..BUYERS {
            let shopper = app.shopper(&format!("buyer-{n}")).await;
            let placed = shopper.buys(sku, 1).await.expect(201);
            shopper.pays(placed.payment()).await;
            buyers.push((shopper, placed));
        }
        Self { app, sku, buyers }
    }

    async fn all_are_told(&self) {
        let tell = self.buyers.iter().map(|(_, placed)| async {
            let notify = Notify::of(&placed.order_no()).times(3).together();
            all_acknowledge(&self.app.sandbox.notify(&notify).await.unwrap());
        });
        join_all(tell).await;
    }

    async fn states(&self) -> Vec<Value> {
        let read = self.buyers.iter().map(|(shopper, placed)| shopper.order(placed.order_id()));
        join_all(read).await
    }

    /// How many ended paid; all the others are closed and have their money back.
    async fn paid(&self) -> usize {
        self.app.finish_refunds().await;
        let orders = self.states().await;
        let paid = orders.iter().filter(|order| state_of(order) == "paid").count();
        let refunded = json!({"state": "full", "refunded_fen": 700});
        let closed = |order: &&Value| state_of(order) == "closed" && order["refund"] == refunded;
        assert_eq!(orders.iter().filter(closed).count(), BUYERS - paid, "{orders:#?}");
        self.app.audit_is_clean().await;
        paid
    }
}

#[actix_rt::test]
async fn who_cancels_while_his_money_is_told_has_bought() {
    let crowd = Crowd::new("order", 50).await;
    let cancel = crowd.buyers.iter().map(|(shopper, placed)| shopper.cancels(placed.order_id()));
    join(join_all(cancel), crowd.all_are_told()).await;
    assert_eq!(crowd.paid().await, BUYERS);
    assert_eq!(crowd.app.stock(crowd.sku).await, 50 - BUYERS as i64);
    crowd.app.stop().await;
}

#[actix_rt::test]
async fn an_order_that_expires_while_its_money_is_told_is_paid() {
    let crowd = Crowd::new("order", 50).await;
    crowd.app.advance(900);
    join(crowd.app.run_reaper(), crowd.all_are_told()).await;
    crowd.app.run_reaper().await;
    assert_eq!(crowd.paid().await, BUYERS);
    crowd.app.stop().await;
}

#[actix_rt::test]
async fn of_many_who_pay_at_once_for_a_few_pieces_exactly_as_many_have_bought() {
    let crowd = Crowd::new("payment", 5).await;
    crowd.all_are_told().await;
    assert_eq!(crowd.paid().await, 5);
    assert_eq!(crowd.app.stock(crowd.sku).await, 0);
    let sold_out = crowd.states().await;
    let sold_out = sold_out.iter().filter(|order| order["close_reason"] == json!("sold_out"));
    assert_eq!(sold_out.count(), BUYERS - 5);
    crowd.app.stop().await;
}

#[actix_rt::test]
async fn query_and_notification_at_once_settle_once() {
    let crowd = Crowd::new("order", 50).await;
    crowd.app.advance(60);
    let look = crowd.buyers.iter().map(|(shopper, placed)| async {
        let path = format!("/api/v1/orders/{}?refresh=true", placed.order_id());
        shopper.get(&path).await.expect(200)
    });
    join(join(join_all(look), crowd.app.run_reaper()), crowd.all_are_told()).await;
    assert_eq!(crowd.paid().await, BUYERS);
    assert_eq!(crowd.app.audit_is_clean().await.payments, BUYERS as i64);
    crowd.app.stop().await;
}

#[actix_rt::test]
async fn no_payment_parameters_come_out_of_an_order_that_is_being_cancelled() {
    let app = TestApp::start().await;
    let sku = app.a_sku(700, 50).await;
    let ask = |n: usize| {
        let app = &app;
        async move {
            let shopper = app.shopper(&format!("buyer-{n}")).await;
            fault(app, OPEN, FaultKind::DropBefore);
            let order = shopper.buys(sku, 1).await.expect(201).order_id();
            let (cancelled, payment) =
                join(shopper.cancels(order), shopper.asks_to_pay(order)).await;
            cancelled.expect(200);
            (shopper, order, payment)
        }
    };
    let mut all = Vec::new();
    for n in 0..8 {
        all.push(ask(n).await);
    }
    // A unifiedorder may be on its way for 40 s.
    app.advance(41);
    app.run_reaper().await;
    for (shopper, order, payment) in all {
        assert_eq!(state_of(&shopper.order(order).await), "closed");
        if payment.status == 200 {
            // It came out in time, and is worth nothing now.
            let sheet = shopper.pays(&payment.body).await;
            assert_eq!(sheet.reason, Some(buynow::sandbox::PayFailure::OrderClosed));
        }
    }
    assert_eq!(app.stock(sku).await, 50);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_closing_that_hangs_at_wechat_holds_up_nothing_else() {
    let app = TestApp::start().await;
    let sku = app.a_sku(700, 50).await;
    let (slow, next) = (app.shopper("slow").await, app.shopper("next").await);
    let first = slow.buys(sku, 1).await.expect(201).order_id();
    app.advance(10);
    let second = next.buys(sku, 1).await.expect(201);
    // Paid twice: a refund is due.
    next.acts(second.payment(), buynow::sandbox::PayAction::Twice).await;
    let third = next.buys(sku, 1).await.expect(201).order_id();
    app.advance(890);
    fault(&app, QUERY, FaultKind::DelayAnswer);
    let others = async {
        app.sandbox.wait_for_held(QUERY, 1).await.unwrap();
        app.advance(10);
        let reaped = app.run_reaper().await;
        assert_eq!((reaped.expired, reaped.refunds), (1, 1));
        assert_eq!(next.order(third).await["closing"], json!(true));
        app.sandbox.release(QUERY);
    };
    join(app.run_reaper(), others).await;
    app.run_reaper().await;
    assert_eq!(state_of(&slow.order(first).await), "closed");
    assert_eq!(state_of(&next.order(third).await), "closed");
    app.finish_refunds().await;
    app.audit_is_clean().await;
    app.stop().await;
}
