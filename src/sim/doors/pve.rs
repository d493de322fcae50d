//! The Proxmox port: two opinions, HA, and what was wished for in full.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::model::ids::{GuestId, NodeName, Upid};
use crate::model::observed::{
    self, GuestDetail, GuestKind, Inventory, LiveState, Maintained, NodeDetail, Opinion, Privileges, PveView,
    Survey, TaskEnd, TaskLog,
};
use crate::model::plan::How;
use crate::model::seen::{Seen, Trouble};
use crate::ports::{Migration, Pve};
use crate::sim::world::backups::mac;
use crate::sim::world::build::USUAL_CPU;
use crate::sim::world::migrate::NotAllowed;
use crate::sim::world::{Actor, Call, MigrateCall, NodeState, Run, Task, TaskState, World};

use super::{Doors, way_in};

/// Ended tasks older than that are not asked for.
const TASKS_SINCE: SignedDuration = SignedDuration::from_hours(6);

#[async_trait]
impl Pve for Doors {
    async fn look(
        &self,
        nodes: &BTreeSet<NodeName>,
        guests: &BTreeSet<GuestId>,
        avoid: &BTreeSet<NodeName>,
    ) -> PveView {
        let first = self.part(Call::PveFirst, |world| {
            way_in(world, |name| avoid.contains(name)).map(|via| world.opinion(via))
        });
        let deep = !nodes.is_empty() || !guests.is_empty();
        let mut view = PveView { first, ..PveView::default() };
        let (member, quorate) = match &view.first {
            Seen::Known { value, .. } => (value.member.clone(), value.quorate),
            Seen::Unknown { why } => return blind(why.clone(), deep, nodes, guests),
            Seen::NotAsked => return view,
        };
        view.ha = self.part(Call::PveHa, |w| {
            if !quorate {
                return Err(Trouble::Refused(format!("{member} has no quorum, so it shows HA's old state")));
            }
            w.audit("/").map(|()| ha_view(w))
        });
        view.privileges = self.part(Call::PvePrivileges, |w| Ok(Privileges { granted: w.token.clone() }));
        if !deep {
            return view;
        }
        view.second = self.part(Call::PveSecond, |world| second(world, avoid, &member));
        view.ha_rules = self.part(Call::PveHaRules, |w| w.audit("/").map(|()| w.ha_rules()));
        view.votes = self.part(Call::PveVotes, |w| w.audit("/").map(|()| w.votes()));
        view.nodes = nodes
            .iter()
            .map(|name| (name.clone(), self.part(Call::PveNode, |w| node_detail(w, &member, name))))
            .collect();
        view.guests = self.wished_guests(&view.first, &member, nodes, guests);
        view
    }

    async fn inventory(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Seen<Inventory> {
        self.part(Call::PveInventory, |world| {
            let via = way_in(world, |name| avoid.contains(name))?;
            world.audit(&format!("/nodes/{node}"))?;
            world.parts_inside(via, node)
        })
    }

    async fn survey(&self, node: &NodeName, avoid: &BTreeSet<NodeName>) -> Survey {
        let answer = self.ask(Call::PveSurvey, |world| {
            way_in(world, |name| avoid.contains(name))?;
            Ok(world.survey(node))
        });
        answer.unwrap_or_else(|why: Trouble| Survey {
            asked_at: self.world().now,
            replicas: why.clone().into(),
            stores: why.into(),
            machines: BTreeMap::new(),
        })
    }

    async fn moves_running(
        &self,
        node: &NodeName,
        avoid: &BTreeSet<NodeName>,
    ) -> Result<BTreeSet<GuestId>, Trouble> {
        self.ask(Call::PveGlance, |world| {
            let via = way_in(world, |name| avoid.contains(name))?;
            world.audit(&format!("/nodes/{node}"))?;
            let running =
                world.tasks_on(via, node)?.into_iter().map(|t| task(world, t)).filter(observed::Task::runs);
            Ok(running.filter_map(|task| task.guest.filter(|guest| task.moves(*guest))).collect())
        })
    }

    async fn migrate(&self, order: &Migration) -> Result<Upid, Trouble> {
        let call = MigrateCall {
            guest: order.guest,
            kind: order.kind,
            node: order.from.clone(),
            target: order.to.clone(),
            online: matches!(order.how, How::Live | How::LiveWithDisks),
            with_local_disks: order.how == How::LiveWithDisks,
            restart: order.how == How::Restart,
        };
        self.act(Call::PveMigrate, |world| {
            let via = way_in(world, |name| *name == order.avoid)?.clone();
            Ok(world.migrate(Actor::Pitlane, &via, &call)?)
        })
    }

    async fn cancel(&self, on: &NodeName, task: &Upid, avoid: &NodeName) -> Result<(), Trouble> {
        self.act(Call::PveCancel, |world| {
            let via = way_in(world, |name| name == avoid)?.clone();
            Ok(world.cancel_task(Actor::Pitlane, &via, on, task)?)
        })
    }

    async fn task_log(&self, task: &Upid, avoid: &BTreeSet<NodeName>) -> Result<TaskLog, Trouble> {
        self.ask(Call::PveTaskLog, |world| {
            let via = way_in(world, |name| avoid.contains(name))?;
            let node = task.as_str().split(':').nth(1).unwrap_or_default().into();
            let lines = world.task(via, &node, task)?.lines();
            Ok(TaskLog { lines, cut: false })
        })
    }

    async fn start(
        &self,
        guest: GuestId,
        _kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        self.act(Call::PveStart, |world| {
            let via = way_in(world, |name| name == avoid)?.clone();
            world.start_guest(Actor::Pitlane, &via, on, guest)?;
            Ok(())
        })
    }

    async fn shutdown(
        &self,
        guest: GuestId,
        _kind: GuestKind,
        on: &NodeName,
        avoid: &NodeName,
    ) -> Result<(), Trouble> {
        self.act(Call::PveShutdown, |world| {
            let via = way_in(world, |name| name == avoid)?.clone();
            world.shut_down_guest(Actor::Pitlane, &via, on, guest)?;
            Ok(())
        })
    }
}

impl Doors {
    fn part<T>(&self, call: Call, answer: impl FnOnce(&World) -> Result<T, Trouble>) -> Seen<T> {
        match self.ask(call, |world| answer(world).map(|value| (value, world.ours()))) {
            Ok((value, at)) => Seen::known(value, at),
            Err(why) => why.into(),
        }
    }

    /// Guests on the wished nodes, as the first opinion places them, and those asked for by name.
    fn wished_guests(
        &self,
        first: &Seen<Opinion>,
        via: &NodeName,
        nodes: &BTreeSet<NodeName>,
        guests: &BTreeSet<GuestId>,
    ) -> BTreeMap<GuestId, Seen<GuestDetail>> {
        let Some(opinion) = first.any_age() else { return BTreeMap::new() };
        let mut found: BTreeMap<GuestId, Seen<GuestDetail>> = opinion
            .guests
            .iter()
            .filter(|(id, row)| guests.contains(id) || nodes.contains(&row.node))
            .map(|(id, row)| (*id, self.part(Call::PveGuest, |w| guest_detail(w, via, &row.node, *id))))
            .collect();
        for id in guests.iter().filter(|id| !opinion.guests.contains_key(id)) {
            let answer = self.ask(Call::PveGuest, |world| unlisted(world, opinion, via, *id));
            found.insert(
                *id,
                answer
                    .err()
                    .unwrap_or_else(|| Trouble::NoTrace(format!("no member lists guest {id}")))
                    .into(),
            );
        }
        found
    }
}

/// Does no member that is online list it among its own?
fn unlisted(world: &World, opinion: &Opinion, via: &NodeName, id: GuestId) -> Result<(), Trouble> {
    for name in opinion.nodes.keys().filter(|name| opinion.online(name)) {
        world.proxy(via, name)?;
        if world.guests.get(&id).is_some_and(|guest| &guest.node == name)
            && world.may(&format!("/vms/{id}"), "VM.Audit")
        {
            return Err(Trouble::Refused(format!(
                "{name} knows guest {id}, and the cluster's list does not"
            )));
        }
    }
    Ok(())
}

/// Another member's opinion, whatever it thinks of the quorum; the nodes under maintenance are never asked.
fn second(world: &World, avoid: &BTreeSet<NodeName>, first: &NodeName) -> Result<Opinion, Trouble> {
    if world.nodes.keys().all(|name| avoid.contains(name) || name == first) {
        return Err(Trouble::NotConfigured(format!("beside {first} no other member may be asked")));
    }
    way_in(world, |name| avoid.contains(name) || name == first).map(|via| world.opinion(via))
}

/// Nobody could be asked: everything that was wanted is unknown, for the same reason.
fn blind(why: Trouble, deep: bool, nodes: &BTreeSet<NodeName>, guests: &BTreeSet<GuestId>) -> PveView {
    let mut view = PveView {
        first: why.clone().into(),
        ha: why.clone().into(),
        privileges: why.clone().into(),
        ..PveView::default()
    };
    if deep {
        view.second = why.clone().into();
        view.ha_rules = why.clone().into();
        view.votes = why.clone().into();
        view.nodes = nodes.iter().map(|n| (n.clone(), why.clone().into())).collect();
        view.guests = guests.iter().map(|g| (*g, why.clone().into())).collect();
    }
    view
}

/// With the times of its parts as the adapter tells them: by our clock.
fn ha_view(world: &World) -> observed::HaView {
    let mut view = world.ha_view();
    let by_ours = |at: &mut Option<crate::model::time::Time>| *at = at.map(|at| world.by_our_clock(at));
    by_ours(&mut view.crm_at);
    view.nodes.values_mut().for_each(|node| by_ours(&mut node.lrm_at));
    view
}

fn node_detail(world: &World, via: &NodeName, name: &NodeName) -> Result<NodeDetail, Trouble> {
    let node = world.proxy(via, name)?;
    world.audit(&format!("/nodes/{name}"))?;
    let recent = |task: &&Task| match &task.state {
        TaskState::Running => true,
        TaskState::Ended { at, .. } => *at >= world.now - TASKS_SINCE,
    };
    Ok(NodeDetail {
        live: world
            .guests
            .iter()
            .filter(|(id, g)| &g.node == name && world.may(&format!("/vms/{id}"), "VM.Audit"))
            .map(|(id, g)| (*id, g.power()))
            .collect(),
        tasks: world.tasks_on(via, name)?.into_iter().filter(recent).map(|t| task(world, t)).collect(),
        services: node.services.keys().map(|s| (s.clone(), node.runs(s))).collect(),
        clock_ahead: node.clock_ahead - world.our_clock,
        version: node.version.clone(),
        maintained: match node.state {
            NodeState::ShuttingDown { .. } => Maintained::ShuttingDown,
            _ => Maintained::No,
        },
    })
}

fn task(world: &World, task: &Task) -> observed::Task {
    observed::Task {
        upid: task.upid.clone(),
        node: task.node.clone(),
        kind: task.kind.to_owned(),
        guest: task.guest,
        started: world.by_our_clock(task.started),
        ended: match &task.state {
            TaskState::Running => None,
            TaskState::Ended { at, status } => {
                Some(TaskEnd { at: world.by_our_clock(*at), status: status.clone() })
            }
        },
    }
}

fn guest_detail(world: &World, via: &NodeName, node: &NodeName, id: GuestId) -> Result<GuestDetail, Trouble> {
    let live = world.live(via, node, id)?;
    let guest = world.guest_at(node, id, None)?;
    // A lock makes the preconditions fail: a finding that the lock itself already tells.
    let not_allowed = world.preconditions(via, node, id).map(|p| p.not_allowed).unwrap_or_default();
    let qemu = match (guest.kind, live.run) {
        (GuestKind::Lxc, _) => None,
        (_, Run::Running) => Some("running"),
        (_, Run::Stopped) => Some("stopped"),
        (_, Run::Postmigrate) => Some("postmigrate"),
    };
    Ok(GuestDetail {
        live: Some(LiveState { power: guest.power(), qemu: qemu.map(str::to_owned), lock: live.lock }),
        onboot: guest.onboot,
        devices: guest.devices.clone(),
        local_disks: guest.local_disks.clone(),
        local_cdrom: guest.local_cdrom.clone(),
        storages: world.storages_under(guest).into_iter().collect(),
        cpu: (guest.kind == GuestKind::Qemu)
            .then(|| guest.cpu.clone().unwrap_or_else(|| USUAL_CPU.to_owned())),
        macs: [mac(id, guest.kind)].into(),
        refused: not_allowed
            .into_iter()
            .map(|(node, why)| match why {
                NotAllowed::Storage(storage) => (node, format!("storage {storage} is not available there")),
                NotAllowed::Apart(other) => (node, format!("must not meet HA guest {other}")),
            })
            .collect(),
    })
}

impl World {
    /// The calls that say 403 without Sys.Audit.
    fn audit(&self, path: &str) -> Result<(), Trouble> {
        self.allow(Actor::Pitlane, path, "Sys.Audit").map_err(Trouble::from)
    }
}
