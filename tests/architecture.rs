//! The house rules that a machine can see: who may use whom, and how large a thing may get.
//!
//! Reads the source as text. An exception needs an entry here, with its reason; an entry that is
//! not needed any more fails as well.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Of comments; rustfmt keeps code there.
const COLUMNS_MAX: usize = 100;
/// Of code that rustfmt does not break for a text in it, and of rows of a table.
const TEXT_COLUMNS_MAX: usize = 140;
const FUNCTION_MAX: usize = 60;
const FILE_MAX: usize = 500;

/// Longer functions: path, name, reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("src/domain/order.rs", "apply", "a table: for each state and event what follows"),
    ("migration/src/m20261125_000002_create_orders.rs", "order", COLUMNS),
    ("migration/src/m20261125_000003_create_payments.rs", "payment_attempt", COLUMNS),
    ("migration/src/m20261125_000003_create_payments.rs", "refund", COLUMNS),
];
const COLUMNS: &str = "a list of columns, one a line";
/// Longer files: path, reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// What may be used of this crate: by the files of a folder (or one file), these modules.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain/", &["domain"]),
    ("clock.rs", &["domain"]),
    // Points at which a test ends the process; they know nothing.
    ("crash.rs", &[]),
    ("telemetry.rs", &["config"]),
    ("config", &["config", "telemetry"]),
    ("metrics.rs", &["domain"]),
    ("wechat/", &["wechat", "domain", "clock"]),
    ("sandbox/", &["sandbox", "wechat", "domain", "clock"]),
    ("store/", &["store", "domain", "clock", "config"]),
    (
        "actors/",
        &[
            "actors",
            "store",
            "wechat",
            "domain",
            "clock",
            "config",
            "telemetry",
            "metrics",
            "crash",
        ],
    ),
    // WeChat's callbacks are answered in WeChat's words; nothing else of the edge knows them.
    (
        "http/callback/",
        &["http", "actors", "store", "wechat", "domain", "clock", "config", "telemetry", "metrics"],
    ),
    ("http/", &["http", "actors", "store", "domain", "clock", "config", "telemetry", "metrics"]),
    ("app.rs", &["actors", "clock", "config", "domain", "http", "sandbox", "store", "wechat"]),
    // The proof that anyone can run: it starts the application and looks at everything.
    ("soak/", &["soak", "app", "actors", "clock", "config", "domain", "sandbox", "store"]),
    (
        "cli/",
        &[
            "cli",
            "app",
            "clock",
            "config",
            "crash",
            "domain",
            "soak",
            "store",
            "telemetry",
            "wechat",
        ],
    ),
];

/// Crates that only some may use: crate, and where.
const CRATES: &[(&str, &[&str])] = &[
    // The journal owns the one connection that writes, and its transactions.
    ("sea_orm", &["store/", "actors/journal/"]),
    ("sqlx", &["store/"]),
    ("entity", &["store/"]),
    ("migration", &["store/"]),
    ("actix_web", &["http/", "sandbox/", "app.rs", "soak/shop.rs"]),
    ("actix", &["actors/", "app.rs", "cli/", "soak/shop.rs"]),
    // The configuration checks its URLs with the parser that will read them.
    ("awc", &["wechat/", "sandbox/", "cli/", "config/check.rs", "soak/"]),
    // What an xlsx file claims is looked at with the parser that will read it.
    ("quick_xml", &["wechat/", "http/admin/shipping/xlsx.rs"]),
    ("rustls", &["wechat/", "main.rs", "cli/"]),
    ("figment", &["config"]),
    ("clap", &["cli/"]),
    ("anyhow", &["main.rs", "cli/"]),
    ("utoipa", &["http/"]),
    ("metrics_exporter_prometheus", &["app.rs", "http/"]),
];

/// The rules are pure: of other crates they use only these.
const DOMAIN_CRATES: &[&str] = &["std", "serde", "thiserror"];
/// What has no place in the rules, whatever it is called there.
const DOMAIN_WORDS: &[&str] = &[
    "async ",
    ".await",
    "std::time",
    "std::fs",
    "std::net",
    "std::thread",
    "SystemTime",
    "unsafe",
];

/// A file of the project.
struct Source {
    /// From the folder that was asked for.
    path: String,
    text: String,
}

impl Source {
    /// The lines without comments and without tests, numbered.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|pair| {
            pair[0].trim() == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{')
        });
        let end = tests.unwrap_or(lines.len());
        let code = lines.into_iter().take(end).enumerate();
        code.filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(index, line)| (index + 1, line))
    }

    /// Modules that this file declares for tests alone, as paths without `.rs`.
    fn test_modules(&self) -> Vec<String> {
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let folder = match self.path.strip_suffix("mod.rs") {
            Some(folder) => folder.to_owned(),
            None => format!("{}/", self.path.trim_end_matches(".rs")),
        };
        let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        let name = |pair: &[&str]| {
            let name = pair[1].strip_suffix(';')?.rsplit_once("mod ")?.1;
            Some(format!("{folder}{name}"))
        };
        declared.filter_map(name).collect()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(folder: &str) -> Vec<Source> {
    let (base, mut found) = (root().join(folder), Vec::new());
    collect(&base, &base, &mut found);
    found.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

fn collect(base: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(base, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(base).unwrap().to_str().unwrap().replace('\\', "/");
            found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// What is shipped: `src/` without tests.
fn shipped() -> Vec<Source> {
    let all = read("src");
    let tests: Vec<String> = all.iter().flat_map(Source::test_modules).collect();
    let is_test = |path: &str| {
        let within = |module: &String| {
            let rest = path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        // Beside the file that they test, under `#[path]`.
        path.ends_with("_tests.rs") || tests.iter().any(within)
    };
    all.into_iter().filter(|source| !is_test(&source.path)).collect()
}

/// All code of ours, under paths from the root.
fn everything() -> Vec<Source> {
    let folders = ["src", "tests", "benches", "entity/src", "migration/src"];
    let there = folders.into_iter().filter(|folder| root().join(folder).is_dir());
    let sources = there.flat_map(|folder| {
        read(folder).into_iter().map(move |source| Source {
            path: format!("{folder}/{}", source.path),
            text: source.text,
        })
    });
    sources.collect()
}

#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// The words that follow each `start` in a line, up to what cannot be in a name.
fn names_after<'a>(line: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    let begins = |at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_' && letter != ':')
    };
    line.match_indices(start).filter(move |(at, _)| begins(*at)).map(move |(at, _)| {
        let rest = &line[at + start.len()..];
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// Whether a line names this crate in a path.
fn uses(line: &str, name: &str) -> bool {
    names_after(line, &format!("{name}::")).next().is_some()
        || line.trim_start().starts_with(&format!("use {name};"))
}

fn layer(path: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(start, _)| path.starts_with(start)).map(|(_, allowed)| *allowed)
}

#[test]
fn dependencies_point_only_down() {
    let mut found = Vec::new();
    for source in shipped() {
        if matches!(source.path.as_str(), "lib.rs" | "main.rs") {
            continue;
        }
        let Some(allowed) = layer(&source.path) else {
            found.push(format!("{}: belongs to no layer", source.path));
            continue;
        };
        for (number, line) in source.code() {
            for used in names_after(line, "crate::") {
                if !allowed.contains(&used) {
                    found.push(format!("{}:{number} uses crate::{used}", source.path));
                }
            }
        }
    }
    none("dependencies that do not point down", found);
}

#[test]
fn no_path_leaves_its_layer_by_super() {
    let mut found = Vec::new();
    for source in shipped() {
        let parts = source.path.split('/').count();
        // `a/b.rs` and `a/b/mod.rs` stand two and two steps below the root of the crate.
        let depth = if source.path.ends_with("/mod.rs") { parts - 1 } else { parts };
        for (number, line) in source.code() {
            if line.contains(&"super::".repeat(depth)) {
                found.push(format!("{}:{number} {}", source.path, line.trim()));
            }
        }
    }
    none("paths that climb to the root of the crate", found);
}

#[test]
fn each_large_crate_is_used_in_its_place_only() {
    let mut found = Vec::new();
    for source in shipped() {
        for (name, places) in CRATES {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (number, line) in source.code().filter(|(_, line)| uses(line, name)) {
                found.push(format!("{}:{number} {}", source.path, line.trim()));
            }
        }
    }
    none("crates used out of their place", found);
}

#[test]
fn the_rules_are_pure() {
    let mut found = Vec::new();
    for source in shipped().iter().filter(|source| source.path.starts_with("domain/")) {
        for (number, line) in source.code() {
            let foreign = line.trim_start().strip_prefix("use ").and_then(|rest| {
                let name = rest.split([':', ';', ' ']).next()?;
                let own = ["crate", "super", "self"].contains(&name)
                    || name.starts_with(|letter: char| letter.is_uppercase());
                (!own && !DOMAIN_CRATES.contains(&name)).then_some(name)
            });
            let word = DOMAIN_WORDS.iter().find(|word| line.contains(**word)).copied();
            if let Some(what) = foreign.or(word) {
                found.push(format!("{}:{number} {what}", source.path));
            }
        }
    }
    none("what rules must not know", found);
}

#[test]
fn wechat_knows_of_the_rules_only_money_ids_and_time() {
    let mut found = Vec::new();
    for source in shipped().iter().filter(|source| source.path.starts_with("wechat/")) {
        for (number, line) in source.code() {
            for used in names_after(line, "crate::domain::") {
                if !["id", "money", "time"].contains(&used) {
                    found.push(format!("{}:{number} {}", source.path, line.trim()));
                }
            }
        }
    }
    none("more of the domain than wechat may know", found);
}

#[test]
fn only_app_decides_by_the_mode() {
    let mut found = Vec::new();
    // `config check` only shows which mode is set.
    let may = ["app.rs", "config", "cli/config.rs"];
    for source in shipped() {
        if may.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for (number, line) in source.code() {
            if line.contains("wechat.mode") || line.contains("config::Mode") {
                found.push(format!("{}:{number} {}", source.path, line.trim()));
            }
        }
    }
    none("who else reads wechat.mode", found);
}

#[test]
fn nothing_but_the_clock_asks_what_time_it_is() {
    let mut found = Vec::new();
    for source in shipped().iter().filter(|source| source.path != "clock.rs") {
        for (number, line) in source.code() {
            let asks = ["SystemTime", "Timestamp::now()", "Zoned::now", "CURRENT_TIMESTAMP"];
            if asks.iter().any(|asking| line.contains(asking)) {
                found.push(format!("{}:{number} {}", source.path, line.trim()));
            }
        }
    }
    none("clocks beside the clock", found);
}

#[test]
fn money_and_everything_near_it_is_whole_numbers() {
    let mut found = Vec::new();
    for source in shipped().iter().filter(|source| source.path != "metrics.rs") {
        for (number, line) in source.code() {
            let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            if words.into_iter().any(|word| word == "f32" || word == "f64") {
                found.push(format!("{}:{number} {}", source.path, line.trim()));
            }
        }
    }
    none("floating point", found);
}

#[test]
fn what_is_shipped_does_not_unwrap() {
    let mut found = Vec::new();
    for source in shipped() {
        for (number, line) in source.code() {
            let forbidden = [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "dbg!("];
            if forbidden.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number} {}", source.path, line.trim()));
            }
        }
    }
    none("what can panic without a reason", found);
}

#[test]
fn no_test_is_ignored_and_none_expects_a_panic() {
    let mut found = Vec::new();
    for source in everything() {
        for (number, line) in source.text.lines().enumerate() {
            let line = line.trim_start();
            if line.starts_with("#[ignore") || line.starts_with("#[should_panic") {
                found.push(format!("{}:{} {line}", source.path, number + 1));
            }
        }
    }
    none("tests that do not test", found);
}

#[test]
fn every_file_says_what_it_is() {
    let silent = shipped().into_iter().filter(|source| !source.text.starts_with("//!"));
    none("files without a //! at their head", silent.map(|source| source.path).collect());
}

#[test]
fn no_line_is_longer_than_a_hundred_columns() {
    let mut found = Vec::new();
    for source in everything() {
        for (number, line) in source.text.lines().enumerate() {
            let (text, width) = (line.trim_start(), line.chars().count());
            let in_comment = text.starts_with("//") && !text.contains("//! |");
            let most = if in_comment { COLUMNS_MAX } else { TEXT_COLUMNS_MAX };
            if width > most {
                found.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    none("long lines", found);
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    let long: BTreeSet<String> = everything()
        .into_iter()
        .filter(|source| source.text.lines().count() > FILE_MAX)
        .map(|source| source.path)
        .collect();
    let excused: BTreeSet<String> = LONG_FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(long, excused, "found and excused");
}

/// Name and length of each function; relies on rustfmt: a function ends where a line has its
/// indent.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line) else { continue };
        let end = lines[start..].iter().position(|line| {
            let same = line.len() - line.trim_start().len() == indent;
            let ends = line.trim_start().starts_with('}') || line.ends_with(';');
            same && ends || (line.ends_with('}') && line.contains('{') && same)
        });
        found.push((name.to_owned(), end.map_or(1, |end| end + 1)));
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let signature = ["pub(super) ", "pub(crate) ", "pub "]
        .iter()
        .find_map(|visible| line.strip_prefix(visible))
        .unwrap_or(line);
    let signature = signature.strip_prefix("const ").unwrap_or(signature);
    let signature = signature.strip_prefix("async ").unwrap_or(signature);
    let name = signature.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

#[test]
fn functions_are_measured_as_rustfmt_writes_them() {
    let text = "fn one() {}\n\npub async fn three<T>(\n) -> u8 {\n}\n\ntrait T {\n    fn sig(&self);\n\
        \n    fn two(&self) {\n    }\n}\n";
    let expected = [("one", 1), ("three", 3), ("sig", 1), ("two", 2)];
    let expected: Vec<(String, usize)> =
        expected.iter().map(|(name, length)| ((*name).to_owned(), *length)).collect();
    assert_eq!(functions(text), expected);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = BTreeSet::new();
    for source in everything() {
        for (name, length) in functions(&source.text) {
            if length > FUNCTION_MAX {
                long.insert((source.path.clone(), name));
            }
        }
    }
    let excused: BTreeSet<(String, String)> = LONG_FUNCTIONS
        .iter()
        .map(|(path, name, _)| ((*path).to_owned(), (*name).to_owned()))
        .collect();
    assert_eq!(long, excused, "found and excused");
}
