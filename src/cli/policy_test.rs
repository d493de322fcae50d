//! `policy test`: recorded alerts in, the decision out, by the very code that decides in service.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::calendar_test;
use crate::config::calendar_test::Wall;
use crate::config::calendars;
use crate::config::mistakes::{Mistakes, Place};
use crate::config::policy::{self, SHIPPED_TESTS};
use crate::config::policy_test::{Expected, ExpectedWindow, PolicyCase, PolicyTests, parse};
use crate::decide::{Cluster, believed, decide, hour, place_alert};
use crate::model::alert::Episode;
use crate::model::calendar::{Calendar, Zone};
use crate::model::ids::Fingerprint;
use crate::model::note::Noted;
use crate::model::observed::{NodeRow, Observed, Opinion, PveView};
use crate::model::rules::{Policy, Response, Rules};
use crate::model::seen::Seen;
use crate::model::state::State;
use crate::model::time::{Time, after};
use crate::model::wait::Wait;

/// One test's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub file: String,
    pub test: String,
    /// What differs from what was expected; empty: nothing.
    pub wrong: Vec<String>,
}

/// What the policies made of the alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Made {
    node: Option<String>,
    class: Option<String>,
    component: Option<String>,
    policy: Option<String>,
    action: Option<String>,
    confirmed: bool,
    /// `None`: there is no case that could begin.
    window: Option<ExpectedWindow>,
    opens: Option<Time>,
    why: String,
}

/// Runs test files, each against the policies of its own directory. No paths: the shipped ones.
///
/// # Errors
/// Files that cannot be read, or that are wrong.
pub fn run(paths: &[PathBuf]) -> Result<Vec<Outcome>, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut outcomes = Vec::new();
    if paths.is_empty() {
        let (policies, calendars) = policy::load_all(None, &mut mistakes);
        for (name, text) in SHIPPED_TESTS {
            outcomes.extend(file(name, text, &policies, Whole::Yes, &mut mistakes));
        }
        for (name, text) in calendars::SHIPPED_TESTS {
            outcomes.extend(calendar_test::file(name, text, &calendars, true, &mut mistakes));
        }
    }
    for path in paths.iter().flat_map(|path| tests_in(path)) {
        let name = path.display().to_string();
        let before = mistakes.list().len();
        let (policies, calendars) = policy::load_all(Some(beside(&path)), &mut mistakes);
        let whole = if mistakes.list().len() > before { Whole::No } else { Whole::Yes };
        match std::fs::read_to_string(&path) {
            Ok(text) if name.ends_with(calendars::TESTS_ENDING) => outcomes.extend(calendar_test::file(
                &name,
                &text,
                &calendars,
                whole == Whole::Yes,
                &mut mistakes,
            )),
            Ok(text) => outcomes.extend(file(&name, &text, &policies, whole, &mut mistakes)),
            Err(why) => {
                mistakes.turn_to(name);
                mistakes.add(
                    Place::START,
                    format!("cannot be read: {why}; name a NAME.test.yaml or a directory of them"),
                );
            }
        }
    }
    mistakes.or(Some(outcomes))
}

/// The path itself, or every test file in it.
fn tests_in(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|file| file.to_string_lossy().ends_with(".test.yaml"))
        .collect();
    files.sort();
    files
}

/// Were all policies of the directory right? One that is wrong has been told, and is not missing.
#[derive(Clone, Copy, PartialEq)]
enum Whole {
    Yes,
    No,
}

fn file(name: &str, text: &str, policies: &[Policy], whole: Whole, mistakes: &mut Mistakes) -> Vec<Outcome> {
    mistakes.turn_to(name);
    let Some(tests) = parse(text, mistakes) else { return Vec::new() };
    if !policies.iter().any(|p| p.name == tests.policy) {
        if whole == Whole::Yes {
            mistakes.add(Place::START, format!("there is no policy {} beside this test", tests.policy));
        }
        return Vec::new();
    }
    let rules = rules(&tests, policies);
    let outcome = |test: &PolicyCase| Outcome {
        file: name.to_owned(),
        test: test.name.clone(),
        wrong: wrong(test, &tests, &rules).unwrap_or_else(|why| vec![why]),
    };
    tests.tests.iter().map(outcome).collect()
}

/// The mode only matters after belief.
fn rules(tests: &PolicyTests, policies: &[Policy]) -> Rules {
    Rules { mapping: tests.mapping.clone().into(), ..super::local::rules_of(policies.to_vec()) }
}

/// # Errors
/// A time of the test that no clock shows, or that is shown twice.
fn wrong(test: &PolicyCase, tests: &PolicyTests, rules: &Rules) -> Result<Vec<String>, String> {
    let calendar = rules.policy(&tests.policy).and_then(|policy| policy.respond.when.as_ref());
    let begins = begins(test.begins, calendar)?;
    let made = made(test, begins, tests, rules);
    let mut wrong = differences(&test.expect, &made, tests);
    match calendar {
        Some(calendar) => {
            calendar_test::differs("opens", test.expect.opens, made.opens, calendar, &mut wrong)?;
        }
        None if test.expect.opens.is_some() => {
            wrong.push(format!("opens: the policy {} names no calendar, so it never waits", tests.policy));
        }
        None => {}
    }
    Ok(wrong)
}

/// The instant from which a test counts: the new year of 2026, unless it says another.
fn begins(told: Option<Wall>, calendar: Option<&Calendar>) -> Result<Time, String> {
    let usual = after(Time::UNIX_EPOCH, std::time::Duration::from_secs(1_767_225_600));
    let Some(told) = told else { return Ok(usual) };
    let zone = match calendar {
        Some(calendar) => calendar.zone.clone(),
        None => "UTC".parse::<Zone>()?,
    };
    told.in_zone(&zone)
}

fn made(test: &PolicyCase, begins: Time, tests: &PolicyTests, rules: &Rules) -> Made {
    let now = after(begins, test.at.0);
    let members = members(tests);
    let mut observed = Observed::nothing(now);
    observed.episodes = episodes(test, begins, now).into();
    observed.pve = PveView {
        first: Seen::known(members.clone(), now),
        second: Seen::known(members.clone(), now),
        ..PveView::default()
    };
    let decision = decide(&State::default(), &observed, rules);
    let mut made = Made::default();
    for alert in &test.alerts {
        match place_alert(&alert.labels.clone().into(), Cluster { members: &members, ceph: None }, rules) {
            Ok((key, policy)) => {
                made.node = Some(key.node.to_string());
                made.class = Some(key.class);
                made.component = Some(key.component);
                made.policy = Some(policy.name.to_string());
                made.action = Some(policy.respond.action.to_string());
                match policy.respond.action {
                    Response::Record => made.why = "recorded, never drained".to_owned(),
                    Response::Page => made.why = "a person is called, never drained".to_owned(),
                    Response::InPlace | Response::Drain => {}
                }
            }
            Err(why) if made.node.is_none() => made.why = why.to_string(),
            Err(_) => {}
        }
    }
    // What opens no case is believed all the same, before it is told.
    for fault in &decision.show.faults {
        let policy = rules.policy(&fault.policy).filter(|policy| !policy.respond.action.opens_a_case());
        made.confirmed |= policy.is_some_and(|policy| believed(fault, policy, now).is_some());
    }
    for case in &decision.cases {
        made.window = Some(match hour(case, &State::default(), &observed, rules) {
            Ok(()) => ExpectedWindow::Open,
            Err(wait) => {
                if let Wait::OutsideWindow(shut) = wait {
                    made.opens = shut.opens.map(|moment| moment.at);
                }
                ExpectedWindow::Closed
            }
        });
        made.why = case.wait.as_ref().map(ToString::to_string).unwrap_or_default();
    }
    for note in &decision.notes {
        if matches!(note.what, Noted::Steady { .. } | Noted::Flapping { .. }) {
            made.confirmed = true;
            made.why = note.what.to_string();
        }
    }
    made
}

/// Every member, online and quorate.
fn members(tests: &PolicyTests) -> Opinion {
    let row = |_| NodeRow {
        online: true,
        address: None,
        capacity: None,
        storages: std::collections::BTreeMap::new(),
    };
    Opinion {
        member: tests.members[0].clone(),
        quorate: true,
        nodes: tests.members.iter().map(|node| (node.clone(), row(node))).collect(),
        guests: std::collections::BTreeMap::new(),
    }
}

/// What would be stored at that moment: what has begun, with its end if that has come.
fn episodes(test: &PolicyCase, begins: Time, now: Time) -> Vec<Episode> {
    let start = |at: std::time::Duration| after(begins, at);
    let mut all = Vec::new();
    for (i, alert) in test.alerts.iter().enumerate() {
        for firing in alert.fires.iter().filter(|firing| start(firing.from.0) <= now) {
            all.push(Episode {
                fingerprint: Fingerprint(format!("{i:016x}")),
                labels: alert.labels.clone().into(),
                starts_at: start(firing.from.0),
                received_at: start(firing.from.0),
                ends_at: firing.to.map(|to| start(to.0)).filter(|end| *end <= now),
            });
        }
    }
    all
}

fn differences(expect: &Expected, made: &Made, tests: &PolicyTests) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, expected: Option<&str>, found: Option<&str>| {
        if expected.is_some() && expected != found {
            let (expected, found) = (expected.unwrap_or("none"), found.unwrap_or("none"));
            wrong.push(format!("{what}: expected {expected:?}, found {found:?} ({})", made.why));
        }
    };
    let yes = |flag: bool| if flag { "true" } else { "false" };
    same("node", expect.node.as_ref().map(|n| n.as_str()), made.node.as_deref());
    same("class", expect.class.as_deref(), made.class.as_deref());
    same("action", expect.action.map(|action| action.to_string()).as_deref(), made.action.as_deref());
    same("component", expect.component.as_deref(), made.component.as_deref());
    same("confirmed", expect.confirmed.map(yes), Some(yes(made.confirmed)));
    same("unplaced", expect.unplaced.map(yes), Some(yes(made.node.is_none())));
    let said = |window: ExpectedWindow| match window {
        ExpectedWindow::Open => "open",
        ExpectedWindow::Closed => "closed",
    };
    same("window", expect.window.map(said), made.window.map(said));
    if expect.unplaced != Some(true) {
        same("policy", Some(tests.policy.as_str()), made.policy.as_deref());
    }
    if let Some(why) = &expect.why
        && !made.why.contains(why.as_str())
    {
        wrong.push(format!("why: expected {why:?} in {:?}", made.why));
    }
    wrong
}

/// The folder of a file; a bare name lies in the current one.
fn beside(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policies_pass_their_tests() {
        let outcomes = run(&[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert!(outcomes.len() >= 9, "{outcomes:?}");
        for outcome in outcomes {
            assert!(outcome.wrong.is_empty(), "{outcome:#?}");
        }
    }

    #[test]
    fn a_wrong_expectation_fails_and_says_what_was_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let test = "policy: fan\nmembers: [pve1]\ntests:\n  - name: wrong\n    alerts:\n      - labels: {alarm_class: fan, \
                    severity: warning, node: pve1, name: FAN1}\n        fires: [{from: 0s}]\n    at: 10m\n    expect: \
                    {node: pve2, component: FAN2, confirmed: false, unplaced: true, why: tea}\n";
        std::fs::write(dir.path().join("fan.yaml"), policy::shipped("fan").expect("it is shipped"))
            .expect("writable");
        std::fs::write(dir.path().join("fan.test.yaml"), test).expect("writable");
        let outcomes = run(&[dir.path().to_owned()]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let wrong = &outcomes[0].wrong;
        assert_eq!(wrong.len(), 5, "{wrong:#?}");
        assert!(wrong[0].starts_with("node: expected \"pve2\", found \"pve1\""), "{wrong:#?}");
    }

    #[test]
    fn a_test_without_its_policy_is_a_mistake() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(
            dir.path().join("a.yaml"),
            policy::shipped("fan").expect("it is shipped").replace("policy: fan", "policy: a"),
        )
        .expect("writable");
        std::fs::write(dir.path().join("fan.test.yaml"), "policy: fan\nmembers: [pve1]\ntests:\n  - {name: a, alerts: [{labels: {a: b}, fires: [{from: 0s}]}], at: 1m, expect: {unplaced: true}}\n").expect("writable");
        let said = run(&[dir.path().join("fan.test.yaml")]).expect_err("no policy fan").to_string();
        assert!(said.contains("there is no policy fan beside this test"), "{said}");
    }

    #[test]
    fn a_policy_that_is_wrong_is_not_said_to_be_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        let wrong = policy::shipped("fan").expect("it is shipped").replace("steady_for", "staedy_for");
        std::fs::write(dir.path().join("fan.yaml"), wrong).expect("writable");
        let test = "policy: fan\nmembers: [pve1]\ntests:\n  - {name: a, alerts: [{labels: {a: b}, fires: [{from: \
                    0s}]}], at: 1m, expect: {unplaced: true}}\n";
        std::fs::write(dir.path().join("fan.test.yaml"), test).expect("writable");
        let said = run(&[dir.path().join("fan.test.yaml")]).expect_err("the policy is wrong").to_string();
        assert!(said.contains("did you mean steady_for") && !said.contains("beside this test"), "{said}");
    }

    /// A directory with a fan that waits for staffed hours, one that is critical and does not, and this test of the first.
    fn with_hours(test: &str) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect("writable");
        let fan = policy::shipped("fan").expect("it is shipped");
        let warns = fan.replace("=~\"warning|critical\"", "=\"warning\"");
        write("fan.yaml", warns.replace("mode: approve", "mode: approve, when: staffed-hours"));
        let critical = fan.replace("=~\"warning|critical\"", "=\"critical\"");
        write("fan-critical.yaml", critical.replace("policy: fan", "policy: fan-critical\nclass: fan"));
        let (name, text) = calendars::SHIPPED[1];
        write(name.rsplit('/').next().expect("a name"), text.to_owned());
        write("fan.test.yaml", format!("policy: fan\nmembers: [pve1]\ntests:\n{test}"));
        let outcomes = run(&[dir.path().to_owned()]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        outcomes.into_iter().flat_map(|outcome| outcome.wrong).collect()
    }

    const WARNS: &str = "labels: {alarm_class: fan, severity: warning, node: pve1, name: FAN1}";

    #[test]
    fn a_test_says_when_it_begins_and_whether_work_may() {
        let at = |begins: &str, expect: &str| {
            with_hours(&format!(
                "  - {{name: a, begins: {begins}, alerts: [{{{WARNS}, fires: [{{from: 0s}}]}}], at: 10m, expect: {{{expect}}}}}\n"
            ))
        };
        assert_eq!(
            at("2026-01-12 06:49", "window: closed, opens: 2026-01-12 07:00, confirmed: true"),
            [""; 0]
        );
        assert_eq!(at("2026-01-12 06:50", "window: open"), [""; 0]);
        // Berlin's clocks, not the machine's: the Monday after they were put forward.
        assert_eq!(at("2026-03-27 14:55", "window: closed, opens: 2026-03-30 07:00+02:00"), [""; 0]);
        let wrong = at("2026-01-12 06:49", "window: open, opens: 2026-01-12 08:00");
        assert!(wrong[0].starts_with("window: expected \"open\", found \"closed\""), "{wrong:#?}");
        assert_eq!(
            wrong[1],
            "opens: expected Mon 2026-01-12 08:00 Europe/Berlin, found Mon 2026-01-12 07:00 Europe/Berlin"
        );
        let twice = at("2026-10-25 02:30", "window: closed");
        assert!(twice[0].contains("show 2026-10-25 02:30 twice"), "{twice:#?}");
    }

    #[test]
    fn what_is_critical_waits_for_no_hour() {
        let critical = WARNS.replace("warning", "critical");
        let test = |at: &str, window: &str| -> Vec<String> {
            let wrong = with_hours(&format!(
                "  - {{name: a, begins: 2026-01-12 02:00, alerts: [{{{WARNS}, fires: [{{from: 0s}}]}}, {{{critical}, \
                 fires: [{{from: 20m}}]}}], at: {at}, expect: {{window: {window}, component: FAN1}}}}\n"
            ));
            // The alert that was told last is the other policy's, by intent.
            wrong.into_iter().filter(|line| !line.starts_with("policy: ")).collect()
        };
        // Told a minute ago it is not believed yet.
        assert_eq!(test("21m", "closed"), [""; 0]);
        assert_eq!(test("30m", "open"), [""; 0]);
    }
}
