//! What settings must satisfy beyond their types: pure functions that list every problem.

use std::collections::HashSet;

use awc::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};

use super::{Config, DEFAULT_DATABASE, Database, Mode, Problem, templates};

/// A day, for waits that only a slip of the pen makes longer.
const DAY_MS: u64 = 86_400_000;

/// Everything that is wrong with the settings, in the order of the file. Asks nothing of the
/// disk or the network.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    server(config, &mut found);
    ranges(config, &mut found);
    database(config, &mut found);
    match config.wechat.mode {
        Mode::Sandbox => sandbox(config, &mut found),
        Mode::Live => live(config, &mut found),
    }
    wxapp(config, &mut found);
    for (event, template) in config.wxapp.templates.iter() {
        found.0.extend(templates::problems(event, template, config.wxapp.legacy_template_messages));
    }
    security(config, &mut found);
    found.0
}

/// Files that are named and cannot be read.
pub(super) fn file_problems(config: &Config) -> Vec<Problem> {
    let wxapp = &config.wxapp;
    let files = [("wxapp.cert_file", &wxapp.cert_file), ("wxapp.key_file", &wxapp.key_file)];
    let unreadable = |(key, path): (&str, &Option<std::path::PathBuf>)| {
        let path = path.as_ref()?;
        let error = std::fs::File::open(path).err()?;
        Some(Problem::new(key, format!("{} cannot be read: {error}", path.display())))
    };
    files.into_iter().filter_map(unreadable).collect()
}

/// The 32 bytes that a `security.master_key` stands for.
pub(super) fn key_bytes(text: &str) -> Option<[u8; 32]> {
    let bytes = hex::decode(text).ok().or_else(|| BASE64.decode(text).ok())?;
    bytes.try_into().ok()
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.0.push(Problem::new(key, what));
    }
    fn unless(&mut self, fine: bool, key: &str, what: impl FnOnce() -> String) {
        if !fine {
            self.add(key, what());
        }
    }
}

fn server(config: &Config, found: &mut Found) {
    let server = &config.server;
    if let Some(url) = &server.public_url {
        url_problem(url).into_iter().for_each(|what| found.add("server.public_url", what));
    }
    for origin in server.cors_origins.iter().filter(|origin| *origin != "*") {
        let fine = url_problem(origin).is_none() && origin.matches('/').count() == 2;
        found.unless(fine, "server.cors_origins", || {
            format!("{origin:?} is not an origin such as https://shop.example, or \"*\"")
        });
    }
    for (key, rate, burst) in [
        ("server.buyer_burst", server.buyer_requests_per_second, server.buyer_burst),
        ("server.address_burst", server.address_requests_per_second, server.address_burst),
    ] {
        found.unless(rate == 0 || burst > 0, key, || "must be at least 1 with a rate set".into());
    }
}

fn ranges(config: &Config, found: &mut Found) {
    let (server, engine) = (&config.server, &config.engine);
    let (notifier, wechat) = (&config.notifier, &config.wechat);
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    for (key, value, least, most) in [
        ("server.workers", wide(server.workers), 0, 1_024),
        ("server.body_max_bytes", wide(server.body_max_bytes), 1_024, 16 << 20),
        ("server.notify_body_max_bytes", wide(server.notify_body_max_bytes), 4_096, 1 << 20),
        ("server.shutdown_seconds", server.shutdown_seconds, 1, 600),
        ("database.readers", config.database.readers.into(), 1, 64),
        ("engine.stock_refresh_ms", engine.stock_refresh_ms, 1, 60_000),
        ("engine.order_expire_seconds", engine.order_expire_seconds, 1, 30 * DAY_MS / 1000),
        ("engine.batch_orders_max", wide(engine.batch_orders_max), 1, 1_024),
        ("engine.queue_max", wide(engine.queue_max), 1, 65_536),
        ("engine.commit_wait_ms", engine.commit_wait_ms, 10, 600_000),
        ("engine.max_lines", wide(engine.max_lines), 1, 500),
        ("engine.idempotency_days", engine.idempotency_days.into(), 1, 365),
        ("engine.cancel_wait_ms", engine.cancel_wait_ms, 0, 60_000),
        ("engine.remind_before_seconds", engine.remind_before_seconds, 0, 30 * DAY_MS / 1000),
        ("engine.receipt_days", engine.receipt_days.into(), 1, 365),
        ("engine.claim_seconds", engine.claim_seconds, 1, 3_600),
        ("notifier.grant_wait_seconds", notifier.grant_wait_seconds, 0, 7 * DAY_MS / 1000),
        ("notifier.tries_max", notifier.tries_max.into(), 1, 100),
        ("notifier.poll_ms", notifier.poll_ms, 10, DAY_MS),
        ("reaper.poll_ms", config.reaper.poll_ms, 10, DAY_MS),
        ("reaper.batch", config.reaper.batch.into(), 1, 1_000),
        ("wechat.connect_timeout_ms", wechat.connect_timeout_ms, 10, 120_000),
        ("wechat.call_timeout_ms", wechat.call_timeout_ms, 10, 120_000),
        ("wechat.refund_timeout_ms", wechat.refund_timeout_ms, 10, 120_000),
    ] {
        found.unless((least..=most).contains(&value), key, || {
            format!("{value} is not between {least} and {most}")
        });
    }
    let call_seconds = wechat.longest_call_seconds();
    found.unless(engine.claim_seconds > call_seconds, "engine.claim_seconds", || {
        format!("must be longer than a call to WeChat may take, {call_seconds} s (wechat)")
    });
    found.unless(
        (1..=100_000_000_000).contains(&engine.max_order_fen),
        "engine.max_order_fen",
        || format!("{} is not between 1 and 100000000000", engine.max_order_fen),
    );
}

const SERVERS: [&str; 4] = ["postgres://", "postgresql://", "mysql://", "mariadb://"];

/// More of one cluster than anybody has.
const SERVERS_MAX: usize = 16;

fn database(config: &Config, found: &mut Found) {
    let database = &config.database;
    let url = database.url.expose_secret();
    let server = SERVERS.iter().find_map(|scheme| url.strip_prefix(scheme));
    found.unless(url.starts_with("sqlite:") || server.is_some(), "database.url", || {
        "must begin with sqlite:, postgres://, mysql:// or mariadb://".into()
    });
    found.unless(server.is_none_or(names_a_database), "database.url", || {
        "names no database: postgres://user:password@host/DATABASE".into()
    });
    if !database.urls.is_empty() {
        cluster(database, found);
    }
}

fn names_a_database(rest: &str) -> bool {
    let path = rest.split('?').next().and_then(|rest| rest.split_once('/'));
    path.is_some_and(|(_, name)| !name.is_empty())
}

/// Several servers, each with the same database.
fn cluster(database: &Database, found: &mut Found) {
    let key = "database.urls";
    found.unless(database.url.expose_secret() == DEFAULT_DATABASE, key, || {
        "cannot be set together with database.url: remove one of the two".into()
    });
    found.unless(database.urls.len() <= SERVERS_MAX, key, || {
        format!("names more than {SERVERS_MAX} servers")
    });
    let urls: Vec<&str> = database.urls.iter().map(ExposeSecret::expose_secret).collect();
    for url in &urls {
        let server = SERVERS.iter().find_map(|scheme| url.strip_prefix(scheme));
        found.unless(server.is_some_and(names_a_database), key, || {
            "each must name a database: postgres://user:password@host/DATABASE, or mysql:// or \
             mariadb://"
                .into()
        });
    }
    let of_postgres = |url: &&str| url.starts_with("postgres");
    let postgres = urls.iter().filter(|url| of_postgres(url)).count();
    found.unless(postgres == 0 || postgres == urls.len(), key, || {
        "must all be servers of one kind, since they are one cluster".into()
    });
    let distinct: HashSet<&&str> = urls.iter().collect();
    found.unless(distinct.len() == urls.len(), key, || "names a server twice".into());
}

fn sandbox(config: &Config, found: &mut Found) {
    let wechat = &config.wechat;
    let bases = [
        ("api_base", &wechat.api_base),
        ("pay_base", &wechat.pay_base),
        ("api_base_2", &wechat.api_base_2),
        ("pay_base_2", &wechat.pay_base_2),
    ];
    for (key, _) in bases.into_iter().filter(|(_, base)| base.is_some()) {
        found.add(
            format!("wechat.{key}"),
            "cannot be set with wechat.mode = \"sandbox\", which starts a simulation and sets it; \
             remove it, or set wechat.mode = \"live\"",
        );
    }
}

fn live(config: &Config, found: &mut Found) {
    match &config.server.public_url {
        None => found.add("server.public_url", "is required in live mode: WeChat notifies it"),
        Some(url) if url_problem(url).is_none() && !https_or_loopback(url) => {
            let what = "must begin with https:// in live mode (loopback addresses excepted)";
            found.add("server.public_url", what);
        }
        Some(_) => {}
    }
    let wechat = &config.wechat;
    for (key, base) in [
        ("wechat.api_base", Some(wechat.api_base())),
        ("wechat.pay_base", Some(wechat.pay_base())),
        ("wechat.api_base_2", wechat.api_base_2()),
        ("wechat.pay_base_2", wechat.pay_base_2()),
    ] {
        base.and_then(url_problem).into_iter().for_each(|what| found.add(key, what));
    }
    let wxapp = &config.wxapp;
    let required = [
        ("wxapp.appid", wxapp.appid.as_str()),
        ("wxapp.secret", wxapp.secret.expose_secret()),
        ("wxapp.mch_id", wxapp.mch_id.as_str()),
        ("wxapp.api_key", wxapp.api_key.expose_secret()),
        ("security.master_key", config.security.master_key.expose_secret()),
    ];
    for (key, _) in required.into_iter().filter(|(_, value)| value.is_empty()) {
        let variable = key.to_ascii_uppercase().replace('.', "__");
        found.add(key, format!("is required in live mode; set BUYNOW__{variable}"));
    }
    merchant_certificate(config, found);
}

/// Surplus money goes back by itself, and WeChat takes no refund without the certificate. A gateway
/// on this machine may hold it instead.
fn merchant_certificate(config: &Config, found: &mut Found) {
    if pays_by_a_gateway(config) {
        return;
    }
    let wxapp = &config.wxapp;
    for (key, file, which) in [
        ("wxapp.cert_file", &wxapp.cert_file, "apiclient_cert.pem"),
        ("wxapp.key_file", &wxapp.key_file, "apiclient_key.pem"),
    ] {
        found.unless(file.is_some(), key, || {
            format!("is required in live mode: WeChat takes no refund without {which}")
        });
    }
}

fn wxapp(config: &Config, found: &mut Found) {
    let wxapp = &config.wxapp;
    found.unless((1..1 << 53).contains(&wxapp.id), "wxapp.id", || {
        format!("{} is not between 1 and 2^53 - 1", wxapp.id)
    });
    let name = wxapp.name.trim();
    found.unless((1..=32).contains(&name.chars().count()), "wxapp.name", || {
        "must have 1 to 32 characters".into()
    });
    let plain = |text: &str| text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    found.unless(plain(&wxapp.appid), "wxapp.appid", || {
        "must be at most 32 letters and digits, such as wx0123456789abcdef".into()
    });
    found.unless(plain(&wxapp.mch_id), "wxapp.mch_id", || {
        "must be at most 32 digits, such as 1900000109".into()
    });
    key_problem(&wxapp.api_key).into_iter().for_each(|what| found.add("wxapp.api_key", what));
    let optional = config.wechat.mode == Mode::Sandbox || pays_by_a_gateway(config);
    let one_of_two = optional && wxapp.cert_file.is_some() != wxapp.key_file.is_some();
    found.unless(!one_of_two, "wxapp.cert_file", || {
        "goes together with wxapp.key_file: the merchant certificate and its key, both PEM".into()
    });
    freight(config, found);
}

fn freight(config: &Config, found: &mut Found) {
    let (wxapp, most) = (&config.wxapp, config.engine.max_order_fen);
    found.unless((0..=most).contains(&wxapp.freight_fen), "wxapp.freight_fen", || {
        format!("{} is not between 0 and engine.max_order_fen ({most})", wxapp.freight_fen)
    });
    let free_from = wxapp.free_freight_from_fen.unwrap_or(0);
    found.unless(free_from >= 0, "wxapp.free_freight_from_fen", || {
        format!("{free_from} is negative")
    });
}

/// Rule: an APIv2 key has 32 letters and digits.
fn key_problem(key: &SecretString) -> Option<&'static str> {
    let key = key.expose_secret();
    let fine = key.is_empty() || key.len() == 32 && key.bytes().all(|b| b.is_ascii_alphanumeric());
    (!fine).then_some("must be 32 letters and digits: the APIv2 key of the merchant platform")
}

fn security(config: &Config, found: &mut Found) {
    let text = config.security.master_key.expose_secret();
    found.unless(text.is_empty() || key_bytes(text).is_some(), "security.master_key", || {
        "must be 32 bytes as 64 hexadecimal digits or as base64, such as `openssl rand -hex 32` makes"
            .into()
    });
    found.unless(crate::telemetry::is_filter(&config.log.level), "log.level", || {
        format!("{:?} is not a filter such as info or info,buynow=debug", config.log.level)
    });
}

/// What is wrong with a URL that others are told to call.
fn url_problem(text: &str) -> Option<String> {
    let uri: Option<Uri> = text.parse().ok();
    let fine = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && !text.contains(['#', '@'])
    });
    (!fine).then(|| {
        format!("{text:?} is not a URL such as https://shop.example, without query or user")
    })
}

impl Config {
    /// Whether the WeChat of this shop runs on this machine, so that no real money moves.
    pub fn has_wechat_on_this_machine(&self) -> bool {
        let wechat = &self.wechat;
        let second = [wechat.api_base_2(), wechat.pay_base_2()].into_iter().flatten();
        let mut bases = [wechat.api_base(), wechat.pay_base()].into_iter().chain(second);
        wechat.mode == Mode::Sandbox || bases.all(is_loopback_http)
    }
}

fn https_or_loopback(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    uri.scheme_str() == Some("https") || uri.host().is_some_and(is_loopback)
}

/// Whether every call to WeChat Pay goes through a gateway on this machine.
fn pays_by_a_gateway(config: &Config) -> bool {
    let wechat = &config.wechat;
    is_loopback_http(wechat.pay_base()) && wechat.pay_base_2().is_none_or(is_loopback_http)
}

fn is_loopback_http(text: &str) -> bool {
    let uri: Option<Uri> = text.parse().ok();
    let plain = uri.filter(|uri| uri.scheme_str() == Some("http"));
    plain.is_some_and(|uri| uri.host().is_some_and(is_loopback))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
