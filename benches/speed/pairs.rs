//! Two loads in turn within one run, so that a machine that becomes slower makes both slower.

use std::time::Duration;

use serde_json::{Value, json};

use super::load::{Load, Measured};
use super::server::{Commits, Server};

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub pairs: usize,
    pub each: Duration,
}

/// A load, where it goes, and over how many connections.
pub struct Side<'a> {
    pub server: &'a Server,
    pub load: &'a Load,
    pub connections: usize,
}

/// One run of a side.
pub struct Run {
    pub measured: Measured,
    pub commits: Commits,
    /// Of the server's process, for each answer; without the client, and without the processes of
    /// a database that has its own.
    pub processor_us: f64,
}

impl Run {
    fn json(&self) -> Value {
        json!({
            "per_second": rounded(self.measured.per_second),
            "p50_ms": rounded(self.measured.p50_ms),
            "p99_ms": rounded(self.measured.p99_ms),
            "batch": rounded(self.commits.batch()),
            "commit_ms": rounded(self.commits.millis()),
            "processor_us": rounded(self.processor_us),
        })
    }
}

impl Side<'_> {
    pub async fn run(&self, each: Duration) -> Run {
        let (before, spent) = (self.server.commits().await, self.server.processor_seconds());
        let measured = self.load.run(self.connections, each).await;
        let spent = self.server.processor_seconds() - spent;
        let commits = self.server.commits().await.since(before);
        let answers: usize = measured.statuses.values().sum();
        let answers = f64::from(u32::try_from(answers.max(1)).unwrap());
        Run { measured, commits, processor_us: 1e6 * spent / answers }
    }
}

/// What the pairs have shown: each side's runs, in the order in which they were made.
pub struct Pairs {
    pub first: Vec<Run>,
    pub second: Vec<Run>,
}

impl Pairs {
    pub async fn measure(first: Side<'_>, second: Side<'_>, plan: Plan) -> Self {
        let warm_up = Duration::from_millis(500);
        first.run(warm_up).await;
        second.run(warm_up).await;
        let mut pairs = Self { first: Vec::new(), second: Vec::new() };
        for _ in 0..plan.pairs {
            pairs.first.push(first.run(plan.each).await);
            pairs.second.push(second.run(plan.each).await);
        }
        pairs
    }

    /// The median of the pairs' ratios.
    pub fn ratio(&self, value: fn(&Run) -> f64) -> f64 {
        median(self.first.iter().zip(&self.second).map(|(a, b)| value(a) / value(b)))
    }
}

pub fn per_second(run: &Run) -> f64 {
    run.measured.per_second
}

pub fn p50(run: &Run) -> f64 {
    run.measured.p50_ms
}

/// How many commits long the slowest hundredth of the answers took.
pub fn p99_in_commits(runs: &[Run]) -> f64 {
    median(runs.iter().map(|run| run.measured.p99_ms / run.commits.millis()))
}

pub fn median_of(runs: &[Run], value: impl Fn(&Run) -> f64) -> f64 {
    median(runs.iter().map(value))
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median run of a side as a line of the results.
pub fn summary(name: &str, connections: usize, runs: &[Run]) -> Value {
    let of = |value: fn(&Run) -> f64| rounded(median_of(runs, value));
    let statuses = runs.last().map(|run| &run.measured.statuses);
    json!({
        "side": name,
        "connections": connections,
        "per_second": of(per_second),
        "p50_ms": of(p50),
        "p99_ms": of(|run| run.measured.p99_ms),
        "batch": of(|run| run.commits.batch()),
        "commit_ms": of(|run| run.commits.millis()),
        "processor_us": of(|run| run.processor_us),
        "statuses": statuses,
        "runs": runs.iter().map(Run::json).collect::<Vec<_>>(),
    })
}

/// Three digits after the point are more than a measurement has.
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
