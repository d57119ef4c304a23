//! The text of statements about idempotency keys.
//!
//! A crowd before a SKU that is gone asks for nothing but its keys, so this text is spelled for
//! each database as it is answered with the least work: the keys are a table of values, and each of
//! its rows is found along the primary key. As alternatives (`OR`) the same took twice the time on
//! PostgreSQL and on MariaDB.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::domain::books::{KeyRef, Operation};
use crate::domain::id::WxappId;

/// Keys of one statement.
pub(super) const KEYS_MAX: usize = 256;

/// So that there are few different texts, which a database need not plan each time, there are
/// always as many keys as one of these says.
const COUNTS: [usize; 14] = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, KEYS_MAX];

/// Fills up. Users are counted from one.
const NOBODYS: (i64, &str) = (0, "");

/// All of them by name: a later release may add one while this one serves.
const COLUMNS: [&str; 7] =
    ["wxapp_id", "user_id", "operation", "key", "request_hash", "result_id", "created_at"];

/// What is done with the rows of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Select,
    Delete,
}

/// The statements about all of these keys.
pub(super) fn statements(
    db: &impl ConnectionTrait,
    text: Text,
    keys: &[&KeyRef],
) -> Vec<Statement> {
    let mut groups: BTreeMap<(WxappId, Operation), Vec<&KeyRef>> = BTreeMap::new();
    for key in keys {
        groups.entry((key.wxapp, key.operation)).or_default().push(key);
    }
    let backend = db.get_database_backend();
    let of_group = |((wxapp, operation), keys): (&(WxappId, Operation), &Vec<&KeyRef>)| {
        let few = keys.chunks(KEYS_MAX);
        let of_few = few.map(|keys| statement(backend, text, *wxapp, *operation, keys));
        of_few.collect::<Vec<_>>()
    };
    groups.iter().flat_map(of_group).collect()
}

fn statement(
    backend: DbBackend,
    text: Text,
    wxapp: WxappId,
    operation: Operation,
    keys: &[&KeyRef],
) -> Statement {
    let rounded = COUNTS.into_iter().find(|count| *count >= keys.len());
    let count = rounded.unwrap_or(keys.len());
    let pairs = keys.iter().map(|key| (key.user.get(), key.key.as_str()));
    let pairs = pairs.chain(std::iter::repeat(NOBODYS)).take(count);
    if (text, backend) == (Text::Delete, DbBackend::MySql) {
        return delete_on_mysql(wxapp, operation, pairs);
    }
    let pairs = pairs.flat_map(|(user, key)| [user.into(), key.into()]);
    let group = [wxapp.get().into(), operation.as_str().into()];
    let values: Vec<Value> = pairs.chain(group).collect();
    let spelled = match text {
        Text::Select => select(backend, count),
        Text::Delete => delete(backend, count),
    };
    Statement::from_sql_and_values(backend, spelled, values)
}

/// For each key one way down the index.
fn select(backend: DbBackend, count: usize) -> String {
    let (asked, found) = (pairs(backend, count), columns(backend));
    let (wxapp, operation) = group(backend, count);
    let is_it = format!(
        "i.wxapp_id = {wxapp} AND i.user_id = a.u AND i.operation = {operation} AND i.{} = a.k",
        key(backend)
    );
    match backend {
        // LIMIT keeps the planner from a join that reads the table.
        DbBackend::Postgres => format!(
            "SELECT i.* FROM (VALUES {asked}) AS a (u, k) CROSS JOIN LATERAL \
             (SELECT {found} FROM idempotency AS i WHERE {is_it} LIMIT 1) AS i"
        ),
        // Bound values in a table of values are null to MariaDB.
        DbBackend::MySql => {
            format!("SELECT {found} FROM idempotency AS i WHERE {}", are(backend, count))
        }
        _ => format!(
            "WITH a (u, k) AS (VALUES {asked}) \
             SELECT {found} FROM a CROSS JOIN idempotency AS i WHERE {is_it}"
        ),
    }
}

fn delete(backend: DbBackend, count: usize) -> String {
    format!("DELETE FROM idempotency WHERE {}", are(backend, count))
}

/// As alternatives of whole keys. A list of one pair is no range to MariaDB where something is
/// deleted: it then walks, and locks, all keys of the mini-program, those of other processes too.
fn delete_on_mysql<'a>(
    wxapp: WxappId,
    operation: Operation,
    pairs: impl Iterator<Item = (i64, &'a str)>,
) -> Statement {
    let (mut are, mut values): (Vec<&str>, Vec<Value>) = (Vec::new(), Vec::new());
    for (user, key) in pairs {
        are.push("(wxapp_id = ? AND user_id = ? AND operation = ? AND `key` = ?)");
        values.extend([wxapp.get().into(), user.into(), operation.as_str().into(), key.into()]);
    }
    let text = format!("DELETE FROM idempotency WHERE {}", are.join(" OR "));
    Statement::from_sql_and_values(DbBackend::MySql, text, values)
}

/// One of these keys.
fn are(backend: DbBackend, count: usize) -> String {
    let values = if backend == DbBackend::Sqlite { "VALUES " } else { "" };
    let (asked, key) = (pairs(backend, count), key(backend));
    let (wxapp, operation) = group(backend, count);
    format!(
        "(user_id, {key}) IN ({values}{asked}) AND wxapp_id = {wxapp} AND operation = {operation}"
    )
}

fn columns(backend: DbBackend) -> String {
    let name = |column| if column == "key" { key(backend) } else { column };
    COLUMNS.map(|column| format!("i.{}", name(column))).join(", ")
}

/// A word of MySQL's own.
fn key(backend: DbBackend) -> &'static str {
    if backend == DbBackend::MySql { "`key`" } else { "\"key\"" }
}

/// Buyer and key of each.
fn pairs(backend: DbBackend, count: usize) -> String {
    let mut text = String::with_capacity(16 * count);
    for pair in 0..count {
        let comma = if pair == 0 { "" } else { ", " };
        let _infallible = match backend {
            DbBackend::Postgres => write!(text, "{comma}(${}, ${})", 2 * pair + 1, 2 * pair + 2),
            _ => write!(text, "{comma}(?, ?)"),
        };
    }
    text
}

/// Mini-program and operation, which all keys of a statement have in common.
fn group(backend: DbBackend, count: usize) -> (String, String) {
    if backend != DbBackend::Postgres {
        return ("?".to_owned(), "?".to_owned());
    }
    (format!("${}", 2 * count + 1), format!("${}", 2 * count + 2))
}
