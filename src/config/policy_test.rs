//! Test files of policies: alerts as labels and times, and the decision that is expected of them.
//!
//! Only the format is read here; the answers come from the same pure code that decides in service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar_test::Wall;
use super::file::MappingFile;
use super::mistakes::Mistakes;
use super::reader::read;
use crate::model::ids::{NodeName, PolicyName};
use crate::model::rules::Response;
use crate::model::time::Period;

/// `NAME.test.yaml` beside `NAME.yaml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane policy test")]
pub struct PolicyTests {
    /// The policy that is tested. All policies of its directory are in force, as in service.
    pub policy: PolicyName,
    /// The cluster's members.
    #[schemars(length(min = 1))]
    pub members: Vec<NodeName>,
    #[serde(default)]
    pub mapping: MappingFile,
    #[schemars(length(min = 1))]
    pub tests: Vec<PolicyCase>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyCase {
    pub name: String,
    #[schemars(length(min = 1))]
    pub alerts: Vec<ToldAlert>,
    /// What the clocks show when the test begins, in the zone of the policy's calendar, or UTC if it has none;
    /// `2026-01-01 00:00` UTC if not given.
    pub begins: Option<Wall>,
    /// When the decision is asked for, counted as `from` is.
    pub at: Period,
    pub expect: Expected,
}

/// One label set and when it fired.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToldAlert {
    pub labels: BTreeMap<String, String>,
    #[schemars(length(min = 1))]
    pub fires: Vec<Firing>,
}

/// From when to when, counted from the test's beginning; without `to` it fires still.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firing {
    pub from: Period,
    pub to: Option<Period>,
}

/// What is given is compared, what is left out is not.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub node: Option<NodeName>,
    pub class: Option<String>,
    pub component: Option<String>,
    /// What the policy answers with: drain, in_place, page or record.
    pub action: Option<Response>,
    /// Believed, so that the case goes on.
    pub confirmed: Option<bool>,
    /// No fault comes of any of the alerts.
    pub unplaced: Option<bool>,
    /// Whether the policy's calendar lets work begin at that time; a policy without one always does.
    pub window: Option<ExpectedWindow>,
    /// When it would begin, where the window is closed.
    pub opens: Option<Wall>,
    /// Words that the reason contains.
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExpectedWindow {
    Open,
    Closed,
}

/// Reads one test file.
pub fn parse(text: &str, mistakes: &mut Mistakes) -> Option<PolicyTests> {
    let before = mistakes.list().len();
    let read = read::<PolicyTests>(text, mistakes)?;
    for (i, case) in read.json["tests"].as_array().into_iter().flatten().enumerate() {
        let expect = case["expect"].as_object();
        if expect.is_some_and(|fields| fields.is_empty()) {
            let place = read.root.at(&format!("tests.{i}.expect")).place;
            mistakes
                .add(place, "this test expects nothing and cannot fail; write for example {confirmed: true}");
        }
        for (j, alert) in case["alerts"].as_array().into_iter().flatten().enumerate() {
            for (k, firing) in alert["fires"].as_array().into_iter().flatten().enumerate() {
                let period = |key: &str| firing[key].as_str().and_then(|t| t.parse::<Period>().ok());
                if let (Some(from), Some(to)) = (period("from"), period("to"))
                    && to <= from
                {
                    let path = format!("tests.{i}.alerts.{j}.fires.{k}.to");
                    mistakes.add(
                        read.root.at(&path).place,
                        format!("it ends before it begins; write more than {from}"),
                    );
                }
            }
        }
    }
    if mistakes.list().len() > before { None } else { read.value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::SHIPPED_TESTS;

    #[test]
    fn the_shipped_tests_can_be_read() {
        let mut mistakes = Mistakes::default();
        for (name, text) in SHIPPED_TESTS {
            mistakes.turn_to(name);
            let tests = parse(text, &mut mistakes);
            assert!(tests.is_some(), "{mistakes}");
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        let text = "policy: fan\nmembers: [pve1]\ntests:\n  - name: x\n    alerts: [{labels: {a: b}, fires: \
                    [{from: 5s, to: 4s}]}]\n    at: 10\n    expect: {}\n";
        let mut mistakes = Mistakes::of("x.test.yaml");
        let value = parse(text, &mut mistakes);
        let said = mistakes.or(value).expect_err("must be refused").to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("x.test.yaml:5:54: it ends before it begins"), "{said}");
        assert!(lines[1].starts_with("x.test.yaml:6:9: tests.0.at: \"10\" is not a duration"), "{said}");
        assert!(lines[2].starts_with("x.test.yaml:7:13: this test expects nothing"), "{said}");
    }
}
