//! A shop for tests of the engine: a database of its own, journal and goods actor on arbiters of
//! their own, a clock that stands still, and commits that fail, wait or lose their answers on
//! command.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::Arbiter;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, QueryOrder, Statement};
use tokio::sync::{oneshot, watch};

use super::goods::{self, Admit, AdmitError, Board, GoodsActor, Listener};
use super::journal::{
    CommitProbe, JournalActor, JournalError, JournalHandle, JournalSettings, Point, Verdict,
    WriteRows,
};
use crate::clock::Clock;
use crate::domain::admission::PlaceRefusal;
use crate::domain::fold::tests::world::{self, START, World};
use crate::domain::fold::{Command, Outcome, Place, Placed};
use crate::domain::id::{OrderId, WxappId};
use crate::store::audit::audit;
use crate::store::db::{open_readers, open_writer};
use crate::store::ids::Ids;
use crate::store::servers::Servers;
use crate::store::test_databases::TestDatabase;
use crate::store::testing::{insert_goods, insert_sku};
use crate::store::{Readers, Write};

/// How old memory may be when it refuses, in milliseconds.
pub const REFRESH_MS: i64 = 500;
/// Longer than any test.
const PATIENCE: Duration = Duration::from_secs(60);
pub const BATCH_MAX: usize = 256;
pub const QUEUE_MAX: usize = 1_024;

/// What a commit does at a point, in the order in which tests ask for it.
enum Trick {
    Say(Verdict),
    Hold(oneshot::Sender<()>, oneshot::Receiver<Verdict>),
    Panic,
}

/// Follows the test's script; without one every commit goes on.
#[derive(Clone, Default)]
pub struct Probe(Arc<Mutex<VecDeque<(Point, Trick)>>>);

/// A commit that waits.
pub struct Held {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<Verdict>,
}

impl Held {
    /// Waits until the commit is there.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.unwrap();
    }
    pub fn release(self, verdict: Verdict) {
        self.release.send(verdict).unwrap();
    }
}

impl Probe {
    /// The next commit that comes to this point.
    pub fn say(&self, point: Point, verdict: Verdict) {
        self.push(point, Trick::Say(verdict));
    }
    pub fn panic(&self, point: Point) {
        self.push(point, Trick::Panic);
    }
    pub fn hold(&self, point: Point) -> Held {
        let (there, reached) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.push(point, Trick::Hold(there, released));
        Held { reached, release }
    }
    fn push(&self, point: Point, trick: Trick) {
        self.0.lock().unwrap().push_back((point, trick));
    }
    fn next(&self, point: Point) -> Option<Trick> {
        let mut script = self.0.lock().unwrap();
        let index = script.iter().position(|(at, _)| *at == point)?;
        script.remove(index).map(|(_, trick)| trick)
    }
}

impl CommitProbe for Probe {
    fn at(&self, point: Point) -> BoxFuture<'static, Verdict> {
        match self.next(point) {
            None => std::future::ready(Verdict::GoOn).boxed(),
            Some(Trick::Say(verdict)) => std::future::ready(verdict).boxed(),
            Some(Trick::Panic) => panic!("the probe was told to panic"),
            Some(Trick::Hold(there, released)) => async move {
                let _gone = there.send(());
                released.await.unwrap_or(Verdict::GoOn)
            }
            .boxed(),
        }
    }
}

/// Why somebody did not get an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotBought {
    Refused(PlaceRefusal),
    /// Memory is old and the database does not answer.
    NoStock,
    Journal(JournalError),
}

/// What somebody got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bought {
    New(OrderId),
    Replay(OrderId),
}

pub struct Shop {
    pub readers: Readers,
    pub clock: Clock,
    pub ids: Arc<Ids>,
    pub probe: Probe,
    pub journal: JournalHandle,
    goods: RefCell<Addr<GoodsActor>>,
    pub alive: watch::Receiver<bool>,
    pub journal_addr: Addr<JournalActor>,
    engine: Arbiter,
    journal_arbiter: Arbiter,
    pub database: Arc<TestDatabase>,
}

impl Shop {
    /// The shop of [`World::new`], with that many buyers who have an address.
    pub async fn start(stock: i64, buyers: i64) -> Self {
        Self::start_with(World::new(stock), buyers, QUEUE_MAX).await
    }

    pub async fn start_with(world: World, buyers: i64, queue_max: usize) -> Self {
        let database = TestDatabase::fresh().await.migrated().await;
        fill(&database.url, &world, buyers).await;
        Self::open(Arc::new(database), queue_max, PATIENCE).await
    }

    /// At a URL, on a database with nothing in it.
    pub async fn start_at(url: String, world: World, buyers: i64) -> Self {
        let database = TestDatabase::at(url).migrated().await;
        fill(&database.url, &world, buyers).await;
        Self::open(Arc::new(database), QUEUE_MAX, PATIENCE).await
    }

    /// Another process on the same database. Its transactions may take so long.
    pub async fn beside(&self, limit: Duration) -> Self {
        Self::open(self.database.clone(), QUEUE_MAX, limit).await
    }

    /// The same at another address of the server.
    pub async fn by_way_of(&self, url: String, limit: Duration) -> Self {
        Self::open(Arc::new(TestDatabase::at(url)), QUEUE_MAX, limit).await
    }

    async fn open(database: Arc<TestDatabase>, queue_max: usize, limit: Duration) -> Self {
        let url = database.url.clone();
        let readers = open_readers(&url, 4).await.unwrap();
        let (clock, ids, probe) =
            (Clock::manual(START), Arc::new(Ids::default()), Probe::default());
        let (engine, journal_arbiter) = (Arbiter::new(), Arbiter::new());
        let (sender, alive) = watch::channel(true);
        let settings = JournalSettings {
            servers: Servers::One(url.clone()),
            batch_max: BATCH_MAX,
            queue_max,
            ids: ids.clone(),
            clock: clock.clone(),
            probe: Arc::new(probe.clone()),
            transaction_limit: limit,
            alive: sender,
        };
        let journal_addr = JournalActor::start_in_arbiter(&journal_arbiter.handle(), move |_| {
            JournalActor::new(settings)
        });
        let journal = JournalHandle::new(journal_addr.clone(), PATIENCE);
        ids.draw_one().await.unwrap();
        let goods = start_goods(&engine, &readers, &clock);
        journal.listen(world::wxapp(), listener(&goods));
        Self {
            readers,
            clock,
            ids,
            probe,
            journal,
            goods: RefCell::new(goods),
            alive,
            journal_addr,
            database,
            engine,
            journal_arbiter,
        }
    }

    pub fn goods(&self) -> Addr<GoodsActor> {
        self.goods.borrow().clone()
    }

    /// A further goods actor of the same mini-program; the journal tells it from now on.
    pub fn replace_goods(&self) -> Addr<GoodsActor> {
        let fresh = start_goods(&self.engine, &self.readers, &self.clock);
        self.journal.listen(world::wxapp(), listener(&fresh));
        self.goods.replace(fresh)
    }

    pub async fn place(&self, key: &str, buyer: i64, items: &[(i64, i64)]) -> Place {
        let order = self.ids.draw_one().await.unwrap();
        let mut place = world::place(order, buyer, items);
        place.key.key = world::key(buyer, key);
        place
    }

    /// As the order actor does it: admission, then the journal.
    pub async fn buy(
        &self,
        key: &str,
        buyer: i64,
        items: &[(i64, i64)],
    ) -> Result<Bought, NotBought> {
        self.send(&self.journal, self.place(key, buyer, items).await).await
    }

    pub async fn send(&self, journal: &JournalHandle, place: Place) -> Result<Bought, NotBought> {
        let admitted = match self.goods().send(admit(&place)).await.unwrap() {
            Ok(admitted) => admitted,
            Err(AdmitError::Refused(refusal)) => return Err(NotBought::Refused(refusal)),
            Err(AdmitError::Unavailable) => return Err(NotBought::NoStock),
        };
        let wxapp = place.wxapp;
        let outcome = journal.submit(wxapp, Command::Place(place), Some(admitted.hold)).await;
        match outcome.map_err(NotBought::Journal)? {
            Outcome::Placed(Ok(Placed::New(new))) => Ok(Bought::New(new.order.id)),
            Outcome::Placed(Ok(Placed::Replay(order))) => Ok(Bought::Replay(order)),
            Outcome::Placed(Err(refusal)) => Err(NotBought::Refused(refusal)),
            other => panic!("not an order: {other:?}"),
        }
    }

    pub async fn submit(&self, command: impl Into<Command>) -> Result<Outcome, JournalError> {
        self.journal.submit(world::wxapp(), command.into(), None).await
    }

    /// A handle on the same journal whose callers give up at once.
    pub fn impatient(&self) -> JournalHandle {
        JournalHandle::new(self.journal_addr.clone(), Duration::from_millis(1))
    }

    /// Entries that wait for the next batch.
    pub async fn queued(&self) -> usize {
        self.journal.snapshot().await.unwrap().queued
    }

    pub async fn goods_snapshot(&self) -> goods::Snapshot {
        self.goods().send(goods::GetSnapshot).await.unwrap()
    }

    /// Pieces held of a SKU, as the goods actor sees it.
    pub async fn held(&self, sku: i64) -> i64 {
        let snapshot = self.goods_snapshot().await;
        let of_sku = snapshot.stock.iter().find(|(id, _, _)| id.get() == sku);
        of_sku.map_or(0, |(_, _, held)| *held)
    }

    /// A connection of its own, as another process has it.
    pub async fn stranger(&self) -> DatabaseConnection {
        self.database.stranger().await
    }

    /// Stock in the database.
    pub async fn stock(&self, sku: i64) -> i64 {
        let row = entity::sku::Entity::find_by_id(sku).one(self.readers.db()).await.unwrap();
        row.unwrap().stock
    }

    pub async fn orders(&self) -> Vec<entity::order::Model> {
        let all = entity::order::Entity::find().order_by_asc(entity::order::Column::Id);
        all.all(self.readers.db()).await.unwrap()
    }

    /// Nothing is held, memory is what the database says, and the audit finds nothing.
    #[track_caller]
    pub fn check(&self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let snapshot = self.goods_snapshot().await;
            assert_eq!(snapshot.holds, 0, "{caller}: holds are left");
            for (sku, stock, held) in snapshot.stock {
                assert_eq!((stock, held), (self.stock(sku.get()).await, 0), "{caller}: SKU {sku}");
            }
            let report = audit(&self.readers, self.clock.now()).await.unwrap();
            assert_eq!(report.breaches, [], "{caller}");
        }
    }

    /// Audits, and stops what was started.
    pub async fn stop(self) {
        self.check().await;
        self.journal.drain().await;
        self.engine.stop();
        self.journal_arbiter.stop();
    }
}

/// Nobody reads its board.
fn listener(goods: &Addr<GoodsActor>) -> Listener {
    Listener::new(goods.clone().recipient(), Board::default())
}

fn start_goods(engine: &Arbiter, readers: &Readers, clock: &Clock) -> Addr<GoodsActor> {
    let (readers, clock) = (readers.clone(), clock.clone());
    GoodsActor::start_in_arbiter(&engine.handle(), move |_| {
        GoodsActor::new(world::wxapp(), readers, clock, REFRESH_MS, QUEUE_MAX)
    })
}

pub fn admit(place: &Place) -> Admit {
    Admit {
        cart: place.cart.clone(),
        freight: place.freight,
        max: place.max,
        expect_pay: place.expect_pay,
    }
}

async fn fill(url: &str, world: &World, buyers: i64) {
    let db = open_writer(url).await.unwrap();
    for goods in world.books.goods.values() {
        insert_goods(&db, goods.get()).await;
    }
    for sku in world.books.skus.values() {
        insert_sku(&db, sku.get()).await;
    }
    let wxapp: WxappId = world::wxapp();
    let row = |i| {
        let id = 100 + i;
        format!("({id}, {wxapp}, {i}, '张三', '13800000000', '', '', '', '', TRUE, 0, 0)")
    };
    let rows: Vec<_> = (1..=buyers.max(1)).map(row).collect();
    let sql = format!(
        "INSERT INTO user_address (id, wxapp_id, user_id, name, phone, province, city, district, \
         detail, is_default, created_at, updated_at) VALUES {}",
        rows.join(", ")
    );
    db.execute_unprepared(&sql).await.unwrap();
    db.close().await.unwrap();
}

/// Makes the journal busy with a commit that waits, so that what follows shares the next batch.
pub async fn busy(shop: &Shop) -> Held {
    let mut held = shop.probe.hold(Point::BeforeCommit);
    let statement = Statement::from_string(shop.readers.backend(), "UPDATE goods SET sort = sort");
    let (reply, _gone) = oneshot::channel();
    shop.journal_addr.do_send(WriteRows { write: Write::one(statement), reply });
    held.reached().await;
    held
}

/// Polls until so many entries wait for the next batch.
pub async fn until_queued<F: Future + Unpin>(shop: &Shop, all: &mut F, entries: usize) {
    while shop.queued().await < entries {
        begin(all).await;
    }
}

/// Runs all of it in one batch: nothing is committed before everything is queued.
pub async fn in_one_batch<T>(
    shop: &Shop,
    held: Held,
    mut all: impl Future<Output = T> + Unpin,
    entries: usize,
) -> T {
    until_queued(shop, &mut all, entries).await;
    held.release(Verdict::GoOn);
    all.await
}

/// Polls once: whatever it asks for is on its way.
pub async fn begin<F: Future + Unpin>(future: &mut F) {
    assert!(future.now_or_never().is_none(), "it has ended already");
}
