//! Connections that only read: of one server, or of whichever server of a cluster takes writes.

use sea_orm::entity::prelude::async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, EntityTrait as _, ExecResult,
    QueryResult, QueryStream, Statement, StreamTrait,
};

use super::connect::options;
use super::errors::StoreError;
use super::servers::{Cluster, Servers};
use crate::domain::time::Timestamp;

/// A pool of connections that only read. Clones share it.
#[derive(Clone)]
pub struct Readers {
    pool: Pool,
    servers: Servers,
}

/// Opens the pool of readers. A database file that is not there yet is made.
pub async fn open_readers(url: &str, connections: u32) -> Result<Readers, StoreError> {
    let db = Database::connect(options(url, connections)).await?;
    Ok(Readers { pool: Pool::One(db), servers: Servers::One(url.to_owned()) })
}

impl Readers {
    /// The readers of these servers; a cluster has its own already.
    pub async fn of(servers: Servers, connections: u32) -> Result<Self, StoreError> {
        let pool = match &servers {
            Servers::One(url) => return open_readers(url, connections).await,
            Servers::Cluster(cluster) => Pool::Moving(cluster.clone()),
        };
        Ok(Self { pool, servers })
    }
    /// What to read from; on a cluster each statement asks the server that takes writes then.
    pub(crate) fn db(&self) -> &Pool {
        &self.pool
    }
    /// The pool of this moment, for a transaction.
    pub(crate) fn connection(&self) -> DatabaseConnection {
        match &self.pool {
            Pool::One(db) => db.clone(),
            Pool::Moving(cluster) => cluster.readers(),
        }
    }
    /// Where they read.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }
    pub fn backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.pool)
    }
    /// Whether this process is the only one that serves on the database.
    pub fn serve_alone(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }
    /// Whether the database shows a row of a table, and on a cluster whether it takes writes. A
    /// node that has lost its cluster still answers what needs no table.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Pool::Moving(cluster) = &self.pool
            && !cluster.is_writable()
        {
            return Err(StoreError::row("(none)", "no server takes writes"));
        }
        entity::schema_info::Entity::find_by_id(1).one(self.db()).await?;
        Ok(())
    }
    /// The database's own time: the one place where SQL is asked what time it is.
    pub async fn database_time(&self) -> Result<Timestamp, StoreError> {
        let sql = match self.backend() {
            DbBackend::Sqlite => {
                "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now_ms"
            }
            DbBackend::Postgres => {
                "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms"
            }
            _ => "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED) AS now_ms",
        };
        let statement = Statement::from_string(self.backend(), sql);
        let row = self.db().query_one_raw(statement).await?;
        let row = row.ok_or_else(|| StoreError::row("(none)", "no time"))?;
        Ok(Timestamp::from_millis(row.try_get("", "now_ms")?))
    }
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection().close().await?)
    }
}

impl From<DatabaseConnection> for Readers {
    /// Of a connection that somebody has opened; its URL is not known.
    fn from(db: DatabaseConnection) -> Self {
        Self { pool: Pool::One(db), servers: Servers::One(String::new()) }
    }
}

/// What a statement that reads is given to.
#[derive(Clone)]
pub(crate) enum Pool {
    One(DatabaseConnection),
    Moving(Cluster),
}

#[async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::One(db) => db.get_database_backend(),
            Self::Moving(cluster) => cluster.readers().get_database_backend(),
        }
    }
    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::One(db) => db.execute_raw(statement).await,
            Self::Moving(cluster) => {
                cluster.ask(|db| async move { db.execute_raw(statement).await }).await
            }
        }
    }
    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::One(db) => db.execute_unprepared(sql).await,
            Self::Moving(cluster) => {
                cluster.ask(|db| async move { db.execute_unprepared(sql).await }).await
            }
        }
    }
    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::One(db) => db.query_one_raw(statement).await,
            Self::Moving(cluster) => {
                cluster.ask(|db| async move { db.query_one_raw(statement).await }).await
            }
        }
    }
    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::One(db) => db.query_all_raw(statement).await,
            Self::Moving(cluster) => {
                cluster.ask(|db| async move { db.query_all_raw(statement).await }).await
            }
        }
    }
}

impl StreamTrait for Pool {
    type Stream<'a> = QueryStream;

    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(self)
    }
    fn stream_raw<'a>(
        &'a self,
        statement: Statement,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<QueryStream, DbErr>> + 'a + Send>> {
        Box::pin(async move {
            match self {
                Self::One(db) => db.stream_raw(statement).await,
                Self::Moving(cluster) => {
                    cluster.ask(|db| async move { db.stream_raw(statement).await }).await
                }
            }
        })
    }
}
