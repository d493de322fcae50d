//! Policy files: which alerts, how sure, what then, and what counts as repaired. One file each.

mod checks;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendars::{self, Calendars};
use super::mistakes::{Mistakes, Place};
use super::reader::read;
use super::witnesses;
use crate::model::calendar::Calendar;
use crate::model::ids::{CalendarName, PolicyName};
use crate::model::matcher::Matcher;
use crate::model::notice::{ChannelName, Recipients};
use crate::model::rules::{
    Confirm, ContainerPolicy, Correlate, ImmovablePolicy, Memory, Mode, OnOverrun, Policy, ProofCheck, Prove,
    Respond, Response, Scope, WorkOrderText,
};
use crate::model::time::Period;

/// The policies that come with the program, used when no directory is configured. Name, text.
pub const SHIPPED: [(&str, &str); 12] = [
    ("policies/bmc.yaml", include_str!("../../policies/bmc.yaml")),
    ("policies/disk.yaml", include_str!("../../policies/disk.yaml")),
    ("policies/ecc-correctable.yaml", include_str!("../../policies/ecc-correctable.yaml")),
    ("policies/ecc.yaml", include_str!("../../policies/ecc.yaml")),
    ("policies/fan.yaml", include_str!("../../policies/fan.yaml")),
    ("policies/manual.yaml", include_str!("../../policies/manual.yaml")),
    ("policies/nic.yaml", include_str!("../../policies/nic.yaml")),
    ("policies/node-down.yaml", include_str!("../../policies/node-down.yaml")),
    ("policies/psu.yaml", include_str!("../../policies/psu.yaml")),
    ("policies/room.yaml", include_str!("../../policies/room.yaml")),
    ("policies/storage-controller.yaml", include_str!("../../policies/storage-controller.yaml")),
    ("policies/temperature.yaml", include_str!("../../policies/temperature.yaml")),
];

/// The tests of the shipped policies.
pub const SHIPPED_TESTS: [(&str, &str); 12] = [
    ("policies/bmc.test.yaml", include_str!("../../policies/bmc.test.yaml")),
    ("policies/disk.test.yaml", include_str!("../../policies/disk.test.yaml")),
    ("policies/ecc-correctable.test.yaml", include_str!("../../policies/ecc-correctable.test.yaml")),
    ("policies/ecc.test.yaml", include_str!("../../policies/ecc.test.yaml")),
    ("policies/fan.test.yaml", include_str!("../../policies/fan.test.yaml")),
    ("policies/manual.test.yaml", include_str!("../../policies/manual.test.yaml")),
    ("policies/nic.test.yaml", include_str!("../../policies/nic.test.yaml")),
    ("policies/node-down.test.yaml", include_str!("../../policies/node-down.test.yaml")),
    ("policies/psu.test.yaml", include_str!("../../policies/psu.test.yaml")),
    ("policies/room.test.yaml", include_str!("../../policies/room.test.yaml")),
    ("policies/storage-controller.test.yaml", include_str!("../../policies/storage-controller.test.yaml")),
    ("policies/temperature.test.yaml", include_str!("../../policies/temperature.test.yaml")),
];

/// The policy of drains that a person asks for: always there.
pub const MANUAL: &str = "manual";

/// One file in `policies/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "pitlane policy")]
pub struct PolicyFile {
    /// The policy's name; the file is named after it.
    pub policy: PolicyName,
    /// Matchers in Alertmanager's syntax, all must fit. An empty list: no alert ever fits.
    pub r#match: Vec<Matcher>,
    /// Further lists of matchers: an alert is taken if all of `match` fit, or all of one of these.
    #[serde(default)]
    pub or_match: Vec<Vec<Matcher>>,
    /// The alarm class of the faults it makes; the policy's name if not given.
    pub class: Option<PolicyName>,
    /// Labels that may name the broken part; the first that is there wins.
    #[serde(default = "component_labels")]
    pub component_labels: Vec<LabelName>,
    pub confirm: ConfirmFile,
    pub respond: RespondFile,
    /// Needed where the answer is a drain or a service in place.
    pub work_order: Option<WorkOrderFile>,
    /// Needed where the answer is a drain or a service in place.
    pub prove: Option<ProveFile>,
    /// Where the truth about the part can be read, whatever the alerts say.
    pub sensor: Option<SensorFile>,
    /// When a part that comes back is to be replaced instead of served: `{returns: 3, within: 90d}` if not given.
    pub memory: Option<MemoryFile>,
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

/// A part that fails so many times within the window, and was served in between.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryFile {
    /// This time included.
    #[schemars(range(min = 2))]
    pub returns: u32,
    /// Not more than 400d.
    pub within: Period,
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
    /// The calendar in whose windows work may begin; at any hour if not given. What has begun goes on outside of them, and
    /// nothing that gives back waits for them.
    pub when: Option<CalendarName>,
    /// How long the node may be out before people are told; `4h` if not given.
    pub time_box: Option<Period>,
    /// What happens at the latest moment from which everything is home within the time box: `tell` (people are told), or
    /// `back_out` (before the hand-over the drain is called off; after it a person is called and chooses).
    #[serde(default)]
    pub on_overrun: OnOverrun,
    /// Light the machine's locate LED while the technician has it. Needs its BMC in the configuration.
    #[serde(default)]
    pub locate: bool,
    /// Two people have to agree to each plan: neither who asked for the drain nor who approved first can be the second. What
    /// changes the plan forgets both. Not with `mode: act`, which asks nobody.
    #[serde(default)]
    pub second_person: bool,
    /// The smallest running guest that HA does not manage moves first and alone, before HA maintenance is asked for: if the
    /// way between the nodes is broken, it shows on the one that matters least.
    #[serde(default)]
    pub canary: bool,
    /// A migration that takes longer is cancelled and tried again. Without it, the limit follows from the guest's size.
    pub move_within: Option<Period>,
    /// Running containers restart to move: who decides?
    #[serde(default = "ask")]
    pub containers: ContainerPolicy,
    /// Running guests that cannot move at all: what becomes of them?
    #[serde(default = "block")]
    pub immovable: ImmovablePolicy,
}

const TIME_BOX: Period = Period::hours(4);

fn ask() -> ContainerPolicy {
    ContainerPolicy::Ask
}

fn block() -> ImmovablePolicy {
    ImmovablePolicy::Block
}

/// What the technician reads. `{{ node }}`, `{{ component }}` and `{{ returns }}` (how often the part has failed within
/// `memory.within`, this time included) are filled in.
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

/// The witnesses of the part. Good: one of them sees it, and none says bad.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SensorFile {
    /// Prometheus expressions, one or a list; each sample 1 (good) or 0 (bad). `{{ node }}` and `{{ component }}` are
    /// filled in. Not given: the usual ones of the policy's class.
    pub promql: Option<Queries>,
    /// Ask the machine's own controller, too, where one is configured for the node.
    #[serde(default = "yes")]
    pub bmc: bool,
}

/// One expression, or several.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Queries {
    One(String),
    Several(Vec<String>),
}

fn yes() -> bool {
    true
}

/// Reads one policy file that lies alone, without any calendar. `None`: something is wrong with it, and told.
pub fn parse(text: &str, mistakes: &mut Mistakes) -> Option<Policy> {
    parse_beside(text, &Calendars::default(), mistakes)
}

/// Reads one policy file that may name these calendars. `None`: something is wrong with it, and told.
pub fn parse_beside(text: &str, calendars: &Calendars, mistakes: &mut Mistakes) -> Option<Policy> {
    let found = mistakes.list().len();
    let read = read::<PolicyFile>(text, mistakes)?;
    checks::across(&read, mistakes);
    let when = read.json["respond"]["when"].as_str().map(CalendarName::from);
    let place = read.root.at("respond.when").place;
    let calendar = when.as_ref().and_then(|when| calendars.named(when, place, mistakes));
    // A calendar that is wrong was told in its own file; this policy cannot be had without it.
    if mistakes.list().len() > found || when.is_some() && calendar.is_none() {
        return None;
    }
    let mut policy = read.value.map(Policy::from)?;
    policy.respond.when = calendar;
    Some(policy)
}

impl From<PolicyFile> for Policy {
    fn from(file: PolicyFile) -> Self {
        let class = file.class.as_ref().unwrap_or(&file.policy).to_string();
        let sensor = witnesses::of(&class, file.sensor);
        Self {
            name: file.policy,
            matchers: file.r#match,
            or_matchers: file.or_match,
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
                // Looked up where the calendars are known.
                when: None,
                time_box: file.respond.time_box.unwrap_or(TIME_BOX),
                on_overrun: file.respond.on_overrun,
                locate: file.respond.locate,
                second_person: file.respond.second_person,
                canary: file.respond.canary,
                move_within: file.respond.move_within,
                containers: file.respond.containers,
                immovable: file.respond.immovable,
            },
            work_order: match file.work_order {
                Some(order) => WorkOrderText { title: order.title, checklist: order.checklist },
                None => {
                    WorkOrderText { title: "{{ node }}: {{ component }}".to_owned(), checklist: Vec::new() }
                }
            },
            prove: match file.prove {
                Some(prove) => Prove { soak: prove.soak, checks: prove.checks },
                // A policy that opens no case proves nothing; nobody reads this.
                None => Prove { soak: file.confirm.within, checks: vec![ProofCheck::AlertsClear] },
            },
            sensor,
            memory: file
                .memory
                .map_or_else(Memory::default, |m| Memory { returns: m.returns, within: m.within }),
            notify: file.notify.map(|own| Recipients { page: own.page, tell: own.tell }).unwrap_or_default(),
            correlate: file.correlate.map(|c| Correlate { nodes: c.nodes, within: c.within, scope: c.scope }),
        }
    }
}

/// All policies of a directory (or the shipped ones), in the order of their file names, which is the order in which
/// they are asked. The policy `manual` is added where the directory has none, for people may always ask.
pub fn load(dir: Option<&Path>, mistakes: &mut Mistakes) -> Vec<Policy> {
    load_all(dir, mistakes).0
}

/// The same, with the calendars that lie beside them.
pub fn load_all(dir: Option<&Path>, mistakes: &mut Mistakes) -> (Vec<Policy>, Vec<Calendar>) {
    let files = match dir {
        Some(dir) => match files_in(dir) {
            Ok(files) => files,
            Err(why) => {
                mistakes.turn_to(dir.display().to_string());
                mistakes.add(Place::START, why);
                return Default::default();
            }
        },
        None => [&SHIPPED[..], &calendars::SHIPPED[..]]
            .concat()
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect(),
    };
    let (dated, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(name, _)| name.ends_with(calendars::ENDING));
    let calendars = Calendars::read(&dated, mistakes);
    let mut policies: Vec<Policy> = Vec::new();
    for (name, text) in files {
        mistakes.turn_to(name);
        let Some(policy) = parse_beside(&text, &calendars, mistakes) else { continue };
        if policies.iter().any(|p| p.name == policy.name) {
            let text =
                format!("another file already holds the policy {}; give this one its own name", policy.name);
            mistakes.add(Place::START, text);
            continue;
        }
        policies.push(policy);
    }
    if !policies.iter().any(|p| p.name.as_str() == MANUAL) {
        policies.extend(shipped(MANUAL).and_then(|text| parse(text, mistakes)));
    }
    (policies, calendars.into_list())
}

/// The text of a policy that comes with the program.
pub fn shipped(name: &str) -> Option<&'static str> {
    let file = format!("policies/{name}.yaml");
    SHIPPED.iter().find(|(path, _)| *path == file).map(|(_, text)| *text)
}

/// The files of a directory with policies and calendars, tests left out, sorted by name.
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
    if !paths.iter().any(|path| !path.to_string_lossy().ends_with(calendars::ENDING)) {
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
