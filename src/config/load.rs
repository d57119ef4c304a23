//! From a file and the environment to a [`Config`], or to a line that says what to mend, and where.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use figment::Figment;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Value};

use super::error::{ConfigError, Origin, Place, Problem};
use super::{Config, check};

/// Read when no other file is named, if it is there.
pub const DEFAULT_FILE: &str = "config.toml";
/// `BUYNOW__SERVER__PORT` sets `server.port`.
pub const ENV_PREFIX: &str = "BUYNOW__";

/// Keys whose values are never shown.
const SECRET_KEYS: [&str; 5] =
    ["database.url", "database.urls", "wxapp.secret", "wxapp.api_key", "security.master_key"];

impl Config {
    /// The settings from `file` (else `config.toml`, if there) and the process's environment.
    ///
    /// # Errors
    /// The file named cannot be read; a key is unknown, or a value impossible.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, std::env::vars_os())
    }

    /// As [`Config::load`], with an environment of one's own.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let (name, text) = read_file(file)?;
        let mut layers = Layers::new(&name, &text, environment)?;
        let mut config = layers.extract()?;
        config.origin = layers.origin();
        let mut problems = check::problems(&config);
        problems.extend(check::file_problems(&config));
        let problems: Vec<_> = problems.into_iter().map(|p| config.origin.locate(p)).collect();
        ConfigError::unless_none(problems).map_or(Ok(config), Err)
    }
}

fn read_file(file: Option<&Path>) -> Result<(String, String), Problem> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            Ok((name, String::new()))
        }
        Err(error) => {
            Err(Problem::new("", format!("cannot be read: {error}")).at(Place::File(name)))
        }
    }
}

struct Layers {
    file: toml::Table,
    file_name: String,
    /// By dotted key.
    variables: BTreeMap<String, Variable>,
}

struct Variable {
    name: String,
    text: String,
    value: Value,
}

impl Layers {
    fn new(
        file_name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problem> {
        let file = text.parse::<toml::Table>().map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            let message = error.message().replace('\n', " ");
            Problem::new("", message).at(Place::File(format!("{file_name} line {line}")))
        })?;
        let mut variables = BTreeMap::new();
        for (name, value) in environment {
            if let Some((key, variable)) = variable(name, value)? {
                variables.insert(key, variable);
            }
        }
        Ok(Self { file, file_name: file_name.to_owned(), variables })
    }

    /// A variable is text. Where the setting is of another type, its text is read as that type
    /// and all is tried again; so a merchant number of digits stays text, without a list of keys.
    fn extract(&mut self) -> Result<Config, Problem> {
        for _ in 0..=self.variables.len() {
            match self.figment()?.extract::<Config>() {
                Ok(config) => return Ok(config),
                Err(error) => self.reread(error)?,
            }
        }
        Err(Problem::new("", "cannot be understood"))
    }

    fn figment(&self) -> Result<Figment, Problem> {
        let mut environment = Dict::new();
        for (key, variable) in &self.variables {
            insert(&mut environment, key, variable.value.clone()).ok_or_else(|| {
                self.problem(key.clone(), "stands for a section and for a value at once".into())
            })?;
        }
        Ok(Figment::new()
            .merge(Serialized::defaults(&self.file))
            .merge(Serialized::defaults(environment)))
    }

    /// Reads the variable that was refused for being text; anything else is a problem.
    fn reread(&mut self, error: figment::Error) -> Result<(), Problem> {
        let key = error.path.join(".");
        if let (Kind::InvalidType(Actual::Str(_), expected), Some(variable)) =
            (&error.kind, self.variables.get_mut(&key))
            && let Some(value) = read_as(expected, &variable.text)
        {
            variable.value = value;
            return Ok(());
        }
        let (key, what) = explain(key, &error.kind);
        Err(self.problem(key, what))
    }

    fn problem(&self, key: String, what: String) -> Problem {
        self.origin().locate(Problem::new(key, what))
    }

    fn origin(&self) -> Origin {
        let mut file_keys = Vec::new();
        collect_keys("", &self.file, &mut file_keys);
        Origin {
            file: self.file_name.clone(),
            file_keys,
            variables: self.variables.iter().map(|(k, v)| (k.clone(), v.name.clone())).collect(),
        }
    }
}

/// `BUYNOW__SERVER__PORT` as `server.port`; an empty one counts as not set.
fn variable(name: OsString, value: OsString) -> Result<Option<(String, Variable)>, Problem> {
    let Some(name) = name.to_str().filter(|name| name.starts_with(ENV_PREFIX)) else {
        return Ok(None);
    };
    let key = name[ENV_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
    let text = value.into_string().map_err(|_| {
        Problem::new(&key, "is not valid UTF-8").at(Place::Variable(name.to_owned()))
    })?;
    if text.is_empty() {
        return Ok(None);
    }
    let value = Value::from(text.clone());
    Ok(Some((key, Variable { name: name.to_owned(), text, value })))
}

/// Puts a value at its dotted key; nothing when the way there is blocked by a value.
fn insert(dict: &mut Dict, key: &str, value: Value) -> Option<()> {
    match key.split_once('.') {
        Some((section, rest)) => {
            let inner = dict.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
            match inner {
                Value::Dict(_, inner) => insert(inner, rest, value),
                _ => None,
            }
        }
        None => match dict.insert(key.to_owned(), value) {
            None => Some(()),
            Some(_) => None,
        },
    }
}

/// The text as a TOML value; a list may also be written `a,b`.
fn read_as(expected: &str, text: &str) -> Option<Value> {
    if expected.contains("sequence") && !text.trim_start().starts_with('[') {
        let items: Vec<_> = text.split(',').map(|item| Value::from(item.trim())).collect();
        return Some(Value::from(items));
    }
    let table = format!("value = {}", text.trim()).parse::<toml::Table>().ok()?;
    let value = table.get("value").filter(|value| !value.is_str() && table.len() == 1)?;
    Value::serialize(value).ok()
}

fn collect_keys(prefix: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => collect_keys(&key, inner, keys),
            _ => keys.push(key),
        }
    }
}

/// The key that is meant and what is wrong with it, in words.
fn explain(key: String, kind: &Kind) -> (String, String) {
    let found = |actual: &Actual| match SECRET_KEYS.contains(&key.as_str()) {
        true => "this".to_owned(),
        false => plain(actual),
    };
    let what = match kind {
        Kind::UnknownField(field, known) => return unknown(&key, field, known),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("{} is not {}", found(actual), in_words(expected))
        }
        Kind::UnknownVariant(variant, known) => {
            format!("{variant:?} is not one of {}", known.join(", "))
        }
        Kind::MissingField(field) => format!("{field} is missing"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is too large a number".to_owned(),
        Kind::Message(message) => message.replace('\n', " "),
        other => other.to_string().replace('\n', " "),
    };
    (key, what)
}

fn unknown(parent: &str, field: &str, known: &[&str]) -> (String, String) {
    let section = parent.strip_suffix(field).map_or(parent, |rest| rest.trim_end_matches('.'));
    let key = if section.is_empty() { field.to_owned() } else { format!("{section}.{field}") };
    let whose =
        if section.is_empty() { "the sections".into() } else { format!("keys of [{section}]") };
    (key, format!("unknown key; {whose} are {}", known.join(", ")))
}

fn plain(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Char(value) => format!("{value:?}"),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a section".to_owned(),
        _ => "this".to_owned(),
    }
}

fn in_words(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 up",
        "i64" => "a whole number",
        "a boolean" => "true or false",
        "a string" => "a text in quotes",
        "a sequence" => "a list",
        _ if expected.starts_with("struct") => "a section",
        _ => expected,
    }
}
