//! `explain`: a recorded turn is decided again, here, by the same pure code. The file is a bug report.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::Say;
use super::exit::{Ended, Exit, Stop};
use super::{input, text};
use crate::decide::{decide, judge, judge_in_place};
use crate::model::ids::NodeName;
use crate::model::plan::Plan;
use crate::model::shown::{Judged, Recorded};
use crate::model::state::Decision;
use crate::model::step::{Action, Step, Switch};

pub fn run(file: &Path, node: Option<&str>, say: Say) -> Ended {
    let want = "it must be {\"state\": …, \"observed\": …, \"rules\": …}, as GET /api/v1/observed gives it";
    let recorded: Recorded = input::json(file, want)?;
    let decision = decide(&recorded.state, &recorded.observed, &recorded.rules);
    let nodes: BTreeSet<NodeName> = match node {
        Some(node) => [super::node(node)?].into(),
        None => recorded.state.cases.iter().map(|case| case.node.clone()).collect(),
    };
    let mut judged = Vec::new();
    for node in &nodes {
        match judge(node, &recorded.state, &recorded.observed, &recorded.rules) {
            Ok((verdict, plan)) => {
                let in_place = judge_in_place(node, &recorded.state, &recorded.observed, &recorded.rules)
                    .map(|(verdict, plan)| Box::new(Judged { verdict, plan, in_place: None }));
                judged.push(Judged { verdict, plan: plan.ok(), in_place });
            }
            Err(why) => return Err(Stop::new(Exit::Unseen, format!("{node} cannot be judged: {why}"))),
        }
    }
    for node in nodes.iter().filter(|node| !recorded.observed.pve.nodes.contains_key(*node)) {
        // Else "unknown" would look like a fault of the cluster instead of one of the recording.
        say.hint(&format!(
            "The recording holds no look at {node} itself, so the checks that need one cannot see; ask for a verdict of \
             it, or record while a case of it is open."
        ));
    }
    let value = json!({"decision": decision, "judged": judged});
    say.print(&value, || words(&recorded, &decision, &judged));
    Ok(Exit::Done)
}

fn words(recorded: &Recorded, decision: &Decision, judged: &[Judged]) -> String {
    let mut out = format!("Decided as of {}.\n", text::clock(recorded.observed.at));
    for one in judged {
        out.push_str(&text::verdict(&one.verdict));
        if one.plan.as_ref().is_some_and(|plan: &Plan| !plan.moves.is_empty() || !plan.ha.is_empty()) {
            out.push_str(&text::plan(one));
        }
    }
    for case in &decision.cases {
        let wait = case.wait.as_ref().map_or_else(String::new, |wait| format!(", waits: {wait}"));
        out.push_str(&format!("Case {} of {}: {}{wait}\n", case.id, case.node, case.phase.name()));
    }
    if !decision.notes.is_empty() {
        out.push_str("Journal:\n");
    }
    for note in &decision.notes {
        out.push_str(&format!("  {}\n", note.what));
    }
    out.push_str(if decision.steps.is_empty() { "No steps.\n" } else { "Steps:\n" });
    for step in &decision.steps {
        out.push_str(&format!("  {}\n", step_text(step)));
    }
    for alert in &decision.show.unplaced {
        out.push_str(&format!("Alert {} leads nowhere: {}.\n", alert.fingerprint, alert.why));
    }
    out
}

fn step_text(step: &Step) -> String {
    let switch = |to: &Switch| match to {
        Switch::On => "on",
        Switch::Off => "off",
    };
    match &step.action {
        Action::Maintenance { node, to } => format!("HA maintenance of {node} {}", switch(to)),
        Action::Noout { host, to } => format!("noout on {host} {}", switch(to)),
        Action::FailMgr { mgr } => format!("Ceph's manager {mgr} hands over"),
        Action::Migrate { guest, name, from, to, how, .. } => {
            format!("guest {guest} ({name}) from {from} to {to}, {how}")
        }
        Action::CancelTask { guest, on, .. } => format!("cancel the move of guest {guest} on {on}"),
        Action::Start { guest, on, .. } => format!("start guest {guest} on {on}"),
        Action::Shutdown { guest, on, .. } => format!("shut guest {guest} down on {on}"),
        other => format!("{} (case {})", other.name().replace('_', " "), step.case),
    }
}
