//! The rules of the shop, and nothing else: no async, no actix, no database, no clock, no chance.
//!
//! What time it is, which ids are free and what the rows say comes in as arguments; what is to be
//! written goes out as values. So every rule can be read, tested and explored without a server.

pub mod address;
pub mod admission;
pub mod attempt;
pub mod books;
pub mod cart;
pub mod desk;
pub mod digits;
pub mod express;
pub mod fold;
pub mod goods;
pub mod id;
pub mod money;
pub mod notification;
pub mod order;
pub mod payment;
pub mod price;
pub mod sheet;
pub mod shipment;
pub mod staff;
pub mod stock;
pub mod time;
pub mod timeline;
