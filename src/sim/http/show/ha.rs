//! The HA manager, as its files and its status call show it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::guest::sid;
use super::{digest, object};
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Affinity, GuestKind, HaNodeState, LrmMode};
use crate::model::time::{Time, age};
use crate::sim::World;
use crate::sim::http::answer::Answer;
use crate::sim::http::call::{Call, Said};
use crate::sim::world::Refusal;
use crate::sim::world::ha::{Service, ServiceState};

/// Older than that is "old timestamp - dead?".
const OLD_SECS: u64 = 30;

impl Call<'_> {
    /// `hastate` of a node's row; absent while HA manages nothing.
    pub fn ha_node_word(&self, node: &NodeName) -> Option<&'static str> {
        let ha = &self.world.ha;
        if ha.services.is_empty() { None } else { ha.nodes.get(node).map(|member| node_word(member.state)) }
    }

    /// `hastate` of a guest's row; absent where HA does not manage it.
    pub fn ha_guest_word(&self, guest: GuestId) -> Option<&'static str> {
        let ha = &self.world.ha;
        ha.services.get(&guest).filter(|_| ha.manages(guest)).map(|service| service.state.word())
    }

    pub fn ha_manager_status(&self) -> Said {
        let world = &*self.world;
        let mut status = json!({ "manager_status": manager_status(world) });
        status["quorum"] =
            json!({ "node": self.at, "quorate": u8::from(world.quorate(self.at)).to_string() });
        if !world.ha.services.is_empty() {
            let of_node = world.ha.nodes.iter().map(|(name, member)| {
                let mode = mode_word(member.mode);
                let state = if member.mode == LrmMode::Maintenance { "maintenance" } else { "active" };
                let results = results(world, name);
                let lrm = json!({
                    "mode": mode, "state": state, "timestamp": member.lrm_at.as_second(), "results": results,
                });
                (name.to_string(), lrm)
            });
            status["lrm_status"] = of_node.collect::<Map<String, Value>>().into();
        }
        Ok(Answer::data(status))
    }

    pub fn ha_current(&self) -> Said {
        let world = &*self.world;
        let quorate = world.quorate(self.at);
        let word = if quorate { "OK".to_owned() } else { format!("No quorum on node '{}'!", self.at) };
        let mut rows = vec![json!({
            "id": "quorum", "type": "quorum", "node": self.at, "status": word, "quorate": u8::from(quorate),
        })];
        let ha = &world.ha;
        if ha.services.is_empty() {
            rows.push(json!({
                "id": "fencing", "type": "fencing", "node": self.at, "armed-state": "standby",
                "status": "standby (CRM watchdog standby)",
            }));
            return Ok(Answer::data(rows));
        }
        if let Some(master) = &ha.master {
            let old = age(world.now, ha.crm_at).as_secs() > OLD_SECS;
            let word = if old { "old timestamp - dead?" } else { "active" };
            let end = if ha.armed { "" } else { " - disarmed, resource mode: freeze" };
            rows.push(json!({
                "id": "master", "type": "master", "node": master, "timestamp": ha.crm_at.as_second(),
                "status": format!("{master} ({word}, {}){end}", date(ha.crm_at)),
            }));
        }
        let mut fencing = json!({ "id": "fencing", "type": "fencing", "node": self.at });
        if ha.armed {
            fencing["armed-state"] = json!("armed");
            fencing["status"] = json!("armed (CRM watchdog active)");
        } else {
            fencing["armed-state"] = json!("disarmed");
            fencing["resource_mode"] = json!("freeze");
            fencing["status"] = json!("disarmed, resource mode: freeze (CRM watchdog released)");
        }
        rows.push(fencing);
        rows.extend(ha.nodes.iter().map(|(name, member)| {
            let old = age(world.now, member.lrm_at).as_secs() > OLD_SECS;
            let words = match member.mode {
                _ if old => "old timestamp - dead?, watchdog standby",
                LrmMode::Maintenance => "maintenance mode, watchdog active",
                _ if !ha.armed => "disarm mode, watchdog released",
                _ => "active, watchdog active",
            };
            json!({
                "id": format!("lrm:{name}"), "type": "lrm", "node": name, "timestamp": member.lrm_at.as_second(),
                "status": format!("{name} ({words}, {})", date(member.lrm_at)),
            })
        }));
        rows.extend(ha.services.iter().map(|(id, service)| {
            let sid = world.sid(*id);
            let (node, state) = (&service.node, service.state.word());
            let resource = ha.resources.get(id);
            json!({
                "id": format!("service:{sid}"), "type": "service", "sid": sid, "node": node,
                "state": state, "crm_state": state, "status": format!("{sid} ({node}, {state})"),
                "request_state": resource.map_or("started", |resource| &resource.requested),
                "failback": u8::from(resource.is_none_or(|resource| resource.failback)),
                "max_restart": 1, "max_relocate": 1,
            })
        }));
        Ok(Answer::data(rows))
    }

    pub fn ha_resources(&self) -> Said {
        let wanted = self.params.text("type");
        let ids = self.world.ha.resources.keys();
        let rows = ids
            .filter_map(|id| self.resource(*id))
            .filter(|row| wanted.as_deref().is_none_or(|wanted| row["type"] == wanted));
        Ok(Answer::data(rows.collect::<Vec<_>>()))
    }

    /// Named as `vm:101`, or as `101`.
    pub fn ha_resource(&self) -> Said {
        let named = self.params.text("sid").unwrap_or_default();
        let id = named.rsplit(':').next().and_then(|id| id.parse().ok()).map(GuestId);
        let found = id.and_then(|id| self.resource(id));
        let found = found.filter(|row| !named.contains(':') || row["sid"] == named.as_str());
        found.map(Answer::data).ok_or_else(|| Refusal::died(format!("no such resource '{named}'")))
    }

    fn resource(&self, id: GuestId) -> Option<Value> {
        let resource = self.world.ha.resources.get(&id)?;
        let sid = self.world.sid(id);
        let kind = sid.split(':').next().unwrap_or_default().to_owned();
        Some(object([
            ("sid", Some(json!(sid))),
            ("type", Some(json!(kind))),
            ("state", Some(json!(resource.requested))),
            ("max_restart", Some(json!(1))),
            ("max_relocate", Some(json!(1))),
            ("digest", Some(json!(digest("resources.cfg")))),
            // Written only where somebody set it.
            ("failback", (!resource.failback).then(|| json!(0))),
        ]))
    }

    pub fn ha_rules(&self) -> Said {
        let ha = &self.world.ha;
        let sids = |guests: &mut dyn Iterator<Item = &GuestId>| {
            guests.map(|guest| self.world.sid(*guest)).collect::<Vec<_>>().join(",")
        };
        let nodes = ha.node_rules.iter().map(|rule| {
            let nodes = rule.nodes.iter().map(|(node, priority)| match priority {
                0 => node.to_string(),
                _ => format!("{node}:{priority}"),
            });
            json!({
                "rule": rule.rule, "type": "node-affinity", "resources": sids(&mut rule.guests.iter()),
                "nodes": nodes.collect::<Vec<_>>().join(","), "strict": u8::from(rule.strict),
            })
        });
        let guests = ha.guest_rules.iter().map(|rule| {
            let affinity = if rule.kind == Affinity::Apart { "negative" } else { "positive" };
            json!({
                "rule": rule.rule, "type": "resource-affinity", "resources": sids(&mut rule.guests.iter()),
                "affinity": affinity,
            })
        });
        let wanted = (self.params.text("type"), self.params.text("resource"));
        let rows = nodes.chain(guests).enumerate().map(|(order, mut row)| {
            row["order"] = json!(order + 1);
            row["digest"] = json!(digest("rules.cfg"));
            // Told in the list, and the rule is silently not applied.
            if let Some(words) = row["rule"].as_str().and_then(|rule| ha.broken.get(rule)) {
                row["errors"] = json!({ "resources": [words] });
            }
            row
        });
        let rows = rows.filter(|row| {
            let resources = row["resources"].as_str().unwrap_or_default();
            wanted.0.as_deref().is_none_or(|kind| row["type"] == kind)
                && wanted.1.as_deref().is_none_or(|sid| resources.split(',').any(|one| one == sid))
        });
        Ok(Answer::data(rows.collect::<Vec<_>>()))
    }

    pub fn ha_groups(&self) -> Said {
        Err(Refusal::died("cannot index groups: ha groups have been migrated to rules"))
    }

    /// The datacenter's options, as far as they are about HA. The rest needs no rights.
    pub fn options(&self) -> Said {
        let mut options = json!({ "mac_prefix": "BC:24:11", "description": "", "allowed-tags": [] });
        if self.world.ha.auto_rebalance && self.token.may("/", &["Sys.Audit"]) {
            options["crs"] = json!({ "ha": "dynamic", "ha-auto-rebalance": "1" });
        }
        Ok(Answer::data(options))
    }
}

/// The file `ha/manager_status`, which the API passes on.
pub(in crate::sim::http) fn manager_status(world: &World) -> Value {
    let ha = &world.ha;
    if ha.services.is_empty() && !ha.nodes.values().any(|member| member.requested) {
        return json!({ "node_status": {} });
    }
    let nodes: BTreeMap<&NodeName, &str> =
        ha.nodes.iter().map(|(name, member)| (name, node_word(member.state))).collect();
    let mut status = json!({
        "timestamp": ha.crm_at.as_second(), "node_status": nodes,
        "service_status": ha.services.iter().map(|(id, s)| (world.sid(*id), service(world, *id, s))).collect::<Map<_, _>>(),
    });
    if let Some(master) = &ha.master {
        status["master_node"] = json!(master);
    }
    // A request that was taken back leaves an empty object behind.
    let taken_back = |name: &NodeName| {
        world.effects.iter().any(|effect| effect.kind == "maintenance_off" && effect.subject == name.0)
    };
    let requests: Map<String, Value> = ha
        .nodes
        .iter()
        .filter(|(name, member)| member.requested || taken_back(name))
        .map(|(name, member)| {
            (name.to_string(), if member.requested { json!({ "maintenance": 1 }) } else { json!({}) })
        })
        .collect();
    if !requests.is_empty() {
        status["node_request"] = requests.into();
    }
    if !ha.armed {
        status["disarm"] = json!({ "state": "disarmed", "mode": "freeze" });
    }
    status
}

fn service(world: &World, id: GuestId, service: &Service) -> Value {
    let runs = world.guests.get(&id).is_some_and(|guest| guest.aboard());
    let command = service.command.as_ref().map(|target| json!(["migrate", target]));
    object([
        ("uid", Some(json!(uid(world, id)))),
        ("node", Some(json!(service.node))),
        ("state", Some(json!(service.state.word()))),
        ("target", service.target.as_ref().map(|target| json!(target))),
        ("cmd", command),
        ("maintenance_node", service.maintenance_node.as_ref().map(|node| json!(node))),
        ("running", (runs && service.state == ServiceState::Started).then(|| json!(1))),
    ])
}

/// What the node's worker did last for each of its services.
fn results(world: &World, node: &NodeName) -> Value {
    let here = world.ha.services.iter().filter(|(_, service)| &service.node == node);
    let result = |(id, service): (&GuestId, &Service)| {
        let done = json!({ "sid": world.sid(*id), "state": service.state.word(), "exit_code": 0 });
        (uid(world, *id), done)
    };
    here.map(result).collect::<Map<String, Value>>().into()
}

/// Proxmox makes a new one for each order; nobody but its own worker reads them.
fn uid(world: &World, id: GuestId) -> String {
    let kind = world.guests.get(&id).map_or(GuestKind::Qemu, |guest| guest.kind);
    digest(&sid(id, kind)).chars().take(22).collect()
}

fn node_word(state: HaNodeState) -> &'static str {
    match state {
        HaNodeState::Online => "online",
        HaNodeState::Maintenance => "maintenance",
        HaNodeState::Unknown => "unknown",
        HaNodeState::Fence => "fence",
        HaNodeState::Gone => "gone",
    }
}

fn mode_word(mode: LrmMode) -> &'static str {
    match mode {
        LrmMode::Maintenance => "maintenance",
        LrmMode::Restart => "restart",
        LrmMode::Shutdown => "shutdown",
        LrmMode::Disarm => "disarm",
        LrmMode::Active | LrmMode::Other => "active",
    }
}

/// `Sat Nov 21 23:06:39 2026`.
fn date(at: Time) -> String {
    at.strftime("%a %b %e %H:%M:%S %Y").to_string()
}
