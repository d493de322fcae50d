//! What a policy file may get wrong, each with its place.

use super::*;

const GOOD: &str = r#"policy: fan
match: ['alarm_class="fan"']
confirm: {steady_for: 10m, or_episodes: 3, within: 1h, clears_after: 30m}
respond: {action: drain, mode: approve, time_box: 4h}
work_order:
  title: "{{ node }}: {{ component }}"
prove:
  soak: 2h
  checks: [alerts_clear]
"#;

fn mistakes_in(text: &str) -> String {
    let mut mistakes = Mistakes::of("fan.yaml");
    let policy = parse(text, &mut mistakes);
    mistakes
        .or(policy)
        .map(|p| panic!("{} should not be right", p.name))
        .expect_err("panics first")
        .to_string()
}

#[test]
fn a_good_file_becomes_a_policy_with_its_defaults() {
    let mut mistakes = Mistakes::of("fan.yaml");
    let policy = parse(GOOD, &mut mistakes);
    let policy = mistakes.or(policy).expect("a good file");
    assert_eq!(policy.class, "fan");
    assert_eq!(policy.respond.containers, ContainerPolicy::Ask);
    assert_eq!(policy.component_labels, ["component", "name", "sensor"]);
    assert_eq!(policy.confirm.within, Period::hours(1));
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    let mut wrong = Vec::new();
    for (from, to, expected) in [
        (
            "steady_for: 10m",
            "staedy_for: 10m",
            "3:11: confirm.staedy_for is not known; did you mean steady_for?",
        ),
        (
            "within: 1h",
            "within: 90",
            "3:52: confirm.within: \"90\" is not a duration; write whole numbers with units",
        ),
        (
            "or_episodes: 3",
            "or_episodes: three",
            "3:41: confirm.or_episodes needs a whole number, found \"three\"",
        ),
        ("or_episodes: 3", "or_episodes: 0", "3:41: confirm.or_episodes: 0 is out of range; write 1 or more"),
        ("action: drain", "action: drian", "4:19: respond.action cannot be \"drian\"; did you mean drain?"),
        (
            "mode: approve",
            "mode: yolo",
            "respond.mode cannot be \"yolo\"; write one of: observe, approve, act",
        ),
        (
            "'alarm_class=\"fan\"'",
            "'alarm_class'",
            "2:9: match.0: \"alarm_class\" is not a matcher; write label=",
        ),
        ("match: [", "match: x #", "2:8: match needs a list, such as [one, two], found a single value"),
        ("[alerts_clear]", "[]", "9:11: prove.checks needs at least 1 entry"),
        (
            "[alerts_clear]",
            "[alerts_claer]",
            "9:12: prove.checks.0 cannot be \"alerts_claer\"; did you mean alerts_clear?",
        ),
        ("soak: 2h", "soak: 30m", "8:9: prove.soak is 30m and confirm.within 1h"),
        (
            "steady_for: 10m",
            "steady_for: 2h",
            "confirm.steady_for is longer than confirm.within; write 1h or less",
        ),
        (
            "{{ component }}",
            "{{ compnent }}",
            "6:10: work_order.title: {{ compnent }} is not known; write {{ component }}",
        ),
        ("{{ component }}", "{{component}}", "6:10: work_order.title: write {{ component }} with one space"),
        ("time_box: 4h", "time_box: 0s", "respond.time_box is 0s: every case would overrun"),
        (
            "time_box: 4h",
            "time_box: 4h, move_within: 0s",
            "respond.move_within is 0s: every migration would be cancelled",
        ),
        ("time_box: 4h", "time_box: 4h, on_overrun: back-out", "did you mean back_out?"),
        (
            "prove:",
            "memory: {returns: 3, within: 2y}\nprove:",
            "memory.within is longer than what is remembered",
        ),
        ("action: drain", "action: in-place", "did you mean in_place?"),
        ("match: [", "or_match: [[]]\nmatch: [", "2:12: or_match.0 is empty and would fit every alert"),
        (
            "prove:\n  soak: 2h\n  checks: [alerts_clear]\n",
            "",
            "respond.action is a work on the machine, and prove is not given",
        ),
        (
            "prove:",
            "sensor: {promql: 'fan{name={{ component }}} == bool 0'}\nprove:",
            "sensor.promql: {{ component }} must be the quoted value of a label",
        ),
        (
            "prove:",
            "sensor: {promql: 'fan{name=\"{{ component }}\"} == 0'}\nprove:",
            "sensor.promql: == drops the samples for which it is false",
        ),
        ("{{ component }}", "{{ component", "6:10: work_order.title: {{ is never closed"),
        (
            "policy: fan",
            "policy: fan\npolicy: fan2",
            "2:1: policy is written twice, first in line 1; keep one",
        ),
        ("policy: fan", "policy: a b", "1:9: policy: \"a b\" is not a policy's name"),
        ("policy: fan\n", "", "1:1: policy is missing; write for example fan"),
        ("  soak: 2h\n", "", "prove.soak is missing; write for example 10m"),
        ("time_box: 4h", "time_box:", "respond.time_box needs a text, found nothing; write for example 10m"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let said = mistakes_in(&GOOD.replacen(from, to, 1));
        if !said.contains(expected) {
            wrong.push(format!("{to:?}\n  said      {said}\n  expected  {expected}"));
        }
        assert!(said.starts_with("fan.yaml:"), "{said}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_come_at_once() {
    let text = GOOD
        .replace("steady_for", "staedy_for")
        .replace("action: drain", "action: flee")
        .replace("soak: 2h", "soak: 5m")
        .replace("{{ node }}", "{{ nodes }}");
    let said = mistakes_in(&text);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    let places: Vec<usize> = lines.iter().filter_map(|l| l.split(':').nth(1)?.parse().ok()).collect();
    assert_eq!(places, [3, 3, 4, 6, 8]);
}

#[test]
fn the_shipped_policies_are_good_and_manual_is_always_there() {
    let mut mistakes = Mistakes::default();
    let policies = load(None, &mut mistakes);
    let names: Vec<&str> = policies.iter().map(|p| p.name.as_str()).collect();
    let shipped: Vec<String> =
        SHIPPED.iter().map(|(path, _)| path.replace("policies/", "").replace(".yaml", "")).collect();
    assert_eq!(names, shipped, "{mistakes}");
    assert!(SHIPPED.is_sorted(), "they are asked in the order of their files");

    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("mine.yaml"), GOOD.replace("policy: fan", "policy: mine"))
        .expect("writable");
    let policies = load(Some(dir.path()), &mut mistakes);
    let names: Vec<&str> = policies.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["mine", "manual"], "{mistakes}");
    assert!(mistakes.is_empty(), "{mistakes}");
}

#[test]
fn two_files_with_one_policy_and_an_empty_directory_are_mistakes() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut mistakes = Mistakes::default();
    load(Some(dir.path()), &mut mistakes);
    assert!(mistakes.to_string().contains("no policy here"), "{mistakes}");
    for name in ["a.yaml", "b.yaml"] {
        std::fs::write(dir.path().join(name), GOOD).expect("writable");
    }
    let mut mistakes = Mistakes::default();
    load(Some(dir.path()), &mut mistakes);
    assert!(
        mistakes.to_string().contains("b.yaml:1:1: another file already holds the policy fan"),
        "{mistakes}"
    );
}

#[test]
fn the_manual_policy_wants_no_alert() {
    let mut mistakes = Mistakes::default();
    let policies = load(None, &mut mistakes);
    let manual = policies.iter().find(|p| p.name.as_str() == MANUAL).expect("always there");
    let labels = [("alarm_class", "fan")].into();
    assert!(!manual.wants(&labels));
}

#[test]
fn a_page_needs_no_work_order_and_no_proof() {
    let mut mistakes = Mistakes::of("room.yaml");
    let policy = parse(shipped("room").expect("it is shipped"), &mut mistakes);
    let policy = mistakes.or(policy).expect("a good file");
    assert_eq!(policy.respond.action, Response::Page);
}

#[test]
fn either_list_of_matchers_takes_an_alert() {
    let mut mistakes = Mistakes::default();
    let policy = parse(shipped("psu").expect("it is shipped"), &mut mistakes).expect("a good file");
    let wants = |pairs: &[(&str, &str)]| {
        policy.wants(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    };
    assert!(wants(&[("alarm_class", "psu"), ("severity", "critical")]));
    assert!(wants(&[("alarm_class", "ipmi_sensor"), ("type", "Power Supply"), ("severity", "critical")]));
    assert!(!wants(&[("alarm_class", "ipmi_sensor"), ("type", "Memory"), ("severity", "critical")]));
    assert!(!wants(&[("alarm_class", "ipmi_sensor"), ("severity", "critical")]));
}

/// A class that nobody knows has no usual witnesses; one that has them needs no sensor of its own.
#[test]
fn sensors_ok_needs_a_witness() {
    let asks = GOOD.replacen("[alerts_clear]", "[sensors_ok]", 1);
    let said = mistakes_in(&asks.replacen("policy: fan", "policy: fan\nclass: tape", 1));
    let expected = "10:11: prove.checks asks for sensors_ok and the policy names no sensor";
    assert!(said.contains(expected), "{said}");
    let mut mistakes = Mistakes::of("fan.yaml");
    let policy = parse(&asks, &mut mistakes).expect("a fan has its usual witnesses");
    assert!(policy.sensor.is_some_and(|sensor| sensor.bmc && sensor.promql.len() > 1));
}

#[test]
fn a_sensor_has_one_query_or_a_list_of_them() {
    let sensors = |text: &str| {
        let mut mistakes = Mistakes::of("fan.yaml");
        let policy = parse(&format!("{GOOD}sensor: {text}\n"), &mut mistakes);
        mistakes.or(policy).map(|policy| policy.sensor.expect("a sensor").promql)
    };
    assert_eq!(sensors("{promql: up}").expect("right"), ["up"]);
    assert_eq!(sensors("{promql: [up, 'x == bool 0']}").expect("right"), ["up", "x == bool 0"]);
    let wrong = sensors("{promql: [up, 'x == 0']}").expect_err("a comparison drops what is false");
    assert!(wrong.to_string().contains("sensor.promql.1: == drops"), "{wrong}");
    let wrong = sensors("{promql: {a: b}}").expect_err("a group is no query");
    assert!(wrong.to_string().contains("sensor.promql needs a text"), "{wrong}");
}

/// A question about all fans of a node is answered "good" by those that are left, when the broken one is not listed any
/// more. Disks alone are asked so: a new disk has another name, and it is asked elsewhere whether the old one is gone.
#[test]
fn every_shipped_sensor_asks_for_the_part_by_its_name() {
    let mut mistakes = Mistakes::default();
    let policies = load(None, &mut mistakes);
    mistakes.or(Some(())).expect("the shipped policies are right");
    let of = |policy: &Policy| policy.sensor.as_ref().map(|sensor| sensor.promql.clone()).unwrap_or_default();
    let by_name = |queries: &[String]| queries.iter().any(|query| query.contains("\"{{ component }}\""));
    let unnamed: Vec<&str> =
        policies.iter().filter(|p| !of(p).is_empty() && !by_name(&of(p))).map(|p| p.name.as_str()).collect();
    assert_eq!(unnamed, ["disk"]);
    for class in ["fan", "temperature", "psu", "ecc", "disk", "storage-controller", "raid", "nic"] {
        let usual = witnesses::of(class, None).expect("a class with usual witnesses").promql;
        assert!(by_name(&usual), "{class}: {usual:?}");
    }
}
