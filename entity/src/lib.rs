//! The tables of buynow as sea-orm entities: one table per file, no logic.
//!
//! Money is integer fen, times are UTC milliseconds, weights are grams; every row belongs to a
//! mini-program (`wxapp_id`). What the values of a state column mean is decided in `domain`.

pub mod admin_grant;
pub mod admin_session;
pub mod admin_token;
pub mod admin_user;
pub mod admin_view;
pub mod audit_entry;
pub mod batch_marker;
pub mod category;
pub mod goods;
pub mod id_block;
pub mod idempotency;
pub mod incident;
pub mod message_grant;
pub mod notification;
pub mod order;
pub mod order_address;
pub mod order_event;
pub mod order_goods;
pub mod payment;
pub mod payment_attempt;
pub mod refund;
pub mod schema_info;
pub mod session;
pub mod shipment;
pub mod shipment_goods;
pub mod sku;
pub mod slip_print;
pub mod stock_entry;
pub mod user;
pub mod user_address;
pub mod work_claim;
pub mod wxapp;
