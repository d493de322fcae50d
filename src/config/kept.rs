//! `store.backup`: copies of the store that the service makes by itself. Off until it has a directory.
//! `store.keep`: how long what is over is remembered. For ever unless it is said.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::{ConfigFile, state_dir};
use super::mistakes::Mistakes;
use super::reader::Read;
use crate::model::state::EARLIER_MAX;
use crate::model::time::Period;

/// More often than this it would be copying all the time; more rarely, and it is forgotten.
const EVERY: (Period, Period) = (Period::mins(10), Period::hours(31 * 24));

/// The file that everything is remembered in.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreFile {
    /// A database that several instances share, instead of a file. State that is there already: `pitlane store migrate`.
    pub postgres: Option<super::database::PostgresFile>,
    /// Copies that the service makes by itself.
    pub backup: Option<BackupFile>,
    /// How long what is over is kept. Take it out before it goes: `pitlane audit export`.
    #[serde(default)]
    pub keep: KeepFile,
}

/// For ever, where nothing is said. At least 400 days: so far back decisions look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepFile {
    /// Since a case was closed, with its steps and work orders.
    #[schemars(extend("examples" = ["400d"]))]
    pub closed_cases: Option<Period>,
    /// Entries of the journal, but for those of open cases.
    #[schemars(extend("examples" = ["400d"]))]
    pub journal: Option<Period>,
}

/// Each copy is inspected before it gets its name, `pitlane-20260101T120000Z.db`; only such files are ever removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupFile {
    /// Where copies go: best another disk. Made for its owner alone if it is not there and its parent is.
    pub dir: PathBuf,
    /// How far apart; from ten minutes to 31 days.
    #[serde(default = "daily")]
    pub every: Period,
    /// So many are kept, the newest.
    #[serde(default = "fortnight")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep: u16,
}

fn daily() -> Period {
    Period::hours(24)
}

fn fortnight() -> u16 {
    14
}

/// What the file alone cannot say.
pub(super) fn across(read: &Read<ConfigFile>, base: &Path, mistakes: &mut Mistakes) {
    let place = |path: &str| read.root.at(path).place;
    if let Some(every) = read.get::<Period>("/store/backup/every")
        && !(EVERY.0..=EVERY.1).contains(&every)
    {
        let text =
            format!("store.backup.every: {every} is no pace for backups; write {} to {}", EVERY.0, EVERY.1);
        mistakes.add(place("store.backup.every"), text);
    }
    for key in ["closed_cases", "journal"] {
        if let Some(kept) = read.get::<Period>(&format!("/store/keep/{key}"))
            && kept < EARLIER_MAX
        {
            let text =
                format!("store.keep.{key}: decisions look back further than {kept}; write 400d or more");
            mistakes.add(place(&format!("store.keep.{key}")), text);
        }
    }
    let Some(dir) = read.json.pointer("/store/backup/dir").and_then(|dir| dir.as_str()) else { return };
    let state = read.json["state"].as_str().map_or_else(state_dir, PathBuf::from);
    let (dir, state) = (base.join(dir), base.join(state));
    if dir == state {
        let text = "store.backup.dir: this is the state directory itself; name another, best on another disk";
        mistakes.add(place("store.backup.dir"), text);
    } else if dir.exists() && !dir.is_dir() {
        let text = format!("store.backup.dir: {} is a file; name a directory", dir.display());
        mistakes.add(place("store.backup.dir"), text);
    }
}

/// As it counts: paths are the file's own.
pub(super) fn of(file: &ConfigFile, base: &Path) -> Option<BackupFile> {
    let backup = file.store.backup.clone()?;
    Some(BackupFile { dir: base.join(&backup.dir), ..backup })
}

#[cfg(test)]
mod tests {
    use super::super::reader::read;
    use super::*;

    fn told(text: &str) -> (Option<BackupFile>, Vec<String>) {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("file"), "").expect("a file");
        let mut mistakes = Mistakes::of("pitlane.yaml".to_owned());
        let read = read::<ConfigFile>(text, &mut mistakes).expect("it is YAML");
        across(&read, dir.path(), &mut mistakes);
        let backup = read.value.as_ref().and_then(|file| of(file, dir.path()));
        let told = mistakes.or(Some(())).err().map(|mistakes| mistakes.to_string());
        (backup, told.map(|text| text.lines().map(str::to_owned).collect()).unwrap_or_default())
    }

    #[test]
    fn it_is_off_until_a_directory_is_named() {
        assert!(told("mode: observe\n").0.is_none());
        let (backup, told) = told("store:\n  backup:\n    dir: copies\n");
        let backup = backup.expect("it is on");
        assert_eq!((backup.every, backup.keep, told), (Period::hours(24), 14, Vec::new()));
        assert!(backup.dir.is_absolute() && backup.dir.ends_with("copies"));
    }

    #[test]
    fn what_decisions_read_is_kept() {
        let (_, told) = told("store:\n  keep:\n    closed_cases: 399d\n    journal: 400d\n");
        assert!(
            matches!(&told[..], [one] if one.contains("3:19") && one.contains("write 400d or more")),
            "{told:?}"
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let (_, told) = told("store:\n  backup:\n    dir: file\n    every: 1m\n    keep: 0\n");
        for want in ["3:10", "is a file", "4:12", "10m to 4w3d", "5:11"] {
            assert!(told.iter().any(|line| line.contains(want)), "{want}: {told:?}");
        }
        let (_, told) = self::told("state: here\nstore:\n  backup:\n    dir: here\n");
        assert!(told.iter().any(|line| line.contains("state directory itself")), "{told:?}");
    }
}
