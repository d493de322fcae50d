//! Tasks: lists, status, log, and the end of one.

use serde_json::{Value, json};

use super::object;
use crate::model::ids::Upid;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::world::{Refusal, Task, TaskState};

/// How many of each node `/cluster/tasks` shows.
const RECENT_PER_NODE: usize = 25;
/// Proxmox's own, for both lists and logs.
const PAGE: usize = 50;

impl Call<'_> {
    pub fn cluster_tasks(&self) -> Said {
        let mut rows = Vec::new();
        for name in self.world.nodes.keys() {
            let of_node = self.world.tasks.iter().rev().filter(|task| &task.node == name);
            let seen = of_node.filter(|task| self.may_read(task)).take(RECENT_PER_NODE);
            rows.extend(seen.map(|task| {
                let mut row = self.row(task);
                row["saved"] = json!(if task.runs() { "0" } else { "1" });
                row
            }));
        }
        Ok(Answer::data(rows))
    }

    pub fn node_tasks(&self) -> Said {
        let source = self.params.text("source").unwrap_or_else(|| "archive".to_owned());
        let mut found = self.world.tasks_on(self.via, self.at)?;
        found.retain(|task| {
            let wanted = match source.as_str() {
                "active" => task.runs(),
                "archive" => !task.runs(),
                _ => true,
            };
            wanted && self.may_read(task) && self.fits(task)
        });
        let total = found.len();
        let rows = found.into_iter().skip(self.from()).take(self.page()).map(|task| self.full_row(task));
        Ok(Answer::page(rows.collect(), total))
    }

    fn fits(&self, task: &Task) -> bool {
        let started = self.on_node_clock(task, task.started.as_second());
        let text = |name: &str| self.params.text(name);
        let failed = |status: &str| status != "OK" && !status.starts_with("WARNINGS");
        let kind = |status: &str| match status {
            "OK" => "ok",
            _ if failed(status) => "error",
            _ => "warning",
        };
        let words = match &task.state {
            TaskState::Ended { status, .. } => Some(status.as_str()),
            TaskState::Running => None,
        };
        text("vmid").is_none_or(|id| task.guest.is_some_and(|guest| guest.to_string() == id))
            && text("typefilter").is_none_or(|kind| kind == task.kind)
            && text("userfilter").is_none_or(|part| task.user().contains(&part))
            && self.params.number("since").is_none_or(|since| started >= since)
            && self.params.number("until").is_none_or(|until| started <= until)
            && (!self.params.flag("errors") || words.is_some_and(failed))
            && text("statusfilter")
                .is_none_or(|list| words.is_some_and(|status| list.split(',').any(|one| one == kind(status))))
    }

    fn from(&self) -> usize {
        self.params.number("start").and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
    }

    fn page(&self) -> usize {
        self.params.number("limit").and_then(|n| usize::try_from(n).ok()).unwrap_or(PAGE)
    }

    pub fn task_status(&self) -> Said {
        let task = self.named_task()?;
        self.must_read(task, "Sys.Audit")?;
        let mut status = self.head(task);
        let ended = match &task.state {
            TaskState::Running => None,
            TaskState::Ended { status, .. } => Some(status),
        };
        status["status"] = json!(if ended.is_some() { "stopped" } else { "running" });
        if let Some(words) = ended {
            status["exitstatus"] = json!(words);
        }
        // Here the token's id is split off while the task runs, too.
        self.split_user(&mut status, task);
        Ok(Answer::data(status))
    }

    pub fn task_log(&self) -> Said {
        let task = match self.named_task() {
            Ok(task) => task,
            // A log that is not there is an answer with one line.
            Err(refusal) if refusal.text == "no such task" => {
                let line = json!({ "n": 1, "t": "unable to open file - No such file or directory" });
                return Ok(Answer::page(vec![line], 1));
            }
            Err(refusal) => return Err(refusal),
        };
        self.must_read(task, "Sys.Audit")?;
        let lines = task.lines();
        let total = lines.len();
        let numbered = lines.into_iter().enumerate().map(|(n, text)| json!({ "n": n + 1, "t": text }));
        Ok(Answer::page(numbered.skip(self.from()).take(self.page()).collect(), total))
    }

    /// The task that the path names, looked for under the node that the path names.
    pub(super) fn named_task(&self) -> Result<&Task, Refusal> {
        let upid = self.upid()?;
        self.world.task(self.via, self.at, &upid)
    }

    pub(super) fn upid(&self) -> Result<Upid, Refusal> {
        let text = self.params.text("upid").unwrap_or_default();
        if text.starts_with("UPID:") && text.ends_with(':') && text.split(':').count() == 9 {
            Ok(Upid(text))
        } else {
            Err(Refusal::parameter("upid", "unable to parse worker upid"))
        }
    }

    /// One's own, or with rights over the node.
    pub(super) fn must_read(&self, task: &Task, privilege: &str) -> Result<(), Refusal> {
        let path = format!("/nodes/{}", self.at);
        if task.user() == self.token.id || self.token.may(&path, &[privilege]) {
            Ok(())
        } else {
            Err(Refusal::forbidden(&path, privilege))
        }
    }

    fn may_read(&self, task: &Task) -> bool {
        task.user() == self.token.id || self.sees_node(&task.node)
    }

    /// What every form has, with the numbers that stand in the UPID.
    fn head(&self, task: &Task) -> Value {
        let part = |n: usize| {
            let hex = task.upid.as_str().split(':').nth(n).unwrap_or_default();
            i64::from_str_radix(hex, 16).unwrap_or_default()
        };
        json!({
            "upid": task.upid, "node": task.node, "type": task.kind,
            "id": task.guest.map(|guest| guest.to_string()).unwrap_or_default(),
            "user": task.user(), "pid": part(2), "pstart": part(3), "starttime": part(4),
        })
    }

    /// A row of `/nodes/N/tasks`.
    fn full_row(&self, task: &Task) -> Value {
        let mut row = self.head(task);
        self.finish(&mut row, task);
        // Only the file of running tasks has this; its numbers are text.
        if task.runs() {
            row["saved"] = json!("0");
        }
        row
    }

    /// A row of `/cluster/tasks`.
    fn row(&self, task: &Task) -> Value {
        let head = self.head(task);
        let keep = |name: &'static str| (name, head.get(name).cloned());
        let mut row =
            object([keep("upid"), keep("node"), keep("type"), keep("id"), keep("user"), keep("starttime")]);
        self.finish(&mut row, task);
        row
    }

    /// Running tasks keep the token in `user`, ended ones have it in `tokenid`.
    fn finish(&self, row: &mut Value, task: &Task) {
        match &task.state {
            TaskState::Running => row["status"] = json!("RUNNING"),
            TaskState::Ended { at, status } => {
                row["status"] = json!(status);
                row["endtime"] = json!(self.on_node_clock(task, at.as_second()));
                self.split_user(row, task);
            }
        }
    }

    fn split_user(&self, row: &mut Value, task: &Task) {
        if let Some((user, token)) = task.user().split_once('!') {
            row["user"] = json!(user);
            row["tokenid"] = json!(token);
        }
    }

    fn on_node_clock(&self, task: &Task, second: i64) -> i64 {
        second + self.world.nodes.get(&task.node).map_or(0, |node| node.clock_ahead)
    }
}
