//! A copy of the store, and a store from a copy.
//!
//! A backup is made beside a running service: SQLite copies one moment of the database, and the copy is inspected before it
//! gets its name. It never overwrites anything. A restored store is another matter: it knows nothing of what happened since
//! its backup, so it begins paused, its next case has a number that nobody can have used, and the file that it replaces is
//! kept.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::error::{StoreError, sql};
use super::inspect::{Inspected, inspect, inspected};
use super::rows::{set_meta, to_json};
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
    if to.exists() {
        return Err(refuse("it is there already, and is not overwritten; name another file".into()));
    }
    let source = open::readable(dir)?;
    let part = Part::beside(to)?;
    let found = part.fill(&source)?;
    // A name that came up meanwhile is kept: a link does not replace.
    fs::hard_link(&part.0, to)
        .and_then(|()| {
            File::open(to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
                .sync_all()
        })
        .map_err(|e| refuse(format!("the copy cannot be given its name: {e}")))?;
    Ok(found)
}

/// Puts a backup in the place of the store. The service must be stopped; it begins paused.
///
/// Where the file is that was there before, `None` if there was none.
///
/// # Errors
/// The backup is not whole, a pitlane runs, or the directory cannot be written. The store is as it was then.
pub fn restore(dir: &Path, from: &Path, now: Time) -> Result<(Inspected, Option<PathBuf>), StoreError> {
    inspect(from)?;
    open::prepare(dir)?;
    let _lock = open::hold(&dir.join(open::LOCK))?;
    let database = dir.join(open::DATABASE);
    let source = open::connect_read_only(from)?;
    let part = Part::beside(&database)?;
    part.fill(&source)?;
    let found = part.begin_anew(now)?;
    let kept = put_aside(dir, now)?;
    let refuse = |e: std::io::Error| StoreError::Directory { dir: dir.into(), why: e.to_string() };
    fs::rename(&part.0, &database).map_err(refuse)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(refuse)?;
    Ok((found, kept))
}

/// The database with its side files, under names that say when. They belong together.
fn put_aside(dir: &Path, now: Time) -> Result<Option<PathBuf>, StoreError> {
    let stamp = now.to_string().replace([':', '-'], "");
    let named = |name: &str, end: &str| dir.join(format!("{name}.before-restore-{stamp}{end}"));
    let mut kept = None;
    let moves = [
        // First what a database without it would miss.
        (format!("{}-wal", open::DATABASE), named(open::DATABASE, "-wal")),
        (format!("{}-shm", open::DATABASE), named(open::DATABASE, "-shm")),
        (mark::MARK.to_owned(), named(mark::MARK, "")),
        (open::DATABASE.to_owned(), named(open::DATABASE, "")),
    ];
    for (name, aside) in moves {
        let here = dir.join(&name);
        if !here.exists() {
            continue;
        }
        let refuse = |why: String| StoreError::Directory { dir: dir.into(), why };
        if aside.exists() {
            return Err(refuse(format!("{} is there already", aside.display())));
        }
        fs::rename(&here, &aside).map_err(|e| refuse(format!("{name} cannot be put aside: {e}")))?;
        if name == open::DATABASE {
            kept = Some(aside);
        }
    }
    Ok(kept)
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
        name.push(format!(".part-{}", std::process::id()));
        let part = PathBuf::from(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(|e| StoreError::File { file: file.into(), why: format!("{}: {e}", part.display()) })?;
        Ok(Self(part))
    }

    /// One moment of the source, inspected, on the disk.
    fn fill(&self, source: &Connection) -> Result<Inspected, StoreError> {
        let mut conn = self.open()?;
        // All pages in one step: a service that writes meanwhile neither waits nor makes it begin again.
        Backup::new(source, &mut conn)
            .and_then(|copy| copy.step(-1).map(drop))
            .map_err(sql("copying the database"))?;
        // One file that needs no others beside it, and can be read where nothing can be written.
        conn.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
            .map_err(sql("closing the copy"))?;
        let found = inspected(&conn, &self.0)?;
        drop(conn);
        self.sync()?;
        Ok(found)
    }

    /// What a store needs that knows nothing of the days since it was copied.
    fn begin_anew(&self, now: Time) -> Result<Inspected, StoreError> {
        let mut conn = self.open()?;
        let tx = conn.transaction().map_err(sql("changing the copy"))?;
        let next = commit::next_case(&tx)? + NUMBERS_LEFT_OUT;
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
