//! Buyers who do not give up: an order that is not answered is asked for again, with its key.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use tokio::sync::Semaphore;

use crate::diary::*;
use crate::support::Shopper;
use crate::support::process::Process;

const BUYERS: usize = 8;
const STOCK: i64 = 100_000;
/// A buyer's finger, between two tries.
const PAUSE: Duration = Duration::from_millis(30);
/// Longest wait for a shop whose database is there.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest time until orders are taken again, once the database is.
const BACK: Duration = Duration::from_secs(15);

/// A shop, its buyers, and what they have been told.
pub struct Load {
    pub shop: Process,
    shoppers: Vec<Shopper>,
    skus: [i64; 2],
    diary: Rc<Diary>,
    signs: Rc<Signs>,
    buyers: Vec<JoinHandle<()>>,
}

/// What a test waits for.
struct Signs {
    /// A permit for each order that was acknowledged.
    placed: Semaphore,
    /// A permit for each order that was not.
    refused: Semaphore,
    over: Cell<bool>,
}

impl Load {
    /// Starts a shop on an empty database, and its buyers.
    pub async fn on(database_url: &str) -> Self {
        let settings = "[engine]\ncommit_wait_ms = 1000\n";
        let mut shop = Process::prepare_at(database_url, settings);
        shop.start();
        let on_order = shop.a_sku_of("order", 990, STOCK).await;
        let skus = [on_order, shop.a_sku_of("payment", 1_990, STOCK).await];
        let mut shoppers = Vec::new();
        for buyer in 0..BUYERS {
            shoppers.push(shop.shopper(&format!("buyer-{buyer}")).await);
        }
        let diary = Rc::new(Diary::default());
        let (placed, refused) = (Semaphore::new(0), Semaphore::new(0));
        let signs = Rc::new(Signs { placed, refused, over: Cell::new(false) });
        let buyers = (shoppers.iter().cloned().enumerate()).map(|buyer| {
            actix_rt::spawn(shops_on_and_on(buyer, skus, diary.clone(), signs.clone()))
        });
        let buyers = buyers.collect();
        Self { shop, shoppers, skus, diary, signs, buyers }
    }

    /// Waits for so many more orders; forgets those that were.
    pub async fn goes_on(&self, orders: u32) {
        self.signs.placed.forget_permits(usize::MAX >> 4);
        let more = self.signs.placed.acquire_many(orders);
        tokio::time::timeout(PATIENCE, more).await.expect("orders go on").unwrap().forget();
    }

    /// Waits until buyers are told that the shop cannot take their orders now.
    pub async fn stands_still(&self, refusals: u32) {
        self.signs.refused.forget_permits(usize::MAX >> 4);
        let told = self.signs.refused.acquire_many(refusals);
        tokio::time::timeout(PATIENCE, told).await.expect("buyers are told").unwrap().forget();
    }

    /// The database is there again: orders go on soon. How soon is said.
    pub async fn comes_back(&self) {
        let since = std::time::Instant::now();
        self.goes_on(1).await;
        let took = since.elapsed();
        println!("orders again after {} ms", took.as_millis());
        assert!(took < BACK, "it took {took:?}");
    }

    /// The buyers stop; everything is compared with what they were told.
    pub async fn holds(self) {
        self.signs.over.set(true);
        for buyer in self.buyers {
            buyer.await.unwrap();
        }
        let (shop, shoppers, diary) = (&self.shop, &self.shoppers, &self.diary);
        nothing_is_lost(shoppers, diary, 0).await;
        all_is_brought_to_its_end(shoppers, diary).await;
        wechat_has_seen_everything_once(shop, diary);
        every_piece_is_accounted_for(shop, shoppers, diary, self.skus, STOCK).await;
        println!("{} orders", diary.keys());
    }
}

async fn shops_on_and_on(
    (buyer, shopper): (usize, Shopper),
    skus: [i64; 2],
    diary: Rc<Diary>,
    signs: Rc<Signs>,
) {
    while !signs.over.get() {
        let (turn, key) = diary.turns();
        let body = shopper.order_body(&[(skus[turn % 2], 1 + turn as i64 % 3)]);
        diary.wants(&key, buyer, body.clone());
        let placed = loop {
            match shopper.tries_to_order(&key, body.clone()).await {
                Ok(placed) if matches!(placed.status, 200 | 201) => break placed,
                Ok(refused) => drop(refused.refused(503, "unavailable")),
                Err(_) => {}
            }
            signs.refused.add_permits(1);
            if signs.over.get() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        };
        diary.change(&key, |wanted| {
            wanted.order = Some((placed.order_id(), placed.order_no()));
        });
        signs.placed.add_permits(1);
        if turn.is_multiple_of(3) && !placed.payment().is_null() {
            let paid = shopper.pays_unheard(placed.payment());
            // Of two tries one may have come too late to be the one that counts.
            assert!(paid.reason.is_none(), "{paid:?}");
            diary.change(&key, |wanted| wanted.paid = true);
        }
    }
}
