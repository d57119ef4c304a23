//! What the API says when it refuses: the one place that knows codes, statuses and their words.
//!
//! Every error leaves as `application/problem+json`. A handler returns an [`ApiError`]; the words
//! are chosen by [`problems`], which also dresses what actix-web answers by itself (404, 405, 413).

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::store::StoreError;

/// The media type of every refusal.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// In which language a message is shown to the buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    Chinese,
    English,
}

impl Language {
    /// What the request prefers between the two; Chinese when it does not say.
    pub fn of(headers: &HeaderMap) -> Self {
        let header = headers.get(header::ACCEPT_LANGUAGE);
        header.and_then(|value| value.to_str().ok()).map(Self::parse).unwrap_or_default()
    }

    fn parse(accepted: &str) -> Self {
        let weight = |language: &str| {
            let ranges = accepted.split(',').take(32).filter_map(weighted);
            ranges
                .filter(|(tag, _)| primary(tag).eq_ignore_ascii_case(language))
                .map(|(_, q)| q)
                .max()
        };
        if weight("en") > weight("zh") { Self::English } else { Self::Chinese }
    }
}

fn primary(tag: &str) -> &str {
    tag.split('-').next().unwrap_or(tag)
}

/// A language range and its weight in thousandths.
fn weighted(range: &str) -> Option<(&str, u32)> {
    let (tag, parameter) = match range.split_once(';') {
        Some((tag, parameter)) => (tag, parameter.trim()),
        None => (range, "q=1"),
    };
    let quality = parameter.strip_prefix("q=")?;
    let (whole, part) = quality.split_once('.').unwrap_or((quality, ""));
    let thousandths: u32 = format!("{whole}{part:0<3.3}").parse().ok()?;
    Some((tag.trim(), thousandths))
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $status:literal $zh:literal $en:literal;)+) => {
        /// Why a request is refused. The text form is stable; clients decide by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// All of them, in the order of the contract.
            pub const ALL: &[Code] = &[$(Code::$name,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)+ }
            }
            pub fn status(self) -> StatusCode {
                let status = match self { $(Code::$name => $status,)+ };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            /// A sentence that may be shown to the buyer.
            pub fn message(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Code::$name, Language::Chinese) => $zh,
                      (Code::$name, Language::English) => $en,)+
                }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid_request" 400 "请求内容有误" "The request is not valid";
    Unauthorized "unauthorized" 401 "请先登录" "Please log in first";
    Forbidden "forbidden" 403 "没有权限" "This is not allowed";
    NotFound "not_found" 404 "内容不存在" "There is no such thing";
    SoldOut "sold_out" 409 "库存不足" "Sold out";
    OffSale "off_sale" 409 "商品已下架" "No longer on sale";
    LimitExceeded "limit_exceeded" 409 "超出限额" "More than is allowed";
    PriceChanged "price_changed" 409 "价格已变动，请重新确认" "The price has changed, please look again";
    NotDeliverable "not_deliverable" 409 "该地址暂不支持配送" "We do not deliver to this address";
    InvalidState "invalid_state" 409 "当前状态不能这样操作" "This is not possible in the present state";
    /// The key belongs to another request.
    IdempotencyConflict "idempotency_conflict" 409 "请求编号已用于其他请求" "The Idempotency-Key belongs to another request";
    IdempotencyKeyMissing "idempotency_key_missing" 400 "缺少请求编号" "The Idempotency-Key is missing";
    TooLarge "too_large" 413 "请求内容过大" "The request is too large";
    RateLimited "rate_limited" 429 "操作太频繁，请稍后再试" "Too many requests, please wait a moment";
    WechatError "wechat_error" 502 "微信暂时无法处理，请稍后再试" "WeChat could not do this, please try again";
    /// Nothing was done; more is waiting than can be taken.
    Busy "busy" 503 "人数较多，请稍后再试" "Very busy, please try again in a moment";
    /// Whether it was done is not known: repeat with the same key.
    Unavailable "unavailable" 503 "服务暂时不可用，请稍后重试" "Not available, please try again";
    Internal "internal" 500 "系统出错了" "Something went wrong";
}

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: Code,
    status: StatusCode,
    detail: Value,
    retry_after_seconds: Option<u64>,
}

impl ApiError {
    pub fn new(code: Code) -> Self {
        let retry_after_seconds =
            matches!(code, Code::Busy | Code::Unavailable | Code::RateLimited).then_some(1);
        Self { code, status: code.status(), detail: json!({}), retry_after_seconds }
    }

    /// Adds what a program may look at.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(detail) = &mut self.detail {
            detail.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Tells the caller to wait this long.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds.max(1));
        self
    }

    /// A field of the request is wrong.
    pub fn invalid(field: &str, reason: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest).with("field", field).with("reason", reason.into())
    }

    /// The thing that this field names does not exist, or belongs to somebody else.
    pub fn not_found(field: &str) -> Self {
        Self::new(Code::NotFound).with("field", field)
    }

    pub fn unauthorized() -> Self {
        Self::new(Code::Unauthorized)
    }

    /// Something that must not happen; it is logged here, and the caller hears no details.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Code::Internal)
    }

    /// The answer could not be had, for now; logged here.
    pub fn unavailable(error: impl std::fmt::Display) -> Self {
        tracing::warn!(%error, "a request could not be served");
        Self::new(Code::Unavailable)
    }

    fn method_not_allowed() -> Self {
        let error = Self::new(Code::InvalidRequest).with("field", "method");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, ..error }
    }

    pub fn code(&self) -> Code {
        self.code
    }

    /// What was added under this key, if it is a text; else nothing.
    pub fn detail(&self, key: &str) -> String {
        self.detail.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The problem as it goes over the wire.
    pub fn problem(&self, language: Language) -> Problem {
        let Sent { kind, title, status, code, message, detail } = self.sent(language);
        Problem { kind, title, status, code, message, detail: detail.clone() }
    }

    /// The whole answer in one language.
    pub fn response(&self, language: Language) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        let mut body = Vec::with_capacity(256);
        // Words and numbers are JSON.
        let _infallible = serde_json::to_writer(&mut body, &self.sent(language));
        response.body(body)
    }

    /// The problem with its detail where it lies.
    fn sent(&self, language: Language) -> Sent<'_> {
        Sent {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code.as_str(),
            message: self.code.message(language),
            detail: &self.detail,
        }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }
    fn error_response(&self) -> HttpResponse {
        self.response(Language::default())
    }
}

/// The database away is the caller's reason to repeat; a row without sense is ours to mend.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(_) => Self::unavailable(error),
            StoreError::Row { .. } | StoreError::NotMet => Self::internal(error),
        }
    }
}

/// An error in the form of RFC 9457.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: &'static str,
    #[schema(example = "Conflict")]
    pub title: &'static str,
    #[schema(example = 409)]
    pub status: u16,
    /// Stable; decide by this.
    #[schema(example = "sold_out")]
    pub code: &'static str,
    /// May be shown to the buyer; Chinese, or English with `Accept-Language: en`.
    #[schema(example = "库存不足")]
    pub message: &'static str,
    /// What a program may look at, such as `field`.
    #[schema(value_type = Object)]
    pub detail: Value,
}

/// A [`Problem`] on its way out: a crowd of refusals is not copied first.
#[derive(Serialize)]
struct Sent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    message: &'static str,
    detail: &'a Value,
}

/// Middleware: every error answer becomes a problem in the language of the request.
pub async fn problems(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let language = Language::of(request.headers());
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(error) = needed_problem(&response, language) else {
        return Ok(response);
    };
    let (request, old) = response.into_parts();
    let mut new = error.response(language);
    let kept =
        [header::ALLOW, header::RETRY_AFTER, header::CACHE_CONTROL, header::X_CONTENT_TYPE_OPTIONS];
    keep(&old, &mut new, &kept);
    Ok(ServiceResponse::new(request, new))
}

fn keep(old: &HttpResponse, new: &mut HttpResponse, names: &[HeaderName]) {
    for name in names {
        if let Some(value) = old.headers().get(name) {
            new.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

/// The problem that replaces this answer; `None` when the answer is good as it stands.
fn needed_problem(response: &ServiceResponse<BoxBody>, language: Language) -> Option<ApiError> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let ours = response.response().error().and_then(|error| error.as_error::<ApiError>());
    if let Some(error) = ours {
        return (language != Language::default()).then(|| error.clone());
    }
    bare(response.headers().get(header::CONTENT_TYPE)).then(|| for_status(status))
}

/// Whether actix-web made this answer by itself: no body, or a line of plain text.
fn bare(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

fn for_status(status: StatusCode) -> ApiError {
    match status {
        StatusCode::UNAUTHORIZED => ApiError::unauthorized(),
        StatusCode::FORBIDDEN => ApiError::new(Code::Forbidden),
        StatusCode::NOT_FOUND => ApiError::not_found("path"),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::method_not_allowed(),
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::TooLarge),
        StatusCode::TOO_MANY_REQUESTS => ApiError::new(Code::RateLimited),
        StatusCode::SERVICE_UNAVAILABLE => ApiError::new(Code::Unavailable),
        status if status.is_client_error() => ApiError::new(Code::InvalidRequest),
        status => ApiError::internal(format!("answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, web};

    use super::*;

    async fn answer(
        path: &str,
        language: &str,
        method: actix_web::http::Method,
    ) -> (u16, Value, HeaderMap) {
        let sold_out =
            || async { Err::<&'static str, _>(ApiError::new(Code::SoldOut).with("sku_id", 7)) };
        let busy = || async { Err::<&'static str, _>(ApiError::new(Code::Busy)) };
        let app = App::new()
            .wrap(from_fn(problems))
            .service(web::resource("/sold").route(web::get().to(sold_out)))
            .service(web::resource("/busy").route(web::get().to(busy)));
        let app = init_service(app).await;
        let request = TestRequest::with_uri(path)
            .method(method)
            .insert_header((header::ACCEPT_LANGUAGE, language))
            .to_request();
        let response = call_service(&app, request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, read_body_json(response).await, headers)
    }

    #[actix_web::test]
    async fn a_refusal_is_a_problem_in_the_callers_language() {
        let (status, body, headers) = answer("/sold", "", actix_web::http::Method::GET).await;
        assert_eq!(status, 409);
        assert_eq!(headers.get(header::CONTENT_TYPE).unwrap(), PROBLEM_JSON);
        let expected = json!({"type": "about:blank", "title": "Conflict", "status": 409,
            "code": "sold_out", "message": "库存不足", "detail": {"sku_id": 7}});
        assert_eq!(body, expected);
        let (_, body, _) = answer("/sold", "en-GB,en;q=0.8", actix_web::http::Method::GET).await;
        assert_eq!(body["message"], "Sold out");
        assert_eq!(body["detail"]["sku_id"], 7);
    }

    #[actix_web::test]
    async fn busy_says_when_to_come_again() {
        for language in ["zh", "en"] {
            let (status, _, headers) =
                answer("/busy", language, actix_web::http::Method::GET).await;
            assert_eq!(status, 503);
            assert_eq!(headers.get(header::RETRY_AFTER).unwrap(), "1");
        }
    }

    #[actix_web::test]
    async fn what_actix_answers_by_itself_is_a_problem_too() {
        let (status, body, _) = answer("/nowhere", "en", actix_web::http::Method::GET).await;
        assert_eq!((status, body["code"].as_str().unwrap()), (404, "not_found"));
        let (status, body, _) = answer("/sold", "en", actix_web::http::Method::DELETE).await;
        assert_eq!((status, body["code"].as_str().unwrap()), (405, "invalid_request"));
    }

    #[test]
    fn the_preferred_language_wins() {
        for (accepted, language) in [
            ("", Language::Chinese),
            ("*", Language::Chinese),
            ("en", Language::English),
            ("en-US,en;q=0.9", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("zh;q=0.5, en;q=0.75", Language::English),
            ("de, en;q=0.1", Language::English),
            ("en;q=abc", Language::Chinese),
        ] {
            assert_eq!(Language::parse(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn the_codes_are_those_of_the_contract() {
        let codes: Vec<_> = Code::ALL
            .iter()
            .map(|code| format!("{} {}", code.as_str(), code.status().as_u16()))
            .collect();
        assert_eq!(codes.len(), 18);
        for code in
            ["invalid_request 400", "too_large 413", "wechat_error 502", "busy 503", "internal 500"]
        {
            assert!(codes.iter().any(|known| known == code), "{code}");
        }
    }
}
