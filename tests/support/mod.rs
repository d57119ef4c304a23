//! The whole shop in this process, on a free port, with a file of its own, the simulated WeChat and a
//! clock that only tests move. It goes through the public API; what it looks at in the database it
//! looks at through `audit`.

#![allow(clippy::unwrap_used, dead_code)]

pub mod gate;
pub mod process;
mod shopper;

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use buynow::actors::directory::Directory;
use buynow::actors::journal::{CommitProbe, JournalHandle, NoProbe};
use buynow::actors::notifier::{NotifierActor, RunNotifier};
use buynow::actors::reaper::{Reaped, ReaperActor, RunReaper};
use buynow::app::{App, Options};
use buynow::clock::{Clock, Timestamp};
use buynow::config::Config;
use buynow::domain::id::WxappId;
use buynow::sandbox::SandboxHandle;
use buynow::store::Readers;
use buynow::store::audit::{AuditReport, audit};
use buynow::store::seed::{SeedFile, seed_url};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub use shopper::{Reply, Shopper};

/// 2026-11-25 18:00 in Beijing.
pub const START: Timestamp = Timestamp::from_seconds(1_795_600_800);

/// A running shop.
pub struct TestApp {
    pub url: String,
    pub clock: Clock,
    pub sandbox: SandboxHandle,
    pub readers: Readers,
    pub directory: Directory,
    pub journal: JournalHandle,
    reaper: actix::Addr<ReaperActor>,
    notifier: actix::Addr<NotifierActor>,
    server: ServerHandle,
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<actix_rt::task::JoinHandle<()>>,
    database_url: String,
    /// As it was started; for another start.
    config: Config,
    _folder: Arc<tempfile::TempDir>,
}

/// How a [`TestApp`] differs from the usual one.
pub struct TestAppBuilder {
    config: Config,
    clock: Clock,
    probe: Arc<dyn CommitProbe>,
    folder: Arc<tempfile::TempDir>,
    /// None: the shop starts its own.
    wechat: Option<SandboxHandle>,
}

impl TestAppBuilder {
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }
    pub fn probe(mut self, probe: Arc<dyn CommitProbe>) -> Self {
        self.probe = probe;
        self
    }
    /// With a WeChat that goes on when the shop ends, and a port that stays.
    pub fn with_wechat_apart(mut self) -> Self {
        let wechat = process::wechat(self.clock.clone());
        self.config.server.port = process::free_port();
        self.config.server.bind = Some([127, 0, 0, 1].into());
        self.config.wechat.mode = buynow::config::Mode::Live;
        self.config.wechat.api_base = Some(wechat.url().to_owned());
        self.config.wechat.pay_base = Some(wechat.url().to_owned());
        self.config.wxapp = self.config.wxapp.or_sandbox();
        self.wechat = Some(wechat);
        self
    }
    /// On the same files as another one, which has been stopped.
    pub fn on(mut self, folder: Arc<tempfile::TempDir>, clock: Clock) -> Self {
        self.config.database.url = url_in(&folder);
        self.folder = folder;
        self.clock = clock;
        self
    }
    pub async fn start(self) -> TestApp {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let url = secrecy::ExposeSecret::expose_secret(&self.config.database.url).to_owned();
        let options = Options {
            clock: self.clock.clone(),
            port: if self.wechat.is_some() { None } else { Some(0) },
            sandbox_public: false,
            ticking: false,
            probe: self.probe,
            placer: None,
        };
        let app = App::start(self.config.clone(), options).await.unwrap();
        let (stop, stopping) = oneshot::channel::<()>();
        TestApp {
            url: app.url().to_owned(),
            clock: self.clock,
            sandbox: self.wechat.or(app.sandbox.clone()).unwrap(),
            readers: app.readers.clone(),
            directory: app.engine.directory.clone(),
            journal: app.engine.journal.clone(),
            reaper: app.engine.reaper.clone(),
            notifier: app.engine.notifier.clone(),
            server: app.server(),
            stop: Some(stop),
            stopped: Some(actix_rt::spawn(async move {
                app.run_until(async move { drop(stopping.await) }).await.unwrap();
            })),
            database_url: url,
            config: self.config,
            _folder: self.folder,
        }
    }
}

fn url_in(folder: &tempfile::TempDir) -> SecretString {
    SecretString::from(format!("sqlite://{}", folder.path().join("shop.db").display()))
}

impl TestApp {
    pub fn builder() -> TestAppBuilder {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut config = Config::default();
        config.database.url = url_in(&folder);
        config.server.workers = 2;
        config.server.shutdown_seconds = 5;
        config.server.buyer_requests_per_second = 0;
        config.server.address_requests_per_second = 0;
        let (clock, probe) = (Clock::manual(START), Arc::new(NoProbe));
        TestAppBuilder { config, clock, probe, folder, wechat: None }
    }

    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn folder(&self) -> Arc<tempfile::TempDir> {
        self._folder.clone()
    }

    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Stops as SIGTERM does, and waits for the end.
    pub async fn stop(mut self) -> Arc<tempfile::TempDir> {
        let _running = self.stop.take().unwrap().send(());
        self.stopped.take().unwrap().await.unwrap();
        self._folder.clone()
    }

    /// Ends in the middle of whatever it does; what is left can be started again. For a shop with
    /// WeChat apart.
    pub async fn crashes(mut self) -> TestAppBuilder {
        let running = self.stopped.take().unwrap();
        running.abort();
        self.server.stop(false).await;
        drop(running.await);
        TestAppBuilder {
            config: self.config.clone(),
            clock: self.clock.clone(),
            probe: Arc::new(NoProbe),
            folder: self._folder.clone(),
            wechat: Some(self.sandbox.clone()),
        }
    }

    pub async fn crashes_and_restarts(self) -> Self {
        self.crashes().await.start().await
    }

    /// Goods with one SKU, deducted when the order is placed.
    pub async fn a_sku(&self, price_fen: i64, stock: i64) -> i64 {
        self.a_sku_of("order", price_fen, stock).await
    }

    /// Goods with one SKU; `deduct_stock` is `order` or `payment`.
    pub async fn a_sku_of(&self, deduct_stock: &str, price_fen: i64, stock: i64) -> i64 {
        let code = format!("sku-{}", rand::random::<u32>());
        let goods = json!({
            "name": "高山茶", "code": code, "deduct_stock": deduct_stock,
            "skus": [{"code": code, "attr": "罐装", "price_fen": price_fen, "stock": stock}],
        });
        self.seed(json!({ "goods": [goods] })).await[0]
    }

    /// Loads goods as `buynow seed` does; the answer is the ids of all SKUs, in order.
    pub async fn seed(&self, file: Value) -> Vec<i64> {
        let file = SeedFile::parse(file.to_string().as_bytes()).unwrap();
        let wxapp = WxappId::parse(10_001).unwrap();
        let seeded = seed_url(&self.database_url, wxapp, &file, self.clock.now()).await.unwrap();
        let seeded = serde_json::to_value(&seeded).unwrap();
        let goods = seeded["goods"].as_array().unwrap();
        let skus = goods.iter().flat_map(|goods| goods["skus"].as_array().unwrap());
        skus.map(|sku| sku["id"].as_i64().unwrap()).collect()
    }

    /// A buyer who is logged in, has an address, and has agreed to all messages a few times.
    pub async fn shopper(&self, name: &str) -> Shopper {
        Shopper::arrive(&self.url, &self.sandbox, name).await
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub fn reaper(&self) -> actix::Addr<ReaperActor> {
        self.reaper.clone()
    }

    pub fn notifier(&self) -> actix::Addr<NotifierActor> {
        self.notifier.clone()
    }

    pub async fn run_reaper(&self) -> Reaped {
        self.reaper.send(RunReaper).await.unwrap()
    }

    pub async fn run_notifier(&self) -> usize {
        self.notifier.send(RunNotifier).await.unwrap()
    }

    /// Lets the reaper work until every refund is at its end; moves the clock.
    pub async fn finish_refunds(&self) {
        for _ in 0..20 {
            if self.run_reaper().await.refunds == 0 {
                self.advance(61);
                if self.run_reaper().await.refunds == 0 {
                    return;
                }
            }
            self.advance(61);
        }
        panic!("refunds do not come to an end");
    }

    pub async fn audit(&self) -> AuditReport {
        audit(&self.readers, self.clock.now()).await.unwrap()
    }

    #[track_caller]
    pub fn audit_is_clean(&self) -> impl Future<Output = AuditReport> {
        let place = std::panic::Location::caller();
        let report = audit(&self.readers, self.clock.now());
        let report = Box::pin(report);
        async move {
            let report = report.await.unwrap();
            assert!(report.is_clean(), "at {place}: {:#?}", report.breaches);
            report
        }
    }

    /// Pieces of a SKU that are not deducted, as buyers see them.
    pub async fn stock(&self, sku: i64) -> i64 {
        let goods = self.get("/api/v1/goods?limit=100", None).await;
        for goods in goods.body["items"].as_array().unwrap() {
            let detail = self.get(&format!("/api/v1/goods/{}", goods["id"]), None).await;
            for found in detail.body["skus"].as_array().unwrap() {
                if found["id"] == json!(sku) {
                    return found["stock"].as_i64().unwrap();
                }
            }
        }
        panic!("SKU {sku} is not in the catalogue");
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Reply {
        self.call(awc::http::Method::GET, path, token, &[], None).await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Reply {
        self.call(awc::http::Method::POST, path, token, &[], Some(body.to_string().into())).await
    }

    /// Any call at all.
    pub async fn call(
        &self,
        method: awc::http::Method,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Reply {
        shopper::call(&self.url, method, path, token, headers, body).await
    }
}
