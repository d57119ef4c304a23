//! `buynow admin`: accounts of the admin site, for those who stand at the machine.
//!
//! There is no account until one is made here: none by default, none with a known password.

use std::io::{BufRead as _, Read as _};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use rand::Rng as _;
use secrecy::{ExposeSecret, SecretString};

use super::migrate;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::staff::{Grants, Role, Scope, login_name};
use crate::store::staff::accounts::{Accounts, NewAccount};
use crate::store::staff::password;

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Make an account
    ///
    /// An owner of everything, unless another role is named. The password is read from standard
    /// input with --password-stdin; else one is made and printed, this once.
    Create(CreateArgs),
    /// Give an account a new password, and end its log-ins and tokens
    ///
    /// The password is read from standard input with --password-stdin; else one is made and
    /// printed, this once. A running server knows of it at once.
    ResetPassword(AccountArgs),
    /// Take two-step log-in away from an account whose owner has lost the phone
    ///
    /// Ends the log-ins of the account as well. The password stays as it is, so a thief of the
    /// phone alone gains nothing by this.
    ResetTwoStep(LoginArgs),
    /// List the accounts
    ///
    /// Prints one line for each account: the log-in, the name, whether two-step log-in is on, and
    /// whether it is disabled.
    List,
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    account: AccountArgs,
    /// What others read; the log-in when left out
    #[arg(long)]
    name: Option<String>,
    /// owner, operations, warehouse, finance or read_only; in every mini-program
    #[arg(long, default_value = "owner")]
    role: String,
}

#[derive(Debug, Args)]
pub(super) struct AccountArgs {
    #[command(flatten)]
    login: LoginArgs,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// The log-in: 3 to 32 lower-case letters, digits, dots, dashes
    #[arg(value_name = "LOGIN")]
    login: String,
}

pub(super) async fn run(config: Config, command: AdminCommand) -> anyhow::Result<ExitCode> {
    migrate::bring_up(&config.database).await?;
    let shown = config.database.shown();
    let accounts = Accounts::open(&migrate::url_of(&config.database).await?).await;
    let accounts = accounts.with_context(|| format!("cannot open the database {shown}"))?;
    let done = act(&accounts, command).await;
    accounts.close().await.with_context(|| format!("cannot close the database {shown}"))?;
    done.map(|()| ExitCode::SUCCESS)
}

async fn act(accounts: &Accounts, command: AdminCommand) -> anyhow::Result<()> {
    match command {
        AdminCommand::Create(arguments) => create(accounts, arguments).await,
        AdminCommand::ResetPassword(arguments) => reset_password(accounts, arguments).await,
        AdminCommand::ResetTwoStep(LoginArgs { login }) => {
            accounts.clear_two_step(&login.to_lowercase(), Clock::system().now()).await?;
            println!("{login} logs in with the password alone from now on.");
            Ok(())
        }
        AdminCommand::List => list(accounts).await,
    }
}

async fn create(accounts: &Accounts, arguments: CreateArgs) -> anyhow::Result<()> {
    let login = login_name(&arguments.account.login.login)?;
    let role = Role::parse(&arguments.role);
    let role = role.with_context(|| format!("--role {}: no such role", arguments.role))?;
    let name = arguments.name.unwrap_or_else(|| login.clone());
    ensure!((1..=32).contains(&name.chars().count()), "--name: 1 to 32 characters");
    let (given, made) = new_password(arguments.account.password_stdin)?;
    let grants = Grants([(Scope::All, role)].into());
    let password_hash = password::hash(&given)?;
    let account = NewAccount { login: login.clone(), name, password_hash, grants };
    accounts.create(account, Clock::system().now()).await?;
    println!("The account {login} is there.");
    tell(made.as_ref());
    Ok(())
}

async fn reset_password(accounts: &Accounts, arguments: AccountArgs) -> anyhow::Result<()> {
    let login = arguments.login.login.to_lowercase();
    let (given, made) = new_password(arguments.password_stdin)?;
    let hash = password::hash(&given)?;
    accounts.set_password(&login, hash, Clock::system().now()).await?;
    println!("{login} has a new password; its log-ins and tokens have ended.");
    tell(made.as_ref());
    Ok(())
}

async fn list(accounts: &Accounts) -> anyhow::Result<()> {
    for member in accounts.all().await? {
        let two_step = if member.totp_secret.is_some() { "two-step" } else { "password only" };
        let state = if member.disabled_at.is_some() { "disabled" } else { "active" };
        println!("{}\t{}\t{two_step}\t{state}", member.login, member.name);
    }
    Ok(())
}

fn tell(made: Option<&SecretString>) {
    if let Some(made) = made {
        println!("Its password, shown this once: {}", made.expose_secret());
    }
}

/// The password to set, and the same again if it was made here and must be told.
fn new_password(from_stdin: bool) -> anyhow::Result<(SecretString, Option<SecretString>)> {
    if !from_stdin {
        let made = made_password();
        return Ok((made.clone(), Some(made)));
    }
    let mut line = String::new();
    std::io::stdin().lock().take(4096).read_line(&mut line).context("no password to read")?;
    let given = SecretString::from(line.trim_end_matches(['\r', '\n']));
    ensure!(
        password::is_allowed(&given),
        "a password has {} to {} characters",
        password::MIN,
        password::MAX
    );
    Ok((given, None))
}

/// A password of 20 letters and digits that are not taken for each other: some 100 bits.
pub(super) fn made_password() -> SecretString {
    const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = rand::rng();
    let letter = |_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]);
    SecretString::from((0..20).map(letter).collect::<String>())
}
