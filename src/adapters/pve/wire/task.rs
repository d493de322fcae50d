//! Tasks: lists, status and log.

use serde::Deserialize;

use super::{Int, Text};
use crate::adapters::pve::{classify, error::Refusal};

/// A row of `/nodes/N/tasks` or `/cluster/tasks`.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskRow {
    pub upid: Text,
    pub node: Option<Text>,
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// The guest, mostly; may be empty.
    pub id: Option<Text>,
    /// With the token's name while the task runs, without it afterwards.
    pub user: Option<Text>,
    pub tokenid: Option<Text>,
    /// Seconds since 1970 by the node's clock.
    pub starttime: Option<Int>,
    pub endtime: Option<Int>,
    /// `RUNNING` or missing while it runs, the exit text afterwards.
    pub status: Option<Text>,
}

impl TaskRow {
    /// How it ended; `None` while it runs.
    pub fn end(&self) -> Option<TaskEnd> {
        match self.status.as_deref() {
            Some("RUNNING") => None,
            Some(text) => Some(TaskEnd::of(text)),
            // An index row that was written without an end: the worker vanished.
            None => self.endtime.map(|_| TaskEnd::of("unexpected status")),
        }
    }
}

/// `/nodes/N/tasks/UPID/status`.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskStatus {
    /// `running` or `stopped`.
    pub status: Text,
    /// Only when stopped.
    pub exitstatus: Option<Text>,
    pub upid: Option<Text>,
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    pub id: Option<Text>,
    pub user: Option<Text>,
    pub starttime: Option<Int>,
}

impl TaskStatus {
    /// How it ended; `None` while it runs. A stopped task without an exit text died without a word.
    pub fn end(&self) -> Option<TaskEnd> {
        if &*self.status == "running" {
            return None;
        }
        Some(TaskEnd::of(self.exitstatus.as_deref().unwrap_or("unexpected status")))
    }
}

/// How a task ended. For tasks of HA-managed guests success only means "queued".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    Ok,
    /// A success that has something to tell.
    Warnings,
    /// The exit text and what it means.
    Failed {
        text: String,
        why: Refusal,
    },
}

impl TaskEnd {
    pub fn of(text: &str) -> TaskEnd {
        if text == "OK" {
            return TaskEnd::Ok;
        }
        if text.starts_with("WARNINGS: ") {
            return TaskEnd::Warnings;
        }
        TaskEnd::Failed { text: text.to_owned(), why: classify::refusal("", text) }
    }

    pub fn succeeded(&self) -> bool {
        matches!(self, TaskEnd::Ok | TaskEnd::Warnings)
    }
}

/// A line of a task's log.
#[derive(Debug, Clone, Deserialize)]
pub struct LogLine {
    pub n: Int,
    pub t: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_from_a_task_that_runs() {
        let row = |json: &str| serde_json::from_str::<TaskRow>(json).expect("a row").end();
        assert_eq!(row(r#"{"upid":"x","status":"RUNNING"}"#), None);
        assert_eq!(row(r#"{"upid":"x"}"#), None, "running, as /cluster/tasks lists it");
        assert_eq!(row(r#"{"upid":"x","status":"OK","endtime":1}"#), Some(TaskEnd::Ok));
        assert_eq!(row(r#"{"upid":"x","status":"WARNINGS: 2"}"#), Some(TaskEnd::Warnings));
    }

    #[test]
    fn a_worker_that_vanished_has_failed() {
        for json in [r#"{"status":"stopped","exitstatus":"unexpected status"}"#, r#"{"status":"stopped"}"#] {
            let end = serde_json::from_str::<TaskStatus>(json).expect(json).end();
            assert!(matches!(end, Some(TaskEnd::Failed { why: Refusal::WorkerDied, .. })), "{end:?}");
        }
    }
}
