//! One line for each request, with its request id; no addresses, tokens, bodies or query strings.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use metrics::{counter, histogram};
use tracing::{Span, field};
use tracing_actix_web::{RequestId, RootSpanBuilder};

/// The header that carries the request id back.
pub const REQUEST_ID: &str = "x-request-id";

/// When the request came in.
#[derive(Clone, Copy)]
struct Started(Instant);

/// The span that everything about one request is logged in.
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        request.extensions_mut().insert(Started(Instant::now()));
        let id = request.extensions().get::<RequestId>().copied();
        let span = tracing::info_span!(
            "request",
            request_id = field::Empty,
            method = %request.method(),
            route = route(request.match_pattern().as_deref()),
        );
        if let Some(id) = id {
            span.record("request_id", field::display(id));
        }
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let (status, started) = match outcome {
            Ok(response) => {
                let started = response.request().extensions().get::<Started>().copied();
                (response.status(), started)
            }
            Err(error) => (error.as_response_error().status_code(), None),
        };
        let micros = started.map(|Started(at)| at.elapsed().as_micros());
        let micros = micros.and_then(|micros| u64::try_from(micros).ok());
        tracing::info!(parent: &span, status = status.as_u16(), micros, "answered");
    }
}

fn route(pattern: Option<&str>) -> &str {
    pattern.unwrap_or("none")
}

/// Middleware: counts the request, and tells the caller its id.
pub async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = request.extensions().get::<RequestId>().copied();
    let pattern = request.match_pattern().unwrap_or_else(|| "none".to_owned());
    let mut response = next.call(request).await?;
    let id = id.and_then(|id| HeaderValue::from_str(&id.to_string()).ok());
    if let Some(id) = id {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
    }
    let status = match response.status().as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    counter!("buynow_http_requests_total", "route" => pattern.clone(), "status" => status)
        .increment(1);
    histogram!("buynow_http_seconds", "route" => pattern).record(started.elapsed());
    Ok(response)
}
