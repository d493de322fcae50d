//! `pitlane store` from outside, beside a real service: exit codes, and that nothing is ever begun anew over what is lost.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::running::{Service, configured, until};
use super::said;

fn store(dir: &Path, words: &[&str]) -> (i32, String, String) {
    said(dir, &[&["--config", "pitlane.yaml", "store"], words].concat())
}

#[test]
fn a_backup_of_a_running_service_brings_back_what_the_disk_lost() {
    let mut service = Service::start("");
    assert_eq!(service.ask("operate", &["pause", "--reason", "visitors"]).0, 0);
    let dir = service.dir.path().to_owned();
    let (code, out, err) = store(&dir, &["backup", "monday.db"]);
    assert!(code == 0 && out.contains("verified") && out.contains("1 requests"), "{code} {out} {err}");
    let (code, _, err) = store(&dir, &["backup", "monday.db"]);
    assert!(code == 2 && err.contains("not overwritten"), "{code} {err}");
    let (code, out, _) = store(&dir, &["verify"]);
    assert!(code == 0 && out.contains("whole"), "{code} {out}");
    let (code, out, _) = said(&dir, &["--json", "store", "verify", "monday.db"]);
    let told: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, told["holds"]["requests"].as_u64()), (0, Some(1)), "a file needs no configuration");
    let (code, _, err) = store(&dir, &["restore", "monday.db"]);
    assert!(code == 3 && err.contains("holds"), "somebody is home: {code} {err}");
    assert_eq!(service.ask("operate", &["resume"]).0, 0);
    assert_eq!(service.terminate(), 0);

    // The disk goes bad.
    let database = dir.join("state/pitlane.db");
    let mut bytes = fs::read(&database).expect("there");
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..].fill(0x5a);
    fs::write(&database, &bytes).expect("ours");
    for words in [&["store", "verify"][..], &["run"]] {
        let (code, _, err) = said(&dir, &[&["--config", "pitlane.yaml"], words].concat());
        assert!(
            code == 1 && err.contains("damaged") && err.contains("store restore"),
            "{words:?}: {code} {err}"
        );
    }
    assert_eq!(fs::read(&database).expect("there"), bytes, "it is left as it was");
    let (code, _, err) = store(&dir, &["restore", "nowhere.db"]);
    assert!(code == 2 && err.contains("nowhere.db"), "{code} {err}");
    let (code, out, err) = store(&dir, &["restore", "monday.db"]);
    assert!(code == 0 && out.contains("PAUSED") && out.contains("before-restore"), "{code} {out} {err}");
    let (code, out, _) = store(&dir, &["verify"]);
    assert!(code == 0 && out.contains("whole"), "{code} {out}");

    let service = service.again();
    // What a turn knows is told when one has ended.
    let told = (0..300).map(|_| service.ask("read", &["status"]).1);
    let told = told.inspect(|_| std::thread::sleep(std::time::Duration::from_millis(100)));
    let out = told.into_iter().find(|out| !out.contains("no turn has ended yet")).unwrap_or_default();
    assert!(out.contains("Paused by store restore"), "{out}");
}

#[test]
fn a_service_copies_its_store_by_itself_and_says_when_it_cannot() {
    let dir = configured("");
    let config = fs::read_to_string(dir.path().join("pitlane.yaml")).expect("written");
    fs::write(dir.path().join("pitlane.yaml"), format!("{config}store: {{backup: {{dir: copies}}}}\n"))
        .expect("ours");
    let mut service = Service::started(dir, Command::new(assert_cmd::cargo::cargo_bin("pitlane")));
    let copies = service.dir.path().join("copies");
    let made = || -> Vec<String> {
        let entries = fs::read_dir(&copies).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.ends_with("Z.db")).collect()
    };
    until("it is copied", || !made().is_empty());
    let file = format!("copies/{}", made()[0]);
    let (code, out, err) = store(service.dir.path(), &["verify", &file]);
    assert!(code == 0 && out.contains("whole"), "{code} {out} {err}");
    let counted = |what: &str| {
        let metrics = service.get("/metrics", "read");
        metrics.lines().any(|line| line == format!("pitlane_store_backups_total{{outcome=\"{what}\"}} 1"))
    };
    until("the copy is counted", || counted("made"));
    assert!(!counted("failed"));
    let changed = service.read("pitlane.yaml").replace("dir: copies", "dir: elsewhere");
    service.write("pitlane.yaml", &changed);
    let (code, out, err) = service.ask("operate", &["reload"]);
    assert!(code == 0 && out.contains("store.backup"), "only a restart changes it: {code} {out} {err}");
    assert_eq!(service.terminate(), 0);

    // Where copies shall go is no place for any.
    fs::write(service.dir.path().join("file"), "").expect("ours");
    service.write("pitlane.yaml", &changed.replace("dir: elsewhere", "dir: file/copies"));
    let service = service.again();
    until("the journal has it", || service.get("/api/v1/journal", "read").contains("file/copies"));
    assert_eq!(made().len(), 1, "what was there stays");
}
