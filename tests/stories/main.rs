//! Stories: incidents as scripts, and the history that pitlane writes of them, word for word.
//!
//! Each folder here is one story: `README.md` (three lines), `script`, `history`. `PITLANE_BLESS=1` writes the
//! histories anew; read the difference as you would read an incident report. `PITLANE_STORE=sqlite` and `PITLANE_STORE=postgres`
//! tell them over the real stores, in the same words; `STORY=…` only those whose names have this in them.

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
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let meant: Vec<PathBuf> = folders().into_iter().filter(|folder| name(folder).contains(&only)).collect();
    assert!(!meant.is_empty(), "no story was told");
    let wrong = beside(&meant, |folder| told_otherwise(folder));
    assert!(
        wrong.is_empty(),
        "{} of {} stories are told differently:\n{}",
        wrong.len(),
        meant.len(),
        wrong.join("\n")
    );
}

/// Does it with each of them, on all cores, and twice as many at a time where they wait for a database.
fn beside<T: Sync>(all: &[T], what: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if kept::database().is_some() { cores * 2 } else { cores };
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = what(one);
                    wrong.lock().expect("no thread panics with the list in hand").extend(found);
                }
            });
        }
    });
    wrong.into_inner().expect("no thread panics with the list in hand")
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is wrong with it, if something is.
fn told_otherwise(folder: &Path) -> Option<String> {
    let name = name(folder);
    assert_eq!(
        read(&folder.join("README.md")).trim_end().lines().count(),
        3,
        "{name}: a README has three lines"
    );
    let script = script::parse(&read(&folder.join("script"))).unwrap_or_else(|why| panic!("{name}: {why}"));
    let history = match harness::tell(&script) {
        Ok(history) => history,
        Err(why) => return Some(format!("{name}: {why}")),
    };
    let file = folder.join("history");
    if std::env::var_os("PITLANE_BLESS").is_some() {
        fs::write(&file, &history).expect("the history is writable");
    } else if read(&file) != history {
        let told = std::env::temp_dir().join(format!("{name}.history"));
        fs::write(&told, &history).expect("the temporary folder is writable");
        return Some(format!("{name}: diff {} {}", file.display(), told.display()));
    }
    None
}
