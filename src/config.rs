//! The settings of the process: what they are, where they come from, and what is wrong with them.
//!
//! [`Config::load`] layers the defaults, a TOML file and `BUYNOW__SECTION__KEY` variables, and
//! refuses unknown keys and impossible values by name and place. It knows nothing of the database,
//! of WeChat or of the engine; what a setting means is told where it is used. Invariant: a
//! [`Config`] that `load` returned has no [`problems`].

mod check;
#[cfg(test)]
mod cluster_tests;
mod error;
mod load;
mod net;
mod sandbox;
mod templates;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::Deserialize;

pub use check::problems;
pub use error::{ConfigError, Problem};
pub use load::{DEFAULT_FILE, ENV_PREFIX};
pub use net::{Cidr, InvalidCidr};
pub use sandbox::{SANDBOX_APPID, SandboxTemplate, sandbox_templates};
pub use templates::{Template, TemplateKind, Templates, facts_of};

/// All settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub database: Database,
    pub engine: Engine,
    pub notifier: Notifier,
    pub reaper: Reaper,
    pub wechat: Wechat,
    pub wxapp: Wxapp,
    pub security: Security,
    pub log: Log,
    #[serde(skip)]
    origin: error::Origin,
}

/// How the shop is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// 0 takes a free one.
    pub port: u16,
    /// Address to listen on; see [`Config::listen_ip`].
    pub bind: Option<IpAddr>,
    /// What WeChat and buyers reach the server by, without a trailing slash; see
    /// [`Config::public_url`].
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Origins of web pages that may call the API; `*` for any.
    pub cors_origins: Vec<String>,
    /// HTTP worker threads; 0: one for each core.
    pub workers: usize,
    /// Longest request body of the shop's API.
    pub body_max_bytes: usize,
    /// Longest body of a WeChat notification.
    pub notify_body_max_bytes: usize,
    /// Requests that one buyer may make in a second, and at once; 0: no limit.
    pub buyer_requests_per_second: u32,
    pub buyer_burst: u32,
    /// Requests that one address may make in a second, and at once; 0: no limit.
    pub address_requests_per_second: u32,
    pub address_burst: u32,
    /// How long a shutdown may take.
    pub shutdown_seconds: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            port: 8080,
            bind: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            workers: 0,
            body_max_bytes: 65_536,
            notify_body_max_bytes: 65_536,
            buyer_requests_per_second: 20,
            buyer_burst: 60,
            address_requests_per_second: 5_000,
            address_burst: 20_000,
            shutdown_seconds: 30,
        }
    }
}

const DEFAULT_DATABASE: &str = "sqlite://buynow.db";

/// Where the rows are.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://FILE`. A secret, since the URLs of other databases carry a password.
    pub url: SecretString,
    /// Instead of `url`: the same database on each server of one cluster, the one to prefer first.
    pub urls: Vec<SecretString>,
    /// Connections for reading.
    pub readers: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: SecretString::from(DEFAULT_DATABASE), urls: Vec::new(), readers: 4 }
    }
}

impl Database {
    /// The URL of each server that has the database; several are of one cluster.
    pub fn servers(&self) -> Vec<String> {
        let url = |url: &SecretString| url.expose_secret().to_owned();
        if self.urls.is_empty() {
            vec![url(&self.url)]
        } else {
            self.urls.iter().map(url).collect()
        }
    }

    /// The URLs as people may see them: without what stands before an `@`.
    pub fn shown(&self) -> String {
        self.servers().iter().map(|url| shown(url)).collect::<Vec<_>>().join(", ")
    }
}

fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => url.to_owned(),
    }
}

/// The order engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// Age from which a quote or a refusal re-reads the stock first.
    pub stock_refresh_ms: u64,
    /// After how long closing of an unpaid order starts.
    pub order_expire_seconds: u64,
    /// Orders in one commit, at most.
    pub batch_orders_max: usize,
    /// Orders admitted and not yet committed, at most; beyond it buyers are told `busy`.
    pub queue_max: usize,
    /// How long a caller waits for a commit before being told `unavailable`.
    pub commit_wait_ms: u64,
    /// Largest amount of one order.
    pub max_order_fen: i64,
    /// Most lines of one order.
    pub max_lines: usize,
    /// How long a repeated request finds its answer.
    pub idempotency_days: u32,
    /// How long a cancel waits for WeChat before answering `closing`.
    pub cancel_wait_ms: u64,
    /// How long before an unpaid order expires its buyer is told, where there is a template for it;
    /// 0: never.
    pub remind_before_seconds: u64,
    /// After so many days on its way an order counts as received.
    pub receipt_days: u32,
    /// How long a piece of work stays the process's own that took it up.
    pub claim_seconds: u64,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            stock_refresh_ms: 500,
            order_expire_seconds: 900,
            batch_orders_max: 256,
            queue_max: 1_024,
            commit_wait_ms: 5_000,
            max_order_fen: 10_000_000,
            max_lines: 50,
            idempotency_days: 7,
            cancel_wait_ms: 5_000,
            remind_before_seconds: 300,
            receipt_days: 10,
            claim_seconds: 120,
        }
    }
}

/// Sending of messages.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notifier {
    /// How long a message waits for the buyer's consent before it is skipped.
    pub grant_wait_seconds: u64,
    /// Tries before a message is parked.
    pub tries_max: u32,
    /// How often the outbox is looked at when nobody announces a message.
    pub poll_ms: u64,
}

impl Default for Notifier {
    fn default() -> Self {
        Self { grant_wait_seconds: 600, tries_max: 8, poll_ms: 1_000 }
    }
}

/// Closing of unpaid orders.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reaper {
    /// How often it looks.
    pub poll_ms: u64,
    /// Orders taken up at one look.
    pub batch: u32,
}

impl Default for Reaper {
    fn default() -> Self {
        Self { poll_ms: 1_000, batch: 100 }
    }
}

/// Whom the server talks to. Only `app.rs` reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The simulated WeChat, started with the server.
    #[default]
    Sandbox,
    /// WeChat, or a gateway that stands for it.
    Live,
}

/// The way to WeChat.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wechat {
    pub mode: Mode,
    /// Base of login, tokens, messages; see [`Wechat::api_base`].
    pub api_base: Option<String>,
    /// Base of payment; see [`Wechat::pay_base`].
    pub pay_base: Option<String>,
    /// Called while `api_base` cannot be reached; see [`Wechat::api_base_2`].
    pub api_base_2: Option<String>,
    /// Called while `pay_base` cannot be reached; see [`Wechat::pay_base_2`].
    pub pay_base_2: Option<String>,
    pub connect_timeout_ms: u64,
    pub call_timeout_ms: u64,
    pub refund_timeout_ms: u64,
}

impl Default for Wechat {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            api_base: None,
            pay_base: None,
            api_base_2: None,
            pay_base_2: None,
            connect_timeout_ms: 5_000,
            call_timeout_ms: 10_000,
            refund_timeout_ms: 20_000,
        }
    }
}

impl Wechat {
    /// WeChat's own host unless another was set; no trailing slash.
    pub fn api_base(&self) -> &str {
        base_or(self.api_base.as_deref(), "https://api.weixin.qq.com")
    }
    /// WeChat Pay's own host unless another was set; no trailing slash.
    pub fn pay_base(&self) -> &str {
        base_or(self.pay_base.as_deref(), "https://api.mch.weixin.qq.com")
    }
    /// How long the engine waits for WeChat at the most, rounded up.
    pub fn longest_call_seconds(&self) -> u64 {
        let longest_ms = self.call_timeout_ms.max(self.refund_timeout_ms);
        self.connect_timeout_ms.saturating_add(longest_ms).div_ceil(1_000)
    }
    /// WeChat's second host, if none was set and `api_base` is WeChat's own; an empty one is none.
    pub fn api_base_2(&self) -> Option<&str> {
        second_base(&self.api_base_2, &self.api_base, "https://api2.weixin.qq.com")
    }
    /// WeChat Pay's second host, if none was set and `pay_base` is WeChat Pay's own; an empty one
    /// is none.
    pub fn pay_base_2(&self) -> Option<&str> {
        second_base(&self.pay_base_2, &self.pay_base, "https://api2.mch.weixin.qq.com")
    }
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
    pub fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
    pub fn refund_timeout(&self) -> Duration {
        Duration::from_millis(self.refund_timeout_ms)
    }
}

fn base_or<'a>(base: Option<&'a str>, official: &'a str) -> &'a str {
    base.unwrap_or(official).trim_end_matches('/')
}

/// A gateway of one's own has no second host of WeChat's.
fn second_base<'a>(
    second: &'a Option<String>,
    first: &Option<String>,
    official: &'a str,
) -> Option<&'a str> {
    let official = if first.is_none() { Some(official) } else { None };
    let base = second.as_deref().or(official);
    base.map(|base| base.trim_end_matches('/')).filter(|base| !base.is_empty())
}

/// How new payment attempts are signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum SignType {
    #[serde(rename = "MD5")]
    Md5,
    #[default]
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
}

impl SignType {
    /// WeChat's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

/// The first mini-program, made when the table of them is empty.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wxapp {
    pub id: i64,
    /// Shop name, the first part of what the buyer reads in WeChat's bill.
    pub name: String,
    pub appid: String,
    pub secret: SecretString,
    pub mch_id: String,
    pub api_key: SecretString,
    pub sign_type: SignType,
    /// PEM files of the merchant certificate; refunds need them.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub freight_fen: i64,
    /// Goods value from which freight is free; none: never.
    pub free_freight_from_fen: Option<i64>,
    /// Permits templates of kind `template`, which WeChat retired.
    pub legacy_template_messages: bool,
    /// Which release of the mini-program a message opens.
    pub miniprogram_state: MiniprogramState,
    pub templates: Templates,
}

impl Default for Wxapp {
    fn default() -> Self {
        Self {
            id: 10_001,
            name: "买它小店".to_owned(),
            appid: String::new(),
            secret: SecretString::default(),
            mch_id: String::new(),
            api_key: SecretString::default(),
            sign_type: SignType::default(),
            cert_file: None,
            key_file: None,
            freight_fen: 0,
            free_freight_from_fen: None,
            legacy_template_messages: false,
            miniprogram_state: MiniprogramState::default(),
            templates: Templates::default(),
        }
    }
}

/// Rule: subscribeMessage.send, `miniprogram_state`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MiniprogramState {
    Developer,
    Trial,
    #[default]
    Formal,
}

impl MiniprogramState {
    /// WeChat's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Trial => "trial",
            Self::Formal => "formal",
        }
    }
}

/// What protects secrets at rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// 32 bytes as 64 hexadecimal digits or as base64.
    pub master_key: SecretString,
}

/// What is written about the work.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// `info`, or filters such as `info,buynow=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), level: "info".to_owned() }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Pretty,
    Json,
}

impl Config {
    /// Where to listen. The simulated WeChat lets anyone "pay", so with it only loopback is
    /// served unless `sandbox_public` says otherwise.
    ///
    /// # Errors
    /// `server.bind` is not loopback although that is required.
    pub fn listen_ip(&self, sandbox_public: bool) -> Result<IpAddr, Problem> {
        let confined = self.wechat.mode == Mode::Sandbox && !sandbox_public;
        match self.server.bind {
            Some(ip) if confined && !ip.is_loopback() => {
                let what = format!(
                    "{ip} can be reached from outside, and the simulated WeChat lets anyone pay; \
                     use a loopback address, or start with --sandbox-public"
                );
                Err(self.origin.locate(Problem::new("server.bind", what)))
            }
            Some(ip) => Ok(ip),
            None if confined => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            None => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        }
    }

    /// What the outside reaches the server by, no trailing slash; the port actually bound on
    /// loopback when none was set.
    pub fn public_url(&self, bound_port: u16) -> String {
        match &self.server.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://127.0.0.1:{bound_port}"),
        }
    }

    /// The key that seals secrets at rest: the one that was set, else the development key, which
    /// every copy of buynow knows (live mode refuses to start on it).
    pub fn master_key(&self) -> SecretBox<[u8; 32]> {
        let text = self.security.master_key.expose_secret();
        SecretBox::new(Box::new(check::key_bytes(text).unwrap_or(sandbox::DEVELOPMENT_KEY)))
    }
}
