//! `buynow backup` and `buynow restore` as the operator uses them, on the real binary.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::Shopper;
use crate::support::process::Process;
use crate::support::storage::skipped_but_on_sqlite;

const BUYERS: usize = 16;
/// Acknowledged before the back-up begins, and after it has ended, at least.
const ORDERS: usize = 200;

/// What buyers were told, in the order in which they were told.
#[derive(Default)]
struct Told {
    orders: RefCell<Vec<String>>,
    enough: Cell<bool>,
}

impl Told {
    fn count(&self) -> usize {
        self.orders.borrow().len()
    }
    async fn until(&self, count: usize) {
        while self.count() < count {
            tokio::task::yield_now().await;
        }
    }
}

async fn orders_on_and_on(shopper: &Shopper, sku: i64, told: &Told) {
    while !told.enough.get() {
        let mut body = shopper.order_body(&[(sku, 1)]);
        body["prepay"] = json!(false);
        let key = format!("key-{}", rand::random::<u64>());
        let placed = shopper.orders_with(&key, body).await.expect(201);
        told.orders.borrow_mut().push(placed.order_no());
    }
}

/// The numbers of all orders in a database file of the shop's folder.
async fn numbers_in(shop: &Process, file: &str) -> Vec<String> {
    use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
    let url = format!("sqlite://{}?mode=ro", shop.folder.path().join(file).display());
    let db = Database::connect(url).await.unwrap();
    let all = Statement::from_string(DbBackend::Sqlite, "SELECT order_no FROM \"order\"");
    let rows = db.query_all_raw(all).await.unwrap();
    let numbers = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    db.close().await.unwrap();
    numbers
}

#[actix_rt::test]
async fn a_back_up_under_load_has_every_order_that_was_acknowledged_before_it_and_is_sound() {
    if skipped_but_on_sqlite("a back-up is a file") {
        return;
    }
    let mut shop = Process::prepare();
    shop.start();
    let sku = shop.a_sku_of("order", 100, 1_000_000).await;
    let shoppers = join_all((0..BUYERS).map(async |number| {
        let name = format!("buyer-{number}");
        shop.shopper(&name).await
    }))
    .await;
    let told = Told::default();
    let load = join_all(shoppers.iter().map(|shopper| orders_on_and_on(shopper, sku, &told)));
    let backup = async {
        told.until(ORDERS).await;
        let before = told.count();
        let output = shop.runs(&["backup", "copy.db"]).await;
        told.until(told.count() + ORDERS).await;
        told.enough.set(true);
        (before, output)
    };
    let (_, (before, output)) = futures_util::future::join(load, backup).await;

    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said.starts_with("copy.db is a verified copy of sqlite://"), "{said}");
    let copied = numbers_in(&shop, "copy.db").await;
    let told = told.orders.borrow();
    let missing = told[..before].iter().filter(|number| !copied.contains(number)).count();
    assert_eq!(missing, 0, "of {before} orders acknowledged before");
    assert!(copied.len() < told.len(), "the load went on");
    let url = ("BUYNOW__DATABASE__URL", "sqlite://copy.db");
    let audit = shop.run_with(&[url], &["audit"]);
    assert_eq!(audit.status.code(), Some(0), "{audit:?}");
    shop.audit_is_clean();
}

#[actix_rt::test]
async fn a_restored_back_up_is_served_and_sells_on() {
    if skipped_but_on_sqlite("a back-up is a file") {
        return;
    }
    let mut shop = Process::prepare();
    shop.start();
    let sku = shop.a_sku_of("order", 100, 10).await;
    let alice = shop.shopper("alice").await;
    let kept = alice.buys(sku, 1).await.expect(201);
    assert!(shop.run(&["backup", "copy.db"]).status.success());
    let lost = alice.buys(sku, 2).await.expect(201);

    let refused = shop.run(&["restore", "copy.db"]);
    assert_eq!(refused.status.code(), Some(2));
    shop.send_sigterm();
    assert!(shop.ended().await.success());
    let output = shop.run(&["restore", "copy.db"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said.contains("\n1 orders, the newest of "), "{said}");
    assert!(said.contains(".db.before-restore.\n"), "{said}");

    shop.start();
    assert_eq!(shop.stock(sku).await, 9);
    let alice = shop.shopper("alice").await;
    assert_eq!(alice.order(kept.order_id()).await["order_no"], kept.order_no());
    let placed = alice.buys(sku, 3).await.expect(201);
    assert!(placed.order_id() > lost.order_id());
    alice.pays(placed.payment()).await;
    assert_eq!(shop.stock(sku).await, 6);
    shop.audit_is_clean();
}
