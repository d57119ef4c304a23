//! Orders, payments, notifications, refunds.

use super::*;

#[actix_web::test]
async fn a_purchase_from_login_to_message() {
    let town = Town::new();
    let (_, login) = town.post("/sandbox/login", json!({"buyer": "alice"})).await;
    let code = login["code"].as_str().unwrap();
    let session = town
        .get(&format!(
            "/sns/jscode2session?appid={APPID}&secret=app-secret&js_code={code}&grant_type=authorization_code"
        ))
        .await;
    assert_eq!(session["openid"], openid(APPID, "alice"));

    let prepay_id = town.place().await;
    let mut sheet = town.sheet(&prepay_id);
    sheet["appid"] = json!(APPID);
    sheet["wait"] = json!(true);
    let (status, paid) = town.post("/sandbox/pay", sheet).await;
    assert_eq!((status, &paid["result"]), (200, &json!("ok")));
    assert_eq!(paid["notified"][0]["body"], ACKNOWLEDGED);
    let told = town.shop.told();
    assert_eq!(told.len(), 1);
    assert_eq!(sign::verify(&told[0], &api_key(), SignType::Md5), Ok(()));
    assert_eq!(told[0].get("attach"), Some("attempt-1"));
    assert_eq!(told[0].get("transaction_id"), paid["transaction_id"].as_str());

    let grant = json!({"buyer": "alice", "template_ids": ["paid", "unknown"]});
    let (_, accepted) = town.post("/sandbox/subscribe", grant).await;
    assert_eq!(accepted, json!({"accepted": ["paid"]}));
    let send = format!("/cgi-bin/message/subscribe/send?access_token={}", town.token().await);
    let (_, sent) = town.post(&send, message()).await;
    assert_eq!(sent["errcode"], 0);
    let messages =
        town.get(&format!("/sandbox/messages?appid={APPID}&buyer=alice&at_least=1")).await;
    assert_eq!(messages[0]["title"], "支付成功通知");
    assert_eq!(messages[0]["lines"][0]["label"], "商品");
    assert_eq!(messages[0]["kind"], "subscribe");
    assert_eq!(messages[0]["sent_at"], "2026-11-24T06:00:00Z");
}

#[actix_web::test]
async fn an_unacknowledged_notification_comes_again_by_the_clock() {
    let town = Town::new();
    town.shop.refuse(2);
    town.pay(PayAction::Pay).await;
    assert_eq!(town.sandbox.run_due().await, Ok(0), "not yet due");
    town.clock.advance(Duration::from_secs(15));
    assert_eq!(town.sandbox.run_due().await, Ok(1));
    town.clock.advance(Duration::from_secs(15));
    assert_eq!(town.sandbox.run_due().await, Ok(1));
    town.clock.advance(Duration::from_secs(100_000));
    assert_eq!(town.sandbox.run_due().await, Ok(0), "acknowledged");
    assert_eq!(town.shop.told().len(), 3);
    let trade = town.sandbox.trade(NUMBER).unwrap();
    assert!(trade.payments[0].acknowledged);
    assert_eq!(trade.payments[0].told, 3);
}

#[actix_web::test]
async fn an_unreachable_shop_is_told_later() {
    let mut town = Town::new();
    let reachable = std::mem::replace(&mut town.notify_url, "http://127.0.0.1:1/x".to_owned());
    let outcome = town.pay(PayAction::Pay).await;
    let id = outcome.transaction_id.unwrap();
    let answer = town.sandbox.told(NUMBER, &id).await.unwrap();
    assert_eq!(answer.status, 0);
    let forge = Forge { notify_url: Some(reachable), ..Forge::default() };
    let notify = Notify::of(NUMBER).forged(forge);
    let answers = town.sandbox.notify(&notify).await.unwrap();
    assert!(answers[0].acknowledges());
    let next = &town.sandbox.trade(NUMBER).unwrap().payments[0].next_notification_at;
    assert!(next.is_some(), "a delivery elsewhere acknowledges nothing");
}

#[actix_web::test]
async fn notifications_are_sent_again_and_forged_on_command() {
    let town = Town::new();
    let body = json!({"notify": "manual"});
    let (_, settings) = town.post("/sandbox/settings", body).await;
    assert_eq!(settings["notify"], "manual");
    let prepay_id = town.place().await;
    let sheet = PaySheet::new(APPID, &town.sheet(&prepay_id), PayAction::Pay).unwrap();
    assert_eq!(town.sandbox.pay(&sheet).result, PayResult::Ok);
    assert_eq!(town.sandbox.run_due().await, Ok(0));
    assert!(town.shop.told().is_empty());

    let again = json!({"out_trade_no": NUMBER, "times": 3, "together": true});
    let (_, answers) = town.post("/sandbox/notify", again).await;
    assert_eq!(answers["answers"].as_array().unwrap().len(), 3);
    assert_eq!(answers["answers"][2], json!({"status": 200, "body": ACKNOWLEDGED}));
    let forged = json!({"out_trade_no": NUMBER, "forge": {"bad_sign": true, "amount": 1}});
    town.post("/sandbox/notify", forged).await;
    let told = town.shop.told();
    assert_eq!(told.len(), 4);
    assert_eq!(told[3].get("total_fee"), Some("1"));
    assert!(sign::verify(&told[3], &api_key(), SignType::Md5).is_err());
}

#[actix_web::test]
async fn a_double_payment_is_notified_under_both_ids() {
    let town = Town::new();
    let outcome = town.pay(PayAction::Twice).await;
    let told = town.shop.told();
    let mut ids: Vec<_> = told.iter().map(|f| f.get("transaction_id").unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, outcome.transaction_ids);
    for id in ids {
        let answer = town.pay_call("/pay/orderquery", &[("transaction_id", id)]).await;
        assert_eq!(answer.get("transaction_id"), Some(id));
    }
}

#[actix_web::test]
async fn late_money_lands_after_the_close_and_is_notified() {
    let town = Town::new();
    town.pay(PayAction::Late).await;
    let close = town.pay_call("/pay/closeorder", &[("out_trade_no", NUMBER)]).await;
    assert_eq!(close.get("result_code"), Some("SUCCESS"));
    let query = town.pay_call("/pay/orderquery", &[("out_trade_no", NUMBER)]).await;
    assert_eq!(query.get("trade_state"), Some("CLOSED"));
    assert_eq!(town.sandbox.run_due().await, Ok(0));
    town.clock.advance(Duration::from_secs(2));
    town.sandbox.run_due().await.unwrap();
    assert_eq!(town.shop.told().len(), 1);
    assert_eq!(town.state(), "SUCCESS");
}

#[actix_web::test]
async fn refunds_are_accepted_queried_and_set() {
    let town = Town::new();
    town.pay(PayAction::Pay).await;
    let refund = [
        ("out_trade_no", NUMBER),
        ("out_refund_no", "r1"),
        ("total_fee", "1290"),
        ("refund_fee", "1290"),
    ];
    town.post("/sandbox/settings", json!({"balance_fen": 0, "refund": "manual"})).await;
    let short = town.pay_call("/secapi/pay/refund", &refund).await;
    assert_eq!(short.get("err_code"), Some("NOTENOUGH"));
    town.post("/sandbox/settings", json!({"balance_fen": null})).await;
    let soon = town.pay_call("/secapi/pay/refund", &refund).await;
    assert_eq!(soon.get("err_code"), Some("INVALID_REQ_TOO_MUCH"));
    town.clock.advance(Duration::from_secs(60));
    let accepted = town.pay_call("/secapi/pay/refund", &refund).await;
    assert_eq!(accepted.get("result_code"), Some("SUCCESS"));
    let status = async || {
        let query = [("out_refund_no", "r1")];
        let answer = town.pay_call("/pay/refundquery", &query).await;
        answer.get("refund_status_0").unwrap().to_owned()
    };
    assert_eq!(status().await, "PROCESSING");
    let set = json!({"status": "REFUNDCLOSE"});
    let (_, view) = town.post("/sandbox/refunds/r1", set).await;
    assert_eq!(view["status"], "REFUNDCLOSE");
    assert_eq!(status().await, "REFUNDCLOSE");
    assert_eq!(town.state(), "REFUND");
}

#[actix_web::test]
async fn three_hundred_payments_at_once_are_all_notified() {
    let town = Town::new();
    let town = &town;
    let orders = (0..300).map(|n| async move {
        let mut order = town.order();
        let number = format!("flash-{n:06}");
        order.insert("out_trade_no", number.as_str());
        let answer = town.try_pay_call("/pay/unifiedorder", order).await.unwrap();
        let sheet = town.sheet(answer.get("prepay_id").unwrap());
        let sheet = PaySheet::new(APPID, &sheet, PayAction::Pay).unwrap();
        assert_eq!(town.sandbox.pay(&sheet).result, PayResult::Ok);
        number
    });
    let numbers = future::join_all(orders).await;
    town.sandbox.run_due().await.unwrap();
    for number in numbers {
        let trade = town.sandbox.trade(&number).unwrap();
        assert_eq!((trade.payments[0].told, trade.payments[0].acknowledged), (1, true), "{number}");
    }
    assert_eq!(town.shop.told().len(), 300);
}

/// The only test on a clock that moves by itself: nobody asks, and yet what is due happens.
#[actix_web::test]
async fn with_a_moving_clock_what_is_due_happens_by_itself() {
    let town = Town::on(Clock::system());
    town.sandbox.settings(SettingsChange { late_after_seconds: Some(1), ..Default::default() });
    let outcome = town.pay(PayAction::Late).await;
    town.pay_call("/pay/closeorder", &[("out_trade_no", NUMBER)]).await;
    let told = town.sandbox.told(NUMBER, &outcome.transaction_ids[0]).await.unwrap();
    assert!(told.acknowledges());
    assert_eq!(town.state(), "SUCCESS");
}
