//! What WeChat calls: notifications, answered in WeChat's form.

pub mod pay_v2;

use actix_web::web::ServiceConfig;

/// All routes that WeChat calls.
pub fn routes(config: &mut ServiceConfig) {
    pay_v2::routes(config);
}
