//! Databases for unit tests: SQLite always, PostgreSQL and MariaDB where a server is named.
//!
//! `BUYNOW_TEST_DATABASE` says on which the tests of this process run. Two tests run the others of
//! the store, of the journal and of goods and orders once more, on servers that they start; where
//! there is none, they say so and pass, unless `BUYNOW_TEST_SERVERS` is `required`.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::db::{Readers, open_readers, open_writer};
use super::readers::Pool;
use crate::test_support::servers::{Durability, Mariadb, Postgres, Server};

/// Names a [`Kind`] for the tests of a process.
const KIND: &str = "BUYNOW_TEST_DATABASE";

/// What the tests of this process run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    Mariadb,
}

impl Kind {
    pub fn chosen() -> Self {
        match std::env::var(KIND).as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok("mariadb") => Self::Mariadb,
            Ok(other) => panic!("{KIND}={other}: sqlite, postgres or mariadb"),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
        }
    }

    /// The URL of the server of this kind that the starter of this process named.
    fn server(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => std::env::var("BUYNOW_TEST_POSTGRES").ok(),
            Self::Mariadb => std::env::var("BUYNOW_TEST_MARIADB").ok(),
        }
    }
}

/// A database of one test, without tables; gone after it.
pub struct TestDatabase {
    pub url: String,
    /// Where to drop it.
    server: Option<(String, String)>,
    _folder: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// In memory on SQLite, which takes one connection only.
    pub async fn small() -> Self {
        match Kind::chosen() {
            Kind::Sqlite => Self { url: "sqlite::memory:".into(), server: None, _folder: None },
            kind => Self::on_server(&kind.server().unwrap()).await,
        }
    }

    /// A file on SQLite.
    pub async fn fresh() -> Self {
        match Kind::chosen() {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("shop.db").display());
                Self { url, server: None, _folder: Some(folder) }
            }
            kind => Self::on_server(&kind.server().unwrap()).await,
        }
    }

    async fn on_server(server: &str) -> Self {
        let name = format!("unit_{:016x}", rand::random::<u64>());
        let admin = sea_orm::Database::connect(server.replace("mariadb:", "mysql:"));
        let admin = admin.await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();
        let start = server.find("://").unwrap() + 3;
        let end = server[start..].find('/').map_or(server.len(), |at| start + at);
        let url = format!("{}/{name}", &server[..end]);
        Self { url, server: Some((server.to_owned(), name)), _folder: None }
    }

    /// One that somebody else drops.
    pub fn at(url: String) -> Self {
        Self { url, server: None, _folder: None }
    }

    /// With the tables.
    pub async fn migrated(self) -> Self {
        if self.url != "sqlite::memory:" {
            let db = open_writer(&self.url).await.unwrap();
            super::migrate::up(&db).await.unwrap();
            db.close().await.unwrap();
        }
        self
    }

    /// The readers of a database with tables; on SQLite in memory each call makes one.
    pub async fn readers(&self) -> Readers {
        if self.url != "sqlite::memory:" {
            return open_readers(&self.url, 4).await.unwrap();
        }
        let readers = open_readers(&self.url, 1).await.unwrap();
        super::migrate::up(readers.db()).await.unwrap();
        readers
    }

    /// A connection of its own, as another process has it.
    pub async fn stranger(&self) -> DatabaseConnection {
        open_writer(&self.url).await.unwrap()
    }
}

/// Tests of one server write through their readers, too.
impl std::ops::Deref for Pool {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        match self {
            Self::One(db) => db,
            Self::Moving(_) => panic!("a cluster has more than one pool"),
        }
    }
}

/// Readers of a database of their own.
pub struct TestReaders {
    readers: Readers,
    pub database: TestDatabase,
}

impl TestReaders {
    pub async fn small() -> Self {
        let database = TestDatabase::small().await.migrated().await;
        Self { readers: database.readers().await, database }
    }
}

impl std::ops::Deref for TestReaders {
    type Target = Readers;

    fn deref(&self) -> &Readers {
        &self.readers
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some((server, name)) = self.server.take() else { return };
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(drop_database(&server, &name));
        });
        let _result = dropping.join();
    }
}

async fn drop_database(server: &str, name: &str) {
    let admin = sea_orm::Database::connect(server.replace("mariadb:", "mysql:")).await.unwrap();
    let force = if server.starts_with("postgres") { " WITH (FORCE)" } else { "" };
    // What other connections hold on MariaDB is not waited for long.
    let drop = format!("DROP DATABASE IF EXISTS {name}{force}");
    let _left = admin.execute_unprepared(&drop).await;
}

/// What runs on every database. A test that is about SQLite itself asks for its kind.
const FILTERS: [&str; 4] = ["store::", "actors::journal::", "actors::goods::", "actors::order::"];
const STARTERS: &str = "all_of_this_on_";

fn all_of_this_on(kind: Kind, server: Option<Server>) {
    let Some(server) = server else { return };
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(FILTERS).args(["--skip", STARTERS]).env(KIND, kind.as_str());
    let output = again.env(server.variable(), server.admin_url()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "on {}:\n{said}{complained}", kind.as_str());
    // Else this would be a test that tests nothing.
    assert!(said.contains("... ok"), "{said}");
}

#[test]
fn all_of_this_on_postgresql() {
    all_of_this_on(Kind::Postgres, Postgres::start_with(Durability::None));
}

#[test]
fn all_of_this_on_mariadb() {
    all_of_this_on(Kind::Mariadb, Mariadb::start_with(Durability::None));
}
