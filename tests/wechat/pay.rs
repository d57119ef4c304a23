//! The pay client over real HTTP.

use std::net::TcpListener;
use std::time::Duration;

use buynow::domain::id::{OutRefundNo, TransactionId};
use buynow::domain::money::Money;
use buynow::domain::time::Timestamp;
use buynow::wechat::pay::{
    CallError, ErrCode, PayClient, PayConfig, PayError, RefundKey, RefundOf, RefundRequest,
    RefundState, SetupError, TradeState, UnifiedOrder, UnknownCause,
};
use buynow::wechat::{sign, xml};

use crate::logs;
use crate::stub::{Reply, Stub, merchant, number, pay_config, signed, signed_refusal};

fn client(stub: &Stub) -> PayClient {
    PayClient::new(pay_config(&stub.base)).unwrap()
}

fn order() -> UnifiedOrder {
    UnifiedOrder {
        body: "小店-杯子".to_owned(),
        out_trade_no: number(),
        total_fee: Money::from_fen(4215),
        client_ip: "203.0.113.7".to_owned(),
        openid: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned(),
        attach: "17.a]]>b".to_owned(),
        time_expire: Timestamp::from_seconds(1_795_516_215),
        notify_url: "https://shop.example.com/wechat/pay/v2/notify/10001".to_owned(),
    }
}

pub fn refund() -> RefundRequest {
    RefundRequest {
        payment: RefundOf::Transaction(TransactionId::parse("4200067594").unwrap()),
        out_refund_no: OutRefundNo::parse("r4200067594-1").unwrap(),
        total_fee: Money::from_fen(4215),
        refund_fee: Money::from_fen(4215),
        refund_desc: Some("已售罄".to_owned()),
        notify_url: None,
    }
}

pub fn refund_accepted() -> String {
    signed(&[
        ("refund_id", "5001"),
        ("out_refund_no", "r4200067594-1"),
        ("transaction_id", "4200067594"),
        ("refund_fee", "4215"),
    ])
}

fn unknown<T>(cause: impl Into<UnknownCause>) -> Result<T, PayError> {
    Err(PayError::Unknown(cause.into()))
}

#[actix_web::test]
async fn a_unified_order_is_sent_signed_and_gives_the_prepay_id() {
    let stub = Stub::start().await;
    stub.will("/pay/unifiedorder", [Reply::Body(signed(&[("prepay_id", "wx26")]))]);
    assert_eq!(client(&stub).unified_order(&merchant(), &order()).await, Ok("wx26".to_owned()));
    let asked = stub.asked("/pay/unifiedorder");
    let sent = xml::parse(asked[0].body.as_bytes()).unwrap();
    assert_eq!(sent.get("attach"), Some("17.a]]>b"));
    assert_eq!(sent.get("time_expire"), Some("20261124183015"));
    let merchant = merchant();
    assert_eq!(sign::verify(&sent, &merchant.api_key, merchant.sign_type), Ok(()));
    stub.stop().await;
}

#[actix_web::test]
async fn refusals_keep_their_codes() {
    let stub = Stub::start().await;
    for code in ["ORDERPAID", "OUT_TRADE_NO_USED", "NOAUTH"] {
        stub.will("/pay/unifiedorder", [Reply::Body(signed_refusal(code))]);
        let error = client(&stub).unified_order(&merchant(), &order()).await.unwrap_err();
        assert_eq!(error.code(), Some(&ErrCode::parse(code)));
    }
    stub.will("/pay/orderquery", [Reply::Body(signed_refusal("ORDERNOTEXIST"))]);
    let error = client(&stub).query_order(&merchant(), &number()).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrCode::OrderNotExist));
    stub.stop().await;
}

#[actix_web::test]
async fn whatever_is_no_signed_answer_is_unknown() {
    let stub = Stub::start().await;
    let forged = signed(&[("prepay_id", "wx26")]).replace("wx26", "wx27");
    let long = format!("<xml><a>{}</a></xml>", "x".repeat(xml::LIMIT_BYTES));
    for (reply, expected) in [
        (Reply::Status(500), UnknownCause::Call(CallError::Status(500))),
        (Reply::Status(302), UnknownCause::Call(CallError::Status(302))),
        (Reply::Body("<html/>".to_owned()), UnknownCause::Garbage("not a v2 message")),
        (Reply::Body(forged), UnknownCause::BadSignature),
        (Reply::Body(signed_refusal("SYSTEMERROR")), UnknownCause::System(ErrCode::SystemError)),
        (Reply::Body(long), UnknownCause::Call(CallError::TooLarge)),
    ] {
        stub.will("/pay/unifiedorder", [reply]);
        assert_eq!(client(&stub).unified_order(&merchant(), &order()).await, unknown(expected));
    }
    assert_eq!(stub.asked("/pay/unifiedorder").len(), 6, "none of them was repeated");
    stub.stop().await;
}

#[actix_web::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let stub = Stub::start().await;
    let config = PayConfig { call_timeout: Duration::from_millis(100), ..pay_config(&stub.base) };
    stub.will("/pay/closeorder", [Reply::Silence]);
    let closed = PayClient::new(config).unwrap().close_order(&merchant(), &number()).await;
    assert_eq!(closed, unknown(CallError::Timeout));
    stub.stop().await;
}

#[actix_web::test]
async fn without_a_connection_nothing_was_sent() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let client = PayClient::new(pay_config(&format!("http://{free}"))).unwrap();
    let error = client.unified_order(&merchant(), &order()).await.unwrap_err();
    assert!(error.was_not_sent() && !error.is_final(), "{error}");
}

#[actix_web::test]
async fn closing_what_is_closed_is_done_and_what_is_paid_is_told() {
    let stub = Stub::start().await;
    let empty = signed(&[("result_msg", ""), ("err_code", ""), ("err_code_des", "")]);
    let replies = [empty, signed_refusal("ORDERCLOSED"), signed_refusal("ORDERPAID")];
    stub.will("/pay/closeorder", replies.map(Reply::Body));
    let client = client(&stub);
    assert_eq!(client.close_order(&merchant(), &number()).await, Ok(()));
    assert_eq!(client.close_order(&merchant(), &number()).await, Ok(()));
    let paid = client.close_order(&merchant(), &number()).await.unwrap_err();
    assert_eq!(paid.code(), Some(&ErrCode::OrderPaid));
    stub.stop().await;
}

#[actix_web::test]
async fn a_query_tells_the_state() {
    let stub = Stub::start().await;
    let answer = signed(&[("trade_state", "NOTPAY"), ("out_trade_no", number().as_str())]);
    stub.will("/pay/orderquery", [Reply::Body(answer)]);
    let trade = client(&stub).query_order(&merchant(), &number()).await.unwrap();
    assert_eq!((trade.state, trade.paid), (TradeState::NotPay, None));
    stub.stop().await;
}

#[actix_web::test]
async fn a_refund_without_certificate_over_plain_http_is_accepted_by_a_gateway() {
    let stub = Stub::start().await;
    stub.will("/secapi/pay/refund", [Reply::Body(refund_accepted())]);
    let accepted = client(&stub).refund(&merchant(), &refund()).await.unwrap();
    assert_eq!(accepted.refund_id, "5001");
    stub.stop().await;
}

/// One page of refunds `from..to` out of `total`.
fn page(from: usize, to: usize, total: usize) -> Reply {
    let mut fields = vec![
        ("refund_count".to_owned(), (to - from).to_string()),
        ("total_refund_count".to_owned(), total.to_string()),
    ];
    for (n, refund) in (from..to).enumerate() {
        fields.extend([
            (format!("out_refund_no_{n}"), format!("r{refund}")),
            (format!("refund_id_{n}"), format!("5{refund}")),
            (format!("refund_fee_{n}"), "10".to_owned()),
            (format!("refund_status_{n}"), "SUCCESS".to_owned()),
        ]);
    }
    let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    Reply::Body(signed(&fields))
}

#[actix_web::test]
async fn refunds_are_read_over_all_pages() {
    let stub = Stub::start().await;
    stub.will("/pay/refundquery", [page(0, 10, 12), page(10, 12, 12)]);
    let key = RefundKey::Transaction(TransactionId::parse("4200067594").unwrap());
    let refunds = client(&stub).query_refunds(&merchant(), &key).await.unwrap();
    let numbers: Vec<_> = refunds.iter().map(|refund| refund.out_refund_no.as_str()).collect();
    assert_eq!(numbers, (0..12).map(|n| format!("r{n}")).collect::<Vec<_>>());
    assert!(refunds.iter().all(|refund| refund.state == RefundState::Success));
    let offsets: Vec<_> = stub
        .asked("/pay/refundquery")
        .iter()
        .map(|asked| xml::parse(asked.body.as_bytes()).unwrap().get("offset").map(str::to_owned))
        .collect();
    assert_eq!(offsets, [None, Some("10".to_owned())]);
    stub.stop().await;
}

#[actix_web::test]
async fn pages_that_never_end_are_given_up() {
    let stub = Stub::start().await;
    stub.will("/pay/refundquery", (0..20).map(|_| page(0, 1, 50)));
    let key = RefundKey::OutTradeNo(number());
    let refunds = client(&stub).query_refunds(&merchant(), &key).await.unwrap();
    assert_eq!((refunds.len(), stub.asked("/pay/refundquery").len()), (6, 6));
    stub.stop().await;
}

#[test]
fn a_base_that_is_no_address_is_named() {
    let made = PayClient::new(pay_config("api.mch.weixin.qq.com"));
    assert_eq!(made.err(), Some(SetupError::BaseUrl("api.mch.weixin.qq.com".to_owned())));
}

#[actix_web::test]
async fn logs_tell_path_and_code_but_nobodys_data() {
    logs::collect();
    let stub = Stub::start().await;
    stub.will("/pay/unifiedorder", [Reply::Body(signed_refusal("ORDERPAID"))]);
    assert!(client(&stub).unified_order(&merchant(), &order()).await.is_err());
    let fail = "<xml><return_code>FAIL</return_code><return_msg>no key</return_msg></xml>";
    stub.will("/pay/orderquery", [Reply::Body(fail.to_owned())]);
    assert!(client(&stub).query_order(&merchant(), &number()).await.is_err());
    let logged = logs::lines();
    for told in ["/pay/unifiedorder", "ORDERPAID", "return_fail", "no key"] {
        assert!(logged.contains(told), "{told} in {logged}");
    }
    for hidden in ["8934e7d1", "oUpF8", "203.0.113.7", "杯子"] {
        assert!(!logged.contains(hidden), "{hidden} in {logged}");
    }
    stub.stop().await;
}
