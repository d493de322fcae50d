//! `resolve` and `policy test --alert`: which node, class and part each alert of a file means, and why; or which two
//! answers conflict, or that none names a member. The same code answers that places alerts in service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::Say;
use super::exit::{Ended, Exit, Stop};
use super::input;
use crate::decide::{Cluster, Tried, explain_alert, place_alert};
use crate::model::ids::NodeName;
use crate::model::matcher::Labels;
use crate::model::observed::{CephView, NodeRow, Opinion};
use crate::model::rules::Rules;

/// An answer for people; whoever has more asks for JSON.
const TOLD_MAX: usize = 500;

/// What the answers are held against.
pub struct Against {
    pub members: Opinion,
    pub ceph: Option<CephView>,
    pub rules: Rules,
}

/// One label set of the file, and what it means.
#[derive(Debug, Serialize)]
struct Answer {
    labels: Labels,
    /// How often the file tells it.
    times: usize,
    tried: Vec<Tried>,
    node: Option<NodeName>,
    policy: Option<String>,
    action: Option<String>,
    class: Option<String>,
    component: Option<String>,
    /// Why it leads to no fault.
    why: Option<String>,
    /// A policy wants it and nobody can say whose it is.
    lost: bool,
}

/// Answers for every alert of the file.
pub fn run(file: &Path, against: &Against, say: Say) -> Ended {
    let alerts = alerts(&input::json(file, "it must be JSON")?);
    if alerts.is_empty() {
        let text =
            "holds no alert; it must be a webhook's body, a listing of Alertmanager's API, or a recording";
        return Err(Stop::new(Exit::Usage, format!("{} {text}", file.display())));
    }
    let answers: Vec<Answer> =
        alerts.into_iter().map(|(labels, times)| answer(labels, times, against)).collect();
    let lost = answers.iter().filter(|answer| answer.lost).count();
    say.print(&answers, || text(&answers, lost));
    Ok(if lost > 0 { Exit::Failed } else { Exit::Done })
}

fn answer(labels: Labels, times: usize, against: &Against) -> Answer {
    let cluster = Cluster { members: &against.members, ceph: against.ceph.as_ref() };
    let (tried, node) = explain_alert(&labels, &against.rules, cluster);
    let wanted = against.rules.policies.iter().any(|policy| policy.wants(&labels));
    let mut answer = Answer {
        times,
        tried,
        node: node.clone().ok(),
        policy: None,
        action: None,
        class: None,
        component: None,
        why: None,
        lost: wanted && node.is_err(),
        labels,
    };
    match place_alert(&answer.labels, cluster, &against.rules) {
        Ok((key, policy)) => {
            answer.policy = Some(policy.name.to_string());
            answer.action = Some(policy.respond.action.to_string());
            answer.class = Some(key.class);
            answer.component = Some(key.component);
        }
        Err(why) => answer.why = Some(why.to_string()),
    }
    answer
}

fn text(answers: &[Answer], lost: usize) -> String {
    let mut out = String::new();
    for answer in answers.iter().take(TOLD_MAX) {
        let name = answer.labels.get("alertname").unwrap_or("an alert without a name");
        out.push_str(&format!("{name}, told {}:\n", times(answer.times)));
        let labels: Vec<String> = answer
            .labels
            .iter()
            .filter(|(name, _)| *name != "alertname")
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        out.push_str(&format!("  labels  {}\n", labels.join(" ")));
        for tried in &answer.tried {
            out.push_str(&format!("  {:7} {}\n", tried.step, tried.text));
        }
        match (&answer.why, &answer.node) {
            (None, Some(node)) => out.push_str(&format!(
                "  means   {}{} of {node}; policy {}, action {}\n",
                answer.class.as_deref().unwrap_or_default(),
                answer
                    .component
                    .as_deref()
                    .filter(|c| !c.is_empty())
                    .map_or(String::new(), |c| format!(" {c}")),
                answer.policy.as_deref().unwrap_or_default(),
                answer.action.as_deref().unwrap_or_default()
            )),
            (Some(why), Some(node)) => out.push_str(&format!("  means   {node}, and leads nowhere: {why}\n")),
            (why, None) => {
                out.push_str(&format!("  means   nobody: {}\n", why.as_deref().unwrap_or_default()))
            }
        }
    }
    if answers.len() > TOLD_MAX {
        out.push_str(&format!("… and {} more; --json tells all.\n", answers.len() - TOLD_MAX));
    }
    out.push_str(&format!(
        "{} different alerts; {lost} that a policy wants and that name no single member.\n",
        answers.len()
    ));
    out
}

fn times(n: usize) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

/// Every label set in it, wherever it stands, and how often. A group's own labels are no alert's.
fn alerts(json: &Value) -> BTreeMap<Labels, usize> {
    let mut found = BTreeMap::new();
    gather(json, &mut found);
    found
}

fn gather(json: &Value, found: &mut BTreeMap<Labels, usize>) {
    match json {
        Value::Array(all) => all.iter().for_each(|one| gather(one, found)),
        Value::Object(fields) => {
            if let Some(labels) =
                fields.get("labels").filter(|_| !fields.contains_key("alerts")).and_then(labels)
            {
                *found.entry(labels).or_default() += 1;
                return;
            }
            fields.values().for_each(|one| gather(one, found));
        }
        _ => {}
    }
}

/// An empty label is an absent one.
fn labels(json: &Value) -> Option<Labels> {
    let told = json.as_object()?;
    let all: Option<Vec<(&str, &str)>> =
        told.iter().map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let all: Labels = all?.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    (!all.is_empty()).then_some(all)
}

/// Members by hand: `pve1,pve2=10.0.0.2`, or a file with one in each line.
///
/// # Errors
/// Nobody is named, or not as Proxmox would.
pub fn members(text: &str) -> Result<Opinion, Stop> {
    let list = std::fs::read_to_string(text).unwrap_or_else(|_| text.to_owned());
    let mut nodes = BTreeMap::new();
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    for word in lines.flat_map(|line| line.split([',', ' ', '\t'])).filter(|word| !word.is_empty()) {
        let (name, address) = match word.split_once('=') {
            Some((name, address)) => (name, Some(address.to_owned())),
            None => (word, None),
        };
        let row = NodeRow { online: true, address, capacity: None, storages: BTreeMap::new() };
        nodes.insert(super::node(name)?, row);
    }
    let first: BTreeSet<&NodeName> = nodes.keys().collect();
    let Some(member) = first.first().map(|name| (*name).clone()) else {
        return Err(Stop::new(Exit::Usage, "--members names nobody; write pve1,pve2 or a file's name"));
    };
    Ok(Opinion { member, quorate: true, nodes, guests: BTreeMap::new() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn against() -> Against {
        let mut mistakes = crate::config::Mistakes::default();
        Against {
            members: members("pve1,pve2=10.0.0.2 pve3").unwrap_or_else(|stop| panic!("{stop}")),
            ceph: None,
            rules: super::super::local::rules_of(crate::config::policy::load(None, &mut mistakes)),
        }
    }

    #[test]
    fn bodies_listings_and_recordings_are_read() {
        let alert = json!({"labels": {"node": "pve1", "x": ""}, "status": "firing"});
        let group = json!({"labels": {"node": "group"}, "alerts": [alert]});
        for (file, times) in [
            (json!({"status": "firing", "groupLabels": {"node": "pve1"}, "alerts": [alert]}), 1),
            (json!([alert, alert]), 2),
            (json!([group]), 1),
            (
                json!({"deliveries": [{"body": {"alerts": [alert]}}], "timeline": [{"event": {"GET": [alert]}}]}),
                2,
            ),
        ] {
            let found = alerts(&file);
            assert_eq!(found.into_iter().collect::<Vec<_>>(), [([("node", "pve1")].into(), times)]);
        }
    }

    #[test]
    fn each_alert_says_whom_it_means_and_why() {
        let of = |pairs: &[(&str, &str)]| {
            let labels: Labels = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            answer(labels, 1, &against())
        };
        let fan = [("alarm_class", "fan"), ("severity", "critical"), ("name", "FAN3")];
        let good = of(&[&fan[..], &[("node", "PVE2.example.org")]].concat());
        assert_eq!((good.node, good.policy.as_deref(), good.lost), (Some("pve2".into()), Some("fan"), false));
        assert_eq!(good.component.as_deref(), Some("FAN3"));
        let bmc = of(&[&fan[..], &[("instance", "10.20.30.40:623")]].concat());
        assert!(bmc.lost && bmc.tried[0].text.contains("no member's address"), "{bmc:?}");
        let two = of(&[&fan[..], &[("node", "pve1"), ("instance", "10.0.0.2:9100")]].concat());
        assert!(two.lost && two.why.as_deref().is_some_and(|why| why.contains("says pve2")), "{two:?}");
        let other = of(&[("alertname", "DiskAlmostFull"), ("node", "pve1")]);
        assert_eq!((other.node.clone(), other.lost), (Some("pve1".into()), false));
        assert!(text(&[bmc, two, other], 2).contains("2 that a policy wants"));
    }

    #[test]
    fn nobody_is_no_member() {
        assert!(members(" , ").is_err());
        assert!(members("pve1,no node!").is_err());
    }
}
