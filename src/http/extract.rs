//! Reading requests: JSON bodies, queries and ids in paths, refused with the field's name.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use super::auth::{Extracted, first_refusal, state};
use super::error::{ApiError, Code};

/// How long a body may take to arrive.
pub const BODY_WAIT: Duration = Duration::from_secs(10);

/// Reads a body of at most `max` bytes. Compressed bodies are refused, never expanded.
pub async fn body(
    request: &HttpRequest,
    payload: web::Payload,
    max: usize,
) -> Result<web::Bytes, ApiError> {
    let too_large = || ApiError::new(Code::TooLarge).with("max_bytes", max);
    let mut codings = request.headers().get_all(header::CONTENT_ENCODING);
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::invalid("Content-Encoding", "compressed bodies are not taken"));
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > max) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_WAIT, payload.to_bytes_limited(max)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(_))) => Err(ApiError::invalid("body", "did not arrive whole")),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(ApiError::invalid("body", "did not arrive in time")),
    }
}

/// A JSON body. Unknown fields are refused when the type says `deny_unknown_fields`.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), web::Payload::from_request(request, payload));
        Box::pin(async move {
            let payload = payload.await.map_err(ApiError::internal)?;
            let max = state(&request)?.config.server.body_max_bytes;
            let read = body(&request, payload, max).await;
            checked(&request, read.and_then(|bytes| parse_json(&bytes)).map(Self)).await
        })
    }
}

/// A part of the request, or the refusal that goes first.
async fn checked<T>(request: &HttpRequest, part: Result<T, ApiError>) -> Result<T, ApiError> {
    match part {
        Ok(part) => Ok(part),
        Err(error) => Err(first_refusal(request, error).await),
    }
}

/// Parses JSON; the refusal names the field. What is right is parsed once; only what is wrong is
/// parsed again, with an eye on where it goes wrong.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).or_else(|_| parse_json_watching(bytes))
}

fn parse_json_watching<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, &error.into_inner().to_string())
    })?;
    json.end().map_err(|error| ApiError::invalid("body", error.to_string()))?;
    Ok(value)
}

/// The query string, read like a JSON object of texts.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (request, query) = (request.clone(), parse_query(request.query_string()).map(Self));
        Box::pin(async move { checked(&request, query).await })
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let query = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(query).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, &error.into_inner().to_string())
    })
}

fn refused(path: &str, reason: &str) -> ApiError {
    let path = if path == "." || path == "?" { "" } else { path };
    let field = match named_field(reason) {
        Some(field) if path.is_empty() => field.to_owned(),
        Some(field) if path.rsplit('.').next() != Some(field) => format!("{path}.{field}"),
        _ if path.is_empty() => "body".to_owned(),
        _ => path.to_owned(),
    };
    ApiError::invalid(&field, reason)
}

/// serde names an unknown, missing or doubled field in its message, not in the path.
fn named_field(reason: &str) -> Option<&str> {
    let rest = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| reason.strip_prefix(start))?;
    rest.split('`').next()
}

/// The id at the place `{id}` of the path.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

impl<T: TryFrom<i64> + 'static> FromRequest for PathId<T> {
    type Error = ApiError;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.match_info().get("id").unwrap_or_default();
        let id = text.parse::<i64>().ok().and_then(|id| T::try_from(id).ok());
        let id = id.map(Self).ok_or_else(|| ApiError::invalid("id", "not an id"));
        let request = request.clone();
        Box::pin(async move { checked(&request, id).await })
    }
}

/// A text of `min` to `max` characters without control characters, trimmed. `name` is its path.
pub fn text(name: &str, value: &str, min: usize, max: usize) -> Result<String, ApiError> {
    let value = value.trim();
    let length = value.chars().take(max + 1).count();
    if length < min || length > max {
        return Err(ApiError::invalid(name, format!("{min} to {max} characters")));
    }
    if value.chars().any(char::is_control) {
        return Err(ApiError::invalid(name, "control characters are not allowed"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    use super::*;
    use crate::domain::id::OrderId;
    use crate::http::error::Language;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Order {
        items: Vec<Item>,
        remark: Option<String>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Item {
        sku_id: i64,
    }

    fn field(error: ApiError) -> String {
        let problem = error.problem(Language::Chinese);
        assert_eq!(problem.code, "invalid_request");
        problem.detail["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_bad_body_is_refused_by_the_fields_name() {
        for (body, name) in [
            ("", "body"),
            ("{", "body"),
            ("[]", "body"),
            (r#"{"items":[]} x"#, "body"),
            (r#"{}"#, "items"),
            (r#"{"items":[],"colour":1}"#, "colour"),
            (r#"{"items":[{"sku_id":"7"}]}"#, "items[0].sku_id"),
            (r#"{"items":[{"sku_id":7},{"sku_id":7,"size":1}]}"#, "items[1].size"),
            (r#"{"items":[{"sku_id":1e400}]}"#, "items[0].sku_id"),
            (r#"{"items":[],"remark":7}"#, "remark"),
            (r#"{"items":[],"items":[]}"#, "items"),
        ] {
            assert_eq!(field(parse_json::<Order>(body.as_bytes()).unwrap_err()), name, "{body}");
        }
        assert!(parse_json::<Order>(br#"{"items":[{"sku_id":7}]}"#).is_ok());
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        limit: Option<u32>,
    }

    #[test]
    fn a_bad_query_is_refused_by_the_fields_name() {
        assert_eq!(parse_query::<List>("limit=3").unwrap().limit, Some(3));
        assert_eq!(parse_query::<List>("").unwrap().limit, None);
        assert_eq!(field(parse_query::<List>("limit=x").unwrap_err()), "limit");
        assert_eq!(field(parse_query::<List>("colour=x").unwrap_err()), "colour");
    }

    async fn read(request: TestRequest, max: usize) -> Result<web::Bytes, ApiError> {
        let (request, mut payload) = request.to_http_parts();
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        body(&request, payload, max).await
    }

    #[actix_web::test]
    async fn a_large_or_compressed_body_is_refused() {
        let whole = read(TestRequest::post().set_payload("12345"), 5).await.unwrap();
        assert_eq!(whole.as_ref(), b"12345");
        let error = read(TestRequest::post().set_payload("123456"), 5).await.unwrap_err();
        assert_eq!(error.code(), Code::TooLarge);
        let announced = TestRequest::post().insert_header((header::CONTENT_LENGTH, "10485760"));
        assert_eq!(read(announced, 5).await.unwrap_err().code(), Code::TooLarge);
        let zipped = TestRequest::post().insert_header((header::CONTENT_ENCODING, "gzip"));
        assert_eq!(field(read(zipped, 5).await.unwrap_err()), "Content-Encoding");
    }

    #[actix_web::test]
    async fn an_id_in_the_path_is_a_number_of_ours() {
        for (text, good) in
            [("7", true), ("0", false), ("-1", false), ("x", false), ("9007199254740992", false)]
        {
            let request = TestRequest::default().param("id", text).to_http_request();
            let id = PathId::<OrderId>::extract(&request).await;
            assert_eq!(id.is_ok(), good, "{text}");
        }
    }

    #[test]
    fn texts_have_a_length_and_no_control_characters() {
        assert_eq!(text("name", " 王小明 ", 1, 3).unwrap(), "王小明");
        assert_eq!(field(text("name", "  ", 1, 3).unwrap_err()), "name");
        assert!(text("name", "abcd", 1, 3).is_err());
        assert!(text("name", "a\u{0}", 1, 3).is_err());
    }
}
