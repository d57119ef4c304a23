//! WeChat's answers, correctly signed, with any content: read, refused or unknown, never a panic.
#![no_main]

use buynow_fuzz::domain::id::OutTradeNo;
use buynow_fuzz::wechat::pay::{Merchant, read_everything};
use buynow_fuzz::wechat::sign::{SIGN, SIGN_TYPE, SignType, sign};
use buynow_fuzz::wechat::xml::{parse, write};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;

fuzz_target!(|data: &[u8]| {
    let merchant = Merchant {
        appid: "wx8f3c2e1a9b7d4c60".into(),
        mch_id: "1900012345".into(),
        api_key: SecretString::from("8934e7d15453e97507ef794cf7b0519d"),
        sign_type: SignType::Md5,
    };
    let asked = OutTradeNo::parse("T86353213763162966717").expect("a number");
    read_everything(data, &merchant, &asked);
    let Ok(mut fields) = parse(data) else { return };
    fields.remove(SIGN_TYPE);
    for (name, value) in [
        ("return_code", "SUCCESS"),
        ("appid", merchant.appid.as_str()),
        ("mch_id", merchant.mch_id.as_str()),
    ] {
        fields.insert(name, value);
    }
    fields.insert(SIGN, sign(&fields, &merchant.api_key, SignType::Md5));
    read_everything(write(&fields).as_bytes(), &merchant, &asked);
});
