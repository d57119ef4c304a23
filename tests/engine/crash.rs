//! The process is killed in the middle of its work, again and again.
//!
//! WeChat lives in the test's own process and remembers; the shop is the real binary.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use awc::http::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::Shopper;
use crate::support::process::Process;

const ROUNDS: usize = 20;
const BUYERS: usize = 8;
const STOCK: i64 = 100_000;

/// What one buyer has asked for, and what he was told.
#[derive(Clone)]
struct Wanted {
    round: usize,
    buyer: usize,
    body: Value,
    /// Acknowledged: id and number.
    order: Option<(i64, String)>,
    paid: bool,
    gave_up: bool,
}

/// All that was asked for, by idempotency key.
#[derive(Default)]
struct Diary {
    wanted: RefCell<BTreeMap<String, Wanted>>,
    next: Cell<usize>,
    round: Cell<usize>,
}

impl Diary {
    fn wants(&self, key: &str, buyer: usize, body: Value) {
        let round = self.round.get();
        let wanted = Wanted { round, buyer, body, order: None, paid: false, gave_up: false };
        self.wanted.borrow_mut().insert(key.to_owned(), wanted);
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Wanted)) {
        change(self.wanted.borrow_mut().get_mut(key).unwrap());
    }

    fn of(&self, wanted: impl Fn(&Wanted) -> bool) -> Vec<(String, Wanted)> {
        let all = self.wanted.borrow();
        all.iter().filter(|(_, w)| wanted(w)).map(|(key, w)| (key.clone(), w.clone())).collect()
    }
}

/// Orders, pays and gives up until the shop does not answer any more.
async fn shop_until_it_dies(
    (buyer, shopper): (usize, Shopper),
    skus: [i64; 2],
    diary: Rc<Diary>,
    told: Rc<Semaphore>,
) {
    loop {
        let turn = diary.next.replace(diary.next.get() + 1);
        let (key, quantity) = (format!("key-{turn}"), 1 + turn as i64 % 3);
        let body = shopper.order_body(&[(skus[turn % 2], quantity)]);
        diary.wants(&key, buyer, body.clone());
        let Ok(placed) = shopper.tries_to_order(&key, body).await else { return };
        let placed = placed.expect(201);
        let order = placed.order_id();
        diary.change(&key, |wanted| wanted.order = Some((order, placed.order_no())));
        told.add_permits(1);
        if turn.is_multiple_of(3) {
            let paid = shopper.pays_unheard(placed.payment());
            assert!(paid.reason.is_none(), "{paid:?}");
            diary.change(&key, |wanted| wanted.paid = true);
        } else if turn.is_multiple_of(7) {
            diary.change(&key, |wanted| wanted.gave_up = true);
            let path = format!("/api/v1/orders/{order}/cancel");
            let Ok(cancelled) = shopper.tries(Method::POST, &path, &[], json!({})).await else {
                return;
            };
            cancelled.expect(200);
        }
    }
}

/// Every order that was acknowledged is there; what was not can be repeated, once.
async fn nothing_is_lost(shoppers: &[Shopper], diary: &Diary, since: usize) {
    for (key, wanted) in diary.of(|wanted| wanted.round >= since) {
        let shopper = &shoppers[wanted.buyer];
        match wanted.order {
            Some((id, number)) => assert_eq!(shopper.order(id).await["order_no"], number),
            None => {
                let first = shopper.orders_with(&key, wanted.body.clone()).await;
                assert!(matches!(first.status, 200 | 201), "{first:?}");
                let again = shopper.orders_with(&key, wanted.body).await.expect(200);
                assert_eq!(first.order_id(), again.order_id(), "{key}");
                let order = Some((first.order_id(), first.order_no()));
                diary.change(&key, |wanted| wanted.order = order);
            }
        }
    }
}

/// What is paid is settled, and what was given up is closed, at the latest when asked for.
async fn all_is_brought_to_its_end(shoppers: &[Shopper], diary: &Diary) {
    for (_, wanted) in diary.of(|wanted| wanted.paid) {
        let (id, _) = wanted.order.unwrap();
        let path = format!("/api/v1/orders/{id}?refresh=true");
        let order = shoppers[wanted.buyer].get(&path).await.expect(200);
        assert_eq!(order.body["state"], "paid", "{order:?}");
    }
    for (_, wanted) in diary.of(|wanted| wanted.gave_up) {
        let (id, _) = wanted.order.unwrap();
        let cancelled = shoppers[wanted.buyer].cancels(id).await;
        let closed = cancelled.status == 409 || cancelled.body["state"] == "closed";
        assert!(closed, "{cancelled:?}");
        assert_eq!(shoppers[wanted.buyer].order(id).await["state"], "closed");
    }
}

/// Pieces of all orders that deduct them, and how many orders there are.
async fn sold(shoppers: &[Shopper], skus: [i64; 2]) -> ([i64; 2], usize) {
    let (mut pieces, mut orders) = ([0, 0], 0);
    for shopper in shoppers {
        let mut cursor = String::new();
        loop {
            let page = shopper.get(&format!("/api/v1/orders?limit=100{cursor}")).await.expect(200);
            for order in page.body["items"].as_array().unwrap() {
                orders += 1;
                let line = &order["lines"][0];
                let which = usize::from(line["sku_id"] == json!(skus[1]));
                let deducting = if which == 0 { &["unpaid", "paid"][..] } else { &["paid"] };
                if deducting.contains(&order["state"].as_str().unwrap()) {
                    pieces[which] += line["quantity"].as_i64().unwrap();
                }
            }
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    (pieces, orders)
}

#[actix_web::test]
async fn a_server_that_is_killed_twenty_times_under_load_loses_and_doubles_nothing() {
    let mut shop = Process::prepare();
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
    let (pieces, orders) = sold(&shoppers, skus).await;
    let keys = diary.wanted.borrow().len();
    assert_eq!(orders, keys, "one order for each key");
    for (sku, sold) in skus.into_iter().zip(pieces) {
        assert!(sold > 0);
        assert_eq!(shop.stock(sku).await + sold, STOCK, "SKU {sku}");
    }
    shop.audit_is_clean();
    println!("{keys} orders, {ROUNDS} crashes");
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
