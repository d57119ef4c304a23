//! INSERT of many rows, spelled without a tree of expressions.
//!
//! A batch inserts some dozen values for each order. What a query builder makes of each of them,
//! boxes and frees again cost more than the database needed for the rows, so here the text is
//! written once and the values are moved into it. Columns that are null in all rows are left out
//! where that is the same.

use std::fmt::Write as _;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, EntityName, EntityTrait, IdenStatic,
    Iterable, Statement, Value,
};

use super::super::db::StoreError;
use super::VALUES_MAX;

/// What happens to a row whose key is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conflict {
    /// The statement fails.
    Fail,
    /// The old row stays.
    Keep,
    /// The new row takes its place.
    Replace,
}

/// Inserts rows that are not there.
pub(super) async fn insert<A: ActiveModelTrait>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
) -> Result<(), StoreError> {
    execute(db, rows, &[], Conflict::Fail).await.map(drop)
}

/// Inserts rows unless their key is there; answers how many were inserted, which MySQL cannot tell.
pub(super) async fn insert_free<A: ActiveModelTrait>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
    key: &[ColumnOf<A>],
) -> Result<Option<u64>, StoreError> {
    let inserted = execute(db, rows, key, Conflict::Keep).await?;
    Ok((db.get_database_backend() != DbBackend::MySql).then_some(inserted))
}

/// Whole rows over the old ones: they were read under lock, so nothing of anybody is lost.
pub(super) async fn replace<A: ActiveModelTrait>(
    db: &impl ConnectionTrait,
    rows: Vec<A>,
    key: ColumnOf<A>,
) -> Result<(), StoreError> {
    execute(db, rows, &[key], Conflict::Replace).await.map(drop)
}

type ColumnOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

async fn execute<A: ActiveModelTrait>(
    db: &impl ConnectionTrait,
    mut rows: Vec<A>,
    key: &[ColumnOf<A>],
    conflict: Conflict,
) -> Result<u64, StoreError> {
    let columns: Vec<ColumnOf<A>> = ColumnOf::<A>::iter().collect();
    let most = (VALUES_MAX / columns.len().max(1)).max(1);
    let mut affected = 0;
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(most));
        let statement = statement(db.get_database_backend(), &columns, rows, key, conflict)?;
        affected += db.execute_raw(statement).await?.rows_affected();
        rows = rest;
    }
    Ok(affected)
}

fn statement<A: ActiveModelTrait>(
    backend: DbBackend,
    columns: &[ColumnOf<A>],
    mut rows: Vec<A>,
    key: &[ColumnOf<A>],
    conflict: Conflict,
) -> Result<Statement, StoreError> {
    let mut values = Vec::with_capacity(rows.len() * columns.len());
    for row in &mut rows {
        for column in columns {
            values.push(match row.take(*column) {
                ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
                // Null would take the place of what stands there.
                ActiveValue::NotSet => return Err(StoreError::row("(new)", column.as_str())),
            });
        }
    }
    let written = match conflict {
        Conflict::Replace => vec![true; columns.len()],
        Conflict::Fail | Conflict::Keep => with_values(&values, columns.len()),
    };
    let names: Vec<&str> = kept(columns.iter().map(IdenStatic::as_str), &written).collect();
    let table = A::Entity::default();
    let mut sql = Sql::new(backend);
    sql.head(table.table_name(), &names);
    sql.rows(names.len(), rows.len());
    sql.tail(&names, &key.iter().map(IdenStatic::as_str).collect::<Vec<_>>(), conflict);
    let values: Vec<Value> = kept(values.into_iter(), &written).collect();
    Ok(Statement::from_sql_and_values(backend, sql.text, values))
}

/// Which columns have a value in one of the rows.
fn with_values(values: &[Value], columns: usize) -> Vec<bool> {
    let mut some = vec![false; columns];
    for row in values.chunks(columns) {
        for (some, value) in some.iter_mut().zip(row) {
            *some |= !matches!(value, Value::BigInt(None) | Value::String(None));
        }
    }
    some
}

/// What stands at the places that are kept, of one row or of many.
fn kept<T>(all: impl Iterator<Item = T>, kept: &[bool]) -> impl Iterator<Item = T> {
    all.zip(kept.iter().cycle()).filter_map(|(one, kept)| kept.then_some(one))
}

/// The text of a statement.
struct Sql {
    backend: DbBackend,
    text: String,
}

impl Sql {
    fn new(backend: DbBackend) -> Self {
        Self { backend, text: String::with_capacity(4096) }
    }

    fn head(&mut self, table: &str, columns: &[&str]) {
        self.text.push_str("INSERT INTO ");
        self.name(table);
        self.text.push_str(" (");
        self.list(columns, Self::name);
        self.text.push_str(") VALUES ");
    }

    fn rows(&mut self, columns: usize, rows: usize) {
        if self.backend == DbBackend::Postgres {
            return self.numbered_rows(columns, rows);
        }
        let mut row = format!("({}", "?, ".repeat(columns));
        row.truncate(row.len() - ", ".len());
        row.push_str("), ");
        self.text.push_str(&row.repeat(rows));
        self.text.truncate(self.text.len() - ", ".len());
    }

    fn numbered_rows(&mut self, columns: usize, rows: usize) {
        for value in 0..columns * rows {
            let before = match value % columns {
                0 if value == 0 => "(",
                0 => "), (",
                _ => ", ",
            };
            let _infallible = write!(self.text, "{before}${}", value + 1);
        }
        self.text.push(')');
    }

    fn tail(&mut self, columns: &[&str], key: &[&str], conflict: Conflict) {
        let mysql = self.backend == DbBackend::MySql;
        match conflict {
            Conflict::Fail => {}
            // Sets a column to itself.
            Conflict::Keep if mysql => {
                self.text.push_str(" ON DUPLICATE KEY UPDATE ");
                self.list(&key[..1], |sql, column| sql.set(column, None));
            }
            Conflict::Keep => self.text.push_str(" ON CONFLICT DO NOTHING"),
            Conflict::Replace => {
                self.text.push_str(if mysql {
                    " ON DUPLICATE KEY UPDATE "
                } else {
                    " ON CONFLICT ("
                });
                if !mysql {
                    self.list(key, Self::name);
                    self.text.push_str(") DO UPDATE SET ");
                }
                let others = columns.iter().filter(|column| !key.contains(column));
                let others: Vec<&str> = others.copied().collect();
                self.list(&others, |sql, column| sql.set(column, Some(mysql)));
            }
        }
    }

    /// `column = ` itself, or the value that was to be inserted.
    fn set(&mut self, column: &str, inserted_on_mysql: Option<bool>) {
        self.name(column);
        self.text.push_str(match inserted_on_mysql {
            None => " = ",
            Some(true) => " = VALUES(",
            Some(false) => " = excluded.",
        });
        self.name(column);
        if inserted_on_mysql == Some(true) {
            self.text.push(')');
        }
    }

    fn list(&mut self, names: &[&str], write: impl Fn(&mut Self, &str)) {
        for (nth, name) in names.iter().enumerate() {
            if nth > 0 {
                self.text.push_str(", ");
            }
            write(self, name);
        }
    }

    fn name(&mut self, name: &str) {
        let quote = if self.backend == DbBackend::MySql { '`' } else { '"' };
        self.text.push(quote);
        self.text.push_str(name);
        self.text.push(quote);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use entity::batch_marker::{ActiveModel, Column};
    use entity::{incident, stock_entry};
    use sea_orm::Set;

    use super::*;

    fn text(backend: DbBackend, conflict: Conflict) -> String {
        let row = |id: &str| ActiveModel { id: Set(id.to_owned()), created_at: Set(7) };
        let columns: Vec<Column> = Column::iter().collect();
        let statement =
            statement(backend, &columns, vec![row("a"), row("b")], &[Column::Id], conflict)
                .unwrap();
        assert_eq!(statement.values.map_or(0, |values| values.0.len()), 4);
        statement.sql
    }

    #[test]
    fn each_database_is_spoken_to_in_its_own_words() {
        let insert = r#"INSERT INTO "batch_marker" ("id", "created_at") VALUES "#;
        let sqlite = format!("{insert}(?, ?), (?, ?)");
        assert_eq!(text(DbBackend::Sqlite, Conflict::Fail), sqlite);
        let postgres = format!("{insert}($1, $2), ($3, $4)");
        assert_eq!(text(DbBackend::Postgres, Conflict::Fail), postgres);
        let mysql = "INSERT INTO `batch_marker` (`id`, `created_at`) VALUES (?, ?), (?, ?)";
        assert_eq!(text(DbBackend::MySql, Conflict::Fail), mysql);
    }

    #[test]
    fn a_key_that_is_there_keeps_its_row_or_gets_the_new_one() {
        let tail = |backend, conflict| {
            let text = text(backend, conflict);
            text.split_once(" ON ").map(|(_, tail)| tail.to_owned()).unwrap_or_default()
        };
        assert_eq!(tail(DbBackend::Postgres, Conflict::Keep), "CONFLICT DO NOTHING");
        assert_eq!(tail(DbBackend::MySql, Conflict::Keep), "DUPLICATE KEY UPDATE `id` = `id`");
        let replace = r#"CONFLICT ("id") DO UPDATE SET "created_at" = excluded."created_at""#;
        assert_eq!(tail(DbBackend::Sqlite, Conflict::Replace), replace);
        let replace = "DUPLICATE KEY UPDATE `created_at` = VALUES(`created_at`)";
        assert_eq!(tail(DbBackend::MySql, Conflict::Replace), replace);
    }

    fn entry(id: i64, order: Option<i64>) -> stock_entry::ActiveModel {
        let (order_id, line) = (Set(order), Set(None));
        stock_entry::ActiveModel {
            id: Set(id),
            order_id,
            order_goods_id: line,
            ..Default::default()
        }
    }

    const ENTRY: [stock_entry::Column; 3] = {
        use stock_entry::Column::*;
        [OrderGoodsId, Id, OrderId]
    };

    #[test]
    fn a_column_that_is_null_in_all_rows_is_left_out_unless_it_replaces_something() {
        let of = |rows, conflict| {
            let key = [stock_entry::Column::Id];
            statement(DbBackend::Sqlite, &ENTRY, rows, &key, conflict).unwrap()
        };
        let rows = || vec![entry(1, None), entry(2, Some(7))];
        let shown = of(rows(), Conflict::Fail);
        let expected = r#"INSERT INTO "stock_entry" ("id", "order_id") VALUES (?, ?), (?, ?)"#;
        assert_eq!(shown.sql, expected);
        let values = [Some(1), None, Some(2), Some(7)].map(Value::BigInt);
        assert_eq!(shown.values.unwrap().0, values);
        let replacing = of(rows(), Conflict::Replace);
        assert!(replacing.sql.contains(r#"("order_goods_id", "id", "order_id") VALUES"#));
        assert_eq!(replacing.values.unwrap().0.len(), 6);
    }

    #[test]
    fn a_column_that_was_forgotten_is_refused() {
        let row = incident::ActiveModel { id: Set(1), ..Default::default() };
        let columns: Vec<incident::Column> = incident::Column::iter().collect();
        for conflict in [Conflict::Fail, Conflict::Replace] {
            let key = [incident::Column::Id];
            assert!(
                statement(DbBackend::MySql, &columns, vec![row.clone()], &key, conflict).is_err()
            );
        }
    }
}
