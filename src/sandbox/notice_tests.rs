#![allow(clippy::unwrap_used)]
use super::*;
use crate::domain::money::Money;
use crate::sandbox::trade::tests::{Books, NOON, key};

fn subject(transaction_id: &str) -> Subject {
    Subject { key: key(), transaction_id: transaction_id.to_owned() }
}

#[test]
fn a_notification_is_repeated_on_wechats_schedule_and_then_given_up() {
    let mut notices = Notices::default();
    notices.push(subject("t1"), NOON);
    let mut now = NOON;
    for gap in SCHEDULE_SECONDS {
        let (id, _) = notices.take(now).unwrap();
        notices.settle(id, false, now);
        assert!(!notices.has_due(now.plus_seconds(gap - 1)), "{gap}");
        now = now.plus_seconds(gap);
    }
    assert_eq!(now.millis_since(NOON), (24 * 3600 + 4 * 60) * 1000);
    let (id, _) = notices.take(now).unwrap();
    notices.settle(id, false, now);
    assert!(!notices.has_due(now.plus_seconds(1_000_000)));
    assert_eq!((notices.under_way(), notices.waiting.len()), (0, 0));
}

#[test]
fn an_acknowledged_notification_is_over() {
    let mut notices = Notices::default();
    notices.push(subject("t1"), NOON);
    let (id, _) = notices.take(NOON).unwrap();
    assert!(notices.take(NOON).is_none(), "it is under way");
    notices.settle(id, true, NOON);
    assert_eq!(notices.next_at(&subject("t1")), None);
    notices.push(subject("t2"), NOON);
    notices.drop_subject(&subject("t2"));
    assert!(!notices.has_due(NOON));
}

fn body_with(forge: &Forge) -> Fields {
    let mut books = Books::new();
    books.place(&[("attach", Some("a1"))], NOON).unwrap();
    books.pay("t1", NOON);
    let trade = books.trades.get(&key()).unwrap();
    let paid = trade.payment("t1").unwrap();
    let parcel = parcel(trade, paid, &api_key(), "n".to_owned(), forge);
    assert_eq!(parcel.genuine, forge.is_none());
    xml::parse(parcel.body.as_bytes()).unwrap()
}

fn api_key() -> SecretString {
    SecretString::from("8934e7d15453e97507ef794cf7b0519d")
}

#[test]
fn a_genuine_notification_verifies_and_says_what_was_paid() {
    let fields = body_with(&Forge::default());
    assert_eq!(sign::verify(&fields, &api_key(), SignType::Md5), Ok(()));
    for (name, value) in [
        ("total_fee", "1290"),
        ("cash_fee", "1290"),
        ("attach", "a1"),
        ("transaction_id", "t1"),
        ("time_end", "20261124140000"),
    ] {
        assert_eq!(fields.get(name), Some(value), "{name}");
    }
}

#[test]
fn forged_content_is_signed_and_forged_signatures_do_not_fit() {
    let forge: Forge = serde_json::from_str(
        r#"{"amount":1,"attach":"x","set":{"bank_type":null,"new_field":"1"}}"#,
    )
    .unwrap();
    let fields = body_with(&forge);
    assert_eq!(sign::verify(&fields, &api_key(), SignType::Md5), Ok(()));
    assert_eq!(fields.get("total_fee"), Some("1"));
    assert_eq!((fields.get("bank_type"), fields.get("new_field")), (None, Some("1")));
    for json in [r#"{"bad_sign":true}"#, r#"{"key":"another"}"#, r#"{"sign_type":"HMAC-SHA256"}"#] {
        let fields = body_with(&serde_json::from_str(json).unwrap());
        assert!(sign::verify(&fields, &api_key(), SignType::Md5).is_err(), "{json}");
    }
}

#[test]
fn a_coupon_lowers_the_cash_and_not_the_total() {
    let mut books = Books::new();
    books.place(&[], NOON).unwrap();
    books.pay("t1", NOON);
    let trade = books.trades.get_mut(&key()).unwrap();
    trade.payments[0].coupon = Money::from_fen(300);
    let fields = payment_fields(trade, &trade.payments[0]);
    assert_eq!(fields.get("total_fee"), Some("1290"));
    assert_eq!(fields.get("cash_fee"), Some("990"));
    assert_eq!(fields.get("coupon_fee"), Some("300"));
}

#[test]
fn only_the_exact_answer_acknowledges() {
    let answer = |status, body: &str| ShopAnswer { status, body: body.to_owned() };
    assert!(answer(200, ACKNOWLEDGED).acknowledges());
    assert!(!answer(500, ACKNOWLEDGED).acknowledges());
    assert!(!answer(200, "SUCCESS").acknowledges());
    assert!(!answer(0, "").acknowledges());
}
