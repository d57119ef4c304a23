//! Orders through both servers: nothing twice, nothing lost, nobody stuck.

use std::time::{Duration, Instant};

use buynow::clock::Clock;
use buynow::domain::id::WxappId;
use buynow::store::seed::{SeedFile, seed_url};
use futures_util::future::{join, join_all};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use serde_json::{Value, json};

use crate::pair::*;
use crate::support::process::Process;
use crate::support::{Reply, Shopper};

async fn seed(process: &Process, file: Value) -> Vec<i64> {
    let file = SeedFile::parse(file.to_string().as_bytes()).unwrap();
    let (url, wxapp) = (process.database_url(), WxappId::parse(10_001).unwrap());
    let seeded = seed_url(&url, wxapp, &file, Clock::system().now()).await.unwrap();
    seeded.goods.iter().flat_map(|goods| goods.skus.iter().map(|sku| sku.id)).collect()
}

/// Goods with one SKU each.
async fn skus(process: &Process, count: usize, stock: i64) -> Vec<i64> {
    let goods = (0..count).map(|nth| {
        let sku = json!({"code": format!("sku-{nth}"), "price_fen": 100, "stock": stock});
        json!({"name": "高山茶", "code": format!("goods-{nth}"), "skus": [sku]})
    });
    seed(process, json!({ "goods": goods.collect::<Vec<_>>() })).await
}

/// Pieces of each SKU in orders that were acknowledged.
#[derive(Default, Clone)]
struct Sold(std::rc::Rc<std::cell::RefCell<std::collections::BTreeMap<i64, i64>>>);

impl Sold {
    fn count(&self, items: &[(i64, i64)]) {
        for (sku, quantity) in items {
            *self.0.borrow_mut().entry(*sku).or_default() += quantity;
        }
    }
    fn of(&self, sku: i64) -> i64 {
        self.0.borrow().get(&sku).copied().unwrap_or(0)
    }
}

const SKUS: usize = 8;
const STOCK: i64 = 40;
const BUYERS: usize = 16;
const CARTS: usize = 12;
/// engine.stock_refresh_ms, and as much for the two clocks and the read.
const REFRESH: Duration = Duration::from_millis(1_000);

/// One to five SKUs in whatever order.
fn a_cart(skus: &[i64]) -> Vec<(i64, i64)> {
    let mut rng = rand::rng();
    let size = *[1, 2, 3, 4, 5].choose(&mut rng).unwrap();
    let mut cart: Vec<i64> = skus.choose_multiple(&mut rng, size).copied().collect();
    cart.shuffle(&mut rng);
    cart.into_iter().map(|sku| (sku, 1)).collect()
}

async fn fills_carts(shopper: Shopper, skus: Vec<i64>, sold: Sold) {
    for _ in 0..CARTS {
        let cart = a_cart(&skus);
        let mut body = shopper.order_body(&cart);
        body["prepay"] = json!(false);
        let key = format!("key-{}", rand::random::<u64>());
        let placed = shopper.orders_with(&key, body).await;
        match placed.status {
            201 => sold.count(&cart),
            _ => assert_eq!(placed.code(), "sold_out", "{}", placed.text),
        }
    }
}

#[actix_web::test]
async fn crossing_carts_through_two_servers_sell_what_is_there_without_a_deadlock() {
    let Some([first, second]) = serving("") else { return };
    let before = deadlocks(&first).await;
    let skus = skus(&first, SKUS, STOCK).await;
    let sold = Sold::default();
    let mut buying = Vec::new();
    for buyer in 0..BUYERS {
        let shopper = first.shopper(&format!("buyer-{buyer}")).await;
        let shopper = if buyer % 2 == 0 { shopper } else { shopper.at_process(&second) };
        buying.push(actix_rt::spawn(fills_carts(shopper, skus.clone(), sold.clone())));
    }
    for bought in join_all(buying).await {
        bought.unwrap();
    }
    for sku in skus {
        assert_eq!(first.stock(sku).await + sold.of(sku), STOCK, "SKU {sku}");
        // Carts ask for more than there is of every SKU, so that both sell the last pieces.
        assert!(sold.of(sku) > STOCK / 2, "SKU {sku}: {}", sold.of(sku));
    }
    for process in [&first, &second] {
        assert!(counted(process, "buynow_orders_total", "placed").await > 0);
    }
    assert_eq!(deadlocks(&first).await, before);
    no_deadlock([&first, &second]).await;
    first.audit_is_clean();
}

/// The ids of the orders that two answers tell of.
fn orders(replies: [&Reply; 2]) -> [i64; 2] {
    replies.map(Reply::order_id)
}

#[actix_web::test]
async fn the_same_key_at_two_servers_at_once_is_one_order() {
    let Some([first, second]) = serving("") else { return };
    let sku = first.a_sku_of("order", 100, 100).await;
    let here = first.shopper("alice").await;
    let there = here.at_process(&second);
    for round in 0..20 {
        let (key, body) = (format!("key-{round}"), here.order_body(&[(sku, 1)]));
        let both = join(here.orders_with(&key, body.clone()), there.orders_with(&key, body)).await;
        let [one, other] = orders([&both.0, &both.1]);
        assert_eq!(one, other, "{} {}", both.0.text, both.1.text);
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201]);
    }
    assert_eq!(first.stock(sku).await, 80);
    first.audit_is_clean();
}

#[actix_web::test]
async fn the_same_key_with_other_content_at_another_server_is_a_conflict() {
    let Some([first, second]) = serving("") else { return };
    let sku = first.a_sku_of("order", 100, 100).await;
    let here = first.shopper("alice").await;
    let there = here.at_process(&second);
    for round in 0..10 {
        let key = format!("key-{round}");
        let one = here.orders_with(&key, here.order_body(&[(sku, 1)]));
        let two = there.orders_with(&key, here.order_body(&[(sku, 2)]));
        let (one, two) = join(one, two).await;
        let (taken, refused) = if one.status == 201 { (one, two) } else { (two, one) };
        taken.expect(201);
        refused.refused(409, "idempotency_conflict");
    }
    first.audit_is_clean();
}

#[actix_web::test]
async fn a_limit_for_each_buyer_holds_through_two_servers() {
    let Some([first, second]) = serving("") else { return };
    let goods: Vec<Value> = (0..10)
        .map(|nth| {
            let sku = json!({"code": format!("sku-{nth}"), "price_fen": 100, "stock": 100});
            let code = format!("limited-{nth}");
            json!({"name": "限购茶", "code": code, "limit_per_user": 1, "skus": [sku]})
        })
        .collect();
    let skus = seed(&first, json!({ "goods": goods })).await;
    let here = first.shopper("alice").await;
    let there = here.at_process(&second);
    for sku in skus {
        let (one, two) = join(here.buys(sku, 1), there.buys(sku, 1)).await;
        let (taken, refused) = if one.status == 201 { (one, two) } else { (two, one) };
        taken.expect(201);
        refused.refused(409, "limit_exceeded");
    }
    first.audit_is_clean();
}

#[actix_web::test]
async fn what_is_given_up_at_one_server_is_soon_on_sale_at_the_other() {
    let Some([first, second]) = serving("") else { return };
    let sku = first.a_sku_of("order", 100, 5).await;
    let here = first.shopper("alice").await;
    let there = second.shopper("bob").await;
    let order = here.buys(sku, 5).await.expect(201).order_id();
    there.buys(sku, 1).await.refused(409, "sold_out");
    here.cancels(order).await.expect(200);
    // On a slow machine the closing goes on after the answer.
    becomes(&here, order, "closed").await;
    let given_up = Instant::now();
    let bought = async || {
        let tried = given_up.elapsed();
        let bought = there.buys(sku, 1).await;
        // Who asks later than this finds what was given up, however slow the machine is.
        assert!(bought.status == 201 || tried < REFRESH, "{tried:?}: {}", bought.text);
        (bought.status == 201).then_some(())
    };
    eventually("on sale", bought).await;
    first.audit_is_clean();
}

#[actix_web::test]
async fn what_is_sold_at_one_server_is_not_sold_again_at_the_other() {
    let Some([first, second]) = serving("") else { return };
    for round in 0..10 {
        let sku = first.a_sku_of("order", 100, 1).await;
        let here = first.shopper(&format!("alice-{round}")).await;
        let there = second.shopper(&format!("bob-{round}")).await;
        let (one, two) = join(here.buys(sku, 1), there.buys(sku, 1)).await;
        let (taken, refused) = if one.status == 201 { (one, two) } else { (two, one) };
        taken.expect(201);
        refused.refused(409, "sold_out");
        assert_eq!(second.stock(sku).await, 0);
    }
    first.audit_is_clean();
}

#[actix_web::test]
async fn a_session_of_one_server_is_good_at_the_other() {
    let Some([first, second]) = serving("") else { return };
    let here = first.shopper("alice").await;
    let there = here.at_process(&second);
    there.get("/api/v1/me").await.expect(200);
    let addresses = there.get("/api/v1/addresses").await.expect(200);
    assert_eq!(addresses.body["items"].as_array().unwrap().len(), 1);
    first.audit_is_clean();
}

#[actix_web::test]
async fn two_servers_that_start_at_the_same_moment_on_an_empty_database_both_serve() {
    let Some([mut first, mut second]) = prepared("") else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| first.start());
        scope.spawn(|| second.start());
    });
    let sku = first.a_sku_of("order", 100, 1_000).await;
    let mut ids = Vec::new();
    for process in [&first, &second] {
        let shoppers = (0..4).map(|nth| async move {
            let shopper = process.shopper(&format!("buyer-{nth}")).await;
            let mut ids = Vec::new();
            for _ in 0..10 {
                ids.push(shopper.buys(sku, 1).await.expect(201).order_id());
            }
            ids
        });
        ids.extend(join_all(shoppers).await.concat());
    }
    let orders = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((orders, ids.len()), (80, 80), "no id twice");
    assert_eq!(first.stock(sku).await, 920);
    first.audit_is_clean();
}
