//! What unifiedorder demands of each of its fields. Source: the field table of unifiedorder (v2).
//!
//! Lengths are counted in bytes of UTF-8: whether WeChat counts characters is nowhere stated, and a
//! message that keeps to bytes keeps to both.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::beijing;
use super::login;
use super::refusal::Refusal;
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::wechat::sign::SignType;
use crate::wechat::xml::Fields;

struct Rule {
    name: &'static str,
    required: bool,
    longest: usize,
    holds: fn(&str) -> bool,
}

const fn rule(name: &'static str, required: bool, longest: usize, holds: fn(&str) -> bool) -> Rule {
    Rule { name, required, longest, holds }
}

const RULES: &[Rule] = &[
    rule("appid", true, 32, any),
    rule("mch_id", true, 32, any),
    rule("nonce_str", true, 32, any),
    rule("body", true, 127, any),
    rule("out_trade_no", true, 32, is_trade_number),
    rule("total_fee", true, 18, is_amount),
    rule("spbill_create_ip", true, 64, is_address),
    rule("notify_url", true, 256, is_notify_url),
    rule("trade_type", true, 16, |value| value == "JSAPI"),
    rule("openid", true, 128, any),
    rule("device_info", false, 32, any),
    rule("detail", false, 6144, is_json),
    rule("attach", false, 127, any),
    rule("fee_type", false, 16, |value| value == "CNY"),
    rule("time_start", false, 14, is_time),
    rule("time_expire", false, 14, is_time),
    rule("goods_tag", false, 32, any),
    rule("product_id", false, 32, any),
    rule("limit_pay", false, 32, |value| value == "no_credit"),
    rule("receipt", false, 8, |value| value == "Y"),
    rule("profit_sharing", false, 16, |value| value == "Y" || value == "N"),
    rule("scene_info", false, 256, is_json),
];

fn any(_: &str) -> bool {
    true
}
fn is_time(value: &str) -> bool {
    beijing::parse_compact(value).is_some()
}
fn is_json(value: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(value).is_ok()
}
fn is_address(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok()
}
fn is_amount(value: &str) -> bool {
    amount(value).is_some_and(|money| money.as_fen() >= 1)
}
/// http is let through, because a demo is notified on loopback; a query string never is.
fn is_notify_url(value: &str) -> bool {
    let Some(rest) = value.strip_prefix("https://").or(value.strip_prefix("http://")) else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or_default();
    !host.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()) && !rest.contains(['?', '#'])
}

/// 6 to 32 of `0-9A-Za-z_-|*`; the `@` of older tables is not let through.
fn is_trade_number(value: &str) -> bool {
    (6..=32).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-|*".contains(&b))
}

/// Integer fen: decimal digits and nothing else.
pub(super) fn amount(value: &str) -> Option<Money> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    value.parse().ok().map(Money::from_fen)
}

/// A unifiedorder whose fields keep to the table. `terms` are what a repeat must say again.
#[derive(Debug, Clone)]
pub(super) struct OrderRequest {
    pub(super) out_trade_no: String,
    pub(super) appid: String,
    pub(super) mch_id: String,
    pub(super) total_fee: Money,
    pub(super) openid: String,
    pub(super) notify_url: String,
    pub(super) attach: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) sign_type: SignType,
    pub(super) terms: BTreeMap<String, String>,
}

impl OrderRequest {
    /// Checks every field; the first that breaks its rule is named.
    pub(super) fn read(fields: &Fields, sign_type: SignType) -> Result<Self, Refusal> {
        for rule in RULES {
            match fields.filled(rule.name) {
                None if rule.required => return Err(Refusal::Lacks(rule.name)),
                Some(value) if value.len() > rule.longest || !(rule.holds)(value) => {
                    return Err(Refusal::Parameter(rule.name));
                }
                _ => {}
            }
        }
        let text = |name: &str| fields.filled(name).map(str::to_owned);
        let request = Self {
            out_trade_no: text("out_trade_no").unwrap_or_default(),
            appid: text("appid").unwrap_or_default(),
            mch_id: text("mch_id").unwrap_or_default(),
            total_fee: text("total_fee").and_then(|v| amount(&v)).unwrap_or_default(),
            openid: text("openid").unwrap_or_default(),
            notify_url: text("notify_url").unwrap_or_default(),
            attach: text("attach"),
            expires_at: fields.filled("time_expire").and_then(beijing::parse_compact),
            sign_type,
            terms: terms(fields, sign_type),
        };
        request.check_together(fields)
    }

    fn check_together(self, fields: &Fields) -> Result<Self, Refusal> {
        if !login::is_openid_of(&self.appid, &self.openid) {
            return Err(Refusal::Parameter("openid"));
        }
        let starts_at = fields.filled("time_start").and_then(beijing::parse_compact);
        if self.expires_at.zip(starts_at).is_some_and(|(end, start)| end <= start) {
            return Err(Refusal::Parameter("time_expire"));
        }
        Ok(self)
    }
}

/// All that was said, but for what is fresh in every call. An absent `sign_type` is MD5.
fn terms(fields: &Fields, sign_type: SignType) -> BTreeMap<String, String> {
    let mut terms: BTreeMap<_, _> = fields
        .iter()
        .filter(|(name, value)| !matches!(*name, "nonce_str" | "sign") && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    terms.insert("sign_type".to_owned(), sign_type.as_str().to_owned());
    terms
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(in crate::sandbox) const APPID: &str = "wx8f3c2e1a9b7d4c60";

    /// A good request, with one field changed (`None`: left out).
    pub(in crate::sandbox) fn fields_with(changes: &[(&str, Option<&str>)]) -> Fields {
        let openid = login::openid(APPID, "alice");
        let mut fields = Fields::from_iter([
            ("appid", APPID),
            ("mch_id", "1900012345"),
            ("nonce_str", "n1"),
            ("body", "shop - tea"),
            ("out_trade_no", "20261125000001"),
            ("total_fee", "1290"),
            ("spbill_create_ip", "203.0.113.9"),
            ("notify_url", "http://127.0.0.1:1/wechat/pay/v2/notify/10001"),
            ("trade_type", "JSAPI"),
            ("openid", openid.as_str()),
        ]);
        for (name, value) in changes {
            match value {
                Some(value) => drop(fields.insert(*name, *value)),
                None => drop(fields.remove(name)),
            }
        }
        fields
    }

    #[track_caller]
    fn check(name: &'static str, value: Option<&str>, expected: Result<(), Refusal>) {
        let fields = fields_with(&[(name, value)]);
        let found = OrderRequest::read(&fields, SignType::Md5).map(drop);
        assert_eq!(found, expected, "{name} = {value:?}");
    }

    #[test]
    fn a_good_request_is_read() {
        let request =
            OrderRequest::read(&fields_with(&[("attach", Some("a"))]), SignType::Md5).unwrap();
        assert_eq!(request.total_fee, Money::from_fen(1290));
        assert_eq!(request.attach.as_deref(), Some("a"));
        assert!(!request.terms.contains_key("nonce_str"));
    }

    #[test]
    fn required_fields_are_missed_by_name() {
        for rule in RULES.iter().filter(|rule| rule.required) {
            check(rule.name, None, Err(Refusal::Lacks(rule.name)));
            check(rule.name, Some(""), Err(Refusal::Lacks(rule.name)));
        }
    }

    #[test]
    fn lengths_are_limited() {
        for rule in RULES {
            let long = "9".repeat(rule.longest + 1);
            check(rule.name, Some(&long), Err(Refusal::Parameter(rule.name)));
        }
        check("body", Some(&"店".repeat(42)), Ok(()));
        check("body", Some(&"店".repeat(43)), Err(Refusal::Parameter("body")));
    }

    #[test]
    fn forms_are_checked() {
        let cases: &[(&'static str, &[&str], &[&str])] = &[
            ("out_trade_no", &["123456", "a_b-c|d*"], &["12345", "1234 56", "123456@", "订单订单"]),
            ("total_fee", &["1", "100000"], &["0", "-1", "1.0", "+1", " 1", "x"]),
            ("spbill_create_ip", &["::1", "10.0.0.1"], &["host", "1.2.3"]),
            (
                "notify_url",
                &["https://shop.example/n"],
                &["ftp://x/", "http://x/?a=1", "http://", "x"],
            ),
            ("trade_type", &[], &["NATIVE", "jsapi"]),
            ("fee_type", &["CNY"], &["USD"]),
            ("time_expire", &["20261125120000"], &["20261325120000", "2026-11-25"]),
            ("detail", &[r#"{"goods_detail":[]}"#], &["{"]),
            ("limit_pay", &["no_credit"], &["credit"]),
            ("receipt", &["Y"], &["N"]),
            ("profit_sharing", &["Y", "N"], &["y"]),
            ("openid", &[], &["oSomebodyElse"]),
        ];
        for (name, good, bad) in cases {
            for value in *good {
                check(name, Some(value), Ok(()));
            }
            for value in *bad {
                check(name, Some(value), Err(Refusal::Parameter(name)));
            }
        }
    }

    #[test]
    fn an_openid_of_another_mini_program_is_refused() {
        let other = login::openid("wxother", "alice");
        check("openid", Some(&other), Err(Refusal::Parameter("openid")));
    }

    #[test]
    fn the_end_lies_after_the_start() {
        let fields = fields_with(&[
            ("time_start", Some("20261125120000")),
            ("time_expire", Some("20261125120000")),
        ]);
        assert_eq!(
            OrderRequest::read(&fields, SignType::Md5).map(drop),
            Err(Refusal::Parameter("time_expire"))
        );
    }
}
