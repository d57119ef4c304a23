//! The connection to the database breaks, or falls silent, at the worst moment.

use crate::load::Load;
use crate::support::proxy::{Plan, Proxy, Wire};
use crate::support::servers::Server;

/// A shop that reaches its database by way of the proxy.
async fn through_a_proxy(server: &Server) -> (Proxy, Load) {
    let url = server.fresh_database().await;
    let wire = if url.starts_with("postgres") { Wire::Postgres } else { Wire::Mysql };
    let proxy = Proxy::before(wire, &url);
    let load = Load::on(&proxy.url(&url)).await;
    load.goes_on(10).await;
    (proxy, load)
}

/// What the shop has found out about batches whose COMMIT was not answered.
fn fates(load: &Load, committed: bool) -> usize {
    let said = load.shop.said();
    let known = said.lines().filter(|line| line.contains("the fate of a batch is known"));
    known.filter(|line| line.contains(&format!("committed={committed}"))).count()
}

/// COMMIT took effect, did not, or takes effect when the shop has long come back: the marker
/// decides, each time.
pub async fn at_commit(server: &Server) {
    let (proxy, load) = through_a_proxy(server).await;

    proxy.plans(Plan::AnswerLost);
    proxy.has_hit().await;
    load.comes_back().await;
    assert_eq!((fates(&load, true), fates(&load, false)), (1, 0));

    proxy.plans(Plan::CutInside);
    proxy.has_hit().await;
    load.comes_back().await;
    assert_eq!((fates(&load, true), fates(&load, false)), (1, 0), "no COMMIT was sent");

    // It lands after the shop has reconnected, and while it asks.
    proxy.plans(Plan::Held);
    proxy.has_hit().await;
    proxy.sees_the_fence().await;
    proxy.delivers().await;
    load.comes_back().await;
    assert_eq!((fates(&load, true), fates(&load, false)), (2, 0));

    // It never lands.
    proxy.plans(Plan::Held);
    proxy.has_hit().await;
    proxy.sees_the_fence().await;
    proxy.forgets();
    load.comes_back().await;
    assert_eq!((fates(&load, true), fates(&load, false)), (2, 1));
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
