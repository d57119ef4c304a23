//! MariaDB on three machines: a Galera cluster, in which every node has every commit. Here they
//! are processes of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::daemon::{self, RunAs};
use super::mariadb::{VARIABLE, init, places};
use super::{Recipe, Server, absent, programs};

const NODES: usize = 3;
const LIBRARY: &str = "/usr/lib/galera/libgalera_smm.so";
/// Longest wait for what a healthy cluster does in ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// A node that is silent for so long is put out of the cluster.
const SILENCE: &str = "evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S;\
    evs.install_timeout=PT4S;evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.5S";

/// Three nodes. Each is a [`Server`]: kill, freeze and restart it.
pub struct Galera {
    nodes: Vec<Server>,
}

impl Galera {
    /// Starts all three, one after another; `None` and one line where something is missing.
    pub async fn start() -> Option<Self> {
        let names = ["mariadb-install-db", "mariadbd", "rsync", "socat"];
        let found = programs("mysql", names, &places());
        let found = found.filter(|_| Path::new(LIBRARY).exists());
        let Some((run_as, [install, mariadbd, ..])) = found else {
            absent("MariaDB with Galera", "mariadb-server galera-4 rsync socat");
            return None;
        };
        let ports = std::array::from_fn(|_| Ports::free());
        let mut galera = Self { nodes: Vec::new() };
        for node in 0..NODES {
            let folder = run_as.folder();
            let files = folder.path().join("data");
            match node {
                0 => init(run_as, &install, &files),
                // It gets all from the others.
                _ => {
                    std::fs::create_dir(&files).unwrap();
                    run_as.own(&files);
                }
            }
            let recipe = NodeRecipe { run_as, mariadbd: mariadbd.clone(), files, ports, node };
            galera.nodes.push(Server::start(VARIABLE, folder, recipe));
            galera.is_synced(node).await;
        }
        Some(galera)
    }

    pub fn node(&self, node: usize) -> &Server {
        &self.nodes[node]
    }

    /// The URLs of a database on all nodes.
    pub fn urls(&self, database: &str) -> Vec<String> {
        self.nodes.iter().map(|node| node.url(database)).collect()
    }

    /// Starts a node again that was killed; returns when it has caught up.
    pub async fn restart(&self, node: usize) {
        self.nodes[node].restart();
        self.is_synced(node).await;
    }

    /// Waits until this node takes part in the cluster.
    pub async fn is_synced(&self, node: usize) {
        self.says(node, "wsrep_local_state_comment", "Synced").await;
        self.says(node, "wsrep_cluster_status", "Primary").await;
    }

    /// Waits until this node knows that it is one of the few.
    pub async fn has_lost_quorum(&self, node: usize) {
        self.says(node, "wsrep_cluster_status", "non-Primary").await;
    }

    /// Waits until the cluster, as this node sees it, has so many nodes.
    pub async fn has_nodes(&self, node: usize, count: usize) {
        self.says(node, "wsrep_cluster_size", &count.to_string()).await;
    }

    async fn says(&self, node: usize, variable: &str, value: &str) {
        let ask = format!(
            "SELECT variable_value FROM information_schema.global_status \
             WHERE variable_name = '{variable}'"
        );
        let since = Instant::now();
        loop {
            let said = self.nodes[node].ask(&ask).await;
            if said.as_deref() == Ok(value) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "node {node}, {variable}: {said:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a node listens on beside SQL: the group, and transfers of a part or of all.
#[derive(Debug, Clone, Copy)]
struct Ports {
    group: u16,
    part: u16,
    all: u16,
}

impl Ports {
    fn free() -> Self {
        let free = daemon::free_port;
        Self { group: free(), part: free(), all: free() }
    }
}

struct NodeRecipe {
    run_as: RunAs,
    mariadbd: PathBuf,
    files: PathBuf,
    ports: [Ports; NODES],
    node: usize,
}

impl NodeRecipe {
    fn settings(&self, port: u16) -> String {
        let Ports { group, part, all } = self.ports[self.node];
        let members = self.ports.map(|ports| format!("127.0.0.1:{}", ports.group)).join(",");
        let (files, node) = (self.files.display(), self.node);
        format!(
            "[mysqld]\ndatadir={files}\nsocket=mariadb.sock\nport={port}\nbind-address=127.0.0.1\n\
             skip-name-resolve\nperformance_schema=OFF\nmax_connections=300\n\
             binlog_format=ROW\ninnodb_autoinc_lock_mode=2\ninnodb_buffer_pool_size=64M\n\
             innodb_log_file_size=48M\ninnodb_flush_log_at_trx_commit=1\n\
             wsrep_on=ON\nwsrep_provider={LIBRARY}\nwsrep_cluster_name=buynow_test_{members_hash}\n\
             wsrep_cluster_address=gcomm://{members}\nwsrep_node_name=node{node}\n\
             wsrep_node_address=127.0.0.1:{group}\nwsrep_node_incoming_address=127.0.0.1:{port}\n\
             wsrep_sst_method=rsync\nwsrep_sst_receive_address=127.0.0.1:{all}\n\
             wsrep_slave_threads=2\n\
             wsrep_provider_options=\"gmcast.listen_addr=tcp://127.0.0.1:{group};\
             ist.recv_addr=127.0.0.1:{part};gcache.size=128M;pc.recovery=true;{SILENCE}\"\n",
            members_hash = self.ports[0].group,
        )
    }

    /// How far the files of a node that was killed have come. Started without that, it may look
    /// healthy and miss what it had acknowledged.
    fn position(&self, settings: &Path) -> String {
        let mut recover = self.run_as.command(&self.mariadbd, &self.files);
        recover.arg(format!("--defaults-file={}", settings.display())).arg("--wsrep-recover");
        let output = recover.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let position = said.lines().find_map(|line| line.split_once("Recovered position: "));
        position.unwrap_or_else(|| panic!("no position:\n{said}")).1.trim().to_owned()
    }
}

impl Recipe for NodeRecipe {
    fn url(&self, port: u16) -> String {
        format!("mysql://root@127.0.0.1:{port}/mysql")
    }

    fn serve(&self, port: u16) -> Command {
        let settings = self.files.with_extension("cnf");
        let again = self.files.join("grastate.dat").exists();
        std::fs::write(&settings, self.settings(port)).unwrap();
        let mut command = self.run_as.command(&self.mariadbd, &self.files);
        command.arg(format!("--defaults-file={}", settings.display()));
        if again {
            command.arg(format!("--wsrep-start-position={}", self.position(&settings)));
        } else if self.node == 0 {
            command.arg("--wsrep-new-cluster");
        }
        command
    }

    fn ready(&self) -> &'static str {
        "Synchronized with group, ready for connections"
    }

    fn stop_signal(&self) -> &'static str {
        "TERM"
    }
}
