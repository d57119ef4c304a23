//! What a field of a subscribe message may hold, by its type: the name without its number.
//!
//! WeChat refuses the whole message when one value breaks its rule (47003), so values are fitted
//! where shortening keeps their meaning (names of things), and checked everywhere.

use jiff::civil::Date;

/// The longest `enum`/`const` value that is let through; the allowed ones stand in the template.
const CHOICE_MAX: usize = 20;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRule {
    /// 1 to 20 characters, no line feeds.
    Thing,
    /// At most 32 digits, a decimal point allowed.
    Number,
    /// At most 32 letters.
    Letter,
    /// At most 5 symbols.
    Symbol,
    /// At most 32 digits, letters and symbols.
    CharacterString,
    /// `15:01`, `2019年10月1日 15:01`, also two of them with `~`.
    Time,
    /// `2019年10月1日`, `2019-10-01 15:01`, also two of them with `~`.
    Date,
    /// One currency sign, at most 10 digits with decimals, `元`.
    Amount,
    /// At most 17 digits and symbols.
    PhoneNumber,
    /// At most 8 characters.
    CarNumber,
    /// At most 10 characters with Chinese among them, else 20 letters and symbols.
    Name,
    /// At most 5 Chinese characters and nothing else.
    Phrase,
    /// One of the values that the template lists.
    Choice,
}

/// Why a value does not fit its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("empty")]
    Empty,
    #[error("too long")]
    TooLong,
    #[error("has characters or a form that the type forbids")]
    Form,
}

impl FieldRule {
    /// By the field's name, `thing12`. None: a type that has no rule here, such as the `keyword1`
    /// of template messages.
    pub fn of(field: &str) -> Option<Self> {
        Some(match field.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "thing" => Self::Thing,
            "number" => Self::Number,
            "letter" => Self::Letter,
            "symbol" => Self::Symbol,
            "character_string" => Self::CharacterString,
            "time" => Self::Time,
            "date" => Self::Date,
            "amount" => Self::Amount,
            "phone_number" => Self::PhoneNumber,
            "car_number" => Self::CarNumber,
            "name" => Self::Name,
            "phrase" => Self::Phrase,
            "enum" | "const" => Self::Choice,
            _ => return None,
        })
    }

    /// Whether WeChat takes this value.
    pub fn check(self, value: &str) -> Result<(), RuleError> {
        if value.trim().is_empty() {
            return Err(RuleError::Empty);
        }
        if value.chars().any(char::is_control) {
            return Err(RuleError::Form);
        }
        match self {
            Self::Thing => limited(value, 20, |_| true),
            Self::Number => {
                let digits = value.chars().filter(char::is_ascii_digit).count();
                form(is_decimal(value))?;
                if digits <= 32 { Ok(()) } else { Err(RuleError::TooLong) }
            }
            Self::Letter => limited(value, 32, |c| c.is_ascii_alphabetic()),
            Self::Symbol => limited(value, 5, is_symbol),
            Self::CharacterString => limited(value, 32, |c| c.is_ascii_graphic()),
            Self::Time => form(range(value, is_time)),
            Self::Date => form(range(value, is_date)),
            Self::Amount => amount(value),
            Self::PhoneNumber => {
                limited(value, 17, |c| c.is_ascii_digit() || c.is_ascii_punctuation())
            }
            Self::CarNumber => limited(value, 8, |_| true),
            Self::Name if value.chars().any(is_chinese) => limited(value, 10, |_| true),
            Self::Name => {
                limited(value, 20, |c| c.is_ascii_alphabetic() || c == ' ' || is_symbol(c))
            }
            Self::Phrase => limited(value, 5, is_chinese),
            Self::Choice => limited(value, CHOICE_MAX, |_| true),
        }
    }

    /// Makes a value fit where that keeps its meaning, then checks it. Numbers, times, amounts and
    /// choices are never changed.
    pub fn fit(self, value: &str) -> Result<String, RuleError> {
        let fitted = match self {
            Self::Thing => shorten(value, 20),
            Self::Name if value.chars().any(is_chinese) => cut(value, 10),
            Self::Name => cut(value, 20),
            Self::Phrase => value.chars().filter(|c| is_chinese(*c)).take(5).collect(),
            _ => value.trim().to_owned(),
        };
        self.check(&fitted).map(|()| fitted)
    }
}

/// Fits every field; the error names the first that cannot be made to fit.
pub fn fit_fields(data: &[(String, String)]) -> Result<Vec<(String, String)>, (String, RuleError)> {
    let fit = |(name, value): &(String, String)| match FieldRule::of(name) {
        None => Ok((name.clone(), value.clone())),
        Some(rule) => match rule.fit(value) {
            Ok(fitted) => Ok((name.clone(), fitted)),
            Err(error) => Err((name.clone(), error)),
        },
    };
    data.iter().map(fit).collect()
}

/// Checks every field as WeChat would; the error names the first that breaks its rule.
pub fn check_fields<'a>(
    data: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), (String, RuleError)> {
    for (name, value) in data {
        if let Some(rule) = FieldRule::of(name) {
            rule.check(value).map_err(|error| (name.to_owned(), error))?;
        }
    }
    Ok(())
}

fn form(right: bool) -> Result<(), RuleError> {
    if right { Ok(()) } else { Err(RuleError::Form) }
}

fn limited(value: &str, max: usize, allowed: impl Fn(char) -> bool) -> Result<(), RuleError> {
    form(value.chars().all(allowed))?;
    if value.chars().count() <= max { Ok(()) } else { Err(RuleError::TooLong) }
}

/// Control characters become blanks; blanks at the ends go.
fn clean(value: &str) -> String {
    let clean: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().to_owned()
}

fn cut(value: &str, max: usize) -> String {
    clean(value).chars().take(max).collect::<String>().trim_end().to_owned()
}

/// Too long: three characters less than the limit, then `...`.
fn shorten(value: &str, max: usize) -> String {
    let value = clean(value);
    if value.chars().count() <= max {
        return value;
    }
    let kept: String = value.chars().take(max - 3).collect();
    format!("{}...", kept.trim_end())
}

/// Han characters, with the extensions that names use.
fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}' | '〇' | '\u{f900}'..='\u{faff}')
}

fn is_symbol(c: char) -> bool {
    !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control()
}

/// `12`, `12.5`: digits with at most one point between them.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        None => digits(text),
        Some((whole, decimals)) => digits(whole) && digits(decimals),
    }
}

fn amount(value: &str) -> Result<(), RuleError> {
    let number = value.strip_prefix(['¥', '￥', '$', '€', '£']).unwrap_or(value);
    let number = number.strip_suffix('元').unwrap_or(number);
    form(is_decimal(number))?;
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    if digits <= 10 { Ok(()) } else { Err(RuleError::TooLong) }
}

/// One moment, or two with `~`.
fn range(value: &str, moment: impl Fn(&str) -> bool) -> bool {
    match value.split_once('~') {
        None => moment(value),
        Some((from, to)) => moment(from.trim()) && moment(to.trim()),
    }
}

/// A time of day, with or without a day before it.
fn is_time(text: &str) -> bool {
    match text.split_once(' ') {
        None => is_clock(text),
        Some((day, clock)) => is_day(day) && is_clock(clock),
    }
}

/// A day, with or without a time after it.
fn is_date(text: &str) -> bool {
    match text.split_once(' ') {
        None => is_day(text),
        Some((day, clock)) => is_day(day) && is_clock(clock),
    }
}

/// `15:01` or `15:01:59`.
fn is_clock(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    let limits = [24, 60, 60];
    (2..=3).contains(&parts.len())
        && parts.iter().zip(limits).all(|(part, limit)| {
            (1..=2).contains(&part.len()) && number(part).is_some_and(|value| value < limit)
        })
}

/// `2019年10月1日` or `2019-10-01`.
fn is_day(text: &str) -> bool {
    let parts: Vec<_> = match text.strip_suffix('日') {
        Some(text) => text.split(['年', '月']).collect(),
        None => text.split('-').collect(),
    };
    let parts: Vec<_> = parts.into_iter().filter_map(number).collect();
    let [year, month, day] = parts[..] else { return false };
    let small = |value: u16| i8::try_from(value).ok();
    match (i16::try_from(year), small(month), small(day)) {
        (Ok(year), Some(month), Some(day)) => Date::new(year, month, day).is_ok(),
        _ => false,
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
