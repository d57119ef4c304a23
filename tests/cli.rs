//! The built binary as a shell sees it: exit codes, and one clear line where it cannot go on.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// `buynow` in a folder, without `BUYNOW__` variables.
fn command_in(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buynow"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BUYNOW__")) {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments);
    command
}

/// Runs `buynow` in a folder.
fn buynow_in(folder: &Path, arguments: &[&str]) -> Output {
    command_in(folder, arguments).output().unwrap()
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

    let database = || std::fs::read(folder.path().join("buynow.db")).unwrap();
    let before = database();
    let output = buynow_in(folder.path(), &["audit", "--repair-plan"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("\n-- Repair plan. Nothing was changed."), "{said}");
    assert!(said.contains("\nUPDATE sku SET stock = "), "{said}");
    assert!(database() == before, "a plan changes nothing");
}

#[test]
fn audit_does_not_make_the_database_that_it_is_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let output = buynow_in(folder.path(), &["audit"]);
    refused(&output, "buynow: there is no database file buynow.db");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn backup_and_restore_say_in_one_line_why_they_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| buynow_in(folder.path(), arguments);
    let refused = |arguments: &[&str], line: &str| refused(&run(arguments), line);
    refused(
        &["backup", "copy.db"],
        "buynow: cannot back up sqlite://buynow.db: there is no database file buynow.db",
    );
    printed(&run(&["seed", "--samples"]));
    printed(&run(&["backup", "copy.db"]));
    refused(
        &["backup", "copy.db"],
        "buynow: cannot back up sqlite://buynow.db: copy.db is there already; --force replaces it",
    );
    printed(&run(&["backup", "copy.db", "--force"]));
    let nowhere = run(&["backup", "nowhere/copy.db"]);
    let said = String::from_utf8_lossy(&nowhere.stderr);
    assert_eq!(nowhere.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot make nowhere/copy.db") && said.lines().count() == 1, "{said}");
    refused(
        &["restore", "nothing.db"],
        "buynow: cannot restore sqlite://buynow.db: there is no database file nothing.db",
    );
    let serving = Serving::start(folder.path());
    refused(
        &["restore", "copy.db"],
        "buynow: cannot restore sqlite://buynow.db: buynow.db is being served; stop `buynow serve` \
         first",
    );
    assert!(serving.stop().success());
    assert!(printed(&run(&["restore", "copy.db"])).contains("\n0 orders, "));
    assert!(printed(&run(&["audit"])).contains("18 SKUs"));
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

/// `buynow serve` as a process of its own; killed when a test ends before it.
struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    /// Starts it on a free port and waits for the line that says that it serves.
    fn start(folder: &Path) -> Self {
        let mut command = command_in(folder, &["serve", "--port", "0"]);
        command.env("BUYNOW__LOG__FORMAT", "json").stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let said = lines.find(|line| line.as_ref().unwrap().contains("buynow serves")).unwrap();
        let said: serde_json::Value = serde_json::from_str(&said.unwrap()).unwrap();
        // What it says later is of no interest, but must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: said["url"].as_str().unwrap().to_owned() }
    }

    fn get(&self, path: &str) -> (u16, String) {
        actix_rt::System::new().block_on(async {
            let request = awc::Client::default().get(format!("{}{path}", self.url));
            let mut answer = request.send().await.unwrap();
            let body = answer.body().await.unwrap();
            (answer.status().as_u16(), String::from_utf8(body.to_vec()).unwrap())
        })
    }

    /// Asks it to stop, as an init system would, and waits until it has.
    fn stop(mut self) -> ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped_already = self.process.wait();
    }
}

#[test]
fn a_demo_verifies_one_purchase_and_works_again_in_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let said = printed(&buynow_in(folder.path(), &["demo", "--exit"]));
        assert!(said.ends_with("Every step was verified.\n"), "{said}");
        assert!(said.contains("stock 200 -> 199") && said.contains("付款成功通知"), "{said}");
    }
    assert!(folder.path().join("demo.db").exists());
    assert!(!folder.path().join("buynow.db").exists(), "a demo leaves the shop's database alone");
}

#[test]
fn serve_with_the_simulation_has_the_page_to_try_it_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path());
    assert!(serving.url.starts_with("http://127.0.0.1:"), "{}", serving.url);
    let (status, page) = serving.get("/demo");
    assert_eq!(status, 200);
    assert!(page.contains(r#"name="sandbox" content="http://127.0.0.1:"#), "{page}");
    assert_eq!(serving.get("/demo/main.js").0, 200);
    assert!(serving.stop().success());
}

#[test]
fn goods_seeded_beside_a_running_server_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path());
    assert!(serving.get("/api/v1/goods").1.contains("\"items\":[]"));
    printed(&buynow_in(folder.path(), &["seed", "--samples"]));
    assert!(serving.get("/api/v1/goods").1.contains("台灯"));
    assert!(printed(&buynow_in(folder.path(), &["audit"])).contains("all agree"));
    assert!(serving.stop().success());
}

#[test]
fn a_second_server_on_the_same_file_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Serving::start(folder.path());
    let second = buynow_in(folder.path(), &["serve", "--port", "0"]);
    refused(
        &second,
        "buynow: buynow.db is in use by another `buynow serve`: SQLite carries one process; for \
         several use PostgreSQL or MariaDB",
    );
}

#[test]
fn a_port_in_use_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = format!(
        "buynow: cannot listen on 127.0.0.1:{port}: port {port} is in use; stop the other server \
         or take another --port: Address already in use (os error 98)"
    );
    for command in ["serve", "demo"] {
        refused(&buynow_in(folder.path(), &[command, "--port", &port]), &line);
    }
}

#[test]
fn serve_in_a_folder_that_is_not_there_is_refused_with_one_line() {
    let output = buynow("database.url = \"sqlite://nowhere/x.db\"", &["serve", "--port", "0"]);
    let line =
        "buynow: cannot lock nowhere/x.db.serve-lock: No such file or directory (os error 2)";
    refused(&output, line);
}

#[test]
fn the_simulation_is_not_served_to_others_by_mistake() {
    let output = buynow("server.bind = \"0.0.0.0\"", &["serve", "--port", "0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("server.bind (config.toml)") && said.contains("--sandbox-public"),
        "{said}"
    );
}
