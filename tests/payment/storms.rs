//! Notifications by the hundred at once: doubled, out of order, forged.

use buynow::sandbox::{Forge, Notify, PayAction, ShopAnswer};
use entity::order;
use futures_util::future::join_all;
use rand::seq::SliceRandom as _;
use sea_orm::{
    ColumnTrait as _, Database, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
};

use crate::desk::*;
use crate::support::{Reply, TestApp};

const BUYERS: usize = 40;
/// Who pays twice: every so many.
const TWICE: usize = 4;
/// Genuine notifications of each payment.
const GENUINE: u32 = 6;

/// Forged notifications of one payment: a wrong signature, another attach, another merchant.
fn forgeries() -> [Forge; 3] {
    [
        Forge { bad_sign: true, ..Forge::default() },
        Forge { attach: Some("9.forged".to_owned()), ..Forge::default() },
        Forge { mch_id: Some(crate::wechat::OTHER_MCH_ID.to_owned()), ..Forge::default() },
    ]
}

/// Places and pays an order of which the shop has not been told; its number and transactions.
async fn paid_unheard(app: &TestApp, sku: i64) -> Vec<(Reply, Vec<String>)> {
    silent(app);
    let mut paid = Vec::new();
    for (n, buyer) in app.crowd(BUYERS).await.into_iter().enumerate() {
        let placed = buyer.buys(sku, 1).await.expect(201);
        let action = if n.is_multiple_of(TWICE) { PayAction::Twice } else { PayAction::Pay };
        let outcome = buyer.acts_unheard(placed.payment(), action);
        paid.push((placed, outcome.transaction_ids));
    }
    paid
}

/// All that WeChat, and whoever says to be WeChat, sends; in no order.
fn storm(paid: &[(Reply, Vec<String>)]) -> Vec<(bool, Notify)> {
    let mut storm = Vec::new();
    for (placed, transactions) in paid {
        for transaction in transactions {
            let of = || Notify {
                transaction_id: Some(transaction.clone()),
                ..Notify::of(&placed.order_no())
            };
            storm.extend((0..GENUINE / 2).map(|_| (true, of().times(2).together())));
            storm.extend(forgeries().map(|forge| (false, of().forged(forge))));
        }
    }
    storm.shuffle(&mut rand::rng());
    storm
}

/// The table's name is a keyword, which each database quotes in its own way.
async fn paid_orders(app: &TestApp) -> u64 {
    let db = Database::connect(app.database_url()).await.unwrap();
    let paid = order::Entity::find().filter(order::Column::State.eq("paid"));
    let count = paid.count(&db).await.unwrap();
    db.close().await.unwrap();
    count
}

#[actix_rt::test]
async fn a_storm_of_doubled_reordered_and_forged_notifications_counts_each_payment_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(990, 100).await;
    let paid = paid_unheard(&app, sku).await;
    let storm = storm(&paid);
    let sent: u32 = storm.iter().map(|(_, notify)| notify.times).sum();
    let sending = storm.iter().map(|(_, notify)| app.sandbox.notify(notify));
    let answers: Vec<Vec<ShopAnswer>> =
        join_all(sending).await.into_iter().map(Result::unwrap).collect();
    for ((genuine, _), answers) in storm.iter().zip(&answers) {
        if *genuine { all_acknowledge(answers) } else { all_fail(answers) }
    }
    assert!(sent > 400, "{sent}");
    let payments = paid.iter().map(|(_, transactions)| transactions.len()).sum::<usize>();
    let sql = "SELECT COUNT(*) FROM payment GROUP BY kind ORDER BY kind";
    let twice = BUYERS.div_ceil(TWICE);
    assert_eq!(column(&app, sql).await, [BUYERS.to_string(), twice.to_string()]);
    assert_eq!(payments, BUYERS + twice);
    assert_eq!(paid_orders(&app).await, BUYERS as u64);
    assert_eq!(app.stock(sku).await, 100 - i64::try_from(BUYERS).unwrap());
    app.finish_refunds().await;
    for (placed, transactions) in &paid {
        let trade = app.sandbox.trade(&placed.order_no()).unwrap();
        let back = trade.payments.iter().map(|paid| paid.refunds.len()).sum::<usize>();
        assert_eq!(back, transactions.len() - 1, "{trade:?}");
    }
    app.audit_is_clean().await;
    app.stop().await;
}
