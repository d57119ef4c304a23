//! The admin site: pages at `/admin`, and the same actions as JSON at `/api/admin/v1`.
//!
//! [`access`] is the table of routes and rights, [`guard`] lets a request pass or not, [`render`]
//! makes pages. A page is a file here and a template in `templates/admin/`; what it does is a typed
//! function that both faces call. Works without JavaScript: forms are posted, answers redirect.

pub mod access;
mod assets;
mod facts;
mod form;
mod goods;
mod guard;
mod incidents;
mod log;
mod login;
mod me;
pub mod openapi;
mod orders;
pub mod password;
mod people;
mod render;
mod session;
mod shipping;
pub mod texts;
mod throttle;
mod tokens;
pub mod totp;
mod upload;

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};

use crate::http::AppState;
use crate::store::seal::Sealer;
use access::{API, Face, PAGES, Routes, Table};
use throttle::Throttle;

pub use guard::Staff;

/// What the site works with beside the [`AppState`].
pub struct AdminState {
    pub sealer: Arc<Sealer>,
    pub throttle: Throttle,
    pub table: Table,
    /// Cookies are for https alone.
    pub secure: bool,
    /// What browsers call the site: scheme, host and port.
    pub origin: String,
}

impl AdminState {
    /// `public_url`: where browsers reach the site; by https, its cookies never leave https.
    pub fn new(sealer: Arc<Sealer>, public_url: &str) -> Self {
        Self {
            sealer,
            throttle: Throttle::default(),
            table: routes().table(),
            secure: public_url.starts_with("https:"),
            origin: origin(public_url),
        }
    }
}

/// An address without its path.
fn origin(url: &str) -> String {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find('/').map_or(url.len(), |path| host + path);
    url[..end].to_lowercase()
}

/// Every route of the site.
pub fn routes() -> Routes {
    let mut routes = Routes::default();
    assets::routes(&mut routes);
    log::routes(&mut routes);
    orders::routes(&mut routes);
    goods::routes(&mut routes);
    incidents::routes(&mut routes);
    login::routes(&mut routes);
    me::routes(&mut routes);
    people::routes(&mut routes);
    shipping::routes(&mut routes);
    tokens::routes(&mut routes);
    routes
}

/// Adds the site to the application.
pub fn configure(config: &mut ServiceConfig, state: Data<AdminState>) {
    let scope = |base: &str, face: Face| {
        web::scope(base)
            .app_data(state.clone())
            .configure(|config| routes().register(face, config))
            .wrap(from_fn(guard::guard))
    };
    config.service(scope(API, Face::Json)).service(scope(PAGES, Face::Html));
}

/// What both states of a request are good for, in one argument.
pub(crate) type States = (Data<AppState>, Data<AdminState>);
