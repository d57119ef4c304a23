//! A plan from a breach: the remedy of its check, with the values of its row put in.
//!
//! It writes sentences and statements and executes none.

use sea_orm::QueryResult;

use super::Breach;
use super::remedies::{Part, remedy_of};
use super::remedies_text::NEW_ID;
use crate::store::db::StoreError;

/// What would mend a breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    pub breach: Breach,
    /// The statements, if any, are for people to choose from: it is about money, or about rows that
    /// are gone.
    pub people_decide: bool,
    pub steps: Vec<Step>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// For people to read, do or decide.
    Say(String),
    /// A query that shows what is the matter.
    Look(String),
    /// A statement that mends it, where it fits; elsewhere it changes nothing.
    Run(String),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Say(text) => write!(f, "-- {text}"),
            Self::Look(sql) | Self::Run(sql) => write!(f, "{sql};"),
        }
    }
}

/// The columns of a breach's row, as far as its words name them.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    numbers: [Option<i64>; 3],
    text: Option<String>,
}

const NUMBERS: [&str; 3] = ["a", "b", "c"];

impl Values {
    pub fn of(words: &str, row: &QueryResult) -> Result<Self, StoreError> {
        let mut values = Self::default();
        for (column, number) in NUMBERS.into_iter().zip(&mut values.numbers) {
            if words.contains(&place(column)) {
                *number = row.try_get("", column)?;
            }
        }
        if words.contains("{s}") {
            values.text = row.try_get("", "s")?;
        }
        Ok(values)
    }

    /// For people: what is not there is nothing.
    pub fn tell(&self, words: &str) -> String {
        let filled = self.fill(words, "nothing");
        filled.replace("{s}", self.text.as_deref().unwrap_or("nothing"))
    }

    /// For the database: what is not there is NULL, and a text stands between quotes already.
    fn put_into(&self, sql: &str) -> String {
        let text = self.text.as_deref().unwrap_or_default().replace('\'', "''");
        self.fill(sql, "NULL").replace("{new_id}", NEW_ID).replace("{s}", &text)
    }

    fn fill(&self, words: &str, nothing: &str) -> String {
        NUMBERS.into_iter().zip(self.numbers).fold(words.to_owned(), |words, (column, number)| {
            let number = number.map_or(nothing.to_owned(), |number| number.to_string());
            words.replace(&place(column), &number)
        })
    }
}

fn place(column: &str) -> String {
    format!("{{{column}}}")
}

/// The plan for one breach of the check with these words.
pub(super) fn repair(
    breach: Breach,
    words: &str,
    values: &Values,
    spell: impl Fn(&str) -> String,
) -> Repair {
    let remedy = remedy_of(words);
    let step = |part: &Part| match part {
        Part::Say(text) => Step::Say(spell(&values.tell(text))),
        Part::Look(sql) => Step::Look(values.put_into(&spell(sql))),
        Part::Run(sql) => Step::Run(values.put_into(&spell(sql))),
    };
    let steps = remedy.parts.iter().map(step).collect();
    Repair { breach, people_decide: remedy.people_decide, steps }
}
