//! A server to be measured: the built binary, or this benchmark serving one order at a time.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use buynow::app::{App, Options};
use buynow::clock::Clock;
use buynow::config::Config;
use buynow::domain::id::WxappId;
use buynow::store::audit::audit;
use buynow::store::db::open_readers;
use buynow::store::seed::{SeedFile, seed_url};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::one_by_one::OneByOne;

/// How orders are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Journal,
    OneByOne,
}

/// Somebody who is logged in and has an address.
#[derive(Clone)]
pub struct Buyer {
    pub token: String,
    pub address: i64,
}

/// A running server of its own process, with goods and buyers.
pub struct Server {
    pub kind: Kind,
    pub address: String,
    pub hot_sku: i64,
    pub sold_out_sku: i64,
    pub buyers: Vec<Buyer>,
    process: Child,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn url(folder: &std::path::Path) -> String {
    format!("sqlite://{}", folder.join("bench.db").display())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    pub async fn start(kind: Kind) -> Self {
        // Below target/, which is on a disk; /tmp may be memory.
        let below = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = tempfile::tempdir_in(below).unwrap();
        let port = free_port();
        let process = launch(kind, folder.path(), port);
        let address = format!("127.0.0.1:{port}");
        wait_until_ready(&address).await;
        let [hot_sku, sold_out_sku] = seed(folder.path()).await;
        let mut buyers = Vec::new();
        for _ in 0..super::CONNECTIONS {
            buyers.push(buyer(folder.path(), &address).await);
        }
        Self { kind, address, hot_sku, sold_out_sku, buyers, process, folder }
    }

    /// Members of a batch so far, on average.
    pub async fn mean_batch(&self) -> f64 {
        let text = get(&self.address, "/metrics").await;
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().next_back()?.parse::<f64>().ok()
        };
        let sum = value("buynow_batch_members_sum").unwrap_or(0.0);
        sum / value("buynow_batch_members_count").unwrap_or(1.0)
    }

    /// Orders, and breaches of the invariants.
    pub async fn audit(&self) -> (i64, usize) {
        let readers = open_readers(&url(self.folder.path()), 1).await.unwrap();
        let report = audit(&readers, Clock::system().now()).await.unwrap();
        for breach in &report.breaches {
            println!("  {breach}");
        }
        (report.orders, report.breaches.len())
    }
}

fn launch(kind: Kind, folder: &std::path::Path, port: u16) -> Child {
    let port = port.to_string();
    let mut command = match kind {
        Kind::Journal => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_buynow"));
            command.args(["serve", "--port", &port]);
            command.env("BUYNOW__DATABASE__URL", url(folder));
            command.env("BUYNOW__SERVER__BUYER_REQUESTS_PER_SECOND", "0");
            command.env("BUYNOW__SERVER__ADDRESS_REQUESTS_PER_SECOND", "0");
            command.env("BUYNOW__LOG__LEVEL", "warn");
            command
        }
        Kind::OneByOne => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--serve-one-by-one", &port]).arg(folder);
            command
        }
    };
    command.current_dir(folder).stdout(Stdio::null()).spawn().unwrap()
}

/// The same application with the same settings, but for who writes the orders.
pub fn serve_one_by_one(port: &str, folder: &str) {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let database = url(std::path::Path::new(folder));
    actix_rt::System::new().block_on(async move {
        let mut config = Config::default();
        config.database.url = SecretString::from(database.clone());
        config.server.buyer_requests_per_second = 0;
        config.server.address_requests_per_second = 0;
        config.log.level = "warn".to_owned();
        buynow::telemetry::init(&config.log);
        let options = Options {
            port: Some(port.parse().unwrap()),
            placer: Some(Arc::new(OneByOne::new(database))),
            ..Options::default()
        };
        let app = App::start(config, options).await.unwrap();
        app.run_until(std::future::pending()).await.unwrap();
    });
}

async fn wait_until_ready(address: &str) {
    for _ in 0..200 {
        let client = awc::Client::default();
        if let Ok(answer) = client.get(format!("http://{address}/readyz")).send().await
            && answer.status().is_success()
        {
            return;
        }
        actix_rt::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server did not become ready");
}

async fn get(address: &str, path: &str) -> String {
    let mut answer =
        awc::Client::default().get(format!("http://{address}{path}")).send().await.unwrap();
    String::from_utf8(answer.body().limit(1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn seed(folder: &std::path::Path) -> [i64; 2] {
    let goods = |code: &str, stock: i64| {
        json!({"name": code, "code": code,
               "skus": [{"code": code, "attr": "罐装", "price_fen": 9900, "stock": stock}]})
    };
    let file = json!({ "goods": [goods("hot", 50_000_000), goods("gone", 0)] });
    let file = SeedFile::parse(file.to_string().as_bytes()).unwrap();
    let wxapp = WxappId::parse(10_001).unwrap();
    let seeded = seed_url(&url(folder), wxapp, &file, Clock::system().now()).await.unwrap();
    let seeded = serde_json::to_value(&seeded).unwrap();
    let sku = |n: usize| seeded["goods"][n]["skus"][0]["id"].as_i64().unwrap();
    [sku(0), sku(1)]
}

/// A session made in the database, because the simulated WeChat of another process is out of reach;
/// the address then comes through the API.
async fn buyer(folder: &std::path::Path, address: &str) -> Buyer {
    let token = format!("{:032x}", rand::random::<u128>());
    super::one_by_one::log_in(&url(folder), &token).await;
    let body = json!({
        "name": "小明", "phone": "13800138000", "province": "广东省", "city": "深圳市",
        "district": "南山区", "detail": "科技园 1 号",
    });
    let client = awc::Client::default();
    let mut answer = client
        .post(format!("http://{address}/api/v1/addresses"))
        .bearer_auth(&token)
        .send_json(&body)
        .await
        .unwrap();
    let made: Value = answer.json().await.unwrap();
    Buyer { token, address: made["id"].as_i64().unwrap_or_else(|| panic!("{made}")) }
}
