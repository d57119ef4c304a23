//! Draws docs/benchmarks.md from docs/benchmarks/results.jsonl: the table between its marks, and
//! the charts beside the results. `cargo bench --bench report`, after `cargo bench --bench speed`.

#![allow(clippy::unwrap_used, clippy::float_arithmetic)]

mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use chart::{Bars, Group};

const DATABASES: [(&str, &str); 3] =
    [("sqlite", "SQLite"), ("postgres", "PostgreSQL"), ("mariadb", "MariaDB")];
const BEGIN: &str = "<!-- measured: written by `cargo bench --bench report` -->\n";
const END: &str = "<!-- end of measured -->\n";

/// What each scenario has shown on each database, the latest run of each.
type Results = BTreeMap<(String, String), Value>;

fn main() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let lines = std::fs::read_to_string(docs.join("benchmarks/results.jsonl")).unwrap();
    let results: Results = lines.lines().map(result).collect();
    for (name, chart) in charts(&results) {
        std::fs::write(docs.join("benchmarks").join(format!("{name}.svg")), chart.svg()).unwrap();
    }
    let page = docs.join("benchmarks.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let measured = format!("{}\n{}\n{}", origins(&results), table(&results), rates(&results));
    std::fs::write(&page, format!("{before}{BEGIN}\n{measured}\n{END}{after}")).unwrap();
}

fn result(line: &str) -> ((String, String), Value) {
    let value: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    ((text("scenario"), text("database")), value)
}

/// Where and when it was measured.
fn origins(results: &Results) -> String {
    let origin = |result: &Value| {
        let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        format!("Measured on {}, {}.\n", text("machine"), text("day"))
    };
    results.values().map(origin).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Every row of the table: floor, aim, and what was measured on each database.
fn table(results: &Results) -> String {
    let mut text =
        "| | floor | aim | SQLite | PostgreSQL | MariaDB |\n|---|---|---|---|---|---|\n".to_owned();
    for name in row_names(results) {
        let cells: Vec<Option<&Value>> =
            DATABASES.iter().map(|(database, _)| row(results, &name, database)).collect();
        let mut targets: Vec<(String, String)> =
            cells.iter().flatten().map(|row| targets(row)).collect();
        targets.dedup();
        let floors: Vec<&str> = targets.iter().map(|(floor, _)| floor.as_str()).collect();
        let aims: Vec<&str> = targets.iter().map(|(_, aim)| aim.as_str()).collect();
        let cells: Vec<String> = cells.iter().map(|row| row.map_or("-".into(), cell)).collect();
        text += &format!(
            "| {name} | {} | {} | {} |\n",
            floors.join(" / "),
            aims.join(" / "),
            cells.join(" | ")
        );
    }
    text
}

/// In the order in which the scenarios are run.
fn row_names(results: &Results) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for scenario in SCENARIOS {
        for ((_, _), result) in results.iter().filter(|((name, _), _)| name == scenario) {
            for row in result["rows"].as_array().into_iter().flatten() {
                let name = row["row"].as_str().unwrap().to_owned();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    names
}

const SCENARIOS: [&str; 10] = [
    "hot_sku",
    "many_skus",
    "carts",
    "one_connection",
    "ceiling",
    "sold_out",
    "payments",
    "crowd",
    "history",
    "catalogue",
];

fn row<'a>(results: &'a Results, name: &str, database: &str) -> Option<&'a Value> {
    let of_database = results.iter().filter(|((_, of), _)| of == database);
    let mut rows = of_database.filter_map(|(_, result)| result["rows"].as_array()).flatten();
    rows.find(|row| row["row"] == name)
}

fn targets(row: &Value) -> (String, String) {
    let sign = if row["less"] == true { "≤ " } else { "" };
    (format!("{sign}{}", row["floor"]), format!("{sign}{}", row["aim"]))
}

/// Bold where the aim is reached, marked where the floor is not.
fn cell(row: &Value) -> String {
    let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    let (value, less) = (number("value"), row["less"] == true);
    let reaches = |target: f64| if less { value <= target } else { value >= target };
    let text = if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    match (reaches(number("floor")), reaches(number("aim"))) {
        (_, true) => format!("**{text}**"),
        (true, false) => text,
        (false, false) => format!("{text} (below the floor)"),
    }
}

/// What each side of each scenario has done.
fn rates(results: &Results) -> String {
    let mut text = "| scenario | database | side | connections | per second | p50 ms | p99 ms | batch | commit ms | processor µs |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for scenario in SCENARIOS {
        for (database, shown) in DATABASES {
            let sides = results.get(&(scenario.to_owned(), database.to_owned()));
            let sides = sides.and_then(|result| result["sides"].as_array()).into_iter().flatten();
            for side in sides.filter(|side| side["per_second"].is_number()) {
                let cell = |name: &str| match side[name].as_f64() {
                    Some(value) if value >= 100.0 => format!("{value:.0}"),
                    Some(value) => format!("{value:.1}"),
                    None => String::new(),
                };
                let (name, connections) = (side["side"].as_str().unwrap(), &side["connections"]);
                let cells =
                    ["per_second", "p50_ms", "p99_ms", "batch", "commit_ms", "processor_us"]
                        .map(cell);
                text += &format!(
                    "| {scenario} | {shown} | {name} | {connections} | {} |\n",
                    cells.join(" | ")
                );
            }
        }
    }
    text
}

fn charts(results: &Results) -> Vec<(&'static str, Bars)> {
    let bars = |scenario: &str, title: &str| Bars {
        title: title.to_owned(),
        groups: DATABASES
            .iter()
            .filter_map(|(database, shown)| group(results, scenario, database, shown))
            .collect(),
    };
    vec![
        ("hot_sku", bars("hot_sku", "Orders of one hot SKU per second, 64 connections")),
        ("many_skus", bars("many_skus", "Orders of 1,000 SKUs per second, 64 connections")),
        ("carts", bars("carts", "Orders of three lines per second, 64 connections")),
        ("crowd", bars("crowd", "Orders of one hot SKU per second, by connections")),
        ("sold_out", bars("sold_out", "Sold-out and plain answers per second, 64 connections")),
        ("payments", bars("payments", "Payments settled and orders placed per second")),
        ("history", bars("history", "Orders per second with a million orders and with none")),
    ]
}

fn group(results: &Results, scenario: &str, database: &str, shown: &str) -> Option<Group> {
    let result = results.get(&(scenario.to_owned(), database.to_owned()))?;
    let sides = result["sides"].as_array()?.iter();
    let bars = sides.filter_map(|side| {
        let name = match scenario {
            "crowd" => format!("{} connections", side["connections"]),
            _ => side["side"].as_str()?.to_owned(),
        };
        Some((name, side["per_second"].as_f64()?))
    });
    Some(Group { name: shown.to_owned(), bars: bars.collect() })
}
