//! Orders whose request is right in all but a few bytes.

use awc::http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};

use crate::support::TestApp;

const TRIES: usize = 150;

#[actix_rt::test]
async fn an_altered_request_is_an_order_or_a_refusal() {
    let app = TestApp::start().await;
    let (sku, other) = (app.a_sku(1_000, 500).await, app.a_sku(1_000, 500).await);
    let alice = app.shopper("alice").await;
    let mut body = alice.order_body(&[(sku, 1), (other, 2)]);
    body["remark"] = "少糖 \u{1F375}".into();
    let original = body.to_string().into_bytes();
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Runs::default(), rng);
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"{}[]:,\"\\-+.eE0129tfnu ".to_vec())];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), byte), 1..4);
    let mut placed = 0;
    for nth in 0..TRIES {
        let mut altered = original.clone();
        for (at, byte) in changes.new_tree(&mut runner).unwrap().current() {
            let at = at.index(altered.len());
            altered[at] = byte;
        }
        let (key, shown) = (format!("key-{nth}"), String::from_utf8_lossy(&altered).into_owned());
        let headers = [("Idempotency-Key", key.as_str())];
        let reply = alice.call(Method::POST, "/api/v1/orders", &headers, Some(altered)).await;
        assert!(matches!(reply.status, 201 | 400..=422), "{shown}: {}", reply.status);
        placed += usize::from(reply.status == 201);
    }
    let orders = app.audit_is_clean().await.orders;
    assert_eq!(orders, i64::try_from(placed).unwrap(), "what is refused is no order");
    assert!(placed < TRIES / 2, "{placed} alterations made no difference");
    app.stop().await;
}
