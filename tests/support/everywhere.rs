//! All tests of a binary once more, on another database: the binary runs itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::skipped::say_aloud;
use super::storage::{KIND, Kind};

/// Tests that only start others are called so, and are not started by them.
const STARTERS: &str = "all_of_this_on_";

/// Runs all tests of this binary on such a database; where there is none, says so.
#[track_caller]
pub fn all_tests_on(kind: Kind) {
    let Some(server) = kind.server() else { return };
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--skip", STARTERS]).env(KIND, kind.as_str());
    again.env(server.variable(), server.admin_url());
    let mut again = again.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = again.stderr.take().unwrap();
    let passing_on = std::thread::spawn(move || pass_on_what_is_skipped(stderr));
    let output = again.wait_with_output().unwrap();
    let complained = passing_on.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "on {}:\n{said}{complained}", kind.as_str());
    // Else this would be a test that tests nothing.
    assert!(said.contains("... ok"), "{said}");
    println!("{said}");
}

/// What is skipped is said at once, the rest only where something fails.
fn pass_on_what_is_skipped(stderr: impl std::io::Read) -> String {
    let mut rest = String::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if line.starts_with("skipped: ") {
            say_aloud(&line);
        } else {
            rest += &line;
            rest.push('\n');
        }
    }
    rest
}
