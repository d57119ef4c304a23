//! A look at one server: does it answer, does it take writes, has it missed something?

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};

use super::choice::{Era, Seen};
use crate::store::connect::options;
use crate::store::errors::{Trouble, trouble};

/// A server that does not answer within this is silent.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The timeline is part of the name of what a primary writes to.
const POSTGRES: &str = "SELECT CASE WHEN pg_is_in_recovery() \
    OR current_setting('default_transaction_read_only') = 'on' THEN '' \
    ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline";

const MYSQL_SETTINGS: &str =
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('wsrep_on', 'read_only')";
const GALERA: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
    ('wsrep_ready', 'wsrep_cluster_status', 'wsrep_cluster_conf_id')";
/// A node without its cluster answers anything but this. One that lags behind waits here first.
const REAL_TABLE: &str = "SELECT id FROM schema_info";

/// One server, and a connection of its own for looking at it.
pub struct Looker {
    url: String,
    open: Option<DatabaseConnection>,
}

impl Looker {
    pub fn new(url: String) -> Self {
        Self { url, open: None }
    }

    pub async fn look(&mut self) -> Seen {
        match tokio::time::timeout(LOOK_MAX, self.ask()).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a server of the database was looked at in vain");
                self.let_go();
                match trouble(&error) {
                    Trouble::NotWritable | Trouble::Locked => Seen::Refuses,
                    _ => Seen::Silent,
                }
            }
            Err(_) => {
                self.let_go();
                Seen::Silent
            }
        }
    }

    /// It closes by itself, if it can.
    fn let_go(&mut self) {
        if let Some(db) = self.open.take() {
            super::close_aside(db);
        }
    }

    async fn ask(&mut self) -> Result<Seen, DbErr> {
        let db = match &self.open {
            Some(db) => db,
            None => self.open.insert(Database::connect(options(&self.url, 1)).await?),
        };
        match db.get_database_backend() {
            DbBackend::Postgres => ask_postgres(db).await,
            DbBackend::MySql => ask_mysql(db).await,
            _ => Ok(Seen::Writes(Era::Plain)),
        }
    }
}

async fn ask_postgres(db: &DatabaseConnection) -> Result<Seen, DbErr> {
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, POSTGRES)).await?;
    let timeline: String = row.ok_or_else(nothing)?.try_get("", "timeline")?;
    if timeline.is_empty() {
        return Ok(Seen::Refuses);
    }
    let number = i64::from_str_radix(&timeline, 16).map_err(|_| nothing())?;
    Ok(Seen::Writes(Era::Timeline(number)))
}

async fn ask_mysql(db: &DatabaseConnection) -> Result<Seen, DbErr> {
    let settings = named(db, MYSQL_SETTINGS).await?;
    let seen = if says(&settings, "wsrep_on", "ON") {
        of_galera(&named(db, GALERA).await?)
    } else {
        Seen::Writes(Era::Plain)
    };
    if says(&settings, "read_only", "ON") {
        return Ok(Seen::Refuses);
    }
    let table = Statement::from_string(DbBackend::MySql, REAL_TABLE);
    match db.query_one_raw(table).await {
        // Before the first migration there is no table.
        Err(error) if trouble(&error) != Trouble::Content => Err(error),
        Ok(_) | Err(_) => Ok(seen),
    }
}

fn of_galera(status: &[(String, String)]) -> Seen {
    let ready =
        says(status, "wsrep_ready", "ON") && says(status, "wsrep_cluster_status", "Primary");
    let number = status.iter().find(|(name, _)| name == "wsrep_cluster_conf_id");
    match number.and_then(|(_, number)| number.parse().ok()) {
        Some(number) if ready => Seen::Writes(Era::Membership(number)),
        _ => Seen::Refuses,
    }
}

async fn named(db: &DatabaseConnection, sql: &str) -> Result<Vec<(String, String)>, DbErr> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::MySql, sql)).await?;
    let pair = |row: sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    rows.into_iter().map(pair).collect()
}

fn says(values: &[(String, String)], name: &str, value: &str) -> bool {
    values.iter().any(|(known, said)| known == name && said.eq_ignore_ascii_case(value))
}

fn nothing() -> DbErr {
    DbErr::RecordNotFound("what a server says of itself".into())
}
