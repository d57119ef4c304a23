//! The process dies at a named point of its work, under load, and starts again on what is left.
//!
//! The points are those of `buynow::crash`; what buyers do about it is in `diary`.

use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;

use buynow::crash::{CrashPoint, VARIABLE};
use buynow::sandbox::SettingsChange;
use tokio::sync::Semaphore;

use super::diary::*;
use crate::support::Shopper;
use crate::support::process::Process;

const BUYERS: usize = 6;
const STOCK: i64 = 10_000;
const SIGABRT: i32 = 6;

/// Buyers who take every message that the shop has.
async fn buyers(shop: &Process) -> Vec<Shopper> {
    let mut shoppers = Vec::new();
    for buyer in 0..BUYERS {
        let shopper = shop.shopper(&format!("buyer-{buyer}")).await;
        for _ in 0..4 {
            shopper.agree_to_messages().await;
        }
        shoppers.push(shopper);
    }
    shoppers
}

/// Lets the shop die when it comes to the point for the nth time, and go on afterwards.
async fn dies_at(point: CrashPoint, nth: u32) {
    let mut shop = with_short_claims(Process::prepare());
    shop.sandbox
        .settings(SettingsChange { refund_min_gap_seconds: Some(0), ..SettingsChange::default() });
    shop.start();
    let on_order = shop.a_sku_of("order", 990, STOCK).await;
    let skus = [on_order, shop.a_sku_of("payment", 1_990, STOCK).await];
    let shoppers = buyers(&shop).await;
    shop.send_sigterm();
    assert!(shop.ended().await.success());
    shop.start_to_die_at(&format!("{}:{nth}", point.as_str()));
    let (diary, told) = (Rc::new(Diary::default()), Rc::new(Semaphore::new(0)));
    let shopping: Vec<_> = (shoppers.iter().cloned().enumerate())
        .map(|buyer| actix_rt::spawn(shop_until_it_dies(buyer, skus, diary.clone(), told.clone())))
        .collect();
    let status = shop.ended().await;
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
    for buyer in shopping {
        buyer.await.unwrap();
    }
    shop.start();
    nothing_is_lost(&shoppers, &diary, 0).await;
    all_is_brought_to_its_end(&shoppers, &diary).await;
    wechat_has_seen_everything_once(&shop, &diary);
    every_piece_is_accounted_for(&shop, &shoppers, &diary, skus, STOCK).await;
}

#[actix_web::test]
async fn a_death_before_a_commit_loses_nothing_that_was_acknowledged() {
    dies_at(CrashPoint::BeforeCommit, 30).await;
}

#[actix_web::test]
async fn a_death_after_a_commit_and_before_its_answers_loses_and_doubles_nothing() {
    dies_at(CrashPoint::AfterCommit, 31).await;
}

#[actix_web::test]
async fn a_death_between_an_attempt_and_unifiedorder_leaves_an_order_that_can_be_paid() {
    dies_at(CrashPoint::BeforeUnifiedOrder, 10).await;
}

#[actix_web::test]
async fn a_death_with_a_prepay_id_that_is_not_recorded_leaves_an_order_that_can_be_paid() {
    dies_at(CrashPoint::AfterUnifiedOrder, 9).await;
}

#[actix_web::test]
async fn a_death_between_a_payment_and_its_acknowledgement_counts_it_once() {
    dies_at(CrashPoint::PaymentCommitted, 4).await;
}

#[actix_web::test]
async fn a_death_between_a_payment_and_its_message_tells_the_buyer_once_at_most() {
    dies_at(CrashPoint::MessageClaimed, 1).await;
}

#[actix_web::test]
async fn a_death_after_a_message_tells_the_buyer_once() {
    dies_at(CrashPoint::MessageSent, 2).await;
}

#[actix_web::test]
async fn a_death_in_a_closing_that_wechat_has_not_heard_of_leaves_it_to_be_finished() {
    dies_at(CrashPoint::ClosingBegun, 2).await;
}

#[actix_web::test]
async fn a_death_in_a_closing_that_wechat_has_answered_leaves_it_to_be_finished() {
    dies_at(CrashPoint::ClosedAtWechat, 2).await;
}

#[actix_web::test]
async fn a_death_in_a_closing_that_wechat_has_confirmed_leaves_it_to_be_finished() {
    dies_at(CrashPoint::CloseConfirmed, 1).await;
}

#[actix_web::test]
async fn a_death_between_a_refund_and_its_call_gives_nothing_back_twice() {
    dies_at(CrashPoint::BeforeRefund, 2).await;
}

#[actix_web::test]
async fn a_death_between_a_refund_and_its_record_gives_nothing_back_twice() {
    dies_at(CrashPoint::AfterRefund, 1).await;
}

#[test]
fn a_server_with_a_real_wechat_does_not_start_with_a_point_to_die_at() {
    let shop = Process::prepare();
    let real = [("BUYNOW__WECHAT__API_BASE", "https://api.example"), (VARIABLE, "after_commit")];
    let refused = shop.run_with(&real, &["serve"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(VARIABLE), "{said}");
}

#[test]
fn a_point_that_does_not_exist_is_refused() {
    let refused = Process::prepare().run_with(&[(VARIABLE, "lunch:1")], &["serve"]);
    assert_eq!(refused.status.code(), Some(2));
}
