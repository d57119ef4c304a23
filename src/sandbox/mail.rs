//! Messages as the buyer's phone gets them, and the grants that subscribe messages use up.
//!
//! It owns templates, grants, form_ids (prepay_ids of paid orders) and what was delivered. Source:
//! subscribeMessage.send; the retired templateMessage.send.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use super::bounded::Bounded;
use super::field_rule;
use super::{SandboxTemplate, beijing, login};
use crate::clock::Timestamp;

const MESSAGES_MAX: usize = 100_000;
const GRANTED_MAX: usize = 200_000;
const FORMS_MAX: usize = 200_000;
const TEMPLATES_MAX: usize = 200;
/// How many fields a template has at most.
const FIELDS_MAX: usize = 20;
/// A prepay_id is good for three template messages within seven days.
const FORM_USES: u32 = 3;
pub(super) const FORM_LIVES_MILLIS: i64 = 7 * 24 * 3600 * 1000;

/// Which of the two interfaces sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Subscribe,
    Template,
}

/// One line of a message: the template's label and the value sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageLine {
    pub key: String,
    pub label: String,
    pub value: String,
}

/// A message as the buyer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Ascending.
    pub id: u64,
    pub appid: String,
    /// The buyer's name, or the openid when nobody has told the name in this run.
    pub buyer: String,
    #[serde(skip)]
    pub openid: String,
    pub template_id: String,
    pub title: String,
    pub lines: Vec<MessageLine>,
    pub page: Option<String>,
    pub kind: MessageKind,
    /// RFC 3339, UTC.
    pub sent_at: String,
}

/// An `errcode` and the words that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SendError {
    pub(super) code: i64,
    pub(super) text: String,
}

fn refuse<T>(code: i64, text: impl Into<String>) -> Result<T, SendError> {
    Err(SendError { code, text: text.into() })
}

/// The body of either send call, in the parts that both have.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) openid: String,
    pub(super) template_id: String,
    pub(super) page: Option<String>,
    pub(super) form_id: Option<String>,
    data: serde_json::Map<String, Value>,
}

impl Letter {
    /// 47001 when the JSON has another shape.
    pub(super) fn read(body: &[u8]) -> Result<Self, SendError> {
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return refuse(47001, "data format error");
        };
        let text = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => refuse(47001, format!("data format error: {name}")),
        };
        let one_of = |name: &str, allowed: &[&str]| match text(name)? {
            Some(value) if !allowed.contains(&value.as_str()) => {
                refuse(47001, format!("data format error: {name}"))
            }
            _ => Ok(()),
        };
        one_of("miniprogram_state", &["developer", "trial", "formal"])?;
        one_of("lang", &["zh_CN", "en_US", "zh_HK", "zh_TW"])?;
        let Some(Value::Object(data)) = body.get("data") else {
            return refuse(47001, "data format error: data");
        };
        Ok(Self {
            openid: text("touser")?.unwrap_or_default(),
            template_id: text("template_id")?.unwrap_or_default(),
            page: text("page")?,
            form_id: text("form_id")?,
            data: data.clone(),
        })
    }
}

struct Form {
    appid: String,
    openid: String,
    paid_at: Timestamp,
    used: u32,
}

pub(super) struct Mail {
    templates: HashMap<String, Vec<SandboxTemplate>>,
    grants: Bounded<(String, String), u32>,
    forms: Bounded<String, Form>,
    messages: VecDeque<Message>,
    next: u64,
}

impl Mail {
    pub(super) fn new() -> Self {
        Self {
            templates: HashMap::new(),
            grants: Bounded::new(GRANTED_MAX),
            forms: Bounded::new(FORMS_MAX),
            messages: VecDeque::new(),
            next: 1,
        }
    }

    /// Adds a template or replaces the one with the same id; `false` when there are too many
    /// of them, or of its fields.
    pub(super) fn register(&mut self, appid: &str, template: SandboxTemplate) -> bool {
        let templates = self.templates.entry(appid.to_owned()).or_default();
        templates.retain(|known| known.template_id != template.template_id);
        let room = templates.len() < TEMPLATES_MAX && template.fields.len() <= FIELDS_MAX;
        if room {
            templates.push(template);
        }
        room
    }

    pub(super) fn knows_template(&self, appid: &str, template_id: &str) -> bool {
        self.template(appid, template_id).is_some()
    }

    fn template(&self, appid: &str, template_id: &str) -> Option<&SandboxTemplate> {
        let templates = self.templates.get(appid)?;
        templates.iter().find(|known| known.template_id == template_id)
    }

    /// The buyer accepts one more message of the template.
    pub(super) fn grant(&mut self, openid: &str, template_id: &str) {
        let key = (openid.to_owned(), template_id.to_owned());
        *self.grants.entry(key, || 0) += 1;
    }

    /// How many messages of the template the buyer would still take.
    pub(super) fn grants(&self, openid: &str, template_id: &str) -> u32 {
        let key = (openid.to_owned(), template_id.to_owned());
        self.grants.get(&key).copied().unwrap_or(0)
    }

    /// A prepay_id becomes a form_id when its order is paid.
    pub(super) fn form(&mut self, prepay_id: &str, appid: &str, openid: &str, now: Timestamp) {
        self.forms.entry(prepay_id.to_owned(), || Form {
            appid: appid.to_owned(),
            openid: openid.to_owned(),
            paid_at: now,
            used: 0,
        });
    }

    #[cfg(test)]
    pub(super) fn knows_form(&self, form_id: &str) -> bool {
        self.forms.get(form_id).is_some()
    }

    /// subscribe/send, once the token is found good. A refusal uses up no grant.
    pub(super) fn subscribe(
        &mut self,
        appid: &str,
        letter: &Letter,
        buyer: Option<&str>,
        now: Timestamp,
    ) -> Result<&Message, SendError> {
        let (title, lines) = self.check(appid, letter)?;
        let key = (letter.openid.clone(), letter.template_id.clone());
        match self.grants.get_mut(&key) {
            Some(grants) if *grants > 0 => *grants -= 1,
            _ => return refuse(43101, "user refuse to accept the msg"),
        }
        Ok(self.deliver(appid, letter, buyer, title, lines, MessageKind::Subscribe, now))
    }

    /// wxopen/template/send, once the token is found good.
    pub(super) fn template_send(
        &mut self,
        appid: &str,
        letter: &Letter,
        buyer: Option<&str>,
        now: Timestamp,
    ) -> Result<&Message, SendError> {
        let (title, lines) = self.check(appid, letter)?;
        let form_id = letter.form_id.as_deref().unwrap_or_default();
        let form = self.forms.get_mut(form_id).filter(|form| {
            form.appid == appid
                && form.openid == letter.openid
                && now.millis_since(form.paid_at) < FORM_LIVES_MILLIS
        });
        match form {
            None => return refuse(41028, "invalid form id"),
            Some(form) if form.used >= FORM_USES => {
                return refuse(41029, "form id used count reach limit");
            }
            Some(form) => form.used += 1,
        }
        Ok(self.deliver(appid, letter, buyer, title, lines, MessageKind::Template, now))
    }

    /// The guards that both interfaces share: openid, template, page, fields.
    fn check(&self, appid: &str, letter: &Letter) -> Result<(String, Vec<MessageLine>), SendError> {
        if !login::is_openid_of(appid, &letter.openid) {
            return refuse(40003, "invalid openid");
        }
        let Some(template) = self.template(appid, &letter.template_id) else {
            return refuse(40037, "invalid template_id");
        };
        if letter.page.as_deref().is_some_and(|page| !is_page(page)) {
            return refuse(41030, "invalid page");
        }
        let lines = lines(template, &letter.data)?;
        Ok((template.title.clone(), lines))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one message, used in one place")]
    fn deliver(
        &mut self,
        appid: &str,
        letter: &Letter,
        buyer: Option<&str>,
        title: String,
        lines: Vec<MessageLine>,
        kind: MessageKind,
        now: Timestamp,
    ) -> &Message {
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        let message = Message {
            id: self.next,
            appid: appid.to_owned(),
            buyer: buyer.unwrap_or(&letter.openid).to_owned(),
            openid: letter.openid.clone(),
            template_id: letter.template_id.clone(),
            title,
            lines,
            page: letter.page.clone(),
            kind,
            sent_at: beijing::rfc3339(now),
        };
        self.next += 1;
        self.messages.push_back(message);
        self.messages.back().expect("it has just been put in")
    }

    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    /// Messages after `after`, oldest first, of one mini-program and buyer where they are named.
    pub(super) fn after(
        &self,
        after: u64,
        appid: Option<&str>,
        openid: Option<&str>,
    ) -> impl Iterator<Item = &Message> {
        let skip = self.messages.partition_point(|message| message.id <= after);
        self.messages
            .range(skip..)
            .filter(move |message| appid.is_none_or(|appid| message.appid == appid))
            .filter(move |message| openid.is_none_or(|openid| message.openid == openid))
    }
}

/// A path inside the mini-program: no host, no leading slash, no blanks.
fn is_page(page: &str) -> bool {
    page.len() <= 1024
        && !page.starts_with('/')
        && !page.contains("://")
        && !page.contains(char::is_whitespace)
}

/// 47003 for a field that is missing, breaks its rule, or is not the template's.
fn lines(
    template: &SandboxTemplate,
    data: &serde_json::Map<String, Value>,
) -> Result<Vec<MessageLine>, SendError> {
    let broken = |key: &str| refuse(47003, format!("argument invalid! data.{key}.value invalid"));
    if let Some(stranger) =
        data.keys().find(|key| template.fields.iter().all(|(known, _)| known != *key))
    {
        return broken(stranger);
    }
    let mut lines = Vec::with_capacity(template.fields.len());
    for (key, label) in &template.fields {
        match data.get(key).and_then(|field| field.get("value")) {
            Some(Value::String(value)) if field_rule::holds(key, value) => lines
                .push(MessageLine { key: key.clone(), label: label.clone(), value: value.clone() }),
            _ => return broken(key),
        }
    }
    Ok(lines)
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
