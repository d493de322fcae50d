//! From the view to the planner's instance: nodes, storages, guests, rules, and what is under way.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::planner::instance::{
    Guest as GuestIn, GuestAt, Instance, Kind, NPlusOne as Spare, Node, NodeAt, Params, Role, Rule, RuleKind,
    Storage, StorageAt, Way,
};
use crate::decide::planner::{Effort, Foreign, Wishes};
use crate::decide::processors;
use crate::decide::view::View;
use crate::model::ids::{GuestId, NodeName};
use crate::model::observed::{Affinity, Guest, GuestKind, HaRules, Power};
use crate::model::plan::How;
use crate::model::rates::{STREAM_DEFAULT, WIRE_DEFAULT};
use crate::model::rules::NPlusOne;
use crate::model::wait::Wait;

use super::room::{cost, disks};
use super::{Ask, Closed, Going, Live, Room, Rooms, kind, room, rooms, under_way};

const MIB: u64 = 1 << 20;
/// Mbit/s in one byte per second.
const MBIT: f64 = 8e-6;
/// HA's workers per node where the datacenter does not say.
const WORKERS_DEFAULT: u32 = 4;
/// From the command to the first migration: HA's worker and its manager look every 5 and 10 s, in turn.
const HA_BEGINS_SECS: f64 = 25.0;
/// HA's worker looks so often whether a migration has ended; only then does the next one begin.
const HA_LOOKS_SECS: f64 = 5.0;
/// From the end of HA's migration until we see that HA knows of it: half of its worker's 5 s, its manager's 10 s, our 10 s.
const HA_AGREES_SECS: f64 = 12.5;
/// From a migration's end until the next one is asked for: it is looked for once a second, and then there is a turn.
const TURN_SECS: f64 = 1.0;

impl Live {
    pub(super) fn of(ask: &Ask, view: &View) -> Result<Self, Wait> {
        let cluster = view.cluster()?;
        let nodes: Vec<NodeName> = cluster.nodes.keys().cloned().collect();
        let moving = under_way(view);
        let guests: Vec<GuestId> = cluster
            .guests
            .iter()
            .filter(|(id, guest)| {
                !guest.template && (Some(&guest.node) != ask.leaving.as_ref() || ask.going.contains_key(id))
            })
            .filter(|(_, guest)| cluster.nodes.contains_key(&guest.node))
            .map(|(id, _)| *id)
            .collect();
        let mut live = Self {
            placing: nobody(ask, view),
            timing: nobody(ask, view),
            wishes: Wishes::default(),
            nodes,
            guests,
            closed: Closed::new(),
            refused: BTreeMap::new(),
        };
        let (open, closed) = open(ask, view)?;
        live.closed = closed;
        for name in live.nodes.clone() {
            live.node(&name, ask, open.get(&name), view)?;
        }
        for id in live.guests.clone() {
            live.guest(id, &cluster.guests[&id], ask, moving.contains_key(&id), view)?;
        }
        live.rules(view.ha_rules()?);
        live.times(view);
        live.wish(ask, &moving, view);
        Ok(live)
    }

    fn node_at(&self, name: &NodeName) -> Option<NodeAt> {
        self.nodes.binary_search(name).ok()
    }

    fn guest_at(&self, id: GuestId) -> Option<GuestAt> {
        self.guests.binary_search(&id).ok()
    }

    fn nodes_at<'a>(&self, names: impl Iterator<Item = &'a NodeName>) -> Vec<NodeAt> {
        let mut all: Vec<NodeAt> = names.filter_map(|name| self.node_at(name)).collect();
        all.sort_unstable();
        all
    }

    fn node(&mut self, name: &NodeName, ask: &Ask, room: Option<&Room>, view: &View) -> Result<(), Wait> {
        let row = &view.cluster()?.nodes[name];
        let packing = &view.rules.packing;
        let role = match room {
            _ if ask.leaving.as_ref() == Some(name) => Role::Leaving,
            Some(_) => Role::Open,
            None => Role::Closed,
        };
        // Of a node that takes nobody only the guests count, and they count wherever they are.
        let memory = row.capacity.map_or(0, |c| c.memory.saturating_sub(packing.node_reserve));
        let coming = ask.promised.iter().filter(|(_, to)| *to == name);
        let coming: Vec<_> = coming.filter_map(|(id, _)| Some(disks(view.guest(*id).ok()?))).collect();
        let promised = |on: &String| coming.iter().filter_map(|disks| disks.get(on)).sum::<u64>();
        let left = |on: &String, storage: &crate::model::observed::Storage| {
            storage.free.map(|free| (free.saturating_sub(promised(on)) / MIB) as i64)
        };
        let storages: Vec<(String, i64)> = row
            .storages
            .iter()
            .filter(|(_, storage)| !storage.shared)
            .filter_map(|(on, storage)| Some((on.clone(), left(on, storage)?)))
            .collect();
        let storages = storages.into_iter().map(|(name, free)| (self.storage(&name), Some(free))).collect();
        self.placing.nodes.push(Node {
            id: name.to_string(),
            cores: row.capacity.map_or(0.0, |c| f64::from(c.cores)),
            memory: (memory / MIB) as i64,
            nic: packing.nic(name).unwrap_or(WIRE_DEFAULT) as f64 * MBIT,
            role,
            storages,
            devices: Vec::new(),
        });
        Ok(())
    }

    /// Only local storages matter: what is shared needs no copy and takes no room.
    fn storage(&mut self, name: &str) -> StorageAt {
        let all = &mut self.placing.storages;
        all.iter().position(|storage| storage.name == name).unwrap_or_else(|| {
            all.push(Storage { name: name.to_owned(), shared: false });
            all.len() - 1
        })
    }

    fn guest(&mut self, id: GuestId, row: &Guest, ask: &Ask, moving: bool, view: &View) -> Result<(), Wait> {
        let going = ask.going.get(&id).cloned();
        let going = going.or_else(|| ask.residents.get(&id).map(|how| Going::Ours(*how)));
        let running = match &going {
            Some(Going::Ours(how)) => *how != How::Offline,
            Some(_) => true,
            None => row.power != Power::Stopped,
        };
        let mut guest = GuestIn {
            // Names sort as numbers do.
            id: format!("{:010}", id.0),
            node: self.node_at(ask.promised.get(&id).unwrap_or(&row.node)).unwrap_or_default(),
            running,
            cpus: row.cpus,
            memory: cost(row, &view.rules.packing).div_ceil(MIB) as i64,
            used: 0.0,
            dirty: 0.0,
            way: way(going.as_ref(), row, moving),
            may_stop: going == Some(Going::Down),
            ha: row.ha,
            disks: Vec::new(),
            devices: Vec::new(),
            allowed: None,
            restarts: self.restarts(id, row, view.ha_rules()?),
            prefer: Vec::new(),
            home: ask.homes.get(&id).and_then(|home| self.node_at(home)),
        };
        // What is on its way counts where it is going, and its disks are counted there by the rows.
        if let Some(Going::Ours(_)) = going
            && !moving
        {
            let detail = view.guest(id)?;
            for (storage, bytes) in disks(detail) {
                guest.disks.push((self.storage(&storage), bytes.div_ceil(MIB) as i64));
            }
            let mut refused = detail.refused.clone();
            refused.extend(processors::unfit(row, detail, ask.leaving.as_ref(), view));
            refused.extend(ask.lost.get(&id).cloned().unwrap_or_default());
            let within =
                |node: &&NodeName| ask.targets.as_ref().is_none_or(|targets| targets.contains(*node));
            if !refused.is_empty() || ask.targets.is_some() {
                let open = self.nodes.iter().filter(|node| !refused.contains_key(*node)).filter(within);
                guest.allowed = Some(self.nodes_at(open));
                self.refused.insert(id, refused);
            }
        }
        if let Some(Going::Ha(nodes)) = &going {
            guest.allowed = Some(self.nodes_at(nodes.iter()));
        }
        self.placing.guests.push(guest);
        Ok(())
    }

    /// Where HA could start a guest after a loss. A rule that is not strict falls back to every node.
    fn restarts(&self, id: GuestId, row: &Guest, rules: &HaRules) -> Option<Vec<NodeAt>> {
        let strict = |rule: &&crate::model::observed::NodeAffinity| {
            rule.strict && rule.guests.contains(&id) && !rules.broken.contains_key(&rule.rule)
        };
        let rule = rules.nodes.iter().find(strict).filter(|_| row.ha)?;
        Some(self.nodes_at(rule.nodes.keys()))
    }

    fn rules(&mut self, rules: &HaRules) {
        for rule in rules.guests.iter().filter(|rule| !rules.broken.contains_key(&rule.rule)) {
            let guests: Vec<GuestAt> = rule.guests.iter().filter_map(|id| self.guest_at(*id)).collect();
            let kind = match rule.kind {
                Affinity::Together => RuleKind::Together,
                Affinity::Apart => RuleKind::Apart,
            };
            self.placing.rules.push(Rule { id: rule.rule.clone(), kind, guests, strict: true });
        }
    }

    /// The same cluster as it is read now. For placing, all memory has to be sent and nobody writes.
    fn times(&mut self, view: &View) {
        self.timing = self.placing.clone();
        let (rates, rules) = (view.rates(), view.ha_rules().ok());
        let limit = rules.and_then(|rules| rules.datacenter.bwlimit);
        let p = &mut self.timing.params;
        p.stream = rates.stream.value.min(limit.unwrap_or(u64::MAX)) as f64 * MBIT;
        p.disk_slower = (rates.stream.value as f64 / rates.disk.value.max(1) as f64).max(1.0);
        let secs = |millis: u64| millis as f64 / 1000.0 + TURN_SECS;
        (p.setup, p.restart) = (secs(rates.setup_ms.value), secs(rates.restart_ms.value));
        (p.offline, p.cold) = (secs(rates.offline_ms.value), secs(rates.restart_ms.value));
        for (node, name) in self.timing.nodes.iter_mut().zip(&self.nodes) {
            node.nic = rates.nic(name, view.rules.packing.nic(name)) as f64 * MBIT;
        }
        for (guest, id) in self.timing.guests.iter_mut().zip(&self.guests) {
            let used = view.cluster().ok().and_then(|c| c.guests.get(id)).map_or(0, |row| row.memory_used);
            guest.used = used as f64 / MIB as f64;
            guest.dirty = if guest.way == Way::Live { rates.dirty(*id) as f64 * MBIT } else { 0.0 };
        }
        for guest in &mut self.placing.guests {
            guest.used = guest.memory as f64;
        }
    }

    fn wish(&mut self, ask: &Ask, moving: &BTreeMap<GuestId, NodeName>, view: &View) {
        let pair = |(id, to): (&GuestId, &NodeName)| Some((self.guest_at(*id)?, self.node_at(to)?));
        let waits = |id: &GuestId| !moving.contains_key(id);
        let ha = ask.going.iter().filter(|(id, going)| matches!(going, Going::Ha(_)) && waits(id));
        let workers = view.ha_rules().ok().and_then(|rules| rules.datacenter.workers);
        self.wishes = Wishes {
            effort: Effort::Quick,
            canary: ask.canary,
            done: ask.done.iter().filter_map(|id| self.guest_at(*id)).collect(),
            running: moving.iter().filter_map(pair).collect(),
            keep: ask.keep.iter().filter(|(id, _)| waits(id)).filter_map(pair).collect(),
            foreign: Foreign {
                guests: ha.filter_map(|(id, _)| self.guest_at(*id)).collect(),
                workers: workers.unwrap_or(WORKERS_DEFAULT).max(1) as usize,
                delay: HA_BEGINS_SECS,
                pause: HA_LOOKS_SECS / 2.0 - TURN_SECS,
                agrees: HA_AGREES_SECS,
            },
        };
    }

    /// As if N+1 were only preferred.
    pub(super) fn prefer_n_plus_one(&mut self) {
        for inst in [&mut self.placing, &mut self.timing] {
            inst.params.n_plus_one = Spare::Preferred;
        }
    }
}

fn way(going: Option<&Going>, row: &Guest, moving: bool) -> Way {
    let live = if row.kind == GuestKind::Lxc { Way::Restart } else { Way::Live };
    match going {
        // Whoever moves it, and however: it arrives.
        _ if moving => live,
        Some(Going::Ours(How::Offline)) => Way::Offline,
        Some(Going::Ours(How::Restart)) => Way::Restart,
        Some(Going::Ours(How::Live | How::LiveWithDisks)) => Way::Live,
        Some(Going::Ha(_)) => live,
        Some(Going::Down | Going::Stuck) | None => Way::No,
    }
}

/// Nodes that can take guests, and the others with the reason.
fn open(ask: &Ask, view: &View) -> Result<(Rooms, Closed), Wait> {
    if let Some(leaving) = &ask.leaving {
        return rooms(leaving, view);
    }
    let homes: BTreeSet<&NodeName> = ask.homes.values().collect();
    let (mut open, mut closed) = (Rooms::new(), Closed::new());
    for name in view.cluster()?.nodes.keys() {
        match if homes.contains(name) { room(name, view)? } else { Err("nobody goes there".to_owned()) } {
            Ok(room) => drop(open.insert(name.clone(), room)),
            Err(why) => drop(closed.insert(name.clone(), why)),
        }
    }
    Ok((open, closed))
}

fn nobody(ask: &Ask, view: &View) -> Instance {
    let packing = &view.rules.packing;
    Instance {
        id: "live".to_owned(),
        kind: kind(ask),
        params: Params {
            cpu_overcommit: packing.cpu_overcommit,
            n_plus_one: match (packing.n_plus_one, kind(ask)) {
                (_, Kind::Return) | (NPlusOne::Off, _) => Spare::Off,
                (NPlusOne::Required, _) => Spare::Required,
                (NPlusOne::Preferred, _) => Spare::Preferred,
            },
            slots_out: packing.slots_out.max(1) as usize,
            slots_in: packing.slots_in.max(1) as usize,
            max_parallel: None,
            stream: STREAM_DEFAULT as f64 * MBIT,
            setup: 0.0,
            restart: 0.0,
            cold: 0.0,
            offline: 0.0,
            disk_slower: 1.0,
        },
        storages: Vec::new(),
        devices: Vec::new(),
        nodes: Vec::new(),
        guests: Vec::new(),
        rules: Vec::new(),
    }
}
