//! Where a test's shop keeps its data: a file of its own, or a database of its own on a server.
//!
//! `BUYNOW_TEST_DATABASE` says which: `sqlite` (or nothing), `postgres` or `mariadb`. Databases on
//! a server are copies of one that is migrated once for each test binary.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use buynow::store::db::open_writer;
use buynow::store::migrate;
use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::servers::{Durability, Mariadb, Postgres, Server};
use super::skipped::say;

/// The databases on which the tests of this project run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    Mariadb,
}

/// Names a [`Kind`] for the tests of a process.
pub const KIND: &str = "BUYNOW_TEST_DATABASE";

impl Kind {
    /// The one that the tests of this process run on.
    pub fn chosen() -> Self {
        match std::env::var(KIND).as_deref() {
            Err(_) | Ok("" | "sqlite") => Self::Sqlite,
            Ok("postgres") => Self::Postgres,
            Ok("mariadb") => Self::Mariadb,
            Ok(other) => panic!("{KIND}={other}: sqlite, postgres or mariadb"),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
        }
    }

    /// Starts a server of this kind that forgets everything in a power cut; or finds one.
    pub fn server(self) -> Option<Server> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Postgres::start_with(Durability::None),
            Self::Mariadb => Mariadb::start_with(Durability::None),
        }
    }
}

/// For a test about something that only SQLite has; elsewhere it says so and has nothing to do:
/// `if skipped_but_on_sqlite("the file is locked") { return; }`
pub fn skipped_but_on_sqlite(what: &str) -> bool {
    let kind = Kind::chosen();
    if kind != Kind::Sqlite {
        say(&format!("not on {}: {what}", kind.as_str()));
    }
    kind != Kind::Sqlite
}

/// The server of this process; its guard ends it when the process does.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let kind = Kind::chosen();
        kind.server().unwrap_or_else(|| panic!("{KIND}={} needs such a server", kind.as_str()))
    })
}

/// The name of a database with all tables and no shop.
async fn template() -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let make = async || {
        let name = server().fresh_name();
        server().execute(&format!("CREATE DATABASE {name}")).await;
        let writer = open_writer(&server().url(&name)).await.unwrap();
        migrate::up(&writer).await.unwrap();
        writer.close().await.unwrap();
        name
    };
    TEMPLATE.get_or_init(make).await
}

/// What is left of a shop when it is down, and what another one can be started on.
pub struct Storage {
    folder: TempDir,
    /// The name of the database on a server.
    name: Option<String>,
    /// Whether it is on its server.
    made: OnceCell<()>,
}

impl Storage {
    pub fn new() -> Arc<Self> {
        let name = (Kind::chosen() != Kind::Sqlite).then(|| server().fresh_name());
        let folder = tempfile::tempdir().unwrap();
        Arc::new(Self { folder, name, made: OnceCell::new() })
    }

    /// The file of the database; tests of files only.
    pub fn file(&self) -> PathBuf {
        assert_eq!(self.name, None, "no file of ours");
        self.folder.path().join("shop.db")
    }

    /// For what stands beside the database.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        match &self.name {
            Some(name) => server().url(name),
            None => format!("sqlite://{}", self.file().display()),
        }
    }

    /// Makes the database on its server, with all tables, unless it is there.
    pub async fn make(&self) {
        let Some(name) = &self.name else { return };
        self.made.get_or_init(async || copy(template().await, name).await).await;
    }

    /// Makes the database on its server, with nothing in it, unless it is there.
    pub async fn make_empty(&self) {
        let Some(name) = &self.name else { return };
        let make = format!("CREATE DATABASE {name}");
        self.made.get_or_init(async || server().execute(&make).await).await;
    }

    /// The same, for those who cannot await.
    pub fn make_empty_at_once(self: &Arc<Self>) {
        let storage = self.clone();
        std::thread::spawn(move || block_on(storage.make_empty())).join().unwrap();
    }

    /// The data of a shop that is down, as a back-up would have them.
    pub async fn copy(&self) -> Arc<Self> {
        let copied = Self::new();
        match (&self.name, &copied.name) {
            (Some(from), Some(to)) => {
                copied.made.get_or_init(async || copy(from, to).await).await;
            }
            _ => copy_files(self.folder(), copied.folder()),
        }
        copied
    }
}

impl Drop for Storage {
    /// A hundred databases that nobody needs are a gigabyte.
    fn drop(&mut self) {
        if let Some(name) = self.name.take().filter(|_| self.made.initialized()) {
            // On a thread of its own, as another runtime may be at work on this one.
            drop(std::thread::spawn(move || remove(&name)).join());
        }
    }
}

/// Without waiting for connections that a crash left behind; the server may be gone as well.
fn remove(name: &str) {
    let sql = match Kind::chosen() {
        Kind::Postgres => format!("DROP DATABASE {name} WITH (FORCE)"),
        _ => format!("SET STATEMENT lock_wait_timeout = 1 FOR DROP DATABASE {name}"),
    };
    drop(block_on(server().tries_to_execute(&sql)));
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().contains(".db") {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

async fn copy(from: &str, to: &str) {
    if Kind::chosen() == Kind::Postgres {
        // With nothing to make last, files are copied faster than they are logged.
        let make = format!("CREATE DATABASE {to} TEMPLATE {from} STRATEGY file_copy");
        return server().execute(&make).await;
    }
    let admin = Database::connect(server().admin_url()).await.unwrap();
    let tables = format!(
        "SELECT table_name AS name FROM information_schema.tables \
         WHERE table_schema = '{from}'"
    );
    let tables = admin.query_all_raw(Statement::from_string(DbBackend::MySql, tables)).await;
    let mut all = format!("CREATE DATABASE {to};");
    for table in tables.unwrap() {
        let name: String = table.try_get("", "name").unwrap();
        all += &format!("CREATE TABLE {to}.`{name}` LIKE {from}.`{name}`;");
        all += &format!("INSERT INTO {to}.`{name}` SELECT * FROM {from}.`{name}`;");
    }
    admin.execute_unprepared(&all).await.unwrap();
    admin.close().await.unwrap();
}
