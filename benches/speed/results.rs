//! What a scenario has shown, as JSON for the report and as lines for whoever looks on.

use buynow::clock::Clock;
use buynow::wechat::time::to_beijing;
use serde_json::{Value, json};

use super::pairs::rounded;

/// A row of the table: a figure, and what it should be.
pub struct Row {
    pub name: &'static str,
    pub value: f64,
    pub floor: f64,
    pub aim: f64,
    /// Whether less is better.
    pub less: bool,
}

impl Row {
    pub fn at_least(name: &'static str, value: f64, floor: f64, aim: f64) -> Self {
        Self { name, value, floor, aim, less: false }
    }
    pub fn at_most(name: &'static str, value: f64, floor: f64, aim: f64) -> Self {
        Self { name, value, floor, aim, less: true }
    }
    fn json(&self) -> Value {
        json!({
            "row": self.name,
            "value": rounded(self.value),
            "floor": self.floor,
            "aim": self.aim,
            "less": self.less,
        })
    }
}

/// The line of a scenario.
pub fn result(scenario: &str, database: &str, rows: &[Row], sides: Vec<Value>) -> Value {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    json!({
        "scenario": scenario,
        "database": database,
        "day": to_beijing(Clock::system().now())[..8],
        "machine": machine(),
        "rows": rows,
        "sides": sides,
    })
}

/// Cores, processor, memory and kernel.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let named = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_start_matches([' ', '\t', ':']).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let processor = named(&read("/proc/cpuinfo"), "model name");
    let memory = named(&read("/proc/meminfo"), "MemTotal");
    let kib: u64 = memory.split(' ').next().unwrap_or_default().parse().unwrap_or_default();
    let gib = (kib + (1 << 19)) >> 20;
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {processor}, {gib} GiB, Linux {}", kernel.trim())
}

pub fn print(result: &Value) {
    println!("\n{} on {}", text(&result["scenario"]), text(&result["database"]));
    for side in result["sides"].as_array().into_iter().flatten() {
        println!(
            "  {:<26} {:>4} connections {:>9}/s  p50 {:>8} ms  p99 {:>8} ms  batch {:>6}  commit {:>7} ms  {:>7} µs  {}",
            text(&side["side"]),
            side["connections"],
            side["per_second"],
            side["p50_ms"],
            side["p99_ms"],
            side["batch"],
            side["commit_ms"],
            side["processor_us"],
            side["statuses"],
        );
    }
    for row in result["rows"].as_array().into_iter().flatten() {
        let sign = if row["less"] == true { "<=" } else { ">=" };
        println!(
            "  {}: {} (floor {sign} {}, aim {sign} {})",
            text(&row["row"]),
            row["value"],
            row["floor"],
            row["aim"]
        );
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
