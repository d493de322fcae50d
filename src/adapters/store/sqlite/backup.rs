//! A copy of the store, and a store from a copy.
//!
//! A backup is made beside a running service: SQLite copies one moment of the database, and the copy is inspected before it
//! gets its name. It never overwrites anything. A restored store is another matter: it knows nothing of what happened since
//! its backup, so it begins paused, its next case has a number well beyond those that are known to be used, and the file that
//! it replaces is kept.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;

use super::error::{StoreError, sql};
use super::inspect::{Inspected, inspect, inspected};
use super::rows::{meta_unspoilt, set_meta, to_json};
use super::swap::{give_to_owner, swap, synced, there};
use super::{commit, journal, mark, open};
use crate::model::ids::Person;
use crate::model::note::{Note, Noted};
use crate::model::state::Pause;
use crate::model::time::Time;

/// Cases that may have been opened since the backup. Their numbers are keys in other people's systems.
const NUMBERS_LEFT_OUT: u64 = 1_000;

/// Who is named in the journal and in the pause.
const BY: &str = "store restore";

/// Copies the store of this state directory to a new file, for its owner alone (mode 0600).
///
/// # Errors
/// The store cannot be read or is not whole, or the file cannot be made, or is there already.
pub fn backup(dir: &Path, to: &Path) -> Result<Inspected, StoreError> {
    let refuse = |why: String| StoreError::File { file: to.into(), why };
    let taken = || refuse("it is there already, and is not overwritten; name another file".into());
    if there(to) {
        return Err(taken());
    }
    let source = open::readable(dir)?;
    let part = Part::beside(to)?;
    let found = part.fill(&source)?;
    // A name that came up meanwhile is kept: a link does not replace.
    let named = fs::hard_link(&part.0, to).or_else(|_| {
        // A file system without links has only a name that replaces: after a last look.
        if there(to) { Err(ErrorKind::AlreadyExists.into()) } else { fs::rename(&part.0, to) }
    });
    let beside = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match named.and_then(|()| synced(beside)) {
        Ok(()) => Ok(found),
        Err(why) if why.kind() == ErrorKind::AlreadyExists => Err(taken()),
        Err(why) => Err(refuse(format!("the copy cannot be given its name: {why}"))),
    }
}

/// Puts a backup in the place of the store, also one of an older version. The service must be stopped; it begins paused.
///
/// Where the file is that was there before, `None` if there was none.
///
/// # Errors
/// The backup is not whole, a pitlane runs, or the directory cannot be written. Until the new file is complete nothing is
/// changed; an error after that leaves the old store, the new one, or one that is refused as [`StoreError::Behind`], and
/// beside it whatever was put aside: restore again.
pub fn restore(dir: &Path, from: &Path, now: Time) -> Result<(Inspected, Option<PathBuf>), StoreError> {
    restored(dir, from, now, &mut || ())
}

/// As [`restore`]; `moved` is called after each change in the directory.
pub(super) fn restored(
    dir: &Path,
    from: &Path,
    now: Time,
    moved: &mut dyn FnMut(),
) -> Result<(Inspected, Option<PathBuf>), StoreError> {
    match inspect(from) {
        // It is upgraded in the copy, and inspected there. What has no version holds nothing.
        Err(StoreError::Older { found: 1.., .. }) => {}
        looked => drop(looked?),
    }
    open::prepare(dir)?;
    let lock = dir.join(open::LOCK);
    let _lock = open::hold(&lock)?;
    give_to_owner(dir, &lock)?;
    let database = dir.join(open::DATABASE);
    let source = open::connect_read_only(from)?;
    let part = Part::beside(&database)?;
    part.fill(&source)?;
    let found = part.begin_anew(numbers_used(&database), now)?;
    give_to_owner(dir, &part.0)?;
    let kept = swap(dir, &part.0, now, moved)?;
    Ok((found, kept))
}

/// The next case's number in the store that is replaced; 1 where it cannot be read or believed.
fn numbers_used(database: &Path) -> u64 {
    let read = || -> Option<u64> {
        let conn = open::connect_read_only(database).ok()?;
        // Looking at it must not write its log back: it is kept as it was.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
        meta_unspoilt(&conn).ok()?;
        commit::next_case(&conn).ok()
    };
    read().unwrap_or(1)
}

/// A file in the making. It goes when it is dropped: by then it has another name, or it is nothing.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After it was renamed there is nothing to be removed; what cannot be removed says by its name what it is.
        let _ = fs::remove_file(&self.0);
    }
}

impl Part {
    fn beside(file: &Path) -> Result<Self, StoreError> {
        let mut name = file.as_os_str().to_owned();
        // In a container each process has the same number, and one that was killed leaves its part behind.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        name.push(format!(".part-{}-{time}", std::process::id()));
        let part = PathBuf::from(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(|e| StoreError::File { file: file.into(), why: format!("{}: {e}", part.display()) })?;
        Ok(Self(part))
    }

    /// One moment of the source, of our version, inspected, on the disk.
    fn fill(&self, source: &Connection) -> Result<Inspected, StoreError> {
        let mut conn = self.open()?;
        // All pages in one step: a service that writes meanwhile neither waits nor makes it begin again.
        let copied = Backup::new(source, &mut conn)
            .and_then(|copy| copy.step(-1))
            .map_err(sql("copying the database"))?;
        if !matches!(copied, StepResult::Done) {
            let why = "the database could not be copied: another program holds a lock on it; try again";
            return Err(StoreError::File { file: self.0.clone(), why: why.into() });
        }
        // One file that needs no others beside it, and can be read where nothing can be written.
        conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
            .map_err(sql("closing the copy"))?;
        open::upgrade(&mut conn, &self.0)?;
        let found = inspected(&conn, &self.0)?;
        drop(conn);
        self.sync()?;
        Ok(found)
    }

    /// What a store needs that knows nothing of the days since it was copied, in the place of one that would have given its next
    /// case the number `used`.
    fn begin_anew(&self, used: u64, now: Time) -> Result<Inspected, StoreError> {
        let mut conn = self.open()?;
        let tx = conn.transaction().map_err(sql("changing the copy"))?;
        let next = commit::next_case(&tx)?.max(used).saturating_add(NUMBERS_LEFT_OUT);
        set_meta(&tx, "next_case", Some(&next.to_string()))?;
        let reason = "restored from a backup; compare what the cluster holds with `pitlane owed`, abort cases that are over, \
                      then resume"
            .to_owned();
        let pause = Pause { by: Person::from(BY), at: now, reason: reason.clone() };
        set_meta(&tx, "pause", Some(&to_json("the pause", &pause)?))?;
        let what = Noted::Remark { by: Person::from(BY), text: format!("{reason}. The next case is {next}") };
        journal::append(&tx, &[Note { at: now, case: None, what }])?;
        mark::count(&tx)?;
        tx.commit().map_err(sql("changing the copy"))?;
        let found = inspected(&conn, &self.0)?;
        drop(conn);
        self.sync()?;
        Ok(found)
    }

    fn open(&self) -> Result<Connection, StoreError> {
        Connection::open(&self.0).map_err(|source| StoreError::Open { file: self.0.clone(), source })
    }

    fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.0).and_then(|file| file.sync_all());
        synced.map_err(|e| StoreError::File { file: self.0.clone(), why: e.to_string() })
    }
}
