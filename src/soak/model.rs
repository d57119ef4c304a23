//! What buyers were told, kept apart from the shop: whatever was acknowledged must hold for ever.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

/// Notes that are kept, of all that happens.
const NOTES_MAX: usize = 50_000;
/// Notes that a breach shows.
const SHOWN_MAX: usize = 120;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Breach {
    pub what: String,
    /// The order concerned, by its idempotency key.
    pub key: Option<String>,
    /// The SKU concerned, by its place.
    pub sku: Option<usize>,
}

impl Breach {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), key: None, sku: None }
    }
    pub(super) fn of_order(key: &str, what: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), ..Self::new(what) }
    }
    pub(super) fn of_sku(sku: usize, what: impl Into<String>) -> Self {
        Self { sku: Some(sku), ..Self::new(what) }
    }
}

/// One order as its buyer knows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub buyer: usize,
    /// SKU by place, and pieces.
    pub lines: Vec<(usize, i64)>,
    pub body: Value,
    /// Acknowledged: id and number.
    pub order: Option<(i64, String)>,
    /// The latest refusal of an order that was never acknowledged.
    pub refused: Option<String>,
    /// The numbers under which money was offered at WeChat.
    pub numbers: BTreeSet<String>,
    /// Money that WeChat has taken, by transaction_id.
    pub paid: Vec<String>,
    /// Money that lands once its number is closed.
    pub late: Vec<String>,
    pub gave_up: bool,
    /// Staff were told that it is shipped; that its money goes back.
    pub shipped: bool,
    pub goes_back: bool,
    /// The same, or the answer was lost.
    pub may_go_back: bool,
}

impl Wanted {
    pub fn has_money(&self) -> bool {
        !self.paid.is_empty() || !self.late.is_empty()
    }
}

struct Note {
    key: Option<String>,
    skus: Vec<usize>,
    text: String,
}

/// What an answer to `POST /orders` means for the model.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// The order stands, with payment parameters or without.
    Placed(Value),
    Refused,
    /// Ask again with the same key.
    Unknown,
}

/// Everything that buyers know.
#[derive(Default)]
pub(super) struct Model {
    wanted: BTreeMap<String, Wanted>,
    notes: VecDeque<Note>,
    pub noted: u64,
}

impl Model {
    pub fn wants(&mut self, key: &str, wanted: Wanted) {
        self.note(key, format!("wanted by buyer {}: {:?}", wanted.buyer, wanted.lines));
        self.wanted.insert(key.to_owned(), wanted);
        // The note above was made before the SKUs of the order were known.
        let skus = self.skus_of(key);
        if let Some(note) = self.notes.back_mut() {
            note.skus = skus;
        }
    }

    pub fn all(&self) -> &BTreeMap<String, Wanted> {
        &self.wanted
    }

    pub fn get(&self, key: &str) -> Option<&Wanted> {
        self.wanted.get(key)
    }

    pub fn change(&mut self, key: &str, change: impl FnOnce(&mut Wanted)) {
        if let Some(wanted) = self.wanted.get_mut(key) {
            change(wanted);
        }
    }

    /// Remembers that something happened to an order.
    pub fn note(&mut self, key: &str, text: impl Into<String>) {
        let skus = self.skus_of(key);
        self.push(Note { key: Some(key.to_owned()), skus, text: text.into() });
    }

    /// Remembers that something happened to everything, or to one SKU.
    pub fn note_all(&mut self, sku: Option<usize>, text: impl Into<String>) {
        self.push(Note { key: None, skus: sku.into_iter().collect(), text: text.into() });
    }

    fn push(&mut self, mut note: Note) {
        self.noted += 1;
        note.text = format!("{:>7} {}", self.noted, note.text);
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    fn skus_of(&self, key: &str) -> Vec<usize> {
        let lines = self.wanted.get(key).into_iter().flat_map(|wanted| &wanted.lines);
        lines.map(|(sku, _)| *sku).collect()
    }

    /// Takes an answer in. Alone: no other request under this key was under way.
    pub fn answered(
        &mut self,
        key: &str,
        status: u16,
        body: &Value,
        alone: bool,
    ) -> Result<Answer, Breach> {
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        self.note(key, format!("POST /orders {key}: {status} {code} {}", body["order"]["id"]));
        match (status, code.as_str()) {
            (200 | 201, _) => self.placed(key, status, body, alone),
            (409, "sold_out" | "limit_exceeded") => self.refused(key, code, alone),
            (502..=504, _) => Ok(Answer::Unknown),
            _ => Err(Breach::of_order(key, format!("an order was answered {status}: {body}"))),
        }
    }

    fn placed(
        &mut self,
        key: &str,
        status: u16,
        body: &Value,
        alone: bool,
    ) -> Result<Answer, Breach> {
        let breach = |what: &str| Err(Breach::of_order(key, format!("{what}: {body}")));
        let order = &body["order"];
        let (Some(id), Some(number)) = (order["id"].as_i64(), order["order_no"].as_str()) else {
            return breach("an order without id or number");
        };
        let told = (id, number.to_owned());
        let Some(wanted) = self.wanted.get_mut(key) else { return breach("nobody's order") };
        if wanted.order.as_ref().is_some_and(|known| *known != told) {
            return breach("one key, two orders");
        }
        if alone && wanted.order.is_some() && status == 201 {
            return breach("a repeat was answered as a new order");
        }
        wanted.order = Some(told);
        wanted.refused = None;
        Ok(Answer::Placed(body["payment"].clone()))
    }

    fn refused(&mut self, key: &str, code: String, alone: bool) -> Result<Answer, Breach> {
        let Some(wanted) = self.wanted.get_mut(key) else { return Ok(Answer::Refused) };
        if alone && wanted.order.is_some() {
            let what = format!("an acknowledged order is refused as {code} when it is repeated");
            return Err(Breach::of_order(key, what));
        }
        if wanted.order.is_none() {
            wanted.refused = Some(code);
        }
        Ok(Answer::Refused)
    }

    /// What is known of the order or SKU concerned, latest last.
    pub fn history(&self, breach: &Breach) -> Vec<String> {
        let concerns = |note: &&Note| match (&breach.key, breach.sku, &note.key) {
            (Some(key), _, Some(noted)) => key == noted,
            (_, Some(sku), _) => note.skus.contains(&sku) || note.key.is_none(),
            (None, None, _) | (Some(_), None, None) => true,
        };
        let all: Vec<&Note> = self.notes.iter().filter(concerns).collect();
        let from = all.len().saturating_sub(SHOWN_MAX);
        all[from..].iter().map(|note| note.text.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn model() -> Model {
        let mut model = Model::default();
        model.wants("k", Wanted { lines: vec![(2, 1)], ..Wanted::default() });
        model
    }

    fn order(id: i64) -> Value {
        json!({"order": {"id": id, "order_no": format!("no{id}")}, "payment": null})
    }

    #[test]
    fn one_key_is_one_order_whoever_asks() {
        let mut model = model();
        assert!(model.answered("k", 201, &order(1), true).is_ok());
        assert!(model.answered("k", 200, &order(1), true).is_ok());
        let breach = model.answered("k", 200, &order(2), true).unwrap_err();
        assert_eq!(breach.key.as_deref(), Some("k"));
    }

    #[test]
    fn what_was_acknowledged_is_not_refused_and_not_placed_anew() {
        let sold_out = json!({"code": "sold_out"});
        let mut model = model();
        assert_eq!(model.answered("k", 409, &sold_out, true), Ok(Answer::Refused));
        assert!(model.answered("k", 201, &order(1), true).is_ok());
        assert!(model.answered("k", 409, &sold_out, true).is_err());
        assert!(model.answered("k", 201, &order(1), true).is_err());
    }

    #[test]
    fn an_answer_that_no_order_may_get_is_a_breach() {
        let mut model = model();
        assert_eq!(model.answered("k", 503, &json!({}), true), Ok(Answer::Unknown));
        assert!(model.answered("k", 500, &json!({}), true).is_err());
        assert!(model.answered("k", 404, &json!({}), true).is_err());
    }

    #[test]
    fn a_history_is_of_what_is_concerned() {
        let mut model = model();
        model.wants("other", Wanted { lines: vec![(3, 1)], ..Wanted::default() });
        model.note("k", "mine");
        model.note("other", "his");
        model.note_all(Some(3), "stock of SKU 3");
        let of_key = model.history(&Breach::of_order("k", ""));
        assert_eq!(of_key.len(), 3, "what concerns everybody is shown too: {of_key:?}");
        let of_sku = model.history(&Breach::of_sku(2, ""));
        assert!(of_sku.iter().any(|text| text.ends_with("mine")));
        assert!(!of_sku.iter().any(|text| text.ends_with("his")));
    }
}
