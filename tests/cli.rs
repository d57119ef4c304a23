//! The built binary as a shell sees it: exit codes, and one clear line where it cannot go on.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

/// Runs `buynow` in a folder without `BUYNOW__` variables.
fn buynow_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buynow"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BUYNOW__")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).output().unwrap()
}

/// Runs `buynow` in a fresh folder with this config.toml.
fn buynow(config: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    buynow_in(folder.path(), arguments)
}

/// What it printed, of a run that went well.
#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.trim_end()), (Some(2), expected));
}

#[test]
fn config_check_tells_what_the_settings_come_to() {
    let output = buynow("", &["config", "check"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("127.0.0.1:8080"), "{output:?}");
}

#[test]
fn config_check_lists_every_problem() {
    let output = buynow("reaper = { batch = 0, poll_ms = 1 }", &["config", "check"]);
    refused(
        &output,
        "buynow: reaper.poll_ms (config.toml): 1 is not between 10 and 86400000\n\
         buynow: reaper.batch (config.toml): 0 is not between 1 and 1000",
    );
}

#[test]
fn every_command_refuses_bad_settings_with_one_line() {
    let line = "buynow: server.prot (config.toml): unknown key; keys of [server] are";
    for arguments in [&["serve"][..], &["migrate"], &["audit"], &["seed", "--samples"]] {
        let output = buynow("[server]\nprot = 1", arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(line) && said.trim_end().lines().count() == 1, "{said}");
    }
}

#[test]
fn a_file_that_is_named_and_missing_is_refused() {
    let output = buynow("", &["serve", "--config", "other.toml"]);
    let line = "buynow: other.toml: cannot be read: No such file or directory (os error 2)";
    refused(&output, line);
}

#[test]
fn seed_migrate_and_audit_work_on_a_fresh_database() {
    let folder = tempfile::tempdir().unwrap();
    let first = printed(&buynow_in(folder.path(), &["seed", "--samples"]));
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(first["goods"].as_array().unwrap().len(), 8);
    assert_eq!(first["goods"][0]["created"], true);
    let again = printed(&buynow_in(folder.path(), &["seed", "--samples"]));
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["goods"][0]["created"], false);
    assert_eq!(again["goods"][0]["id"], first["goods"][0]["id"]);
    assert!(printed(&buynow_in(folder.path(), &["migrate"])).contains("up to date"));
    let audit = printed(&buynow_in(folder.path(), &["audit"]));
    assert!(audit.contains("0 orders, 18 SKUs, ") && audit.contains(": all agree."), "{audit}");
}

#[test]
fn audit_ends_with_1_and_a_line_when_stock_and_ledger_differ() {
    let folder = tempfile::tempdir().unwrap();
    printed(&buynow_in(folder.path(), &["seed", "--samples"]));
    let url = format!("sqlite://{}", folder.path().join("buynow.db").display());
    actix_rt::System::new().block_on(async {
        use sea_orm::ConnectionTrait;
        let db = sea_orm::Database::connect(url).await.unwrap();
        let tamper = "UPDATE sku SET stock = stock - 1 WHERE code = 'LAMP-BRASS'";
        db.execute_unprepared(tamper).await.unwrap();
        db.close().await.unwrap();
    });
    let output = buynow_in(folder.path(), &["audit"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("invariant 1: "), "{said}");
}

#[test]
fn audit_does_not_make_the_database_that_it_is_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let output = buynow_in(folder.path(), &["audit"]);
    refused(&output, "buynow: there is no database file buynow.db");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_database_that_cannot_be_opened_is_refused_with_one_line() {
    for arguments in [&["migrate"][..], &["seed", "--samples"]] {
        let output = buynow("database.url = \"sqlite://nowhere/x.db\"", arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        let line = "buynow: cannot open the database sqlite://nowhere/x.db: ";
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(line) && said.trim_end().lines().count() == 1, "{said}");
    }
}

#[test]
fn a_seed_file_is_refused_by_place() {
    let folder = tempfile::tempdir().unwrap();
    let seed = |text: &str| {
        std::fs::write(folder.path().join("goods.json"), text).unwrap();
        let output = buynow_in(folder.path(), &["seed", "goods.json"]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = seed(r#"{"goods":[{"name":"x","skus":[{"code":"a","price_fen":-1,"stock":1}]}]}"#);
    assert!(said.starts_with("buynow: goods.json: goods[0].skus[0].price_fen: "), "{said}");
    assert!(seed("{").starts_with("buynow: goods.json: "));
    refused(
        &buynow_in(folder.path(), &["seed", "missing.json"]),
        "buynow: cannot read missing.json: No such file or directory (os error 2)",
    );
    assert!(!folder.path().join("buynow.db").exists(), "a bad file must not make a database");
}
