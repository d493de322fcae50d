//! Backups: made beside a running service, believed only when inspected, put back only when nobody is home.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use super::*;

async fn with_a_case() -> Bench {
    let bench = Bench::new();
    let decision = Decision {
        cases: vec![case(1, confirming())],
        notes: vec![note(1, remark("first"))],
        steps: vec![comment_step(1, "comment/1")],
        ..Decision::default()
    };
    bench.commit(decision).await.expect("commits");
    bench
}

#[tokio::test]
async fn a_backup_beside_a_running_service_is_whole_private_and_alone() {
    let bench = with_a_case().await;
    let beside = tempfile::tempdir().expect("a directory");
    let file = beside.path().join("monday.db");
    let found = backup(bench.dir.path(), &file).expect("copies");
    assert_eq!((found.cases, found.steps, found.journal.seq), (1, 1, 1));
    assert_eq!(inspect(&file).expect("whole"), found);
    let mode = fs::metadata(&file).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let names: Vec<_> =
        fs::read_dir(beside.path()).expect("reads").map(|e| e.expect("one").file_name()).collect();
    assert_eq!(names, ["monday.db"], "nothing else is left");

    let before = fs::read(&file).expect("reads");
    let why = backup(bench.dir.path(), &file).expect_err("never overwrites").chain();
    assert!(why.contains("there already"), "{why}");
    assert_eq!(fs::read(&file).expect("reads"), before);
    // The service goes on.
    bench.store().ingest(vec![episode(1, 0, None)]).await.expect("writes");
}

#[tokio::test]
async fn backups_while_the_service_writes_are_one_moment_each() {
    let bench = with_a_case().await;
    let beside = tempfile::tempdir().expect("a directory");
    let (dir, to) = (bench.dir.path().to_owned(), beside.path().to_owned());
    let copies = tokio::task::spawn_blocking(move || {
        (0..10)
            .map(|n| backup(&dir, &to.join(format!("{n}.db"))).map(|found| found.episodes))
            .collect::<Vec<_>>()
    });
    let mut written = 0;
    while !copies.is_finished() {
        bench.store().ingest(vec![episode(written, written, None)]).await.expect("writes");
        written += 1;
    }
    let copies: Vec<usize> =
        copies.await.expect("ends").into_iter().map(|found| found.expect("whole")).collect();
    assert!(copies.is_sorted() && copies[9] <= usize::try_from(written).expect("few"), "{copies:?}");
}

#[tokio::test]
async fn a_restored_store_is_paused_uses_new_numbers_and_keeps_what_was_there() {
    let mut bench = with_a_case().await;
    let beside = tempfile::tempdir().expect("a directory");
    let file = beside.path().join("monday.db");
    backup(bench.dir.path(), &file).expect("copies");
    let held = restore(bench.dir.path(), &file, at(50)).expect_err("a pitlane runs").chain();
    assert!(held.contains("holds"), "{held}");

    // Days later, and then the disk.
    bench
        .commit(Decision { cases: vec![case(2, confirming())], ..Decision::default() })
        .await
        .expect("commits");
    bench.store = None;
    fs::write(bench.dir.path().join(open::DATABASE), [7; 9000]).expect("writes");
    let (found, kept) = restore(bench.dir.path(), &file, at(50)).expect("restores");
    assert_eq!((found.cases, found.journal.seq), (1, 2));
    assert_eq!(fs::read(kept.expect("kept")).expect("reads"), [7; 9000]);

    bench.reopen();
    let state = bench.store().load().await.expect("loads");
    assert_eq!(state.cases.len(), 1);
    assert_eq!(state.next_case, 1002, "case 2 is somebody's key already");
    let pause = state.paused.expect("it begins paused");
    assert!(pause.reason.contains("restored"), "{}", pause.reason);
    assert_eq!(bench.store().verify().await.expect("whole").seq, 2);
    // And it is an ordinary store again.
    bench.reopen();
}

#[tokio::test]
async fn what_is_not_whole_is_not_restored_and_nothing_is_changed() {
    let mut bench = with_a_case().await;
    let beside = tempfile::tempdir().expect("a directory");
    let file = beside.path().join("monday.db");
    backup(bench.dir.path(), &file).expect("copies");
    bench.store = None;
    let now = fs::read(bench.dir.path().join(open::DATABASE)).expect("reads");
    let good = fs::read(&file).expect("reads");
    let spoil = |name: &str, statement: &str| {
        let spoilt = beside.path().join(name);
        fs::write(&spoilt, &good).expect("writes");
        let conn = Connection::open(&spoilt).expect("opens");
        conn.execute_batch(statement).expect(statement);
        spoilt
    };
    let torn = beside.path().join("torn.db");
    fs::write(&torn, &good[..good.len() / 2]).expect("writes");
    let empty = beside.path().join("empty.db");
    fs::write(&empty, "").expect("writes");
    let trigger = "DROP TRIGGER journal_is_not_changed; DROP TRIGGER journal_is_not_cut;";
    for (spoilt, said) in [
        (torn, "damaged"),
        (empty, "empty"),
        (beside.path().join("missing.db"), "No such file"),
        (spoil("a.db", "UPDATE cases SET node = 'pve2'"), "seal is broken"),
        (spoil("b.db", "UPDATE steps SET tries = 7"), "seal is broken"),
        (spoil("c.db", "DELETE FROM meta WHERE key = 'next_case'"), "seal is broken"),
        (
            spoil("d.db", &format!("{trigger} UPDATE journal SET doc = replace(doc, 'first', 'other')")),
            "journal",
        ),
        (spoil("e.db", &format!("{trigger} DELETE FROM journal")), "journal"),
        (
            spoil("f.db", "PRAGMA foreign_keys = OFF; DELETE FROM cases"),
            "names another one that is not there",
        ),
        (spoil("g.db", "PRAGMA user_version = 99"), "newer pitlane"),
        (spoil("h.db", "PRAGMA application_id = 1"), "another program"),
    ] {
        let why = inspect(&spoilt).expect_err("not whole").chain();
        assert!(why.contains(said), "{}: {why}", spoilt.display());
        restore(bench.dir.path(), &spoilt, at(50)).expect_err("is not taken");
        assert_eq!(fs::read(bench.dir.path().join(open::DATABASE)).expect("reads"), now, "{said}");
    }
    bench.reopen();
}

/// Wherever it is killed or the power goes: the files of each moment are opened as a start would.
#[tokio::test]
async fn a_restore_that_ends_anywhere_leaves_the_old_store_the_new_one_or_one_that_is_refused() {
    let bench = with_a_case().await;
    let beside = tempfile::tempdir().expect("a directory");
    let file = beside.path().join("monday.db");
    backup(bench.dir.path(), &file).expect("copies");
    bench.meddle("PRAGMA wal_checkpoint(TRUNCATE)");
    for id in 2..=9 {
        let cases = vec![case(id, confirming())];
        bench.commit(Decision { cases, ..Decision::default() }).await.expect("commits");
    }
    // As after kill -9: most of it is only in the log.
    let killed = tempfile::tempdir().expect("a directory");
    copy_all(bench.dir.path(), killed.path());
    let mut moments: Vec<tempfile::TempDir> = Vec::new();
    let mut keep = || {
        let moment = tempfile::tempdir().expect("a directory");
        copy_all(killed.path(), moment.path());
        moments.push(moment);
    };
    let (_, kept) = backup::restored(killed.path(), &file, at(50), &mut keep).expect("restores");
    let mut seen = Vec::new();
    for moment in &moments {
        let store = super::open(moment.path(), bench.clock.clone());
        seen.push(match store {
            Err(why @ StoreError::Behind { .. }) => {
                let why = why.chain();
                assert!(why.contains("`pitlane store restore` was broken off: then run it again"), "{why}");
                // Which is what its reader does, and it ends it.
                restore(moment.path(), &file, at(60)).expect("restores");
                super::open(moment.path(), bench.clock.clone()).expect("opens").load().await.expect("loads");
                "behind"
            }
            Err(why) => panic!("{}", why.chain()),
            Ok(store) => {
                let state = store.load().await.expect("loads");
                match (state.cases.len(), state.paused.is_some(), state.next_case) {
                    (9, false, 10) => "old",
                    (1, true, 1010) => "new",
                    other => panic!("neither: {other:?}"),
                }
            }
        });
    }
    // Linked; the log; its index; the new file; the note.
    assert_eq!(seen, ["old", "behind", "behind", "behind", "new"]);

    // What was put aside is a store, with its log.
    let again = tempfile::tempdir().expect("a directory");
    let kept = kept.expect("kept");
    for end in ["", "-wal"] {
        let from = PathBuf::from(format!("{}{end}", kept.display()));
        fs::copy(from, again.path().join(format!("{}{end}", open::DATABASE))).expect("copies");
    }
    let old = super::open(again.path(), bench.clock.clone()).expect("opens").load().await.expect("loads");
    assert_eq!(old.cases.len(), 9);
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("reads") {
        let entry = entry.expect("one");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}

#[tokio::test]
async fn a_backup_that_is_restored_twice_begins_with_other_numbers() {
    let mut bench = with_a_case().await;
    let beside = tempfile::tempdir().expect("a directory");
    let file = beside.path().join("monday.db");
    backup(bench.dir.path(), &file).expect("copies");
    bench.store = None;
    let mut begun = BTreeSet::new();
    for turn in 0..3 {
        restore(bench.dir.path(), &file, at(50 + turn)).expect("restores");
        bench.reopen();
        begun.insert(bench.store().load().await.expect("loads").next_case);
        bench.store = None;
    }
    assert_eq!(begun, BTreeSet::from([1002, 2002, 3002]));
}

#[test]
fn a_backup_of_an_older_version_is_upgraded_when_it_is_restored() {
    let beside = tempfile::tempdir().expect("a directory");
    let (file, nothing) = (beside.path().join("old.db"), beside.path().join("nothing.db"));
    let mut conn = Connection::open(&file).expect("opens");
    open::migrate(&mut conn, &file, &open::MIGRATIONS[..3]).expect("schema 3");
    drop(conn);
    let before = fs::read(&file).expect("reads");
    let why = inspect(&file).expect_err("is older").chain();
    assert!(why.contains("upgraded when it is restored"), "{why}");
    let state = tempfile::tempdir().expect("a directory");
    let (found, kept) = restore(state.path(), &file, at(50)).expect("restores");
    assert_eq!((found.cases, found.commits, kept), (0, Some(1), None));
    assert_eq!(fs::read(&file).expect("reads"), before, "the backup is only read");
    super::open(state.path(), Arc::new(Hands(Mutex::new(at(60))))).expect("opens");

    Connection::open(&nothing).and_then(|conn| conn.execute_batch("VACUUM")).expect("a database of nothing");
    restore(state.path(), &nothing, at(51)).expect_err("is no store");
}

#[tokio::test]
async fn what_root_restores_belongs_to_the_owner_of_the_directory() {
    let bench = with_a_case().await;
    let file = bench.dir.path().join("monday.db");
    backup(bench.dir.path(), &file).expect("copies");
    let state = tempfile::tempdir().expect("a directory");
    // Only root can; for anybody else it is their own directory.
    let _ = chown(state.path(), Some(12345), Some(12346));
    restore(state.path(), &file, at(50)).expect("restores");
    let owner = |path: &Path| fs::metadata(path).map(|about| about.uid()).expect("there");
    for name in [open::DATABASE, open::LOCK] {
        assert_eq!(owner(&state.path().join(name)), owner(state.path()), "{name}");
    }
}
