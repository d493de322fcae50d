//! From Proxmox's words to the model's: HA's rules, votes and privileges, and what single values mean. Pure. The cluster as a
//! member sees it is read in [`super::opinion`], what HA's manager does in [`super::manager`].

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{self, Flag, Int, Stat};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{
    Affinity, Datacenter, HaResource, HaRules, HaScheduler, NodeAffinity, Power, Privileges,
    ResourceAffinity, Votes,
};
use crate::model::time::Time;

/// What a list says of a guest's power. A paused guest occupies its node like a running one.
pub fn power(status: Option<&str>) -> Power {
    match status {
        Some("running" | "paused" | "prelaunch" | "postmigrate" | "inmigrate" | "suspended") => {
            Power::Running
        }
        Some("stopped") => Power::Stopped,
        _ => Power::Unknown,
    }
}

/// Resources, with the rules of Proxmox 9 and what is left of the groups of Proxmox 8.
pub fn ha_rules(
    resources: &[wire::HaResource],
    rules: &[wire::HaRule],
    groups: &[wire::HaGroup],
    options: &wire::ClusterOptions,
) -> HaRules {
    let datacenter = Datacenter {
        scheduler: if options.counts_guests() { HaScheduler::Basic } else { HaScheduler::Weighing },
        workers: options.workers(),
        bwlimit: options.migration_limit(),
    };
    let mut out = HaRules { auto_rebalance: options.auto_rebalance(), datacenter, ..HaRules::default() };
    for resource in resources {
        let Some(id) = sid_guest(&resource.sid) else { continue };
        let group = groups.iter().find(|group| resource.group.as_ref() == Some(&group.group));
        let failback =
            resource.failback.map_or(!group.is_some_and(|group| is(group.nofailback)), |flag| flag.0);
        let requested = resource.state.as_ref().map_or("started", |state| state.0.as_str());
        // `enabled` is the old word for `started`.
        let requested = if requested == "enabled" { "started" } else { requested }.to_owned();
        out.resources.insert(id, HaResource { requested, failback });
    }
    for group in groups {
        let members = resources.iter().filter(|resource| resource.group.as_ref() == Some(&group.group));
        out.nodes.push(NodeAffinity {
            rule: group.group.0.clone(),
            guests: members.filter_map(|resource| sid_guest(&resource.sid)).collect(),
            nodes: priorities(&group.nodes),
            strict: is(group.restricted),
        });
    }
    for rule in rules.iter().filter(|rule| !is(rule.disable)) {
        add_rule(&mut out, rule);
    }
    out
}

fn add_rule(out: &mut HaRules, rule: &wire::HaRule) {
    let name = rule.rule.0.clone();
    if !rule.errors.is_empty() {
        // Proxmox does not apply such a rule and tells nobody.
        let words: Vec<String> =
            rule.errors.values().flat_map(|t| t.all().iter().map(|text| text.0.clone())).collect();
        out.broken.insert(name, words.join("; "));
        return;
    }
    let guests = rule.resources.0.iter().filter_map(|sid| sid_guest(sid)).collect();
    if &*rule.kind == "node-affinity" {
        let nodes = priorities(&rule.nodes);
        out.nodes.push(NodeAffinity { rule: name, guests, nodes, strict: is(rule.strict) });
        return;
    }
    let kind =
        if rule.affinity.as_deref() == Some("positive") { Affinity::Together } else { Affinity::Apart };
    out.guests.push(ResourceAffinity { rule: name, guests, kind });
}

/// `pve1:2` → priority 2; no number is 0.
fn priorities(nodes: &wire::Items) -> BTreeMap<NodeName, i64> {
    let split = nodes.0.iter().map(|item| match item.split_once(':') {
        Some((name, priority)) => (name, priority.parse().unwrap_or(0)),
        None => (item.as_str(), 0),
    });
    split.map(|(name, priority)| (NodeName::from(name), priority)).collect()
}

/// A qdevice's votes are not told by the API. It has one in the usual set-up, and none while it is not connected.
pub fn votes(members: &[wire::ClusterMember], qdevice: &wire::Qdevice) -> Votes {
    let votes =
        |member: &wire::ClusterMember| member.quorum_votes.map_or(1, |n| u32::try_from(n.0).unwrap_or(0));
    let nodes = members.iter().map(|member| (NodeName(member.node.0.clone()), votes(member))).collect();
    Votes { nodes, qdevice: u32::from(qdevice.connected()) }
}

/// Proxmox leaves out a path on which nothing is granted. Then the path above seems to speak for it, even where it was
/// told not to propagate; so the branches that matter are always named.
pub fn privileges(permissions: &wire::Permissions) -> Privileges {
    let of = |held: &wire::Table<Flag>| held.keys().cloned().collect::<BTreeSet<String>>();
    let mut granted: BTreeMap<_, _> =
        permissions.0.iter().map(|(path, held)| (path.clone(), of(held))).collect();
    let at_root = granted.get("/").cloned().unwrap_or_default();
    for branch in ["/nodes", "/vms", "/storage"] {
        let inherited = at_root.iter().filter(|privilege| permissions.allows(branch, privilege)).cloned();
        granted.entry(branch.to_owned()).or_insert_with(|| inherited.collect());
    }
    Privileges { granted }
}

/// `vm:101`, `ct:200`.
pub fn sid_guest(sid: &str) -> Option<GuestId> {
    let (kind, id) = sid.split_once(':')?;
    if !matches!(kind, "vm" | "ct") {
        return None;
    }
    id.parse().ok().map(GuestId)
}

pub fn guest_id(vmid: Int) -> Option<GuestId> {
    u32::try_from(vmid.0).ok().map(GuestId)
}

/// Seconds since 1970; `None` for zero, which Proxmox writes for "never".
pub fn time(secs: Option<Int>) -> Option<Time> {
    Time::from_second(secs?.0).ok().filter(|time| time.as_second() > 0)
}

pub fn is(flag: Option<Flag>) -> bool {
    flag.is_some_and(|flag| flag.0)
}

pub fn whole(stat: Option<Stat>) -> u64 {
    stat.and_then(|stat| stat.0).map_or(0, |x| x.max(0.0) as u64)
}

/// Cores; a share of a core counts as a whole one.
pub fn small(stat: Option<Stat>) -> u32 {
    stat.and_then(|stat| stat.0).map_or(0, |x| x.max(0.0).ceil() as u32)
}

pub fn seconds(int: Option<Int>) -> u64 {
    int.map_or(0, |n| u64::try_from(n.0).unwrap_or(0))
}

/// Guests that running tasks of this list really move.
pub fn moving(rows: &[wire::TaskRow]) -> BTreeSet<GuestId> {
    let moves = |row: &&wire::TaskRow| {
        row.end().is_none()
            && row.kind.as_deref().is_some_and(|kind| matches!(kind, "qmigrate" | "vzmigrate"))
    };
    let ids = rows.iter().filter(moves).filter_map(|row| row.id.as_deref()?.parse().ok());
    ids.map(GuestId).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_propagate_is_not_granted_below() {
        let read = |json: &str| privileges(&serde_json::from_str(json).expect("permissions"));
        let kept = read(r#"{"/":{"Sys.Audit":0,"VM.Audit":1}}"#);
        assert!(kept.allows("Sys.Audit", "/") && !kept.allows("Sys.Audit", "/nodes"));
        assert!(kept.allows("VM.Audit", "/vms"));
        let one_guest = read(r#"{"/vms/100":{"VM.Audit":1}}"#);
        assert!(one_guest.allows("VM.Audit", "/vms/100") && !one_guest.allows("VM.Audit", "/vms"));
    }

    #[test]
    fn a_rule_with_errors_does_not_hold_and_is_told() {
        let rules: Vec<wire::HaRule> = serde_json::from_str(
            r#"[{"rule":"a","type":"resource-affinity","affinity":"negative","resources":"vm:1,vm:2",
                 "errors":{"resources":["shares two","or more"]}},
                {"rule":"b","type":"node-affinity","resources":"vm:1","nodes":"n1:2,n2","strict":1},
                {"rule":"c","type":"resource-affinity","affinity":"positive","resources":"vm:1,vm:2","disable":1}]"#,
        )
        .expect("rules");
        let options =
            serde_json::from_str(r#"{"crs":{"ha":"dynamic","ha-auto-rebalance":1}}"#).expect("options");
        let rules = ha_rules(&[], &rules, &[], &options);
        assert_eq!(rules.broken["a"], "shares two; or more");
        assert!(rules.guests.is_empty() && rules.nodes.len() == 1 && rules.auto_rebalance);
    }
}
