//! What buyers are told: tokens, consents, lost answers, and no message twice.

use buynow::config::{Template, TemplateKind};
use buynow::sandbox::{Fault, FaultCode, FaultKind, Message, MessageKind, TokenAction};
use futures_util::future::join;
use sea_orm::ConnectionTrait as _;

use crate::desk::*;
use crate::support::{Shopper, TestApp};

/// A shop with a buyer who has paid and is still to be told.
struct Untold {
    app: TestApp,
    shopper: Shopper,
    sku: i64,
    order: i64,
}

impl Untold {
    /// The buyer has agreed to messages.
    async fn new() -> Self {
        let untold = Self::without_consent().await;
        untold.shopper.agree_to_messages().await;
        untold
    }

    async fn without_consent() -> Self {
        let app = TestApp::start().await;
        let sku = app.a_sku(100, 50).await;
        let shopper = app.shopper("alice").await;
        let order = buys_and_pays(&shopper, sku).await;
        Self { app, shopper, sku, order }
    }

    async fn later(&self, seconds: u64) {
        self.app.advance(seconds);
        self.app.run_notifier().await;
    }

    /// State and reason of the message.
    async fn state(&self) -> String {
        let sql = "SELECT state || ' ' || COALESCE(reason, '') FROM notification ORDER BY id";
        column(&self.app, sql).await.join(",").trim_end().to_owned()
    }

    fn arrived(&self) -> Vec<Message> {
        self.app.sandbox.messages(None, Some("alice"))
    }

    /// Whatever becomes of the message, the order stays paid.
    async fn ends_paid(self) {
        assert_eq!(state_of(&self.shopper.order(self.order).await), "paid");
        self.app.audit_is_clean().await;
        self.app.stop().await;
    }
}

async fn buys_and_pays(shopper: &Shopper, sku: i64) -> i64 {
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    placed.order_id()
}

fn refuse_with(app: &TestApp, path: &str, code: i64, times: u32) {
    let code = Some(FaultCode::Number(code));
    let fault = Fault { code, ..Fault::next(path, FaultKind::Errcode).times(times) };
    app.sandbox.fault(fault).unwrap();
}

#[actix_rt::test]
async fn a_revoked_or_expired_token_is_refreshed_once_for_many_senders() {
    for action in [TokenAction::Revoke, TokenAction::Expire] {
        let app = TestApp::start().await;
        let sku = app.a_sku(100, 50).await;
        let first = app.shopper("first").await;
        first.agree_to_messages().await;
        buys_and_pays(&first, sku).await;
        app.run_notifier().await;
        assert_eq!(calls(&app, TOKEN).count, 1);

        app.sandbox.token(None, action).unwrap();
        for name in ["a", "b", "c", "d", "e", "f"] {
            let shopper = app.shopper(name).await;
            shopper.agree_to_messages().await;
            buys_and_pays(&shopper, sku).await;
        }
        // All six are on their way with the dead token before the first one hears so.
        app.sandbox.fault(Fault::next(SEND, FaultKind::DelayAnswer).times(6)).unwrap();
        let released = async {
            app.sandbox.wait_for_held(SEND, 6).await.unwrap();
            app.sandbox.release(SEND);
        };
        join(app.run_notifier(), released).await;
        assert_eq!(app.sandbox.messages(None, None).len(), 7, "{action:?}");
        assert_eq!(calls(&app, TOKEN).count, 2, "{action:?}");
        assert_eq!(calls(&app, SEND).count, 1 + 6 + 6, "{action:?}");
        app.audit_is_clean().await;
        app.stop().await;
    }
}

#[actix_rt::test]
async fn a_token_that_is_refused_again_is_retried_once_and_the_message_waits() {
    let untold = Untold::new().await;
    refuse_with(&untold.app, SEND, 40001, 2);
    untold.later(0).await;
    assert_eq!(calls(&untold.app, SEND).count, 2);
    assert_eq!(untold.state().await, "waiting");
    untold.later(10).await;
    assert_eq!(untold.state().await, "sent");
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_refused_message_is_final_and_leaves_the_order_alone() {
    let untold = Untold::without_consent().await;
    // The client reports a consent that WeChat knows nothing of.
    let templates = untold.shopper.get("/api/v1/message-templates").await.expect(200);
    let ids = vec![templates.body["items"][0]["template_id"].clone()];
    let body = serde_json::json!({ "template_ids": ids });
    untold.shopper.post("/api/v1/message-grants", body).await.expect(204);
    for _ in 0..5 {
        untold.later(600).await;
    }
    assert_eq!(untold.state().await, "refused 43101");
    assert_eq!(calls(&untold.app, SEND).count, 1);
    assert!(untold.arrived().is_empty());
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_message_without_consent_waits_ten_minutes_and_is_skipped() {
    let untold = Untold::without_consent().await;
    untold.later(0).await;
    untold.later(599).await;
    assert_eq!(untold.state().await, "waiting awaits_grant");
    untold.later(1).await;
    assert_eq!(untold.state().await, "skipped no_grant");
    assert_eq!(calls(&untold.app, SEND).count, 0);
    untold.shopper.agree_to_messages().await;
    untold.later(600).await;
    assert!(untold.arrived().is_empty());
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_consent_that_comes_after_the_notification_still_brings_the_message() {
    let untold = Untold::without_consent().await;
    for _ in 0..20 {
        untold.later(15).await;
    }
    untold.shopper.agree_to_messages().await;
    untold.later(15).await;
    assert_eq!(untold.state().await, "sent");
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn waiting_for_a_consent_uses_up_no_tries() {
    let untold = Untold::without_consent().await;
    for _ in 0..20 {
        untold.later(15).await;
    }
    untold.shopper.agree_to_messages().await;
    fault(&untold.app, TOKEN, FaultKind::Http500);
    untold.later(15).await;
    assert_eq!(untold.state().await, "waiting");
    untold.later(10).await;
    assert_eq!(untold.state().await, "sent");
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_message_whose_answer_was_lost_is_sent_once_more_and_probably_arrived() {
    let untold = Untold::new().await;
    fault(&untold.app, SEND, FaultKind::DropAfter);
    untold.later(0).await;
    assert_eq!(untold.state().await, "waiting maybe_delivered");
    for _ in 0..10 {
        untold.later(600).await;
    }
    assert_eq!(untold.state().await, "probably_delivered 43101");
    assert_eq!(calls(&untold.app, SEND).count, 2);
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_message_that_never_arrived_arrives_with_the_second_try() {
    let untold = Untold::new().await;
    fault(&untold.app, SEND, FaultKind::DropBefore);
    untold.later(0).await;
    untold.later(10).await;
    assert_eq!(untold.state().await, "sent");
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_message_whose_answer_was_lost_twice_is_parked() {
    let untold = Untold::new().await;
    untold.app.sandbox.fault(Fault::next(SEND, FaultKind::DropAfter).times(2)).unwrap();
    for _ in 0..10 {
        untold.later(600).await;
    }
    let parked = untold.state().await;
    assert!(parked.starts_with("parked") || parked.starts_with("probably"), "{parked}");
    assert_eq!(calls(&untold.app, SEND).count, 2);
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

/// What a sender leaves behind that died between its claim and its result.
async fn sender_died(untold: &Untold) {
    let db = sea_orm::Database::connect(untold.app.database_url()).await.unwrap();
    let until = untold.app.clock.now().plus_seconds(-1).as_millis();
    let sql = format!(
        "UPDATE notification SET state = 'sending', claim_token = 'dead', claim_until = {until}, \
         tries = 1"
    );
    db.execute_unprepared(&sql).await.unwrap();
    db.close().await.unwrap();
}

#[actix_rt::test]
async fn a_message_whose_sender_died_is_sent_once_more() {
    let untold = Untold::new().await;
    sender_died(&untold).await;
    untold.later(0).await;
    assert_eq!(untold.state().await, "sent");
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_message_whose_sender_died_after_sending_has_probably_arrived() {
    let untold = Untold::without_consent().await;
    sender_died(&untold).await;
    for _ in 0..5 {
        untold.later(600).await;
    }
    // The consent was used up by the try that nobody knows of.
    assert_eq!(untold.state().await, "probably_delivered 43101");
    assert_eq!(calls(&untold.app, SEND).count, 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn while_the_network_is_away_a_message_backs_off_and_is_parked() {
    let untold = Untold::new().await;
    broken(&untold.app, TOKEN, FaultKind::DropBefore);
    let mut tries = Vec::new();
    for second in 0..1_300 {
        let before = calls(&untold.app, TOKEN).count;
        untold.later(1).await;
        if calls(&untold.app, TOKEN).count > before {
            tries.push(second);
        }
    }
    for _ in 0..10 {
        untold.later(3_600).await;
    }
    assert_eq!(calls(&untold.app, TOKEN).count, 8, "{tries:?}");
    let pauses: Vec<i64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640]);
    assert!(untold.state().await.starts_with("parked"), "{}", untold.state().await);
    assert_eq!(calls(&untold.app, SEND).count, 0);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn messages_to_one_buyer_go_one_after_another() {
    let untold = Untold::new().await;
    for _ in 0..2 {
        untold.shopper.agree_to_messages().await;
        buys_and_pays(&untold.shopper, untold.sku).await;
    }
    let other = untold.app.shopper("bob").await;
    other.agree_to_messages().await;
    buys_and_pays(&other, untold.sku).await;

    untold.app.sandbox.fault(Fault::next(SEND, FaultKind::Delay).times(2)).unwrap();
    let held = async {
        untold.app.sandbox.wait_for_held(SEND, 2).await.unwrap();
        let to = asked(&untold.app, SEND, "touser");
        assert_eq!(to.len(), 2);
        assert_ne!(to[0], to[1], "two messages to one buyer are under way");
        untold.app.sandbox.release(SEND);
    };
    join(untold.app.run_notifier(), held).await;
    assert_eq!(untold.arrived().len(), 3);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_message_is_sent_once_however_often_the_notifier_is_woken() {
    let untold = Untold::new().await;
    let app = &untold.app;
    fault(app, SEND, FaultKind::DelayAnswer);
    let woken = async {
        app.sandbox.wait_for_held(SEND, 1).await.unwrap();
        app.run_notifier().await;
        app.run_notifier().await;
        app.sandbox.release(SEND);
    };
    join(app.run_notifier(), woken).await;
    app.run_notifier().await;
    assert_eq!(calls(app, SEND).count, 1);
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_field_that_breaks_wechats_rule_is_parked_and_not_repeated() {
    let untold = Untold::new().await;
    refuse_with(&untold.app, SEND, 47003, 1);
    for _ in 0..5 {
        untold.later(600).await;
    }
    assert!(untold.state().await.starts_with("parked"), "{}", untold.state().await);
    assert_eq!(calls(&untold.app, SEND).count, 1);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn the_historic_template_message_goes_out_with_the_prepay_id_of_the_payment() {
    const TEMPLATE_SEND: &str = "/cgi-bin/message/wxopen/template/send";
    let template = Template {
        template_id: "historic-order-paid".to_owned(),
        page: "pages/order?id={order_id}".to_owned(),
        kind: TemplateKind::Template,
        data: [("keyword1".to_owned(), "{order_no}".to_owned())].into(),
    };
    let app = TestApp::builder()
        .config(|c| {
            c.wxapp.legacy_template_messages = true;
            c.wxapp.templates.order_paid = Some(template);
        })
        .start()
        .await;
    let sku = app.a_sku(100, 5).await;
    let shopper = app.shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    app.run_notifier().await;

    let package = placed.payment()["package"].as_str().unwrap().to_owned();
    let form_ids = asked(&app, TEMPLATE_SEND, "form_id");
    assert_eq!(form_ids, [package.strip_prefix("prepay_id=").unwrap()]);
    let messages = app.sandbox.messages(None, Some("alice"));
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].kind, MessageKind::Template);
    assert_eq!(messages[0].lines[0].value, placed.order_no());
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_lost_answer_is_remembered_whatever_goes_wrong_after_it() {
    let untold = Untold::new().await;
    for _ in 0..5 {
        untold.shopper.agree_to_messages().await;
    }
    for kind in [FaultKind::DropAfter, FaultKind::DropAfter] {
        fault(&untold.app, SEND, kind);
        untold.later(2_000).await;
        refuse_with(&untold.app, SEND, 45009, 1);
        untold.later(2_000).await;
        untold.app.sandbox.clear_faults();
    }
    assert_eq!(untold.state().await, "parked outcome unknown");
    assert_eq!(untold.arrived().len(), 2);
    untold.ends_paid().await;
}

#[actix_rt::test]
async fn a_refusal_long_after_a_lost_answer_still_means_probably_delivered() {
    let untold = Untold::new().await;
    fault(&untold.app, SEND, FaultKind::DropAfter);
    untold.later(2_000).await;
    let before = grants(&untold.app).await;
    refuse_with(&untold.app, SEND, 45009, 1);
    untold.later(2_000).await;
    assert_eq!(untold.state().await, "waiting maybe_delivered");
    assert_eq!(grants(&untold.app).await, before, "none was taken for this try");
    refuse_with(&untold.app, SEND, 43101, 1);
    untold.later(2_000).await;
    assert_eq!(untold.state().await, "probably_delivered 43101");
    assert_eq!(untold.arrived().len(), 1);
    untold.ends_paid().await;
}

async fn grants(app: &TestApp) -> Vec<String> {
    column(app, "SELECT remaining FROM message_grant ORDER BY template_id").await
}

#[actix_rt::test]
async fn a_message_that_cannot_be_read_does_not_stop_the_others() {
    let untold = Untold::new().await;
    let sql = "INSERT INTO notification (id, wxapp_id, user_id, order_id, event, ref_id, state, \
         payload, tries, next_at, created_at, updated_at) SELECT 7, wxapp_id, user_id, order_id, \
         'order_of_tomorrow', 0, 'waiting', payload, 0, next_at, created_at, updated_at \
         FROM notification LIMIT 1";
    execute(&untold.app, sql).await;
    untold.later(1).await;
    assert_eq!(untold.arrived().len(), 1);
    assert_eq!(untold.state().await, "parked unreadable,sent");
    untold.ends_paid().await;
}

async fn execute(app: &TestApp, sql: &str) {
    let db = sea_orm::Database::connect(app.database_url()).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

#[actix_rt::test]
async fn a_new_consent_does_not_hurry_a_message_that_waits_for_something_else() {
    let untold = Untold::new().await;
    refuse_with(&untold.app, SEND, 45009, 1);
    untold.later(1).await;
    untold.shopper.agree_to_messages().await;
    untold.later(1).await;
    assert_eq!(calls(&untold.app, SEND).count, 1);
    untold.later(10).await;
    assert_eq!(untold.state().await, "sent");
    untold.ends_paid().await;
}
