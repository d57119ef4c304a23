//! The clusters themselves, before the engine runs on them: what is acknowledged outlives a node.

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};

use crate::support::servers::{Galera, PostgresPair, Server};

async fn connect(url: &str) -> DatabaseConnection {
    Database::connect(url).await.unwrap()
}

async fn rows(server: &Server) -> String {
    let admin = connect(&server.url("kept")).await;
    let text = "SELECT CAST(count(*) AS CHAR(9)) AS rows_there FROM kept";
    let query = sea_orm::Statement::from_string(admin.get_database_backend(), text);
    let row = admin.query_one_raw(query).await.unwrap().unwrap();
    let rows: String = row.try_get("", "rows_there").unwrap();
    admin.close().await.unwrap();
    rows.trim().to_owned()
}

async fn insert(server: &Server, values: &str) {
    let db = connect(&server.url("kept")).await;
    db.execute_unprepared(&format!("INSERT INTO kept VALUES {values}")).await.unwrap();
    db.close().await.unwrap();
}

async fn make_table(server: &Server) {
    server.execute("CREATE DATABASE kept").await;
    let db = connect(&server.url("kept")).await;
    db.execute_unprepared("CREATE TABLE kept (id INT PRIMARY KEY)").await.unwrap();
    db.close().await.unwrap();
}

#[actix_rt::test]
async fn a_standby_takes_over_with_all_that_was_acknowledged_and_the_primary_rejoins() {
    let Some(mut pair) = PostgresPair::start().await else { return };
    make_table(pair.primary()).await;
    insert(pair.primary(), "(1), (2)").await;
    pair.primary().kill9();
    pair.promote().await;
    assert_eq!(rows(pair.primary()).await, "2");
    insert(pair.primary(), "(3)").await;
    pair.rejoin().await;
    insert(pair.primary(), "(4)").await;
    pair.primary().freeze();
    pair.promote().await;
    assert_eq!(rows(pair.primary()).await, "4");
}

#[actix_rt::test]
async fn a_galera_node_dies_and_comes_back_and_the_others_go_on() {
    let Some(galera) = Galera::start().await else { return };
    make_table(galera.node(0)).await;
    insert(galera.node(0), "(1), (2)").await;
    galera.node(0).kill9();
    galera.has_nodes(1, 2).await;
    insert(galera.node(1), "(3)").await;
    galera.restart(0).await;
    assert_eq!(rows(galera.node(0)).await, "3");
    // Two of three freeze: the third is alone and refuses, until they are back.
    galera.node(1).freeze();
    galera.node(2).freeze();
    galera.has_lost_quorum(0).await;
    let refused = galera.node(0).ask("SELECT CAST(count(*) AS CHAR(9)) FROM kept.kept").await;
    assert!(refused.is_err(), "{refused:?}");
    galera.node(1).thaw();
    galera.node(2).thaw();
    for node in 0..3 {
        galera.is_synced(node).await;
        galera.has_nodes(node, 3).await;
    }
    insert(galera.node(2), "(4)").await;
}
