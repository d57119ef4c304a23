//! Where an order goes.

use serde::{Deserialize, Serialize};

/// A delivery address, in the names that `wx.chooseAddress` gives. Copied into the order, so that a
/// later change of the address book does not move a parcel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub name: String,
    pub phone: String,
    pub province: String,
    pub city: String,
    pub district: String,
    pub detail: String,
}

/// Never shows the person: addresses do not belong in a log.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}
