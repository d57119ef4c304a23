//! The process is killed in the middle of its work, again and again.
//!
//! WeChat lives in the test's own process and remembers; the shop is the real binary.

use std::rc::Rc;

use tokio::sync::Semaphore;

use super::diary::*;
use crate::support::process::Process;

const ROUNDS: usize = 20;
const BUYERS: usize = 8;
const STOCK: i64 = 100_000;

#[actix_web::test]
async fn a_server_that_is_killed_twenty_times_under_load_loses_and_doubles_nothing() {
    let mut shop = with_short_claims(Process::prepare());
    shop.start();
    let on_order = shop.a_sku_of("order", 990, STOCK).await;
    let skus = [on_order, shop.a_sku_of("payment", 1_990, STOCK).await];
    let mut shoppers = Vec::new();
    for buyer in 0..BUYERS {
        shoppers.push(shop.shopper(&format!("buyer-{buyer}")).await);
    }
    let diary = Rc::new(Diary::default());
    for round in 0..ROUNDS {
        diary.round.set(round);
        let told = Rc::new(Semaphore::new(0));
        let buyers = shoppers.iter().cloned().enumerate().map(|buyer| {
            actix_rt::spawn(shop_until_it_dies(buyer, skus, diary.clone(), told.clone()))
        });
        let buyers: Vec<_> = buyers.collect();
        // The blow falls at another place of the work in each round.
        let enough = u32::try_from(1 + round * 7 % 40).unwrap();
        told.acquire_many(enough).await.unwrap().forget();
        shop.kill();
        for buyer in buyers {
            buyer.await.unwrap();
        }
        shop.start();
        nothing_is_lost(&shoppers, &diary, round).await;
    }
    nothing_is_lost(&shoppers, &diary, 0).await;
    all_is_brought_to_its_end(&shoppers, &diary).await;
    wechat_has_seen_everything_once(&shop, &diary);
    every_piece_is_accounted_for(&shop, &shoppers, &diary, skus, STOCK).await;
    println!("{} orders, {ROUNDS} crashes", diary.keys());
}

#[actix_web::test]
async fn a_first_start_that_is_killed_anywhere_is_made_good_by_the_next() {
    let mut shop = Process::prepare();
    let steps = ["000001", "000003", "000005", "starting", "buynow serves"];
    for step in steps {
        shop.start_until(step);
        shop.kill();
    }
    shop.start();
    let sku = shop.a_sku_of("order", 990, 1).await;
    shop.shopper("alice").await.buys(sku, 1).await.expect(201);
    shop.audit_is_clean();
}
