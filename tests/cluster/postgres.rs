//! A process on a PostgreSQL primary and its synchronous standby, under load.

use std::time::Duration;

use crate::load::{DATABASE, Load};
use crate::support::servers::{PostgresPair, Server};

async fn a_shop() -> Option<(PostgresPair, Load)> {
    let pair = PostgresPair::start().await?;
    pair.primary().execute(&format!("CREATE DATABASE {DATABASE}")).await;
    let load = Load::start(&pair.urls(DATABASE)).await;
    Some((pair, load))
}

#[actix_rt::test]
async fn a_killed_primary_is_left_for_the_promoted_standby_without_losing_an_order() {
    let Some((mut pair, mut load)) = a_shop().await else { return };
    pair.primary().kill9();
    pair.promote().await;
    load.goes_on_soon().await;
    load.ends().await;
    load.all_is_on(pair.primary()).await;
    load.shop.audit_is_clean();
}

#[actix_rt::test]
async fn a_frozen_primary_is_never_listened_to_again_when_it_thaws() {
    let Some((mut pair, mut load)) = a_shop().await else { return };
    pair.primary().freeze();
    pair.promote().await;
    load.goes_on_soon().await;
    pair.standby().thaw();
    load.goes_on_soon().await;
    load.ends().await;
    load.all_is_on(pair.primary()).await;
    assert_eq!(load.shop.said().matches("writes move to a server").count(), 1);
    load.shop.audit_is_clean();
}

/// The session whose COMMIT waits for the standby, when there is one other than this.
async fn waiting_for_the_standby(primary: &Server, other_than: &str) -> String {
    let ask = format!(
        "SELECT CAST(pid AS text) FROM pg_stat_activity \
         WHERE wait_event = 'SyncRep' AND CAST(pid AS text) <> '{other_than}'"
    );
    let waiting = async {
        loop {
            match primary.ask(&ask).await {
                Ok(pid) => return pid,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("nobody waits")
}

/// After a crash PostgreSQL shows commits that were still waiting for the standby.
#[actix_rt::test]
async fn a_commit_that_only_a_crashed_primary_shows_is_not_acknowledged() {
    let Some((mut pair, mut load)) = a_shop().await else { return };
    // Killed, not frozen: what is on the wire arrives at a standby that thaws.
    pair.standby().kill9();
    let waiting = waiting_for_the_standby(pair.primary(), "").await;
    let killed = std::process::Command::new("kill").args(["-9", &waiting]).status().unwrap();
    assert!(killed.success());
    // The primary starts anew by itself, and the next COMMIT of ours waits again.
    waiting_for_the_standby(pair.primary(), &waiting).await;
    pair.primary().kill9();
    pair.standby().restart();
    pair.promote().await;
    load.goes_on_soon().await;
    load.ends().await;
    load.all_is_on(pair.primary()).await;
    load.shop.audit_is_clean();
}
