//! Ceph as it was recorded: a runner that answers with what a real Ceph once said.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pitlane::adapters::ceph::{Answer, CephClient, CephError, Command, Limits, Runner};
use pitlane::model::time::Time;
use pitlane::ports::Clock;
use serde_json::Value;

use crate::ceph_healthy::answers;

pub const NOW: &str = "2026-01-01T00:00:00Z";

pub struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Time {
        NOW.parse().expect("a valid instant")
    }
}

pub fn recording(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/ceph").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// One scripted answer; `None`: it hangs until the limit.
pub type Scripted = Option<Answer>;

pub fn said(rc: i32, stdout: &Value, stderr: &str) -> Scripted {
    let stdout = if stdout.is_null() { "\n".to_owned() } else { format!("\n{stdout}\n") };
    Some(Answer { rc, stdout, stderr: stderr.to_owned() })
}

/// A recorded call as an answer.
pub fn recorded(call: &Value) -> Scripted {
    let rc = i32::try_from(call["rc"].as_i64()?).expect("exit codes are small");
    let stdout = call
        .get("stdout")
        .map_or_else(|| call["stdout_text"].as_str().unwrap_or_default().to_owned(), Value::to_string);
    Some(Answer { rc, stdout, stderr: call["stderr"].as_str().unwrap_or_default().to_owned() })
}

/// Answers by command; the last answer of a command stays. Commands without one are a mistake of the test.
pub struct Replay {
    answers: Mutex<BTreeMap<String, VecDeque<Scripted>>>,
    pub asked: Mutex<Vec<String>>,
}

impl Replay {
    /// The healthy cluster: see [`answers`].
    pub fn healthy() -> Self {
        let new = Self { answers: Mutex::default(), asked: Mutex::default() };
        for (command, answer) in answers() {
            new.set(command, [said(0, &answer, "")]);
        }
        new
    }

    /// Replaces the answers of a command.
    pub fn set(&self, command: &str, answers: impl IntoIterator<Item = Scripted>) {
        self.answers
            .lock()
            .expect("no panic while held")
            .insert(command.into(), answers.into_iter().collect());
    }

    /// The stdout that a command would give now.
    pub fn body(&self, command: &str) -> Value {
        let answers = self.answers.lock().expect("no panic while held");
        let answer = answers[command].front().cloned().flatten().expect("an answer");
        serde_json::from_str(&answer.stdout).expect("JSON")
    }

    pub fn client(self: &Arc<Self>) -> CephClient {
        let limits = Limits {
            call: Duration::from_secs(2),
            look: Duration::from_secs(5),
            ok_to_stop: Duration::from_millis(500),
            write: Duration::from_secs(5),
            pause: Duration::from_millis(20),
        };
        CephClient::new(Arc::clone(self) as Arc<dyn Runner>, Arc::new(Stopped), limits)
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic while held").clone()
    }
}

#[async_trait]
impl Runner for Replay {
    async fn run(&self, command: &Command, _: Duration) -> Result<Answer, CephError> {
        let text = command.text();
        self.asked.lock().expect("no panic while held").push(text.clone());
        let answer = {
            let mut answers = self.answers.lock().expect("no panic while held");
            let of_command = answers.get_mut(&text).unwrap_or_else(|| panic!("`{text}` was not expected"));
            if of_command.len() > 1 { of_command.pop_front() } else { of_command.front().cloned() }
        };
        // A hang is not played out; its text says what a real one would.
        let limit = Duration::from_secs(15);
        answer.flatten().ok_or(CephError::TooSlow { command: text, limit })
    }
}
