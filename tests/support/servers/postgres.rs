//! PostgreSQL from its package: a cluster of its own in a temporary folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::{self, RunAs};
use super::{Durability, Recipe, Server, absent, programs};

/// Names a server that exists.
pub(super) const VARIABLE: &str = "BUYNOW_TEST_POSTGRES";
/// Connections that all tests of a binary together may have; each shop takes a handful.
const CONNECTIONS_MAX: u16 = 300;

const LARGE: &[&str] = &["shared_buffers=512MB", "max_wal_size=4GB"];

/// Starts PostgreSQL servers.
pub struct Postgres;

impl Postgres {
    /// One that keeps what it commits, or the one that `BUYNOW_TEST_POSTGRES` names.
    pub fn start() -> Option<Server> {
        Self::start_with(Durability::Full)
    }

    /// One that keeps what it commits, with memory and log as for a shop that is busy.
    pub fn start_large() -> Option<Server> {
        Self::start_as(Durability::Full, LARGE)
    }

    pub fn start_with(durability: Durability) -> Option<Server> {
        Self::start_as(durability, &[])
    }

    fn start_as(durability: Durability, further: &'static [&'static str]) -> Option<Server> {
        if let Some(existing) = Server::existing(VARIABLE) {
            return Some(existing);
        }
        let Some((run_as, [initdb, postgres])) =
            programs("postgres", ["initdb", "postgres"], &places())
        else {
            absent("PostgreSQL", "postgresql");
            return None;
        };
        let folder = run_as.folder();
        let files = folder.path().join("data");
        let recipe = PostgresRecipe { run_as, postgres, files, durability, further };
        recipe.init(&initdb, folder.path());
        Some(Server::start(VARIABLE, folder, recipe))
    }
}

/// Where Debian keeps the programs of a server; the newest first.
pub(super) fn places() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let versions = versions.filter_map(|version| version.ok()?.file_name().into_string().ok());
    let mut versions: Vec<u32> = versions.filter_map(|version| version.parse().ok()).collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    let folder = |version: u32| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    versions.into_iter().map(folder).collect()
}

pub(super) struct PostgresRecipe {
    pub run_as: RunAs,
    pub postgres: PathBuf,
    pub files: PathBuf,
    pub durability: Durability,
    pub further: &'static [&'static str],
}

impl PostgresRecipe {
    /// Makes the files of an empty server.
    pub fn init(&self, initdb: &Path, folder: &Path) {
        let mut init = self.run_as.command(initdb, folder);
        init.args(["-U", "buynow", "-A", "trust", "-E", "UTF8", "--no-locale", "-N", "-D"]);
        daemon::run(init.arg(&self.files));
    }
}

impl Recipe for PostgresRecipe {
    fn url(&self, port: u16) -> String {
        format!("postgres://buynow@127.0.0.1:{port}/postgres")
    }

    fn serve(&self, port: u16) -> Command {
        let mut command = self.run_as.command(&self.postgres, &self.files);
        command.arg("-D").arg(&self.files).args(["-p", &port.to_string(), "-k", ""]);
        let connections = format!("max_connections={CONNECTIONS_MAX}");
        let mut settings = vec!["listen_addresses=127.0.0.1", &connections, "shared_buffers=64MB"];
        if self.durability == Durability::None {
            settings.extend(["fsync=off", "full_page_writes=off", "synchronous_commit=off"]);
            settings.push("autovacuum=off");
        }
        settings.extend(self.further);
        for setting in settings {
            command.args(["-c", setting]);
        }
        command
    }

    fn ready(&self) -> &'static str {
        match self.files.join("standby.signal").exists() {
            true => "ready to accept read-only connections",
            false => "ready to accept connections",
        }
    }

    fn stop_signal(&self) -> &'static str {
        "INT"
    }
}
