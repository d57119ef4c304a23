//! Buyers who order without pause from one process, whatever becomes of its database, and repeat
//! each order until it is acknowledged.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use buynow::store::db::open_writer;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use tokio::task::JoinHandle;

use crate::support::Shopper;
use crate::support::process::Process;
use crate::support::servers::Server;

pub const STOCK: i64 = 1_000_000;
pub const DATABASE: &str = "shop";
const BUYERS: usize = 6;
/// Within this after a fail-over there are orders again.
const FAIL_OVER_MAX: Duration = Duration::from_secs(10);
/// Longest wait for what a healthy shop does in a moment.
const PATIENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(20);

/// What was acknowledged.
#[derive(Default)]
struct Told {
    numbers: RefCell<BTreeSet<String>>,
    over: Cell<bool>,
}

pub struct Load {
    pub shop: Process,
    pub buyer: Shopper,
    pub sku: i64,
    told: Rc<Told>,
    buyers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Serves on these servers, and lets the buyers begin.
    pub async fn start(urls: &[String]) -> Self {
        let mut shop = Process::prepare_on_cluster(urls);
        let migrated = shop.run(&["migrate"]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        shop.start();
        let sku = shop.a_sku_of("order", 990, STOCK).await;
        let told = Rc::new(Told::default());
        let mut buyers = Vec::new();
        for number in 0..BUYERS {
            let buyer = shop.shopper(&format!("buyer-{number}")).await;
            buyers.push(actix_rt::spawn(buys(number, buyer, sku, told.clone())));
        }
        let buyer = shop.shopper("another").await;
        let load = Self { shop, buyer, sku, told, buyers };
        load.goes_on(PATIENCE).await;
        load
    }

    /// Orders are acknowledged again, soon after the fail-over that is over now.
    pub async fn goes_on_soon(&self) {
        self.goes_on(FAIL_OVER_MAX).await;
    }

    async fn goes_on(&self, within: Duration) {
        let told = || self.told.numbers.borrow().len();
        let enough = told() + 2 * BUYERS;
        let more = async {
            while told() < enough {
                tokio::time::sleep(PACE).await;
            }
        };
        let more = tokio::time::timeout(within, more).await;
        assert!(more.is_ok(), "{} of {enough}:\n{}", told(), self.shop.said());
    }

    /// The process has moved so often since its start.
    pub async fn has_moved(&self, times: usize) {
        let moved = async {
            while self.shop.said().matches("writes move to a server").count() < times {
                tokio::time::sleep(PACE).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, moved).await.is_ok(), "{}", self.shop.said());
    }

    /// Every buyer gets his last answer.
    pub async fn ends(&mut self) {
        self.told.over.set(true);
        let ended = join_all(self.buyers.drain(..));
        for ended in tokio::time::timeout(PATIENCE, ended).await.unwrap() {
            ended.unwrap();
        }
    }

    /// On this server there is what was acknowledged, each once, and nothing else.
    pub async fn all_is_on(&self, server: &Server) {
        let db = open_writer(&server.url(DATABASE)).await.unwrap();
        let read = async |sql: &str| {
            let statement = Statement::from_string(db.get_database_backend(), sql);
            db.query_all_raw(statement).await.unwrap()
        };
        let numbers = read("SELECT order_no FROM \"order\"").await;
        let numbers: Vec<String> =
            numbers.iter().map(|row| row.try_get("", "order_no").unwrap()).collect();
        let told = self.told.numbers.borrow().clone();
        assert_eq!(numbers.iter().cloned().collect::<BTreeSet<_>>(), told);
        assert_eq!(numbers.len(), told.len());
        let stock = read(&format!("SELECT stock FROM sku WHERE id = {}", self.sku)).await;
        let stock: i64 = stock[0].try_get("", "stock").unwrap();
        assert_eq!(stock + i64::try_from(told.len()).unwrap(), STOCK);
        db.close().await.unwrap();
    }
}

async fn buys(number: usize, buyer: Shopper, sku: i64, told: Rc<Told>) {
    let mut turn = 0;
    loop {
        let body = buyer.order_body(&[(sku, 1)]);
        match buyer.tries_to_order(&format!("{number}-{turn}"), body).await {
            Ok(placed) if matches!(placed.status, 200 | 201) => {
                let new = told.numbers.borrow_mut().insert(placed.order_no());
                assert!(new, "two keys, one order: {placed:?}");
                turn += 1;
                if told.over.get() {
                    return;
                }
            }
            Ok(placed) => {
                assert_eq!(placed.status, 503, "{placed:?}");
                tokio::time::sleep(PACE).await;
            }
            // Nobody has waited for the answer any longer.
            Err(_) => {}
        }
    }
}
