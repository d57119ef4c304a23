//! The connection to the database breaks, or falls silent, at the worst moment.

use std::time::Duration;

use crate::load::Load;
use crate::support::proxy::{Plan, Proxy, Wire};
use crate::support::servers::Server;

/// How often the log is looked at for what a shop should find out soon.
const LOOKS_MAX: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// A shop that reaches its database by way of the proxy.
async fn through_a_proxy(server: &Server) -> (Proxy, Load) {
    let url = server.fresh_database().await;
    let wire = if url.starts_with("postgres") { Wire::Postgres } else { Wire::Mysql };
    let proxy = Proxy::before(wire, &url);
    let load = Load::on(&proxy.url(&url)).await;
    load.goes_on(10).await;
    (proxy, load)
}

/// What the shop has found out about batches whose COMMIT was not answered: so many had committed,
/// so many had not.
async fn fates(load: &Load, committed: usize, lost: usize) {
    let count = |said: &str, how: &str| {
        let known = said.lines().filter(|line| line.contains("the fate of a batch is known"));
        known.filter(|line| line.contains(how)).count()
    };
    let mut found = (0, 0);
    for _ in 0..LOOKS_MAX {
        let said = load.shop.said();
        found = (count(&said, "committed=true"), count(&said, "committed=false"));
        if found == (committed, lost) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("expected {:?} batches that committed and not, found {found:?}", (committed, lost));
}

/// COMMIT took effect, did not, or takes effect when the shop has long come back: the marker
/// decides, each time.
pub async fn at_commit(server: &Server) {
    let (proxy, load) = through_a_proxy(server).await;

    proxy.plans(Plan::AnswerLost);
    proxy.has_hit().await;
    fates(&load, 1, 0).await;
    load.comes_back().await;

    // No COMMIT was sent, so there is nothing to find out.
    proxy.plans(Plan::CutInside);
    proxy.has_hit().await;
    load.comes_back().await;
    fates(&load, 1, 0).await;

    // It lands after the shop has come back on another connection.
    proxy.plans(Plan::LandsLate);
    proxy.has_hit().await;
    proxy.has_landed().await;
    fates(&load, 2, 0).await;
    load.comes_back().await;

    // It never lands.
    proxy.plans(Plan::Held);
    proxy.has_hit().await;
    proxy.sees_the_fence().await;
    proxy.forgets();
    fates(&load, 2, 1).await;
    load.comes_back().await;
    load.holds().await;
}

/// No word comes and none goes, and nothing breaks: as behind a firewall that has forgotten.
pub async fn silent(server: &Server) {
    let (proxy, load) = through_a_proxy(server).await;
    for plan in [Plan::SilentAfterCommit, Plan::SilentBeforeCommit] {
        proxy.plans(plan);
        proxy.has_hit().await;
        load.stands_still(1).await;
        load.goes_on(5).await;
    }
    load.holds().await;
}
