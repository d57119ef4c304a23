#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use tempfile::TempDir;

use super::*;
use crate::domain::goods::Goods;
use crate::store::ids::take_blocks;
use crate::store::seal::Sealer;
use crate::store::{migrate, testing};

/// A folder with a database, `shop.db`, of which nobody has it open.
struct Folder(TempDir);

impl Folder {
    async fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let db = folder.open().await;
        migrate::up(&db).await.unwrap();
        db.close().await.unwrap();
        folder
    }
    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn url(&self) -> String {
        format!("sqlite://{}", self.file("shop.db").display())
    }
    /// As a server has it open: with a write-ahead log.
    async fn open(&self) -> DatabaseConnection {
        db::open_writer(&self.url()).await.unwrap()
    }
    async fn run(&self, sql: &str) {
        let db = self.open().await;
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
    }
    async fn number(&self, sql: &str) -> i64 {
        let db = self.open().await;
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        let row = db.query_one_raw(statement).await.unwrap().unwrap();
        db.close().await.unwrap();
        row.try_get_by_index(0).unwrap()
    }
    async fn back_up(&self, name: &str) -> Result<Contents, BackupError> {
        back_up(&self.url(), &self.file(name), Existing::Keep).await
    }
    async fn restore(&self, name: &str) -> Result<Restored, BackupError> {
        restore(&self.url(), &self.file(name), &sealer(7)).await
    }
    fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn sealer(byte: u8) -> Sealer {
    Sealer::new(&[byte; 32]).unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, BackupError>, words: &str) {
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains(words) && !error.contains('\n'), "{error}");
}

const GOODS: &str = "SELECT COUNT(*) FROM goods";

async fn add_goods(db: &DatabaseConnection, id: i64) {
    let goods = Goods {
        id: crate::domain::id::GoodsId::parse(id).unwrap(),
        wxapp: crate::domain::id::WxappId::parse(10_001).unwrap(),
        name: "tea".into(),
        image_url: String::new(),
        deduct_stock: crate::domain::goods::DeductStock::Order,
        on_sale: true,
        sale_starts_at: None,
        sale_ends_at: None,
        limit_per_user: None,
        sales: 0,
        version: 1,
    };
    testing::insert_goods(db, &goods).await;
}

#[tokio::test]
async fn a_copy_is_one_file_with_what_was_committed_while_others_have_the_database_open() {
    let folder = Folder::new().await;
    let server = folder.open().await;
    add_goods(&server, 40).await;
    let contents = folder.back_up("copy.db").await.unwrap();
    assert_eq!((contents.orders, contents.newest_order), (0, None));
    add_goods(&server, 41).await;
    server.close().await.unwrap();
    assert_eq!(folder.names(), BTreeSet::from(["copy.db", "shop.db"].map(str::to_owned)));
    assert_eq!(folder.number(GOODS).await, 2);
    let restored = folder.restore("copy.db").await.unwrap();
    assert_eq!(restored.contents.orders, 0);
    assert_eq!(folder.number(GOODS).await, 1);
}

#[tokio::test]
async fn a_copy_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new().await;
    folder.back_up("copy.db").await.unwrap();
    let mode = std::fs::metadata(folder.file("copy.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_is_there_stays_unless_it_may_be_replaced() {
    let folder = Folder::new().await;
    std::fs::write(folder.file("copy.db"), "precious").unwrap();
    refused(folder.back_up("copy.db").await, "copy.db is there already; --force replaces it");
    assert_eq!(std::fs::read(folder.file("copy.db")).unwrap(), b"precious");
    let replaced = back_up(&folder.url(), &folder.file("copy.db"), Existing::Replace).await;
    assert!(replaced.unwrap().bytes > 4096);
    assert_eq!(folder.names().len(), 2);
}

#[tokio::test]
async fn neither_the_database_itself_nor_another_one_in_use_is_written_over() {
    let folder = Folder::new().await;
    let itself = back_up(&folder.url(), &folder.file("shop.db"), Existing::Replace).await;
    refused(itself, "shop.db is the database itself");
    std::fs::write(folder.file("other.db-wal"), "frames").unwrap();
    let other = back_up(&folder.url(), &folder.file("other.db"), Existing::Replace).await;
    refused(other, "other.db is in use as a database");
    refused(folder.restore("shop.db").await, "is the database itself");
}

#[tokio::test]
async fn without_a_database_there_is_no_copy_and_no_database_is_made() {
    let folder = Folder(tempfile::tempdir().unwrap());
    refused(folder.back_up("copy.db").await, "there is no database file");
    refused(folder.restore("copy.db").await, "there is no database file");
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn other_databases_are_sent_to_their_own_tools() {
    for (url, tool) in [
        ("postgres://localhost/buynow", "pg_basebackup"),
        ("postgresql://localhost/buynow", "pg_dump"),
        ("mysql://localhost/buynow", "mariadb-dump"),
        ("mariadb://localhost/buynow", "mariadb-backup"),
        ("sqlite::memory:", "in a file only"),
    ] {
        refused(back_up(url, Path::new("copy.db"), Existing::Keep).await, tool);
        refused(restore(url, Path::new("copy.db"), &sealer(7)).await, tool);
    }
}

#[tokio::test]
async fn what_was_there_is_kept_each_time() {
    let folder = Folder::new().await;
    folder.back_up("copy.db").await.unwrap();
    for goods in [40, 41] {
        let db = folder.open().await;
        add_goods(&db, goods).await;
        db.close().await.unwrap();
        let restored = folder.restore("copy.db").await.unwrap();
        let kept = if goods == 40 { "shop.db.before-restore" } else { "shop.db.before-restore-2" };
        assert_eq!(restored.aside, Some(folder.file(kept)));
        assert_eq!(folder.number(GOODS).await, 0);
    }
    folder.restore("shop.db.before-restore-2").await.unwrap();
    assert_eq!(folder.number(GOODS).await, 1);
}

#[tokio::test]
async fn a_database_that_does_not_open_any_more_is_replaced_and_kept_with_its_journal() {
    let folder = Folder::new().await;
    folder.back_up("copy.db").await.unwrap();
    std::fs::write(folder.file("shop.db"), "rubbish, and long enough to be looked at".repeat(99))
        .unwrap();
    std::fs::write(folder.file("shop.db-wal"), "frames of the former database").unwrap();
    folder.restore("copy.db").await.unwrap();
    assert_eq!(folder.number(GOODS).await, 0);
    let kept = std::fs::read(folder.file("shop.db.before-restore-wal")).unwrap();
    assert_eq!(kept, b"frames of the former database");
}

#[tokio::test]
async fn a_copy_comes_to_a_machine_that_has_no_database_yet() {
    let folder = Folder::new().await;
    folder.back_up("copy.db").await.unwrap();
    let url = format!("sqlite://{}", folder.file("new.db").display());
    let restored = restore(&url, &folder.file("copy.db"), &sealer(7)).await.unwrap();
    assert_eq!(restored.aside, None);
    assert!(folder.file("new.db").exists());
}

#[tokio::test]
async fn a_database_that_is_served_or_open_elsewhere_is_left_alone() {
    let folder = Folder::new().await;
    folder.back_up("copy.db").await.unwrap();
    let served = db::take_serve_lock(&folder.file("shop.db")).unwrap();
    refused(folder.restore("copy.db").await, "is being served; stop `buynow serve` first");
    drop(served);
    let seeding = folder.open().await;
    add_goods(&seeding, 40).await;
    refused(folder.restore("copy.db").await, "is in use by another program");
    seeding.close().await.unwrap();
    assert_eq!(folder.number(GOODS).await, 1);
    assert!(!folder.names().iter().any(|name| name.contains("partial") || name.contains("before")));
}

#[tokio::test]
async fn what_is_no_sound_copy_is_refused() {
    let folder = Folder::new().await;
    folder.back_up("copy.db").await.unwrap();
    let sound = std::fs::read(folder.file("copy.db")).unwrap();
    let mut broken = sound.clone();
    broken[2 * 4096..].fill(0x5a);
    std::fs::write(folder.file("broken.db"), broken).unwrap();
    refused(folder.restore("broken.db").await, "broken.db is damaged");
    std::fs::write(folder.file("short.db"), &sound[..sound.len() / 2]).unwrap();
    refused(folder.restore("short.db").await, "short.db is damaged");
    std::fs::write(folder.file("text.db"), "a list of things to do".repeat(99)).unwrap();
    refused(folder.restore("text.db").await, "text.db is damaged");
    std::fs::write(folder.file("empty.db"), "").unwrap();
    refused(folder.restore("empty.db").await, "empty.db is not a database of buynow");
    std::fs::write(folder.file("copy.db-wal"), "frames").unwrap();
    refused(folder.restore("copy.db").await, "is not a back-up but a database with news");
    assert!(!folder.names().iter().any(|name| name.contains("before-restore")));
}

#[tokio::test]
async fn a_copy_of_a_newer_buynow_is_refused() {
    let folder = Folder::new().await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m2099_ship', 0)";
    folder.run(newer).await;
    folder.back_up("newer.db").await.unwrap();
    refused(folder.restore("newer.db").await, "has tables of a newer buynow (m2099_ship)");
    folder.run("DELETE FROM seaql_migrations WHERE version = 'm2099_ship'").await;
    folder.run("UPDATE schema_info SET min_binary = '99.0.0'").await;
    folder.back_up("needs.db").await.unwrap();
    refused(folder.restore("needs.db").await, "needs buynow 99.0.0 or newer");
}

#[tokio::test]
async fn a_copy_whose_secrets_do_not_open_is_refused() {
    let folder = Folder::new().await;
    let sealed = sealer(8).seal(&secrecy::SecretString::from("secret")).unwrap();
    folder
        .run(&format!(
            "INSERT INTO wxapp (id, name, appid, secret, mch_id, api_key, key_version, sign_type, \
             provider, templates, freight_fen, version, created_at, updated_at) VALUES (10001, \
             'shop', 'wx1', '{sealed}', 'm', '{sealed}', 1, 'MD5', 'v2', '{{}}', 0, 1, 0, 0)"
        ))
        .await;
    folder.back_up("copy.db").await.unwrap();
    refused(folder.restore("copy.db").await, "cannot be opened with this security.master_key");
}

#[tokio::test]
async fn ids_that_were_given_out_after_the_copy_are_never_given_out_again() {
    let folder = Folder::new().await;
    let take = async || {
        let db = folder.open().await;
        let block = take_blocks(&db, 1).await.unwrap();
        db.close().await.unwrap();
        block
    };
    take().await;
    folder.back_up("copy.db").await.unwrap();
    let lost = take().await;
    folder.restore("copy.db").await.unwrap();
    let next = take().await;
    assert!(next.start > lost.end, "{next:?} after {lost:?}");
    assert!(next.end < 1 << 40, "far from 2^53");
}
