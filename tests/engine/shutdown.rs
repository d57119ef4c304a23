//! The end of a process that was asked to end, and the start of one that cannot start.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::rc::Rc;
use std::time::{Duration, Instant};

use buynow::sandbox::{Fault, FaultKind};
use tokio::sync::Semaphore;

use super::diary::*;
use crate::support::Shopper;
use crate::support::process::Process;
use crate::support::storage::skipped_but_on_sqlite;

/// What an unhurried machine needs to go down; far less than `server.shutdown_seconds`.
const BOUND: Duration = Duration::from_secs(5);

/// Orders until the shop is gone; the answer is every order that was acknowledged.
async fn orders_until_it_is_gone(shopper: Shopper, sku: i64, told: Rc<Semaphore>) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    loop {
        let (key, body) = (rand::random::<u64>().to_string(), shopper.order_body(&[(sku, 1)]));
        match shopper.tries_to_order(&key, body).await {
            Ok(reply) if reply.status == 201 => acknowledged.push(reply.order_id()),
            Ok(reply) => drop(reply.refused(503, "unavailable")),
            Err(_) => return acknowledged,
        }
        told.add_permits(1);
    }
}

#[actix_web::test]
async fn sigterm_under_load_ends_with_0_and_loses_nothing_that_was_acknowledged() {
    let mut shop = Process::prepare();
    shop.start();
    let sku = shop.a_sku_of("order", 990, 100_000).await;
    let told = Rc::new(Semaphore::new(0));
    let mut buyers = Vec::new();
    for buyer in 0..8 {
        let shopper = shop.shopper(&format!("buyer-{buyer}")).await;
        let ordering = orders_until_it_is_gone(shopper.clone(), sku, told.clone());
        buyers.push((shopper, actix_rt::spawn(ordering)));
    }
    told.acquire_many(40).await.unwrap().forget();
    let asked = Instant::now();
    shop.send_sigterm();
    let status = shop.ended().await;
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < BOUND, "it took {:?}", asked.elapsed());
    shop.start();
    for (shopper, orders) in buyers {
        for order in orders.await.unwrap() {
            assert_eq!(shopper.order(order).await["state"], "unpaid");
        }
    }
    shop.audit_is_clean();
}

#[actix_web::test]
async fn an_order_that_waits_for_wechat_at_sigterm_is_answered_without_a_payment() {
    let mut shop = Process::prepare();
    shop.start();
    let sku = shop.a_sku_of("order", 990, 5).await;
    let buyer = shop.shopper("xiaoming").await;
    shop.sandbox.fault(Fault::next("/pay/unifiedorder", FaultKind::Delay)).unwrap();
    let ordering = {
        let buyer = buyer.clone();
        actix_rt::spawn(async move { buyer.buys(sku, 1).await })
    };
    shop.sandbox.wait_for_held("/pay/unifiedorder", 1).await.unwrap();
    shop.send_sigterm();
    let placed = ordering.await.unwrap().expect(201);
    assert!(placed.payment().is_null(), "{placed:?}");
    assert_eq!(placed.body["payment_error"]["code"], "unavailable");
    assert!(shop.ended().await.success());
    shop.sandbox.release("/pay/unifiedorder");
    shop.start();
    let payment = buyer.asks_to_pay(placed.order_id()).await.expect(200);
    buyer.pays(&payment.body).await;
    assert_eq!(buyer.order(placed.order_id()).await["state"], "paid");
    shop.audit_is_clean();
}

#[actix_web::test]
async fn sigterm_while_wechat_is_silent_and_everything_goes_on_ends_within_its_bound() {
    let mut shop = with_short_claims(Process::prepare_with("[engine]\ncancel_wait_ms = 60000\n"));
    shop.start();
    let skus =
        [shop.a_sku_of("order", 990, 10_000).await, shop.a_sku_of("payment", 1_990, 10_000).await];
    let mut shoppers = Vec::new();
    for buyer in 0..8 {
        shoppers.push(shop.shopper(&format!("buyer-{buyer}")).await);
    }
    for (path, after) in [("/pay/unifiedorder", 40), ("/pay/closeorder", 1)] {
        shop.sandbox.fault(Fault::next(path, FaultKind::Delay).after(after).times(9)).unwrap();
    }
    let (diary, told) = (Rc::new(Diary::default()), Rc::new(Semaphore::new(0)));
    let shopping: Vec<_> = (shoppers.iter().cloned().enumerate())
        .map(|buyer| actix_rt::spawn(shop_until_it_dies(buyer, skus, diary.clone(), told.clone())))
        .collect();
    shop.sandbox.wait_for_held("/pay/closeorder", 1).await.unwrap();
    shop.sandbox.wait_for_held("/pay/unifiedorder", 1).await.unwrap();
    let asked = Instant::now();
    shop.send_sigterm();
    assert!(shop.ended().await.success());
    // `server.shutdown_seconds` for requests, and as long for the engine.
    assert!(asked.elapsed() < Duration::from_secs(20), "it took {:?}", asked.elapsed());
    for buyer in shopping {
        buyer.await.unwrap();
    }
    for path in ["/pay/unifiedorder", "/pay/closeorder"] {
        shop.sandbox.clear_faults();
        shop.sandbox.release(path);
    }
    shop.start();
    nothing_is_lost(&shoppers, &diary, 0).await;
    all_is_brought_to_its_end(&shoppers, &diary).await;
    wechat_has_seen_everything_once(&shop, &diary);
    every_piece_is_accounted_for(&shop, &shoppers, &diary, skus, 10_000).await;
}

/// Sends as much of a request as is there, on a connection of its own.
fn connect(shop: &Process, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(shop.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// The first bytes of an answer, as many as one read brings; none from a connection that is closed.
fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[actix_web::test]
async fn a_server_that_goes_down_is_ready_for_nobody_and_finishes_the_request_that_it_reads() {
    let mut shop = Process::prepare();
    shop.start();
    let sku = shop.a_sku_of("order", 990, 5).await;
    let buyer = shop.shopper("xiaoming").await;
    let body = buyer.order_body(&[(sku, 1)]).to_string();
    let head = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {}\r\n\
         Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        buyer.token,
        body.len()
    );
    let mut ordering = connect(&shop, &head);
    // A connection on which nothing has been read yet would be closed at once.
    assert!(answer(&mut ordering).starts_with("HTTP/1.1 100"));
    let ready = "GET /readyz HTTP/1.1\r\nHost: shop\r\n\r\n";
    let mut balancer = connect(&shop, ready);
    assert!(answer(&mut balancer).starts_with("HTTP/1.1 200"));
    shop.send_sigterm();
    shop.wait_until_it_says("going down");
    drop(balancer.write_all(ready.as_bytes()));
    let unready = answer(&mut balancer);
    assert!(unready.is_empty() || unready.starts_with("HTTP/1.1 503"), "{unready}");
    ordering.write_all(body.as_bytes()).unwrap();
    let placed = answer(&mut ordering);
    assert!(placed.starts_with("HTTP/1.1 201"), "{placed}");
    drop((ordering, balancer));
    assert!(shop.ended().await.success());
    shop.start();
    let orders = buyer.get("/api/v1/orders").await.expect(200);
    assert_eq!(orders.body["items"].as_array().unwrap().len(), 1);
    shop.audit_is_clean();
}

/// Exit code 2 and one line, which holds all of these words.
#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let one_line = said.starts_with("buynow: ") && said.trim_end().lines().count() == 1;
    assert!(one_line && words.iter().all(|word| said.contains(word)), "{said}");
}

#[actix_web::test]
async fn a_second_server_on_the_same_file_is_refused_and_the_first_goes_on() {
    if skipped_but_on_sqlite("others carry several servers") {
        return;
    }
    let mut shop = Process::prepare();
    shop.start();
    let second = shop.run(&["serve", "--port", "0"]);
    refused(&second, &["shop.db", "PostgreSQL", "MariaDB"]);
    shop.get("/readyz").await.expect(200);
}

#[test]
fn a_port_in_use_is_refused_with_one_line() {
    let shop = Process::prepare();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&shop.run(&["serve", "--port", &port]), &["port", &port, "in use"]);
}

#[test]
fn a_database_that_cannot_be_opened_is_refused_with_one_line() {
    if skipped_but_on_sqlite("about files that are no database") {
        return;
    }
    let shop = Process::prepare();
    std::fs::create_dir(shop.folder.path().join("folder.db")).unwrap();
    std::fs::write(shop.folder.path().join("garbage.db"), "no database at all ".repeat(500))
        .unwrap();
    std::fs::write(shop.folder.path().join("file"), "").unwrap();
    for database in ["folder.db", "garbage.db", "file/shop.db", "nowhere/shop.db"] {
        let url = format!("sqlite://{database}");
        refused(&shop.run_with(&[("BUYNOW__DATABASE__URL", &url)], &["serve"]), &[database]);
    }
}

#[test]
fn an_unknown_key_is_refused_with_one_line() {
    let shop = Process::prepare();
    let output = shop.run_with(&[("BUYNOW__SERVER__PROT", "1")], &["serve"]);
    refused(&output, &["server.prot", "unknown key"]);
}
