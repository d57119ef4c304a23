//! One line for each request, with its request id; no addresses, tokens, bodies or query strings.
//!
//! The outermost middleware: it names the request, opens the span that everything about it is
//! logged in, and counts it. What it counts with is looked up by name once for each thread and
//! route, not once for each request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use metrics::{Counter, Histogram, counter, histogram};
use tracing::{Instrument as _, Span};

use crate::domain::digits::hexadecimal;

/// The header that carries the request id back.
pub const REQUEST_ID: &str = "x-request-id";

/// Middleware: one request, from its first to its last moment.
pub async fn watch(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = hexadecimal(&rand::random::<[u8; 16]>());
    let span = span(&request, &id);
    let answered = next.call(request).instrument(span.clone()).await;
    let took = started.elapsed();
    let status = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let micros = u64::try_from(took.as_micros()).ok();
    tracing::info!(parent: &span, status = status.as_u16(), micros, "answered");
    let mut response = answered?;
    count(&response, status, took);
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
    }
    Ok(response)
}

fn span(request: &ServiceRequest, id: &str) -> Span {
    tracing::info_span!(
        "request",
        request_id = id,
        method = %request.method(),
        route = request.match_pattern().as_deref().unwrap_or(NO_ROUTE),
    )
}

/// Stands for every path that leads nowhere.
const NO_ROUTE: &str = "none";

fn count<B>(response: &ServiceResponse<B>, status: StatusCode, took: Duration) {
    let pattern = response.request().match_pattern();
    let route = pattern.as_deref().unwrap_or(NO_ROUTE);
    ROUTES.with_borrow_mut(|routes| {
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), Route::new(route));
        }
        if let Some(measured) = routes.get_mut(route) {
            measured.count(route, status, took);
        }
    });
}

thread_local! {
    /// By pattern, of which there are only as many as the application has.
    static ROUTES: RefCell<HashMap<String, Route>> = RefCell::default();
}

/// What one route is measured with.
struct Route {
    /// Answers by the first digit of their status, from 2 on.
    answers: [Option<Counter>; 4],
    seconds: Histogram,
}

impl Route {
    fn new(route: &str) -> Self {
        let seconds = histogram!("buynow_http_seconds", "route" => route.to_owned());
        Self { answers: [const { None }; 4], seconds }
    }

    fn count(&mut self, route: &str, status: StatusCode, took: Duration) {
        let (place, class) = match status.as_u16() {
            200..300 => (0, "2xx"),
            300..400 => (1, "3xx"),
            400..500 => (2, "4xx"),
            _ => (3, "5xx"),
        };
        let named = || {
            let route = route.to_owned();
            counter!("buynow_http_requests_total", "route" => route, "status" => class)
        };
        self.answers[place].get_or_insert_with(named).increment(1);
        self.seconds.record(took);
    }
}
