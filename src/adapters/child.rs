//! A program of another's, run once: started with a clean environment, bounded in time and in what it may say, and
//! dead when nobody waits for it any more. The tool of the adapters that speak through a program (`ceph`, `ssh`).
//!
//! It must never leave a process behind: the program gets its own process group, and the group dies with the future. Where
//! nobody is left to see to that, because we were killed or are stopped, `timeout` of the coreutils does.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Where programs look for programs of their own. Ours may be anything, and a tool must not depend on it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What ends the program after its limit, whatever has become of us.
const TIMEOUT: &str = "timeout";
/// So much later than we do ourselves.
const TIMEOUT_LATER: Duration = Duration::from_secs(1);
/// Its codes for a program that cannot be run, and is not there.
const TIMEOUT_CANNOT: i32 = 126;
const TIMEOUT_MISSES: i32 = 127;

/// One run.
pub struct Run<'a> {
    pub program: &'a PathBuf,
    pub args: Vec<OsString>,
    /// The whole run, from the start to the last byte.
    pub limit: Duration,
    /// Bytes of stdout; of stderr a tenth of it. A program that says more is cut off: half an answer is none.
    pub output_max: usize,
}

/// What a program said before it left by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub rc: i32,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error("{} is not installed", program.display())]
    Missing { program: PathBuf },
    #[error("starting {}", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("no answer within {limit:.0?}")]
    TooSlow { limit: Duration },
    #[error("an answer of more than {max} bytes")]
    TooLarge { max: usize },
    #[error("reading its answer")]
    Read(#[source] io::Error),
    #[error("it was killed by a signal")]
    Killed,
}

/// Runs it to its end, or to ours.
///
/// # Errors
/// After [`ChildError::TooSlow`] and [`ChildError::TooLarge`] what it was asked to do may have happened all the same.
pub async fn run(run: Run<'_>) -> Result<Said, ChildError> {
    let mut child = Command::new(TIMEOUT)
        .args(["--signal=KILL", &(run.limit + TIMEOUT_LATER).as_secs_f64().to_string()])
        .arg(run.program)
        .args(&run.args)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ChildError::Missing { program: TIMEOUT.into() },
            _ => ChildError::Start { program: TIMEOUT.into(), source },
        })?;
    let mut group = Group::of(&child);
    let out = child.stdout.take().expect("stdout is piped, see above");
    let err = child.stderr.take().expect("stderr is piped, see above");
    let to_the_end = async {
        let (stdout, stderr) = tokio::try_join!(read(out, run.output_max), read(err, run.output_max / 10))?;
        // Reaped only now: until here the group's number is the child's and nobody else's.
        let status = child.wait().await.map_err(ChildError::Read)?;
        Ok((status, stdout, stderr))
    };
    let (status, stdout, stderr) = tokio::time::timeout(run.limit, to_the_end)
        .await
        .map_err(|_| ChildError::TooSlow { limit: run.limit })??;
    group.over();
    let rc = status.code().ok_or(ChildError::Killed)?;
    match rc {
        // The program may have codes of its own; these come with the words of whoever could not start it.
        TIMEOUT_MISSES | TIMEOUT_CANNOT if !stderr.starts_with("timeout: ") => {
            Ok(Said { rc, stdout, stderr })
        }
        TIMEOUT_MISSES => Err(ChildError::Missing { program: run.program.clone() }),
        TIMEOUT_CANNOT => {
            let source = io::Error::other(last_words(&stderr));
            Err(ChildError::Start { program: run.program.clone(), source })
        }
        _ => Ok(Said { rc, stdout, stderr }),
    }
}

async fn read(from: impl AsyncRead + Unpin, max: usize) -> Result<String, ChildError> {
    let mut bytes = Vec::new();
    let one_more = max as u64 + 1;
    from.take(one_more).read_to_end(&mut bytes).await.map_err(ChildError::Read)?;
    if bytes.len() > max {
        return Err(ChildError::TooLarge { max });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills the process group when dropped, unless it is over.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn over(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone by itself; then there is nothing to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The last thing a program complained about, fit for a status line: one line, printable, not too long.
pub fn last_words(stderr: &str) -> String {
    let line = stderr.lines().rev().map(str::trim).find(|l| !l.is_empty()).unwrap_or("it did not say why");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, limit: Duration) -> (PathBuf, Vec<OsString>, Duration) {
        (PathBuf::from("/bin/sh"), vec!["-c".into(), script.into()], limit)
    }

    async fn try_it((program, args, limit): (PathBuf, Vec<OsString>, Duration)) -> Result<Said, ChildError> {
        run(Run { program: &program, args, limit, output_max: 1000 }).await
    }

    #[tokio::test]
    async fn the_answer_and_the_exit_code_come_home_and_the_environment_stays() {
        let said = try_it(shell("echo yes; echo no >&2; env | sort; exit 16", Duration::from_secs(20)))
            .await
            .expect("it runs");
        assert_eq!(said.rc, 16);
        assert_eq!(said.stderr, "no\n");
        let names: Vec<&str> = said.stdout.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
        assert!(names.iter().all(|n| ["LC_ALL", "PATH", "PWD", "SHLVL", "_"].contains(n)), "{names:?}");
    }

    #[tokio::test]
    async fn a_hanging_program_dies_with_everything_it_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let began = Instant::now();
        // At its limit.
        let end = try_it(shell(&script, Duration::from_secs(2))).await;
        assert!(matches!(end, Err(ChildError::TooSlow { .. })), "{end:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
        gone(&file).await;
        // And when nobody waits any more.
        let mut dropped = Box::pin(try_it(shell(&script, Duration::from_secs(1000))));
        while !file.exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "the script has not started");
            let _ = tokio::time::timeout(Duration::from_millis(10), &mut dropped).await;
        }
        drop(dropped);
        gone(&file).await;
    }

    #[tokio::test]
    async fn it_ends_by_itself_where_nobody_can_end_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let mut killed = Box::pin(try_it(shell(&script, Duration::from_secs(1))));
        while !file.exists() {
            let _ = tokio::time::timeout(Duration::from_millis(10), &mut killed).await;
        }
        // As after a `kill -9`: nothing of ours runs any more.
        std::mem::forget(killed);
        gone(&file).await;
    }

    /// Waits until the process whose number the script wrote is gone; takes the file away.
    async fn gone(file: &std::path::Path) {
        let pid: i32 =
            std::fs::read_to_string(file).expect("the script wrote it").trim().parse().expect("a pid");
        std::fs::remove_file(file).expect("our own directory");
        let until = Instant::now() + Duration::from_secs(10);
        while alive(pid) {
            assert!(Instant::now() < until, "the grandchild {pid} still runs");
            tokio::task::yield_now().await;
        }
    }

    /// A zombie is dead enough: whoever inherits it reaps it.
    fn alive(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
    }

    #[tokio::test]
    async fn half_an_answer_is_none() {
        let end = try_it(shell("yes", Duration::from_secs(20))).await;
        assert!(matches!(end, Err(ChildError::TooLarge { max: 1000 })), "{end:?}");
    }

    #[tokio::test]
    async fn what_is_not_there_says_so() {
        let end = try_it(("/nowhere/ceph".into(), Vec::new(), Duration::from_secs(5))).await;
        assert_eq!(end.expect_err("no such program").to_string(), "/nowhere/ceph is not installed");
        let end = try_it(("/etc/passwd".into(), Vec::new(), Duration::from_secs(5))).await;
        assert_eq!(end.expect_err("no program").to_string(), "starting /etc/passwd");
        let said = try_it(shell("exit 127", Duration::from_secs(5))).await.expect("it ran");
        assert_eq!(said.rc, 127, "a code of its own");
    }

    #[test]
    fn last_words_are_one_printable_line() {
        assert_eq!(last_words("debug\nError EACCES: \u{1b}[31mdenied\n\n"), "Error EACCES: [31mdenied");
        assert_eq!(last_words("").as_str(), "it did not say why");
    }
}
