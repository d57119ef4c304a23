//! What goes wrong on command.

use super::*;

#[actix_web::test]
async fn a_lost_answer_has_taken_effect_and_a_lost_request_has_not() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::DropBefore)).unwrap();
    assert!(town.try_place().await.is_err());
    assert!(town.sandbox.trade(NUMBER).is_err());
    town.sandbox.fault(Fault::next(path, FaultKind::DropAfter)).unwrap();
    assert!(town.try_place().await.is_err());
    assert_eq!(town.state(), "NOTPAY");
    town.place().await;
    let calls = town.sandbox.calls(path);
    assert_eq!((calls.count, calls.done), (3, 3));
    assert_eq!(calls.recent[2].outcome.as_deref(), Some("SUCCESS"));
    assert!(calls.recent[2].request.get("sign").is_none());
    assert_eq!(calls.recent[2].request["body"], "shop - tea");
}

#[actix_web::test]
async fn answers_go_wrong_on_command() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    let order = |fault: Value| {
        let town = &town;
        async move {
            let (status, _) = town.post("/sandbox/fault", fault).await;
            assert_eq!(status, 200);
            town.try_place().await
        }
    };
    let http = order(json!({"path": path, "kind": "http_500"})).await;
    assert_eq!(http.unwrap_err(), "500 Internal Server Error");
    let garbage = order(json!({"path": path, "kind": "garbage"})).await;
    assert!(garbage.is_err());
    let code = json!({"path": path, "kind": "errcode", "code": "SYSTEMERROR"});
    let refused = order(code).await.unwrap();
    assert_eq!(refused.get("err_code"), Some("SYSTEMERROR"));
    assert_eq!(sign::verify(&refused, &api_key(), SignType::Md5), Ok(()));
    assert!(town.sandbox.trade(NUMBER).is_err(), "nothing has happened yet");
    let code = json!({"path": path, "kind": "errcode", "code": "SYSTEMERROR", "effect": true});
    let refused = order(code).await.unwrap();
    assert_eq!(refused.get("err_code"), Some("SYSTEMERROR"));
    assert_eq!(town.state(), "NOTPAY", "and yet it has taken effect");
    let spoilt = order(json!({"path": path, "kind": "bad_sign"})).await.unwrap();
    assert!(sign::verify(&spoilt, &api_key(), SignType::Md5).is_err());
    town.place().await;
}

#[actix_web::test]
async fn a_delayed_call_is_held_until_it_is_released() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let test = async {
        let calls = town.sandbox.wait_for_calls(path, 1).await.unwrap();
        assert_eq!((calls.count, calls.done), (1, 0));
        assert!(town.sandbox.trade(NUMBER).is_err(), "held before its effect");
        let (_, released) = town.post("/sandbox/release", json!({"path": path})).await;
        assert_eq!(released, json!({"released": 1}));
    };
    let (answer, ()) = future::join(town.try_place(), test).await;
    assert!(answer.unwrap().filled("prepay_id").is_some());
    assert_eq!(town.sandbox.release(path), 0);
}

#[actix_web::test]
async fn a_held_call_lands_even_when_the_client_has_gone() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let placing = town.try_place();
    let held = town.sandbox.wait_for_held(path, 1);
    match future::select(Box::pin(placing), Box::pin(held)).await {
        future::Either::Right((held, placing)) => {
            held.unwrap();
            drop(placing);
        }
        future::Either::Left(_) => panic!("the call was not held"),
    }
    town.sandbox.release(path);
    town.sandbox.wait_for_calls_done(path, 1).await.unwrap();
    assert_eq!(town.state(), "NOTPAY");
}

#[actix_web::test]
async fn a_delayed_answer_is_held_after_its_effect() {
    let town = Town::new();
    let path = "/pay/unifiedorder";
    town.sandbox.fault(Fault::next(path, FaultKind::DelayAnswer)).unwrap();
    let test = async {
        town.sandbox.wait_for_held(path, 1).await.unwrap();
        assert_eq!(town.state(), "NOTPAY");
        town.sandbox.release(path);
    };
    let (answer, ()) = future::join(town.try_place(), test).await;
    assert!(answer.is_ok());
}
