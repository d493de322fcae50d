//! The HA stack: what is requested, what the manager does about it, who is alive.

use serde::{Deserialize, de::IgnoredAny};

use super::{Flag, Int, Items, Table, Text};

/// `/cluster/ha/status/manager_status`.
#[derive(Debug, Clone, Deserialize)]
pub struct ManagerStatus {
    pub manager_status: ManagerState,
    #[serde(default)]
    pub lrm_status: Table<LrmStatus>,
    pub quorum: Option<ManagerQuorum>,
}

/// What the contacted member knows about the quorum. The state itself is a file and may be stale without it.
#[derive(Debug, Clone, Deserialize)]
pub struct ManagerQuorum {
    pub node: Option<Text>,
    pub quorate: Option<Flag>,
}

/// The manager's own notes. All but empty when HA was never used.
#[derive(Debug, Clone, Deserialize)]
pub struct ManagerState {
    pub master_node: Option<Text>,
    /// Seconds since 1970; older than 30 s means a dead manager.
    pub timestamp: Option<Int>,
    /// `online`, `maintenance`, `unknown`, `fence`, `gone`.
    #[serde(default)]
    pub node_status: Table<Text>,
    /// Wishes of people; an empty object stays behind after maintenance is switched off.
    #[serde(default)]
    pub node_request: Table<NodeRequest>,
    /// By `vm:101`, `ct:200`.
    #[serde(default)]
    pub service_status: Table<ServiceStatus>,
    /// Something stands here while HA is disarmed: the mode.
    #[serde(default, deserialize_with = "present")]
    pub disarm: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct NodeRequest {
    pub maintenance: Option<Flag>,
}

/// What the manager is doing with one guest.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceStatus {
    pub node: Option<Text>,
    pub state: Option<Text>,
    /// Where it is being moved to.
    pub target: Option<Text>,
    pub running: Option<Flag>,
    /// A command that is queued but not yet begun. Its contents do not matter, its presence does.
    #[serde(default, deserialize_with = "present")]
    pub cmd: bool,
    /// Where it came from because of maintenance; may linger on a guest that is home again.
    pub maintenance_node: Option<Text>,
}

/// Anything but null.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|there| there.is_some())
}

/// A node's local manager.
#[derive(Debug, Clone, Deserialize)]
pub struct LrmStatus {
    /// `wait_for_agent_lock`, `active`, `maintenance`, `lost_agent_lock`.
    pub state: Option<Text>,
    /// `active`, `reboot`, `shutdown`, `restart`, `maintenance`, `disarm`.
    pub mode: Option<Text>,
    /// Seconds since 1970; older than 30 s means dead.
    pub timestamp: Option<Int>,
}

/// `/cluster/ha/status/current`.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct HaCurrent(pub Vec<HaCurrentRow>);

/// A row about the quorum, the master, fencing, a local manager or a guest.
#[derive(Debug, Clone, Deserialize)]
pub struct HaCurrentRow {
    /// `quorum`, `master`, `fencing`, `lrm`, `service`.
    #[serde(rename = "type")]
    pub kind: Text,
    pub id: Text,
    pub node: Option<Text>,
    pub status: Option<Text>,
    pub quorate: Option<Flag>,
    pub timestamp: Option<Int>,
    /// Fencing row, since 9.1.12: `armed`, `disarming`, `disarmed`, `standby`.
    #[serde(rename = "armed-state")]
    pub armed_state: Option<Text>,
    pub resource_mode: Option<Text>,
    pub sid: Option<Text>,
    pub state: Option<Text>,
    pub crm_state: Option<Text>,
    pub request_state: Option<Text>,
    pub failback: Option<Flag>,
}

impl HaCurrent {
    pub fn services(&self) -> impl Iterator<Item = &HaCurrentRow> {
        self.0.iter().filter(|row| &*row.kind == "service")
    }

    /// `armed`, `disarmed`, …; `None` on versions that cannot be disarmed, and when HA is not in use.
    pub fn armed_state(&self) -> Option<&str> {
        self.0.iter().find(|row| &*row.kind == "fencing")?.armed_state.as_deref()
    }
}

/// A row of `/cluster/ha/resources`: what people want of a guest.
#[derive(Debug, Clone, Deserialize)]
pub struct HaResource {
    pub sid: Text,
    /// `started`, `stopped`, `disabled`, `ignored`; missing means `started`.
    pub state: Option<Text>,
    /// 8.x only.
    pub group: Option<Text>,
    /// 9.x; missing means yes.
    pub failback: Option<Flag>,
    pub max_restart: Option<Int>,
    pub max_relocate: Option<Int>,
}

/// A row of `/cluster/ha/rules` (9.x).
#[derive(Debug, Clone, Deserialize)]
pub struct HaRule {
    pub rule: Text,
    /// `node-affinity` or `resource-affinity`.
    #[serde(rename = "type")]
    pub kind: Text,
    #[serde(default)]
    pub resources: Items,
    /// Node affinity: `pve1:2`, the number being the priority.
    #[serde(default)]
    pub nodes: Items,
    pub strict: Option<Flag>,
    /// Resource affinity: `positive` or `negative`.
    pub affinity: Option<Text>,
    pub disable: Option<Flag>,
    /// A rule with errors is silently not applied.
    #[serde(default)]
    pub errors: Table<Texts>,
}

/// Sentences: one, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Texts {
    Many(Vec<Text>),
    One(Text),
}

impl Texts {
    pub fn all(&self) -> &[Text] {
        match self {
            Texts::Many(texts) => texts,
            Texts::One(text) => std::slice::from_ref(text),
        }
    }
}

/// A row of `/cluster/ha/groups` (8.x; gone when 9.x has made rules of them).
#[derive(Debug, Clone, Deserialize)]
pub struct HaGroup {
    pub group: Text,
    #[serde(default)]
    pub nodes: Items,
    pub restricted: Option<Flag>,
    pub nofailback: Option<Flag>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queued_command_is_seen_whatever_it_holds() {
        for (json, queued) in
            [(r#"{"cmd":["migrate","pve2"]}"#, true), ("{}", false), (r#"{"cmd":null}"#, false)]
        {
            let service: ServiceStatus = serde_json::from_str(json).expect(json);
            assert_eq!(service.cmd, queued, "{json}");
        }
    }

    #[test]
    fn a_manager_status_without_its_heart_is_no_answer() {
        assert!(serde_json::from_str::<ManagerStatus>(r#"{"quorum":{}}"#).is_err());
    }
}
