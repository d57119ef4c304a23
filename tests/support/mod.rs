//! The whole shop in this process, on a free port, with a database of its own, the simulated
//! WeChat and a clock that only tests move. It goes through the public API; what it looks at in
//! the database it looks at through `audit`.

#![allow(clippy::unwrap_used, dead_code)]

pub mod everywhere;
pub mod gate;
pub mod process;
pub mod proxy;
pub mod servers;
mod shopper;
pub mod skipped;
pub mod storage;

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use buynow::actors::desk::{Clerk, Desk, DeskSettings};
use buynow::actors::directory::Directory;
use buynow::actors::journal::{CommitProbe, JournalHandle, NoProbe};
use buynow::actors::notifier::{NotifierActor, RunNotifier};
use buynow::actors::reaper::{Reaped, ReaperActor, RunReaper};
use buynow::app::{self, App, Options};
use buynow::clock::{Clock, Timestamp};
use buynow::config::{Config, Mode, SANDBOX_APPID};
use buynow::domain::id::{StaffId, WxappId};
use buynow::domain::money::Money;
use buynow::sandbox::SandboxHandle;
use buynow::store::Readers;
use buynow::store::audit::{AuditReport, audit};
use buynow::store::db::open_writer;
use buynow::store::seed::{SeedFile, seed_url};
use futures_util::stream::{self, StreamExt as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub use shopper::{Reply, Shopper};
pub use storage::Storage;

/// 2026-11-25 18:00 in Beijing.
pub const START: Timestamp = Timestamp::from_seconds(1_795_600_800);

/// How many buyers of a crowd arrive side by side.
const ARRIVING: usize = 64;

/// The mini-program that every server has.
pub const FIRST_SHOP: i64 = 10_001;
/// The one that [`TestAppBuilder::second_shop`] adds.
pub const SECOND_SHOP: i64 = 10_002;
pub const SECOND_APPID: &str = "wx5a11d0b0e0000002";

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
    storage: Arc<Storage>,
}

/// How a [`TestApp`] differs from the usual one.
pub struct TestAppBuilder {
    config: Config,
    wechat: Option<SandboxHandle>,
    clock: Clock,
    probe: Arc<dyn CommitProbe>,
    storage: Arc<Storage>,
    second_shop: bool,
    /// Instead of a free one.
    port: Option<u16>,
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
    /// Against a simulated WeChat that lives longer than the shop, as a live one would.
    pub fn wechat(mut self, wechat: &SandboxHandle) -> Self {
        let live = &mut self.config;
        live.wechat.mode = Mode::Live;
        live.wechat.api_base = Some(wechat.url().to_owned());
        live.wechat.pay_base = Some(wechat.url().to_owned());
        live.server.bind = Some(std::net::Ipv4Addr::LOCALHOST.into());
        live.wxapp = live.wxapp.or_sandbox();
        self.wechat = Some(wechat.clone());
        self
    }
    /// With another mini-program beside the usual one, of a merchant of its own.
    pub fn second_shop(mut self) -> Self {
        self.second_shop = true;
        self
    }
    /// With a WeChat that goes on when the shop ends, and a port that stays.
    pub fn with_wechat_apart(mut self) -> Self {
        self.config.server.port = servers::port::free_port();
        self.port = Some(self.config.server.port);
        let wechat = process::wechat(self.clock.clone());
        self = self.wechat(&wechat);
        self
    }
    /// On the same data as another one, which has been stopped.
    pub fn on(mut self, storage: Arc<Storage>, clock: Clock) -> Self {
        self.config.database.url = SecretString::from(storage.url());
        self.storage = storage;
        self.clock = clock;
        self
    }
    pub async fn start(self) -> TestApp {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let url = secrecy::ExposeSecret::expose_secret(&self.config.database.url).to_owned();
        self.storage.make().await;
        if self.second_shop {
            add_second_shop(&self.config, &self.clock).await;
        }
        let options = Options {
            clock: self.clock.clone(),
            port: Some(self.port.unwrap_or(0)),
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
            sandbox: app.sandbox.clone().or(self.wechat).unwrap(),
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
            storage: self.storage,
        }
    }
}

/// A copy of the first mini-program under names of its own.
async fn add_second_shop(config: &Config, clock: &Clock) {
    use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _, Set};
    let sealer = app::sealer(config).unwrap();
    app::open_database(config, &sealer, clock).await.unwrap().close().await.unwrap();
    let url = secrecy::ExposeSecret::expose_secret(&config.database.url);
    let database = open_writer(url).await.unwrap();
    let first = entity::wxapp::Entity::find_by_id(FIRST_SHOP).one(&database).await.unwrap();
    let mut second = first.unwrap().into_active_model().reset_all();
    second.id = Set(SECOND_SHOP);
    second.appid = Set(SECOND_APPID.to_owned());
    second.mch_id = Set("1900000002".to_owned());
    second.insert(&database).await.unwrap();
    database.close().await.unwrap();
}

impl TestApp {
    pub fn builder() -> TestAppBuilder {
        let storage = Storage::new();
        let mut config = Config::default();
        config.database.url = SecretString::from(storage.url());
        config.server.workers = 2;
        config.server.shutdown_seconds = 5;
        config.server.buyer_requests_per_second = 0;
        config.server.address_requests_per_second = 0;
        // A machine that is busy with other tests is no reason for `unavailable`.
        config.engine.commit_wait_ms = 20_000;
        TestAppBuilder {
            config,
            wechat: None,
            clock: Clock::manual(START),
            probe: Arc::new(NoProbe),
            storage,
            second_shop: false,
            port: None,
        }
    }

    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn storage(&self) -> Arc<Storage> {
        self.storage.clone()
    }

    /// As it was started.
    pub fn config(&self) -> &Config {
        &self.config
    }
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Stops as SIGTERM does, and waits for the end.
    pub async fn stop(mut self) -> Arc<Storage> {
        let _running = self.stop.take().unwrap().send(());
        self.stopped.take().unwrap().await.unwrap();
        self.storage.clone()
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
            storage: self.storage.clone(),
            wechat: Some(self.sandbox.clone()),
            second_shop: false,
            port: Some(self.config.server.port),
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

    /// Goods with one SKU of this code; loaded again it changes price and stock.
    pub async fn load(&self, code: &str, price_fen: i64, stock: i64) -> i64 {
        let sku = json!({"code": code, "price_fen": price_fen, "stock": stock});
        self.seed(json!({"goods": [{"name": "高山茶", "code": code, "skus": [sku]}]})).await[0]
    }

    /// Loads goods as `buynow seed` does; the answer is the ids of all SKUs, in order.
    pub async fn seed(&self, file: Value) -> Vec<i64> {
        self.seed_shop(FIRST_SHOP, file).await
    }

    /// The same for the mini-program with this id.
    pub async fn seed_shop(&self, wxapp: i64, file: Value) -> Vec<i64> {
        let file = SeedFile::parse(file.to_string().as_bytes()).unwrap();
        let wxapp = WxappId::parse(wxapp).unwrap();
        let seeded = seed_url(&self.database_url, wxapp, &file, self.clock.now()).await.unwrap();
        let seeded = serde_json::to_value(&seeded).unwrap();
        let goods = seeded["goods"].as_array().unwrap();
        let skus = goods.iter().flat_map(|goods| goods["skus"].as_array().unwrap());
        skus.map(|sku| sku["id"].as_i64().unwrap()).collect()
    }

    /// A buyer who is logged in, has an address, and has agreed to all messages a few times.
    pub async fn shopper(&self, name: &str) -> Shopper {
        Shopper::arrive(&self.url, &self.sandbox, SANDBOX_APPID, name).await
    }

    /// The same in another mini-program.
    pub async fn shopper_in(&self, appid: &str, name: &str) -> Shopper {
        Shopper::arrive(&self.url, &self.sandbox, appid, name).await
    }

    /// The same in the second mini-program, see [`TestAppBuilder::second_shop`].
    pub async fn second_shopper(&self, name: &str) -> Shopper {
        Shopper::arrive(&self.url, &self.sandbox, SECOND_APPID, name).await
    }

    /// So many buyers, each with a phone, a log-in and an address; they arrive side by side.
    pub async fn crowd(&self, buyers: usize) -> Vec<Shopper> {
        let names = (0..buyers).map(|number| format!("buyer-{number}"));
        let arriving = names.map(|name| async move { self.shopper(&name).await });
        stream::iter(arriving).buffer_unordered(ARRIVING).collect().await
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

    /// What staff do.
    pub fn desk(&self) -> Desk {
        let settings = DeskSettings {
            max_order: Money::from_fen(self.config.engine.max_order_fen),
            wechat_wait: Duration::from_millis(self.config.engine.cancel_wait_ms),
        };
        Desk::new(self.directory.clone(), self.journal.clone(), settings)
    }

    /// Staff member 7, at work for the first mini-program.
    pub fn clerk(&self) -> Clerk {
        Clerk {
            wxapp: WxappId::parse(FIRST_SHOP).unwrap(),
            staff: StaffId::parse(7).unwrap(),
            key: None,
        }
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
