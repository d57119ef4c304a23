//! What staff type, within the bounds of the columns that keep it.

use super::DeskError;
use crate::domain::address::Address;

/// Rule: refund, `refund_desc`, 80 characters.
pub(super) const REFUND_REASON_MAX: usize = 80;
const REASON_MAX: usize = 120;

/// Why somebody does something, for the audit log; nobody does without.
pub(super) fn reason(why: &str) -> Result<String, DeskError> {
    text("reason", why, 1, REASON_MAX)
}

/// Trimmed, one line, so many characters.
pub(super) fn text(
    field: &'static str,
    value: &str,
    min: usize,
    max: usize,
) -> Result<String, DeskError> {
    let value = value.trim();
    let length = value.chars().count();
    if length < min {
        return Err(DeskError::Invalid { field, why: "is empty" });
    }
    if length > max {
        return Err(DeskError::Invalid { field, why: "is too long" });
    }
    if value.chars().any(char::is_control) {
        return Err(DeskError::Invalid { field, why: "has control characters" });
    }
    Ok(value.to_owned())
}

/// As the buyer's own address book takes it.
pub(super) fn address(to: Address) -> Result<Address, DeskError> {
    let phone = text("phone", &to.phone, 5, 32)?;
    if !phone.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c)) {
        return Err(DeskError::Invalid { field: "phone", why: "is no phone number" });
    }
    Ok(Address {
        name: text("name", &to.name, 1, 64)?,
        phone,
        province: text("province", &to.province, 1, 64)?,
        city: text("city", &to.city, 1, 64)?,
        district: text("district", &to.district, 0, 64)?,
        detail: text("detail", &to.detail, 1, 255)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_have_bounds() {
        assert_eq!(reason(" 缺货 ").unwrap(), "缺货");
        for (why, expected) in [
            ("  ", "is empty"),
            ("一\n二", "has control characters"),
            (&*"长".repeat(121), "is too long"),
        ] {
            let invalid = DeskError::Invalid { field: "reason", why: expected };
            assert_eq!(reason(why), Err(invalid), "{why}");
        }
    }
}
