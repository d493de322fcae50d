//! What we ask of Prometheus, held against Prometheus' own tool: the rules that operators copy, and the sensors of the
//! shipped policies.

use std::path::{Path, PathBuf};
use std::process::Command;

use pitlane::config::{Mistakes, policy};

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/prometheus")
}

/// Runs promtool; its whole output when it is not content.
fn promtool(dir: &Path, args: &[&str]) {
    let out = Command::new("promtool").args(args).current_dir(dir).output();
    let out = out.unwrap_or_else(|why| panic!("promtool (Debian's prometheus; tests/lab/install): {why}"));
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(out.status.success(), "promtool {args:?}: {said}");
}

#[test]
fn the_rules_that_operators_copy_are_right_and_do_what_they_say() {
    promtool(&documents(), &["check", "rules", "hardware.rules.yaml"]);
    promtool(&documents(), &["test", "rules", "hardware.test.yaml"]);
}

#[test]
fn prometheus_understands_every_shipped_sensor() {
    let mut mistakes = Mistakes::default();
    let policies = policy::load(None, &mut mistakes);
    let mut rules = "groups:\n  - name: sensors\n    rules:\n".to_owned();
    let mut count = 0;
    let sensors = policies.iter().filter_map(|policy| policy.sensor.as_ref());
    for promql in sensors.flat_map(|sensor| &sensor.promql) {
        let query = promql.replace("{{ node }}", "pve1").replace("{{ component }}", "FAN3");
        let quoted = serde_json::to_string(&query).expect("a text");
        rules.push_str(&format!("      - {{record: sensor_{count}, expr: {quoted}}}\n"));
        count += 1;
    }
    assert!(count >= 8, "only {count} sensors");
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("sensors.yaml"), rules).expect("writable");
    promtool(dir.path(), &["check", "rules", "sensors.yaml"]);
}

/// The card that fell off its bus: its series end, its bond has a leg less, and the kernel holds the bond to be whole.
#[test]
fn no_query_by_name_calls_a_card_good_that_is_gone() {
    let mut mistakes = Mistakes::default();
    let policies = policy::load(None, &mut mistakes);
    let nic = policies.iter().find(|policy| policy.name.as_str() == "nic").expect("it is shipped");
    let by_name =
        nic.sensor.iter().flat_map(|sensor| &sensor.promql).filter(|q| q.contains("{{ component }}"));
    let all: Vec<&String> = by_name.collect();
    assert!(all.len() >= 3, "{all:?}");
    // eno1 is well; eno2 is there for ten minutes and then gone, and its errors had stopped long before.
    let series = [
        (r#"node_network_carrier{node="pve1",device="eno1"}"#, "1x60"),
        (r#"node_network_carrier{node="pve1",device="eno2"}"#, "1x10 stale"),
        (r#"node_network_receive_errs_total{node="pve1",device="eno1"}"#, "7x60"),
        (r#"node_network_receive_errs_total{node="pve1",device="eno2"}"#, "9x10 stale"),
        (r#"node_bonding_slaves{node="pve1",master="bond0"}"#, "2x10 1x49"),
        (r#"node_bonding_active{node="pve1",master="bond0"}"#, "2x10 1x49"),
    ];
    let mut test =
        "rule_files: []\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n".to_owned();
    for (name, values) in series {
        test.push_str(&format!("      - {{series: '{name}', values: '{values}'}}\n"));
    }
    test.push_str("    promql_expr_test:\n");
    for (part, good) in [("eno1", Some(1)), ("eno2", None), ("bond0", Some(0))] {
        for query in &all {
            let of_bonds = query.contains("bonding");
            let sees = !query.contains("idrac") && of_bonds == (part == "bond0");
            let query = query.replace("{{ node }}", "pve1").replace("{{ component }}", part);
            let labels = match part {
                "bond0" => r#"{node="pve1",master="bond0"}"#.to_owned(),
                _ => format!(r#"{{node="pve1",device="{part}"}}"#),
            };
            let samples = match good.filter(|_| sees) {
                Some(value) => format!("[{{labels: '{labels}', value: {value}}}]"),
                None => "[]".to_owned(),
            };
            let quoted = serde_json::to_string(&query).expect("a text");
            test.push_str(&format!("      - {{expr: {quoted}, eval_time: 13m, exp_samples: {samples}}}\n"));
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("nic.yaml"), test).expect("writable");
    promtool(dir.path(), &["test", "rules", "nic.yaml"]);
}

/// A class without a rule would be an alarm that nobody raises.
#[test]
fn every_shipped_class_has_its_rule() {
    let text = std::fs::read_to_string(documents().join("hardware.rules.yaml")).expect("the rules are there");
    for (path, policy) in policy::SHIPPED {
        let classes: Vec<&str> = policy.match_indices("alarm_class").map(|(at, _)| &policy[at..]).collect();
        let raised = classes.iter().any(|rest| {
            let value = rest.split('"').nth(1).unwrap_or_default();
            value.split('|').any(|class| text.contains(&format!("alarm_class: {class},")))
        });
        assert!(raised || path.ends_with("manual.yaml"), "{path}: no rule raises its class");
    }
}
