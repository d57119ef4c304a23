//! WeChat says that somebody has paid: twice, at once, early, late, wrongly. Anybody may say so.

use buynow::sandbox::{FaultKind, Forge, Notify, PayByNumber, ShopAnswer};
use serde_json::json;

use crate::desk::*;
use crate::support::{Shopper, TestApp};

/// A shop whose buyer has paid, and which has not been told yet.
struct Untold {
    app: TestApp,
    shopper: Shopper,
    sku: i64,
    order: i64,
    number: String,
}

impl Untold {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku(12_900, 5).await;
        let shopper = app.shopper("alice").await;
        shopper.agree_to_messages().await;
        silent(&app);
        let placed = shopper.buys(sku, 1).await.expect(201);
        shopper.pays(placed.payment()).await;
        let (order, number) = (placed.order_id(), placed.order_no());
        Self { app, shopper, sku, order, number }
    }

    async fn notify(&self, notify: Notify) -> Vec<ShopAnswer> {
        self.app.sandbox.notify(&notify).await.unwrap()
    }

    async fn forged(&self, forge: Forge) -> Vec<ShopAnswer> {
        self.notify(Notify::of(&self.number).forged(forge)).await
    }

    async fn state(&self) -> String {
        state_of(&self.shopper.order(self.order).await).to_owned()
    }

    /// A wrong notification leaves everything as it was; the right one still settles.
    async fn only_the_truth_settles(self, incidents_expected: usize) {
        assert_eq!(self.state().await, "unpaid");
        assert_eq!(incidents(&self.app).await, incidents_expected);
        all_acknowledge(&self.notify(Notify::of(&self.number)).await);
        assert_eq!(self.state().await, "paid");
        self.app.audit_is_clean().await;
        self.app.stop().await;
    }
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

#[actix_rt::test]
async fn a_notification_that_comes_again_is_acknowledged_and_counts_once() {
    let shop = Untold::new().await;
    all_acknowledge(&shop.notify(Notify::of(&shop.number).times(4)).await);
    assert_eq!(shop.state().await, "paid");
    assert_eq!(shop.app.stock(shop.sku).await, 4);
    assert_eq!(shop.app.run_notifier().await, 1);
    assert_eq!(shop.app.audit_is_clean().await.payments, 1);
    shop.app.stop().await;
}

#[actix_rt::test]
async fn twenty_notifications_at_once_count_once() {
    let shop = Untold::new().await;
    all_acknowledge(&shop.notify(Notify::of(&shop.number).times(20).together()).await);
    assert_eq!(shop.state().await, "paid");
    assert_eq!(shop.app.run_notifier().await, 1);
    assert_eq!(shop.app.audit_is_clean().await.payments, 1);
    shop.app.stop().await;
}

#[actix_rt::test]
async fn a_notification_before_the_prepay_answer_settles() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 5).await;
    let shopper = app.shopper("alice").await;
    fault(&app, OPEN, FaultKind::DelayAnswer);
    let buying = {
        let shopper = shopper.clone();
        actix_rt::spawn(async move { shopper.buys(sku, 1).await })
    };
    app.sandbox.wait_for_held(OPEN, 1).await.unwrap();
    let number = latest_number(&app);
    money_for(&app, &number).await;
    assert!(app.sandbox.trade(&number).unwrap().payments[0].acknowledged);
    app.sandbox.release(OPEN);
    let placed = buying.await.unwrap().expect(201);
    assert_eq!(placed.body["payment"], json!(null));
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn who_asks_to_pay_what_was_paid_meanwhile_is_told_so() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 5).await;
    let shopper = app.shopper("alice").await;
    let order = buys_without_answer(&app, &shopper, sku, FaultKind::DropAfter).await;
    fault(&app, OPEN, FaultKind::DelayAnswer);
    let asking = {
        let shopper = shopper.clone();
        actix_rt::spawn(async move { shopper.asks_to_pay(order).await })
    };
    app.sandbox.wait_for_held(OPEN, 1).await.unwrap();
    money_for(&app, &latest_number(&app)).await;
    app.sandbox.release(OPEN);
    let refused = asking.await.unwrap().refused(409, "invalid_state");
    assert_eq!(refused.body["detail"]["state"], json!("paid"), "{}", refused.text);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn money_after_the_expiry_still_pays_an_order_that_is_not_closed() {
    let shop = Untold::new().await;
    shop.app.advance(901);
    all_acknowledge(&shop.notify(Notify::of(&shop.number)).await);
    assert_eq!(shop.state().await, "paid");
    shop.app.run_reaper().await;
    assert_eq!(shop.state().await, "paid");
    shop.app.audit_is_clean().await;
    shop.app.stop().await;
}

#[actix_rt::test]
async fn a_wrong_amount_is_an_incident_and_pays_nothing() {
    for amount in [1, 12_899, 12_901] {
        let shop = Untold::new().await;
        all_fail(&shop.forged(Forge { amount: Some(amount), ..Forge::default() }).await);
        shop.only_the_truth_settles(1).await;
    }
}

#[actix_rt::test]
async fn a_wrong_signature_leaves_no_trace() {
    let shop = Untold::new().await;
    all_fail(&shop.forged(Forge { bad_sign: true, ..Forge::default() }).await);
    let key = text("someoneelsesomeoneelsesomeoneels");
    all_fail(&shop.forged(Forge { key, ..Forge::default() }).await);
    let unsigned =
        "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code></xml>";
    all_fail(&shop.forged(Forge { raw: text(unsigned), ..Forge::default() }).await);
    shop.only_the_truth_settles(0).await;
}

#[actix_rt::test]
async fn a_sign_type_that_contradicts_the_attempt_is_refused() {
    let shop = Untold::new().await;
    let md5 = Forge { sign_type: text("MD5"), ..Forge::default() };
    all_fail(&shop.forged(md5.clone()).await);
    let set = [("sign_type".to_owned(), text("MD5"))].into();
    all_fail(&shop.forged(Forge { set, ..md5 }).await);
    let set = [("sign_type".to_owned(), text("MD5"))].into();
    all_fail(&shop.forged(Forge { set, ..Forge::default() }).await);
    shop.only_the_truth_settles(0).await;
}

#[actix_rt::test]
async fn another_merchants_notification_changes_nothing() {
    let shop = Untold::new().await;
    all_fail(&shop.forged(Forge { mch_id: text("1900000999"), ..Forge::default() }).await);
    shop.only_the_truth_settles(0).await;
}

#[actix_rt::test]
async fn another_mini_programs_appid_is_an_incident() {
    let shop = Untold::new().await;
    all_fail(&shop.forged(Forge { appid: text("wx0000000000000000"), ..Forge::default() }).await);
    shop.only_the_truth_settles(1).await;
}

#[actix_rt::test]
async fn money_with_another_attach_is_an_incident() {
    let shop = Untold::new().await;
    all_fail(&shop.forged(Forge { attach: text("7.other"), ..Forge::default() }).await);
    shop.only_the_truth_settles(1).await;
    let shop = Untold::new().await;
    let set = [("attach".to_owned(), None)].into();
    all_fail(&shop.forged(Forge { set, ..Forge::default() }).await);
    shop.only_the_truth_settles(1).await;
}

#[actix_rt::test]
async fn fifteen_repeats_of_an_unknown_number_are_one_incident() {
    let shop = Untold::new().await;
    let forge = Forge {
        out_trade_no: text("202611250000000000000000"),
        transaction_id: text("4200000000202611250000000001"),
        ..Forge::default()
    };
    let notify = Notify::of(&shop.number).times(15).forged(forge);
    all_fail(&shop.notify(notify).await);
    assert_eq!(incidents(&shop.app).await, 1);
    assert_eq!(column(&shop.app, "SELECT seen FROM incident").await, ["15"]);
    shop.only_the_truth_settles(1).await;
}

#[actix_rt::test]
async fn an_unknown_number_at_once_is_one_incident() {
    let shop = Untold::new().await;
    let forge = Forge { out_trade_no: text("202611250000000000000000"), ..Forge::default() };
    let notify = Notify::of(&shop.number).times(15).together().forged(forge);
    all_fail(&shop.notify(notify).await);
    shop.only_the_truth_settles(1).await;
}

#[actix_rt::test]
async fn what_is_no_success_is_no_payment() {
    let shop = Untold::new().await;
    for (name, value) in [
        ("return_code", text("FAIL")),
        ("return_code", None),
        ("result_code", text("FAIL")),
        ("result_code", None),
        ("transaction_id", None),
        ("out_trade_no", None),
        ("total_fee", None),
        ("total_fee", text("-12900")),
        ("total_fee", text("129.00")),
        ("fee_type", text("USD")),
    ] {
        let set = [(name.to_owned(), value)].into();
        all_fail(&shop.forged(Forge { set, ..Forge::default() }).await);
    }
    shop.only_the_truth_settles(0).await;
}

#[actix_rt::test]
async fn what_is_no_proper_xml_is_refused() {
    let shop = Untold::new().await;
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;\">]><xml><a>&c;</a></xml>";
    for raw in ["", "<", "{}", "<xml><a><b>1</b></a></xml>", "<xml><a>1</a><a>2</a></xml>", bomb] {
        all_fail(&shop.forged(Forge { raw: text(raw), ..Forge::default() }).await);
    }
    let huge = format!("<xml><a>{}</a></xml>", "x".repeat(70_000));
    all_fail(&shop.forged(Forge { raw: Some(huge), ..Forge::default() }).await);
    // What unpacks a refund notification has nothing to do here.
    let refund = "<xml><return_code>SUCCESS</return_code><req_info>AAAA</req_info></xml>";
    all_fail(&shop.forged(Forge { raw: text(refund), ..Forge::default() }).await);
    shop.only_the_truth_settles(0).await;
}

#[actix_rt::test]
async fn the_path_of_an_unknown_mini_program_is_refused() {
    let shop = Untold::new().await;
    for path in ["99999", "0", "-1", "x"] {
        let url = format!("{}/wechat/pay/v2/notify/{path}", shop.app.url);
        all_fail(&shop.forged(Forge { notify_url: Some(url), ..Forge::default() }).await);
    }
    shop.only_the_truth_settles(0).await;
}

#[actix_rt::test]
async fn a_coupon_of_wechats_counts_as_paid_in_full() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 5).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    let pay =
        PayByNumber { out_trade_no: placed.order_no(), coupon_fen: 300, ..PayByNumber::default() };
    app.sandbox.pay_by_number(&pay).unwrap();
    app.sandbox.run_due().await.unwrap();
    assert_eq!(state_of(&shopper.order(placed.order_id()).await), "paid");
    assert_eq!(column(&app, "SELECT cash_fen FROM payment").await, ["700"]);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn another_wechat_user_may_pay() {
    let shop = Untold::new().await;
    let forge = Forge { openid: text("o-somebody-else"), ..Forge::default() };
    all_acknowledge(&shop.forged(forge).await);
    assert_eq!(shop.state().await, "paid");
    shop.app.audit_is_clean().await;
    shop.app.stop().await;
}

#[actix_rt::test]
async fn wechat_repeats_until_it_is_acknowledged_and_then_no_more() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 5).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    let told = || app.sandbox.trade(&placed.order_no()).unwrap().payments[0].told;
    assert_eq!(told(), 1);
    app.advance(24 * 3600);
    app.sandbox.run_due().await.unwrap();
    assert_eq!(told(), 1);
    app.audit_is_clean().await;
    app.stop().await;
}
