//! The one place that wires: database, simulated WeChat, engine, HTTP.
//!
//! Only here is `wechat.mode` read: with `sandbox` the simulation is started and WeChat's addresses
//! point to it; from here on nothing knows whom it talks to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::{Server, ServerHandle};
use actix_web::web::Data;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use crate::actors::Ticks;
use crate::actors::directory::{DirectoryError, ShopSettings};
use crate::actors::engine::{Engine, EngineSettings};
use crate::actors::journal::{CommitProbe, NoProbe};
use crate::actors::notifier::NotifierSettings;
use crate::actors::order::Placer;
use crate::actors::reaper::{LifeSettings, ReaperSettings};
use crate::clock::Clock;
use crate::config::{self, Config, Mode, Problem};
use crate::domain::id::{InvalidId, WxappId};
use crate::domain::money::Money;
use crate::domain::notification::{Event, MessageTemplate, TemplateKind, Templates};
use crate::domain::price::FreightPolicy;
use crate::http::admin::AdminState;
use crate::http::demo::DemoPage;
use crate::http::{self, AppState, Parts};
use crate::sandbox::{Sandbox, SandboxApp, SandboxConfig, SandboxHandle, SandboxTemplate};
use crate::store::db::{self, ServeLock, ServeLockError};
use crate::store::durability;
use crate::store::migrate::{self, MigrateError};
use crate::store::seal::{SealError, Sealer};
use crate::store::servers::Servers;
use crate::store::wxapps::{self, Wxapp, WxappError};
use crate::store::{Readers, StoreError};
use crate::wechat::message::MiniProgramState;

/// Why the application does not start. Each is one line for whoever started it.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0}")]
    Config(Problem),
    #[error("cannot listen on {address}: {}", listen_trouble(.address, .source))]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot open the database {shown}: {source}")]
    Database { shown: String, source: StoreError },
    #[error(transparent)]
    ServeLock(#[from] ServeLockError),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error(transparent)]
    Wxapp(#[from] WxappError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("wxapp.id: {0}")]
    WxappId(#[from] InvalidId),
    #[error(transparent)]
    Engine(#[from] DirectoryError),
    #[error("the simulated WeChat does not start: {0}")]
    Sandbox(std::io::Error),
    #[error("the server does not start: {0}")]
    Server(std::io::Error),
    #[error("the journal can write no more; start again to recover")]
    JournalDied,
}

/// How an application differs from what the configuration says; for `demo` and for tests.
pub struct Options {
    pub clock: Clock,
    /// Instead of `server.port`; 0 takes a free one.
    pub port: Option<u16>,
    /// Lets others than this machine reach a shop whose WeChat is simulated.
    pub sandbox_public: bool,
    /// False: reaper and notifier run when they are told to.
    pub ticking: bool,
    pub probe: Arc<dyn CommitProbe>,
    /// None: the journal places orders.
    pub placer: Option<Arc<dyn Placer>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            port: None,
            sandbox_public: false,
            ticking: true,
            probe: Arc::new(NoProbe),
            placer: None,
        }
    }
}

/// A running shop.
pub struct App {
    pub engine: Engine,
    pub readers: Readers,
    pub sandbox: Option<SandboxHandle>,
    url: String,
    ready: watch::Sender<bool>,
    server: Server,
    shutdown: Duration,
    _lock: Option<ServeLock>,
}

impl App {
    /// Brings the database up to date and starts everything; the port is bound when it returns.
    pub async fn start(config: Config, options: Options) -> Result<Self, AppError> {
        // Before anybody counts: who has looked up a counter keeps it.
        let metrics = metrics();
        let listener = listen(&config, &options)?;
        let address = listener.local_addr().map_err(AppError::Server)?;
        let lock = lock(&config)?;
        let sealer = Arc::new(sealer(&config)?);
        let readers = open_database(&config, &sealer, &options.clock).await?;
        let sandbox = match config.wechat.mode {
            Mode::Sandbox => Some(start_sandbox(&readers, &sealer, &config, &options).await?),
            Mode::Live => None,
        };
        let demo = match &sandbox {
            Some(sandbox) => Some(demo_page(sandbox, &readers, &sealer).await?),
            None => None,
        };
        let public_url = config.public_url(address.port());
        let public_url_of_site = public_url.clone();
        let settings = engine_settings(&config, &options, sandbox.as_ref(), public_url);
        let clock = options.clock;
        let engine =
            Engine::start(settings, readers.clone(), sealer.clone(), clock.clone()).await?;
        let (ready, is_ready) = watch::channel(true);
        let shutdown = Duration::from_secs(config.server.shutdown_seconds);
        let workers = config.server.workers;
        let site = Data::new(AdminState::new(sealer.clone(), &public_url_of_site));
        let state = Data::new(AppState::new(Parts {
            config: Arc::new(config),
            clock,
            directory: engine.directory.clone(),
            journal: engine.journal.clone(),
            readers: readers.clone(),
            ids: engine.ids.clone(),
            ready: is_ready,
            alive: engine.alive.clone(),
            metrics,
        }));
        let server = serve(state, site, demo, listener, workers, shutdown)?;
        let url = format!("http://{address}");
        Ok(Self { engine, readers, sandbox, url, ready, server, shutdown, _lock: lock })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A handle that stops the HTTP server.
    pub fn server(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until `stop` ends, then finishes what was begun, within the bound of
    /// `server.shutdown_seconds` for each of the server and the engine.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), AppError> {
        let handle = self.server.handle();
        let served = actix_rt::spawn(self.server);
        let mut alive = self.engine.alive.clone();
        let died = async move { alive.wait_for(|alive| !alive).await.is_ok() };
        let died = tokio::select! {
            () = stop => false,
            died = died => died,
        };
        self.ready.send_replace(false);
        tracing::info!("going down");
        handle.stop(true).await;
        let _ended = served.await;
        if tokio::time::timeout(self.shutdown, self.engine.stop()).await.is_err() {
            tracing::error!("the engine did not stop in time");
        }
        if let Err(error) = self.readers.close().await {
            tracing::warn!(%error, "the readers did not close");
        }
        if let Some(sandbox) = self.sandbox {
            sandbox.stop();
        }
        if died { Err(AppError::JournalDied) } else { Ok(()) }
    }
}

fn listen_trouble(address: &SocketAddr, source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "port {} is in use; stop the other server or take another --port",
                address.port()
            )
        }
        _ => source.to_string(),
    }
}

fn listen(config: &Config, options: &Options) -> Result<TcpListener, AppError> {
    let ip = config.listen_ip(options.sandbox_public).map_err(AppError::Config)?;
    let address = SocketAddr::new(ip, options.port.unwrap_or(config.server.port));
    TcpListener::bind(address).map_err(|source| AppError::Listen { address, source })
}

fn lock(config: &Config) -> Result<Option<ServeLock>, AppError> {
    let file = config.database.servers().first().and_then(|url| db::sqlite_file(url));
    Ok(file.map(|file| db::take_serve_lock(&file)).transpose()?)
}

/// What opens the secrets of this database.
pub fn sealer(config: &Config) -> Result<Sealer, AppError> {
    Ok(Sealer::new(config.master_key().expose_secret())?)
}

/// Opens the database, brings its schema up to date and makes the first mini-program.
pub async fn open_database(
    config: &Config,
    sealer: &Sealer,
    clock: &Clock,
) -> Result<Readers, AppError> {
    let (urls, connections) = (config.database.servers(), config.database.readers);
    let cannot_open = |source| AppError::Database { shown: config.database.shown(), source };
    let servers = Servers::find(&urls, connections).await.map_err(cannot_open)?;
    let writer = db::open_writer(&servers.url()).await.map_err(cannot_open)?;
    migrate::at_start(&writer).await?;
    wxapps::create_first(&writer, sealer, &first_wxapp(config)?, clock.now()).await?;
    for setting in durability::doubts(&writer).await.map_err(|error| cannot_open(error.into()))? {
        tracing::warn!(%setting, "the database may lose acknowledged orders in a power cut");
    }
    writer.close().await.map_err(|error| cannot_open(error.into()))?;
    let readers = Readers::of(servers, connections).await.map_err(cannot_open)?;
    if !readers.serve_alone() {
        clock.starts_at(readers.database_time().await.map_err(cannot_open)?);
    }
    Ok(readers)
}

fn first_wxapp(config: &Config) -> Result<Wxapp, AppError> {
    let wxapp = match config.wechat.mode {
        Mode::Sandbox => config.wxapp.or_sandbox(),
        Mode::Live => config.wxapp.clone(),
    };
    let path = |file: Option<std::path::PathBuf>| file.map(|file| file.display().to_string());
    Ok(Wxapp {
        id: WxappId::parse(wxapp.id)?,
        name: wxapp.name,
        appid: wxapp.appid,
        secret: wxapp.secret,
        mch_id: wxapp.mch_id,
        api_key: wxapp.api_key,
        former_api_key: None,
        key_version: 1,
        sign_type: wxapp.sign_type.as_str().to_owned(),
        cert_file: path(wxapp.cert_file),
        key_file: path(wxapp.key_file),
        templates: templates(&wxapp.templates),
        freight: FreightPolicy {
            flat: Money::from_fen(wxapp.freight_fen),
            free_from: wxapp.free_freight_from_fen.map(Money::from_fen),
        },
        version: 1,
    })
}

fn templates(configured: &config::Templates) -> Templates {
    let template = |(event, template): (&str, &config::Template)| {
        let kind = match template.kind {
            config::TemplateKind::Subscribe => TemplateKind::Subscribe,
            config::TemplateKind::Template => TemplateKind::Template,
        };
        let message = MessageTemplate {
            kind,
            template_id: template.template_id.clone(),
            page: template.page.clone(),
            data: template.data.clone(),
        };
        Some((Event::parse(event)?, message))
    };
    configured.iter().filter_map(template).collect()
}

/// The simulation, with every mini-program of the database on its files.
async fn start_sandbox(
    readers: &Readers,
    sealer: &Sealer,
    config: &Config,
    options: &Options,
) -> Result<SandboxHandle, AppError> {
    let wxapps = wxapps::all(readers, sealer).await?;
    let config = SandboxConfig {
        // A phone that may reach the shop must reach its WeChat as well.
        bind: SocketAddr::new(sandbox_ip(config, options)?, 0),
        clock: options.clock.clone(),
        apps: wxapps.into_iter().map(sandbox_app).collect(),
    };
    let started = actix_web::web::block(move || Sandbox::start(config)).await;
    started
        .map_err(|error| AppError::Sandbox(std::io::Error::other(error)))?
        .map_err(AppError::Sandbox)
}

/// Where the platform shows a field: `amount2` second.
fn position(field: &str) -> u32 {
    let name = field.trim_end_matches(|c: char| c.is_ascii_digit());
    field[name.len()..].parse().unwrap_or(u32::MAX)
}

fn sandbox_ip(config: &Config, options: &Options) -> Result<IpAddr, AppError> {
    match options.sandbox_public {
        true => config.listen_ip(true).map_err(AppError::Config),
        false => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }
}

fn sandbox_app(wxapp: Wxapp) -> SandboxApp {
    let samples = config::sandbox_templates();
    let template = |(event, template): (&Event, &MessageTemplate)| {
        let sample = samples.iter().find(|sample| sample.event == event.as_str());
        let label = |field: &str| {
            let fields = sample.into_iter().flat_map(|sample| &sample.fields);
            let known = fields.into_iter().find(|(key, _)| *key == field);
            known.map_or(field, |(_, label)| *label).to_owned()
        };
        let mut fields: Vec<_> = template.data.keys().collect();
        fields.sort_by_key(|field| position(field));
        SandboxTemplate {
            template_id: template.template_id.clone(),
            title: sample.map_or(event.as_str(), |sample| sample.title).to_owned(),
            fields: fields.into_iter().map(|field| (field.clone(), label(field))).collect(),
        }
    };
    SandboxApp {
        appid: wxapp.appid,
        secret: wxapp.secret,
        mch_id: wxapp.mch_id,
        api_key: wxapp.api_key,
        templates: wxapp.templates.iter().map(template).collect(),
    }
}

fn engine_settings(
    config: &Config,
    options: &Options,
    sandbox: Option<&SandboxHandle>,
    public_url: String,
) -> EngineSettings {
    // The simulation stands for both hosts of WeChat.
    let base = |live: &str| sandbox.map_or(live, SandboxHandle::url).to_owned();
    let shop = ShopSettings {
        stock_refresh_ms: signed(config.engine.stock_refresh_ms),
        order_expire_seconds: signed(config.engine.order_expire_seconds),
        max_order: Money::from_fen(config.engine.max_order_fen),
        mailbox: config.engine.queue_max,
        public_url,
        pay_base: base(config.wechat.pay_base()),
        pay_base_2: config.wechat.pay_base_2().map(base),
        api_base: base(config.wechat.api_base()),
        api_base_2: config.wechat.api_base_2().map(base),
        connect_timeout: config.wechat.connect_timeout(),
        call_timeout: config.wechat.call_timeout(),
        refund_timeout: config.wechat.refund_timeout(),
        claim_seconds: signed(config.engine.claim_seconds),
        call_seconds: signed(config.wechat.longest_call_seconds()),
        miniprogram_state: match config.wxapp.miniprogram_state {
            config::MiniprogramState::Developer => MiniProgramState::Developer,
            config::MiniprogramState::Trial => MiniProgramState::Trial,
            config::MiniprogramState::Formal => MiniProgramState::Formal,
        },
        placer: options.placer.clone(),
    };
    EngineSettings {
        batch_max: config.engine.batch_orders_max,
        queue_max: config.engine.queue_max,
        commit_wait: Duration::from_millis(config.engine.commit_wait_ms),
        shop,
        reaper: ReaperSettings {
            batch: u64::from(config.reaper.batch),
            key_seconds: i64::from(config.engine.idempotency_days) * 24 * 3600,
            life: LifeSettings {
                remind_seconds: signed(config.engine.remind_before_seconds),
                receipt_seconds: i64::from(config.engine.receipt_days) * 24 * 3600,
            },
        },
        notifier: NotifierSettings {
            grant_wait_seconds: signed(config.notifier.grant_wait_seconds),
            tries_max: i64::from(config.notifier.tries_max),
            claim_seconds: signed(config.engine.claim_seconds),
            call_seconds: signed(config.wechat.longest_call_seconds()),
        },
        ticks: options.ticking.then(|| Ticks {
            reaper: Duration::from_millis(config.reaper.poll_ms),
            notifier: Duration::from_millis(config.notifier.poll_ms),
        }),
        probe: options.probe.clone(),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The recorder of this process; installed once, shared by all applications in it.
fn metrics() -> Option<PrometheusHandle> {
    static HANDLE: std::sync::OnceLock<Option<PrometheusHandle>> = std::sync::OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().ok()).clone()
}

/// The page to try the first mini-program.
async fn demo_page(
    sandbox: &SandboxHandle,
    readers: &Readers,
    sealer: &Sealer,
) -> Result<DemoPage, AppError> {
    let wxapps = wxapps::all(readers, sealer).await?;
    let appid = wxapps.first().map_or("", |wxapp| &wxapp.appid);
    Ok(DemoPage::new(sandbox.url(), appid))
}

fn serve(
    state: Data<AppState>,
    site: Data<AdminState>,
    demo: Option<DemoPage>,
    listener: TcpListener,
    workers: usize,
    shutdown: Duration,
) -> Result<Server, AppError> {
    http::keep_tidy(state.clone());
    let app = move || {
        let demo = demo.clone();
        http::app(state.clone(), site.clone())
            .configure(|routes| demo.into_iter().for_each(|demo| demo.add_to(routes)))
    };
    let mut server = HttpServer::new(app).disable_signals().shutdown_timeout(shutdown.as_secs());
    if workers > 0 {
        server = server.workers(workers);
    }
    Ok(server.listen(listener).map_err(AppError::Server)?.run())
}
