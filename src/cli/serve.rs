//! `buynow serve`: the shop as the configuration describes it.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use tokio::signal::unix::{SignalKind, signal};

use super::ServeArgs;
use crate::app::{App, Options};
use crate::config::Config;
use crate::crash;
use crate::telemetry;

pub(super) async fn run(config: Config, arguments: ServeArgs) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log);
    arm_crash_point(&config)?;
    let stop = asked_to_stop()?;
    let options = Options {
        port: arguments.port.port,
        sandbox_public: arguments.sandbox_public,
        ..Options::default()
    };
    let app = App::start(config, options).await?;
    tracing::info!(url = app.url(), "buynow serves");
    app.run_until(stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// For the tests of crashes; where real money moves it is refused.
fn arm_crash_point(config: &Config) -> anyhow::Result<()> {
    let Ok(text) = std::env::var(crash::VARIABLE) else { return Ok(()) };
    ensure!(
        config.has_wechat_on_this_machine(),
        "{} is for tests with a simulated WeChat; unset it",
        crash::VARIABLE
    );
    crash::arm(&text)?;
    tracing::warn!(point = text, "this process will end itself, because a test asked for it");
    Ok(())
}

/// Ends at SIGTERM or Ctrl-C.
pub(super) fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
