//! A whole shop for the tests of the edge: engine, simulated WeChat, and a real server.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::web::Data;
use awc::http::Method;
use buynow::actors::directory::ShopSettings;
use buynow::actors::engine::{Engine, EngineSettings};
use buynow::actors::journal::NoProbe;
use buynow::actors::notifier::{NotifierSettings, RunNotifier};
use buynow::actors::reaper::ReaperSettings;
use buynow::clock::{Clock, Timestamp};
use buynow::config::Config;
use buynow::domain::id::WxappId;
use buynow::domain::money::Money;
use buynow::domain::notification::{Event, MessageTemplate, TemplateKind, Templates};
use buynow::domain::price::FreightPolicy;
use buynow::http::{self, AppState, Parts};
use buynow::sandbox::{Sandbox, SandboxApp, SandboxConfig, SandboxHandle, SandboxTemplate};
use buynow::store::audit::{AuditReport, audit};
use buynow::store::seal::Sealer;
use buynow::store::seed::{SeedFile, Seeded, seed_url};
use buynow::store::{Readers, db, migrate, wxapps};
use buynow::wechat::message::MiniProgramState;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::watch;

pub const APPID: &str = "wx8f3c2e1a9b7d4c60";
pub const NOON: Timestamp = Timestamp::from_seconds(1_795_500_000);
const API_KEY: &str = "8934e7d15453e97507ef794cf7b0519d";

pub const TEA: &str = r#"{"goods":[
    {"name":"龙井茶","category":"茶","skus":[
        {"code":"TEA-S","attr":"小","price_fen":1000,"stock":5},
        {"code":"TEA-L","attr":"大","price_fen":2500,"stock":1}]},
    {"name":"赠品","deduct_stock":"payment","skus":[{"code":"GIFT","price_fen":0,"stock":9}]}]}"#;

pub struct Shop {
    pub url: String,
    pub sandbox: SandboxHandle,
    pub clock: Clock,
    pub engine: Engine,
    pub readers: Readers,
    pub seeded: Seeded,
    pub ready: watch::Sender<bool>,
    client: awc::Client,
    _dir: tempfile::TempDir,
}

/// An answer: status, body (JSON or text), and one header.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: awc::http::header::HeaderMap,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The code of a refusal, which must have the form of one.
    #[track_caller]
    pub fn refused(self) -> (u16, String, Value) {
        let content_type = self.headers.get("content-type").unwrap().to_str().unwrap();
        assert_eq!(content_type, "application/problem+json", "{}", self.body);
        assert_eq!(self.body["status"], self.status);
        let code = self.body["code"].as_str().unwrap().to_owned();
        (self.status, code, self.body["detail"].clone())
    }
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("shop.db").display());
        let clock = Clock::manual(NOON);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let public_url = format!("http://{}", listener.local_addr().unwrap());
        let sandbox = sandbox(&clock);
        let readers = db::open_readers(&url, 4).await.unwrap();
        let writer = db::open_writer(&url).await.unwrap();
        migrate::up(&writer).await.unwrap();
        let sealer = Arc::new(Sealer::new(&[7; 32]).unwrap());
        wxapps::create_first(&writer, &sealer, &wxapp(), NOON).await.unwrap();
        writer.close().await.unwrap();
        let id = WxappId::parse(10001).unwrap();
        let file = SeedFile::parse(TEA.as_bytes()).unwrap();
        let seeded = seed_url(&url, id, &file, NOON).await.unwrap();
        let mut config = Config::default();
        change(&mut config);
        let settings = settings(&url, &public_url, sandbox.url(), &config);
        let engine = Engine::start(settings, readers.clone(), sealer, clock.clone()).await.unwrap();
        let (ready, is_ready) = watch::channel(true);
        let parts = Parts {
            config: Arc::new(config),
            clock: clock.clone(),
            directory: engine.directory.clone(),
            journal: engine.journal.clone(),
            readers: readers.clone(),
            ids: engine.ids.clone(),
            ready: is_ready,
            alive: engine.alive.clone(),
            metrics: None,
        };
        let state = Data::new(AppState::new(parts));
        let server = HttpServer::new(move || http::app(state.clone()))
            .workers(2)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        actix_web::rt::spawn(server);
        let client = awc::Client::builder().timeout(Duration::from_secs(20)).finish();
        let url = public_url;
        Self { url, sandbox, clock, engine, readers, seeded, ready, client, _dir: dir }
    }

    pub fn sku(&self, code: &str) -> i64 {
        let skus = self.seeded.goods.iter().flat_map(|goods| &goods.skus);
        skus.filter(|sku| sku.code == code).map(|sku| sku.id).next().unwrap()
    }

    /// One call; the body may be anything.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let mut response = request.send_body(body.into()).await.unwrap();
        let bytes = response.body().limit(1 << 20).await.unwrap();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Answer {
            status: response.status().as_u16(),
            body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
            headers: response.headers().clone(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], "").await
    }

    pub async fn buyer(&self, name: &str) -> Buyer<'_> {
        let code = self.sandbox.login(Some(APPID), name).unwrap().code;
        let body = json!({"code": code}).to_string();
        let answer = self.call(Method::POST, "/api/v1/session", &[], body).await;
        let token = answer.expect(200)["token"].as_str().unwrap().to_owned();
        Buyer { shop: self, token }
    }

    pub async fn audit(&self) -> AuditReport {
        audit(&self.readers, self.clock.now()).await.unwrap()
    }

    pub async fn run_notifier(&self) {
        self.engine.notifier.send(RunNotifier).await.unwrap();
    }
}

/// A buyer with a token.
pub struct Buyer<'a> {
    pub shop: &'a Shop,
    pub token: String,
}

impl Buyer<'_> {
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call_with(method, path, &[], body).await
    }

    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.shop.call(method, path, &all, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub async fn order(&self, key: &str, body: Value) -> Answer {
        self.call_with(Method::POST, "/api/v1/orders", &[("Idempotency-Key", key)], body).await
    }

    /// Adds an address; the answer is its id.
    pub async fn address(&self) -> i64 {
        let added = self.post("/api/v1/addresses", home()).await.expect(201);
        added["id"].as_i64().unwrap()
    }
}

pub fn home() -> Value {
    json!({"name": "王小明", "phone": "13800138000", "province": "广东省", "city": "广州市",
        "district": "天河区", "detail": "体育西路 1 号"})
}

fn sandbox(clock: &Clock) -> SandboxHandle {
    let template = SandboxTemplate {
        template_id: "paid".to_owned(),
        title: "付款成功通知".to_owned(),
        fields: vec![("thing1".to_owned(), "商品".to_owned())],
    };
    let app = SandboxApp {
        appid: APPID.to_owned(),
        secret: SecretString::from("app-secret"),
        mch_id: "1900012345".to_owned(),
        api_key: SecretString::from(API_KEY),
        templates: vec![template],
    };
    let bind = ([127, 0, 0, 1], 0).into();
    let config = SandboxConfig { bind, clock: clock.clone(), apps: vec![app] };
    Sandbox::start(config).unwrap()
}

fn wxapp() -> wxapps::Wxapp {
    let template = MessageTemplate {
        kind: TemplateKind::Subscribe,
        template_id: "paid".to_owned(),
        page: "pages/order?id={order_id}".to_owned(),
        data: BTreeMap::from([("thing1".to_owned(), "{goods}".to_owned())]),
    };
    wxapps::Wxapp {
        id: WxappId::parse(10001).unwrap(),
        name: "小店".to_owned(),
        appid: APPID.to_owned(),
        secret: SecretString::from("app-secret"),
        mch_id: "1900012345".to_owned(),
        api_key: SecretString::from(API_KEY),
        former_api_key: None,
        key_version: 1,
        sign_type: "HMAC-SHA256".to_owned(),
        cert_file: None,
        key_file: None,
        templates: Templates::from([(Event::OrderPaid, template)]),
        freight: FreightPolicy { flat: Money::from_fen(800), free_from: None },
        version: 1,
    }
}

fn settings(url: &str, public_url: &str, wechat: &str, config: &Config) -> EngineSettings {
    EngineSettings {
        database_url: url.to_owned(),
        batch_max: config.engine.batch_orders_max,
        queue_max: config.engine.queue_max,
        commit_wait: Duration::from_millis(config.engine.commit_wait_ms),
        shop: ShopSettings {
            stock_refresh_ms: 500,
            order_expire_seconds: 900,
            max_order: Money::from_fen(config.engine.max_order_fen),
            mailbox: 2_048,
            public_url: public_url.to_owned(),
            pay_base: wechat.to_owned(),
            api_base: wechat.to_owned(),
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(5),
            refund_timeout: Duration::from_secs(5),
            miniprogram_state: MiniProgramState::Formal,
        },
        reaper: ReaperSettings { batch: 100, key_seconds: 7 * 24 * 3600 },
        notifier: NotifierSettings { grant_wait_seconds: 600, tries_max: 8 },
        ticks: None,
        probe: Arc::new(NoProbe),
    }
}
