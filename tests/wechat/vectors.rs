//! Every v2 vector: signatures, signed messages, parameters of wx.requestPayment.

use buynow::wechat::pay::request_payment_params;
use buynow::wechat::sign::{self, SignType};
use buynow::wechat::xml::{self, Fields};
use secrecy::SecretString;
use serde_json::Value;

/// The vectors of one kind; their number is given, so that a lost one is noticed.
#[track_caller]
fn vectors(kind: &str, count: usize) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../data/wechat_vectors.json")).unwrap();
    let all = file["vectors"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|vector| vector["kind"] == kind).cloned().collect();
    assert_eq!(found.len(), count, "{kind}");
    found
}

fn fields(value: &Value) -> Fields {
    value.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect()
}

fn key(vector: &Value) -> SecretString {
    SecretString::from(vector["input"]["api_key"].as_str().unwrap())
}

fn sign_type(vector: &Value) -> SignType {
    SignType::parse(vector["input"]["sign_type"].as_str().unwrap()).unwrap()
}

#[test]
fn signatures_are_as_in_the_vectors() {
    for vector in vectors("v2_sign", 13) {
        let signature =
            sign::sign(&fields(&vector["input"]["params"]), &key(&vector), sign_type(&vector));
        assert_eq!(signature, vector["expected"]["sign"], "{}", vector["id"]);
    }
}

/// The way of a message: read, return_code, signature. The answer names what refused it.
fn open(vector: &Value) -> Result<Fields, &'static str> {
    let read = xml::parse(vector["input"]["xml"].as_str().unwrap().as_bytes());
    let read = read.map_err(|error| match error {
        xml::XmlError::Doctype => "doctype",
        xml::XmlError::Nested => "nested element",
        xml::XmlError::Duplicate => "duplicate element",
        _ => "malformed",
    })?;
    if read.get("return_code") == Some("FAIL") {
        return Err("return_code");
    }
    sign::verify(&read, &key(vector), sign_type(vector)).map_err(|_| "sign")?;
    Ok(read)
}

#[test]
fn messages_are_taken_or_refused_as_in_the_vectors() {
    for vector in vectors("v2_verify_xml", 19) {
        let expected = &vector["expected"];
        if expected["valid"] == true {
            assert_eq!(open(&vector), Ok(fields(&expected["fields"])), "{}", vector["id"]);
        } else {
            let reason = open(&vector).unwrap_err();
            assert_eq!(reason, expected["reason"], "{}", vector["id"]);
        }
    }
}

#[test]
fn a_written_message_keeps_its_signature() {
    for vector in vectors("v2_sign", 13) {
        let mut sent = fields(&vector["input"]["params"]);
        sent.insert("sign", vector["expected"]["sign"].as_str().unwrap());
        let read = xml::parse(xml::write(&sent).as_bytes()).unwrap();
        let verified = sign::verify(&read, &key(&vector), sign_type(&vector));
        assert_eq!(verified, Ok(()), "{}", vector["id"]);
    }
}

#[test]
fn parameters_of_wx_request_payment_are_as_in_the_vectors() {
    for vector in vectors("mp_pay_params", 2) {
        let given = |name: &str| vector["input"]["params"][name].as_str().unwrap();
        let params = request_payment_params(
            given("appId"),
            given("package").strip_prefix("prepay_id=").unwrap(),
            given("timeStamp").parse().unwrap(),
            given("nonceStr"),
            &key(&vector),
            SignType::parse(given("signType")).unwrap(),
        );
        let json = serde_json::to_value(&params).unwrap();
        for name in ["timeStamp", "nonceStr", "package", "signType"] {
            assert_eq!(json[name], given(name), "{}", vector["id"]);
        }
        assert_eq!(json["paySign"], vector["expected"]["paySign"], "{}", vector["id"]);
    }
}
