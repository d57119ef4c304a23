//! What is measured: a function for each scenario.

use serde_json::Value;

use super::database::{Database, Place};
use super::fill::{self, Filling};
use super::pairs::{Pairs, Plan, Side, p50, p99_in_commits, per_second, summary};
use super::results::{Row, result};
use super::server::{Kind, Server};
use super::{ceiling, history, requests};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    HotSku,
    OneConnection,
    Crowd,
    ManySkus,
    Carts,
    SoldOut,
    Payments,
    Catalogue,
    Ceiling,
    History,
}

/// SKUs of a shop of which many are wanted at once.
const SKUS: i64 = 1_000;

/// Runs a scenario on a database.
pub async fn run(scenario: Scenario, database: Database, plan: Plan) -> Value {
    match scenario {
        Scenario::HotSku => hot_sku(database, plan).await,
        Scenario::OneConnection => one_connection(database, plan).await,
        Scenario::Crowd => crowd(database, plan).await,
        Scenario::ManySkus => many_skus(database, plan).await,
        Scenario::Carts => carts(database, plan).await,
        Scenario::SoldOut => sold_out(database, plan).await,
        Scenario::Payments => payments(database, plan).await,
        Scenario::Catalogue => catalogue(database, plan).await,
        Scenario::Ceiling => ceiling::run(database, plan).await,
        Scenario::History => history::run(database, plan).await,
    }
}

/// A server on a database that was filled before.
pub async fn start(kind: Kind, database: Database, filling: Filling) -> Server {
    let place = Place::new(database).await;
    fill::fill(&place, filling).await;
    Server::start(kind, place).await
}

async fn both(database: Database, filling: Filling) -> [Server; 2] {
    [start(Kind::Journal, database, filling).await, start(Kind::OneByOne, database, filling).await]
}

async fn check(servers: &[&Server]) {
    for server in servers {
        assert_eq!(server.breaches().await, 0, "a benchmark must leave clean books");
    }
}

async fn hot_sku(database: Database, plan: Plan) -> Value {
    let [journal, alone] = both(database, Filling::default()).await;
    let (grouped, single) = (requests::hot_sku(&journal), requests::hot_sku(&alone));
    let first = Side { server: &journal, load: &grouped, connections: 64 };
    let second = Side { server: &alone, load: &single, connections: 64 };
    let pairs = Pairs::measure(first, second, plan).await;
    check(&[&journal, &alone]).await;
    let (floor, aim) = database.hot_sku_target();
    let rows = [
        Row::at_least(
            "hot SKU against one transaction per order",
            pairs.ratio(per_second),
            floor,
            aim,
        ),
        Row::at_most("p99 at 64 connections, in commits", p99_in_commits(&pairs.first), 6.0, 4.0),
    ];
    result("hot_sku", database.name(), &rows, sides(&pairs, [grouped.name, single.name], [64, 64]))
}

async fn one_connection(database: Database, plan: Plan) -> Value {
    let [journal, alone] = both(database, Filling::default()).await;
    let (grouped, single) = (requests::hot_sku(&journal), requests::hot_sku(&alone));
    let first = Side { server: &journal, load: &grouped, connections: 1 };
    let second = Side { server: &alone, load: &single, connections: 1 };
    let pairs = Pairs::measure(first, second, plan).await;
    let rows =
        [Row::at_most("one connection, latency against the same", pairs.ratio(p50), 1.2, 1.0)];
    let sides = sides(&pairs, [grouped.name, single.name], [1, 1]);
    result("one_connection", database.name(), &rows, sides)
}

/// 16, 64 and 256 connections on one server.
async fn crowd(database: Database, plan: Plan) -> Value {
    let server = start(Kind::Journal, database, Filling::default()).await;
    let load = requests::hot_sku(&server);
    let side = |connections| Side { server: &server, load: &load, connections };
    let wide = Pairs::measure(side(256), side(64), plan).await;
    let narrow = Pairs::measure(side(16), side(64), plan).await;
    check(&[&server]).await;
    let rows = [Row::at_least(
        "throughput at 256 connections against 64",
        wide.ratio(per_second),
        0.8,
        1.0,
    )];
    let sides = vec![
        summary(load.name, 16, &narrow.first),
        summary(load.name, 64, &wide.second),
        summary(load.name, 256, &wide.first),
    ];
    result("crowd", database.name(), &rows, sides)
}

async fn many_skus(database: Database, plan: Plan) -> Value {
    let filling = Filling { skus: SKUS + 2, ..Filling::default() };
    let [journal, alone] = both(database, filling).await;
    let (grouped, single) =
        (requests::many_skus(&journal, SKUS), requests::many_skus(&alone, SKUS));
    let first = Side { server: &journal, load: &grouped, connections: 64 };
    let second = Side { server: &alone, load: &single, connections: 64 };
    let pairs = Pairs::measure(first, second, plan).await;
    check(&[&journal, &alone]).await;
    let rows = [Row::at_least("1,000 SKUs against the same", pairs.ratio(per_second), 3.0, 6.0)];
    let sides = sides(&pairs, [grouped.name, single.name], [64, 64]);
    result("many_skus", database.name(), &rows, sides)
}

async fn carts(database: Database, plan: Plan) -> Value {
    let filling = Filling { skus: SKUS + 2, ..Filling::default() };
    let [journal, alone] = both(database, filling).await;
    let (grouped, single) = (requests::carts(&journal, SKUS), requests::carts(&alone, SKUS));
    let first = Side { server: &journal, load: &grouped, connections: 64 };
    let second = Side { server: &alone, load: &single, connections: 64 };
    let pairs = Pairs::measure(first, second, plan).await;
    check(&[&journal, &alone]).await;
    let sides = sides(&pairs, [grouped.name, single.name], [64, 64]);
    let rows =
        [Row::at_least("carts of 3 lines against the same", pairs.ratio(per_second), 3.0, 6.0)];
    result("carts", database.name(), &rows, sides)
}

async fn sold_out(database: Database, plan: Plan) -> Value {
    let server = start(Kind::Journal, database, Filling::default()).await;
    let (gone, plain) = (requests::sold_out(&server), requests::plain(&server));
    let first = Side { server: &server, load: &gone, connections: 64 };
    let second = Side { server: &server, load: &plain, connections: 64 };
    let pairs = Pairs::measure(first, second, plan).await;
    let (floor, aim) = database.sold_out_target();
    let rows = [Row::at_least(
        "sold out against a plain JSON answer",
        pairs.ratio(per_second),
        floor,
        aim,
    )];
    result("sold_out", database.name(), &rows, sides(&pairs, [gone.name, plain.name], [64, 64]))
}

/// Notifications run out, so each turn has its own.
async fn payments(database: Database, plan: Plan) -> Value {
    let turns = i64::try_from(plan.pairs).unwrap() + 1;
    let each = i64::from(u32::try_from(plan.each.as_millis()).unwrap()) * MOST_PER_MS;
    let filling = Filling { unpaid_orders: turns * each, ..Filling::default() };
    let server = start(Kind::Journal, database, filling).await;
    let orders = requests::hot_sku(&server);
    let mut pairs = Pairs { first: Vec::new(), second: Vec::new() };
    for turn in 0..turns {
        let told = requests::notifications(&server, turn * each..(turn + 1) * each);
        let told = Side { server: &server, load: &told, connections: 64 }.run(plan.each).await;
        assert!(told.measured.statuses.keys().all(|status| *status == 200));
        let placed = Side { server: &server, load: &orders, connections: 64 }.run(plan.each).await;
        // The first turn is the warm-up.
        if turn > 0 {
            pairs.first.push(told);
            pairs.second.push(placed);
        }
    }
    check(&[&server]).await;
    let rows = [Row::at_least(
        "payment notifications settled against orders placed",
        pairs.ratio(per_second),
        0.5,
        0.8,
    )];
    let sides = sides(&pairs, ["payment notifications", orders.name], [64, 64]);
    result("payments", database.name(), &rows, sides)
}

/// More notifications than can be settled in a millisecond.
const MOST_PER_MS: i64 = 12;

async fn catalogue(database: Database, plan: Plan) -> Value {
    let server = start(Kind::Journal, database, Filling::default()).await;
    let (list, detail) = (requests::goods_list(&server), requests::goods_detail(&server, 900));
    let first = Side { server: &server, load: &list, connections: 64 };
    let second = Side { server: &server, load: &detail, connections: 64 };
    let pairs = Pairs::measure(first, second, plan).await;
    result("catalogue", database.name(), &[], sides(&pairs, [list.name, detail.name], [64, 64]))
}

pub fn sides(pairs: &Pairs, names: [&str; 2], connections: [usize; 2]) -> Vec<Value> {
    vec![
        summary(names[0], connections[0], &pairs.first),
        summary(names[1], connections[1], &pairs.second),
    ]
}
