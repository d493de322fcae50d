//! A lab of `tests/lab`, up as long as the test lives, down afterwards however the test ends.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pitlane::model::time::Time;
use pitlane::ports::Clock;
use serde_json::Value;

/// The machine's own clock.
pub struct Now;

impl Clock for Now {
    fn now(&self) -> Time {
        Time::now()
    }
}

pub struct Lab {
    script: PathBuf,
    /// Short, because names of unix sockets are; removed by the lab itself and, empty, by this.
    dir: tempfile::TempDir,
    /// What `up` printed: addresses, keys.
    pub facts: Value,
}

impl Lab {
    /// # Panics
    /// With the script's own words when it cannot come up.
    pub fn up(kind: &str, args: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
        let dir = tempfile::Builder::new().prefix("lab").tempdir().expect("a temporary directory");
        let mut lab = Self { script: folder.join(kind), dir, facts: Value::Null };
        let out = lab.run("up", args);
        assert!(out.status.success(), "{kind} is not up: {}", String::from_utf8_lossy(&out.stderr).trim());
        lab.facts = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{kind} up: {e}: {}", String::from_utf8_lossy(&out.stdout)));
        lab
    }

    /// Another command of the script. The scripts have deadlines of their own.
    pub fn run(&self, command: &str, args: &[&str]) -> Output {
        Command::new(&self.script)
            .arg(command)
            .args(args)
            .arg("--dir")
            .arg(self.dir())
            .output()
            .unwrap_or_else(|e| panic!("{}: {e}", self.script.display()))
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    /// A fact as text.
    pub fn fact(&self, name: &str) -> String {
        match &self.facts[name] {
            Value::String(text) => text.clone(),
            Value::Null => panic!("the lab says nothing of {name}: {}", self.facts),
            other => other.to_string(),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let out = self.run("down", &[]);
        if !out.status.success() {
            eprintln!("{}: down: {}", self.script.display(), String::from_utf8_lossy(&out.stderr));
        }
    }
}

/// Writes a program.
pub fn script(path: &Path, body: &str) {
    // Written by a process of its own: a fork of another test's thread may hold what we write open a moment longer, and
    // then the program is "busy" when it is started.
    let mut shell = Command::new("/bin/sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let text = format!("#!/bin/sh\n{body}\n");
    shell.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    assert!(shell.wait().expect("it ends").success(), "{}", path.display());
}

/// Looks again and again until it is so; a look takes its time, so nothing is burnt.
///
/// # Panics
/// When it is not so within `limit`; says what was seen last.
pub async fn until<T: std::fmt::Debug, F: Future<Output = T>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
    so: impl Fn(&T) -> bool,
) -> T {
    let end = Instant::now() + limit;
    loop {
        let seen = look().await;
        if so(&seen) {
            return seen;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}; last seen: {seen:?}");
    }
}
