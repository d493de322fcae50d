//! A Ceph that answers one of our questions with anything. It is seen whole and with its majority, or it is not seen; and
//! "may be stopped" is believed only of what was asked, with the exit code that says so.
//!
//! The first byte chooses the question and the exit code; the rest is the answer. All other answers are a healthy
//! cluster's, as recorded.
#![no_main]

/// The same cluster that the contract tests ask.
#[path = "../../contracts/ceph_healthy.rs"]
mod ceph_healthy;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use pitlane::adapters::ceph::{Answer, CephClient, CephError, Command, Limits, Runner};
use pitlane::model::ids::HostName;
use pitlane::model::seen::Seen;
use pitlane::model::time::Time;
use pitlane::ports::{Ceph, Clock};
use serde_json::{Value, json};

const QUESTIONS: [&str; 9] = [
    "status",
    "osd tree",
    "osd dump",
    "quorum_status",
    "osd crush rule dump",
    "mgr dump",
    "osd metadata",
    "osd ok-to-stop",
    "fs dump",
];
const CODES: [i32; 4] = [0, 16, 22, 1];

static HEALTHY: LazyLock<BTreeMap<&str, Value>> = LazyLock::new(ceph_healthy::answers);

struct Odd {
    question: &'static str,
    rc: i32,
    said: String,
}

#[async_trait]
impl Runner for Odd {
    async fn run(&self, command: &Command, _: Duration) -> Result<Answer, CephError> {
        let asked = command.text();
        if asked.starts_with(self.question) {
            return Ok(Answer { rc: self.rc, stdout: self.said.clone(), stderr: String::new() });
        }
        let stdout = match command {
            Command::OkToStop(ids) => {
                let osds: Vec<_> = ids.iter().map(|id| id.0).collect();
                json!({"ok_to_stop": true, "osds": osds, "num_ok_pgs": 1, "num_not_ok_pgs": 0}).to_string()
            }
            // Without a word about filesystems the dump is asked for.
            Command::Status if self.question == "fs dump" => {
                let mut status = HEALTHY["status"].clone();
                status.as_object_mut().expect("an object").remove("fsmap");
                status.to_string()
            }
            _ => HEALTHY.get(asked.as_str()).map(Value::to_string).unwrap_or_default(),
        };
        Ok(Answer { rc: 0, stdout, stderr: String::new() })
    }
}

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Time {
        Time::UNIX_EPOCH
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let question = QUESTIONS[usize::from(*first) % QUESTIONS.len()];
    let rc = CODES[usize::from(*first) / QUESTIONS.len() % CODES.len()];
    let said = String::from_utf8_lossy(rest).into_owned();
    let client = CephClient::new(Arc::new(Odd { question, rc, said }), Arc::new(Stopped), Limits::default());
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let Seen::Known { value: view, .. } = client.look().await else { return };
            assert!(view.quorate(), "seen without a majority");
            assert!(rc == 0 || question == "osd ok-to-stop", "{question} failed with {rc}, and all was seen");
            let hosts: Vec<HostName> = view.hosts.values().cloned().collect();
            for host in hosts.iter().take(4) {
                if let Seen::Known { value, .. } = client.ok_to_stop(host, &view).await {
                    let theirs: Vec<_> = view.osds_of(host).map(|(id, _)| *id).collect();
                    assert!(
                        !theirs.is_empty() && value.asked.iter().copied().eq(theirs),
                        "other OSDs than asked for"
                    );
                    assert!(!value.ok || question != "osd ok-to-stop" || rc == 0, "yes with exit code {rc}");
                }
            }
        });
    });
});
