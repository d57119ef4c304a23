//! The same batches without HTTP and without actors: lock, fold, write, commit, as fast as the
//! database takes them on one connection.

use std::time::Instant;

use buynow::clock::Clock;
use buynow::domain::books::{KeyRef, Operation};
use buynow::domain::cart::{Cart, CartItem};
use buynow::domain::fold::{Command, KeyClaim, Place as PlaceOrder, fold, ids_needed};
use buynow::domain::id::{AddressId, IdempotencyKey, OrderId, OutTradeNo, SkuId, UserId, WxappId};
use buynow::domain::money::{Money, Quantity};
use buynow::domain::price::FreightPolicy;
use buynow::store::batch::{Marker, insert_marker, load, save};
use buynow::store::db::begin_write;
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};

use super::database::{Database, Place};
use super::fill::{self, Filling};
use super::pairs::{Plan, Side, median, rounded};
use super::requests;
use super::results::{Row, result};
use super::scenarios::start;
use super::server::Kind;

/// The server, then its batches alone, in turn.
pub async fn run(database: Database, plan: Plan) -> Value {
    let server = start(Kind::Journal, database, Filling::default()).await;
    let orders = requests::hot_sku(&server);
    let place = Place::new(database).await;
    fill::fill(&place, Filling::default()).await;
    let mut raw = Raw::new(place.connect().await);
    let (mut served, mut alone, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=plan.pairs {
        let run = Side { server: &server, load: &orders, connections: 64 }.run(plan.each).await;
        let size = run.commits.batch().round().max(1.0);
        let rate = raw.run(size as usize, plan.each).await;
        // The first turn is the warm-up.
        if turn > 0 {
            ratios.push(run.measured.per_second / rate);
            alone.push(json!({"per_second": rounded(rate), "batch": size}));
            served.push(run);
        }
    }
    let ratio = median(ratios.into_iter());
    let rows = [Row::at_least("orders against the same batches without HTTP", ratio, 0.4, 0.6)];
    let rates = alone.iter().filter_map(|run| run["per_second"].as_f64());
    let sides = vec![
        super::pairs::summary(orders.name, 64, &served),
        json!({"side": "the same batches alone", "connections": 1,
               "per_second": median(rates), "runs": alone}),
    ];
    result("ceiling", database.name(), &rows, sides)
}

struct Raw {
    db: DatabaseConnection,
    clock: Clock,
    next_id: i64,
}

impl Raw {
    fn new(db: DatabaseConnection) -> Self {
        Self { db, clock: Clock::system(), next_id: 1 << 41 }
    }

    /// Orders per second in batches of this size.
    async fn run(&mut self, size: usize, during: std::time::Duration) -> f64 {
        let started = Instant::now();
        let mut orders = 0;
        while started.elapsed() < during {
            self.batch(size).await;
            orders += size;
        }
        f64::from(u32::try_from(orders).unwrap()) / started.elapsed().as_secs_f64()
    }

    async fn batch(&mut self, size: usize) {
        let commands: Vec<Command> = (0..size).map(|nth| Command::Place(self.order(nth))).collect();
        let now = self.clock.now();
        let txn = begin_write(&self.db).await.unwrap();
        let marker = Marker(format!("{:032x}", rand::random::<u128>()));
        insert_marker(&txn, &marker, now).await.unwrap();
        let (mut books, claims) = load(&txn, &commands, now).await.unwrap();
        books.ids = (0..ids_needed(&books, &commands)).map(|_| self.draw()).collect();
        for command in commands {
            fold(&mut books, command, now);
        }
        save(&txn, &books, &claims, now).await.unwrap();
        txn.commit().await.unwrap();
    }

    fn draw(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    fn order(&mut self, nth: usize) -> PlaceOrder {
        let id = self.draw();
        let (wxapp, user) = (WxappId::parse(fill::WXAPP).unwrap(), fill::user(nth % 256));
        let user = UserId::parse(user).unwrap();
        let item = CartItem {
            sku: SkuId::parse(fill::hot_sku()).unwrap(),
            quantity: Quantity::parse(1).unwrap(),
        };
        let key = KeyRef {
            wxapp,
            user,
            operation: Operation::PlaceOrder,
            key: IdempotencyKey::parse(format!("{id:032x}")).unwrap(),
        };
        PlaceOrder {
            order: OrderId::parse(id).unwrap(),
            wxapp,
            user,
            key: KeyClaim { key, request_hash: "0".repeat(64) },
            order_no: OutTradeNo::parse(format!("{id:024}")).unwrap(),
            cart: Cart::parse(&[item], 50).unwrap(),
            address: AddressId::parse(fill::address(nth % 256)).unwrap(),
            remark: String::new(),
            expect_pay: None,
            freight: FreightPolicy { flat: Money::ZERO, free_from: None },
            max: Money::from_fen(10_000_000),
            expire_seconds: 86_400,
        }
    }
}
