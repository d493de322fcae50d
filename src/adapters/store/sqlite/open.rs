//! Opening the state directory: who may, is it ours, is it whole, is it of our version.
//!
//! Everything here refuses with a sentence that names the file and says what to do. It never repairs and never
//! begins anew over something that it does not understand: what is in there is what the cluster is owed.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::leaving::not_moved;
use super::mark::{self, Mark};

pub(super) const DATABASE: &str = "pitlane.db";
pub(super) const LOCK: &str = "pitlane.lock";

/// "PITL" in SQLite's header: tells our file from any other database.
const APPLICATION: i64 = 0x5049_544c;

/// How long SQLite waits for a lock. Only a backup or a person with a shell can hold one: we are the only writer.
const BUSY: Duration = Duration::from_secs(5);

/// The schema's history, in order. Never edit one that was released: add the next.
pub(super) const MIGRATIONS: [&str; 6] = [
    include_str!("schema/0001_begin.sql"),
    include_str!("schema/0002_notices.sql"),
    include_str!("schema/0003_measured.sql"),
    include_str!("schema/0004_seals.sql"),
    include_str!("schema/0005_arrivals.sql"),
    include_str!("schema/0006_keep.sql"),
];

/// Since this schema a database counts its commits. A note of commits beside an older one is another file's.
const COUNTS_COMMITS: i64 = 4;

/// The one connection that writes, and the lock that makes it the only one. The lock ends with the process, however
/// it dies.
pub(super) struct Writable {
    pub(super) conn: Connection,
    pub(super) mark: Mark,
    // A lock file instead of SQLite's exclusive mode: readers such as `audit verify` may look while the service runs.
    _lock: File,
}

/// Opens the state directory for writing, creating what is missing.
pub(super) fn writable(dir: &Path) -> Result<Writable, StoreError> {
    prepare(dir)?;
    let lock = hold(&dir.join(LOCK))?;
    not_moved(dir)?;
    let file = dir.join(DATABASE);
    ours_alone(dir, &file)?;
    let mut conn = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    ours(&conn, &file)?;
    whole(&conn, &file)?;
    if (1..COUNTS_COMMITS).contains(&version(&conn, &file)?) {
        // It is noted again below. Before the upgrade, so that a start that ends in between changes nothing.
        mark::forget(dir);
    }
    upgrade(&mut conn, &file)?;
    let mark = mark::agree(dir, &file, &conn)?;
    if mark::commits(&conn)? == 0 {
        // Before the first commit is noted: else a log that is cut could make it a file of before the upgrade.
        written_back(&conn, &file)?;
    }
    Ok(Writable { conn, mark, _lock: lock })
}

/// Makes the file, so that it is ours alone from its first moment; SQLite gives its side files the same rights.
pub(super) fn ours_alone(dir: &Path, file: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
    made.map(drop)
        .map_err(|e| StoreError::Directory { dir: dir.into(), why: format!("{}: {e}", file.display()) })
}

/// A connection that cannot write, for a directory that exists. `Older` and `Newer` schemas are refused.
pub(super) fn readable(dir: &Path) -> Result<Connection, StoreError> {
    not_moved(dir)?;
    let file = dir.join(DATABASE);
    if !file.exists() {
        let why = format!("there is no {DATABASE} in it; has the service run with this directory?");
        return Err(StoreError::Directory { dir: dir.into(), why });
    }
    let conn = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.pragma_update(None, "query_only", true).map_err(|e| explain(&file, e))?;
    current(&conn, &file)?;
    Ok(conn)
}

/// For a file of its own, such as a backup: also where nothing can be written.
pub(super) fn connect_read_only(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags).map_err(|e| explain(file, e))
}

/// Ours, and of our version.
pub(super) fn current(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    ours(conn, file)?;
    let file = PathBuf::from(file);
    let (found, known) = (version(conn, &file)?, MIGRATIONS.len() as i64);
    if found < known {
        return Err(StoreError::Older { file, found, known });
    }
    if found > known {
        return Err(StoreError::Newer { file, found, known });
    }
    Ok(())
}

pub(super) fn prepare(dir: &Path) -> Result<(), StoreError> {
    let refuse = |why: String| StoreError::Directory { dir: dir.into(), why };
    if !dir.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| refuse(e.to_string()))?;
    }
    let about = std::fs::metadata(dir).map_err(|e| refuse(e.to_string()))?;
    if !about.is_dir() {
        return Err(refuse("it is a file; name a directory".into()));
    }
    if about.permissions().mode() & 0o002 != 0 {
        return Err(refuse(format!("everybody may write to it; run: chmod o-w '{}'", dir.display())));
    }
    Ok(())
}

pub(super) fn hold(path: &Path) -> Result<File, StoreError> {
    let failed = |e: std::io::Error| StoreError::Directory {
        dir: path.parent().unwrap_or(path).into(),
        why: format!("{}: {e}", path.display()),
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Only for the message; without it the message is shorter.
            let _ = (&mut file).take(32).read_to_string(&mut pid);
            let holder = match pid.trim() {
                "" => String::new(),
                pid => format!(" (process {pid})"),
            };
            return Err(StoreError::Held { file: path.into(), holder });
        }
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn connect(file: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|source| StoreError::Open { file: file.into(), source })?;
    let set = || -> rusqlite::Result<()> {
        conn.busy_timeout(BUSY)?;
        conn.set_prepared_statement_cache_capacity(64);
        conn.pragma_update(None, "foreign_keys", true)?;
        // A COMMIT returns when the disk has it: what we acknowledge is not told again by anybody.
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
    };
    set().map_err(|e| explain(file, e))?;
    Ok(conn)
}

/// An empty file becomes ours; a foreign database is left alone.
fn ours(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let ask = |what: &str| conn.query_row(what, [], |row| row.get::<_, i64>(0)).map_err(|e| explain(file, e));
    let application = ask("PRAGMA application_id")?;
    if application == APPLICATION || (application == 0 && ask("SELECT count(*) FROM sqlite_schema")? == 0) {
        return Ok(());
    }
    Err(StoreError::Damaged { file: file.into(), why: "it is another program's database".into() })
}

/// To our version.
pub(super) fn upgrade(conn: &mut Connection, file: &Path) -> Result<(), StoreError> {
    migrate(conn, file, &MIGRATIONS)
}

/// Everything that stands in the log, into the file itself.
fn written_back(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let busy: i64 =
        conn.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0)).map_err(|e| explain(file, e))?;
    match busy {
        0 => Ok(()),
        _ => Err(StoreError::Held {
            file: file.into(),
            holder: " or another program that reads the database".into(),
        }),
    }
}

/// All that is missing is one transaction: a file is of the version that it had or of the newest, never between, and the disk is
/// waited for once.
pub(super) fn migrate(conn: &mut Connection, file: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let (found, known) = (version(conn, file)?, migrations.len() as i64);
    if found > known {
        return Err(StoreError::Newer { file: file.into(), found, known });
    }
    if found == known {
        return Ok(());
    }
    let failed = |to| move |source| StoreError::Migrate { file: file.into(), to, source };
    let tx = conn.transaction().map_err(failed(known))?;
    for (migration, to) in migrations.iter().zip(1..).skip_while(|(_, to)| *to <= found) {
        tx.execute_batch(migration).map_err(failed(to))?;
    }
    let named = || -> rusqlite::Result<()> {
        tx.pragma_update(None, "application_id", APPLICATION)?;
        tx.pragma_update(None, "user_version", known)
    };
    named().and_then(|()| tx.commit()).map_err(failed(known))
}

fn version(conn: &Connection, file: &Path) -> Result<i64, StoreError> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| explain(file, e))
}

/// Reads the whole file once, indexes against their tables as well: an open case that an index does not know would be a case
/// that nobody sees. A store of years is some tens of megabytes: about a second.
pub(super) fn whole(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let answer: String =
        conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(|e| explain(file, e))?;
    match answer.as_str() {
        "ok" => Ok(()),
        why => Err(StoreError::Damaged { file: file.into(), why: why.replace('\n', " ") }),
    }
}

pub(super) fn explain(file: &Path, source: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
    let file = PathBuf::from(file);
    match source.sqlite_error_code() {
        Some(NotADatabase | DatabaseCorrupt) => StoreError::Damaged { file, why: source.to_string() },
        Some(DatabaseBusy | DatabaseLocked) => {
            StoreError::Held { file, holder: " or another program with a lock on the database".into() }
        }
        _ => StoreError::Open { file, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(result: Result<T, StoreError>) -> String {
        result.err().expect("must be refused").chain()
    }

    #[test]
    fn a_missing_directory_is_made_for_its_owner_alone() {
        let above = tempfile::tempdir().expect("a directory");
        let dir = above.path().join("state");
        let _open = writable(&dir).expect("opens");
        let mode = |path: &Path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(DATABASE)), 0o600);
    }

    #[test]
    fn a_directory_that_everybody_may_write_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("chmod");
        assert!(refusal(writable(dir.path())).contains("chmod o-w"));
    }

    #[test]
    fn a_second_pitlane_is_refused_and_told_which_process_holds_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = writable(dir.path()).expect("opens");
        let said = refusal(writable(dir.path()));
        assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
        assert!(said.contains(LOCK), "{said}");
        drop(first);
        writable(dir.path()).expect("the lock went with its holder");
    }

    #[test]
    fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(DATABASE);
        std::fs::write(&file, [7u8; 8192]).expect("writes");
        let said = refusal(writable(dir.path()));
        assert!(said.contains("damaged") && said.contains(DATABASE) && said.contains("backup"), "{said}");
        assert_eq!(std::fs::read(&file).expect("reads"), [7u8; 8192]);
    }

    #[test]
    fn a_torn_page_is_found_when_opening() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(writable(dir.path()).expect("opens"));
        let file = dir.path().join(DATABASE);
        let mut bytes = std::fs::read(&file).expect("reads");
        let third = 2 * 4096..3 * 4096;
        assert!(bytes.len() > third.end, "the schema fills more than three pages");
        bytes[third].fill(0xff);
        std::fs::write(&file, bytes).expect("writes");
        assert!(refusal(writable(dir.path())).contains("damaged"));
    }

    #[test]
    fn the_database_of_another_program_is_not_touched() {
        let dir = tempfile::tempdir().expect("a directory");
        Connection::open(dir.path().join(DATABASE))
            .and_then(|conn| conn.execute_batch("CREATE TABLE theirs (x)"))
            .expect("another program's table");
        assert!(refusal(writable(dir.path())).contains("another program"));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = writable(dir.path()).expect("opens");
        open.conn.pragma_update(None, "user_version", 99).expect("sets");
        drop(open);
        for said in [refusal(writable(dir.path())), refusal(readable(dir.path()))] {
            assert!(said.contains("newer pitlane (schema 99, this one knows 6)"), "{said}");
        }
    }

    #[test]
    fn a_note_of_commits_beside_a_file_that_did_not_count_them_is_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, note) = (dir.path().join(DATABASE), dir.path().join(mark::MARK));
        let open = writable(dir.path()).expect("opens");
        open.mark.write(7);
        drop(open);
        let sevenfold = std::fs::read(&note).expect("reads");
        assert!(matches!(writable(dir.path()), Err(StoreError::Behind { found: 0, known: 7, .. })));

        // The backup from before the upgrade, put there by an older pitlane.
        std::fs::remove_file(&file).expect("ours");
        migrate(&mut Connection::open(&file).expect("opens"), &file, &MIGRATIONS[..3]).expect("schema 3");
        drop(writable(dir.path()).expect("is upgraded"));
        assert_ne!(std::fs::read(&note).expect("reads"), sevenfold);

        // No database at all is another matter.
        std::fs::write(&note, sevenfold).expect("writes");
        std::fs::remove_file(&file).expect("ours");
        assert!(matches!(writable(dir.path()), Err(StoreError::Behind { found: 0, known: 7, .. })));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_that_was_there() {
        let mut conn = Connection::open_in_memory().expect("opens");
        let file = Path::new("x.db");
        migrate(&mut conn, file, &["CREATE TABLE a (x)"]).expect("schema 1");
        let history = ["CREATE TABLE a (x)", "CREATE TABLE b (x)", "CREATE TABLE c (x); CREATE TABLE a (y)"];
        let said = refusal(migrate(&mut conn, file, &history));
        assert!(said.contains("upgrading x.db to schema 3; it is unchanged"), "{said}");
        assert_eq!(version(&conn, file).expect("reads"), 1);
        for table in ["b", "c"] {
            assert!(
                conn.prepare(&format!("SELECT * FROM {table}")).is_err(),
                "half an upgrade must not stay"
            );
        }
        migrate(&mut conn, file, &["CREATE TABLE a (x)", "CREATE TABLE b (x)"]).expect("goes on from there");
        assert_eq!(version(&conn, file).expect("reads"), 2);
    }
}
