//! Empty databases to measure on: files of SQLite, and databases of servers that this benchmark
//! starts. All of them are on the disk before a commit is answered.

use std::path::Path;
use std::sync::OnceLock;

use buynow::store::db::open_writer;
use buynow::store::migrate;
use clap::ValueEnum;
use sea_orm::{ConnectionTrait as _, DatabaseConnection};

use super::support::servers::{Mariadb, Postgres, Server};

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Database {
    Sqlite,
    Postgres,
    Mariadb,
}

impl Database {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
        }
    }

    /// Which one an URL leads to.
    pub fn of(url: &str) -> Self {
        match url.split(':').next() {
            Some("postgres" | "postgresql") => Self::Postgres,
            Some("mysql" | "mariadb") => Self::Mariadb,
            _ => Self::Sqlite,
        }
    }

    /// How many connections write one order at a time fastest; `WRITERS` tries another number.
    pub fn writers(self) -> usize {
        let tried = std::env::var("WRITERS").ok().and_then(|number| number.parse().ok());
        tried.unwrap_or(match self {
            Self::Sqlite => 1,
            Self::Postgres => 16,
            Self::Mariadb => 16,
        })
    }

    /// Floor and aim of the hot SKU against one transaction for each order.
    pub fn hot_sku_target(self) -> (f64, f64) {
        match self {
            Self::Sqlite | Self::Mariadb => (5.0, 8.0),
            Self::Postgres => (7.0, 10.0),
        }
    }

    /// Floor and aim of sold-out answers against a plain one.
    pub fn sold_out_target(self) -> (f64, f64) {
        match self {
            Self::Sqlite => (0.7, 0.9),
            Self::Postgres | Self::Mariadb => (0.4, 0.6),
        }
    }

    /// Whether there is such a database on this machine.
    pub fn is_here(self) -> bool {
        self == Self::Sqlite || self.server().is_some()
    }

    /// The server of this run; it ends with this process.
    fn server(self) -> Option<&'static Server> {
        static POSTGRES: OnceLock<Option<Server>> = OnceLock::new();
        static MARIADB: OnceLock<Option<Server>> = OnceLock::new();
        match self {
            Self::Sqlite => None,
            Self::Postgres => POSTGRES.get_or_init(Postgres::start_large).as_ref(),
            Self::Mariadb => MARIADB.get_or_init(Mariadb::start_large).as_ref(),
        }
    }

    /// What names are quoted with.
    fn quote(self) -> &'static str {
        match self {
            Self::Sqlite | Self::Postgres => "\"",
            Self::Mariadb => "`",
        }
    }
}

/// A database of its own for one shop.
pub struct Place {
    pub database: Database,
    pub url: String,
    folder: tempfile::TempDir,
}

impl Place {
    /// An empty database with the schema of today.
    pub async fn new(database: Database) -> Self {
        // Below target/, which is on a disk; /tmp may be memory.
        let below = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = tempfile::tempdir_in(below).unwrap();
        let url = match database.server() {
            Some(server) => server.fresh_database().await,
            None => format!("sqlite://{}", folder.path().join("bench.db").display()),
        };
        let place = Self { database, url, folder };
        let db = place.connect().await;
        migrate::up(&db).await.unwrap();
        db.close().await.unwrap();
        place
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn connect(&self) -> DatabaseConnection {
        open_writer(&self.url).await.unwrap()
    }

    /// Runs SQL in which only names stand in double quotes.
    pub async fn execute(&self, db: &DatabaseConnection, sql: &str) {
        let sql = sql.replace('"', self.database.quote());
        if let Err(error) = db.execute_unprepared(&sql).await {
            panic!("{error}: {sql}");
        }
    }
}
