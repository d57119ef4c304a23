//! Database servers for tests: throw-away ones from the packages of this machine, or one that
//! exists already.
//!
//! `Postgres::start()` and `Mariadb::start()` answer `None`, after one line that says so, where
//! there is no such server; a test then has nothing to do. With `BUYNOW_TEST_SERVERS=required`, as
//! in CI, that fails instead. `BUYNOW_TEST_POSTGRES` and `BUYNOW_TEST_MARIADB` name servers to use
//! instead (URLs of users who may create databases); those cannot be killed or frozen. Databases
//! that tests make there are called `buynow_test_...` and are not removed.

mod daemon;
mod galera;
mod mariadb;
pub mod port;
mod postgres;
mod standby;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DbErr, Statement};
use tempfile::TempDir;

use daemon::{Daemon, RunAs};
#[allow(unused_imports, reason = "few test binaries need a cluster")]
pub use galera::Galera;
pub use mariadb::Mariadb;
pub use postgres::Postgres;
#[allow(unused_imports, reason = "few test binaries need a cluster")]
pub use standby::PostgresPair;

/// What is done to make the work of a committed transaction last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production: on the disk before the answer. For tests in which something dies.
    Full,
    /// Nothing. For tests that only want a database, and many of them.
    None,
}

/// How a server of one kind is started, again and again, on the same files and port.
trait Recipe: Send + Sync {
    /// Of the database that is there from the start.
    fn url(&self, port: u16) -> String;
    /// The command that serves, in the foreground.
    fn serve(&self, port: u16) -> Command;
    /// What the server says when it takes connections.
    fn ready(&self) -> &'static str;
    /// The signal that ends it as its operator would.
    fn stop_signal(&self) -> &'static str;
}

/// A database server that belongs to this test, or one that exists.
pub struct Server {
    /// Names a server of this kind that exists.
    variable: &'static str,
    /// Of the database from which others are made.
    url: String,
    own: Option<Own>,
    databases: AtomicU32,
}

/// What belongs to us of a server that this test started.
struct Own {
    // Before the folder, so that the server ends first.
    daemon: Mutex<Option<Daemon>>,
    recipe: Box<dyn Recipe>,
    port: u16,
    _folder: TempDir,
}

/// A server that takes longer for one answer does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Another server may take a port between our look and our start.
const STARTS_MAX: usize = 5;

impl Server {
    /// The one that this variable names.
    fn existing(variable: &'static str) -> Option<Self> {
        let url = std::env::var(variable).ok().filter(|url| !url.is_empty())?;
        Some(Self { variable, url, own: None, databases: AtomicU32::new(0) })
    }

    /// Starts one on a free port.
    #[track_caller]
    fn start(variable: &'static str, folder: TempDir, recipe: impl Recipe + 'static) -> Self {
        let mut said = String::new();
        for _ in 0..STARTS_MAX {
            let port = port::free_port();
            let daemon = Daemon::spawn(recipe.serve(port), folder.path());
            match daemon.says(recipe.ready()) {
                Ok(()) => {
                    let (url, daemon) = (recipe.url(port), Mutex::new(Some(daemon)));
                    let own = Own { daemon, recipe: Box::new(recipe), port, _folder: folder };
                    let (own, databases) = (Some(own), AtomicU32::new(0));
                    return Self { variable, url, own, databases };
                }
                Err(words) => said = words,
            }
        }
        panic!("the server does not start: {said}");
    }

    /// Whether this test may kill and freeze it.
    pub fn is_ours(&self) -> bool {
        self.own.is_some()
    }

    /// The URL of a database on it.
    pub fn url(&self, database: &str) -> String {
        let (rest, query) = match self.url.split_once('?') {
            Some((rest, query)) => (rest, format!("?{query}")),
            None => (&*self.url, String::new()),
        };
        let (server, _) = rest.rsplit_once('/').unwrap();
        format!("{server}/{database}{query}")
    }

    /// Of the database that is there from the start, in which statements about others are made.
    pub fn admin_url(&self) -> &str {
        &self.url
    }

    /// The variable that makes this server be used by another process.
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// A name that no other database of this server has.
    pub fn fresh_name(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("buynow_test_{}_{number}_{:x}", std::process::id(), rand::random::<u16>())
    }

    /// Makes an empty database; the answer is its URL.
    pub async fn fresh_database(&self) -> String {
        let name = self.fresh_name();
        self.execute(&format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }

    /// Executes a statement in the database that is there from the start.
    pub async fn execute(&self, sql: &str) {
        self.tries_to_execute(sql).await.unwrap();
    }

    /// The first column of the first row, a text, as the database that is there from the start
    /// answers now; the error is why it does not.
    pub async fn ask(&self, sql: &str) -> Result<String, String> {
        let mut options = ConnectOptions::new(self.admin_url());
        options.max_connections(1).acquire_timeout(ANSWER_MAX).connect_timeout(ANSWER_MAX);
        let asking = async {
            let admin = Database::connect(options).await?;
            let question = Statement::from_string(admin.get_database_backend(), sql);
            let row = admin.query_one_raw(question).await;
            admin.close().await?;
            row?.ok_or(DbErr::RecordNotFound(sql.to_owned()))?.try_get_by_index(0)
        };
        match tokio::time::timeout(ANSWER_MAX * 2, asking).await {
            Ok(answer) => answer.map_err(|error: DbErr| error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    }

    pub async fn tries_to_execute(&self, sql: &str) -> Result<(), DbErr> {
        let admin = Database::connect(self.admin_url()).await?;
        let executed = admin.execute_unprepared(sql).await;
        admin.close().await?;
        executed.map(drop)
    }

    /// Kills all of its processes at once, as a power cut would.
    pub fn kill9(&self) {
        self.running(|daemon| daemon.take().expect("it runs").kill9());
    }

    /// Stops it as its operator would, without waiting for clients.
    pub fn stop(&self) {
        let signal = self.own().recipe.stop_signal();
        self.running(|daemon| daemon.take().expect("it runs").ends_on(signal));
    }

    /// Starts it again, on the same files and port; returns when it takes connections.
    #[track_caller]
    pub fn restart(&self) {
        let own = self.own();
        let restarted = Daemon::spawn(own.recipe.serve(own.port), own._folder.path());
        restarted.says(own.recipe.ready()).unwrap();
        self.running(|daemon| assert!(daemon.replace(restarted).is_none(), "it runs already"));
    }

    /// Stops all of its processes where they are; connections stay open and silent.
    pub fn freeze(&self) {
        self.running(|daemon| daemon.as_ref().expect("it runs").freeze());
    }

    /// Lets its processes go on.
    pub fn thaw(&self) {
        self.running(|daemon| daemon.as_ref().expect("it runs").thaw());
    }

    /// Its processes, the server's own first; empty while it is down.
    pub fn pids(&self) -> Vec<u32> {
        self.running(|daemon| daemon.as_ref().map_or_else(Vec::new, Daemon::processes))
    }

    fn own(&self) -> &Own {
        self.own.as_ref().expect("this server is not ours to stop")
    }

    fn running<T>(&self, act: impl FnOnce(&mut Option<Daemon>) -> T) -> T {
        act(&mut self.own().daemon.lock().unwrap())
    }
}

/// Says that tests of this kind have nothing to run on; where servers are required, fails.
pub fn absent(what: &str, package: &str) {
    let required = std::env::var("BUYNOW_TEST_SERVERS").is_ok_and(|servers| servers == "required");
    assert!(!required, "BUYNOW_TEST_SERVERS=required, and there is no {what} on this machine");
    super::skipped::say(&format!("no {what} on this machine (apt install {package})"));
}

/// The programs of a server's package and the user who runs them; `None` if one of them is missing.
fn programs<const N: usize>(
    user: &str,
    names: [&str; N],
    elsewhere: &[PathBuf],
) -> Option<(RunAs, [PathBuf; N])> {
    let found = names.map(|name| daemon::program(name, elsewhere));
    let all = found.iter().all(Option::is_some);
    all.then_some(())?;
    Some((RunAs::user(user)?, found.map(Option::unwrap)))
}
