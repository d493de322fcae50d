//! How many commits were acknowledged, noted in a small file beside the database.
//!
//! A write-ahead log whose middle is spoilt ends there for SQLite, without a word: the commits behind it are as if they had
//! never been, debts among them. And somebody may put an older copy in the file's place. Both show here. The note is written
//! after the commit is on the disk and is not waited for, so it may be behind the database; it can never be before it. A note
//! that cannot be read says nothing.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rusqlite::Connection;

use super::error::StoreError;
use super::rows::{meta, set_meta};
use super::seal::{hex, seal};

pub(super) const MARK: &str = "pitlane.mark";

/// The same number inside the database.
const COMMITS: &str = "commits";

/// The file, open for writing. `None`: it could not be made, which costs this protection and nothing else.
pub(super) struct Mark(Option<File>);

/// Counts one commit more, inside of it.
pub(super) fn count(conn: &Connection) -> Result<u64, StoreError> {
    let next = commits(conn)? + 1;
    set_meta(conn, COMMITS, Some(&next.to_string()))?;
    Ok(next)
}

/// As far as the database knows.
pub(super) fn commits(conn: &Connection) -> Result<u64, StoreError> {
    match meta(conn, COMMITS)? {
        Some(text) => text.parse().map_err(|e| StoreError::document("the number of commits", e)),
        None => Ok(0),
    }
}

/// Takes a note away that is another file's. If it cannot be, the store is refused as behind it, which a person sees.
pub(super) fn forget(dir: &Path) {
    let _ = std::fs::remove_file(dir.join(MARK));
}

/// Compares the two.
///
/// # Errors
/// [`StoreError::Behind`]: the database has forgotten commits.
pub(super) fn agree(dir: &Path, database: &Path, conn: &Connection) -> Result<Mark, StoreError> {
    let path = dir.join(MARK);
    let found = commits(conn)?;
    match std::fs::read_to_string(&path).ok().and_then(|text| parse(&text)) {
        Some(known) if known > found => Err(StoreError::Behind { file: database.into(), found, known }),
        _ => {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
            if let Err(why) = &file {
                tracing::warn!(
                    "{} cannot be written ({why}): lost commits would not be noticed",
                    path.display()
                );
            }
            let mark = Mark(file.ok());
            mark.write(found);
            Ok(mark)
        }
    }
}

impl Mark {
    /// Of a commit that is on the disk.
    pub(super) fn write(&self, commits: u64) {
        if let Some(file) = &self.0 {
            // In place and of one length: never longer than a sector, and a torn one does not fit its own hash.
            let _ = file.write_all_at(line(commits).as_bytes(), 0);
        }
    }
}

fn line(commits: u64) -> String {
    let digits = format!("{commits:020}");
    format!("{digits} {}\n", &hex(&seal(&[Some(&digits)]))[..16])
}

fn parse(text: &str) -> Option<u64> {
    let commits = text.get(..20)?.parse().ok()?;
    (line(commits) == text).then_some(commits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_note_says_nothing() {
        assert_eq!(parse(&line(41)), Some(41));
        let torn = format!("{}{}", &line(42)[..20], &line(41)[20..]);
        for spoilt in ["", "garbage", &line(41)[..30], &torn] {
            assert_eq!(parse(spoilt), None, "{spoilt:?}");
        }
    }
}
