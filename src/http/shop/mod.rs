//! The JSON API of the mini-program, `/api/v1`: one file for each group of calls.

pub mod addresses;
pub mod checkout;
pub mod goods;
pub mod items;
pub mod me;
pub mod messages;
pub mod orders;
pub mod payments;
pub mod receipt;
mod refusals;
pub mod session;
pub mod views;

use actix_web::web::ServiceConfig;

/// All routes below `/api/v1`.
pub fn routes(config: &mut ServiceConfig) {
    session::routes(config);
    me::routes(config);
    goods::routes(config);
    addresses::routes(config);
    checkout::routes(config);
    orders::routes(config);
    receipt::routes(config);
    messages::routes(config);
}
