//! `buynow soak`: the proof that anyone can run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use crate::config::Config;
use crate::soak::{self, Counts, Failure, SoakSettings};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct SoakArgs {
    /// How long; the last chapter is finished
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// Draws the plan; a random one when absent, and it is printed
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// An empty database, which is filled; a temporary SQLite file when absent
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Buyers at the same time
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=500))]
    buyers: u16,
}

pub(super) async fn run(mut config: Config, arguments: SoakArgs) -> anyhow::Result<ExitCode> {
    // Nearly everything that goes wrong here goes wrong on purpose.
    if config.log.level == crate::config::Log::default().level {
        config.log.level = "off".to_owned();
    }
    telemetry::init(&config.log);
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let folder = Folder::new(seed)?;
    let settings = SoakSettings {
        seed,
        duration: Duration::from_secs(arguments.minutes * 60),
        chapters_max: u64::MAX,
        buyers: arguments.buyers.into(),
        steps: 250,
        database_url: arguments.database.unwrap_or_else(|| folder.url()),
    };
    println!("seed {seed}, {} buyers, {} minutes", settings.buyers, arguments.minutes);
    let started = Instant::now();
    let told = |counts: &Counts| println!("{}", in_words(counts, started.elapsed()));
    match soak::run(&settings, told).await {
        Ok(_) => {
            println!("seed {seed}: everything that was acknowledged has held");
            folder.remove();
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            println!("{}", what_failed(&failure, seed, &folder));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn in_words(counts: &Counts, elapsed: Duration) -> String {
    let Counts { chapters, steps, orders, refused, paid, refunded, messages, .. } = counts;
    let Counts { misfortunes, faults, notifications, deaths, restarts, crashes, .. } = counts;
    let Counts { adjustments, deeds, audits, commits_hit, .. } = counts;
    let seconds = elapsed.as_secs().max(1);
    format!(
        "chapter {chapters}, {seconds} s: {steps} steps ({} a second), {orders} orders, {refused} \
         refused, {paid} paid, {refunded} payments back, {messages} messages; {misfortunes} \
         misfortunes: {faults} faults of WeChat, {notifications} stormy notifications, {commits_hit} \
         commits hit, {deaths} dead actors, {restarts} restarts, {crashes} crashes, {adjustments} \
         counts of stock, {deeds} deeds of staff; {audits} audits clean",
        steps / seconds,
    )
}

fn what_failed(failure: &Failure, seed: u64, folder: &Folder) -> String {
    let Failure { error, chapter, history } = failure;
    let lines = history.iter().map(|line| format!("  {line}\n")).collect::<String>();
    let kept = folder.path.display();
    format!("{lines}\n{error}\nseed {seed}, chapter {chapter}; the database is kept in {kept}")
}

/// Where the temporary database is.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(seed: u64) -> anyhow::Result<Self> {
        let name = format!("buynow-soak-{seed}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path.join("soak.db").display())
    }

    fn remove(self) {
        // A temporary folder that stays is no failure of the soak.
        let _stays = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_how_to_see_it_again() {
        let error = soak::SoakError::NotEmpty(1, 2);
        let failure = Failure { error, chapter: 3, history: vec!["what came before".into()] };
        let said = what_failed(&failure, 7, &Folder { path: PathBuf::from("/tmp/x") });
        for words in ["seed 7", "chapter 3", "what came before", "1 orders", "/tmp/x"] {
            assert!(said.contains(words), "{said}");
        }
    }
}
