//! A process on a PostgreSQL primary and its synchronous standby, under load.

use crate::load::{DATABASE, Load};
use crate::support::servers::PostgresPair;

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
