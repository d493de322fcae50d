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
use serde_json::{Value, json};

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
    /// The healthy cluster of recording 01: three hosts with two OSDs each. Two answers were recorded in another
    /// form than the one we ask for, and are put into it: the manager map and the list of all OSDs' metadata.
    pub fn healthy() -> Self {
        let file = recording("01-healthy.json");
        let find = |command: &str| {
            let calls = file["calls"].as_array().expect("a list of calls");
            calls.iter().find(|c| c["command"] == command).unwrap_or_else(|| panic!("no {command}")).clone()
        };
        let hosts = find("ceph osd numa-status")["stdout"].clone();
        let one = find("ceph osd metadata 2")["stdout"].clone();
        let metadata: Vec<Value> = hosts
            .as_array()
            .expect("a list of OSDs")
            .iter()
            .map(|osd| {
                let mut of_osd = one.clone();
                of_osd["id"] = osd["osd"].clone();
                of_osd["hostname"] = osd["host"].clone();
                of_osd
            })
            .collect();
        let new = Self { answers: Mutex::default(), asked: Mutex::default() };
        for command in ["status", "osd tree", "osd dump", "quorum_status", "osd crush rule dump"] {
            new.set(command, [recorded(&find(&format!("ceph {command}")))]);
        }
        new.set("mgr dump", [said(0, &mgr_dump("node1", &["node2"]), "")]);
        new.set("osd metadata", [said(0, &json!(metadata), "")]);
        // One metadata server serves and one stands by.
        let servers = recording("17-mds.json");
        let dump =
            servers["calls"].as_array().expect("calls").iter().find(|c| c["command"] == "ceph fs dump");
        new.set("fs dump", [recorded(dump.expect("it was recorded"))]);
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

pub fn mgr_dump(active: &str, standbys: &[&str]) -> Value {
    let standbys: Vec<Value> = standbys.iter().map(|name| json!({"gid": 1, "name": name})).collect();
    json!({"epoch": 4, "available": !active.is_empty(), "active_name": active, "standbys": standbys})
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
