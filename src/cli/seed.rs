//! `buynow seed`: goods from a file, or the samples.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::migrate;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::id::WxappId;
use crate::store::seed::{self, SeedFile};

/// The goods that `demo` sells.
pub const SAMPLES: &str = include_str!("../../assets/demo/samples.json");

#[derive(Debug, Args)]
#[group(id = "goods", required = true, multiple = false, args = ["file", "samples"])]
pub(super) struct SeedArgs {
    /// JSON: {"goods":[{"name","category","deduct_stock","images","specs",
    /// "skus":[{"code","attr","price_fen","stock","weight_g"}]}]}, of which only name, and code,
    /// price_fen and stock of the SKUs, are required
    pub file: Option<PathBuf>,
    /// Load the sample goods that `buynow demo` uses
    #[arg(long)]
    pub samples: bool,
    /// The mini-program whose goods they are, instead of wxapp.id
    #[arg(long, value_name = "ID")]
    pub wxapp: Option<i64>,
}

pub(super) async fn run(config: Config, arguments: SeedArgs) -> anyhow::Result<ExitCode> {
    let wxapp = arguments.wxapp.unwrap_or(config.wxapp.id);
    let wxapp = WxappId::parse(wxapp).with_context(|| format!("--wxapp {wxapp}"))?;
    let file = read(&arguments)?;
    migrate::bring_up(&config.database).await?;
    let (url, now) = (migrate::url_of(&config.database).await?, Clock::system().now());
    let seeded = seed::seed_url(&url, wxapp, &file, now).await;
    let seeded = seeded.with_context(|| format!("cannot load into {}", config.database.shown()))?;
    println!("{}", serde_json::to_string_pretty(&seeded)?);
    Ok(ExitCode::SUCCESS)
}

fn read(arguments: &SeedArgs) -> anyhow::Result<SeedFile> {
    let Some(path) = &arguments.file else {
        return Ok(SeedFile::parse(SAMPLES.as_bytes())?);
    };
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    SeedFile::parse(&bytes).with_context(|| shown.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::goods::DeductStock;

    #[test]
    fn the_samples_show_what_a_shop_needs_to_show() {
        let file = SeedFile::parse(SAMPLES.as_bytes()).unwrap();
        assert!((6..=8).contains(&file.goods.len()));
        assert!(file.goods.iter().filter(|goods| goods.skus.len() > 1).count() >= 3);
        assert!(file.goods.iter().any(|goods| goods.deduct_stock == DeductStock::Payment));
        assert!(file.goods.iter().flat_map(|goods| &goods.skus).any(|sku| sku.stock == 2));
    }
}
