//! `planner` from outside: a file or a pipe in, a plan out, the same bytes each time, and words for what is wrong.

use std::fs;

use serde_json::Value;

use super::{pitlane, said};

fn instance(name: &str) -> String {
    format!("{}/tests/data/planner/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_file_in_a_file_out_and_the_same_through_a_pipe() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, _, err) = said(dir.path(), &["planner", &instance("p1-n3-u50"), "-o", "plan.json"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("nobody left behind"), "{err}");
    let plan = fs::read_to_string(dir.path().join("plan.json")).expect("the plan");
    let json: Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!((&json["format"], &json["instance"]), (&"pitlane-plan/1".into(), &"p1-n3-u50".into()));
    assert_eq!(json["moves"].as_array().map(Vec::len), Some(10));
    let text = fs::read(instance("p1-n3-u50")).expect("the instance");
    let output = pitlane(dir.path()).args(["planner", "-"]).write_stdin(text).output().expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), plan, "the same bytes");
}

#[test]
fn the_canary_goes_first_or_it_says_that_there_is_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, out, _) = said(dir.path(), &["planner", &instance("p1-n3-u50"), "--canary"]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(code, 0);
    assert_eq!(json["canary"], json["moves"][0]["guest"]);
    let text = fs::read_to_string(instance("p1-n3-u50")).expect("the instance");
    fs::write(dir.path().join("ha.json"), text.replace("\"ha\":false", "\"ha\":true")).expect("writable");
    let (code, _, err) = said(dir.path(), &["planner", "ha.json", "--canary"]);
    assert_eq!(code, 0);
    assert!(err.contains("There is no canary"), "{err}");
}

#[test]
fn a_bad_file_is_told_with_line_and_column() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = fs::read_to_string(instance("p1-n3-u50")).expect("the instance");
    let bad = text.replacen("\"node\":\"n02\"", "\"node\":\"n99\"", 1);
    fs::write(dir.path().join("bad.json"), bad).expect("writable");
    let (code, _, err) = said(dir.path(), &["planner", "bad.json"]);
    assert_eq!(code, 2);
    assert!(err.contains("bad.json:") && err.contains("there is no node \"n99\""), "{err}");
    let (code, _, err) = said(dir.path(), &["planner", "nowhere.json"]);
    assert_eq!(code, 2);
    assert!(err.contains("nowhere.json cannot be read"), "{err}");
}
