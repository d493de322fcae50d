//! A state that is taken elsewhere: read whole while nobody else can write to it, and then marked as moved, so that no later
//! start believes it.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::error::{StoreError, sql};
use super::inspect::{Inspected, inspected};
use super::open::{self, Writable};

/// Beside the database: where its contents are now.
const MOVED: &str = "pitlane.moved";

/// A state directory that this process holds, and what was read in it.
pub(in crate::adapters::store) struct Leaving {
    _held: Mutex<Writable>,
    dir: PathBuf,
    pub(in crate::adapters::store) holds: Inspected,
    /// Of each statement what it found. A store of years is some tens of megabytes.
    pub(in crate::adapters::store) found: Vec<Rows>,
}

/// Rows as they are stored.
pub(in crate::adapters::store) type Rows = Vec<Vec<Value>>;

impl Leaving {
    /// # Errors
    /// There is no store, somebody holds it, or something in it is not whole.
    pub(in crate::adapters::store) fn of(dir: &Path, statements: &[&str]) -> Result<Self, StoreError> {
        if !dir.join(open::DATABASE).exists() {
            let why = format!("there is no {} in it, so there is nothing to move", open::DATABASE);
            return Err(StoreError::Directory { dir: dir.into(), why });
        }
        let open = open::writable(dir)?;
        let holds = inspected(&open.conn, &dir.join(open::DATABASE))?;
        let found =
            statements.iter().map(|statement| rows(&open.conn, statement)).collect::<Result<_, _>>()?;
        Ok(Self { _held: Mutex::new(open), dir: dir.into(), holds, found })
    }

    /// Before the other side keeps it for good: whatever happens then, two of them never both count.
    pub(in crate::adapters::store) fn mark(&self, to: &str) -> Result<(), StoreError> {
        let path = self.dir.join(MOVED);
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            writeln!(file, "{to}")?;
            file.sync_all()?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|e| StoreError::Directory {
            dir: self.dir.clone(),
            why: format!("{} cannot be written: {e}", path.display()),
        })
    }

    /// The other side certainly did not keep it.
    pub(in crate::adapters::store) fn unmark(&self) {
        match fs::remove_file(self.dir.join(MOVED)) {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                tracing::warn!(
                    "{MOVED} in {} cannot be removed: {why}; do that before the next start",
                    self.dir.display()
                );
            }
            _ => {}
        }
    }
}

fn rows(conn: &Connection, statement: &str) -> Result<Rows, StoreError> {
    let rows = || -> rusqlite::Result<Rows> {
        let mut ask = conn.prepare(statement)?;
        let columns = ask.column_count();
        ask.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?.collect()
    };
    rows().map_err(sql("reading what is to be moved"))
}

/// # Errors
/// [`StoreError::Moved`]: what is in this directory is elsewhere by now.
pub(super) fn not_moved(dir: &Path) -> Result<(), StoreError> {
    match fs::read_to_string(dir.join(MOVED)) {
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(()),
        Ok(to) => Err(StoreError::Moved { dir: dir.into(), to: to.trim().to_owned() }),
        Err(why) => Err(StoreError::Directory { dir: dir.into(), why: format!("{MOVED}: {why}") }),
    }
}

/// For a service that keeps its state in a database: what is in this directory, if anything, was taken there.
///
/// # Errors
/// A state lies in it that would be forgotten, with all that it owes; and what to do.
pub fn nothing_left(dir: &Path) -> Result<(), StoreError> {
    if !dir.join(open::DATABASE).exists() || dir.join(MOVED).exists() {
        return Ok(());
    }
    let why = format!(
        "its {} was never moved to PostgreSQL, and what it remembers and owes would be forgotten; run pitlane store migrate, or \
         take the file away if it does not count any more",
        open::DATABASE
    );
    Err(StoreError::Directory { dir: dir.into(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_was_left_is_refused_until_the_mark_is_gone() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(Leaving::of(dir.path(), &[]), Err(StoreError::Directory { .. })), "nothing to move");
        nothing_left(dir.path()).expect("nothing was ever here");
        drop(open::writable(dir.path()).expect("opens"));
        let forgotten = nothing_left(dir.path()).expect_err("it would be forgotten").to_string();
        assert!(forgotten.contains("pitlane store migrate"), "{forgotten}");
        let leaving = Leaving::of(dir.path(), &[]).expect("holds it");
        assert!(matches!(Leaving::of(dir.path(), &[]), Err(StoreError::Held { .. })));
        leaving.mark("cluster lab at db").expect("writes");
        drop(leaving);
        nothing_left(dir.path()).expect("it was moved");
        for refused in [open::writable(dir.path()).map(drop), open::readable(dir.path()).map(drop)] {
            let said = refused.expect_err("was moved").to_string();
            assert!(
                said.contains("moved to PostgreSQL (cluster lab at db)") && said.contains(MOVED),
                "{said}"
            );
        }
        fs::remove_file(dir.path().join(MOVED)).expect("ours");
        Leaving::of(dir.path(), &[]).expect("again").unmark();
        open::writable(dir.path()).expect("opens");
    }
}
