//! The disk is full: orders are refused cleanly, reading goes on, and with room orders do, too.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use buynow::config::Config;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use secrecy::SecretString;

use crate::support::skipped::say;
use crate::support::storage::skipped_but_on_sqlite;
use crate::support::{Reply, Shopper, TestApp};

/// Orders at the same time.
const CROWD: usize = 8;
/// More than the free room of a page of every table holds.
const ORDERS_MAX: usize = 400;

/// Several times the longest pause of the writer between two looks.
const PATIENCE: Duration = Duration::from_secs(15);

fn impatient(config: &mut Config) {
    config.engine.commit_wait_ms = 300;
}

/// Orders, several at once and then one by one, until even a single one is refused; the answer is
/// that one's key.
async fn order_until_full(buyer: &Shopper, sku: i64) -> String {
    let body = buyer.order_body(&[(sku, 1)]);
    let mut crowd = CROWD;
    for turn in 0..ORDERS_MAX {
        let keys: Vec<String> = (0..crowd).map(|n| format!("{turn}-{n}")).collect();
        let orders = keys.iter().map(|key| buyer.orders_with(key, body.clone()));
        let answers = futures_util::future::join_all(orders).await;
        let mut refused = keys.into_iter().zip(answers).filter(|(_, answer)| answer.status != 201);
        let Some((key, answer)) = refused.next() else { continue };
        answer.refused(503, "unavailable");
        if crowd == 1 {
            return key;
        }
        crowd = 1;
    }
    panic!("the disk does not fill up");
}

/// Repeats what was refused until there is an order: a writer that waits for room looks now and
/// then.
async fn repeats_until_taken(buyer: &Shopper, key: &str, sku: i64) -> Reply {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        let reply = buyer.orders_with(key, buyer.order_body(&[(sku, 1)])).await;
        if reply.status != 503 {
            return reply;
        }
    }
    panic!("there is room, and no order is taken");
}

/// From the moment at which no room is left; `make_room` is what the operator does.
async fn full_and_free_again(
    app: TestApp,
    (sku, buyer, first): (i64, Shopper, Reply),
    make_room: impl AsyncFnOnce(),
) {
    let refused = order_until_full(&buyer, sku).await;
    buyer.buys(sku, 1).await.refused(503, "unavailable");
    assert_eq!(buyer.order(first.order_id()).await["state"], "unpaid");
    app.get("/api/v1/goods", None).await.expect(200);
    // Money that finds no room is not acknowledged, and so told again later.
    buyer.pays(first.payment()).await;
    let told = app.sandbox.trade(&first.order_no()).unwrap().payments[0].acknowledged;
    assert_eq!(buyer.order(first.order_id()).await["state"] == "paid", told);
    make_room().await;
    let taken = repeats_until_taken(&buyer, &refused, sku).await;
    let again = buyer.orders_with(&refused, buyer.order_body(&[(sku, 1)])).await.expect(200);
    assert_eq!(taken.order_id(), again.order_id());
    buyer.buys(sku, 1).await.expect(201);
    app.advance(15);
    app.sandbox.run_due().await.unwrap();
    assert_eq!(buyer.order(first.order_id()).await["state"], "paid");
    app.audit_is_clean().await;
    app.stop().await;
}

async fn raw(app: &TestApp) -> DatabaseConnection {
    let url = app.database_url().split('?').next().unwrap().to_owned();
    Database::connect(url).await.unwrap()
}

#[actix_rt::test]
async fn a_database_at_its_page_count_refuses_cleanly_and_goes_on_when_there_is_room() {
    if skipped_but_on_sqlite("the bound is SQLite's") {
        return;
    }
    let app = TestApp::builder().with_wechat_apart().start().await;
    let sku = app.a_sku(990, 100_000).await;
    let buyer = app.shopper("alice").await;
    let first = buyer.buys(sku, 1).await.expect(201);
    let db = raw(&app).await;
    db.execute_unprepared("CREATE TABLE ballast (bytes BLOB)").await.unwrap();
    db.execute_unprepared("INSERT INTO ballast VALUES (zeroblob(1000000))").await.unwrap();
    let bounded = app.crashes().await.config(impatient).config(|config| {
        let url = secrecy::ExposeSecret::expose_secret(&config.database.url).to_owned();
        config.database.url = SecretString::from(url + "?max_page_count=1");
    });
    let app = bounded.start().await;
    full_and_free_again(app, (sku, buyer, first), async || {
        db.execute_unprepared("DROP TABLE ballast").await.unwrap();
        db.close().await.unwrap();
    })
    .await;
}

/// A disk of a few megabytes.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None where one may not mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    /// Fills it to the last byte.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.path().join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        ballast
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[actix_rt::test]
async fn a_full_disk_refuses_cleanly_and_orders_go_on_when_there_is_room() {
    if skipped_but_on_sqlite("the disk is filled under the file") {
        return;
    }
    let Some(disk) = SmallDisk::mount() else {
        return say("a small disk cannot be mounted here");
    };
    let url = format!("sqlite://{}", disk.path().join("shop.db").display());
    let on_disk = TestApp::builder().config(impatient);
    let on_disk = on_disk.config(|config| config.database.url = SecretString::from(url));
    let app = on_disk.start().await;
    let sku = app.a_sku(990, 100_000).await;
    let buyer = app.shopper("alice").await;
    let first = buyer.buys(sku, 1).await.expect(201);
    let ballast = disk.fill();
    let make_room = async || std::fs::remove_file(ballast).unwrap();
    full_and_free_again(app, (sku, buyer, first), make_room).await;
}
