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
