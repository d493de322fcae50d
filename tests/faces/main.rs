//! The command line from outside: the real program, its exit codes, and the words that it leaves a person with.

mod documents;
mod files;
mod flood;
mod habits;
mod hostile;
mod instances;
mod planner;
#[expect(dead_code, reason = "the contract tests use the rest of it")]
#[path = "../lab/postgres.rs"]
mod postgres;
mod reload;
mod running;
mod secrets;
mod service;
mod store;

use std::path::Path;

use assert_cmd::Command;

/// The program, with nothing of this machine's environment.
pub fn pitlane(dir: &Path) -> Command {
    let mut command = Command::cargo_bin("pitlane").expect("the program is built");
    for name in [
        "PITLANE_URL",
        "PITLANE_TOKEN_FILE",
        "PITLANE_CONFIG",
        "PITLANE_CA_FILE",
        "PITLANE_LOG",
        "PITLANE_LOG_FORMAT",
    ] {
        command.env_remove(name);
    }
    // Longer than a command waits for its answer: it shall say itself what did not come.
    command.current_dir(dir).timeout(std::time::Duration::from_secs(120));
    command
}

/// Runs it and gives exit code, standard output and standard error.
pub fn said(dir: &Path, words: &[&str]) -> (i32, String, String) {
    let output = pitlane(dir).args(words).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}
