//! Tokens, templates, messages and their stream.

use super::*;

#[actix_web::test]
async fn two_sends_at_once_to_one_buyer_are_refused() {
    let town = Town::new();
    let path = "/cgi-bin/message/subscribe/send";
    let ids = ["paid".to_owned()];
    town.sandbox.subscribe(None, "alice", &ids).unwrap();
    let send = format!("{path}?access_token={}", town.token().await);
    town.sandbox.fault(Fault::next(path, FaultKind::Delay)).unwrap();
    let second = async {
        town.sandbox.wait_for_held(path, 1).await.unwrap();
        let (_, answer) = town.post(&send, message()).await;
        town.sandbox.release(path);
        answer
    };
    let ((_, first), second) = future::join(town.post(&send, message()), second).await;
    assert_eq!((&first["errcode"], &second["errcode"]), (&json!(0), &json!(43108)));
    let (_, third) = town.post(&send, message()).await;
    assert_eq!(third["errcode"], 43101, "serial again, and the grant used up");
}

#[actix_web::test]
async fn a_revoked_token_is_refused_until_a_new_one_is_fetched() {
    let town = Town::new();
    town.sandbox.subscribe(None, "alice", &["paid".to_owned()]).unwrap();
    let send = |token: String| {
        let town = &town;
        async move {
            let path = format!("/cgi-bin/message/subscribe/send?access_token={token}");
            let (_, answer) = town.post(&path, message()).await;
            answer["errcode"].as_i64().unwrap()
        }
    };
    let old = town.token().await;
    town.sandbox.token(None, TokenAction::Expire).unwrap();
    assert_eq!(send(old.clone()).await, 42001);
    town.sandbox.token(None, TokenAction::Revoke).unwrap();
    assert_eq!(send(old.clone()).await, 40001);
    let new = town.token().await;
    assert_ne!(new, old);
    assert_eq!(send(new).await, 0);
    let listed = town.sandbox.messages(Some(APPID), Some("alice"));
    assert_eq!(listed.len(), 1);
}

#[actix_web::test]
async fn messages_stream_as_they_arrive() {
    let town = Town::new();
    let ids = ["paid".to_owned()];
    town.sandbox.subscribe(None, "alice", &ids).unwrap();
    town.sandbox.subscribe(None, "alice", &ids).unwrap();
    let send = format!("/cgi-bin/message/subscribe/send?access_token={}", town.token().await);
    let url = town.url(&format!("/sandbox/messages/stream?appid={APPID}&buyer=alice"));
    let origin = ("Origin", "http://localhost:8080");
    let response = town.client.get(url).insert_header(origin).send().await;
    let mut response = response.unwrap();
    let allowed = response.headers().get("access-control-allow-origin");
    assert_eq!(allowed.unwrap(), "http://localhost:8080");
    assert_eq!(response.next().await.unwrap().unwrap(), ": connected\n\n");
    for id in 1..=2 {
        town.post(&send, message()).await;
        let event = response.next().await.unwrap().unwrap();
        let event = std::str::from_utf8(&event).unwrap();
        let start = format!("event: message\nid: {id}\ndata: {{\"id\":{id},");
        assert!(event.starts_with(&start), "{event}");
        assert!(event.ends_with("\n\n"));
    }
}

#[actix_web::test]
async fn templates_are_registered_while_it_runs() {
    let town = Town::new();
    let template = json!({"appid": APPID, "template_id": "shipped", "title": "发货通知",
        "fields": [{"key": "thing1", "label": "商品"}]});
    let (status, _) = town.post("/sandbox/templates", template).await;
    assert_eq!(status, 200);
    let accepted = town.sandbox.subscribe(Some(APPID), "bob", &["shipped".to_owned()]);
    assert_eq!(accepted.unwrap(), ["shipped"]);
    assert_eq!(town.sandbox.grants(APPID, "bob", "shipped"), 1);
}
