//! The shop under test: the whole application in this process, which can be ended and started again
//! while WeChat goes on.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix_rt::task::JoinHandle;
use awc::http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::SoakError;
use super::chance::Chance;
use crate::actors::directory::Directory;
use crate::actors::journal::JournalHandle;
use crate::actors::notifier::NotifierActor;
use crate::actors::reaper::ReaperActor;
use crate::app::{App, AppError, Options};
use crate::clock::Clock;
use crate::config::{Config, sandbox_templates};
use crate::sandbox::{Sandbox, SandboxApp, SandboxConfig, SandboxHandle, SandboxTemplate};
use crate::store::Readers;

/// The longest answer that is read.
const ANSWER_MAX: usize = 4 << 20;
/// How long a buyer waits for an answer: longer than anything in the shop may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The shop, its WeChat and its clock.
pub(super) struct Shop {
    pub clock: Clock,
    pub sandbox: SandboxHandle,
    pub chance: Arc<Chance>,
    pub config: Config,
    url: String,
    http: awc::Client,
    running: RefCell<Option<Running>>,
    up: watch::Sender<bool>,
}

struct Running {
    parts: Parts,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), AppError>>,
    server: actix_web::dev::ServerHandle,
}

/// What of a running shop is worked on directly.
#[derive(Clone)]
pub(super) struct Parts {
    pub directory: Directory,
    pub journal: JournalHandle,
    pub reaper: Addr<ReaperActor>,
    pub notifier: Addr<NotifierActor>,
    pub readers: Readers,
}

/// How a shop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Orderly,
    /// In the middle of whatever it does.
    Crash,
}

impl Shop {
    /// Starts WeChat; the shop itself is not started yet.
    pub fn new(database_url: &str, seed: u64) -> Result<Self, SoakError> {
        let clock = Clock::manual(Clock::system().now());
        let sandbox = wechat(&clock).map_err(SoakError::Wechat)?;
        let mut config = Config::default().with_wechat_at(sandbox.url());
        config.server.port = free_port().map_err(SoakError::Wechat)?;
        config.server.workers = 2;
        config.server.shutdown_seconds = 5;
        config.server.buyer_requests_per_second = 0;
        config.server.address_requests_per_second = 0;
        config.database.url = SecretString::from(database_url);
        config.engine.order_expire_seconds = 240;
        config.engine.stock_refresh_ms = 50;
        config.engine.cancel_wait_ms = 500;
        config.wechat.call_timeout_ms = 1_000;
        config.wechat.refund_timeout_ms = 1_000;
        (config.reaper.poll_ms, config.notifier.poll_ms) = (50, 50);
        let url = format!("http://127.0.0.1:{}", config.server.port);
        let chance = Arc::new(Chance::new(seed));
        let (up, running) = (watch::Sender::new(false), RefCell::default());
        Ok(Self { clock, sandbox, chance, config, url, http: client(), running, up })
    }

    pub fn database_url(&self) -> &str {
        self.config.database.url.expose_secret()
    }

    pub async fn start(&self) -> Result<(), SoakError> {
        let options =
            Options { clock: self.clock.clone(), probe: self.chance.clone(), ..Options::default() };
        let app = App::start(self.config.clone(), options).await?;
        let parts = Parts {
            directory: app.engine.directory.clone(),
            journal: app.engine.journal.clone(),
            reaper: app.engine.reaper.clone(),
            notifier: app.engine.notifier.clone(),
            readers: app.readers.clone(),
        };
        let server = app.server();
        let (stop, stopping) = oneshot::channel::<()>();
        let served = actix_rt::spawn(app.run_until(async move { drop(stopping.await) }));
        *self.running.borrow_mut() = Some(Running { parts, stop, served, server });
        self.up.send_replace(true);
        Ok(())
    }

    pub async fn end(&self, ending: Ending) -> Result<(), SoakError> {
        self.up.send_replace(false);
        let Some(running) = self.running.borrow_mut().take() else { return Ok(()) };
        if ending == Ending::Orderly {
            let _running = running.stop.send(());
            return Ok(running.served.await.unwrap_or(Ok(()))?);
        }
        // Whoever is dropped here does nothing any more: see `Engine`.
        running.served.abort();
        running.server.stop(false).await;
        match running.served.await {
            // It had ended by itself before it was let go.
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// None while it is down.
    pub fn parts(&self) -> Option<Parts> {
        self.running.borrow().as_ref().map(|running| running.parts.clone())
    }

    /// Waits until the shop is started, with a bound.
    pub async fn is_up(&self) {
        let mut up = self.up.subscribe();
        let _late = tokio::time::timeout(PATIENCE, up.wait_for(|up| *up)).await;
    }

    /// A call to the shop: status and body, or why there is no answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        for header in headers {
            request = request.insert_header(*header);
        }
        let sent = match body {
            Some(body) => request.send_json(body),
            None => request.send(),
        };
        let mut answer = sent.await.map_err(|error| error.to_string())?;
        let bytes = answer.body().limit(ANSWER_MAX).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }
}

/// Without a limit of connections, and keeping none so long that the server closes it meanwhile.
fn client() -> awc::Client {
    let connector = awc::Connector::new().limit(0).timeout(PATIENCE);
    let connector = connector.conn_keep_alive(Duration::from_secs(1));
    awc::Client::builder().timeout(PATIENCE).connector(connector).finish()
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The simulated WeChat, with the mini-program that a configuration without names has.
fn wechat(clock: &Clock) -> std::io::Result<SandboxHandle> {
    let wxapp = Config::default().wxapp.or_sandbox();
    let template = |sample: crate::config::SandboxTemplate| SandboxTemplate {
        template_id: sample.template.template_id,
        title: sample.title.to_owned(),
        fields: sample.fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    };
    let app = SandboxApp {
        appid: wxapp.appid,
        secret: wxapp.secret,
        mch_id: wxapp.mch_id,
        api_key: wxapp.api_key,
        templates: sandbox_templates().into_iter().map(template).collect(),
    };
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Sandbox::start(SandboxConfig { bind, clock: clock.clone(), apps: vec![app] })
}
