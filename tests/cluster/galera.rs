//! A process on a Galera cluster of three nodes, under load.

use crate::load::{DATABASE, Load};
use crate::support::servers::Galera;

#[actix_rt::test]
async fn nodes_die_freeze_and_lose_the_quorum_and_every_order_is_on_every_node() {
    let Some(galera) = Galera::start().await else { return };
    galera.node(0).execute(&format!("CREATE DATABASE {DATABASE}")).await;
    let mut load = Load::start(&galera.urls(DATABASE)).await;

    // The node that is written to dies, comes back, and is gone back to.
    galera.node(0).kill9();
    galera.has_nodes(1, 2).await;
    load.goes_on_soon().await;
    galera.restart(0).await;
    load.has_moved(2).await;
    load.goes_on_soon().await;

    // It freezes.
    galera.node(0).freeze();
    galera.has_nodes(1, 2).await;
    load.goes_on_soon().await;
    galera.node(0).thaw();
    galera.is_synced(0).await;
    galera.has_nodes(0, 3).await;
    load.goes_on_soon().await;

    // The others are not heard of. Nobody may know better than the one that is left: it refuses.
    galera.node(1).freeze();
    galera.node(2).freeze();
    galera.has_lost_quorum(0).await;
    load.buyer.buys(load.sku, 1).await.expect(503);
    load.shop.get("/readyz").await.expect(503);
    galera.node(1).thaw();
    galera.node(2).thaw();
    for node in 0..3 {
        galera.is_synced(node).await;
        galera.has_nodes(node, 3).await;
    }
    load.goes_on_soon().await;

    load.ends().await;
    for node in 0..3 {
        load.all_is_on(galera.node(node)).await;
    }
    load.shop.audit_is_clean();
}
