//! What the fields of a message may hold; a field's type is its name without the number.
//!
//! Source: the parameter table of subscribeMessage.send. Written apart from `wechat/`, so that the
//! two check each other.

/// The longest value of the retired templates' `keyword` fields, in characters.
const KEYWORD_CHARS: usize = 200;

/// Whether WeChat takes the value for the field; an unknown type takes nothing.
pub(super) fn holds(field: &str, value: &str) -> bool {
    let kind = field.trim_end_matches(|c: char| c.is_ascii_digit());
    let chars = value.chars().count();
    if value.trim().is_empty() || kind.len() == field.len() {
        return false;
    }
    match kind {
        "thing" => chars <= 20 && !value.contains(['\n', '\r']),
        "number" => is_number(value, 32),
        "letter" => chars <= 32 && value.bytes().all(|b| b.is_ascii_alphabetic()),
        "symbol" => chars <= 5 && !value.chars().any(char::is_alphanumeric),
        "character_string" => chars <= 32 && value.bytes().all(|b| (0x20..0x7f).contains(&b)),
        "time" => is_range(value, is_time),
        "date" => is_range(value, is_date),
        "amount" => is_amount(value),
        "phone_number" => chars <= 17 && !value.chars().any(char::is_alphabetic),
        "car_number" => chars <= 8,
        "name" => is_name(value, chars),
        "phrase" => chars <= 5 && value.chars().all(is_chinese),
        "const" | "enum" => chars <= 20,
        "keyword" => chars <= KEYWORD_CHARS,
        _ => false,
    }
}

fn is_chinese(c: char) -> bool {
    matches!(c, '〇' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

/// Up to `digits` digits in all, one decimal point inside.
fn is_number(value: &str, digits: usize) -> bool {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole)
        && all_digits(fraction)
        && value.bytes().filter(u8::is_ascii_digit).count() <= digits
}

/// One currency sign, up to ten digits with decimals, `元`: sign and `元` may be absent.
fn is_amount(value: &str) -> bool {
    let value = value.strip_prefix(['¥', '￥', '$', '€', '£']).unwrap_or(value);
    is_number(value.strip_suffix('元').unwrap_or(value), 10)
}

/// With Chinese in it: up to 10 characters; else up to 20 letters and symbols.
fn is_name(value: &str, chars: usize) -> bool {
    let chinese = value.chars().any(is_chinese);
    let latin = chars <= 20 && !value.chars().any(char::is_numeric);
    if chinese { chars <= 10 } else { latin }
}

/// One moment, or two with `~` between.
fn is_range(value: &str, is_moment: fn(&str) -> bool) -> bool {
    match value.split_once('~') {
        Some((from, to)) => is_moment(from.trim()) && is_moment(to.trim()),
        None => is_moment(value),
    }
}

/// A time of day, with a date before it or not.
fn is_time(value: &str) -> bool {
    match value.split_once(' ') {
        Some((day, time)) => is_day(day) && is_time_of_day(time),
        None => is_time_of_day(value),
    }
}

/// A date, with a time of day after it or not.
fn is_date(value: &str) -> bool {
    match value.split_once(' ') {
        Some((day, time)) => is_day(day) && is_time_of_day(time),
        None => is_day(value),
    }
}

/// `15:01` or `15:01:59`.
fn is_time_of_day(value: &str) -> bool {
    let parts: Vec<_> = value.split(':').collect();
    let limits = [23, 59, 59];
    (2..=3).contains(&parts.len())
        && parts
            .iter()
            .zip(limits)
            .all(|(part, limit)| part.len() <= 2 && number(part).is_some_and(|n| n <= limit))
}

/// `2019年10月1日` or `2019-10-01`.
fn is_day(value: &str) -> bool {
    let chinese = value.strip_suffix('日').map(|day| day.replace(['年', '月'], "-"));
    let value = chinese.as_deref().unwrap_or(value);
    let parts: Vec<_> = value.split('-').collect();
    let [year, month, day] = parts[..] else {
        return false;
    };
    year.len() == 4
        && number(year).is_some()
        && number(month).is_some_and(|n| (1..=12).contains(&n))
        && number(day).is_some_and(|n| (1..=31).contains(&n))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_keeps_its_rule() {
        let twenty = "好".repeat(20);
        let twenty_one = "好".repeat(21);
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("thing1", &["茶", &twenty, "a b"], &["", " ", &twenty_one, "a\nb"]),
            ("number2", &["12", "1.5"], &["1.", "a", "1.2.3", "-"]),
            ("letter1", &["abc"], &["a1", "好"]),
            ("symbol1", &["!!"], &["!!!!!!", "a"]),
            ("character_string3", &["20261125-1 a"], &["订单1", &"1".repeat(33)]),
            (
                "time4",
                &["15:01", "2019年10月1日 15:01", "2019-10-01 15:01:59", "15:01~16:00"],
                &["2020-01-18 16:18:49.0", "24:00", "15", "2019年10月1日"],
            ),
            (
                "date5",
                &["2019年10月1日", "2019-10-01", "2019-10-01 15:01"],
                &["15:01", "2019-13-01", "10-01"],
            ),
            (
                "amount6",
                &["12.90", "¥12.90", "12.90元", "￥1元"],
                &["12,90", "¥", "12345678901", "十元"],
            ),
            ("phone_number7", &["+86-0766-66888866"], &["010 call me", &"1".repeat(18)]),
            ("car_number8", &["粤A8Z888挂"], &["粤A8Z8888888"]),
            ("name9", &["张三", "John Smith"], &["张三张三张三张三张三张", "R2D2"]),
            ("phrase10", &["配送中"], &["配送 中", "ok", "一二三四五六"]),
            ("const11", &["待发货"], &[""]),
            ("keyword1", &["anything at all"], &["", &"x".repeat(201)]),
            ("unheard1", &[], &["x"]),
            ("thing", &[], &["a name needs its number"]),
        ];
        for (field, good, bad) in cases {
            for value in *good {
                assert!(holds(field, value), "{field} takes {value:?}");
            }
            for value in *bad {
                assert!(!holds(field, value), "{field} refuses {value:?}");
            }
        }
    }

    proptest::proptest! {
        /// What our own side fits into a field, the platform takes. (The rules here are the
        /// looser.)
        #[test]
        fn what_the_client_fits_is_taken(value in ".{0,40}", at in 0usize..13) {
            use crate::wechat::message::FieldRule;
            let kinds = ["thing", "number", "letter", "symbol", "character_string", "time", "date",
                "amount", "phone_number", "car_number", "name", "phrase", "const"];
            let field = format!("{}1", kinds[at]);
            let rule = FieldRule::of(&field).expect("each of these has a rule");
            if let Ok(fitted) = rule.fit(&value) {
                proptest::prop_assert!(holds(&field, &fitted), "{field}: {fitted:?}");
            }
        }
    }
}
