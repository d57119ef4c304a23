//! The database servers of the tests, started by the benchmark in the same way.

#[path = "../../tests/support/servers/mod.rs"]
#[allow(dead_code)]
pub mod servers;

pub mod skipped {
    /// Says what is left out.
    pub fn say(what: &str) {
        eprintln!("skipped: {what}");
    }
}
