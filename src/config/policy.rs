//! Policy files: which alerts, how sure, what then, and what counts as repaired. One file each.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mistakes::{Mistakes, Place, meant};
use super::reader::{Read, read};
use crate::model::ids::PolicyName;
use crate::model::matcher::Matcher;
use crate::model::notice::{ChannelName, Recipients};
use crate::model::rules::{
    Confirm, ContainerPolicy, Correlate, ImmovablePolicy, Mode, Policy, ProofCheck, Prove, Respond, Response,
    Scope, SensorQuery, WorkOrderText,
};
use crate::model::time::Period;

/// The policies that come with the program, used when no directory is configured. Name, text.
pub const SHIPPED: [(&str, &str); 2] = [
    ("policies/fan.yaml", include_str!("../../policies/fan.yaml")),
    ("policies/manual.yaml", include_str!("../../policies/manual.yaml")),
];

/// The tests of the shipped policies.
pub const SHIPPED_TESTS: [(&str, &str); 2] = [
    ("policies/fan.test.yaml", include_str!("../../policies/fan.test.yaml")),
    ("policies/manual.test.yaml", include_str!("../../policies/manual.test.yaml")),
];

/// The policy of drains that a person asks for: always there.
pub const MANUAL: &str = "manual";

/// What `{{ … }}` may name in texts and queries.
const PLACEHOLDERS: [&str; 2] = ["node", "component"];

/// One file in `policies/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane policy")]
pub struct PolicyFile {
    /// The policy's name; the file is named after it.
    pub policy: PolicyName,
    /// Matchers in Alertmanager's syntax, all must fit. An empty list: no alert ever fits.
    pub r#match: Vec<Matcher>,
    /// The alarm class of the faults it makes; the policy's name if not given.
    pub class: Option<PolicyName>,
    /// Labels that may name the broken part; the first that is there wins.
    #[serde(default = "component_labels")]
    pub component_labels: Vec<LabelName>,
    pub confirm: ConfirmFile,
    pub respond: RespondFile,
    pub work_order: WorkOrderFile,
    pub prove: ProveFile,
    /// Where the truth about the part can be read, whatever the alerts say.
    pub sensor: Option<SensorFile>,
    /// Who is told, where that differs from the configuration's `notify`.
    pub notify: Option<RecipientsFile>,
    /// So many nodes with this class at once are a room or a feed: one page, and none is drained for it.
    pub correlate: Option<CorrelateFile>,
}

/// Channels of the configuration's `notify.channels`. A list that is not given is the configuration's own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecipientsFile {
    pub page: Option<Vec<ChannelName>>,
    pub tell: Option<Vec<ChannelName>>,
}

/// When many faults of this class are one thing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrelateFile {
    /// So many nodes …
    #[schemars(range(min = 2))]
    pub nodes: u32,
    /// … each of them within so short a time of the one before.
    pub within: Period,
    /// `cluster`: one room. `domain`: one failure domain of `budgets.domains`, such as one feed.
    #[serde(default)]
    pub scope: Scope,
}

/// A label's name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("format" = "label-name"))]
pub struct LabelName(pub String);

fn component_labels() -> Vec<LabelName> {
    ["component", "name", "sensor"].map(|l| LabelName(l.to_owned())).to_vec()
}

/// When an alert is believed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmFile {
    /// Firing without a break for so long …
    pub steady_for: Period,
    /// … or that many episodes …
    #[schemars(range(min = 1))]
    pub or_episodes: u32,
    /// … within this window.
    pub within: Period,
    /// Quiet for so long, with a good sensor reading: a false alarm.
    pub clears_after: Period,
}

/// What a confirmed fault leads to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RespondFile {
    pub action: Response,
    #[serde(default)]
    pub mode: Mode,
    /// How long the node may be out before people are told.
    pub time_box: Period,
    /// Light the machine's locate LED while the technician has it. Needs its BMC in the configuration.
    #[serde(default)]
    pub locate: bool,
    /// Running containers restart to move: who decides?
    #[serde(default = "ask")]
    pub containers: ContainerPolicy,
    /// Running guests that cannot move at all: what becomes of them?
    #[serde(default = "block")]
    pub immovable: ImmovablePolicy,
}

fn ask() -> ContainerPolicy {
    ContainerPolicy::Ask
}

fn block() -> ImmovablePolicy {
    ImmovablePolicy::Block
}

/// What the technician reads. `{{ node }}` and `{{ component }}` are filled in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkOrderFile {
    pub title: String,
    #[serde(default)]
    pub checklist: Vec<String>,
}

/// What must be good, and for how long.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProveFile {
    /// Not shorter than `confirm.within`: what flaps must have had time to flap.
    pub soak: Period,
    #[schemars(length(min = 1))]
    pub checks: Vec<ProofCheck>,
}

/// A Prometheus expression, each sample 1 (good) or 0 (bad). `{{ node }}` and `{{ component }}` are filled in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SensorFile {
    pub promql: String,
}

/// Reads one policy file. `None`: something is wrong with it, and told.
pub fn parse(text: &str, mistakes: &mut Mistakes) -> Option<Policy> {
    let found = mistakes.list().len();
    let read = read::<PolicyFile>(text, mistakes)?;
    across(&read, mistakes);
    if mistakes.list().len() > found {
        return None;
    }
    read.value.map(Policy::from)
}

/// Rules across fields. Each looks only at parts that are right by themselves.
fn across(read: &Read<PolicyFile>, mistakes: &mut Mistakes) {
    let period = |pointer| read.get::<Period>(pointer);
    let place = |path: &str| read.root.at(path).place;
    if let (Some(soak), Some(within)) = (period("/prove/soak"), period("/confirm/within"))
        && soak < within
    {
        let text = format!(
            "prove.soak is {soak} and confirm.within {within}: a flapping part would count as repaired before it \
             could fail again; write {within} or more"
        );
        mistakes.add(place("prove.soak"), text);
    }
    if let (Some(steady), Some(within)) = (period("/confirm/steady_for"), period("/confirm/within"))
        && steady > within
    {
        let text = format!("confirm.steady_for is longer than confirm.within; write {within} or less");
        mistakes.add(place("confirm.steady_for"), text);
    }
    let json = &read.json;
    let checks = |name: &str| json["prove"]["checks"].as_array().is_some_and(|c| c.iter().any(|c| c == name));
    if checks("sensors_ok") && json.get("sensor").is_none() && read.root.at("sensor").place == read.root.place
    {
        let text = "prove.checks asks for sensors_ok and the policy names no sensor; add sensor: {promql: …} or \
                    take sensors_ok out";
        mistakes.add(place("prove.checks"), text);
    }
    for path in ["work_order.title", "sensor.promql"] {
        let pointer = format!("/{}", path.replace('.', "/"));
        if let Some(text) = json.pointer(&pointer).and_then(|v| v.as_str()) {
            placeholders(text, path, place(path), mistakes);
        }
    }
    for (i, line) in json["work_order"]["checklist"].as_array().into_iter().flatten().enumerate() {
        let path = format!("work_order.checklist.{i}");
        placeholders(line.as_str().unwrap_or_default(), &path, place(&path), mistakes);
    }
}

fn placeholders(text: &str, path: &str, place: Place, mistakes: &mut Mistakes) {
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let Some(end) = rest[start..].find("}}") else {
            mistakes.add(place, format!("{path}: {{{{ is never closed; write {{{{ node }}}}"));
            return;
        };
        let name = rest[start + 2..start + end].trim();
        if !PLACEHOLDERS.contains(&name) {
            let hint = meant(name, PLACEHOLDERS).unwrap_or("node");
            let text = format!(
                "{path}: {{{{ {name} }}}} is not known; write {{{{ {hint} }}}} (node and component are filled in)"
            );
            mistakes.add(place, text);
        }
        rest = &rest[start + end + 2..];
    }
}

impl From<PolicyFile> for Policy {
    fn from(file: PolicyFile) -> Self {
        let class = file.class.as_ref().unwrap_or(&file.policy).to_string();
        Self {
            name: file.policy,
            matchers: file.r#match,
            class,
            component_labels: file.component_labels.into_iter().map(|l| l.0).collect(),
            confirm: Confirm {
                steady_for: file.confirm.steady_for,
                or_episodes: file.confirm.or_episodes,
                within: file.confirm.within,
                clears_after: file.confirm.clears_after,
            },
            respond: Respond {
                action: file.respond.action,
                mode: file.respond.mode,
                time_box: file.respond.time_box,
                locate: file.respond.locate,
                containers: file.respond.containers,
                immovable: file.respond.immovable,
            },
            work_order: WorkOrderText { title: file.work_order.title, checklist: file.work_order.checklist },
            prove: Prove { soak: file.prove.soak, checks: file.prove.checks },
            sensor: file.sensor.map(|s| SensorQuery { promql: s.promql }),
            notify: file.notify.map(|own| Recipients { page: own.page, tell: own.tell }).unwrap_or_default(),
            correlate: file.correlate.map(|c| Correlate { nodes: c.nodes, within: c.within, scope: c.scope }),
        }
    }
}

/// All policies of a directory (or the shipped ones), in the order of their file names, which is the order in which
/// they are asked. The policy `manual` is added where the directory has none, for people may always ask.
pub fn load(dir: Option<&Path>, mistakes: &mut Mistakes) -> Vec<Policy> {
    let files = match dir {
        Some(dir) => match files_in(dir) {
            Ok(files) => files,
            Err(why) => {
                mistakes.turn_to(dir.display().to_string());
                mistakes.add(Place::START, why);
                return Vec::new();
            }
        },
        None => SHIPPED.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec(),
    };
    let mut policies: Vec<Policy> = Vec::new();
    for (name, text) in files {
        mistakes.turn_to(name);
        let Some(policy) = parse(&text, mistakes) else { continue };
        if policies.iter().any(|p| p.name == policy.name) {
            let text =
                format!("another file already holds the policy {}; give this one its own name", policy.name);
            mistakes.add(Place::START, text);
            continue;
        }
        policies.push(policy);
    }
    if !policies.iter().any(|p| p.name.as_str() == MANUAL) {
        policies.extend(parse(SHIPPED[1].1, mistakes));
    }
    policies
}

/// The policy files of a directory, tests left out, sorted by name.
fn files_in(dir: &Path) -> Result<Vec<(String, String)>, String> {
    let wrong = |what: &Path, why: std::io::Error| format!("cannot read {}: {why}", what.display());
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>())
        .map_err(|why| wrong(dir, why))?;
    paths.retain(|path| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.ends_with(".yaml") && !name.ends_with(".test.yaml") && !name.starts_with('.')
    });
    paths.sort();
    if paths.is_empty() {
        return Err(
            "no policy here; put files such as fan.yaml into it, or leave `policies` out to use the shipped \
                    ones"
                .into(),
        );
    }
    paths
        .into_iter()
        .map(|path| match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path.display().to_string(), text)),
            Err(why) => Err(wrong(&path, why)),
        })
        .collect()
}

#[cfg(test)]
mod tests;
