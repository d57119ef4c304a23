//! The command line: one file for each command, and what a command's end means for the shell.
//!
//! Exit codes: 0 done; 1 the command did its work and found something wrong (audit, `demo --exit`);
//! 2 it could not be done, with one line on standard error that says why.

mod admin;
mod audit;
mod backup;
mod config;
mod demo;
mod migrate;
mod seed;
mod serve;
mod soak;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Config;

/// An order engine for WeChat mini-program shops: takes the order, never sells what is not
/// there, gets the money, tells the buyer.
#[derive(Debug, Parser)]
#[command(name = "buynow", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "First steps:\n  \
    buynow demo       a shop with sample goods and a simulated WeChat, and one purchase to watch\n  \
    buynow serve      the shop as config.toml describes it\n\n\
    Settings come from config.toml and from variables such as BUYNOW__SERVER__PORT=9000.")]
struct Cli {
    /// Read settings from FILE instead of config.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the shop
    ///
    /// Brings the database up to date, starts the engine and serves until SIGTERM or Ctrl-C, then
    /// finishes what it has begun. With `wechat.mode = "sandbox"` a simulated WeChat is started
    /// as well, GET /demo is a page to try the shop, and only this machine can reach it.
    Serve(ServeArgs),
    /// Try it: a shop with sample goods, a simulated WeChat, and one purchase to watch
    ///
    /// Uses a database of its own (demo.db), and another port when server.port is taken. Makes one
    /// purchase over HTTP, from login to the message on the buyer's phone, says at each step what
    /// was verified, and then keeps serving: open the page it prints.
    Demo(DemoArgs),
    /// Make or update the tables of the database
    ///
    /// `serve` does this at its start, too. Several at once are safe: they wait for each other.
    Migrate,
    /// Check stock, orders and money of the database against each other
    ///
    /// Reads one consistent snapshot, also while the server runs, and prints a line for each
    /// breach. Exit code 0: all is well; 1: there are breaches; 2: it could not look. With
    /// --repair-plan what would mend each follows; nothing is ever changed.
    Audit(audit::AuditArgs),
    /// Copy the database into FILE, also while it is served
    ///
    /// One consistent snapshot: every order that was acknowledged before this began is in it. The
    /// copy is verified and synced before it gets its name. SQLite only; for other databases
    /// docs/backup.md names their own tools. Exit code 2: there is no copy.
    Backup(backup::BackupArgs),
    /// Put a copy that `buynow backup` has made in the place of the database
    ///
    /// Refuses while the database is served, and a copy that is damaged, of a newer buynow, or
    /// sealed with another security.master_key. What was there is kept beside it as
    /// *.before-restore. SQLite only. Read docs/backup.md before you serve an older copy.
    Restore(backup::RestoreArgs),
    /// Load goods
    ///
    /// Goods and SKUs are known by their codes, so loading twice changes nothing. Prints the ids
    /// as JSON. A running server shows them within a second.
    Seed(seed::SeedArgs),
    /// Accounts of the admin site
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Try to break it: a shop under load, faults and crashes, and a memory of what it promised
    ///
    /// Runs a whole shop with a simulated WeChat on an empty database, for minutes or for days:
    /// buyers order, repeat, pay and give up while WeChat fails, actors die, commits lose their
    /// answers and the shop is restarted. Whatever was acknowledged must hold. Exit code 0: it did;
    /// 1: it did not, and the seed and what led to it are printed. The same seed is the same plan,
    /// though not the same timing.
    Soak(soak::SoakArgs),
    /// Look at the settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

#[derive(Debug, Args)]
struct ServeArgs {
    #[command(flatten)]
    port: Port,
    /// Let others than this machine reach a shop whose WeChat is simulated: anyone can "pay"
    #[arg(long)]
    sandbox_public: bool,
}

#[derive(Debug, Args)]
struct DemoArgs {
    #[command(flatten)]
    port: Port,
    /// End after the purchase; exit code 0 only if every step was verified
    #[arg(long)]
    exit: bool,
}

/// Which port to listen on; for the commands that serve.
#[derive(Debug, Args)]
struct Port {
    /// Listen on this port instead of server.port; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Runs the command of the process's arguments and tells what its end means for the shell.
pub fn run() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let loaded = Config::load(config.as_deref());
    if let (Command::Config(config::ConfigCommand::Check), Err(error)) = (&command, &loaded) {
        return config::refuse(error);
    }
    let outcome = loaded.map_err(Into::into).and_then(|config| dispatch(command, config));
    outcome.unwrap_or_else(|error| fail(&error))
}

fn dispatch(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    let system = actix_rt::System::new();
    match command {
        Command::Serve(arguments) => system.block_on(serve::run(config, arguments)),
        Command::Demo(arguments) => system.block_on(demo::run(config, arguments)),
        Command::Migrate => system.block_on(migrate::run(config)),
        Command::Audit(arguments) => system.block_on(audit::run(config, arguments)),
        Command::Backup(arguments) => system.block_on(backup::back_up(config, arguments)),
        Command::Restore(arguments) => system.block_on(backup::restore(config, arguments)),
        Command::Seed(arguments) => system.block_on(seed::run(config, arguments)),
        Command::Admin(command) => system.block_on(admin::run(config, command)),
        Command::Soak(arguments) => system.block_on(soak::run(config, arguments)),
        Command::Config(config::ConfigCommand::Check) => Ok(config::check(&config)),
    }
}

/// One line on standard error, whatever the error is made of.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("buynow: {}", one_line(&with_causes(error)));
    ExitCode::from(2)
}

/// The error and its causes, but for those that it has quoted itself.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| {
        match (said.is_empty(), said.contains(&cause)) {
            (true, _) => cause,
            (_, true) => said,
            _ => format!("{said}: {cause}"),
        }
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
    }

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_of_its_own() {
        for command in [
            "serve",
            "demo",
            "migrate",
            "audit",
            "backup",
            "restore",
            "seed",
            "soak",
            "config check",
        ] {
            let help = parse(&format!("buynow {command} --help")).unwrap_err();
            assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp, "{command}");
            assert!(help.to_string().lines().count() > 6, "{help}");
        }
    }

    #[test]
    fn serve_and_demo_take_a_port() {
        let Command::Serve(serve) = parse("buynow serve --port 0 --sandbox-public").unwrap() else {
            panic!("not serve")
        };
        assert_eq!((serve.port.port, serve.sandbox_public), (Some(0), true));
        let Command::Demo(demo) = parse("buynow demo --exit --config x.toml").unwrap() else {
            panic!("not demo")
        };
        assert_eq!((demo.port.port, demo.exit), (None, true));
        assert!(parse("buynow serve --port 70000").is_err());
    }

    #[test]
    fn seed_takes_a_file_or_the_samples() {
        assert!(parse("buynow seed goods.json").is_ok());
        assert!(parse("buynow seed --samples").is_ok());
        assert!(parse("buynow seed").is_err());
        assert!(parse("buynow seed goods.json --samples").is_err());
    }

    #[test]
    fn a_cause_is_said_once() {
        let quoting = anyhow::anyhow!("no such file").context("cannot open x: no such file");
        let error = quoting.context("cannot start");
        assert_eq!(with_causes(&error), "cannot start: cannot open x: no such file");
    }

    #[test]
    fn an_error_is_one_line() {
        assert_eq!(one_line("a: b\n  at c\n"), "a: b at c");
    }
}
