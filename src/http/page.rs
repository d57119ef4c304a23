//! Pages of a list: `limit` and `cursor` in, `next_cursor` out.
//!
//! A cursor is opaque to the client. It names the list and order it belongs to, so that one list's
//! cursor is refused by another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::ApiError;
use crate::store::page::After;

/// The largest page.
pub const LIMIT_MAX: u32 = 100;
/// The page of a request that does not say.
pub const LIMIT_DEFAULT: u32 = 20;

/// Checks `limit`: 1 to 100, 20 when absent.
pub fn limit(requested: Option<u32>) -> Result<u32, ApiError> {
    match requested.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(ApiError::invalid("limit", format!("from 1 to {LIMIT_MAX}"))),
    }
}

/// Reads a cursor of the list `list`.
pub fn after(list: &str, cursor: Option<&str>) -> Result<Option<After>, ApiError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let refused = || ApiError::invalid("cursor", "not a cursor of this list");
    decode(list, cursor).map(Some).ok_or_else(refused)
}

/// The cursor that continues the list `list` after this row.
pub fn cursor(list: &str, after: After) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}.{}.{}", after.key, after.id))
}

fn decode(list: &str, cursor: &str) -> Option<After> {
    if cursor.len() > 128 {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (key, id) = text.strip_prefix(list)?.strip_prefix('.')?.split_once('.')?;
    Some(After { key: key.parse().ok()?, id: id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cursor_is_read_by_its_own_list_only() {
        let place = After { key: -3, id: 77 };
        let text = cursor("orders", place);
        assert_eq!(after("orders", Some(&text)).unwrap(), Some(place));
        assert!(after("goods", Some(&text)).is_err());
        assert_eq!(after("orders", None).unwrap(), None);
        for bad in ["", "!!", "b3JkZXJz", &"A".repeat(500)] {
            assert!(after("orders", Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_lie_between_one_and_a_hundred() {
        assert_eq!(limit(None).unwrap(), 20);
        assert_eq!(limit(Some(100)).unwrap(), 100);
        assert!(limit(Some(0)).is_err());
        assert!(limit(Some(101)).is_err());
    }
}
