//! The database is killed, or stands still, while buyers order and pay.

use std::time::{Duration, Instant};

use crate::load::Load;
use crate::support::servers::Server;

/// How often it is killed.
const DEATHS: usize = 3;
const FROZEN: Duration = Duration::from_secs(10);

/// Killed as by a power cut, and started again on the same files.
pub async fn killed(server: &Server) {
    let load = Load::on(&server.fresh_database().await).await;
    for _ in 0..DEATHS {
        load.goes_on(25).await;
        server.kill9();
        load.stands_still(4).await;
        server.restart();
        load.comes_back().await;
    }
    load.goes_on(10).await;
    load.holds().await;
}

/// Stopped where it is, with its connections open.
pub async fn frozen(server: &Server) {
    let load = Load::on(&server.fresh_database().await).await;
    load.goes_on(25).await;
    server.freeze();
    let since = Instant::now();
    // Buyers are told in time, though the database says nothing.
    while since.elapsed() < FROZEN {
        load.stands_still(1).await;
    }
    server.thaw();
    load.comes_back().await;
    load.goes_on(10).await;
    load.holds().await;
}
