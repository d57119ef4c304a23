//! The built binary as a shell sees it: exit codes, and one clear line where it cannot go on.

#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

/// Runs `buynow` in an empty folder with this config.toml and no `BUYNOW__` variables.
fn buynow(config: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_buynow"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BUYNOW__")) {
        command.env_remove(name);
    }
    command.current_dir(folder.path()).args(arguments).output().unwrap()
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
