//! WeChat's times: Beijing civil time, always +08:00, whatever the host's time zone.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::domain::time::Timestamp;

const BEIJING: Offset = Offset::constant(8);

/// `yyyyMMddHHmmss` in Beijing, as `time_start` and `time_expire` take it; parts of a second are
/// cut.
///
/// # Panics
/// Never for the years 1 to 9999, which is all that a clock shows.
pub fn to_beijing(time: Timestamp) -> String {
    let utc = jiff::Timestamp::from_millisecond(time.as_millis());
    let utc = utc.expect("a clock shows years between 1 and 9999");
    BEIJING.to_datetime(utc).strftime("%Y%m%d%H%M%S").to_string()
}

/// Reads `yyyyMMddHHmmss` (`time_end`); nothing but 14 digits that name a moment.
pub fn from_beijing(text: &str) -> Option<Timestamp> {
    let digits = text.as_bytes();
    if digits.len() != 14 {
        return None;
    }
    at(digits)
}

/// Reads `yyyy-MM-dd HH:mm:ss` (`refund_success_time_$n`, `success_time`).
pub fn from_beijing_dashed(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 19 || (0..5).any(|n| bytes[n * 3 + 4] != b"-- ::"[n]) {
        return None;
    }
    at(&[0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18].map(|place: usize| bytes[place]))
}

/// Fourteen digits: year, month, day, hour, minute, second.
fn at(digits: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, to: usize| {
        digits[from..to].iter().try_fold(0_i16, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0'))
        })
    };
    let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
    let civil =
        DateTime::new(number(0, 4)?, small(4)?, small(6)?, small(8)?, small(10)?, small(12)?, 0);
    let utc = BEIJING.to_timestamp(civil.ok()?).ok()?;
    Some(Timestamp::from_seconds(utc.as_second()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beijing_is_eight_hours_ahead() {
        // 2026-11-24T10:30:15Z
        let time = Timestamp::from_seconds(1_795_516_215);
        assert_eq!(from_beijing("20261124183015"), Some(time));
        assert_eq!(from_beijing_dashed("2026-11-24 18:30:15"), Some(time));
        assert_eq!(to_beijing(time.plus_millis(999)), "20261124183015");
        assert_eq!(from_beijing("19700101080000"), Some(Timestamp::from_seconds(0)));
    }

    #[test]
    fn what_names_no_moment_is_refused() {
        for bad in [
            "",
            "2026112418301",
            "202611241830155",
            "20261324183015",
            "20260230000000",
            "20261124250000",
            "2026112418301x",
            "+0261124183015",
            "2026-11-24 18:30:15",
            "二〇二六年十一月",
        ] {
            assert_eq!(from_beijing(bad), None, "{bad}");
        }
        for bad in ["", "20261124183015", "2026-11-24T18:30:15", "2026-11-24 18:30:1x"] {
            assert_eq!(from_beijing_dashed(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn seconds_survive_the_way_there_and_back(seconds in 0_i64..=253_370_000_000) {
            let time = Timestamp::from_seconds(seconds);
            prop_assert_eq!(from_beijing(&to_beijing(time)), Some(time));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,24}") {
            let _ = (from_beijing(&text), from_beijing_dashed(&text));
        }
    }
}
