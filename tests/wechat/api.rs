//! Login, access token and messages over real HTTP.

use std::time::Duration;

use buynow::clock::{Clock, Timestamp};
use buynow::wechat::api::{ApiClient, ApiConfig};
use buynow::wechat::login::{LoginError, WechatSession, code_to_session};
use buynow::wechat::message::{
    MessageError, MiniProgramState, Sent, SubscribeMessage, TemplateMessage, send_subscribe,
    send_template,
};
use buynow::wechat::token::{TokenError, TokenKeeper};
use futures_util::FutureExt;
use futures_util::future::join_all;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::logs;
use crate::stub::{Reply, Stub};

const LOGIN: &str = "/sns/jscode2session";
const TOKEN: &str = "/cgi-bin/stable_token";
const SUBSCRIBE: &str = "/cgi-bin/message/subscribe/send";
const TEMPLATE: &str = "/cgi-bin/message/wxopen/template/send";

const SECRET: &str = "app-secret-5f2c";
const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";

fn api(base: &str) -> ApiClient {
    let config = ApiConfig {
        base: base.to_owned(),
        base_2: None,
        clock: Clock::system(),
        connect_timeout: Duration::from_secs(20),
        call_timeout: Duration::from_secs(20),
        busy_pause: Duration::ZERO,
        extra_root_pem: None,
    };
    ApiClient::new(&config).unwrap()
}

fn json(value: Value) -> Reply {
    Reply::Body(value.to_string())
}

fn code(code: i64) -> Reply {
    json(json!({ "errcode": code, "errmsg": "some text, rid: 6f4b2c1a-0d1e" }))
}

fn token(name: &str, expires_in: i64) -> Reply {
    json(json!({ "access_token": name, "expires_in": expires_in }))
}

async fn login(stub: &Stub) -> Result<WechatSession, LoginError> {
    let secret = SecretString::from(SECRET);
    code_to_session(&api(&stub.base), "wx8f3c", &secret, "0a1b+/=&x").await
}

#[actix_web::test]
async fn a_code_becomes_a_session() {
    let stub = Stub::start().await;
    let answer =
        json!({ "openid": OPENID, "session_key": "tiihtNczf5v6AKRyjwEUhQ==", "errcode": 0 });
    stub.will(LOGIN, [json(answer)]);
    let session = login(&stub).await.unwrap();
    assert_eq!(session.openid, OPENID);
    assert_eq!(session.session_key.expose_secret(), "tiihtNczf5v6AKRyjwEUhQ==");
    assert_eq!(session.unionid, None);
    let query = &stub.asked(LOGIN)[0].query;
    let expected = format!(
        "appid=wx8f3c&secret={SECRET}&js_code=0a1b%2B%2F%3D%26x&grant_type=authorization_code"
    );
    assert_eq!(*query, expected, "the code is encoded");
    stub.stop().await;
}

#[actix_web::test]
async fn each_refused_login_has_its_name() {
    let stub = Stub::start().await;
    for (number, expected) in [
        (40029, LoginError::CodeInvalid),
        (40163, LoginError::CodeUsed),
        (40226, LoginError::Blocked),
        (45011, LoginError::TooFast),
        (40013, LoginError::Configuration(40013)),
        (40125, LoginError::Configuration(40125)),
        (61024, LoginError::Other(61024)),
    ] {
        stub.will(LOGIN, [code(number)]);
        assert_eq!(login(&stub).await.unwrap_err(), expected);
    }
    for garbage in [json(json!({})), json(json!({ "openid": "" })), Reply::Status(502)] {
        stub.will(LOGIN, [garbage]);
        assert_eq!(login(&stub).await.unwrap_err(), LoginError::Unknown);
    }
    stub.stop().await;
}

#[actix_web::test]
async fn a_busy_wechat_is_asked_again_twice_at_most() {
    let stub = Stub::start().await;
    let answer = json!({ "openid": OPENID, "session_key": "k" });
    stub.will(LOGIN, [code(-1), code(-1), json(answer)]);
    assert!(login(&stub).await.is_ok());
    stub.will(LOGIN, (0..9).map(|_| code(-1)));
    assert_eq!(login(&stub).await.unwrap_err(), LoginError::Busy);
    assert_eq!(stub.asked(LOGIN).len(), 6);
    stub.stop().await;
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(1_795_516_215))
}

fn keeper(stub: &Stub, clock: &Clock) -> TokenKeeper {
    let secret = SecretString::from(SECRET);
    TokenKeeper::new(api(&stub.base), "wx8f3c".to_owned(), secret, clock.clone())
}

#[actix_web::test]
async fn however_many_ask_one_call_is_made() {
    let stub = Stub::start().await;
    let (clock, replies) = (clock(), [token("one", 7200), token("two", 7200)]);
    stub.will(TOKEN, replies);
    let keeper = keeper(&stub, &clock);
    let tokens = join_all((0..50).map(|_| keeper.token())).await;
    assert!(tokens.iter().all(Result::is_ok));
    assert!(keeper.token().await.is_ok(), "and it is kept");
    let asked = stub.asked(TOKEN);
    assert_eq!(asked.len(), 1);
    let body: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(body["grant_type"], "client_credential");
    assert_eq!(body["force_refresh"], false);
    stub.stop().await;
}

#[actix_web::test]
async fn a_token_is_refreshed_in_its_last_five_minutes() {
    let stub = Stub::start().await;
    let clock = clock();
    stub.will(TOKEN, [token("one", 7200), token("two", 7200)]);
    let keeper = keeper(&stub, &clock);
    keeper.token().await.unwrap();
    clock.advance(Duration::from_secs(6899));
    keeper.token().await.unwrap();
    assert_eq!(stub.asked(TOKEN).len(), 1);
    clock.advance(Duration::from_secs(1));
    keeper.token().await.unwrap();
    keeper.token().await.unwrap();
    assert_eq!(stub.asked(TOKEN).len(), 2);
    stub.stop().await;
}

#[actix_web::test]
async fn when_an_early_refresh_fails_the_old_token_serves_until_its_end() {
    let stub = Stub::start().await;
    let clock = clock();
    stub.will(TOKEN, [token("one", 7200)]);
    let keeper = keeper(&stub, &clock);
    keeper.token().await.unwrap();
    clock.advance(Duration::from_secs(7000));
    assert!(keeper.token().await.is_ok());
    assert!(keeper.token().await.is_ok(), "not asked again within half a minute");
    assert_eq!(stub.asked(TOKEN).len(), 2);
    clock.advance(Duration::from_secs(200));
    assert_eq!(keeper.token().await.unwrap_err(), TokenError::Unknown);
    stub.stop().await;
}

#[actix_web::test]
async fn a_call_whose_waiters_gave_up_does_not_block_the_next() {
    let stub = Stub::start().await;
    stub.will(TOKEN, [Reply::Silence, token("two", 7200)]);
    let keeper = keeper(&stub, &clock());
    let mut abandoned = Box::pin(keeper.token());
    assert!(abandoned.as_mut().now_or_never().is_none());
    // Let the first call reach the stub before its only waiter goes.
    while stub.asked(TOKEN).is_empty() {
        assert!(abandoned.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(abandoned);
    assert!(keeper.token().await.is_ok());
    stub.stop().await;
}

#[actix_web::test]
async fn each_refused_token_has_its_name() {
    let stub = Stub::start().await;
    for (number, expected) in [
        (40125, TokenError::Configuration(40125)),
        (40164, TokenError::Configuration(40164)),
        (45009, TokenError::Quota(45009)),
        (89503, TokenError::Other(89503)),
    ] {
        stub.will(TOKEN, [code(number)]);
        assert_eq!(keeper(&stub, &clock()).token().await.unwrap_err(), expected);
    }
    for garbage in [json(json!({ "expires_in": 7200 })), token("x", 0), token("", 7200)] {
        stub.will(TOKEN, [garbage]);
        assert_eq!(keeper(&stub, &clock()).token().await.unwrap_err(), TokenError::Unknown);
    }
    stub.stop().await;
}

fn message() -> SubscribeMessage {
    SubscribeMessage {
        openid: OPENID.to_owned(),
        template_id: "tmpl-1".to_owned(),
        page: Some("pages/order/index?id=1".to_owned()),
        state: MiniProgramState::Formal,
        data: vec![("thing1".to_owned(), "杯子".to_owned())],
    }
}

async fn send(stub: &Stub, keeper: &TokenKeeper) -> Result<Sent, MessageError> {
    send_subscribe(&api(&stub.base), keeper, &message()).await
}

#[actix_web::test]
async fn a_message_is_sent_as_wechat_wants_it() {
    let stub = Stub::start().await;
    stub.will(TOKEN, [token("one", 7200)]);
    stub.will(SUBSCRIBE, [json(json!({ "errcode": 0, "errmsg": "ok", "msgid": 42 }))]);
    let sent = send(&stub, &keeper(&stub, &clock())).await;
    assert_eq!(sent, Ok(Sent { msg_id: Some("42".to_owned()) }));
    let asked = &stub.asked(SUBSCRIBE)[0];
    assert_eq!(asked.query, "access_token=one");
    let expected = json!({
        "touser": OPENID,
        "template_id": "tmpl-1",
        "page": "pages/order/index?id=1",
        "miniprogram_state": "formal",
        "lang": "zh_CN",
        "data": { "thing1": { "value": "杯子" } },
    });
    assert_eq!(serde_json::from_str::<Value>(&asked.body).unwrap(), expected);
    stub.stop().await;
}

#[actix_web::test]
async fn a_refused_token_is_replaced_and_the_call_made_once_more() {
    for refusal in [40001, 40014, 42001] {
        let stub = Stub::start().await;
        stub.will(TOKEN, [token("one", 7200), token("two", 7200)]);
        stub.will(SUBSCRIBE, [code(refusal), code(0)]);
        assert!(send(&stub, &keeper(&stub, &clock())).await.is_ok());
        let queries: Vec<_> = stub.asked(SUBSCRIBE).into_iter().map(|asked| asked.query).collect();
        assert_eq!(queries, ["access_token=one", "access_token=two"]);
        stub.stop().await;
    }
}

#[actix_web::test]
async fn a_token_refused_twice_is_given_up() {
    let stub = Stub::start().await;
    stub.will(TOKEN, [token("one", 7200), token("two", 7200), token("three", 7200)]);
    stub.will(SUBSCRIBE, (0..9).map(|_| code(40001)));
    assert_eq!(send(&stub, &keeper(&stub, &clock())).await, Err(MessageError::TokenInvalid));
    assert_eq!(stub.asked(SUBSCRIBE).len(), 2);
    assert_eq!(stub.asked(TOKEN).len(), 2);
    stub.stop().await;
}

#[actix_web::test]
async fn many_calls_refused_for_one_token_cause_one_refresh() {
    let stub = Stub::start().await;
    stub.will(TOKEN, [token("one", 7200), token("two", 7200), token("three", 7200)]);
    let keeper = keeper(&stub, &clock());
    let old = keeper.token().await.unwrap();
    stub.will(SUBSCRIBE, (0..10).map(|_| code(42001)).chain((0..10).map(|_| code(0))));
    let outcomes = join_all((0..10).map(|_| send(&stub, &keeper))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(stub.asked(TOKEN).len(), 2);
    keeper.invalidate(&old);
    keeper.token().await.unwrap();
    assert_eq!(stub.asked(TOKEN).len(), 2, "a late report of the old token changes nothing");
    stub.stop().await;
}

#[actix_web::test]
async fn a_message_without_answer_is_unknown_and_without_token_not_sent() {
    let stub = Stub::start().await;
    stub.will(TOKEN, [token("one", 7200)]);
    stub.will(SUBSCRIBE, [Reply::Status(502)]);
    let keeper_with = keeper(&stub, &clock());
    assert_eq!(send(&stub, &keeper_with).await, Err(MessageError::Unknown));
    assert_eq!(stub.asked(SUBSCRIBE).len(), 1, "not repeated");
    stub.will(TOKEN, [code(40125)]);
    let error = send(&stub, &keeper(&stub, &clock())).await.unwrap_err();
    assert_eq!(error, MessageError::NoToken(TokenError::Configuration(40125)));
    stub.stop().await;
}

#[actix_web::test]
async fn a_template_message_carries_its_form_id() {
    let stub = Stub::start().await;
    stub.will(TOKEN, [token("one", 7200)]);
    stub.will(TEMPLATE, [code(0), code(41028)]);
    let message = TemplateMessage {
        openid: OPENID.to_owned(),
        template_id: "tmpl-1".to_owned(),
        page: None,
        form_id: "wx26".to_owned(),
        data: vec![("keyword1".to_owned(), "杯子".to_owned())],
        emphasis_keyword: Some("keyword1.DATA".to_owned()),
    };
    let keeper = keeper(&stub, &clock());
    let api = api(&stub.base);
    assert_eq!(send_template(&api, &keeper, &message).await, Ok(Sent { msg_id: None }));
    let body: Value = serde_json::from_str(&stub.asked(TEMPLATE)[0].body).unwrap();
    let expected = json!({
        "touser": OPENID,
        "template_id": "tmpl-1",
        "form_id": "wx26",
        "data": { "keyword1": { "value": "杯子" } },
        "emphasis_keyword": "keyword1.DATA",
    });
    assert_eq!(body, expected);
    let again = send_template(&api, &keeper, &message).await;
    assert_eq!(again, Err(MessageError::FormIdInvalid));
    stub.stop().await;
}

#[actix_web::test]
async fn logs_tell_path_code_and_rid_but_no_secret() {
    logs::collect();
    let stub = Stub::start().await;
    stub.will(LOGIN, [code(40029)]);
    stub.will(TOKEN, [token("access-token-77", 7200)]);
    stub.will(SUBSCRIBE, [code(43101)]);
    assert!(login(&stub).await.is_err());
    assert_eq!(send(&stub, &keeper(&stub, &clock())).await, Err(MessageError::Refused));
    let logged = logs::lines();
    for told in [LOGIN, "40029", SUBSCRIBE, "43101", "6f4b2c1a-0d1e", "elapsed_ms"] {
        assert!(logged.contains(told), "{told} in {logged}");
    }
    for hidden in [SECRET, OPENID, "access-token-77", "杯子", "0a1b"] {
        assert!(!logged.contains(hidden), "{hidden} in {logged}");
    }
    stub.stop().await;
}
