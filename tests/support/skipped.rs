//! What a test says that has nothing to run on.

use std::io::Write as _;

/// One line about this test that is seen although the test passes.
pub fn say(what: &str) {
    let thread = std::thread::current();
    say_aloud(&format!("skipped: {}: {what}", thread.name().unwrap_or("a test")));
}

/// Past the harness, which keeps what a test that passes prints.
pub fn say_aloud(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}
