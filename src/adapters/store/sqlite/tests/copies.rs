//! Copies made by the service: whole, few, and nobody else's files touched.

use tokio_util::sync::CancellationToken;

use super::super::copies::Copies;
use super::super::copying::{Copied, keep_copying};
use super::super::inspect;
use super::*;

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

fn copies(keep: usize) -> (TempDir, Copies) {
    let dir = tempfile::tempdir().expect("a directory");
    let copies = Copies { dir: dir.path().join("copies"), keep };
    (dir, copies)
}

#[tokio::test]
async fn so_many_are_kept_and_nothing_else_is_touched() {
    let (bench, (_dir, copies)) = (Bench::new(), copies(2));
    assert_eq!(copies.newest(at(0)).expect("nothing is there yet"), None);
    for days in 0..4 {
        let now = at(days * DAY);
        let (file, _) = copies.make(bench.dir.path(), now).expect("a copy");
        inspect(&file).expect("it is whole");
        assert_eq!(copies.newest(now).expect("it can be read"), Some(now));
        if days == 0 {
            for foreign in ["pitlane-monday.db", "notes.txt", "pitlane-20250101T000000Z.db.txt"] {
                std::fs::write(copies.dir.join(foreign), "mine").expect("a file");
            }
            for left in ["pitlane-20250101T000000Z.db.part-7-1", "pitlane-20260303T095900Z.db.part-7-2"] {
                std::fs::write(copies.dir.join(left), "half").expect("a file");
            }
        }
    }
    let kept = [
        "notes.txt",
        "pitlane-20250101T000000Z.db.txt",
        "pitlane-20260303T100000Z.db",
        "pitlane-20260304T100000Z.db",
        "pitlane-monday.db",
    ];
    assert_eq!(files(&copies.dir), kept, "what processes left behind that died is gone as well");
}

#[tokio::test]
async fn a_copy_from_the_future_is_no_reason_to_make_none() {
    let (bench, (_dir, copies)) = (Bench::new(), copies(1));
    let ahead = at(365 * DAY);
    copies.make(bench.dir.path(), ahead).expect("the clock was wrong");
    assert_eq!(copies.newest(at(0)).expect("it can be read"), None);
    copies.make(bench.dir.path(), at(0)).expect("and was set right");
    assert_eq!(files(&copies.dir), ["pitlane-20260301T100000Z.db"]);
}

#[tokio::test]
async fn nothing_is_begun_without_room_and_nothing_is_removed() {
    let (bench, (_dir, copies)) = (Bench::new(), copies(1));
    copies.make(bench.dir.path(), at(0)).expect("a copy");
    // A store with a hole of so many bytes: no disk has twice that much.
    let log = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(bench.dir.path().join("pitlane.db-wal"));
    let log = log.expect("the log");
    let before = log.metadata().expect("its size").len();
    log.set_len(1 << 42).expect("a sparse file");
    let refused = copies.make(bench.dir.path(), at(DAY));
    log.set_len(before).expect("as it was");
    let told = refused.expect_err("there is no room").to_string();
    assert!(told.contains("MiB are free") && told.contains("none was begun"), "{told}");
    assert_eq!(files(&copies.dir), ["pitlane-20260301T100000Z.db"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_told() {
    let (bench, (dir, _)) = (Bench::new(), copies(1));
    let copies = Copies { dir: dir.path().join("nowhere/copies"), keep: 1 };
    let told = copies.make(bench.dir.path(), at(0)).expect_err("its parent is not there").to_string();
    assert!(told.contains("nowhere/copies") && told.contains("cannot be made"), "{told}");
}

/// What the loop says first, with a clock that stands at `now`.
async fn first_word(bench: &Bench, copies: &Copies, now: Time) -> Result<Copied, String> {
    bench.set(now);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let heard = move |said| drop(tell.send(said));
    let (state, every, stop) = (bench.dir.path().into(), Duration::from_secs(DAY), CancellationToken::new());
    let loops =
        tokio::spawn(keep_copying(copies.clone(), every, state, bench.clock.clone(), heard, stop.clone()));
    let said = tokio::time::timeout(Duration::from_secs(60), told.recv()).await.expect("in time");
    stop.cancel();
    loops.await.expect("it ends when it is told to");
    said.expect("one word")
}

#[tokio::test]
async fn one_is_made_when_it_is_due_and_none_before() {
    let (bench, (_dir, copies)) = (Bench::new(), copies(5));
    let made = first_word(&bench, &copies, at(0)).await.expect("a copy");
    assert_eq!((made.newest, made.file.is_some()), (at(0), true));
    let early = first_word(&bench, &copies, at(DAY - 1)).await.expect("nothing to do");
    assert_eq!(early, Copied { newest: at(0), file: None });
    let due = first_word(&bench, &copies, at(DAY)).await.expect("a copy");
    assert_eq!((due.newest, files(&copies.dir).len()), (at(DAY), 2));
    std::fs::remove_dir_all(&copies.dir).expect("gone");
    std::fs::write(&copies.dir, "no directory").expect("a file");
    let told = first_word(&bench, &copies, at(2 * DAY)).await.expect_err("it cannot be written");
    assert!(told.contains("copies"), "{told}");
}
