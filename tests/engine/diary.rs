//! What buyers have asked of a shop that dies, what they were told, and whether that still holds.

#![allow(dead_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use awc::http::Method;
use buynow::sandbox::{MessageLine, PayAction};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::process::Process;
use crate::support::{Reply, Shopper};

/// A shop that has not died after so many orders is not going to.
const TURNS_MAX: usize = 2_000;
/// How often a quiet shop is asked for an order, and how long it is left alone in between.
const ASKS_MAX: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// What one buyer has asked for, and what he was told.
#[derive(Clone)]
pub struct Wanted {
    pub round: usize,
    pub buyer: usize,
    pub body: Value,
    /// Acknowledged: id and number.
    pub order: Option<(i64, String)>,
    pub paid: bool,
    pub gave_up: bool,
}

/// All that was asked for, by idempotency key.
#[derive(Default)]
pub struct Diary {
    wanted: RefCell<BTreeMap<String, Wanted>>,
    next: Cell<usize>,
    pub round: Cell<usize>,
}

impl Diary {
    /// The next turn, and its key.
    pub fn turns(&self) -> (usize, String) {
        let turn = self.next.replace(self.next.get() + 1);
        (turn, format!("key-{turn}"))
    }

    pub fn keys(&self) -> usize {
        self.wanted.borrow().len()
    }

    pub fn wants(&self, key: &str, buyer: usize, body: Value) {
        let round = self.round.get();
        let wanted = Wanted { round, buyer, body, order: None, paid: false, gave_up: false };
        self.wanted.borrow_mut().insert(key.to_owned(), wanted);
    }

    pub fn change(&self, key: &str, change: impl FnOnce(&mut Wanted)) {
        change(self.wanted.borrow_mut().get_mut(key).unwrap());
    }

    pub fn of(&self, wanted: impl Fn(&Wanted) -> bool) -> Vec<(String, Wanted)> {
        let all = self.wanted.borrow();
        all.iter().filter(|(_, w)| wanted(w)).map(|(key, w)| (key.clone(), w.clone())).collect()
    }
}

/// Orders, pays once or twice, and gives up, until the shop does not answer any more.
pub async fn shop_until_it_dies(
    (buyer, shopper): (usize, Shopper),
    skus: [i64; 2],
    diary: Rc<Diary>,
    told: Rc<Semaphore>,
) {
    while diary.next.get() < TURNS_MAX {
        let (turn, key) = diary.turns();
        let quantity = 1 + turn as i64 % 3;
        let body = shopper.order_body(&[(skus[turn % 2], quantity)]);
        diary.wants(&key, buyer, body.clone());
        let Ok(placed) = shopper.tries_to_order(&key, body).await else { return };
        if placed.status == 503 {
            // It is going down; whether this is an order will be asked again.
            return;
        }
        let placed = placed.expect(201);
        let order = placed.order_id();
        diary.change(&key, |wanted| wanted.order = Some((order, placed.order_no())));
        told.add_permits(1);
        if placed.payment().is_null() {
            // Cut short by the end of the shop.
        } else if turn.is_multiple_of(3) {
            let twice = if turn.is_multiple_of(6) { PayAction::Twice } else { PayAction::Pay };
            let paid = shopper.acts_unheard(placed.payment(), twice);
            assert!(paid.reason.is_none(), "{paid:?}");
            diary.change(&key, |wanted| wanted.paid = true);
        } else if turn.is_multiple_of(7) {
            diary.change(&key, |wanted| wanted.gave_up = true);
            let path = format!("/api/v1/orders/{order}/cancel");
            let Ok(cancelled) = shopper.tries(Method::POST, &path, &[], json!({})).await else {
                return;
            };
            assert!(matches!(cancelled.status, 200 | 503), "{cancelled:?}");
        }
    }
}

/// On a busy machine a commit may take longer than a buyer has to wait for it: he asks again.
async fn asks_until_answered(shopper: &Shopper, key: &str, body: &Value) -> Reply {
    let mut answer = shopper.orders_with(key, body.clone()).await;
    for _ in 0..ASKS_MAX {
        if answer.status != 503 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        answer = shopper.orders_with(key, body.clone()).await;
    }
    answer
}

/// Every order that was acknowledged is there; what was not can be repeated, once.
pub async fn nothing_is_lost(shoppers: &[Shopper], diary: &Diary, since: usize) {
    for (key, wanted) in diary.of(|wanted| wanted.round >= since) {
        let shopper = &shoppers[wanted.buyer];
        match wanted.order {
            Some((id, number)) => assert_eq!(shopper.order(id).await["order_no"], number),
            None => {
                let first = asks_until_answered(shopper, &key, &wanted.body).await;
                assert!(matches!(first.status, 200 | 201), "{first:?}");
                let again = asks_until_answered(shopper, &key, &wanted.body).await.expect(200);
                assert_eq!(first.order_id(), again.order_id(), "{key}");
                let order = Some((first.order_id(), first.order_no()));
                diary.change(&key, |wanted| wanted.order = order);
            }
        }
    }
}

/// What is paid is settled, and what was given up is closed, at the latest when asked for.
pub async fn all_is_brought_to_its_end(shoppers: &[Shopper], diary: &Diary) {
    for (_, wanted) in diary.of(|wanted| wanted.paid) {
        let (id, _) = wanted.order.unwrap();
        let path = format!("/api/v1/orders/{id}?refresh=true");
        let order = shoppers[wanted.buyer].get(&path).await.expect(200);
        assert_eq!(order.body["state"], "paid", "{order:?}");
    }
    for (_, wanted) in diary.of(|wanted| wanted.gave_up) {
        let (id, _) = wanted.order.unwrap();
        let cancelled = cancels_to_the_end(&shoppers[wanted.buyer], id).await;
        let closed = cancelled.status == 409 || cancelled.body["state"] == "closed";
        assert!(closed, "{cancelled:?}");
        assert_eq!(shoppers[wanted.buyer].order(id).await["state"], "closed");
    }
}

/// What a dead process had taken up another goes on with soon, when the claim has run out; calls to
/// WeChat are shorter.
pub fn with_short_claims(shop: Process) -> Process {
    shop.with_variable("BUYNOW__ENGINE__CLAIM_SECONDS", "3")
        .with_variable("BUYNOW__WECHAT__CONNECT_TIMEOUT_MS", "500")
        .with_variable("BUYNOW__WECHAT__CALL_TIMEOUT_MS", "1500")
        .with_variable("BUYNOW__WECHAT__REFUND_TIMEOUT_MS", "1500")
}

async fn cancels_to_the_end(shopper: &Shopper, order: i64) -> Reply {
    for _ in 0..100 {
        let cancelled = shopper.cancels(order).await;
        if cancelled.body["closing"] != true {
            return cancelled;
        }
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("order {order} is not closed although its claim has run out");
}

/// At WeChat: of each paid order one payment stays, and none went back twice; and of each order one
/// message of its payment has arrived, or two if the process died between it and its answer.
pub fn wechat_has_seen_everything_once(shop: &Process, diary: &Diary) {
    for (_, wanted) in diary.of(|wanted| wanted.paid) {
        let (_, number) = wanted.order.unwrap();
        let trade = shop.sandbox.trade(&number).unwrap();
        let refunds = trade.payments.iter().map(|paid| paid.refunds.len());
        assert!(refunds.clone().all(|refunds| refunds <= 1), "{trade:?}");
        assert!(refunds.sum::<usize>() < trade.payments.len(), "{trade:?}");
    }
    let told = shop.sandbox.messages(None, None);
    let number = |line: &MessageLine| (line.label == "订单编号").then(|| line.value.clone());
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for message in &told {
        *times.entry(message.lines.iter().find_map(number).unwrap()).or_default() += 1;
    }
    // One whose answer died with the process is tried once more when its claim has run out.
    assert!(times.values().all(|times| *times <= 2), "{told:?}");
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

/// One order for each key, and every piece is either sold or there.
pub async fn every_piece_is_accounted_for(
    shop: &Process,
    shoppers: &[Shopper],
    diary: &Diary,
    skus: [i64; 2],
    stock: i64,
) {
    let (pieces, orders) = sold(shoppers, skus).await;
    assert_eq!(orders, diary.keys(), "one order for each key");
    for (sku, sold) in skus.into_iter().zip(pieces) {
        assert_eq!(shop.stock(sku).await + sold, stock, "SKU {sku}");
    }
    shop.audit_is_clean();
}
