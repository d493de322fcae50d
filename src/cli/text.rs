//! Answers as people read them. Numbers with their units, times with their age, a no with its reason and remedy.

use comfy_table::{ContentArrangement, Table, presets};

use crate::model::plan::Plan;
use crate::model::recovery::Card;
use crate::model::shown::{CaseLine, CaseView, ClusterLine, InForce, Judged, OwedView, Status, Unreadable};
use crate::model::time::{Period, Time, age, to_the_second};
use crate::model::verdict::{Answer, CheckName, Verdict};

/// Wide enough for a reading and its remedy, narrow enough for half a screen.
const WIDTH: u16 = 120;
/// Lines of an unreadable body: enough to see who sent it.
const UNREAD_LINES_MAX: usize = 12;

pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    table
}

fn ago(now: Time, then: Time) -> String {
    format!("{} ago", Period::secs(age(now, then).as_secs()))
}

pub fn verdict(verdict: &Verdict) -> String {
    let mut rows = table(["check", "answer", "age", "reading", "what to do"]);
    for check in &verdict.checks {
        let mut reading = vec![check.reading.clone()];
        reading.extend(check.reasons.iter().map(ToString::to_string));
        // Of what could not be seen the reason is all there is to read.
        reading.dedup();
        rows.add_row([
            check.name.to_string(),
            check.answer.to_string(),
            check.age.map(|age| age.to_string()).unwrap_or_default(),
            reading.join("\n"),
            check.remedies().join("\n"),
        ]);
    }
    let blind = verdict.checks.iter().filter(|c| c.answer == Answer::Unknown).count();
    let said = match (verdict.clear(), blind) {
        (true, _) => format!("YES, {} may leave now.", verdict.node),
        (false, 0) => format!("NO, {} may not leave now.", verdict.node),
        (false, n) => format!(
            "NO, {} may not leave now: {n} of the checks cannot see, and unknown is no.",
            verdict.node
        ),
    };
    format!("{rows}\n{said}\n{}", cards(&verdict.cards))
}

/// What could be brought back of each guest, if it were lost now.
fn cards(all: &[Card]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut rows = table(["guest", "name", "last good backup", "replication", "restore"]);
    for card in all {
        rows.add_row([
            card.guest.to_string(),
            card.name.clone(),
            card.backup.to_string(),
            card.replication(),
            card.restore.to_string(),
        ]);
    }
    format!("\nIf the node or its storage were lost now:\n{rows}\n")
}

pub fn plan(judged: &Judged) -> String {
    if let Some(disks) = &judged.in_place {
        // What the case waits for comes first; what a drain would be follows, for whoever wants one.
        return format!(
            "The node's case serves disks in place.\n{}\nTo drain the whole node instead (pitlane drain {}):\n{}",
            plan(disks),
            judged.verdict.node,
            drain(judged)
        );
    }
    drain(judged)
}

fn drain(judged: &Judged) -> String {
    let Some(plan) = &judged.plan else {
        let why: Vec<String> = judged.verdict.reasons().iter().map(ToString::to_string).collect();
        return format!("There is no plan for {}: {}.\n", judged.verdict.node, why.join("; "));
    };
    let mut out = format!("Plan {} for {}:\n", plan.hash().short(), plan.node);
    out.push_str(&effects(plan));
    if !plan.in_place.is_empty() {
        plan.warnings.iter().for_each(|warning| out.push_str(&format!("Warning: {warning}.\n")));
        return out;
    }
    if let Some(forecast) = &plan.forecast {
        out.push_str(&format!("Expected: {forecast}.\n"));
    }
    out.push_str(&hour(&judged.verdict));
    let mut rows = table(["guest", "name", "goes to", "how"]);
    for step in &plan.moves {
        rows.add_row([step.guest.to_string(), step.name.clone(), step.to.to_string(), plan.words(step)]);
    }
    for (guest, nodes) in &plan.ha {
        let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        rows.add_row([guest.to_string(), String::new(), nodes.join(" or "), "HA moves it".into()]);
    }
    for (guest, why) in &plan.stops {
        rows.add_row([guest.to_string(), String::new(), "nowhere".into(), format!("is shut down: {why}")]);
    }
    for (guest, why) in &plan.stays {
        rows.add_row([guest.to_string(), String::new(), "nowhere".into(), format!("stays: {why}")]);
    }
    out.push_str(&format!("{rows}\n"));
    for warning in &plan.warnings {
        out.push_str(&format!("Warning: {warning}.\n"));
    }
    out
}

/// What the calendar says of when it may begin.
fn hour(verdict: &Verdict) -> String {
    let window = verdict.checks.iter().find(|check| check.name == CheckName::Window);
    let told = window.filter(|check| check.answer != Answer::NotApplicable).map(|check| {
        let why: Vec<String> = check.reasons.iter().map(ToString::to_string).collect();
        if why.is_empty() { check.reading.clone() } else { why.join("; ") }
    });
    told.map_or_else(String::new, |told| format!("When: {told}.\n"))
}

fn effects(plan: &Plan) -> String {
    let mut out = String::new();
    if plan.maintenance {
        out.push_str("- HA maintenance is asked for\n");
    }
    if let Some(host) = &plan.noout {
        out.push_str(&format!("- noout is held on {host}\n"));
    }
    for osd in &plan.in_place {
        out.push_str(&format!("- OSD {osd} is served in place; no guest moves\n"));
    }
    out
}

pub fn status(status: &Status) -> String {
    let now = status.now;
    let mut out = format!("pitlane {}, mode {}", status.version, status.mode);
    match status.turn_at {
        _ if status.led_by.is_some() && status.failing.is_some() => {
            out.push_str(", waits beside other instances; who looks after this cluster is not known");
        }
        _ if status.led_by.is_some() => {
            let holder = status.led_by.as_deref().unwrap_or_default();
            out.push_str(&format!(
                ". Instance {holder} looks after this cluster; what is asked here reaches it, and shown is what is stored"
            ));
        }
        Some(at) => out.push_str(&format!(", last turn {}", ago(now, at))),
        None => out.push_str(", no turn has ended yet"),
    }
    out.push_str(if status.turns { ".\n" } else { ". The loop does not turn: nothing here is fresh.\n" });
    if let Some(why) = &status.failing {
        match status.led_by {
            Some(_) => out.push_str(&format!("What is shown may be old: {why}.\n")),
            None => out.push_str(&format!("The last turn failed: {why}.\n")),
        }
    }
    if let Some(why) = &status.blind {
        out.push_str(&format!("BLIND, the cluster cannot be seen: {why}.\n"));
    }
    for (node, why) in &status.not_asked {
        out.push_str(&format!("{node} is not asked: {why}.\n"));
    }
    for line in status.token.iter().flat_map(|found| found.told()) {
        out.push_str(&format!("TOKEN: {line}.\n"));
    }
    if let Some(config) = &status.config {
        out.push_str(&in_force(config, now));
    }
    if let Some(pause) = &status.paused {
        let why = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
        out.push_str(&format!(
            "Paused by {} {}{why}. `pitlane resume` goes on.\n",
            pause.by,
            ago(now, pause.at)
        ));
    }
    if status.kill_file {
        out.push_str("The kill file is there: nothing new is begun until it is removed.\n");
    }
    out.push_str(&alerts(status));
    out.push_str(&cases(&status.cases));
    out
}

/// What fails and what leads nowhere; or that nothing does, as far as it can be known here.
pub fn all_alerts(status: &Status) -> String {
    match (alerts(status), &status.led_by) {
        (some, _) if !some.is_empty() => some,
        (_, Some(holder)) => format!("Not judged here: instance {holder} looks after the cluster; ask it.\n"),
        (_, None) => "Nothing fails, and every alert leads to a node.\n".to_owned(),
    }
}

/// What fails, what leads nowhere, and how much nobody could read.
fn alerts(status: &Status) -> String {
    let mut out = String::new();
    for fault in status.faults.iter().filter(|fault| fault.fires()) {
        out.push_str(&format!("Fails: {}.\n", fault.key));
    }
    for alert in &status.unplaced {
        out.push_str(&format!("Alert {} leads nowhere: {}.\n", alert.fingerprint, alert.why));
    }
    if status.unplaced_more > 0 {
        out.push_str(&format!("And {} alerts more lead nowhere.\n", status.unplaced_more));
    }
    match status.unreadable {
        Some(0) => {}
        Some(n) => {
            let what = if n == 1 { "1 delivery".to_owned() } else { format!("{n} deliveries") };
            out.push_str(&format!(
                "{what} of alerts could not be read; see `pitlane alerts --unreadable`.\n"
            ));
        }
        None => {
            out.push_str("Whether deliveries could not be read is not known: the store does not answer.\n")
        }
    }
    out
}

pub fn unreadable(all: &Unreadable) -> String {
    let mut out = format!("{} kept, the newest first.\n", all.count);
    for one in &all.newest {
        let (at, size) = (to_the_second(one.at), one.size);
        out.push_str(&format!("\n{at}  {size} bytes: {}\n", one.why));
        for line in one.beginning.lines().take(UNREAD_LINES_MAX) {
            // What strangers sent must not steer a terminal.
            let line: String = line.chars().filter(|c| !c.is_control()).take(usize::from(WIDTH)).collect();
            out.push_str(&format!("    {line}\n"));
        }
    }
    out
}

/// Which configuration counts, where that is not what lies on the disk.
pub fn in_force(config: &InForce, now: Time) -> String {
    let mut out = String::new();
    if let Some(refused) = &config.refused {
        out.push_str(&format!(
            "The configuration was read again {} and is wrong; the one of {} ago counts:\n",
            ago(now, refused.at),
            Period::secs(age(now, config.since).as_secs())
        ));
        for mistake in &refused.mistakes {
            out.push_str(&format!("  {mistake}\n"));
        }
    }
    for line in &config.tickets_lack {
        out.push_str(&format!("{line}\n"));
    }
    if !config.needs_restart.is_empty() {
        out.push_str(&format!("Counts only after a restart: {}.\n", config.needs_restart.join(", ")));
    }
    out
}

pub fn reloaded(config: &InForce, now: Time) -> String {
    let good = config.refused.is_none();
    format!(
        "{}{}",
        if good { "The new configuration counts from the next turn on.\n" } else { "" },
        in_force(config, now)
    )
}

pub fn clusters(lines: &[ClusterLine]) -> String {
    let mut rows = table(["cluster", "mode", "open cases", "state"]);
    for line in lines {
        rows.add_row([
            line.name.to_string(),
            line.mode.to_string(),
            line.cases.to_string(),
            line.text.clone(),
        ]);
    }
    format!("{rows}\n")
}

pub fn cases(lines: &[CaseLine]) -> String {
    if lines.is_empty() {
        return "No cases.\n".to_owned();
    }
    let mut rows = table(["case", "node", "phase", "since", "what"]);
    for line in lines {
        rows.add_row([
            line.id.to_string(),
            line.node.to_string(),
            line.phase.to_string(),
            format!("{} ago", line.age),
            what(line),
        ]);
    }
    format!("{rows}\n")
}

/// What it waits for or how it ended, and how long its drain takes or took.
fn what(line: &CaseLine) -> String {
    let mut lines = vec![line.text.clone()];
    lines.extend(line.took.map(|took| format!("drain {took}")));
    lines.extend(line.time_box.map(|time_box| format!("time box {time_box}")));
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

pub fn case(view: &CaseView) -> String {
    let (case, now) = (&view.case, view.now);
    let mut out = format!(
        "Case {} of {}: {}, {}\n",
        case.id,
        case.node,
        case.phase.name(),
        ago(now, case.phase.since())
    );
    if let Some(wait) = &case.wait {
        out.push_str(&format!("Waits: {wait}.\n       {}\n", wait.remedy_for(case.id)));
    }
    if let Some(took) = &case.took {
        out.push_str(&format!("Drain: {took}.\n"));
    }
    if let Some(time_box) = &view.time_box {
        let over = if time_box.over(now) {
            " OVERRUN."
        } else if time_box.late(now) {
            " The latest safe abort is past."
        } else {
            ""
        };
        out.push_str(&format!("Time box: {time_box}.{over}\n"));
    }
    match &view.safe_to_pull {
        Some(Ok(at)) => out.push_str(&format!("The disk may be taken out, judged {}.\n", ago(now, *at))),
        Some(Err(why)) => out.push_str(&format!("Do not take the disk out: {why}.\n")),
        None => {}
    }
    match &view.safe_to_power_off {
        Ok(at) => out.push_str(&format!("Safe to power off, judged {}.\n", ago(now, *at))),
        Err(why) if case.holds_the_node() => out.push_str(&format!("Do not power it off: {why}.\n")),
        Err(_) => {}
    }
    out.push('\n');
    for line in &view.story {
        out.push_str(&format!("{}  {}\n", clock(line.at), line.text));
    }
    out
}

/// `2026-01-01 12:00:00Z`: seconds are enough for people.
pub fn clock(at: Time) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

pub fn owed(all: &[OwedView]) -> String {
    if all.is_empty() {
        return "Nothing is owed: nothing is held, no guest is away.\n".to_owned();
    }
    let mut out = String::new();
    for view in all {
        out.push_str(&format!("# case {}, {}\n", view.case, view.node));
        for line in &view.shell {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
