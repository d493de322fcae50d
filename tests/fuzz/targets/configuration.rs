//! A configuration as somebody wrote it, with the files that it may name beside it: settings, or mistakes with places.
#![no_main]

use std::cell::RefCell;
use std::fs;

use libfuzzer_sys::fuzz_target;
use pitlane::config::{Mistakes, hints, load, read_tokens};

thread_local! {
    static DIR: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in ["pve", "ca.pem", "key", "known_hosts", "keyring", "password"] {
        fs::write(dir.path().join(name), "pitlane@pve!ctl=00000000-0000-0000-0000-000000000000\n")
            .expect("writable");
    }
    fs::create_dir(dir.path().join("policies")).expect("writable");
    fs::write(dir.path().join("policies/manual.yaml"), include_str!("../../../policies/manual.yaml"))
        .expect("writable");
    let hash = "0".repeat(64);
    let tokens = format!("tokens:\n  - {{name: alice, role: operate, sha256: {hash}}}\n");
    fs::write(dir.path().join("tokens.yaml"), tokens).expect("writable");
    dir
}

fuzz_target!(|text: &str| {
    // Special files of this machine are the machine's affair; some of them never end.
    if text.contains("/dev") || text.contains("/proc") || text.contains("/sys") {
        return;
    }
    DIR.with_borrow_mut(|made| {
        let dir = made.get_or_insert_with(dir);
        let file = dir.path().join("pitlane.yaml");
        fs::write(&file, text).expect("writable");
        match load(&file) {
            Ok(config) => drop(hints(&config)),
            Err(mistakes) => {
                assert!(!mistakes.is_empty(), "refused without a reason");
                for mistake in mistakes.list() {
                    assert!(mistake.place.line >= 1 && mistake.place.column >= 1, "{mistake}");
                    assert!(!mistake.text.is_empty());
                }
            }
        }
    });
    let mut mistakes = Mistakes::of("tokens.yaml");
    let tokens = read_tokens(text, &mut mistakes);
    assert!(mistakes.is_empty() || tokens.len() <= text.len());
});
