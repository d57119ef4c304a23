//! WeChat's two hosts: one that cannot be reached gives way to the other, and comes back.

use std::io::Read as _;
use std::net::TcpListener;
use std::time::Duration;

use buynow::clock::{Clock, Timestamp};
use buynow::wechat::api::{ApiClient, ApiConfig};
use buynow::wechat::login::{LoginError, code_to_session};
use buynow::wechat::pay::{CallError, PayClient, PayConfig, PayError, UnknownCause};
use secrecy::SecretString;

use crate::pay::{refund, refund_accepted};
use crate::stub::{Reply, Stub, merchant, number, pay_config, signed};

const CLOSE: &str = "/pay/closeorder";
const REFUND: &str = "/secapi/pay/refund";
const LOGIN: &str = "/sns/jscode2session";

/// An address where nobody listens.
fn dead() -> (String, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (format!("http://127.0.0.1:{port}"), port)
}

/// An address where every request is taken and none is answered.
fn hanging_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut request = [0; 4096];
            let _some = stream.unwrap().read(&mut request).unwrap();
        }
    });
    base
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(1_795_600_800))
}

fn client(first: &str, second: &str, clock: &Clock) -> PayClient {
    let config = PayConfig {
        base_2: Some(second.to_owned()),
        clock: clock.clone(),
        call_timeout: Duration::from_millis(500),
        ..pay_config(first)
    };
    PayClient::new(config).unwrap()
}

fn closed() -> Reply {
    Reply::Body(signed(&[]))
}

fn will_close(stub: &Stub, times: usize) {
    stub.will(CLOSE, std::iter::repeat_n(closed(), times));
}

async fn close(client: &PayClient) -> Result<(), PayError> {
    client.close_order(&merchant(), &number()).await
}

fn unknown(error: CallError) -> Result<(), PayError> {
    Err(PayError::Unknown(UnknownCause::Call(error)))
}

/// Waits until the first host has been looked at.
async fn until_looked_at(stub: &Stub) {
    while !stub.paths().contains(&"/".to_owned()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[actix_web::test]
async fn what_could_not_be_sent_goes_to_the_second_host_and_so_does_what_follows() {
    let (second, clock) = (Stub::start().await, clock());
    will_close(&second, 2);
    let client = client(&dead().0, &second.base, &clock);
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(second.asked(CLOSE).len(), 2);
    second.will(REFUND, [Reply::Body(refund_accepted())]);
    assert!(client.refund(&merchant(), &refund()).await.is_ok());
    second.stop().await;
}

#[actix_web::test]
async fn a_first_host_that_is_there_again_is_used_again_after_a_look() {
    let (second, clock) = (Stub::start().await, clock());
    let (first, port) = dead();
    will_close(&second, 9);
    let client = client(&first, &second.base, &clock);
    assert_eq!(close(&client).await, Ok(()));
    let first = Stub::start_at(port).await;
    will_close(&first, 9);
    clock.advance(Duration::from_secs(59));
    assert_eq!(close(&client).await, Ok(()));
    assert!(first.paths().is_empty(), "it is left alone for a minute");
    clock.advance(Duration::from_secs(1));
    assert_eq!(close(&client).await, Ok(()));
    until_looked_at(&first).await;
    // The look is beside the calls: they change over when its answer is there.
    while first.asked(CLOSE).is_empty() {
        assert_eq!(close(&client).await, Ok(()));
    }
    assert!(second.asked(CLOSE).len() >= 3);
    first.stop().await;
    second.stop().await;
}

#[actix_web::test]
async fn a_first_host_that_is_still_away_costs_no_call() {
    let (second, clock) = (Stub::start().await, clock());
    will_close(&second, 5);
    let client = client(&dead().0, &second.base, &clock);
    for _ in 0..5 {
        assert_eq!(close(&client).await, Ok(()));
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(second.asked(CLOSE).len(), 5);
    second.stop().await;
}

#[actix_web::test]
async fn with_both_hosts_away_a_call_was_not_sent() {
    let client = client(&dead().0, &dead().0, &clock());
    for _ in 0..5 {
        let outcome = close(&client).await;
        assert_eq!(outcome, unknown(CallError::NotSent));
        assert!(outcome.unwrap_err().was_not_sent());
    }
}

#[actix_web::test]
async fn the_second_host_gives_way_to_the_first_when_it_cannot_be_reached() {
    let (second, clock) = (Stub::start().await, clock());
    let (first, port) = dead();
    will_close(&second, 1);
    let client = client(&first, &second.base, &clock);
    assert_eq!(close(&client).await, Ok(()));
    second.stop().await;
    let first = Stub::start_at(port).await;
    will_close(&first, 2);
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(first.paths(), [CLOSE, CLOSE]);
    first.stop().await;
}

#[actix_web::test]
async fn what_may_have_been_sent_is_never_repeated_at_the_second_host() {
    let (first, second) = (Stub::start().await, Stub::start().await);
    for (reply, error) in
        [(Reply::Silence, CallError::Timeout), (Reply::Status(502), CallError::Status(502))]
    {
        let client = client(&first.base, &second.base, &clock());
        first.will(CLOSE, [reply]);
        assert_eq!(close(&client).await, unknown(error));
    }
    let hanging = client(&hanging_up(), &second.base, &clock());
    let outcome = close(&hanging).await;
    assert_eq!(outcome, unknown(CallError::Broken));
    assert!(!outcome.unwrap_err().was_not_sent());
    assert!(second.paths().is_empty());
    first.stop().await;
    second.stop().await;
}

#[actix_web::test]
async fn a_refund_whose_answer_is_lost_is_not_asked_for_elsewhere() {
    let second = Stub::start().await;
    let client = client(&hanging_up(), &second.base, &clock());
    let outcome = client.refund(&merchant(), &refund()).await;
    assert!(matches!(outcome, Err(PayError::Unknown(_))), "{outcome:?}");
    assert!(second.paths().is_empty());
    second.stop().await;
}

#[actix_web::test]
async fn after_three_calls_without_an_answer_the_next_one_goes_to_the_second_host() {
    let second = Stub::start().await;
    will_close(&second, 1);
    let client = client(&hanging_up(), &second.base, &clock());
    for _ in 0..3 {
        assert_eq!(close(&client).await, unknown(CallError::Broken));
    }
    assert_eq!(close(&client).await, Ok(()));
    assert_eq!(second.asked(CLOSE).len(), 1);
    second.stop().await;
}

#[actix_web::test]
async fn login_has_a_second_host_too_and_a_code_is_spent_once() {
    let second = Stub::start().await;
    let session = r#"{"openid":"o1","session_key":"MDEyMzQ1Njc4OWFiY2RlZg=="}"#;
    second.will(LOGIN, [Reply::Body(session.to_owned())]);
    let login = async |first: &str| {
        let config = ApiConfig {
            base: first.to_owned(),
            base_2: Some(second.base.clone()),
            clock: clock(),
            connect_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(20),
            busy_pause: Duration::ZERO,
            extra_root_pem: None,
        };
        let (api, secret) = (ApiClient::new(&config).unwrap(), SecretString::from("secret"));
        code_to_session(&api, "wx8f3c", &secret, "0a1b").await
    };
    assert_eq!(login(&dead().0).await.unwrap().openid, "o1");
    // The code may be used up: only the phone can get another one.
    assert_eq!(login(&hanging_up()).await.unwrap_err(), LoginError::Unknown);
    assert_eq!(second.asked(LOGIN).len(), 1);
    second.stop().await;
}
