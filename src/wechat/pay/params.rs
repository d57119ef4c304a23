//! What the phone hands to `wx.requestPayment`.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::wechat::sign::{self, SignType};
use crate::wechat::xml::Fields;

/// The parameters of `wx.requestPayment`, with its spelling. `appId` takes part in `paySign` but is
/// not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPayment {
    /// Seconds since 1970, as text.
    pub time_stamp: String,
    pub nonce_str: String,
    /// `prepay_id=...`
    pub package: String,
    /// `MD5` or `HMAC-SHA256`; the one of the unified order.
    pub sign_type: String,
    pub pay_sign: String,
}

/// Signs a prepay_id for the phone. A prepay_id may be signed again as long as it lives (2 hours).
pub fn request_payment_params(
    appid: &str,
    prepay_id: &str,
    timestamp_secs: i64,
    nonce: &str,
    key: &SecretString,
    sign_type: SignType,
) -> RequestPayment {
    let time_stamp = timestamp_secs.to_string();
    let package = format!("prepay_id={prepay_id}");
    let signed = Fields::from_iter([
        ("appId", appid),
        ("timeStamp", &time_stamp),
        ("nonceStr", nonce),
        ("package", &package),
        ("signType", sign_type.as_str()),
    ]);
    RequestPayment {
        pay_sign: sign::sign(&signed, key, sign_type),
        time_stamp,
        nonce_str: nonce.to_owned(),
        package,
        sign_type: sign_type.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_those_of_wx_request_payment() {
        let key = SecretString::from("8934e7d15453e97507ef794cf7b0519d");
        let params = request_payment_params("wx1", "wx2", 1_809_960_777, "n", &key, SignType::Md5);
        let json = serde_json::to_value(&params).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["nonceStr", "package", "paySign", "signType", "timeStamp"]);
        assert_eq!(json["timeStamp"], "1809960777");
        assert_eq!(json["package"], "prepay_id=wx2");
    }
}
