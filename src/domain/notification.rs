//! What buyers are told, and in which words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{NotificationId, OrderId, UserId, WxappId};

/// What a message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    OrderPaid,
    OrderRefunded,
    /// A parcel is on its way; one message for each.
    OrderShipped,
    /// The time to pay is nearly over.
    OrderExpiring,
}

impl Event {
    pub const ALL: [Event; 4] =
        [Event::OrderPaid, Event::OrderRefunded, Event::OrderShipped, Event::OrderExpiring];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderPaid => "order_paid",
            Self::OrderRefunded => "order_refunded",
            Self::OrderShipped => "order_shipped",
            Self::OrderExpiring => "order_expiring",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

/// A message to be sent, as the fold writes it beside the fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    pub id: NotificationId,
    pub wxapp: WxappId,
    pub user: UserId,
    pub order: OrderId,
    pub event: Event,
    /// The refund or parcel told of; 0 for messages about the order itself.
    pub ref_id: i64,
    pub facts: Facts,
    /// The prepay_id that paid, for the historic template message.
    pub form_id: Option<String>,
    /// How long it waits before it may be sent.
    pub hold_seconds: i64,
}

/// What templates may quote as `{name}`: `order_no`, `goods`, `amount` (yuan), `time`, `reason`,
/// `company`, `number`, `expires`.
pub type Facts = BTreeMap<String, String>;

/// Which of WeChat's two kinds of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    /// 订阅消息, one for each consent of the buyer.
    #[default]
    Subscribe,
    /// 模板消息 with prepay_id as form_id; WeChat retired it in 2020.
    Template,
}

/// How the message of an event is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageTemplate {
    #[serde(default)]
    pub kind: TemplateKind,
    pub template_id: String,
    /// Page of the mini-program that a tap opens; `{order_id}` is filled in.
    #[serde(default)]
    pub page: String,
    /// Field (`thing1`) to text with `{facts}` in it.
    pub data: BTreeMap<String, String>,
}

/// The templates of a mini-program by event; an event without one is not told.
pub type Templates = BTreeMap<Event, MessageTemplate>;

/// Fills `{name}` from the facts; an unknown name becomes nothing.
pub fn fill(pattern: &str, facts: &Facts) -> String {
    let mut filled = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        filled.push_str(facts.get(name).map(String::as_str).unwrap_or_default());
        rest = behind;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_once() {
        let facts =
            Facts::from([("goods".into(), "{amount}".into()), ("amount".into(), "1.00".into())]);
        for (pattern, expected) in [
            ("{goods} 共{amount}元", "{amount} 共1.00元"),
            ("没有", "没有"),
            ("{unknown}.", "."),
            ("open {goods", "open goods"),
        ] {
            assert_eq!(fill(pattern, &facts), expected);
        }
    }
}
