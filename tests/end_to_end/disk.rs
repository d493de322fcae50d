//! A small disk of our own for the state: an ext4 in a file, mounted for as long as a test runs. It can be filled, and it can
//! break as disks do: the kernel makes it read-only under open files. Needs root and a loop device.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Large enough for a store of a few cases, with its log.
const MEGABYTES: u64 = 24;

pub struct Disk {
    image: PathBuf,
    pub at: PathBuf,
}

impl Disk {
    pub fn mounted(image: PathBuf, at: PathBuf) -> Self {
        fs::create_dir_all(&at).expect("ours");
        let file = fs::File::create(&image).expect("ours");
        file.set_len(MEGABYTES << 20).expect("sparse");
        run("mkfs.ext4", &["-q", "-m", "0", path(&image)]);
        let disk = Self { image, at };
        disk.mount();
        run("chmod", &["0700", path(&disk.at)]);
        disk
    }

    fn mount(&self) {
        run("mount", &["-o", "loop,errors=remount-ro", path(&self.image), path(&self.at)]);
    }

    /// Not one byte is left.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.filler()).expect("ours");
        let block = vec![0x5a; 1 << 16];
        while file.write_all(&block).is_ok() {}
        while file.write_all(b"x").is_ok() {}
    }

    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it is there");
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// The file system finds an error and protects itself: from now on it is read-only, open files included.
    pub fn breaks(&self) {
        let found = Command::new("findmnt")
            .args(["-no", "SOURCE", path(&self.at)])
            .output()
            .expect("util-linux is there");
        let device = String::from_utf8(found.stdout).expect("text");
        let name = device.trim().trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "made by a test")
            .expect("ext4's own lever");
    }

    /// What a person does about it, with nobody using it.
    pub fn repaired(&self) {
        run("umount", &[path(&self.at)]);
        // 1: errors were corrected.
        let checked =
            Command::new("e2fsck").args(["-p", path(&self.image)]).status().expect("e2fsprogs is there");
        assert!(checked.code().is_some_and(|code| code <= 1), "{checked}");
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that a failed test left behind may hold it a moment longer.
        let _ = Command::new("umount").args(["-l", path(&self.at)]).status();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("ours")
}

fn run(program: &str, args: &[&str]) {
    let ended = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {args:?}: {told} (this test needs root and a loop device)");
}
