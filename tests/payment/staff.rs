//! What staff do about money, incidents, stock and messages.

use buynow::actors::desk::{Clerk, DeskError, DeskRefusal, InquiredWord};
use buynow::domain::desk::Resolution;
use buynow::domain::id::{IncidentId, NotificationId, SkuId, WxappId};
use buynow::domain::order::TransitionError;
use buynow::sandbox::{Fault, FaultCode, FaultKind, Forge, Notify};
use serde_json::json;

use crate::desk::*;
use crate::life::{number, order_id, paid, refused, sf, ships};
use crate::support::TestApp;

#[actix_rt::test]
async fn a_paid_order_is_given_back_whole_under_its_own_number() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    let order = paid(&alice, sku, 2).await;
    let (desk, clerk) = (app.desk(), app.clerk());
    desk.refund(&clerk, order_id(order), "缺货").await.unwrap();
    assert_eq!(alice.order(order).await["refund"]["state"], "open");
    let ship = desk.ship(&clerk, order_id(order), sf(), number("SF12345"), vec![]).await;
    assert_eq!(ship, Err(refused(DeskRefusal::RefundOpen)));
    let twice = desk.refund(&clerk, order_id(order), "缺货").await;
    assert_eq!(twice, Err(refused(DeskRefusal::RefundOpen)));
    app.audit_is_clean().await;

    app.finish_refunds().await;
    let shown = alice.order(order).await;
    assert_eq!(state_of(&shown), "refunded");
    assert_eq!(shown["refund"], json!({"state": "full", "refunded_fen": 200}));
    assert_eq!(app.stock(sku).await, 9, "it can be sold again");
    let transaction = shown["transaction_id"].as_str().unwrap();
    assert_eq!(asked(&app, REFUND, "out_refund_no"), [format!("r{transaction}-1")]);
    app.run_notifier().await;
    let messages = app.sandbox.messages(None, Some("alice"));
    assert_eq!(messages.last().unwrap().title, "退款通知");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_lost_answer_refunds_a_shipped_order_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 2).await;
    ships(&app, order, "SF12345").await;
    app.desk().refund(&app.clerk(), order_id(order), "破损").await.unwrap();
    fault(&app, REFUND, FaultKind::DropAfter);
    app.finish_refunds().await;
    let shown = alice.order(order).await;
    assert_eq!((state_of(&shown), &shown["refund"]["refunded_fen"]), ("refunded", &json!(200)));
    assert_eq!(app.stock(sku).await, 7, "the goods are with the buyer");
    assert_ne!(shown["shipped_at"], serde_json::Value::Null);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn staff_cancel_an_unpaid_order_at_wechat_first() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = alice.buys(sku, 1).await.expect(201).order_id();
    let (desk, clerk) = (app.desk(), app.clerk());
    desk.cancel_unpaid(&clerk, order_id(order), "重复下单").await.unwrap();
    let shown = alice.order(order).await;
    assert_eq!((state_of(&shown), &shown["close_reason"]), ("closed", &json!("staff")));
    assert_eq!((calls(&app, CLOSE).count, app.stock(sku).await), (1, 9));
    let again = desk.cancel_unpaid(&clerk, order_id(order), "重复下单").await;
    assert_eq!(again, Err(refused(TransitionError::AlreadyClosed)));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn what_wechat_does_not_confirm_is_released_and_late_money_goes_back() {
    let hasty = |c: &mut buynow::config::Config| c.engine.cancel_wait_ms = 50;
    let app = TestApp::builder().config(hasty).start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let placed = alice.buys(sku, 1).await.expect(201);
    let order = placed.order_id();
    broken(&app, CLOSE, FaultKind::Http500);
    let (desk, clerk) = (app.desk(), app.clerk());
    let early = desk.release(&clerk, order_id(order), "微信不回答").await;
    assert_eq!(early, Err(refused(TransitionError::NotClosing)));
    desk.cancel_unpaid(&clerk, order_id(order), "不要了").await.unwrap();
    app.run_reaper().await;
    assert_eq!((state_of(&alice.order(order).await), app.stock(sku).await), ("unpaid", 8));
    desk.release(&clerk, order_id(order), "微信不回答").await.unwrap();
    assert_eq!((state_of(&alice.order(order).await), app.stock(sku).await), ("closed", 9));

    alice.pays(placed.payment()).await;
    app.sandbox.clear_faults();
    app.finish_refunds().await;
    let shown = alice.order(order).await;
    assert_eq!((state_of(&shown), &shown["refund"]["state"]), ("closed", &json!("full")));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn asking_wechat_finds_money_that_nobody_told_of() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    silent(&app);
    let placed = alice.buys(sku, 1).await.expect(201);
    let (desk, clerk) = (app.desk(), app.clerk());
    let order = placed.order_id();
    let said = desk.ask_wechat(&clerk, order_id(order)).await.unwrap();
    assert_eq!(said[0].word, InquiredWord::NotPaid);
    alice.pays(placed.payment()).await;
    let said = desk.ask_wechat(&clerk, order_id(order)).await.unwrap();
    assert_eq!((said.len(), &said[0].word), (1, &InquiredWord::Paid));
    assert_eq!(state_of(&alice.order(order).await), "paid");
    broken(&app, QUERY, FaultKind::Http500);
    let said = desk.ask_wechat(&clerk, order_id(order)).await.unwrap();
    assert!(matches!(said[0].word, InquiredWord::NoAnswer(_)));
    app.stop().await;
}

#[actix_rt::test]
async fn an_incident_is_ended_once_with_a_reason() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    silent(&app);
    let placed = alice.buys(sku, 1).await.expect(201);
    alice.pays(placed.payment()).await;
    let order = placed.order_id();
    let mut notice =
        Notify::of(&latest_number(&app)).forged(Forge { amount: Some(99), ..Forge::default() });
    notice.times = 1;
    all_fail(&app.sandbox.notify(&notice).await.unwrap());
    assert_eq!(incidents(&app).await, 1);
    let id = column(&app, "SELECT id FROM incident").await[0].parse().unwrap();
    let id = IncidentId::parse(id).unwrap();
    let (desk, clerk) = (app.desk(), app.clerk());
    let matched = Resolution::Matched(order_id(order));
    assert!(desk.resolve_incident(&clerk, id, matched, "").await.is_err(), "a reason");
    desk.resolve_incident(&clerk, id, matched, "已电话核对").await.unwrap();
    assert_eq!(incidents(&app).await, 0);
    let again = desk.resolve_incident(&clerk, id, Resolution::Dismissed, "误报").await;
    assert_eq!(again, Err(refused(DeskRefusal::AlreadyResolved)));
    let row =
        "SELECT state || ' ' || order_id || ' ' || resolved_by || ' ' || resolution FROM incident";
    assert_eq!(column(&app, row).await, [format!("matched {order} 7 已电话核对")]);
    app.stop().await;
}

#[actix_rt::test]
async fn stock_is_moved_with_a_reason_and_never_below_zero() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 3).await;
    let alice = app.shopper("alice").await;
    let (desk, clerk) = (app.desk(), app.clerk());
    let id = SkuId::parse(sku).unwrap();
    desk.adjust_stock(&clerk, id, 4, "到货").await.unwrap();
    assert_eq!(app.stock(sku).await, 7);
    alice.buys(sku, 7).await.expect(201);
    let below = desk.adjust_stock(&clerk, id, -1, "破损").await;
    assert_eq!(below, Err(refused(DeskRefusal::NotEnough { stock: 0 })));
    let ledger = "SELECT kind || ' ' || delta || ' ' || balance || ' ' || who FROM stock_entry \
                  WHERE kind = 'adjust'";
    assert_eq!(column(&app, ledger).await, ["adjust 4 7 staff:7"]);
    alice.buys(sku, 1).await.refused(409, "sold_out");
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn memory_learns_of_moved_stock_at_once() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 1).await;
    let alice = app.shopper("alice").await;
    alice.buys(sku, 1).await.expect(201);
    alice.buys(sku, 1).await.refused(409, "sold_out");
    let id = SkuId::parse(sku).unwrap();
    app.desk().adjust_stock(&app.clerk(), id, 1, "到货").await.unwrap();
    alice.buys(sku, 1).await.expect(201);
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn a_message_that_was_given_up_is_sent_again() {
    let app = TestApp::start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    alice.agree_to_messages().await;
    paid(&alice, sku, 1).await;
    let code = Some(FaultCode::Number(47003));
    let fault = Fault { code, ..Fault::next(SEND, FaultKind::Errcode) };
    app.sandbox.fault(fault).unwrap();
    app.run_notifier().await;
    let id = column(&app, "SELECT id FROM notification WHERE state = 'parked'").await;
    let id = NotificationId::parse(id[0].parse().unwrap()).unwrap();
    let (desk, clerk) = (app.desk(), app.clerk());
    desk.resend(&clerk, id).await.unwrap();
    app.run_notifier().await;
    assert_eq!(app.sandbox.messages(None, Some("alice")).len(), 1);
    assert_eq!(desk.resend(&clerk, id).await, Err(refused(DeskRefusal::NotParked)));
    app.audit_is_clean().await;
    app.stop().await;
}

#[actix_rt::test]
async fn another_mini_programs_order_is_not_found() {
    let app = TestApp::builder().second_shop().start().await;
    let sku = app.a_sku(100, 9).await;
    let alice = app.shopper("alice").await;
    let order = paid(&alice, sku, 1).await;
    let clerk = Clerk { wxapp: WxappId::parse(10_002).unwrap(), ..app.clerk() };
    let desk = app.desk();
    let unknown = || Err::<_, DeskError>(refused(DeskRefusal::Unknown("order")));
    let id = order_id(order);
    assert_eq!(desk.ship(&clerk, id, sf(), number("SF12345"), vec![]).await, unknown());
    assert_eq!(desk.refund(&clerk, id, "缺货").await, unknown());
    assert_eq!(desk.note(&clerk, id, "?").await, unknown());
    assert!(desk.ask_wechat(&clerk, id).await.unwrap().is_empty());
    app.stop().await;
}
