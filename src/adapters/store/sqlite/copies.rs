//! Copies that the service makes of its own store, by the same way as `pitlane store backup`: named by their instant, so many
//! kept, and none begun on a disk that is short of room.
//!
//! It removes nothing but files that carry such a name. It blocks; whoever calls it has a thread and a deadline for it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::backup::backup;
use super::error::StoreError;
use super::{Inspected, open};
use crate::model::time::{Time, age};

const NAME: (&str, &str) = ("pitlane-", ".db");
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// What stays free beside a copy of twice the store's size: the copy is upgraded in place, and the store itself goes on writing.
const SPARE: u64 = 64 << 20;
/// A copy in the making that is older was left behind by a process that died.
const PART_MAX: Duration = Duration::from_secs(24 * 3600);

/// Where copies go and how many stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copies {
    pub dir: PathBuf,
    pub keep: usize,
}

impl Copies {
    /// When the newest copy was made. One that is still to come is from before a clock was set back: it is not counted.
    ///
    /// # Errors
    /// The directory cannot be read. One that is not there holds nothing.
    pub fn newest(&self, now: Time) -> Result<Option<Time>, StoreError> {
        Ok(self.all()?.into_iter().map(|(at, _)| at).filter(|at| *at <= now).max())
    }

    /// Makes one, and removes the oldest beyond those to be kept. What cannot be removed is tried again by the next.
    ///
    /// # Errors
    /// There is not enough room, the store is not whole, or the copy cannot be written. Then nothing was removed.
    pub fn make(&self, state: &Path, now: Time) -> Result<(PathBuf, Inspected), StoreError> {
        if !self.dir.exists() {
            let made = DirBuilder::new().mode(0o700).create(&self.dir);
            made.map_err(|e| self.refuse(format!("it cannot be made: {e}")))?;
        }
        // What a dead process left behind is room that may be missed.
        self.sweep(now);
        self.room(state)?;
        let to = self.dir.join(format!("{}{}{}", NAME.0, now.strftime(STAMP), NAME.1));
        let found = backup(state, &to)?;
        self.prune(&to, now);
        Ok((to, found))
    }

    fn room(&self, state: &Path) -> Result<(), StoreError> {
        let size = |file: &Path| fs::metadata(file).map_or(0, |about| about.len());
        let database = state.join(open::DATABASE);
        let mut log = database.clone().into_os_string();
        log.push("-wal");
        let needs = (size(&database) + size(Path::new(&log))).saturating_mul(2).saturating_add(SPARE);
        let disk = rustix::fs::statvfs(&self.dir)
            .map_err(|e| self.refuse(format!("how much room it has cannot be told: {e}")))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needs {
            return Err(self.refuse(format!(
                "{} MiB are free and a copy wants {} MiB, so none was begun; make room, or keep fewer",
                free >> 20,
                needs.div_ceil(1 << 20)
            )));
        }
        Ok(())
    }

    /// The oldest go. Those that are still to come were made under a wrong clock and go before all others; the one just made
    /// stays in any case.
    fn prune(&self, made: &Path, now: Time) {
        let Ok(mut all) = self.all() else { return };
        all.retain(|(_, file)| file != made);
        all.sort_by_key(|(at, _)| (*at <= now, *at));
        let much = (all.len() + 1).saturating_sub(self.keep.max(1));
        for (_, file) in all.into_iter().take(much) {
            let _ = fs::remove_file(file);
        }
    }

    fn sweep(&self, now: Time) {
        let Ok(names) = self.names() else { return };
        for name in names {
            let part = name.split_once(".part-").and_then(|(of, _)| stamp(of));
            if part.is_some_and(|at| age(now, at) > PART_MAX) {
                let _ = fs::remove_file(self.dir.join(name));
            }
        }
    }

    fn all(&self) -> Result<Vec<(Time, PathBuf)>, StoreError> {
        let named = |name: String| Some((stamp(&name)?, self.dir.join(name)));
        Ok(self.names()?.into_iter().filter_map(named).collect())
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.refuse(e.to_string())),
        };
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn refuse(&self, why: String) -> StoreError {
        StoreError::File { file: self.dir.clone(), why }
    }
}

/// The instant in the name of a copy; `None` for every other file.
fn stamp(name: &str) -> Option<Time> {
    let stamp = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    let at = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    // Nothing that we would not have written so ourselves.
    (at.strftime(STAMP).to_string() == stamp).then_some(at)
}
