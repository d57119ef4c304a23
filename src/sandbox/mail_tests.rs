#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;

const APPID: &str = "wx1";
const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn mail() -> Mail {
    let mut mail = Mail::new();
    mail.register(
        APPID,
        SandboxTemplate {
            template_id: "paid".to_owned(),
            title: "支付成功".to_owned(),
            fields: vec![
                ("thing1".to_owned(), "商品".to_owned()),
                ("amount2".to_owned(), "金额".to_owned()),
            ],
        },
    );
    mail
}

fn alice() -> String {
    login::openid(APPID, "alice")
}

fn body() -> Value {
    json!({"touser": alice(), "template_id": "paid", "page": "pages/order?id=1",
        "miniprogram_state": "formal", "lang": "zh_CN",
        "data": {"thing1": {"value": "茶"}, "amount2": {"value": "12.90元"}}})
}

fn send(mail: &mut Mail, body: &Value) -> Result<Message, i64> {
    let letter = Letter::read(body.to_string().as_bytes()).map_err(|e| e.code)?;
    mail.subscribe(APPID, &letter, Some("alice"), NOW).cloned().map_err(|e| e.code)
}

#[test]
fn a_grant_gives_one_message() {
    let mut mail = mail();
    assert_eq!(send(&mut mail, &body()), Err(43101));
    mail.grant(&alice(), "paid");
    let message = send(&mut mail, &body()).unwrap();
    assert_eq!((message.title.as_str(), message.buyer.as_str()), ("支付成功", "alice"));
    assert_eq!(message.lines[1].label, "金额");
    assert_eq!(send(&mut mail, &body()), Err(43101));
}

#[test]
fn what_is_wrong_has_its_code_and_uses_up_no_grant() {
    let mut mail = mail();
    mail.grant(&alice(), "paid");
    for (pointer, value, code) in [
        ("/touser", json!("oSomebody"), 40003),
        ("/touser", json!(""), 40003),
        ("/template_id", json!("other"), 40037),
        ("/page", json!("/pages/order"), 41030),
        ("/data/thing1/value", json!(""), 47003),
        ("/data/thing1/value", json!(5), 47003),
        ("/data/amount2", json!(null), 47003),
        ("/data", json!("{}"), 47001),
        ("/lang", json!("de"), 47001),
        ("/miniprogram_state", json!("beta"), 47001),
    ] {
        let mut body = body();
        *body.pointer_mut(pointer).unwrap() = value;
        assert_eq!(send(&mut mail, &body), Err(code), "{pointer}");
    }
    let mut stranger = body();
    stranger["data"]["thing9"] = json!({"value": "x"});
    assert_eq!(send(&mut mail, &stranger), Err(47003));
    assert!(send(&mut mail, &body()).is_ok());
}

#[test]
fn errmsg_names_the_field() {
    let mut mail = mail();
    let mut body = body();
    body["data"]["thing1"]["value"] = json!("");
    let letter = Letter::read(body.to_string().as_bytes()).unwrap();
    let error = mail.subscribe(APPID, &letter, None, NOW).unwrap_err();
    assert!(error.text.contains("data.thing1.value"), "{}", error.text);
}

#[test]
fn a_prepay_id_gives_three_template_messages_within_seven_days() {
    let mut mail = mail();
    let mut body = body();
    body["form_id"] = json!("wx-prepay");
    let letter = Letter::read(body.to_string().as_bytes()).unwrap();
    let code = |mail: &mut Mail, now| {
        let sent = mail.template_send(APPID, &letter, None, now);
        sent.map(|message| message.kind).map_err(|error| error.code)
    };
    assert_eq!(code(&mut mail, NOW), Err(41028));
    mail.form("wx-prepay", APPID, &alice(), NOW);
    assert_eq!(code(&mut mail, NOW.plus_seconds(7 * 24 * 3600)), Err(41028));
    for _ in 0..3 {
        assert_eq!(code(&mut mail, NOW), Ok(MessageKind::Template));
    }
    assert_eq!(code(&mut mail, NOW), Err(41029));
}

#[test]
fn messages_are_listed_by_mini_program_and_buyer() {
    let mut mail = mail();
    mail.grant(&alice(), "paid");
    let id = send(&mut mail, &body()).unwrap().id;
    let bob = login::openid(APPID, "bob");
    assert_eq!(mail.after(0, Some(APPID), Some(&alice())).count(), 1);
    assert_eq!(mail.after(0, Some(APPID), Some(&bob)).count(), 0);
    assert_eq!(mail.after(0, Some("wx2"), None).count(), 0);
    assert_eq!(mail.after(id, None, None).count(), 0);
}
