//! Is this a place for the state? Ours alone, and on a disk of this machine.
//!
//! It only looks and refuses. A network file system loses locks and writes in its own ways, and the lock is what keeps
//! two pitlanes from giving contradictory orders.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// File systems of other machines, as the kernel names them.
const REMOTE: [&str; 10] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "afs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.ceph-fuse",
];

/// Where the kernel tells what is mounted. Missing elsewhere than on Linux: then nothing can be told.
const MOUNTS: &str = "/proc/self/mountinfo";

/// For a service, before it opens its state. A directory that is not there yet will be made for its owner alone.
///
/// # Errors
/// Why this directory cannot hold the state, and what to do.
pub fn fit(dir: &Path) -> Result<(), StoreError> {
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    judge(dir, there).map_err(|why| StoreError::Directory { dir: dir.into(), why })
}

/// `there`: the directory itself, or what it will be made in.
fn judge(dir: &Path, there: &Path) -> Result<(), String> {
    if there == dir {
        private(dir)?;
    }
    let whole = there.canonicalize().map_err(|e| e.to_string())?;
    // What cannot be read tells nothing; it is no reason to refuse.
    let mounts = std::fs::read_to_string(MOUNTS).unwrap_or_default();
    match remote(&mounts, &whole) {
        Some(kind) => Err(format!(
            "it lies on a network file system ({kind}), whose locks cannot be relied on; name a directory on a disk of this \
             machine"
        )),
        None => Ok(()),
    }
}

fn private(dir: &Path) -> Result<(), String> {
    let about = std::fs::metadata(dir).map_err(|e| e.to_string())?;
    if !about.is_dir() {
        return Err("it is a file; name a directory".into());
    }
    if about.permissions().mode() & 0o007 != 0 {
        return Err(format!(
            "everybody on this machine may look into it, and it tells who is a customer; run: chmod 0700 '{}'",
            dir.display()
        ));
    }
    Ok(())
}

/// The kind of the network file system that `dir` lies on, if it does.
fn remote(mounts: &str, dir: &Path) -> Option<String> {
    let mut deepest: Option<(PathBuf, &str)> = None;
    for line in mounts.lines() {
        // 36 35 98:0 /root /mount/point options [optional…] - kind source options
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let (Some(point), Some(kind)) = (front.split(' ').nth(4), back.split(' ').next()) else { continue };
        let point = PathBuf::from(point.replace("\\040", " "));
        // Of several on one point the last one counts.
        let deeper = deepest.as_ref().is_none_or(|(so_far, _)| point.starts_with(so_far));
        if dir.starts_with(&point) && deeper {
            deepest = Some((point, kind));
        }
    }
    deepest.map(|(_, kind)| kind).filter(|kind| REMOTE.contains(kind)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTED: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:50 / /srv rw - nfs4 filer:/export rw
41 40 8:2 / /srv/local\\040disk rw - xfs /dev/sdb1 rw
";

    #[test]
    fn a_directory_that_others_may_look_into_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        for (mode, fine) in [(0o777, false), (0o755, false), (0o701, false), (0o700, true), (0o2770, true)] {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).expect("chmod");
            match fit(dir.path()) {
                Ok(()) => assert!(fine, "{mode:o}"),
                Err(why) => assert!(!fine && why.to_string().contains("chmod 0700"), "{mode:o}: {why}"),
            }
        }
        assert!(fit(&dir.path().join("not/there/yet")).is_ok(), "it will be made");
    }

    #[test]
    fn the_deepest_mount_decides() {
        for (dir, kind) in [
            ("/var/lib/pitlane", None),
            ("/srv/pitlane", Some("nfs4")),
            ("/srv/local disk/pitlane", None),
            ("/srvother", None),
        ] {
            assert_eq!(remote(MOUNTED, Path::new(dir)).as_deref(), kind, "{dir}");
        }
        assert_eq!(remote("", Path::new("/srv")), None, "nothing told, nothing refused");
    }
}
