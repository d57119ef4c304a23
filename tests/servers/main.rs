//! The database servers that other tests start: that they run, die, come back and leave nothing.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr};

use support::servers::{Mariadb, Postgres, Server};
use support::storage::Kind;

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    // A server that is down is given up at once.
    options.max_connections(1).acquire_timeout(Duration::from_secs(2));
    Database::connect(options).await.unwrap()
}

async fn rows(db: &DatabaseConnection) -> usize {
    let sql = "SELECT id FROM kept";
    let query = sea_orm::Statement::from_string(db.get_database_backend(), sql);
    db.query_all_raw(query).await.unwrap().len()
}

/// The answer is the database that it worked in.
async fn keeps_what_it_commits(server: &Server) -> String {
    let url = server.fresh_database().await;
    let db = connect(&url).await;
    db.execute_unprepared("CREATE TABLE kept (id INT PRIMARY KEY)").await.unwrap();
    db.execute_unprepared("INSERT INTO kept VALUES (1), (2)").await.unwrap();
    let before = server.pids();
    server.kill9();
    assert!(server.pids().is_empty());
    let lost: Result<_, DbErr> = db.execute_unprepared("INSERT INTO kept VALUES (3)").await;
    assert!(lost.is_err());
    server.restart();
    assert_ne!(server.pids(), before);
    let db = connect(&url).await;
    assert_eq!(rows(&db).await, 2);
    db.close().await.unwrap();
    server.stop();
    server.restart();
    assert_eq!(rows(&connect(&url).await).await, 2);
    url
}

/// Silent while it is frozen, and then answers as if nothing had been.
async fn sleeps_and_wakes(server: &Server, url: &str) {
    let db = connect(url).await;
    server.freeze();
    let mut insert = Box::pin(db.execute_unprepared("INSERT INTO kept VALUES (3)"));
    let moment = Duration::from_millis(300);
    assert!(tokio::time::timeout(moment, &mut insert).await.is_err(), "it answers");
    server.thaw();
    insert.await.unwrap();
    assert_eq!(rows(&db).await, 3);
}

fn leaves_nothing(server: Server) {
    let pids = server.pids();
    assert!(!pids.is_empty());
    drop(server);
    are_gone(&pids);
}

fn are_gone(pids: &[u32]) {
    let since = Instant::now();
    let there = |pid: &&u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    while let Some(left) = pids.iter().find(there) {
        assert!(since.elapsed() < Duration::from_secs(20), "process {left} is still there");
        std::thread::yield_now();
    }
}

async fn all_of_it(server: Option<Server>) {
    let Some(server) = server.filter(Server::is_ours) else { return };
    let url = keeps_what_it_commits(&server).await;
    sleeps_and_wakes(&server, &url).await;
    leaves_nothing(server);
}

#[actix_rt::test]
async fn a_postgresql_server_dies_comes_back_freezes_and_leaves_nothing() {
    all_of_it(Postgres::start()).await;
}

#[actix_rt::test]
async fn a_mariadb_server_dies_comes_back_freezes_and_leaves_nothing() {
    all_of_it(Mariadb::start()).await;
}

/// In the child: says which processes are its server's, and then is killed by the test.
const CHILD: &str = "BUYNOW_TEST_CHILD";

fn start_a_frozen_server_and_wait() {
    let server = match std::env::var(CHILD).as_deref() {
        Ok("postgres") => Postgres::start(),
        Ok("mariadb") => Mariadb::start(),
        _ => return,
    };
    if let Some(server) = server {
        server.freeze();
        eprintln!("pids {:?}", server.pids());
        std::thread::park();
    }
    eprintln!("pids []");
}

#[test]
fn a_test_that_is_killed_leaves_no_server_behind() {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};
    start_a_frozen_server_and_wait();
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    for kind in ["postgres", "mariadb"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "a_test_that_is_killed_leaves_no_server_behind", "--nocapture"]);
        child.env(CHILD, kind).stderr(Stdio::piped()).stdout(Stdio::null());
        for name in ["BUYNOW_TEST_POSTGRES", "BUYNOW_TEST_MARIADB"] {
            child.env_remove(name);
        }
        let mut child = child.spawn().unwrap();
        let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let pids =
            stderr.lines().find_map(|line| line.unwrap().strip_prefix("pids ").map(str::to_owned));
        let pids: Vec<u32> = serde_json::from_str(&pids.unwrap()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        are_gone(&pids);
    }
}

/// In a database that it makes beside the configured one; twice, as a newcomer would.
async fn the_demo_works(server: Option<Server>) {
    let Some(server) = server else { return };
    let (folder, url) = (tempfile::tempdir().unwrap(), server.fresh_database().await);
    for _ in 0..2 {
        let mut demo = std::process::Command::new(env!("CARGO_BIN_EXE_buynow"));
        demo.args(["demo", "--exit", "--port", "0"]).current_dir(folder.path());
        let output = demo.env("BUYNOW__DATABASE__URL", &url).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{complained}");
        assert!(said.ends_with("Every step was verified.\n"), "{said}");
    }
    assert!(!folder.path().join("demo.db").exists(), "not where it was told");
}

#[actix_rt::test]
async fn the_demo_verifies_a_purchase_on_postgresql() {
    the_demo_works(Kind::Postgres.server()).await;
}

#[actix_rt::test]
async fn the_demo_verifies_a_purchase_on_mariadb() {
    the_demo_works(Kind::Mariadb.server()).await;
}
