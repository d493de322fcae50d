//! Stories: incidents as scripts, and the history that pitlane writes of them, word for word.
//!
//! Each folder here is one story: `README.md` (three lines), `script`, `history`. `PITLANE_BLESS=1` writes the
//! histories anew; read the difference as you would read an incident report. `PITLANE_STORE=postgres` tells them over a real
//! PostgreSQL, in the same words; `STORY=…` only those whose names have this in them.

mod crash;
mod deadly;
mod estate;
mod events;
mod giving_back;
mod happens;
mod harness;
mod hours;
mod kept;
mod late;
mod learning;
mod makespan;
#[expect(dead_code, reason = "the contract tests use the rest of it")]
#[path = "../lab/postgres.rs"]
mod postgres;
mod script;
mod setting;
mod two_out;
mod watchdog;

use std::fs;
use std::path::{Path, PathBuf};

fn folders() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let entries = fs::read_dir(&here).expect("the folder of stories is readable");
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry is readable").path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    all
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Every story is told as it was written down.
#[test]
fn stories() {
    let only = std::env::var("STORY").unwrap_or_default();
    let _database = kept::database();
    let bless = std::env::var_os("PITLANE_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut told = 0;
    for folder in folders() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(&only) {
            continue;
        }
        let readme = read(&folder.join("README.md"));
        assert_eq!(readme.trim_end().lines().count(), 3, "{name}: a README has three lines");
        let script =
            script::parse(&read(&folder.join("script"))).unwrap_or_else(|why| panic!("{name}: {why}"));
        let history = harness::tell(&script).unwrap_or_else(|why| panic!("{name}: {why}"));
        let file = folder.join("history");
        if bless {
            fs::write(&file, &history).expect("the history is writable");
        } else if read(&file) != history {
            let told = std::env::temp_dir().join(format!("{name}.history"));
            fs::write(&told, &history).expect("the temporary folder is writable");
            wrong.push(format!("{name}: diff {} {}", file.display(), told.display()));
        }
        told += 1;
    }
    assert!(told > 0, "no story was told");
    assert!(
        wrong.is_empty(),
        "{} of {told} stories are told differently:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
