//! One purchase, from the order to the message.

use serde_json::json;

use crate::support::TestApp;

#[actix_rt::test]
async fn a_purchase_deducts_stock_settles_once_and_tells_the_buyer() {
    let app = TestApp::start().await;
    let sku = app.a_sku(12_900, 5).await;
    let shopper = app.shopper("alice").await;
    shopper.agree_to_messages().await;

    let placed = shopper.buys(sku, 2).await.expect(201);
    assert_eq!(placed.body["order"]["pay_fen"], json!(25_800), "{}", placed.text);
    assert_eq!(placed.body["payment_error"], json!(null));
    assert_eq!(app.stock(sku).await, 3);

    let paid = shopper.pays(placed.payment()).await;
    let order = shopper.order(placed.order_id()).await;
    assert_eq!(order["state"], json!("paid"), "{order}");
    assert_eq!(order["transaction_id"].as_str(), paid.transaction_id.as_deref());

    assert_eq!(app.run_notifier().await, 1);
    let messages = app.sandbox.messages(None, Some("alice"));
    assert_eq!(messages.len(), 1, "{messages:?}");
    let lines: Vec<&str> = messages[0].lines.iter().map(|line| line.value.as_str()).collect();
    assert!(lines.contains(&"高山茶"), "{lines:?}");
    app.audit_is_clean().await;
    app.stop().await;
}
