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

/// All routes below `/api/v1`. They are tried in this order, so what a crowd asks for comes first,
/// and paths with an id, which are regular expressions, late.
pub fn routes(config: &mut ServiceConfig) {
    checkout::routes(config);
    session::routes(config);
    me::routes(config);
    messages::routes(config);
    orders::routes(config);
    goods::routes(config);
    addresses::routes(config);
    receipt::routes(config);
}
