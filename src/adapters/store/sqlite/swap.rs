//! A new database in the place of the old one, in an order of which every step may be the last.
//!
//! After each of them the directory holds the old store, the new one, or one that is refused as
//! [`StoreError::Behind`](super::StoreError::Behind): never a database that is read with another one's log. It never removes what was there.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::{mark, open};
use crate::model::time::Time;

/// Puts `new` in the database's place, and says where the old one is, if there was one. `moved` is called after each change.
///
/// # Errors
/// The directory cannot be written; the old store is then whole, or put aside as far as its names say.
pub(super) fn swap(
    dir: &Path,
    new: &Path,
    now: Time,
    moved: &mut dyn FnMut(),
) -> Result<Option<PathBuf>, StoreError> {
    let refuse = |why: String| StoreError::Directory { dir: dir.into(), why };
    let stamp = now.to_string().replace([':', '-'], "");
    let aside = |name: &str, end: &str| dir.join(format!("{name}.before-restore-{stamp}{end}"));
    let database = dir.join(open::DATABASE);
    // They belong together: SQLite finds the log of the old database under the old database's new name.
    let old = aside(open::DATABASE, "");
    let logs = ["-wal", "-shm"]
        .map(|end| (dir.join(format!("{}{end}", open::DATABASE)), aside(open::DATABASE, end)));
    let note = (dir.join(mark::MARK), aside(mark::MARK, ""));
    for taken in [&old, &logs[0].1, &logs[1].1, &note.1] {
        if there(taken) {
            return Err(refuse(format!("{} is there already", taken.display())));
        }
    }
    let kept = there(&database).then_some(old);
    if let Some(old) = &kept {
        // A second name, so that there is a database under the first one at every moment.
        let link = fs::hard_link(&database, old).or_else(|_| copy(&database, old));
        link.map_err(|e| refuse(format!("{} cannot be put aside: {e}", open::DATABASE)))?;
        moved();
    }
    // Without its log the old database knows fewer commits than the note says, and is refused.
    for (here, aside) in &logs {
        put_aside(here, aside).map_err(refuse)?;
        moved();
    }
    // The log's going must not be what a loss of power undoes: it would be read as the new database's.
    synced(dir).map_err(|e| refuse(e.to_string()))?;
    fs::rename(new, &database).map_err(|e| refuse(format!("the copy cannot be given its name: {e}")))?;
    moved();
    synced(dir).map_err(|e| refuse(e.to_string()))?;
    // Last: until here it guards against the half of an old store.
    put_aside(&note.0, &note.1).map_err(refuse)?;
    moved();
    synced(dir).map_err(|e| refuse(e.to_string()))?;
    Ok(kept)
}

/// Also when it is a link to nothing.
pub(super) fn there(path: &Path) -> bool {
    !matches!(fs::symlink_metadata(path), Err(why) if why.kind() == ErrorKind::NotFound)
}

/// What was made by root in somebody's directory is theirs: otherwise their service could not open it. Nobody else can give a
/// file away, and needs not.
///
/// # Errors
/// It is root's and cannot be given.
pub(super) fn give_to_owner(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let give = || -> io::Result<()> {
        let (theirs, made) = (fs::metadata(dir)?, fs::symlink_metadata(path)?);
        if made.uid() != 0 || (theirs.uid(), theirs.gid()) == (made.uid(), made.gid()) {
            return Ok(());
        }
        // Not through a link: whoever owns the directory could have put one there.
        lchown(path, Some(theirs.uid()), Some(theirs.gid()))
    };
    give().map_err(|e| StoreError::Directory {
        dir: dir.into(),
        why: format!("{} cannot be given to its owner: {e}", path.display()),
    })
}

/// File systems without links.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let copied = fs::copy(from, to).and_then(|_| File::open(to)?.sync_all());
    if copied.is_err() {
        // Half a copy would look like what was there.
        let _ = fs::remove_file(to);
    }
    copied
}

fn put_aside(here: &Path, aside: &Path) -> Result<(), String> {
    match fs::rename(here, aside) {
        Err(why) if why.kind() != ErrorKind::NotFound => {
            Err(format!("{} cannot be put aside: {why}", here.display()))
        }
        _ => Ok(()),
    }
}

/// The names in a directory, on the disk.
pub(super) fn synced(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
