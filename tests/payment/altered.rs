//! A notification that is right in all but one byte, at the door where WeChat knocks.

use awc::http::Method;
use buynow::config::{Config, SANDBOX_APPID};
use buynow::wechat::sign::{self, SIGN, SignType};
use buynow::wechat::xml::{self, Fields};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config as Runs, TestRunner};

use crate::desk::*;
use crate::support::TestApp;

/// Of altered notifications.
const TRIES: usize = 150;

/// What WeChat would send for the latest unifiedorder.
fn notification(app: &TestApp, fen: &str) -> Fields {
    let wxapp = Config::default().wxapp.or_sandbox();
    let (number, attach) = (latest_number(app), asked(app, OPEN, "attach").pop().unwrap());
    let mut fields = Fields::from_iter([
        ("return_code", "SUCCESS"),
        ("result_code", "SUCCESS"),
        ("appid", SANDBOX_APPID),
        ("mch_id", wxapp.mch_id.as_str()),
        ("openid", "somebody"),
        ("out_trade_no", number.as_str()),
        ("transaction_id", "4200067594314894319252063607"),
        ("total_fee", fen),
        ("attach", attach.as_str()),
        ("time_end", "20261124183015"),
    ]);
    let sign_type = asked(app, OPEN, "sign_type").pop().unwrap();
    let sign_type = SignType::parse(&sign_type).unwrap();
    fields.insert(SIGN, sign::sign(&fields, &wxapp.api_key, sign_type));
    fields
}

#[actix_rt::test]
async fn an_altered_notification_leaves_no_trace() {
    let app = TestApp::start().await;
    let sku = app.a_sku(1_000, 5).await;
    let shopper = app.shopper("alice").await;
    let order = shopper.buys(sku, 1).await.expect(201).order_id();
    let fields = notification(&app, "1000");
    let original = xml::write(&fields).into_bytes();
    let post = async |body: &[u8]| {
        let path = "/wechat/pay/v2/notify/10001";
        app.call(Method::POST, path, None, &[], Some(body.to_vec())).await
    };
    let mut runner = TestRunner::new_with_rng(
        Runs::default(),
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let change = (any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    let mut refused = 0;
    while refused < TRIES {
        let (at, byte, cut) = change.new_tree(&mut runner).unwrap().current();
        let (mut altered, at) = (original.clone(), at.index(original.len()));
        altered[at] = byte;
        if cut {
            altered.truncate(at);
        }
        // A blank between two elements says nothing.
        if xml::parse(&altered).is_ok_and(|read| read == fields) {
            continue;
        }
        let reply = post(&altered).await;
        assert_eq!(reply.status, 200);
        assert!(reply.text.contains("FAIL"), "byte {at} became {byte}: {}", reply.text);
        refused += 1;
    }
    assert_eq!(state_of(&shopper.order(order).await), "unpaid");
    assert_eq!(incidents(&app).await, 0);
    assert!(post(&original).await.text.contains("SUCCESS"), "the true one");
    assert_eq!(state_of(&shopper.order(order).await), "paid");
    app.audit_is_clean().await;
    app.stop().await;
}
