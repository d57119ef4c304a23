//! The edge: HTTP in, messages to the engine, JSON out.
//!
//! Uses the actors, the domain, and the store's read-only queries and the functions that build its
//! writes. Knows no entity and no SQL. [`app`] is the whole application, ready for a server or a
//! test.

pub mod access_log;
pub mod admin;
pub mod auth;
pub mod callback;
pub mod client_address;
pub mod demo;
pub mod error;
pub mod extract;
pub mod health;
pub mod limits;
pub mod openapi;
pub mod page;
pub mod refreshes;
pub mod session_cache;
pub mod shop;

use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, watch};

use crate::actors::directory::Directory;
use crate::actors::journal::JournalHandle;
use crate::actors::order::Lookups;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Readers;
use crate::store::ids::Ids;
use admin::AdminState;
use error::ApiError;
use limits::Limits;
use refreshes::Refreshes;
use session_cache::SessionCache;

/// What the edge works with: the engine's addresses, the readers, the settings.
pub struct AppState {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub directory: Directory,
    pub journal: JournalHandle,
    pub readers: Readers,
    pub ids: Arc<Ids>,
    /// False: `/readyz` says so, a load balancer sends nobody any more, and nobody waits for
    /// WeChat.
    pub ready: watch::Receiver<bool>,
    /// False: the journal can write no more.
    pub alive: watch::Receiver<bool>,
    /// One for each order between admission and commit: the bound of the engine.
    pub permits: Arc<Semaphore>,
    pub limits: Arc<Limits>,
    pub metrics: Option<PrometheusHandle>,
    pub sessions: SessionCache,
    pub refreshes: Refreshes,
}

/// What the edge is given at the start.
pub struct Parts {
    pub config: Arc<Config>,
    pub clock: Clock,
    pub directory: Directory,
    pub journal: JournalHandle,
    pub readers: Readers,
    pub ids: Arc<Ids>,
    /// False: the server is starting or going down.
    pub ready: watch::Receiver<bool>,
    /// False: the journal can write no more.
    pub alive: watch::Receiver<bool>,
    pub metrics: Option<PrometheusHandle>,
}

impl AppState {
    pub fn new(parts: Parts) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(parts.config.engine.queue_max)),
            limits: Arc::new(Limits::new(&parts.config.server)),
            sessions: SessionCache::default(),
            refreshes: Refreshes::default(),
            config: parts.config,
            clock: parts.clock,
            directory: parts.directory,
            journal: parts.journal,
            readers: parts.readers,
            ids: parts.ids,
            ready: parts.ready,
            alive: parts.alive,
            metrics: parts.metrics,
        }
    }

    /// Ends when the server begins to go down; never while it is up.
    pub async fn going_down(&self) {
        let mut ready = self.ready.clone();
        if ready.wait_for(|ready| !ready).await.is_err() {
            std::future::pending().await
        }
    }

    /// What must be done every few seconds, so that memory stays bounded.
    pub fn tidy(&self) {
        self.limits.forget_idle();
        let free = self.permits.available_permits();
        crate::metrics::depth("orders", self.config.engine.queue_max.saturating_sub(free));
        if let Some(metrics) = &self.metrics {
            metrics.run_upkeep();
        }
    }
}

/// How often memory is tidied.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Tidies until the server goes down.
pub fn keep_tidy(state: Data<AppState>) {
    actix_web::rt::spawn(async move {
        let mut tick = tokio::time::interval(TIDY_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => state.tidy(),
                () = state.going_down() => return,
            }
        }
    });
}

/// The whole application: routes within their middleware, the outermost last.
pub fn app(
    state: Data<AppState>,
    site: Data<AdminState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let (origins, limits) = (state.config.server.cors_origins.clone(), state.limits.clone());
    let api = web::scope("/api/v1").wrap(from_fn(limits::enforce)).configure(shop::routes);
    App::new()
        .app_data(state.clone())
        .app_data(Data::from(limits))
        .app_data(Lookups::new(state.readers.clone()))
        .service(api)
        .configure(|config| admin::configure(config, site))
        .configure(callback::routes)
        .configure(health::routes)
        .configure(openapi::routes)
        .default_service(web::to(nowhere))
        .wrap(from_fn(error::problems))
        .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
        .wrap(from_fn(access_log::watch))
}

async fn nowhere() -> Result<&'static str, ApiError> {
    Err(ApiError::not_found("path"))
}

/// Lets web pages of these origins call the API.
fn cors(origins: &[String]) -> Cors {
    let allowed = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::ACCEPT_LANGUAGE,
        header::HeaderName::from_static("x-wx-appid"),
        header::HeaderName::from_static("idempotency-key"),
    ];
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allowed_headers(allowed)
        .expose_headers([header::RETRY_AFTER.as_str(), access_log::REQUEST_ID])
        .max_age(3600);
    if origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
