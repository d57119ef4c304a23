//! The soak: buyers, misfortune, and a model that remembers what was acknowledged.
//!
//! A whole shop runs in this process on a database of its own, with the simulated WeChat and a
//! clock that the soak moves. Buyers order, repeat, pay (twice, late, not), give up; meanwhile
//! WeChat fails, notifications storm, actors die, commits lose their answers, staff count stock,
//! ship and give money back, and the shop is restarted or let go in the middle of its work. A
//! chapter ends when each buyer has done his steps; then everything is brought to its end and
//! compared, see `verify.rs`.
//!
//! The seed alone decides the plans of buyers and of misfortune. It does not decide how their steps
//! interleave, which batch a command rides in, or which of two buyers gets the last piece: the same
//! seed is the same plan, not the same run.

mod buyer;
mod chance;
mod chaos;
mod goods;
mod model;
mod plan;
mod shop;
mod staff;
mod verify;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::app::AppError;
use crate::domain::id::WxappId;
use crate::sandbox::ControlError;
use crate::store::StoreError;
use crate::store::audit::audit;
use crate::store::seed::{SeedError, seed_url};
use buyer::Buyer;
use goods::SkuUnderTest;
pub use model::Breach;
use model::Model;
use plan::{BuyerPlan, ChaosPlan, SKUS};
use shop::Shop;

/// The mini-program that every server has.
const FIRST_WXAPP: i64 = 10_001;

/// What is run.
#[derive(Debug, Clone)]
pub struct SoakSettings {
    pub seed: u64,
    /// No further chapter begins after this much time.
    pub duration: Duration,
    /// At most so many chapters.
    pub chapters_max: u64,
    pub buyers: usize,
    /// Steps of each buyer in a chapter.
    pub steps: usize,
    /// An empty database.
    pub database_url: String,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub chapters: u64,
    /// Steps of buyers.
    pub steps: u64,
    /// Orders that were acknowledged.
    pub orders: u64,
    pub refused: u64,
    /// Payments that pay an order.
    pub paid: u64,
    /// Payments that went back.
    pub refunded: u64,
    pub messages: u64,
    pub misfortunes: u64,
    pub faults: u64,
    /// Notifications sent by storms, besides WeChat's own.
    pub notifications: u64,
    pub deaths: u64,
    pub restarts: u64,
    pub crashes: u64,
    pub adjustments: u64,
    /// What staff have done or tried.
    pub deeds: u64,
    pub audits: u64,
    /// Commits that failed, vanished or lost their answer.
    pub commits_hit: u64,
}

/// Why a soak has ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    #[error("breach: {0}")]
    Breach(#[from] Breach),
    #[error("the database is not empty: it has {0} orders and {1} SKUs")]
    NotEmpty(i64, i64),
    #[error("a buyer could not arrive: {0}")]
    Arrival(String),
    #[error("the simulated WeChat: {0}")]
    Wechat(std::io::Error),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A soak that has failed, with all that helps to find out why.
#[derive(Debug)]
pub struct Failure {
    pub error: SoakError,
    pub chapter: u64,
    /// What happened to the order or SKU concerned, latest last.
    pub history: Vec<String>,
}

/// What buyers, misfortune and the end of a chapter share.
struct World {
    shop: Shop,
    wxapp: WxappId,
    skus: Vec<SkuUnderTest>,
    model: RefCell<Model>,
    /// Pieces sold for good in former chapters, by SKU.
    sold: RefCell<Vec<i64>>,
    counts: Cell<Counts>,
}

impl World {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// A breach that the audit has put into words, with the order or SKU that it names.
    fn concerning(&self, text: String) -> Breach {
        let named = |name: &str| {
            let rest = text.split(name).nth(1)?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<i64>().ok()
        };
        let order = named("order ").and_then(|id| {
            let model = self.model.borrow();
            let is = |known: &Option<(i64, String)>| known.as_ref().is_some_and(|k| k.0 == id);
            model.all().iter().find(|(_, wanted)| is(&wanted.order)).map(|(key, _)| key.clone())
        });
        let sku = named("SKU ").and_then(|id| self.skus.iter().position(|sku| sku.id == id));
        Breach { key: order, sku, ..Breach::new(text) }
    }
}

/// Runs chapter after chapter; each that has held is told with what has happened so far.
pub async fn run(
    settings: &SoakSettings,
    mut told: impl FnMut(&Counts),
) -> Result<Counts, Box<Failure>> {
    let fail = |error, chapter, history| Box::new(Failure { error, chapter, history });
    let world = open(settings).await.map_err(|error| fail(error, 0, Vec::new()))?;
    let world = Rc::new(world);
    let started = Instant::now();
    let mut chapter = 0;
    while chapter == 0 || (chapter < settings.chapters_max && started.elapsed() < settings.duration)
    {
        chapter += 1;
        if let Err(error) = run_chapter(&world, settings, chapter).await {
            let history = match &error {
                SoakError::Breach(breach) => world.model.borrow().history(breach),
                _ => world.model.borrow().history(&Breach::new("")),
            };
            return Err(fail(error, chapter, history));
        }
        told(&world.counts.get());
    }
    let ended = world.shop.end(shop::Ending::Orderly).await;
    ended.map_err(|error| fail(error, chapter, Vec::new()))?;
    Ok(world.counts.get())
}

/// Starts the shop on its empty database and puts goods on the shelf.
async fn open(settings: &SoakSettings) -> Result<World, SoakError> {
    let shop = Shop::new(&settings.database_url, settings.seed)?;
    shop.start().await?;
    let now = shop.clock.now();
    if let Some(parts) = shop.parts() {
        let report = audit(&parts.readers, now).await?;
        if report.orders > 0 || report.skus > 0 {
            return Err(SoakError::NotEmpty(report.orders, report.skus));
        }
    }
    let wxapp = WxappId::parse(FIRST_WXAPP).map_err(AppError::from)?;
    let seeded = seed_url(&settings.database_url, wxapp, &goods::first()?, now).await?;
    Ok(World {
        shop,
        wxapp,
        skus: goods::under_test(&seeded),
        model: RefCell::default(),
        sold: RefCell::new(vec![0; SKUS]),
        counts: Cell::default(),
    })
}

async fn run_chapter(
    world: &Rc<World>,
    settings: &SoakSettings,
    chapter: u64,
) -> Result<(), SoakError> {
    world.model.replace(Model::default());
    let mut buyers = Vec::new();
    for index in 0..settings.buyers {
        buyers.push(Buyer::arrive(world.clone(), chapter, index).await?);
    }
    let buyers = Rc::new(buyers);
    let lived = live(world, settings, chapter, &buyers).await;
    world.count(|counts| counts.commits_hit = world.shop.chance.hits());
    lived?;
    verify::verify(world, &buyers).await?;
    tally(world);
    Ok(())
}

/// Buyers and misfortune go through their plans side by side, until the buyers are done.
async fn live(
    world: &Rc<World>,
    settings: &SoakSettings,
    chapter: u64,
    buyers: &[Buyer],
) -> Result<(), SoakError> {
    world.shop.chance.set(true);
    let progress = Rc::new(Semaphore::new(0));
    let plan = ChaosPlan::new(settings.seed, chapter);
    let mut misfortune = actix_rt::spawn(chaos::run(world.clone(), progress.clone(), plan));
    let crowd = buyers.iter().enumerate().map(|(index, buyer)| {
        let plan = BuyerPlan::new(settings.seed, chapter, index).take(settings.steps);
        live_one(world, &progress, buyer, plan)
    });
    let crowd = futures_util::future::try_join_all(crowd);
    tokio::select! {
        lived = crowd => { lived?; }
        // It ends by itself only when it has met something that must not be.
        ended = &mut misfortune => return ended.unwrap_or(Ok(())),
    }
    // It finishes what it is doing, such as a restart, and begins nothing more.
    progress.close();
    misfortune.await.unwrap_or(Ok(()))
}

async fn live_one(
    world: &World,
    progress: &Semaphore,
    buyer: &Buyer,
    plan: impl Iterator<Item = plan::BuyerStep>,
) -> Result<(), SoakError> {
    for step in plan {
        buyer.step(step).await?;
        world.count(|counts| counts.steps += 1);
        progress.add_permits(1);
    }
    Ok(())
}

/// Adds a chapter that has held to the counts.
fn tally(world: &World) {
    let model = world.model.borrow();
    let count = |fits: &dyn Fn(&model::Wanted) -> bool| {
        model.all().values().filter(|wanted| fits(wanted)).count() as u64
    };
    let orders = count(&|wanted| wanted.order.is_some());
    let refused = count(&|wanted| wanted.refused.is_some());
    world.count(|counts| {
        counts.chapters += 1;
        counts.orders += orders;
        counts.refused += refused;
    });
}
