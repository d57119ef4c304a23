//! How a connection to each of the databases is set up, whoever opens it.
//!
//! What a session must be is set by the connection's own first statements, so that every
//! connection of a pool has it, those made later included, and whatever the server's defaults are.

use std::time::Duration;

use sea_orm::sqlx::mysql::MySqlConnection;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::sqlite::{SqliteAutoVacuum, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{Executor as _, Row as _};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, Statement,
};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const WAL_SIZE_LIMIT: &str = "67108864";
/// Statements of a batch differ by their number of rows, so many are worth keeping.
const STATEMENT_CACHE: usize = 512;
/// Of each kind there is one for every number of rows up to that of a batch. What falls out is
/// closed by a message that is not answered, and TCP then holds the next one back for 40 ms, as the
/// driver leaves Nagle's algorithm on: 1.5 s for a batch whose statements all do so.
const MYSQL_STATEMENT_CACHE: usize = 2_048;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that has rested for so long may have been dropped on the way: it is asked first.
const RESTED: Duration = Duration::from_secs(30);
const NAME: &str = "buynow";

/// READ COMMITTED, because what a batch reads after a lock must be what stands there then. Whoever
/// waits for a lock longer than 1.5 s gives up and is tried otherwise. A backend whose client has
/// gone ends soon, and with it its locks. A server told not to wait for its disk is told otherwise:
/// an acknowledged order must not be lost.
const POSTGRES_SESSION: &str = "\
    SET default_transaction_isolation = 'read committed'; \
    SET lock_timeout = '1500ms'; \
    SET idle_in_transaction_session_timeout = '10s'; \
    SET tcp_keepalives_idle = 5; \
    SET tcp_keepalives_interval = 2; \
    SET tcp_keepalives_count = 3; \
    SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

const MYSQL_ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// Values that do not fit are refused, not cut; names stand in double quotes, as everywhere else.
/// The rest as for PostgreSQL; MariaDB alone knows how to end a transaction that nobody goes on
/// with, and a log-in may rest for a day; MySQL ends both after a minute, since whoever has gone
/// for good would keep rows locked. (MariaDB does not read comments for MySQL 8.)
const MYSQL_SESSION: &str = "\
    SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
    ANSI_QUOTES,PIPES_AS_CONCAT', \
    SESSION innodb_lock_wait_timeout = 2, SESSION lock_wait_timeout = 10, \
    SESSION wait_timeout = 86400 \
    /*M!100300 , SESSION idle_transaction_timeout = 10 */\
    /*!80000 , SESSION wait_timeout = 60 */";

/// Whether a server is a node of a Galera cluster.
const IS_GALERA: &str = "SHOW GLOBAL VARIABLES LIKE 'wsrep_on'";
/// On Galera a read outside of a transaction, BEGIN, UPDATE and DELETE first wait until this node
/// has applied what any other had committed by then: one message around the group. Without it one
/// read in six after a commit elsewhere showed what had been before.
const GALERA_SESSION: &str = "SET SESSION wsrep_sync_wait = 3";

/// Options of a pool of so many connections.
pub(super) fn options(url: &str, connections: u32) -> ConnectOptions {
    let (url, max_pages) = take_max_pages(url);
    let mut options = ConnectOptions::new(creating(&for_driver(&url)));
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false);
    if url.starts_with("sqlite:") {
        sqlite(&mut options, max_pages);
    } else {
        options.test_before_acquire_if_idle_for(RESTED);
        postgres(&mut options);
        mysql(&mut options);
    }
    options
}

fn sqlite(options: &mut ConnectOptions, max_pages: Option<u32>) {
    options.map_sqlx_sqlite_opts(move |sqlite| {
        let bounded = match max_pages {
            Some(pages) => sqlite.pragma("max_page_count", pages.to_string()),
            None => sqlite,
        };
        bounded
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .auto_vacuum(SqliteAutoVacuum::None)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("journal_size_limit", WAL_SIZE_LIMIT)
            .statement_cache_capacity(STATEMENT_CACHE)
    });
}

fn postgres(options: &mut ConnectOptions) {
    options
        .map_sqlx_postgres_opts(|postgres| {
            postgres.application_name(NAME).statement_cache_capacity(STATEMENT_CACHE)
        })
        .map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|connection: &mut PgConnection, _| {
                Box::pin(async move { connection.execute(POSTGRES_SESSION).await.map(drop) })
            })
        });
}

fn mysql(options: &mut ConnectOptions) {
    options
        .map_sqlx_mysql_opts(|mysql| {
            let mysql = mysql.charset("utf8mb4").collation("utf8mb4_bin");
            mysql.statement_cache_capacity(MYSQL_STATEMENT_CACHE)
        })
        .map_sqlx_mysql_pool_opts(|pool| {
            pool.after_connect(|connection: &mut MySqlConnection, _| {
                Box::pin(async move {
                    connection.execute(MYSQL_ISOLATION).await?;
                    connection.execute(MYSQL_SESSION).await?;
                    let galera = connection.fetch_optional(IS_GALERA).await?;
                    if galera
                        .is_some_and(|row| row.try_get::<String, _>(1).is_ok_and(|on| on == "ON"))
                    {
                        connection.execute(GALERA_SESSION).await?;
                    }
                    Ok(())
                })
            })
        });
}

/// Whether this is a connection to a node of a Galera cluster.
pub async fn is_galera(db: &DatabaseConnection) -> Result<bool, DbErr> {
    if db.get_database_backend() != DbBackend::MySql {
        return Ok(false);
    }
    let setting = db.query_one_raw(Statement::from_string(DbBackend::MySql, IS_GALERA)).await?;
    let value = setting.map(|row| row.try_get_by_index::<String>(1)).transpose()?;
    Ok(value.is_some_and(|value| value == "ON"))
}

/// The drivers know one name of each scheme.
fn for_driver(url: &str) -> String {
    let known = [("mariadb://", "mysql://"), ("postgresql://", "postgres://")];
    let renamed = known
        .iter()
        .find_map(|(ours, theirs)| url.strip_prefix(ours).map(|rest| format!("{theirs}{rest}")));
    renamed.unwrap_or_else(|| url.to_owned())
}

/// A parameter of an SQLite URL that bounds the file, in pages of 4 KiB: `?max_page_count=250000`.
/// SQLite applies it to a connection; one that would grow the file further is refused with
/// "database or disk is full". A bound below what the file has is what it has.
const MAX_PAGES: &str = "max_page_count=";

/// The URL without [`MAX_PAGES`], and its value.
fn take_max_pages(url: &str) -> (String, Option<u32>) {
    let Some((file, query)) = url.split_once('?').filter(|_| url.starts_with("sqlite:")) else {
        return (url.to_owned(), None);
    };
    let bound = |part: &str| part.strip_prefix(MAX_PAGES)?.parse().ok();
    let max_pages = query.split('&').find_map(bound);
    let rest: Vec<&str> = query.split('&').filter(|part| bound(part).is_none()).collect();
    let separator = if rest.is_empty() { "" } else { "?" };
    (format!("{file}{separator}{}", rest.join("&")), max_pages)
}

fn creating(url: &str) -> String {
    if !url.starts_with("sqlite:") || url.contains("mode=") || url.contains(":memory:") {
        return url.to_owned();
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}mode=rwc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_the_file_is_taken_out_of_the_url() {
        for (url, rest, bound) in [
            ("sqlite://a.db", "sqlite://a.db", None),
            ("sqlite://a.db?max_page_count=9", "sqlite://a.db", Some(9)),
            ("sqlite://a.db?mode=rw&max_page_count=9", "sqlite://a.db?mode=rw", Some(9)),
            ("sqlite://a.db?max_page_count=x", "sqlite://a.db?max_page_count=x", None),
        ] {
            assert_eq!(take_max_pages(url), (rest.to_owned(), bound));
        }
    }

    #[test]
    fn each_database_goes_by_two_names() {
        for (url, expected) in [
            ("mariadb://u:p@h/buynow", "mysql://u:p@h/buynow"),
            ("mysql://h/buynow", "mysql://h/buynow"),
            ("postgresql://h/buynow", "postgres://h/buynow"),
            ("sqlite://buynow.db", "sqlite://buynow.db"),
        ] {
            assert_eq!(for_driver(url), expected);
        }
    }
}
