//! Whether a server keeps what it says it has committed.
//!
//! A session can overrule one such setting (`connect.rs`); these are the server's own.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

/// Settings of servers under which a power cut loses orders that were acknowledged.
const POSTGRES: &str = "SELECT name, setting FROM pg_settings \
    WHERE name IN ('fsync', 'full_page_writes')";
const MYSQL: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
    ('innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog')";

/// The settings of this server that should be otherwise, as `name = value`.
///
/// # Errors
/// What the database says.
pub async fn doubts(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => POSTGRES,
        DbBackend::MySql => MYSQL,
        _ => return Ok(Vec::new()),
    };
    let rows = db.query_all_raw(Statement::from_string(backend, sql)).await?;
    let pair = |row: sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    Ok(doubtful(&rows.into_iter().map(pair).collect::<Result<Vec<_>, DbErr>>()?))
}

fn doubtful(settings: &[(String, String)]) -> Vec<String> {
    let is = |name: &str, value: &str| {
        settings.iter().any(|(known, set)| known == name && set.eq_ignore_ascii_case(value))
    };
    let doubted = settings.iter().filter(|(name, value)| match name.as_str() {
        "fsync" | "full_page_writes" => value == "off",
        "innodb_flush_log_at_trx_commit" => value != "1",
        "innodb_doublewrite" => value.eq_ignore_ascii_case("OFF"),
        // What the binlog has not is rolled back after a crash.
        "sync_binlog" => value == "0" && is("log_bin", "ON"),
        _ => false,
    });
    doubted.map(|(name, value)| format!("{name} = {value}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_wait_for_the_disk_is_doubted() {
        let settings = |all: &[(&str, &str)]| {
            doubtful(&all.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>())
        };
        assert!(settings(&[("fsync", "on"), ("full_page_writes", "on")]).is_empty());
        assert_eq!(settings(&[("fsync", "off")]), ["fsync = off"]);
        let flushed = ("innodb_flush_log_at_trx_commit", "1");
        assert!(settings(&[flushed, ("log_bin", "OFF"), ("sync_binlog", "0")]).is_empty());
        assert_eq!(
            settings(&[
                ("innodb_flush_log_at_trx_commit", "2"),
                ("log_bin", "ON"),
                ("sync_binlog", "0")
            ]),
            ["innodb_flush_log_at_trx_commit = 2", "sync_binlog = 0"]
        );
    }

    /// The servers of the unit tests are told not to wait for any disk.
    #[tokio::test]
    async fn a_server_that_does_not_wait_is_found_out() {
        use crate::store::test_databases::{Kind, TestDatabase};
        let database = TestDatabase::fresh().await;
        let found = doubts(&database.stranger().await).await.is_ok_and(|found| !found.is_empty());
        assert_eq!(found, Kind::chosen() != Kind::Sqlite);
    }
}
