//! A shop that is a year old: 100,000 SKUs and a million orders in its tables.

use std::time::Duration;

use serde_json::{Value, json};

use super::database::{Database, Place};
use super::fill::{self, Filling};
use super::pairs::{Pairs, Plan, Side, median, per_second, rounded};
use super::requests;
use super::results::{Row, result};
use super::scenarios::{sides, start};
use super::server::{Kind, Server};

const SKUS: i64 = 100_000;
/// SKUs that are bought while memory is looked at.
const HOT: i64 = 10_000;
const ORDERS: i64 = 1_000_000;
/// How often the server is started on the full tables.
const STARTS: usize = 5;

pub async fn run(database: Database, plan: Plan) -> Value {
    let filling = Filling { skus: SKUS + 2, old_orders: ORDERS, ..Filling::default() };
    let place = Place::new(database).await;
    fill::fill(&place, filling).await;
    let (old, starts) = start_often(place).await;
    let new = start(Kind::Journal, database, Filling::default()).await;
    let (at_old, at_new) = (requests::hot_sku(&old), requests::hot_sku(&new));
    let first = Side { server: &old, load: &at_old, connections: 64 };
    let second = Side { server: &new, load: &at_new, connections: 64 };
    let pairs = Pairs::measure(first, second, plan).await;
    let memory = memory(&old).await;
    let ready = median(starts.iter().map(Duration::as_secs_f64));
    let rows = [
        Row::at_least(
            "throughput with 1M orders against empty tables",
            pairs.ratio(per_second),
            0.85,
            0.95,
        ),
        Row::at_most("MiB with 100k SKUs known and 10k hot", memory, 200.0, 100.0),
        Row::at_most("seconds to ready with 100k SKUs and 1M orders", ready, 2.0, 0.5),
    ];
    let mut sides = sides(&pairs, ["1M orders", "empty tables"], [64, 64]);
    let starts = starts.iter().map(|start| rounded(start.as_secs_f64()));
    sides.push(json!({"side": "starts", "seconds": starts.collect::<Vec<_>>()}));
    result("history", database.name(), &rows, sides)
}

/// Starts a server several times on a place; the last one stays.
async fn start_often(mut place: Place) -> (Server, Vec<Duration>) {
    let mut starts = Vec::new();
    loop {
        let server = Server::start(Kind::Journal, place).await;
        starts.push(server.ready_after);
        if starts.len() == STARTS {
            return (server, starts);
        }
        place = server.stop();
    }
}

/// What the server needs when all SKUs have been asked for and many of them are bought.
async fn memory(server: &Server) -> f64 {
    requests::every_sku(server, SKUS).run(16, Duration::from_secs(120)).await;
    requests::many_skus(server, HOT).run(64, Duration::from_secs(5)).await;
    server.memory_mib()
}
