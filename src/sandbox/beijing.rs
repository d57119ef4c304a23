//! WeChat's times: Beijing time, whatever the machine's zone is. Rule: pay v2, `yyyyMMddHHmmss`.
//!
//! Written apart from `wechat/`, so that a wrong hour there does not cancel out against one here.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::clock::Timestamp;

const BEIJING: Offset = Offset::constant(8);

fn civil(time: Timestamp, offset: Offset) -> DateTime {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or(jiff::Timestamp::MAX);
    offset.to_datetime(time)
}

/// `yyyyMMddHHmmss`, as in `time_end`.
pub(super) fn compact(time: Timestamp) -> String {
    civil(time, BEIJING).strftime("%Y%m%d%H%M%S").to_string()
}

/// `yyyy-MM-dd HH:mm:ss`, as in `refund_success_time_$n`.
pub(super) fn spaced(time: Timestamp) -> String {
    civil(time, BEIJING).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// RFC 3339 in UTC, for the control API.
pub(super) fn rfc3339(time: Timestamp) -> String {
    civil(time, Offset::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads `yyyyMMddHHmmss`; `None` unless it is a time that exists.
pub(super) fn parse_compact(text: &str) -> Option<Timestamp> {
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text[range].parse::<i8>().ok();
    let year = text[0..4].parse().ok()?;
    let time = DateTime::new(
        year,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?,
        part(12..14)?,
        0,
    );
    let time = BEIJING.to_timestamp(time.ok()?).ok()?;
    Some(Timestamp::from_seconds(time.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T10:30:15Z
    const HALF_PAST_TEN: Timestamp = Timestamp::from_seconds(1_795_516_215);

    #[test]
    fn times_are_written_for_beijing() {
        assert_eq!(compact(HALF_PAST_TEN), "20261124183015");
        assert_eq!(spaced(HALF_PAST_TEN), "2026-11-24 18:30:15");
        assert_eq!(rfc3339(HALF_PAST_TEN), "2026-11-24T10:30:15Z");
    }

    #[test]
    fn times_are_read_back_and_impossible_ones_refused() {
        assert_eq!(parse_compact("20261124183015"), Some(HALF_PAST_TEN));
        for bad in [
            "",
            "2026112418301",
            "20261324183015",
            "20260230000000",
            "2026-11-241830",
            "20261124246060",
        ] {
            assert_eq!(parse_compact(bad), None, "{bad}");
        }
    }
}
