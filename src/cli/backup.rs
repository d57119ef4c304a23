//! `buynow backup` and `buynow restore`: the database as one file, and back.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use secrecy::ExposeSecret as _;

use crate::app;
use crate::config::Config;
use crate::store::backup::{self, Contents, Existing};

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to make
    pub file: PathBuf,
    /// Replace FILE when it is there already
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `buynow backup` has made
    pub file: PathBuf,
}

pub(super) async fn back_up(config: Config, arguments: BackupArgs) -> anyhow::Result<ExitCode> {
    let existing = if arguments.force { Existing::Replace } else { Existing::Keep };
    let (url, shown) = (config.database.url.expose_secret(), config.database.shown());
    let made = backup::back_up(url, &arguments.file, existing).await;
    let contents = made.with_context(|| format!("cannot back up {shown}"))?;
    println!("{} is a verified copy of {shown}:", arguments.file.display());
    println!("{}.", in_words(&contents));
    println!("Its secrets open with today's security.master_key only: keep that key elsewhere.");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(config: Config, arguments: RestoreArgs) -> anyhow::Result<ExitCode> {
    let (url, shown) = (config.database.url.expose_secret(), config.database.shown());
    let (file, sealer) = (arguments.file, app::sealer(&config)?);
    let restored = backup::restore(url, &file, &sealer).await;
    let restored = restored.with_context(|| format!("cannot restore {shown}"))?;
    println!("{shown} is now a verified copy of {}:", file.display());
    println!("{}.", in_words(&restored.contents));
    if let Some(aside) = restored.aside {
        println!("What was there is kept as {}.", aside.display());
    }
    println!(
        "What happened after the copy was made is not in it. Money that has come since shows as\n\
         paid orders or as incidents once it is served; docs/backup.md says what to look at."
    );
    Ok(ExitCode::SUCCESS)
}

fn in_words(contents: &Contents) -> String {
    let Contents { bytes, orders, newest_order } = contents;
    let newest = newest_order.and_then(|at| jiff::Timestamp::from_millisecond(at.as_millis()).ok());
    match newest {
        Some(at) => format!("{orders} orders, the newest of {at}, {bytes} bytes"),
        None => format!("{orders} orders, {bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_copy_is_told_by_its_orders_and_their_time() {
        let newest_order = Some(Timestamp::from_seconds(1_795_600_800));
        let contents = Contents { bytes: 4096, orders: 2, newest_order };
        let words = "2 orders, the newest of 2026-11-25T10:00:00Z, 4096 bytes";
        assert_eq!(in_words(&contents), words);
        let empty = Contents { bytes: 4096, orders: 0, newest_order: None };
        assert_eq!(in_words(&empty), "0 orders, 4096 bytes");
    }
}
