//! A disk that changes bytes: what is decided from is what was written, or nothing is decided at all.

use std::fs;
use std::path::PathBuf;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// A store with something of everything that a decision is made from.
async fn lived_in() -> Bench {
    let bench = Bench::new();
    let debt = Debt { since: at(1), reason: "fan".into(), alarm_at: at(9), seen: true, unsure: false };
    for id in 1..=40 {
        let mut one = case(id, confirming());
        if id % 3 == 0 {
            one.owed.maintenance = Some(debt.clone());
            one.owed.noout = Some(("host-a".into(), debt.clone()));
        }
        let notes = (0..3).map(|n| note(id, remark(&format!("line {n} of case {id}")))).collect();
        let steps = vec![comment_step(id, "comment/1"), comment_step(id, "comment/2")];
        bench
            .commit(Decision { cases: vec![one], notes, steps, ..Decision::default() })
            .await
            .expect("commits");
    }
    for id in 1..=20 {
        let cases = vec![Case { revision: 1, ..case(id, closed(at(100))) }];
        bench.commit(Decision { cases, ..Decision::default() }).await.expect("commits");
    }
    let told = (0..60).map(|n| episode(n, n, (n % 2 == 0).then_some(n + 30))).collect();
    bench.store().ingest(told).await.expect("stored");
    for n in 0..8 {
        bench.store().request(&request(&format!("r{n}"), Ask::Resume)).await.expect("stored");
    }
    let pause = Pause { by: Person::from("anna"), at: at(5), reason: "storm".into() };
    bench.commit(Decision { pause: Some(Some(pause)), ..Decision::default() }).await.expect("commits");
    bench
}

fn closed(when: Time) -> Phase {
    Phase::Closed {
        at: when,
        ending: Ending::FalseAlarm,
        paid: Settled::of(&Owed::default()).expect("nothing is owed"),
    }
}

/// Everything that decisions are made from. Measurements are for forecasts, and not sealed.
async fn remembered(store: &SqliteStore) -> Result<(State, Episodes), Trouble> {
    let state = store.load().await?;
    Ok((State { rates: Rates::default(), ..state }, store.episodes(Time::UNIX_EPOCH).await?))
}

/// The files of a state directory, as they are at this moment.
fn copied(from: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let names = [open::DATABASE, "pitlane.db-wal", mark::MARK];
    names.iter().filter_map(|name| Some((PathBuf::from(name), fs::read(from.join(name)).ok()?))).collect()
}

/// Opens a directory of these files. `Ok(None)`: refused.
async fn opened(files: &[(PathBuf, Vec<u8>)]) -> Option<(State, Episodes)> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).expect("writes");
    }
    let store = super::open(dir.path(), Arc::new(Hands(Mutex::new(at(0))))).ok()?;
    remembered(&store).await.ok()
}

/// Changes one byte, or a whole sector, of one file, and says how often it was refused and how often it was harmless.
async fn attack(files: &[(PathBuf, Vec<u8>)], which: &str, times: usize, seed: u64) -> (usize, usize) {
    let expected = opened(files).await.expect("unspoilt, it opens");
    let number = files.iter().position(|(name, _)| name.as_os_str() == which).expect("the file is there");
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut refused, mut harmless) = (0, 0);
    for turn in 0..times {
        let mut spoilt = files.to_vec();
        let bytes = &mut spoilt[number].1;
        let place = chance.random_range(0..bytes.len());
        let how = match turn % 4 {
            // One bit, as memory and cables do; one byte; a sector of zeros or of somebody else's data, as disks do.
            0 | 1 => {
                bytes[place] ^= 1 << chance.random_range(0..8);
                "a bit"
            }
            2 => {
                bytes[place] = bytes[place].wrapping_add(chance.random_range(1..=255));
                "a byte"
            }
            _ => {
                let sector = place / 512 * 512;
                let end = (sector + 512).min(bytes.len());
                let with = if chance.random() { 0 } else { 0x5a };
                bytes[sector..end].fill(with);
                "a sector"
            }
        };
        match opened(&spoilt).await {
            None => refused += 1,
            Some(found) if found == expected => harmless += 1,
            Some(found) => {
                panic!("{how} at {place} of {which} is believed: {found:?}\ninstead of\n{expected:?}")
            }
        }
    }
    (refused, harmless)
}

#[tokio::test]
async fn a_changed_byte_in_the_database_is_refused_or_harmless() {
    let mut bench = lived_in().await;
    bench.store = None;
    let files = copied(bench.dir.path());
    let (refused, harmless) = attack(&files, open::DATABASE, 600, 11).await;
    println!("database: {refused} refused, {harmless} harmless");
    // The rest hit free space and the journal, which no decision is made from and whose chain is walked elsewhere.
    assert!(refused > 120, "only {refused} of 600 noticed");
}

#[tokio::test]
async fn a_changed_byte_in_the_log_of_a_process_that_was_killed_is_refused_or_harmless() {
    let bench = lived_in().await;
    // As after kill -9: the log was not yet written back.
    let files = copied(bench.dir.path());
    assert!(files[1].1.len() > 100_000, "most of it is still in the log");
    let (refused, harmless) = attack(&files, "pitlane.db-wal", 300, 12).await;
    println!("log: {refused} refused, {harmless} harmless");
    assert!(refused > 100, "only {refused} of 300 noticed");
}

#[tokio::test]
async fn a_changed_note_of_commits_costs_nothing() {
    let mut bench = lived_in().await;
    bench.store = None;
    let files = copied(bench.dir.path());
    let (refused, harmless) = attack(&files, mark::MARK, 60, 13).await;
    assert_eq!((refused, harmless), (0, 60));
}

#[tokio::test]
async fn an_older_copy_in_the_place_of_the_store_is_refused_and_told_what_to_do() {
    let mut bench = lived_in().await;
    let older = copied(bench.dir.path());
    bench
        .commit(Decision { notes: vec![note(40, remark("later"))], ..Decision::default() })
        .await
        .expect("yes");
    bench.store = None;
    for (name, bytes) in older.iter().filter(|(name, _)| name.as_os_str() != mark::MARK) {
        fs::write(bench.dir.path().join(name), bytes).expect("writes");
    }
    let why = super::open(bench.dir.path(), bench.clock.clone()).err().expect("must be refused").chain();
    assert!(why.contains("has lost what was written") && why.contains("store restore"), "{why}");
}

/// While the service runs: pages that are read again are looked at again.
#[tokio::test]
async fn damage_while_it_runs_is_told_in_plain_words() {
    let bench = lived_in().await;
    // Everything into the file, so that it is read from there.
    bench.meddle("PRAGMA wal_checkpoint(TRUNCATE)");
    let file = bench.dir.path().join(open::DATABASE);
    let whole = fs::read(&file).expect("reads");
    let mut spoilt = whole.clone();
    spoilt[4096..].fill(0x5a);
    fs::write(&file, &spoilt).expect("writes");
    // Somebody's commit makes the others forget the pages that they know.
    let dir = bench.dir.path().to_owned();
    let told = bench.store().shared.readers.read("looking", reader::DEADLINE, move |conn| {
        conn.pragma_update(None, "cache_size", 0).map_err(error::sql("forgetting"))?;
        conn.execute_batch("PRAGMA shrink_memory").map_err(error::sql("forgetting"))?;
        load::state(conn, at(0)).map(drop)
    });
    let why = told.await.err().unwrap_or_else(|| panic!("{} was read", dir.display()));
    assert!(matches!(why, StoreError::Rotten { .. }), "{why:?}");
    let words = why.chain();
    assert!(words.contains("damaged") && words.contains("store restore"), "{words}");
    assert!(matches!(Trouble::from(why), Trouble::Nonsense(_)));
}
