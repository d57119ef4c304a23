//! The reader of XML takes or refuses any bytes; what it takes it writes and reads again the same.
#![no_main]

use buynow_fuzz::wechat::xml::{LIMIT_BYTES, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(fields) = parse(data) else { return };
    assert!(data.len() <= LIMIT_BYTES);
    let held: usize = fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(held <= data.len(), "a message is never longer than what it was read from");
    let again = parse(write(&fields).as_bytes());
    assert!(again == Ok(fields) || write_is_too_long(data), "written and read: something else");
});

/// Written anew every value is CDATA, which may need more room than there is.
fn write_is_too_long(data: &[u8]) -> bool {
    parse(data).is_ok_and(|fields| write(&fields).len() > LIMIT_BYTES)
}
