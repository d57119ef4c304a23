//! `buynow demo`: a shop to try, and one purchase that shows what is verified.
//!
//! It always runs on the simulated WeChat and on a database of its own, whatever config.toml says
//! of a real shop: demo.db, or where `database.url` names a server, a database there whose name
//! ends with `_demo`.

mod caller;
mod purchase;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;

use super::admin::made_password;
use super::migrate::url_of;
use super::seed::SAMPLES;
use super::{DemoArgs, serve};
use crate::app::{App, AppError, Options};
use crate::clock::Clock;
use crate::config::{Config, Log, Security, Server, Wechat, Wxapp};
use crate::domain::id::WxappId;
use crate::domain::staff::{Grants, Role, Scope};
use crate::store::db::{self, ServeLockError};
use crate::store::seed::{self, SeedFile, Seeded};
use crate::store::staff::accounts::{AccountError, Accounts, NewAccount};
use crate::store::staff::password;
use crate::telemetry;
use purchase::{Purchase, Scene};

/// Demos that may run in one folder at the same time, each on a file of its own.
const FILES_MAX: u32 = 9;

pub(super) async fn run(config: Config, arguments: DemoArgs) -> anyhow::Result<ExitCode> {
    let mut config = demo_config(config);
    telemetry::init(&config.log);
    let stop = serve::asked_to_stop()?;
    let app = start(&mut config, arguments.port.port).await?;
    let goods = load_samples(&config).await?;
    let (url, readers) = (app.url().to_owned(), app.readers.clone());
    let sandbox = app.sandbox.as_ref().context("the simulated WeChat is not there")?;
    let sandbox_url = sandbox.url().to_owned();

    let (finish, finished) = oneshot::channel::<()>();
    let serving = actix_rt::spawn(app.run_until(async move {
        // Its sender gone means the same as a word from it.
        let _asked = finished.await;
    }));
    let wxapp = config.wxapp.or_sandbox();
    let scene = Scene { url, sandbox_url, wxapp, readers, goods };
    let verified = Purchase::new(&scene).make().await;
    if !arguments.exit {
        let password = staff_account(&config).await?;
        println!("{}", places(&scene, &config, &password));
        stop.await;
    }
    drop(finish);
    serving.await.context("the server broke off")??;
    Ok(if verified { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The settings of a demo: of config.toml it keeps what has nothing to do with a real shop.
fn demo_config(config: Config) -> Config {
    let mut demo = config.clone();
    demo.server = Server { port: config.server.port, ..Server::default() };
    demo.wechat = Wechat::default();
    demo.wxapp = Wxapp::default();
    demo.security = Security::default();
    demo.log = match config.log.level == Log::default().level {
        true => Log { level: "error".to_owned(), ..config.log },
        false => config.log,
    };
    demo
}

/// Starts beside the configured database on its server, else on the first demo file that no other
/// demo is using.
async fn start(config: &mut Config, port: Option<u16>) -> anyhow::Result<App> {
    let configured = url_of(&config.database).await?;
    config.database.urls.clear();
    if let Some(url) = db::beside(&configured, "demo") {
        config.database.url = SecretString::from(url.clone());
        let made = db::create_database(&configured, &url).await;
        made.with_context(|| format!("cannot make {}", config.database.shown()))?;
        return Ok(start_on_some_port(config, port).await?);
    }
    for number in 1..=FILES_MAX {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        config.database.url = SecretString::from(format!("sqlite://demo{suffix}.db"));
        match start_on_some_port(config, port).await {
            Err(AppError::ServeLock(ServeLockError::Held(_))) => {}
            started => return Ok(started?),
        }
    }
    anyhow::bail!("{FILES_MAX} demos are running in this folder already")
}

/// On the port that was named, else on the configured one, else on a free one.
async fn start_on_some_port(config: &Config, port: Option<u16>) -> Result<App, AppError> {
    let on = |port| App::start(config.clone(), Options { port, ..Options::default() });
    match on(port).await {
        Err(AppError::Listen { .. }) if port.is_none() => on(Some(0)).await,
        started => started,
    }
}

async fn load_samples(config: &Config) -> anyhow::Result<Seeded> {
    let (url, now) = (config.database.url.expose_secret(), Clock::system().now());
    let file = SeedFile::parse(SAMPLES.as_bytes())?;
    let wxapp = WxappId::parse(config.wxapp.id)?;
    seed::seed_url(url, wxapp, &file, now).await.context("cannot load the sample goods")
}

/// The log-in of the demo's admin site.
const STAFF: &str = "demo";

/// An owner's account for the admin site, with a password of this run: there is none that others
/// could know.
async fn staff_account(config: &Config) -> anyhow::Result<SecretString> {
    let password = made_password();
    let hash = password::hash(&password)?;
    let accounts = Accounts::open(config.database.url.expose_secret()).await?;
    let now = Clock::system().now();
    let account = NewAccount {
        login: STAFF.to_owned(),
        name: STAFF.to_owned(),
        password_hash: hash.clone(),
        grants: Grants([(Scope::All, Role::Owner)].into()),
    };
    match accounts.create(account, now).await {
        Err(AccountError::Taken(_)) => accounts.set_password(STAFF, hash, now).await?,
        made => made?,
    }
    accounts.close().await?;
    Ok(password)
}

/// Where to go on from here.
fn places(scene: &Scene, config: &Config, password: &SecretString) -> String {
    let Scene { url, sandbox_url, .. } = scene;
    let database = config.database.shown();
    let file = Path::new(database.trim_start_matches("sqlite://")).display();
    format!(
        "\n  Try it yourself      {url}/demo\n  \
           The API, to read     {url}/api/docs\n  \
           Where staff work     {url}/admin (log in as {STAFF}, {})\n  \
           Metrics              {url}/metrics\n  \
           Simulated WeChat     {sandbox_url}\n  \
           Database             {file}\n\n\
         Ctrl-C ends it.",
        password.expose_secret()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;

    #[test]
    fn a_demo_never_uses_the_keys_of_a_real_shop() {
        let mut real = Config::default();
        real.wechat.mode = Mode::Live;
        real.wxapp.appid = "wxreal".into();
        real.security.master_key = "key of the real shop".into();
        real.server.bind = Some(std::net::Ipv4Addr::UNSPECIFIED.into());
        let demo = demo_config(real);
        assert_eq!(demo.wechat.mode, Mode::Sandbox);
        assert!(demo.wxapp.appid.is_empty() && demo.server.bind.is_none());
        assert!(demo.security.master_key.expose_secret().is_empty());
    }
}
