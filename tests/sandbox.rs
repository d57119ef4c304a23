//! The clients of `wechat/` against the simulated WeChat, over real HTTP: each call, each refusal
//! that a caller tells apart, and what is left when an answer is lost.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use buynow::clock::{Clock, Timestamp};
use buynow::domain::id::{OutRefundNo, OutTradeNo, TransactionId};
use buynow::domain::money::Money;
use buynow::sandbox::{
    Fault, FaultKind, Forge, Mode, Notify, PayAction, PayByNumber, PayResult, PaySheet, Sandbox,
    SandboxApp, SandboxConfig, SandboxHandle, SandboxTemplate, SettingsChange, TokenAction, openid,
};
use buynow::wechat::api::{ApiClient, ApiConfig};
use buynow::wechat::login::{LoginError, code_to_session};
use buynow::wechat::message::{
    MessageError, MiniProgramState, SubscribeMessage, TemplateMessage, send_subscribe,
    send_template,
};
use buynow::wechat::pay::{
    ErrCode, Merchant, PayClient, PayConfig, PayError, RefundKey, RefundOf, RefundRequest,
    RefundState, TradeState, UnifiedOrder, UnknownCause, request_payment_params,
};
use buynow::wechat::sign::SignType;
use buynow::wechat::token::TokenKeeper;
use secrecy::SecretString;

const APPID: &str = "wx8f3c2e1a9b7d4c60";
const NOON: Timestamp = Timestamp::from_seconds(1_795_500_000);
const UNIFIED_ORDER: &str = "/pay/unifiedorder";

struct Side {
    sandbox: SandboxHandle,
    clock: Clock,
    pay: PayClient,
    api: ApiClient,
    merchant: Merchant,
}

impl Side {
    fn start(sign_type: SignType) -> Self {
        let clock = Clock::manual(NOON);
        let api_key = SecretString::from("8934e7d15453e97507ef794cf7b0519d");
        let template = |id: &str, field: &str| SandboxTemplate {
            template_id: id.to_owned(),
            title: "付款成功通知".to_owned(),
            fields: vec![(field.to_owned(), "商品".to_owned())],
        };
        let app = SandboxApp {
            appid: APPID.to_owned(),
            secret: SecretString::from("app-secret"),
            mch_id: "1900012345".to_owned(),
            api_key: api_key.clone(),
            templates: vec![template("paid", "thing1"), template("old", "keyword1")],
        };
        let config = SandboxConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            clock: clock.clone(),
            apps: vec![app],
        };
        let sandbox = Sandbox::start(config).unwrap();
        sandbox.settings(SettingsChange { notify: Some(Mode::Manual), ..Default::default() });
        let second = Duration::from_secs(1);
        let pay = PayClient::new(PayConfig {
            base: sandbox.url().to_owned(),
            base_2: None,
            clock: Clock::system(),
            connect_timeout: second,
            call_timeout: 5 * second,
            refund_timeout: 5 * second,
            certificate: None,
            extra_root_pem: None,
        });
        let api = ApiClient::new(&ApiConfig {
            base: sandbox.url().to_owned(),
            base_2: None,
            clock: Clock::system(),
            connect_timeout: second,
            call_timeout: 5 * second,
            busy_pause: Duration::ZERO,
            extra_root_pem: None,
        });
        let merchant = Merchant {
            appid: APPID.to_owned(),
            mch_id: "1900012345".to_owned(),
            api_key,
            sign_type,
        };
        Self { sandbox, clock, pay: pay.unwrap(), api: api.unwrap(), merchant }
    }

    async fn place(&self, order: &UnifiedOrder) -> Result<String, PayError> {
        self.pay.unified_order(&self.merchant, order).await
    }

    /// The buyer pays on the phone with what we signed for it.
    fn buyer(&self, prepay_id: &str, action: PayAction) -> PayResult {
        let Merchant { appid, api_key, sign_type, .. } = &self.merchant;
        let seconds = NOON.as_seconds();
        let payment = request_payment_params(appid, prepay_id, seconds, "n", api_key, *sign_type);
        let payment = serde_json::to_value(payment).unwrap();
        self.sandbox.pay(&PaySheet::new(APPID, &payment, action).unwrap()).result
    }

    async fn state(&self) -> TradeState {
        self.pay.query_order(&self.merchant, &number()).await.unwrap().state
    }

    async fn close(&self) -> Result<(), PayError> {
        self.pay.close_order(&self.merchant, &number()).await
    }

    async fn refund(&self, number: &str, fen: i64) -> Result<(), PayError> {
        let request = RefundRequest {
            payment: RefundOf::OutTradeNo(self::number()),
            out_refund_no: OutRefundNo::parse(number).unwrap(),
            total_fee: Money::from_fen(1290),
            refund_fee: Money::from_fen(fen),
            refund_desc: Some("已售罄".to_owned()),
            notify_url: None,
        };
        self.pay.refund(&self.merchant, &request).await.map(drop)
    }

    fn tokens(&self) -> TokenKeeper {
        let secret = SecretString::from("app-secret");
        TokenKeeper::new(self.api.clone(), APPID.to_owned(), secret, self.clock.clone())
    }
}

fn number() -> OutTradeNo {
    OutTradeNo::parse("20261125000001").unwrap()
}

fn order() -> UnifiedOrder {
    UnifiedOrder {
        body: "小店-茶".to_owned(),
        out_trade_no: number(),
        total_fee: Money::from_fen(1290),
        client_ip: "203.0.113.7".to_owned(),
        openid: openid(APPID, "alice"),
        attach: "17.a]]>b".to_owned(),
        time_expire: NOON.plus_seconds(900),
        notify_url: "http://127.0.0.1:9/wechat/pay/v2/notify/10001".to_owned(),
    }
}

#[track_caller]
fn refused_with(outcome: Result<impl std::fmt::Debug, PayError>, code: ErrCode) {
    assert_eq!(outcome.unwrap_err().code(), Some(&code));
}

#[actix_web::test]
async fn a_trade_goes_from_order_to_refund_under_both_signatures() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let side = Side::start(sign_type);
        let prepay_id = side.place(&order()).await.unwrap();
        assert_eq!(side.state().await, TradeState::NotPay);
        assert_eq!(side.buyer(&prepay_id, PayAction::Pay), PayResult::Ok);
        let trade = side.pay.query_order(&side.merchant, &number()).await.unwrap();
        assert_eq!(trade.state, TradeState::Success);
        assert_eq!(trade.attach.as_deref(), Some("17.a]]>b"));
        let paid = trade.paid.unwrap();
        assert_eq!(paid.total_fee, Money::from_fen(1290));
        assert_eq!(paid.paid_at, NOON);
        assert_eq!(paid.openid, Some(openid(APPID, "alice")));
        side.refund("r1", 1290).await.unwrap();
        assert_eq!(side.state().await, TradeState::Refund);
        let key = RefundKey::Transaction(paid.transaction_id);
        let refunds = side.pay.query_refunds(&side.merchant, &key).await.unwrap();
        assert_eq!((refunds.len(), refunds[0].state.clone()), (1, RefundState::Success));
        assert_eq!(refunds[0].success_at, Some(NOON));
    }
}

#[actix_web::test]
async fn each_state_of_a_number_refuses_in_its_own_way() {
    let side = Side::start(SignType::Md5);
    refused_with(side.pay.query_order(&side.merchant, &number()).await, ErrCode::OrderNotExist);
    refused_with(side.close().await, ErrCode::OrderNotExist);
    let prepay_id = side.place(&order()).await.unwrap();
    let dearer = UnifiedOrder { total_fee: Money::from_fen(1291), ..order() };
    refused_with(side.place(&dearer).await, ErrCode::InvalidRequest);
    assert_eq!(side.buyer(&prepay_id, PayAction::Fail), PayResult::Fail);
    assert_eq!(side.state().await, TradeState::PayError);
    assert_eq!(side.close().await, Ok(()));
    assert_eq!(side.close().await, Ok(()), "closed before is closed");
    refused_with(side.place(&order()).await, ErrCode::OrderClosed);
    assert_eq!(side.buyer(&prepay_id, PayAction::Pay), PayResult::Fail);
    let late = PayByNumber { out_trade_no: number().to_string(), ..Default::default() };
    side.sandbox.pay_by_number(&late).unwrap();
    refused_with(side.place(&order()).await, ErrCode::OrderPaid);
    refused_with(side.close().await, ErrCode::OrderPaid);
}

#[actix_web::test]
async fn a_wrong_key_is_no_refusal_but_an_alarm() {
    let mut side = Side::start(SignType::Md5);
    side.merchant.api_key = SecretString::from("another key");
    let error = side.place(&order()).await.unwrap_err();
    assert!(matches!(error, PayError::Unknown(UnknownCause::ReturnFail(_))), "{error:?}");
    assert!(error.needs_alarm());
    assert!(side.sandbox.trade(number().as_str()).is_err());
}

#[actix_web::test]
async fn every_fault_leaves_the_outcome_unknown_and_a_repeat_mends_it() {
    let side = Side::start(SignType::Md5);
    for (fault, landed) in [
        (Fault::next(UNIFIED_ORDER, FaultKind::Http500), false),
        (Fault::next(UNIFIED_ORDER, FaultKind::Garbage), false),
        (Fault::next(UNIFIED_ORDER, FaultKind::DropBefore), false),
        (Fault::refuse(UNIFIED_ORDER, "SYSTEMERROR"), false),
        (Fault::refuse(UNIFIED_ORDER, "SYSTEMERROR").with_effect(), true),
        (Fault::next(UNIFIED_ORDER, FaultKind::BadSign), true),
        (Fault::next(UNIFIED_ORDER, FaultKind::DropAfter), true),
    ] {
        let kind = fault.kind;
        side.sandbox.fault(fault).unwrap();
        let outcome = side.place(&order()).await;
        assert!(matches!(outcome, Err(PayError::Unknown(_))), "{kind:?}: {outcome:?}");
        let landed_now = side.sandbox.trade(number().as_str()).is_ok();
        assert_eq!(landed_now, landed, "{kind:?}");
    }
    assert!(side.place(&order()).await.is_ok());
}

#[actix_web::test]
async fn refunds_are_paced_repeated_and_paged() {
    let side = Side::start(SignType::Md5);
    let prepay_id = side.place(&order()).await.unwrap();
    refused_with(side.refund("r0", 1).await, ErrCode::OrderNotExist);
    side.buyer(&prepay_id, PayAction::Pay);
    side.sandbox.settings(SettingsChange { balance_fen: Some(Some(0)), ..Default::default() });
    refused_with(side.refund("r0", 1).await, ErrCode::NotEnough);
    side.sandbox.settings(SettingsChange { balance_fen: Some(None), ..Default::default() });
    refused_with(side.refund("r0", 1).await, ErrCode::InvalidReqTooMuch);
    for n in 0..13 {
        side.clock.advance(Duration::from_secs(60));
        side.refund(&format!("r{n}"), 1).await.unwrap();
    }
    side.clock.advance(Duration::from_secs(60));
    side.refund("r0", 1).await.unwrap();
    let key = RefundKey::OutTradeNo(number());
    let refunds = side.pay.query_refunds(&side.merchant, &key).await.unwrap();
    assert_eq!(refunds.len(), 13);
    let unknown = RefundKey::OutRefundNo(OutRefundNo::parse("r99").unwrap());
    let unknown = side.pay.query_refunds(&side.merchant, &unknown).await;
    refused_with(unknown, ErrCode::RefundNotExist);
    let other = RefundRequest {
        payment: RefundOf::Transaction(TransactionId::parse("4200").unwrap()),
        out_refund_no: OutRefundNo::parse("r100").unwrap(),
        total_fee: Money::from_fen(1),
        refund_fee: Money::from_fen(1),
        refund_desc: None,
        notify_url: None,
    };
    let other = side.pay.refund(&side.merchant, &other).await;
    refused_with(other, ErrCode::InvalidTransactionId);
}

#[actix_web::test]
async fn notifying_a_shop_that_is_not_there_is_an_answer_of_its_own() {
    let side = Side::start(SignType::Md5);
    let prepay_id = side.place(&order()).await.unwrap();
    side.buyer(&prepay_id, PayAction::Pay);
    let forge = Forge { notify_url: Some("http://127.0.0.1:1/".to_owned()), ..Default::default() };
    let notify = Notify::of(number().as_str()).times(2).together().forged(forge);
    let answers = side.sandbox.notify(&notify).await.unwrap();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [0, 0]);
}

#[actix_web::test]
async fn a_code_opens_one_session() {
    let side = Side::start(SignType::Md5);
    let code = side.sandbox.login(None, "alice").unwrap().code;
    let secret = SecretString::from("app-secret");
    let session = code_to_session(&side.api, APPID, &secret, &code).await.unwrap();
    assert_eq!(session.openid, openid(APPID, "alice"));
    let again = code_to_session(&side.api, APPID, &secret, &code).await;
    assert!(matches!(again, Err(LoginError::CodeUsed)), "{again:?}");
    let wrong = SecretString::from("wrong");
    let wrong = code_to_session(&side.api, APPID, &wrong, &code).await;
    assert!(matches!(wrong, Err(LoginError::Configuration(40125))), "{wrong:?}");
}

fn message(value: &str) -> SubscribeMessage {
    SubscribeMessage {
        openid: openid(APPID, "alice"),
        template_id: "paid".to_owned(),
        page: Some("pages/order/detail?id=1".to_owned()),
        state: MiniProgramState::Formal,
        data: vec![("thing1".to_owned(), value.to_owned())],
    }
}

#[actix_web::test]
async fn a_message_takes_a_grant_and_outlives_a_revoked_token() {
    let side = Side::start(SignType::Md5);
    let tokens = side.tokens();
    let send = async |value| send_subscribe(&side.api, &tokens, &message(value)).await;
    let none = send("茶").await;
    assert!(matches!(none, Err(MessageError::Refused)), "{none:?}");
    side.sandbox.subscribe(None, "alice", &["paid".to_owned()]).unwrap();
    let broken = send("").await;
    assert!(
        matches!(&broken, Err(MessageError::FieldRule(name)) if name == "thing1"),
        "{broken:?}"
    );
    for action in [TokenAction::Revoke, TokenAction::Expire] {
        side.sandbox.subscribe(None, "alice", &["paid".to_owned()]).unwrap();
        side.sandbox.token(None, action).unwrap();
        send("茶").await.unwrap();
    }
    let messages = side.sandbox.wait_for_messages(2).await.unwrap();
    assert_eq!((messages[1].buyer.as_str(), messages[1].lines[0].value.as_str()), ("alice", "茶"));
}

#[actix_web::test]
async fn a_paid_prepay_id_carries_three_template_messages() {
    let side = Side::start(SignType::Md5);
    let tokens = side.tokens();
    let prepay_id = side.place(&order()).await.unwrap();
    let message = TemplateMessage {
        openid: openid(APPID, "alice"),
        template_id: "old".to_owned(),
        page: None,
        form_id: prepay_id.clone(),
        data: vec![("keyword1".to_owned(), "茶".to_owned())],
        emphasis_keyword: Some("keyword1.DATA".to_owned()),
    };
    let send = async || send_template(&side.api, &tokens, &message).await;
    assert!(send().await.is_err(), "not paid yet");
    side.buyer(&prepay_id, PayAction::Pay);
    for _ in 0..3 {
        send().await.unwrap();
    }
    assert!(send().await.is_err(), "used up");
}

#[actix_web::test]
async fn a_message_whose_answer_is_lost_is_delivered_once_and_unknown() {
    let side = Side::start(SignType::Md5);
    let tokens = side.tokens();
    side.sandbox.subscribe(None, "alice", &["paid".to_owned(), "paid".to_owned()]).unwrap();
    let lost = Fault::next("/cgi-bin/message/subscribe/send", FaultKind::DropAfter);
    side.sandbox.fault(lost).unwrap();
    let sent = send_subscribe(&side.api, &tokens, &message("茶")).await;
    assert!(matches!(sent, Err(MessageError::Unknown)), "{sent:?}");
    assert_eq!(side.sandbox.messages(None, Some("alice")).len(), 1);
    assert_eq!(side.sandbox.grants(APPID, "alice", "paid"), 1);
}
