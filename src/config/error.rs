//! What is wrong with settings, and where they were made.

use std::collections::BTreeMap;
use std::fmt;

/// What is wrong with one setting. Reads as `server.port (config.toml): what`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `server.port`; empty when the file as a whole is meant.
    pub key: String,
    place: Place,
    what: String,
}

impl Problem {
    pub(super) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { key: key.into(), place: Place::Unset, what: what.into() }
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), &self.place) {
            ("", place) => write!(f, "{place}: {}", self.what),
            (key, place) => write!(f, "{key} ({place}): {}", self.what),
        }
    }
}

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(String),
    Variable(String),
    Unset,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Unset => f.write_str("not set"),
        }
    }
}

/// Why there are no settings: at least one problem. Reads as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn unless_none(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self { problems })
    }

    /// Every problem that was found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.problems.split_first() else {
            return Ok(());
        };
        write!(f, "{first}")?;
        match rest.len() {
            0 => Ok(()),
            more => write!(f, " (and {more} more; `buynow config check` lists them)"),
        }
    }
}

/// Which key was set where; kept with the settings, so that late refusals can name the place too.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) file: String,
    pub(super) file_keys: Vec<String>,
    pub(super) variables: BTreeMap<String, String>,
}

impl Origin {
    pub(super) fn locate(&self, problem: Problem) -> Problem {
        let place = self.place(&problem.key);
        problem.at(place)
    }

    fn place(&self, key: &str) -> Place {
        if let Some(name) = longest_prefix(&self.variables, key) {
            return Place::Variable(name.clone());
        }
        let in_file =
            |known: &String| known == key || is_parent(key, known) || is_parent(known, key);
        match self.file_keys.iter().any(in_file) {
            true => Place::File(self.file.clone()),
            false => Place::Unset,
        }
    }
}

/// The variable that set `key` or the table that it stands in.
fn longest_prefix<'a, T>(variables: &'a BTreeMap<String, T>, key: &str) -> Option<&'a T> {
    let mut key = key;
    loop {
        if let Some(found) = variables.get(key) {
            return Some(found);
        }
        key = key.rsplit_once('.')?.0;
    }
}

fn is_parent(parent: &str, key: &str) -> bool {
    key.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
}
