//! Who our connection is to its server, so that it can be ended there when it is half dead: its
//! client gone, its transaction open, its locks held.
//!
//! A number alone would name somebody else on another server, or on the same one after a restart.
//! PostgreSQL: process number and the moment it started. MySQL and MariaDB: a named lock that only
//! that session holds. What waits for the answer of a COMMIT is never ended: PostgreSQL would say
//! that it has committed although no standby has it.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

/// One session of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// SQLite has none.
    None,
    Postgres {
        pid: i32,
        started: String,
    },
    MySql {
        lock: String,
    },
}

/// What the session may be doing that must not be disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// COMMIT was never sent, and never will be.
    NoCommit,
    Commit,
}

/// Who this connection is. The pool of `db` has one connection.
pub async fn identify(db: &DatabaseConnection) -> Result<Backend, DbErr> {
    match db.get_database_backend() {
        DbBackend::Postgres => {
            let sql = "SELECT pid, CAST(EXTRACT(EPOCH FROM backend_start) AS text) AS started \
                       FROM pg_stat_activity WHERE pid = pg_backend_pid()";
            let row = one(db, DbBackend::Postgres, sql, vec![]).await?;
            let row = row.ok_or_else(|| DbErr::RecordNotFound("our own session".into()))?;
            let (pid, started) = (row.try_get("", "pid")?, row.try_get("", "started")?);
            Ok(Backend::Postgres { pid, started })
        }
        DbBackend::MySql => {
            let lock = format!("buynow.session.{:032x}", rand::random::<u128>());
            let sql = "SELECT CAST(GET_LOCK(?, 0) AS SIGNED) AS taken";
            one(db, DbBackend::MySql, sql, vec![lock.clone().into()]).await?;
            Ok(Backend::MySql { lock })
        }
        _ => Ok(Backend::None),
    }
}

/// Ends the session if `db` is a connection to its server and it does nothing that must not be
/// disturbed; says whether it did.
pub async fn end(db: &DatabaseConnection, backend: &Backend, sent: Sent) -> Result<bool, DbErr> {
    match backend {
        Backend::None => Ok(false),
        Backend::Postgres { pid, started } => end_postgres(db, *pid, started, sent).await,
        Backend::MySql { lock } => end_mysql(db, lock, sent).await,
    }
}

async fn end_postgres(
    db: &DatabaseConnection,
    pid: i32,
    started: &str,
    sent: Sent,
) -> Result<bool, DbErr> {
    let idle = match sent {
        Sent::NoCommit => "",
        // COMMIT has not arrived, and will find nobody.
        Sent::Commit => " AND state LIKE 'idle in transaction%'",
    };
    let sql = format!(
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE pid = $1 \
         AND CAST(EXTRACT(EPOCH FROM backend_start) AS text) = $2 \
         AND wait_event IS DISTINCT FROM 'SyncRep'{idle}"
    );
    let values = vec![pid.into(), started.to_owned().into()];
    Ok(one(db, DbBackend::Postgres, &sql, values).await?.is_some())
}

async fn end_mysql(db: &DatabaseConnection, lock: &str, sent: Sent) -> Result<bool, DbErr> {
    let sql = "SELECT CAST(ID AS SIGNED) AS id, COMMAND AS command \
               FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK(?)";
    let Some(row) = one(db, DbBackend::MySql, sql, vec![lock.to_owned().into()]).await? else {
        return Ok(false);
    };
    let (id, command): (i64, String) = (row.try_get("", "id")?, row.try_get("", "command")?);
    if sent == Sent::Commit && command != "Sleep" {
        return Ok(false);
    }
    db.execute_unprepared(&format!("KILL {id}")).await?;
    Ok(true)
}

async fn one(
    db: &DatabaseConnection,
    backend: DbBackend,
    sql: &str,
    values: Vec<sea_orm::Value>,
) -> Result<Option<sea_orm::QueryResult>, DbErr> {
    db.query_one_raw(Statement::from_sql_and_values(backend, sql, values)).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use sea_orm::TransactionTrait;

    use super::*;
    use crate::store::test_databases::TestReaders;

    #[tokio::test]
    async fn a_session_is_ended_on_its_server_and_once() {
        let shop = TestReaders::small().await;
        let ours = shop.database.stranger().await;
        let backend = identify(&ours).await.unwrap();
        if backend == Backend::None {
            return;
        }
        assert_ne!(identify(&shop.database.stranger().await).await.unwrap(), backend);
        let other = shop.database.stranger().await;
        let _open = ours.begin().await.unwrap();
        assert!(end(&other, &backend, Sent::Commit).await.unwrap());
        // It takes a moment to go.
        while end(&other, &backend, Sent::Commit).await.unwrap() {}
        assert!(ours.ping().await.is_err());
    }

    #[tokio::test]
    async fn what_is_being_done_after_commit_was_sent_is_not_disturbed() {
        let shop = TestReaders::small().await;
        let ours = shop.database.stranger().await;
        let backend = identify(&ours).await.unwrap();
        let sleep = match backend {
            Backend::None => return,
            Backend::Postgres { .. } => "SELECT pg_sleep(60)",
            Backend::MySql { .. } => "SELECT SLEEP(60)",
        };
        let other = shop.database.stranger().await;
        let busy = tokio::spawn(async move { ours.execute_unprepared(sleep).await });
        // Until it is seen at work it rests outside of any transaction, which is spared too.
        for _ in 0..20 {
            let ended = match &backend {
                // MariaDB shows a session that rests; it may only be asked once it works.
                Backend::MySql { lock } if !is_at_work(&other, lock).await => continue,
                backend => end(&other, backend, Sent::Commit).await.unwrap(),
            };
            assert!(!ended);
        }
        assert!(end(&other, &backend, Sent::NoCommit).await.unwrap());
        assert!(busy.await.unwrap().is_err());
    }

    async fn is_at_work(db: &DatabaseConnection, lock: &str) -> bool {
        let sql = "SELECT COMMAND AS command FROM information_schema.PROCESSLIST \
                   WHERE ID = IS_USED_LOCK(?)";
        let row = one(db, DbBackend::MySql, sql, vec![lock.to_owned().into()]).await.unwrap();
        row.is_some_and(|row| row.try_get::<String>("", "command").unwrap() != "Sleep")
    }
}
