//! Payments with two servers: notifications may arrive at any, also at both at once.

use crate::letterbox::Letterbox;
use crate::pair::*;
use crate::support::process::Process;

/// Two servers whose notifications come to the letterbox.
fn behind_a_letterbox() -> Option<([Process; 2], String)> {
    let url = Letterbox::address();
    let [first, second] = prepared("")?;
    let mut pair = [first, second].map(|one| one.with_variable("BUYNOW__SERVER__PUBLIC_URL", &url));
    pair.iter_mut().for_each(Process::start);
    Some((pair, url))
}

async fn settled(pair: &[Process; 2]) -> u64 {
    let mut settled = 0;
    for process in pair {
        settled += counted(process, "buynow_settlements_total", "\"settled\"").await;
    }
    settled
}

#[actix_web::test]
async fn a_notification_that_comes_to_both_servers_at_once_settles_once() {
    let Some((pair, url)) = behind_a_letterbox() else { return };
    let letterbox = Letterbox::for_all(&url, pair.iter().map(|one| one.url.clone()).collect());
    let sku = pair[0].a_sku_of("payment", 100, 100).await;
    let shopper = pair[0].shopper("alice").await;
    for _ in 0..10 {
        let placed = shopper.buys(sku, 1).await.expect(201);
        shopper.pays(placed.payment()).await;
        assert_eq!(shopper.order(placed.order_id()).await["state"], "paid");
    }
    assert_eq!(settled(&pair).await, 10);
    assert_eq!(pair[0].stock(sku).await, 90);
    pair[0].audit_is_clean();
    letterbox.stop().await;
}

#[actix_web::test]
async fn a_notification_may_come_to_the_server_that_did_not_take_the_order() {
    let Some((pair, url)) = behind_a_letterbox() else { return };
    let letterbox = Letterbox::for_all(&url, vec![pair[1].url.clone()]);
    let sku = pair[0].a_sku_of("order", 100, 100).await;
    let shopper = pair[0].shopper("alice").await;
    let placed = shopper.buys(sku, 1).await.expect(201);
    shopper.pays(placed.payment()).await;
    assert_eq!(shopper.order(placed.order_id()).await["state"], "paid");
    assert_eq!(counted(&pair[1], "buynow_settlements_total", "\"settled\"").await, 1);
    pair[0].audit_is_clean();
    letterbox.stop().await;
}

#[actix_web::test]
async fn an_order_is_paid_and_given_up_through_either_server() {
    let Some([first, second]) = serving("") else { return };
    let sku = first.a_sku_of("order", 100, 100).await;
    let here = first.shopper("alice").await;
    let there = here.at_process(&second);
    let placed = here.buys(sku, 1).await.expect(201);
    let again = there.asks_to_pay(placed.order_id()).await.expect(200);
    assert_eq!(again.body["package"], placed.payment()["package"]);
    there.pays(&again.body).await;
    becomes(&here, placed.order_id(), "paid").await;
    let given_up = here.buys(sku, 1).await.expect(201).order_id();
    assert_eq!(state_of(&there.cancels(given_up).await.expect(200)), "closed");
    assert_eq!(here.order(given_up).await["state"], "closed");
    first.audit_is_clean();
}
