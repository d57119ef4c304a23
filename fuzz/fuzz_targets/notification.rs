//! A notification: nobody without the key is believed, and whatever the key signs is read or
//! refused.
#![no_main]

use buynow_fuzz::wechat::pay::parse_payment_notification;
use buynow_fuzz::wechat::sign::{SIGN, SIGN_TYPE, SignType, sign, verify};
use buynow_fuzz::wechat::xml::parse;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;

fuzz_target!(|data: &[u8]| {
    let Ok(mut fields) = parse(data) else { return };
    let _ = parse_payment_notification(&fields);
    // A key that is in no message and no corpus.
    let key = SecretString::from("d41d8cd98f00b204e9800998ecf8427e");
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        assert!(verify(&fields, &key, sign_type).is_err(), "believed without the key");
    }
    fields.remove(SIGN_TYPE);
    let signature = sign(&fields, &key, SignType::HmacSha256);
    fields.insert(SIGN, signature);
    assert!(verify(&fields, &key, SignType::HmacSha256).is_ok());
    assert!(verify(&fields, &key, SignType::Md5).is_err());
    if let Ok(notice) = parse_payment_notification(&fields) {
        assert_eq!(Some(notice.mch_id.as_str()), fields.get("mch_id"));
        assert_eq!(Some(notice.out_trade_no.as_str()), fields.get("out_trade_no"));
        let total: i64 = fields.get("total_fee").expect("it was read").parse().expect("digits");
        assert_eq!(notice.paid.total_fee.as_fen(), total);
        assert!(total >= 0);
    }
    let names: Vec<String> = fields.iter().map(|(name, _)| name.to_owned()).collect();
    for name in names.iter().take(8) {
        let mut altered = fields.clone();
        let value = altered.get(name).unwrap_or_default().to_owned();
        altered.insert(name.clone(), format!("{value}0"));
        assert!(verify(&altered, &key, SignType::HmacSha256).is_err(), "{name} may be altered");
    }
});
