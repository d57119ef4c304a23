//! The messages that tell the buyer: which template for which event, and what fills it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Problem;

/// The facts that every template may quote as `{name}`.
const FACTS: [&str; 6] = ["shop", "goods", "amount", "order_id", "order_no", "time"];

/// The facts that the template of an event may quote: a fact without a value would leave its field
/// empty, and WeChat refuses a message with an empty field.
pub fn facts_of(event: &str) -> Vec<&'static str> {
    let more: &[&str] = match event {
        "order_refunded" => &["reason"],
        "order_shipped" => &["company", "number"],
        "order_expiring" => &["expires"],
        _ => &[],
    };
    FACTS.iter().chain(more).copied().collect()
}

/// Field types of subscribe messages. Rule: subscribeMessage.send, "data".
const FIELD_TYPES: [&str; 14] = [
    "thing",
    "number",
    "letter",
    "symbol",
    "character_string",
    "time",
    "date",
    "amount",
    "phone_number",
    "car_number",
    "name",
    "phrase",
    "enum",
    "const",
];

/// Which message tells the buyer of which event; an event without one is not told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Templates {
    pub order_paid: Option<Template>,
    pub order_refunded: Option<Template>,
    pub order_shipped: Option<Template>,
    pub order_expiring: Option<Template>,
}

impl Templates {
    /// Event and template, for those that are set.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let all = [
            ("order_paid", &self.order_paid),
            ("order_refunded", &self.order_refunded),
            ("order_shipped", &self.order_shipped),
            ("order_expiring", &self.order_expiring),
        ];
        all.into_iter()
            .filter_map(|(event, template)| template.as_ref().map(|template| (event, template)))
    }
}

/// A message as set up at the WeChat platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub template_id: String,
    /// The page that a tap opens; `{order_id}` and the like are filled in.
    #[serde(default)]
    pub page: String,
    #[serde(default)]
    pub kind: TemplateKind,
    /// Field -> text with `{facts}`; see [`facts_of`].
    #[serde(default)]
    pub data: BTreeMap<String, String>,
}

/// Which of WeChat's two kinds of message a template is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TemplateKind {
    /// 订阅消息: needs the buyer's consent.
    #[default]
    Subscribe,
    /// 模板消息: retired by WeChat in 2020, kept for gateways that speak it.
    Template,
}

impl TemplateKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Template => "template",
        }
    }
}

/// What is wrong with the template of an event; `legacy` permits the retired kind.
pub(super) fn problems(event: &str, template: &Template, legacy: bool) -> Vec<Problem> {
    let key = |name: &str| format!("wxapp.templates.{event}.{name}");
    let facts = facts_of(event);
    let mut found = Vec::new();
    if template.template_id.is_empty() {
        found.push(Problem::new(key("template_id"), "is empty"));
    }
    if template.data.is_empty() {
        found.push(Problem::new(key("data"), "is empty; a message needs its fields"));
    }
    if template.kind == TemplateKind::Template && !legacy {
        let what =
            "\"template\" was retired by WeChat; it needs wxapp.legacy_template_messages = true";
        found.push(Problem::new(key("kind"), what));
    }
    for (field, text) in &template.data {
        let key = key(&format!("data.{field}"));
        if !is_field(field, template.kind) {
            found.push(Problem::new(&key, field_rule(template.kind)));
        }
        found.extend(unknown_facts(text, &facts).map(|fact| unknown_fact(&key, fact, &facts)));
    }
    let (page, text) = (key("page"), &template.page);
    found.extend(unknown_facts(text, &facts).map(|fact| unknown_fact(&page, fact, &facts)));
    found
}

fn unknown_fact(key: &str, fact: &str, facts: &[&str]) -> Problem {
    let known = facts.join("} {");
    Problem::new(key, format!("{{{fact}}} is not known; facts are {{{known}}}"))
}

fn is_field(name: &str, kind: TemplateKind) -> bool {
    let kind_of_field = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = kind_of_field.len() < name.len();
    numbered
        && match kind {
            TemplateKind::Subscribe => FIELD_TYPES.contains(&kind_of_field),
            TemplateKind::Template => kind_of_field == "keyword",
        }
}

fn field_rule(kind: TemplateKind) -> &'static str {
    match kind {
        TemplateKind::Subscribe => {
            "is not a field of a subscribe message: thing1, amount2, character_string3, time4 ..."
        }
        TemplateKind::Template => "is not a field of a template message: keyword1, keyword2 ...",
    }
}

/// What stands in braces and is no fact.
fn unknown_facts<'a>(text: &'a str, facts: &'a [&str]) -> impl Iterator<Item = &'a str> {
    text.split('{')
        .skip(1)
        .map(|rest| rest.split_once('}').map_or(rest, |(fact, _)| fact))
        .filter(|fact| !facts.contains(fact))
}
