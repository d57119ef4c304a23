//! Money that came too late, twice, or for goods that ran out: recorded, and given back in full.

use buynow::sandbox::{FaultKind, PayAction, RefundStatus};
use serde_json::{Value, json};

use crate::desk::*;
use crate::support::{Shopper, TestApp};

#[track_caller]
fn refund_of(order: &Value) -> (&str, i64) {
    let refund = &order["refund"];
    (refund["state"].as_str().unwrap(), refund["refunded_fen"].as_i64().unwrap())
}

/// The refund of a payment at WeChat: its amount, once it has succeeded.
#[track_caller]
fn given_back(app: &TestApp, transaction: &str) -> i64 {
    let refund = app.sandbox.refund(&format!("r{transaction}-1")).unwrap();
    assert_eq!(refund.status, RefundStatus::Success);
    refund.refund_fen
}

async fn titles(app: &TestApp, buyer: &str) -> Vec<String> {
    app.run_notifier().await;
    let messages = app.sandbox.messages(None, Some(buyer));
    messages.into_iter().map(|message| message.title).collect()
}

#[actix_rt::test]
async fn money_for_a_closed_order_goes_back_in_full_and_the_buyer_is_told() {
    let app = TestApp::start().await;
    let sku = app.a_sku(12_900, 3).await;
    let shopper = app.shopper("alice").await;
    shopper.agree_to_messages().await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    let late = shopper.acts(placed.payment(), PayAction::Late).await.transaction_id.unwrap();
    assert_eq!(state_of(&shopper.cancels(placed.order_id()).await.body), "closed");
    app.advance(3);
    app.sandbox.run_due().await.unwrap();

    let order = shopper.order(placed.order_id()).await;
    assert_eq!((state_of(&order), refund_of(&order)), ("closed", ("open", 0)));
    assert!(app.sandbox.trade(&placed.order_no()).unwrap().payments[0].acknowledged);
    app.finish_refunds().await;
    let order = shopper.order(placed.order_id()).await;
    assert_eq!((state_of(&order), refund_of(&order)), ("closed", ("full", 12_900)));
    assert_eq!(given_back(&app, &late), 12_900);
    assert_eq!(titles(&app, "alice").await, ["退款通知"]);
    assert_eq!(app.stock(sku).await, 3);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_for_an_expired_order_never_takes_the_stock_of_the_next_buyer() {
    let app = TestApp::start().await;
    let sku = app.a_sku(12_900, 1).await;
    let (late, next) = (app.shopper("late").await, app.shopper("next").await);
    let first = late.buys(sku, 1).await.expect(201);
    late.acts(first.payment(), PayAction::Late).await;
    app.advance(900);
    app.run_reaper().await;
    let second = next.buys(sku, 1).await.expect(201);
    app.advance(3);
    app.sandbox.run_due().await.unwrap();
    next.pays(second.payment()).await;
    assert_eq!(state_of(&late.order(first.order_id()).await), "closed");
    assert_eq!(state_of(&next.order(second.order_id()).await), "paid");
    app.finish_refunds().await;
    assert_eq!(refund_of(&late.order(first.order_id()).await), ("full", 12_900));
    assert_eq!(refund_of(&next.order(second.order_id()).await), ("none", 0));
    assert_eq!(app.stock(sku).await, 0);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn goods_that_run_out_before_the_payment_close_the_order_and_give_the_money_back() {
    let app = TestApp::start().await;
    let sku = app.a_sku_of("payment", 500, 1).await;
    let (first, second) = (app.shopper("first").await, app.shopper("second").await);
    first.agree_to_messages().await;
    second.agree_to_messages().await;
    let (one, two) = (first.buys(sku, 1).await.expect(201), second.buys(sku, 1).await.expect(201));
    first.pays(one.payment()).await;
    let paid = second.pays(two.payment()).await.transaction_id.unwrap();
    assert_eq!(state_of(&first.order(one.order_id()).await), "paid");
    let order = second.order(two.order_id()).await;
    assert_eq!((state_of(&order), &order["close_reason"]), ("closed", &json!("sold_out")));
    assert_eq!(refund_of(&order), ("open", 0));
    let again = buynow::sandbox::Notify::of(&two.order_no()).times(3);
    all_acknowledge(&app.sandbox.notify(&again).await.unwrap());
    app.finish_refunds().await;
    assert_eq!(given_back(&app, &paid), 500);
    assert_eq!(refund_of(&second.order(two.order_id()).await), ("full", 500));
    assert_eq!(titles(&app, "second").await, ["退款通知"]);
    assert_eq!(titles(&app, "first").await, ["付款成功通知"]);
    assert_eq!(app.stock(sku).await, 0);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn an_order_is_settled_whole_or_not_at_all_when_one_of_its_goods_ran_out() {
    let app = TestApp::start().await;
    let (plenty, scarce) =
        (app.a_sku_of("payment", 500, 9).await, app.a_sku_of("payment", 500, 1).await);
    let held = app.a_sku(500, 9).await;
    let (first, second) = (app.shopper("first").await, app.shopper("second").await);
    let two = second.orders(&[(plenty, 2), (scarce, 1), (held, 3)]).await.expect(201);
    let one = first.buys(scarce, 1).await.expect(201);
    first.pays(one.payment()).await;
    second.pays(two.payment()).await;
    assert_eq!(state_of(&second.order(two.order_id()).await), "closed");
    let stocks = (app.stock(plenty).await, app.stock(scarce).await, app.stock(held).await);
    assert_eq!(stocks, (9, 0, 9));
    app.finish_refunds().await;
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_paid_twice_under_one_number_settles_once_and_goes_back_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(700, 3).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    let paid = shopper.acts(placed.payment(), PayAction::Twice).await.transaction_ids;
    assert_eq!(paid.len(), 2);
    let order = shopper.order(placed.order_id()).await;
    assert_eq!((state_of(&order), refund_of(&order)), ("paid", ("open", 0)));
    app.finish_refunds().await;
    let order = shopper.order(placed.order_id()).await;
    assert_eq!((state_of(&order), refund_of(&order)), ("paid", ("part", 700)));
    let settled = order["transaction_id"].as_str().unwrap();
    let surplus = paid.iter().find(|id| *id != settled).unwrap();
    assert_eq!(given_back(&app, surplus), 700);
    assert!(app.sandbox.refund(&format!("r{settled}-1")).is_err());
    assert_eq!(app.stock(sku).await, 2);
    app.audit_is_clean().await;
    app.stop().await;
}

/// An order with two numbers: the first was closed at WeChat, the second is open.
struct TwoNumbers {
    app: TestApp,
    shopper: Shopper,
    order: i64,
    numbers: [String; 2],
}

impl TwoNumbers {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku(700, 3).await;
        let shopper = app.shopper("alice").await;
        let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
        let first = latest_number(&app);
        app.advance(601);
        shopper.asks_to_pay(order).await.expect(200);
        let numbers = [first, latest_number(&app)];
        assert_ne!(numbers[0], numbers[1]);
        Self { app, shopper, order, numbers }
    }

    /// Whichever came first has paid; the other goes back.
    async fn first_pays(self, settled: &str, surplus: &str) {
        let order = self.shopper.order(self.order).await;
        assert_eq!(state_of(&order), "paid");
        assert_eq!(order["transaction_id"], json!(settled));
        self.app.finish_refunds().await;
        assert_eq!(given_back(&self.app, surplus), 700);
        let order = self.shopper.order(self.order).await;
        assert_eq!((state_of(&order), refund_of(&order)), ("paid", ("part", 700)));
        self.app.audit_is_clean().await;
        self.app.stop().await;
    }
}

#[actix_rt::test]
async fn of_two_paid_attempts_the_first_to_arrive_settles() {
    let shop = TwoNumbers::new().await;
    let settled = money_for(&shop.app, &shop.numbers[1]).await;
    let surplus = money_for(&shop.app, &shop.numbers[0]).await;
    shop.first_pays(&settled, &surplus).await;
    let shop = TwoNumbers::new().await;
    let settled = money_for(&shop.app, &shop.numbers[0]).await;
    let surplus = money_for(&shop.app, &shop.numbers[1]).await;
    shop.first_pays(&settled, &surplus).await;
}

#[actix_rt::test]
async fn two_paid_attempts_that_are_told_at_once_settle_once() {
    let shop = TwoNumbers::new().await;
    silent(&shop.app);
    for number in &shop.numbers {
        money_for(&shop.app, number).await;
    }
    let tell = |number: &str| {
        let (sandbox, number) = (shop.app.sandbox.clone(), number.to_owned());
        async move {
            let notify = buynow::sandbox::Notify::of(&number).times(5).together();
            all_acknowledge(&sandbox.notify(&notify).await.unwrap());
        }
    };
    futures_util::future::join(tell(&shop.numbers[0]), tell(&shop.numbers[1])).await;
    assert_eq!(state_of(&shop.shopper.order(shop.order).await), "paid");
    shop.app.finish_refunds().await;
    let report = shop.app.audit_is_clean().await;
    assert_eq!((report.payments, report.refunds), (2, 1));
    shop.app.stop().await;
}

#[actix_rt::test]
async fn three_payments_of_one_order_leave_one() {
    let shop = TwoNumbers::new().await;
    let mut ids = Vec::new();
    for number in [&shop.numbers[1], &shop.numbers[1], &shop.numbers[0]] {
        ids.push(money_for(&shop.app, number).await);
    }
    shop.app.finish_refunds().await;
    assert_eq!(given_back(&shop.app, &ids[1]), 700);
    assert_eq!(given_back(&shop.app, &ids[2]), 700);
    let order = shop.shopper.order(shop.order).await;
    assert_eq!((state_of(&order), refund_of(&order)), ("paid", ("part", 1_400)));
    shop.app.audit_is_clean().await;
    shop.app.stop().await;
}
