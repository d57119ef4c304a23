//! A server to be measured: the built binary, or this benchmark serving one order at a time.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use buynow::app::{App, Options};
use buynow::clock::Clock;
use buynow::config::Config;
use buynow::store::audit::audit;
use buynow::store::db::open_readers;
use secrecy::SecretString;

use super::database::{Database, Place};
use super::one_by_one::OneByOne;

/// How orders are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Journal,
    OneByOne,
}

/// A running server of its own process.
pub struct Server {
    pub kind: Kind,
    /// Host and port.
    pub address: String,
    /// From the start of the process to its first word that it is ready.
    pub ready_after: Duration,
    place: Place,
    process: Process,
}

/// Ends with whoever holds it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Batches so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Commits {
    pub count: f64,
    pub members: f64,
    pub seconds: f64,
}

impl Commits {
    pub fn since(self, before: Self) -> Self {
        Self {
            count: self.count - before.count,
            members: self.members - before.members,
            seconds: self.seconds - before.seconds,
        }
    }
    /// Members of a batch on average.
    pub fn batch(self) -> f64 {
        if self.count > 0.0 { self.members / self.count } else { 0.0 }
    }
    /// From the first statement of a batch to the answer of its COMMIT, on average.
    pub fn millis(self) -> f64 {
        if self.count > 0.0 { 1000.0 * self.seconds / self.count } else { 0.0 }
    }
}

impl Server {
    /// Starts a server on a place and waits until it is ready.
    pub async fn start(kind: Kind, place: Place) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let started = Instant::now();
        let process = Process(launch(kind, &place, port));
        wait_until_ready(&address, started).await;
        Self { kind, address, ready_after: started.elapsed(), place, process }
    }

    /// Ends the server; its database stays.
    pub fn stop(self) -> Place {
        drop(self.process);
        self.place
    }

    pub async fn commits(&self) -> Commits {
        let text = get(&self.address, "/metrics").await;
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().next_back()?.parse::<f64>().ok()
        };
        Commits {
            count: value("buynow_commit_seconds_count").unwrap_or_default(),
            members: value("buynow_batch_members_sum").unwrap_or_default(),
            seconds: value("buynow_commit_seconds_sum").unwrap_or_default(),
        }
    }

    /// Processor time that the process has used, in seconds.
    pub fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.0.id()));
        let stat = stat.unwrap_or_default();
        // After the name, which may have spaces: user and system time are the 12th and 13th.
        let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
        let ticks = rest.split_whitespace().skip(11).take(2);
        ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
    }

    /// Resident memory, in MiB.
    pub fn memory_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or_default() / 1024.0
    }

    /// Breaches of the invariants.
    pub async fn breaches(&self) -> usize {
        let readers = open_readers(&self.place.url, 1).await.unwrap();
        let report = audit(&readers, Clock::system().now()).await.unwrap();
        for breach in &report.breaches {
            eprintln!("  {breach}");
        }
        readers.close().await.unwrap();
        report.breaches.len()
    }
}

/// What Linux counts processor time in, on all machines of today.
const TICKS_PER_SECOND: f64 = 100.0;

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn launch(kind: Kind, place: &Place, port: u16) -> Child {
    let port = port.to_string();
    let mut command = match kind {
        Kind::Journal => {
            // Another build of it, to see what a change has done.
            let built = || env!("CARGO_BIN_EXE_buynow").to_owned();
            let mut command = Command::new(std::env::var("BUYNOW").unwrap_or_else(|_| built()));
            command.args(["serve", "--port", &port]);
            command.env("BUYNOW__SERVER__BUYER_REQUESTS_PER_SECOND", "0");
            command.env("BUYNOW__SERVER__ADDRESS_REQUESTS_PER_SECOND", "0");
            command.env("BUYNOW__ENGINE__ORDER_EXPIRE_SECONDS", "86400");
            command.env("BUYNOW__LOG__LEVEL", "warn");
            command
        }
        Kind::OneByOne => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--serve-one-by-one", &port]);
            command
        }
    };
    command.env("BUYNOW__DATABASE__URL", &place.url);
    command.current_dir(place.folder()).stdout(Stdio::null()).spawn().unwrap()
}

/// The same application with the same settings, but for who writes the orders.
pub fn serve_one_by_one(port: &str) {
    let database = std::env::var("BUYNOW__DATABASE__URL").unwrap();
    let connections = Database::of(&database).writers();
    actix_rt::System::new().block_on(async move {
        let mut config = Config::default();
        config.database.url = SecretString::from(database.clone());
        config.server.buyer_requests_per_second = 0;
        config.server.address_requests_per_second = 0;
        config.engine.order_expire_seconds = 86_400;
        config.log.level = "warn".to_owned();
        buynow::telemetry::init(&config.log);
        let options = Options {
            port: Some(port.parse().unwrap()),
            placer: Some(Arc::new(OneByOne::new(database, connections))),
            ..Options::default()
        };
        let app = App::start(config, options).await.unwrap();
        app.run_until(std::future::pending()).await.unwrap();
    });
}

async fn wait_until_ready(address: &str, started: Instant) {
    while started.elapsed() < Duration::from_secs(120) {
        if let Ok(answer) = awc::Client::default().get(url(address, "/readyz")).send().await
            && answer.status().is_success()
        {
            return;
        }
        actix_rt::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the server did not become ready");
}

async fn get(address: &str, path: &str) -> String {
    let mut answer = awc::Client::default().get(url(address, path)).send().await.unwrap();
    String::from_utf8(answer.body().limit(1 << 20).await.unwrap().to_vec()).unwrap()
}

fn url(address: &str, path: &str) -> String {
    format!("http://{address}{path}")
}
