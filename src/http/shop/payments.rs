//! Payment parameters, for a new order and for one that is paid later.

use actix_web::HttpRequest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::payment::{Prepay, PrepayError, RequestPayment};
use crate::domain::attempt::NotPayable;
use crate::domain::id::OrderId;
use crate::http::AppState;
use crate::http::auth::Shopper;
use crate::http::client_address::of_request;
use crate::http::error::{ApiError, Code, Language};

/// PAYMENT of the contract: what `wx.requestPayment` takes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Seconds since 1970, as a text.
    pub time_stamp: String,
    pub nonce_str: String,
    #[schema(example = "prepay_id=wx26112609215")]
    pub package: String,
    /// `MD5`, `HMAC-SHA256` or `RSA`.
    pub sign_type: String,
    pub pay_sign: String,
}

impl From<RequestPayment> for Payment {
    fn from(payment: RequestPayment) -> Self {
        Self {
            time_stamp: payment.time_stamp,
            nonce_str: payment.nonce_str,
            package: payment.package,
            sign_type: payment.sign_type,
            pay_sign: payment.pay_sign,
        }
    }
}

/// Why an order that was placed has no payment parameters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentError)]
pub struct PaymentErrorJson {
    #[schema(example = "wechat_error")]
    pub code: &'static str,
    pub message: &'static str,
}

impl PaymentErrorJson {
    pub fn of(error: &ApiError, language: Language) -> Self {
        Self { code: error.code().as_str(), message: error.code().message(language) }
    }
}

/// Asks for payment parameters.
pub async fn prepay(
    state: &AppState,
    shopper: &Shopper,
    request: &HttpRequest,
    order: OrderId,
) -> Result<Payment, ApiError> {
    let client = of_request(request, &state.config.server.trusted_proxies);
    let client_ip = client.map_or_else(|| "127.0.0.1".to_owned(), |client| client.to_string());
    let prepay = Prepay { order, user: shopper.user, client_ip, span: tracing::Span::current() };
    let prepaying = shopper.shop.payment.send(prepay);
    let payment = tokio::select! {
        payment = prepaying => payment.map_err(ApiError::unavailable)?,
        // The order stands; the buyer asks again, maybe another process.
        () = state.going_down() => return Err(ApiError::new(Code::Unavailable)),
    };
    payment.map(Payment::from).map_err(prepay_error)
}

fn prepay_error(error: PrepayError) -> ApiError {
    match error {
        PrepayError::UnknownOrder => ApiError::not_found("id"),
        PrepayError::NotPayable(NotPayable::State(state)) => {
            ApiError::new(Code::InvalidState).with("state", state)
        }
        PrepayError::NotPayable(NotPayable::Closing) => {
            ApiError::new(Code::InvalidState).with("state", "unpaid").with("closing", true)
        }
        PrepayError::NotPayable(NotPayable::Repricing) => {
            ApiError::new(Code::InvalidState).with("state", "unpaid").with("repricing", true)
        }
        PrepayError::NotPayable(NotPayable::Expired) => {
            ApiError::new(Code::InvalidState).with("state", "unpaid").with("expired", true)
        }
        PrepayError::Wechat(reason) => {
            tracing::warn!(%reason, order = "unpaid", "WeChat gave no prepay_id");
            ApiError::new(Code::WechatError)
        }
        PrepayError::Busy => ApiError::new(Code::Busy),
        PrepayError::Unavailable => ApiError::new(Code::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payment_parameters_are_spelled_as_the_phone_wants_them() {
        let payment = Payment {
            time_stamp: "1".into(),
            nonce_str: "n".into(),
            package: "prepay_id=p".into(),
            sign_type: "MD5".into(),
            pay_sign: "S".into(),
        };
        let expected = serde_json::json!({"timeStamp": "1", "nonceStr": "n",
            "package": "prepay_id=p", "signType": "MD5", "paySign": "S"});
        assert_eq!(serde_json::to_value(&payment).ok(), Some(expected));
    }

    #[test]
    fn why_there_are_no_parameters_has_a_code() {
        for (error, code) in [
            (PrepayError::UnknownOrder, "not_found"),
            (PrepayError::NotPayable(NotPayable::State("paid")), "invalid_state"),
            (PrepayError::NotPayable(NotPayable::Closing), "invalid_state"),
            (PrepayError::NotPayable(NotPayable::Repricing), "invalid_state"),
            (PrepayError::NotPayable(NotPayable::Expired), "invalid_state"),
            (PrepayError::Wechat("timeout".into()), "wechat_error"),
            (PrepayError::Busy, "busy"),
            (PrepayError::Unavailable, "unavailable"),
        ] {
            assert_eq!(prepay_error(error).code().as_str(), code);
        }
    }
}
