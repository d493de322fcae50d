//! The rules of the house, checked so that nobody has to: layers, purity, sizes, and that documents name what exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A look at 400 lines, a stop at 500.
const LINES_MAX: usize = 500;

/// Layer → what it may use of ours.
const LAYERS: [(&str, &[&str]); 9] = [
    ("model", &["model"]),
    ("decide", &["model", "decide"]),
    ("ports", &["model", "ports"]),
    ("reconcile", &["model", "decide", "ports", "reconcile"]),
    ("adapters", &["model", "ports", "adapters"]),
    ("sim", &["model", "ports", "sim"]),
    ("cli", &["model", "ports", "decide", "config", "cli"]),
    ("web", &["model", "ports", "web", "telemetry"]),
    ("config", &["model", "config", "decide"]),
];

/// What the pure layers may use of others.
const PURE_CRATES: [&str; 8] =
    ["std", "serde", "serde_json", "jiff", "regex", "thiserror", "sha2", "schemars"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dir` with one of these endings.
fn files(dir: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else { return found };
    for entry in entries.map(|entry| entry.expect("an entry is readable").path()) {
        if entry.is_dir() {
            found.extend(files(&entry, endings));
        } else if endings.iter().any(|ending| entry.to_string_lossy().ends_with(ending)) {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The part of a file that is not its unit tests, without comments.
fn code(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or(text);
    code.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Words that follow `prefix` in the text: `crate::` → the modules used.
fn used<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    text.match_indices(prefix)
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'))
        .map(|(at, _)| {
            let rest = &text[at + prefix.len()..];
            &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn each_layer_uses_only_what_lies_below_it() {
    let mut wrong = Vec::new();
    for (layer, may) in LAYERS {
        for path in files(&root().join("src"), &[".rs"]) {
            let name = short(&path);
            let inside = name.starts_with(&format!("src/{layer}/")) || name == format!("src/{layer}.rs");
            if !inside || name.ends_with("tests.rs") {
                continue;
            }
            for module in used(&code(&read(&path)), "crate::") {
                // An adapter's wire formats may be shared with the simulated cluster, never its logic.
                let wire = layer == "sim" && module == "adapters";
                if !may.contains(&module) && !wire {
                    wrong.push(format!("{name} uses crate::{module}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "layers are crossed:\n{}", wrong.join("\n"));
}

#[test]
fn no_adapter_knows_another() {
    let mut wrong = Vec::new();
    for path in files(&root().join("src/adapters"), &[".rs"]) {
        let name = short(&path);
        let own = name.split('/').nth(2).unwrap_or_default().trim_end_matches(".rs").to_owned();
        for other in used(&code(&read(&path)), "crate::adapters::") {
            // `child` runs a program for an adapter, `pins` knows a certificate, `smtp` brings letters; tools, no systems.
            if other != own && own != "mod" && !["child", "pins", "smtp"].contains(&other) {
                wrong.push(format!("{name} uses adapters::{other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn deciding_is_pure() {
    let forbidden = [
        ".await",
        "async fn",
        "Timestamp::now",
        "Time::now",
        "SystemTime",
        "Instant::",
        "std::env",
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "rand::",
        "tokio",
        "println!",
        "unsafe",
    ];
    let mut wrong = Vec::new();
    for layer in ["src/model", "src/decide"] {
        for path in files(&root().join(layer), &[".rs"]) {
            let text = code(&read(&path));
            for word in forbidden {
                if text.contains(word) {
                    wrong.push(format!("{} contains {word}", short(&path)));
                }
            }
            for line in text.lines().filter(|line| line.starts_with("use ")) {
                let name = line
                    .trim_start_matches("use ")
                    .split("::")
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches(';');
                let ours = ["crate", "super", "self"].contains(&name);
                if !ours && !PURE_CRATES.contains(&name) && !text.contains(&format!("mod {name};")) {
                    wrong.push(format!("{} uses {name}", short(&path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let mut wrong = Vec::new();
    for dir in ["src", "tests"] {
        for path in files(&root().join(dir), &[".rs"]) {
            let lines = read(&path).lines().count();
            if lines > LINES_MAX {
                wrong.push(format!("{} has {lines} lines", short(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "more than {LINES_MAX} lines:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for path in files(&root().join("src"), &[".rs"]) {
        let name = short(&path);
        let tests = name.ends_with("/tests.rs") || name.contains("/tests/");
        if !tests && !read(&path).starts_with("//!") {
            wrong.push(short(&path));
        }
    }
    assert!(wrong.is_empty(), "no opening comment:\n{}", wrong.join("\n"));
}

#[test]
fn documents_name_what_exists() {
    let mut wrong = Vec::new();
    let mut documents = files(&root().join("docs"), &[".md"]);
    documents.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    for document in documents {
        let text = read(&document);
        for (number, line) in text.lines().enumerate() {
            for quoted in line.split('`').skip(1).step_by(2) {
                let first = quoted.split('/').next().unwrap_or_default();
                let looks_like_a_path = ["src", "tests", "docs", "policies", "helm", ".ci"].contains(&first)
                    && quoted.contains('/')
                    && !quoted.contains([' ', '<', '*', '…', '{']);
                if looks_like_a_path && !root().join(quoted.trim_end_matches('/')).exists() {
                    wrong.push(format!("{}:{}: {quoted}", short(&document), number + 1));
                }
            }
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap_or_default();
                let near = document.parent().unwrap_or(Path::new("")).join(target);
                if !target.is_empty() && !target.contains("://") && !near.exists() {
                    wrong.push(format!("{}:{}: link to {link}", short(&document), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "documents name what is not there:\n{}", wrong.join("\n"));
}

/// Nobody can look up a no that is not written down, nor trust one that no story tells.
#[test]
fn every_check_is_in_the_table_with_a_story() {
    let source = read(&root().join("src/model/verdict.rs"));
    let (_, names) = source.split_once("impl fmt::Display for CheckName").expect("checks have names");
    let names: BTreeSet<&str> =
        names.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let table = read(&root().join("docs/CHECKS.md"));
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| {
            Some((row.split('`').next()?, row.rsplit("`tests/stories/").next()?.split('`').next()?))
        })
        .collect();
    let told: BTreeSet<&str> = rows.iter().map(|(check, _)| *check).collect();
    assert_eq!(names, told, "the checks, and those that docs/CHECKS.md tells of");
    for (check, story) in rows {
        let history = root().join("tests/stories").join(story).join("history");
        assert!(history.exists(), "{check}: there is no story {story}");
    }
}

#[test]
fn the_top_level_stays_small() {
    let known: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "policies",
        "tests",
        "helm",
        "docs",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "deny.toml",
        "rustfmt.toml",
        "clippy.toml",
        "target",
    ]
    .into();
    let entries = fs::read_dir(root()).expect("the top level is readable");
    let strange: Vec<String> = entries
        .map(|entry| entry.expect("an entry is readable").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !known.contains(name.as_str()))
        .collect();
    assert!(strange.is_empty(), "new at the top level: {strange:?}");
}
