//! The control API itself, and the server's start and stop.

use super::*;

#[actix_web::test]
async fn what_the_control_api_does_not_know_it_refuses() {
    let town = Town::new();
    for (path, body, status, code) in [
        ("/sandbox/login", json!({"buyer": ""}), 400, "invalid"),
        ("/sandbox/login", json!({"buyer": "a", "x": 1}), 400, "invalid"),
        ("/sandbox/login", json!({"appid": "wx0", "buyer": "a"}), 404, "unknown_app"),
        ("/sandbox/notify", json!({"out_trade_no": "000000"}), 404, "unknown_trade"),
        ("/sandbox/settings", json!({"notfy": "auto"}), 400, "invalid"),
        ("/sandbox/fault", json!({"path": "/a", "kind": "errcode"}), 400, "invalid"),
        ("/sandbox/refunds/r9", json!({"status": "SUCCESS"}), 404, "unknown_refund"),
    ] {
        let (found, answer) = town.post(path, body).await;
        assert_eq!((found, &answer["code"]), (status, &json!(code)), "{path}");
    }
    town.place().await;
    let unpaid = json!({"out_trade_no": NUMBER});
    let (_, answer) = town.post("/sandbox/notify", unpaid).await;
    assert_eq!(answer["code"], "unknown_payment");
}

#[actix_web::test]
async fn oversized_and_wrongly_sent_requests_are_refused() {
    let town = Town::new();
    let mut get = town.client.get(town.url("/pay/unifiedorder")).send().await.unwrap();
    let fields = xml::parse(&get.body().await.unwrap()).unwrap();
    assert_eq!(fields.get("return_msg"), Some("请使用post方法"));
    let huge = town.client.post(town.url("/pay/unifiedorder"));
    let huge = huge.send_body("x".repeat(xml::LIMIT_BYTES + 1)).await.unwrap();
    assert_eq!(huge.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[actix_web::test]
async fn it_stops_at_once_and_frees_its_port() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let held =
        future::select(Box::pin(town.try_place()), Box::pin(town.sandbox.wait_for_held(path, 1)));
    drop(held.await);
    let address = town.sandbox.url().trim_start_matches("http://").to_owned();
    town.sandbox.stop();
    std::net::TcpListener::bind(address).unwrap();
    assert_eq!(town.sandbox.run_due().await, Err(ControlError::Stopped));
}

#[test]
fn contradicting_mini_programs_do_not_start() {
    let app = super::world::tests::sandbox_app();
    let mut other = app.clone();
    other.appid = "wxother".to_owned();
    other.api_key = SecretString::from("another key");
    let start = |apps| {
        Sandbox::start(SandboxConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            clock: Clock::system(),
            apps,
        })
    };
    assert!(start(vec![app.clone(), app.clone()]).is_err());
    assert!(start(vec![app, other]).is_err());
}
