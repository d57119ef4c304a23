//! What happens to databases and to the network between: killed, frozen, cut, silent.
//!
//! Each test starts a server of its own, with the durability of production. `soak` does the same to
//! everything else.

#![allow(clippy::unwrap_used)]

#[path = "../engine/diary.rs"]
mod diary;
#[path = "../support/mod.rs"]
mod support;

mod cut;
mod dead;
mod load;

use support::servers::{Mariadb, Postgres, Server};

/// A test for each kind of server that this machine has and this test may stop.
macro_rules! on_both {
    ($($test:ident: $of:path;)+) => {$(
        mod $test {
            #[actix_web::test]
            async fn on_postgresql() {
                if let Some(server) = super::ours(super::Postgres::start()) {
                    $of(&server).await;
                }
            }

            #[actix_web::test]
            async fn on_mariadb() {
                if let Some(server) = super::ours(super::Mariadb::start()) {
                    $of(&server).await;
                }
            }
        }
    )+};
}

fn ours(server: Option<Server>) -> Option<Server> {
    let ours = server.filter(Server::is_ours);
    if ours.is_none() {
        support::skipped::say("there is no server that this test may stop");
    }
    ours
}

on_both! {
    a_database_that_is_killed_under_load_loses_nothing: crate::dead::killed;
    a_database_that_is_frozen_for_ten_seconds_loses_nothing: crate::dead::frozen;
    a_connection_that_is_cut_at_a_commit_loses_and_doubles_nothing: crate::cut::at_commit;
    a_connection_that_falls_silent_loses_and_doubles_nothing: crate::cut::silent;
}
