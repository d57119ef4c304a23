//! Another process works on the same file: it locks it for long, looks at it, or writes to it.

use std::time::{Duration, Instant};

use buynow::config::Config;
use sea_orm::{ConnectionTrait as _, Database};

use crate::support::process::Process;
use crate::support::storage::skipped_but_on_sqlite;
use crate::support::{Shopper, TestApp};

/// Longer than SQLite's busy timeout, by which the journal waits for the lock.
const LONG: Duration = Duration::from_secs(6);

#[actix_rt::test]
async fn a_database_that_another_process_locks_for_long_refuses_orders_and_recovers_by_itself() {
    if skipped_but_on_sqlite("elsewhere nobody locks a whole database") {
        return;
    }
    let impatient = |config: &mut Config| config.engine.commit_wait_ms = 300;
    let app = TestApp::builder().config(impatient).start().await;
    let sku = app.a_sku(990, 10_000).await;
    let alice = app.shopper("alice").await;
    let first = alice.buys(sku, 1).await.expect(201);
    let other = Database::connect(app.database_url()).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let locked = Instant::now();
    let mut refused = Vec::new();
    while locked.elapsed() < LONG {
        let (key, body) = (format!("key-{}", refused.len()), alice.order_body(&[(sku, 1)]));
        let reply = alice.orders_with(&key, body).await;
        assert!(matches!(reply.code(), "unavailable" | "busy") && reply.retry_after, "{reply:?}");
        refused.push(key);
        assert_eq!(alice.order(first.order_id()).await["state"], "unpaid", "reading goes on");
    }
    alice.pays(first.payment()).await;
    other.execute_unprepared("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    let (mut orders, keys) = (Vec::new(), refused.len());
    for key in refused {
        let mut reply = alice.orders_with(&key, alice.order_body(&[(sku, 1)])).await;
        while reply.status == 503 {
            reply = alice.orders_with(&key, alice.order_body(&[(sku, 1)])).await;
        }
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
        orders.push(reply.order_id());
    }
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), keys, "one order for each key");
    assert_eq!(app.stock(sku).await, 10_000 - 1 - i64::try_from(keys).unwrap());
    app.advance(15);
    app.sandbox.run_due().await.unwrap();
    assert_eq!(alice.order(first.order_id()).await["state"], "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

async fn orders(shopper: Shopper, sku: i64, count: usize) {
    for _ in 0..count {
        shopper.buys(sku, 1).await.expect(201);
    }
}

#[actix_web::test]
async fn audit_and_seed_work_beside_a_server_under_load() {
    let mut shop = Process::prepare();
    shop.start();
    let sku = shop.a_sku_of("order", 990, 100_000).await;
    let mut buyers = Vec::new();
    for buyer in 0..8 {
        let shopper = shop.shopper(&format!("buyer-{buyer}")).await;
        buyers.push(actix_rt::spawn(orders(shopper, sku, 40)));
    }
    let goods = r#"{"goods":[{"name":"新茶","skus":[{"code":"new","price_fen":1,"stock":7}]}]}"#;
    std::fs::write(shop.folder.path().join("goods.json"), goods).unwrap();
    for _ in 0..3 {
        let audit = shop.runs(&["audit"]).await;
        assert!(audit.status.success(), "{audit:?}");
        let seed = shop.runs(&["seed", "goods.json"]).await;
        assert!(seed.status.success(), "{seed:?}");
        let seeded: serde_json::Value = serde_json::from_slice(&seed.stdout).unwrap();
        let new = seeded["goods"][0]["skus"][0]["id"].as_i64().unwrap();
        assert_eq!(shop.stock(new).await, 7);
    }
    for buyer in buyers {
        buyer.await.unwrap();
    }
    shop.audit_is_clean();
}
