//! Facts of the timeline and of the audit log as people read them: money in yuan, states, roles and
//! rights in words. Programs get them as they are.

use serde_json::Value;

use super::texts::Tongue;
use crate::domain::money::Money;
use crate::domain::staff::{Right, Role};

/// A text fact. `kind`: what it is about, such as `order`.
pub fn text(tongue: Tongue, kind: &str, name: &str, value: &str) -> String {
    if let (Ok(fen), true) = (value.parse::<i64>(), name.ends_with("_fen")) {
        return format!("¥{}", Money::from_fen(fen));
    }
    match name {
        "state" => {
            let words = if kind == "order" { "state" } else { kind };
            tongue.word(words, value)
        }
        "rights" => {
            let word = |name: &str| match Right::parse(name) {
                Some(right) => tongue.texts().right_label(&right).to_owned(),
                None => name.to_owned(),
            };
            value.split_whitespace().map(word).collect::<Vec<_>>().join(", ")
        }
        _ => value.to_owned(),
    }
}

/// A fact of the audit log, which may be more than a text.
pub fn value(tongue: Tongue, kind: &str, name: &str, value: &Value) -> String {
    let t = tongue.texts();
    match value {
        Value::String(said) => text(tongue, kind, name, said),
        Value::Bool(true) => t.yes.to_owned(),
        Value::Bool(false) => t.no.to_owned(),
        Value::Object(roles) if name == "roles" => {
            let role = |(place, role): (&String, &Value)| {
                let place = if place == "all" { t.all_shops } else { place };
                let role = role.as_str().unwrap_or_default();
                let role = Role::parse(role).map_or(role, |role| t.role_label(&role));
                format!("{place}: {role}")
            };
            roles.iter().map(role).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_are_said_in_words_and_yuan() {
        for (kind, name, fact, expected) in [
            ("order", "pay_fen", json!("800"), "¥8.00"),
            ("order", "adjust_fen", json!("-200"), "¥-2.00"),
            ("order", "state", json!("paid"), "待发货"),
            ("incident", "state", json!("open"), "待处理"),
            ("message", "state", json!("parked"), "已搁置"),
            ("staff", "active", json!(false), "否"),
            ("staff", "roles", json!({}), ""),
            ("order", "number", json!("12345"), "12345"),
            ("order", "text", json!("800"), "800"),
        ] {
            assert_eq!(value(Tongue::Chinese, kind, name, &fact), expected, "{kind} {name}");
        }
        let roles = json!({"all": "owner", "10001": "finance"});
        let said = value(Tongue::English, "staff", "roles", &roles);
        assert_eq!(said, "10001: Finance, All mini-programs: Owner");
        let rights = json!("orders.read tokens.manage");
        let said = value(Tongue::English, "token", "rights", &rights);
        assert_eq!(said, "See orders, Manage tokens");
    }
}
