//! PostgreSQL on two machines: a primary, and a standby that has every commit before it is
//! acknowledged. Here both are processes of this machine.

use std::time::{Duration, Instant};

use super::daemon::{self, RunAs};
use super::postgres::{PostgresRecipe, VARIABLE, places};
use super::{Durability, Server, absent, programs};

/// Without these a fail-over takes seconds; the rest is PostgreSQL's default.
const SETTINGS: &[&str] = &["wal_keep_size=256MB", "wal_retrieve_retry_interval=100ms"];
/// By which the primary knows the other one.
const STANDBY: &str = "standby";
/// Longest wait for replication to run.
const PATIENCE: Duration = Duration::from_secs(60);

/// A primary and its synchronous standby. Both are [`Server`]s: kill, freeze and restart them.
pub struct PostgresPair {
    /// The primary first.
    nodes: [Server; 2],
    tools: Tools,
}

#[derive(Clone)]
struct Tools {
    run_as: RunAs,
    /// initdb, postgres, pg_basebackup
    programs: [std::path::PathBuf; 3],
}

impl PostgresPair {
    /// Starts both; every commit on the primary waits for the standby. `None` and one line where
    /// there is no PostgreSQL.
    pub async fn start() -> Option<Self> {
        let names = ["initdb", "postgres", "pg_basebackup"];
        let Some((run_as, programs)) = programs("postgres", names, &places()) else {
            absent("PostgreSQL", "postgresql");
            return None;
        };
        let tools = Tools { run_as, programs };
        let folder = run_as.folder();
        let recipe = tools.recipe(&folder);
        recipe.init(&tools.programs[0], folder.path());
        let primary = Server::start(VARIABLE, folder, recipe);
        let standby = tools.standby_of(&primary);
        be_synchronous(&primary).await;
        Some(Self { nodes: [primary, standby], tools })
    }

    pub fn primary(&self) -> &Server {
        &self.nodes[0]
    }

    pub fn standby(&self) -> &Server {
        &self.nodes[1]
    }

    /// The URLs of a database on both, the primary's first.
    pub fn urls(&self, database: &str) -> [String; 2] {
        [self.nodes[0].url(database), self.nodes[1].url(database)]
    }

    /// Makes the standby the primary, whatever has become of that one; they change places. The new
    /// one acknowledges alone until the other has rejoined.
    pub async fn promote(&mut self) {
        self.standby().execute("SELECT pg_promote(true, 60)").await;
        self.nodes.swap(0, 1);
    }

    /// Makes the former primary, which must be down or frozen, a synchronous standby again, on
    /// fresh files.
    pub async fn rejoin(&mut self) {
        self.nodes[1] = self.tools.standby_of(&self.nodes[0]);
        be_synchronous(&self.nodes[0]).await;
    }
}

impl Tools {
    fn recipe(&self, folder: &tempfile::TempDir) -> PostgresRecipe {
        let (files, durability) = (folder.path().join("data"), Durability::Full);
        let postgres = self.programs[1].clone();
        PostgresRecipe { run_as: self.run_as, postgres, files, durability, further: SETTINGS }
    }

    /// Copies the primary and starts the copy.
    fn standby_of(&self, primary: &Server) -> Server {
        let folder = self.run_as.folder();
        let recipe = self.recipe(&folder);
        let of = format!("{}?application_name={STANDBY}", primary.admin_url());
        let mut copy = self.run_as.command(&self.programs[2], folder.path());
        copy.args(["-d", &of, "-R", "-X", "stream", "-c", "fast", "-D"]).arg(&recipe.files);
        daemon::run(&mut copy);
        Server::start(VARIABLE, folder, recipe)
    }
}

/// From now on nothing is acknowledged that the standby does not have.
async fn be_synchronous(primary: &Server) {
    let names = format!("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({STANDBY})'");
    primary.execute(&names).await;
    primary.execute("SELECT pg_reload_conf()").await;
    let ask = "SELECT coalesce(max(state || ' ' || sync_state), '') FROM pg_stat_replication";
    let since = Instant::now();
    loop {
        let state = primary.ask(ask).await.unwrap();
        if state == "streaming quorum" {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "replication: {state}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
