//! `buynow migrate`: makes or updates the tables.

use std::process::ExitCode;

use anyhow::Context;

use crate::config::{Config, Database};
use crate::store::servers::Servers;
use crate::store::{db, migrate};

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    bring_up(&config.database).await?;
    println!("The tables of {} are up to date.", config.database.shown());
    Ok(ExitCode::SUCCESS)
}

/// The URL of the server of the database that takes writes.
pub(super) async fn url_of(database: &Database) -> anyhow::Result<String> {
    let found = Servers::find(&database.servers(), 1).await;
    Ok(found.with_context(|| format!("cannot open the database {}", database.shown()))?.url())
}

/// Opens the database, makes it where there is none, and brings its tables up to date.
pub(super) async fn bring_up(database: &Database) -> anyhow::Result<()> {
    let shown = database.shown();
    let opened = db::open_writer(&url_of(database).await?).await;
    let db = opened.with_context(|| format!("cannot open the database {shown}"))?;
    let done = migrate::up(&db).await;
    db.close().await.with_context(|| format!("cannot close the database {shown}"))?;
    done.with_context(|| format!("cannot bring the tables of {shown} up to date"))
}
