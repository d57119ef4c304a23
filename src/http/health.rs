//! Whether the server lives and is ready, and what it has measured.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use serde_json::json;

use super::AppState;
use super::error::{ApiError, Code};

const PING_WAIT: Duration = Duration::from_secs(2);

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/healthz").route(web::get().to(healthz)))
        .service(web::resource("/readyz").route(web::get().to(readyz)))
        .service(web::resource("/metrics").route(web::get().to(metrics)));
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// Database and engine answer, and the server is not going down.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200), (status = 503, description = "Not ready")))]
pub async fn readyz(state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let not_ready = |part: &str| ApiError::new(Code::Unavailable).with("not_ready", part);
    if !*state.ready.borrow() {
        return Err(not_ready("server"));
    }
    if !*state.alive.borrow() {
        return Err(not_ready("journal"));
    }
    // Asking for a shop replaces actors of it that have died.
    for shop in state.directory.shops() {
        state.directory.shop(shop.wxapp.id).await.map_err(|_| not_ready("engine"))?;
    }
    let ping = tokio::time::timeout(PING_WAIT, state.readers.ping()).await;
    if !matches!(ping, Ok(Ok(()))) {
        return Err(not_ready("database"));
    }
    let journal = tokio::time::timeout(PING_WAIT, state.journal.snapshot()).await;
    if !matches!(journal, Ok(Some(_))) {
        return Err(not_ready("journal"));
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ready"})))
}

/// Prometheus metrics.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(state: Data<AppState>) -> HttpResponse {
    let text = state.metrics.as_ref().map(|metrics| metrics.render()).unwrap_or_default();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}
