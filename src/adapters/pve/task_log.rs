//! The log of a task that has ended, as much of it as is worth reading.

use std::collections::BTreeSet;

use super::{calls, client::Route, proxmox::Proxmox, upid};
use crate::model::ids::{NodeName, Upid};
use crate::model::observed::TaskLog;
use crate::model::seen::Trouble;

/// A migration writes its beginning in some thirty lines and then one or two each second. What is longer than this is read
/// at both ends.
const HEAD_LINES: u32 = 100;
const TAIL_LINES: u32 = 400;
/// No line that means something is longer.
const LINE_CHARS_MAX: usize = 400;

impl Proxmox {
    pub(super) async fn read_log(&self, task: &Upid, avoid: &BTreeSet<NodeName>) -> Result<TaskLog, Trouble> {
        let name: upid::Upid =
            task.as_str().parse().map_err(|e: upid::BadUpid| Trouble::Nonsense(e.to_string()))?;
        let route = Route::avoiding(avoid.iter().map(NodeName::as_str));
        let whole = HEAD_LINES + TAIL_LINES;
        let head = self.client.run(&calls::task_log(&name, 0, whole), &route).await?;
        let total = head.total.unwrap_or(0).min(u64::from(u32::MAX)) as u32;
        let mut lines: Vec<String> = head.value.into_iter().map(|line| shorten(&line.t)).collect();
        if total <= whole {
            return Ok(TaskLog { lines, cut: false });
        }
        lines.truncate(HEAD_LINES as usize);
        let tail = self.client.run(&calls::task_log(&name, total - TAIL_LINES, TAIL_LINES), &route).await?;
        lines.extend(tail.value.into_iter().map(|line| shorten(&line.t)));
        Ok(TaskLog { lines, cut: true })
    }
}

fn shorten(line: &str) -> String {
    line.chars().take(LINE_CHARS_MAX).collect()
}
