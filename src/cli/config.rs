//! `buynow config check`: every problem of the settings, or what they come to.

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::{Config, ConfigError, Mode};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the settings: list every problem, or tell what they come to
    ///
    /// Reads config.toml (or --config FILE) and the environment, without starting anything.
    /// Secrets are not shown. Exit code 2 when something is wrong.
    Check,
}

/// What sound settings come to.
pub(super) fn check(config: &Config) -> ExitCode {
    print!("{}", summary(config));
    ExitCode::SUCCESS
}

/// Every problem of settings that are not, a line each.
pub(super) fn refuse(error: &ConfigError) -> ExitCode {
    error.problems().iter().for_each(|problem| eprintln!("buynow: {problem}"));
    ExitCode::from(2)
}

/// What the settings come to, for people.
fn summary(config: &Config) -> String {
    let (mode, wxapp) = match config.wechat.mode {
        Mode::Sandbox => ("sandbox, a simulated WeChat", config.wxapp.or_sandbox()),
        Mode::Live => ("live", config.wxapp.clone()),
    };
    let listen = match config.listen_ip(false) {
        Ok(ip) => std::net::SocketAddr::new(ip, config.server.port).to_string(),
        Err(_) => "only with --sandbox-public".to_owned(),
    };
    let told: Vec<_> = wxapp.templates.iter().map(|(event, _)| event).collect();
    let mut text = String::from("The settings are fine.\n");
    for (name, value) in [
        ("WeChat", mode.to_owned()),
        ("listens on", listen),
        ("reached by", config.public_url(config.server.port)),
        ("database", config.database.shown()),
        ("mini-program", format!("{} {} ({})", wxapp.id, wxapp.name, wxapp.appid)),
        ("merchant", format!("{}, {}", wxapp.mch_id, wxapp.sign_type.as_str())),
        ("messages", if told.is_empty() { "none".into() } else { told.join(", ") }),
    ] {
        text.push_str(&format!("  {name:<13}{value}\n"));
    }
    for note in notes(config) {
        text.push_str(&format!("Note: {note}\n"));
    }
    text
}

/// What is allowed and yet worth a second look.
fn notes(config: &Config) -> Vec<&'static str> {
    let live = config.wechat.mode == Mode::Live;
    let templates = config.wxapp.templates.iter().count();
    [
        (live && templates == 0, "no message templates: buyers will not be told of anything."),
        (
            live && config.server.trusted_proxies.is_empty(),
            "no trusted_proxies: behind a proxy every buyer seems to have the proxy's address.",
        ),
        (
            config.server.cors_origins.iter().any(|origin| origin == "*"),
            "cors_origins has \"*\": any web page may call the API.",
        ),
    ]
    .into_iter()
    .filter_map(|(holds, note)| holds.then_some(note))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_the_defaults_names_what_will_run() {
        let text = summary(&Config::default());
        for part in ["127.0.0.1:8080", "sqlite://buynow.db", "10001 买它小店", "order_paid"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("Note"), "{text}");
    }

    #[test]
    fn live_settings_without_messages_and_proxies_get_notes() {
        let mut config = Config::default();
        config.wechat.mode = Mode::Live;
        config.server.cors_origins.push("*".into());
        assert_eq!(notes(&config).len(), 3);
    }
}
