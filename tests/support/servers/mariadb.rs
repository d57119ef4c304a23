//! MariaDB from its package: a server of its own in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::{self, RunAs};
use super::{Durability, Recipe, Server, absent, programs};

/// Names a server that exists.
pub(super) const VARIABLE: &str = "BUYNOW_TEST_MARIADB";
/// Connections that all tests of a binary together may have; each shop takes a handful.
const CONNECTIONS_MAX: u16 = 300;
/// For files that will be thrown away: no system call that waits for the disk.
const WITHOUT_SYNC: [&str; 2] = ["--debug-no-sync", "--innodb-flush-method=nosync"];
const LARGE: &[&str] = &["--innodb-buffer-pool-size=512M", "--innodb-log-file-size=512M"];
const LOG_SIZE: &str = "--innodb-log-file-size=32M";

/// Starts MariaDB servers.
pub struct Mariadb;

impl Mariadb {
    /// One that keeps what it commits, or the one that `BUYNOW_TEST_MARIADB` names.
    pub fn start() -> Option<Server> {
        Self::start_with(Durability::Full)
    }

    /// One that keeps what it commits, with memory and log as for a shop that is busy.
    pub fn start_large() -> Option<Server> {
        Self::start_as(Durability::Full, LARGE)
    }

    pub fn start_with(durability: Durability) -> Option<Server> {
        Self::start_as(durability, &["--innodb-buffer-pool-size=64M", LOG_SIZE])
    }

    fn start_as(durability: Durability, memory: &'static [&'static str]) -> Option<Server> {
        if let Some(existing) = Server::existing(VARIABLE) {
            return Some(existing);
        }
        let names = ["mariadb-install-db", "mariadbd"];
        let Some((run_as, [install, mariadbd])) = programs("mysql", names, &places()) else {
            absent("MariaDB", "mariadb-server");
            return None;
        };
        let folder = run_as.folder();
        let files = folder.path().join("data");
        init(run_as, &install, &files);
        let recipe = MariadbRecipe { run_as, mariadbd, files, durability, memory };
        Some(Server::start(VARIABLE, folder, recipe))
    }
}

/// Where its programs may be, beside PATH.
pub(super) fn places() -> Vec<PathBuf> {
    ["/usr/sbin", "/usr/libexec"].map(PathBuf::from).to_vec()
}

/// Makes the files of an empty server.
pub(super) fn init(run_as: RunAs, install: &Path, files: &Path) {
    let mut make = run_as.command(install, files.parent().unwrap());
    make.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    make.args(WITHOUT_SYNC).arg(LOG_SIZE).arg(format!("--datadir={}", files.display()));
    daemon::run(&mut make);
}

struct MariadbRecipe {
    run_as: RunAs,
    mariadbd: PathBuf,
    files: PathBuf,
    durability: Durability,
    memory: &'static [&'static str],
}

impl Recipe for MariadbRecipe {
    fn url(&self, port: u16) -> String {
        format!("mysql://root@127.0.0.1:{port}/mysql")
    }

    fn serve(&self, port: u16) -> Command {
        let mut command = self.run_as.command(&self.mariadbd, &self.files);
        command.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
        command.args([
            &format!("--datadir={}", self.files.display()),
            // From the folder with the files: a longer path would not fit a socket's name.
            "--socket=mariadb.sock",
            &format!("--port={port}"),
            &format!("--max-connections={CONNECTIONS_MAX}"),
            "--performance-schema=OFF",
        ]);
        command.args(self.memory);
        if self.durability == Durability::None {
            command.args(WITHOUT_SYNC);
            command.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"]);
        }
        command
    }

    fn ready(&self) -> &'static str {
        "ready for connections"
    }

    fn stop_signal(&self) -> &'static str {
        "TERM"
    }
}
