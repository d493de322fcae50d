//! What must never happen. The world panics with a sentence when pitlane does one of these:
//!
//! 1. A node is opened by the technician, or shut down by pitlane, with a guest running aboard.
//! 2. A node is opened whose OSDs or monitor others still need: some placement group would stop, or the monitors' majority go.
//! 3. HA maintenance or noout is taken for a node while more others are out than the budget allows. Taking again what a
//!    human took away from pitlane is not taking.
//! 4. A guest is sent to a node whose memory would not hold all that runs there and is on its way there.
//! 5. HA maintenance or noout that a human set is taken back by pitlane.
//! 6. More guests are on their way from one node, or to one node, than there are slots.
//! 7. A guest is sent to a node that is offline or under maintenance.
//! 8. A guest is sent to a node whose chassis is open, or maintenance is ended there (HA would send them).
//! 9. A guest is shut down that pitlane was not allowed to shut down.
//! 10. A case gets a second work order while it has one.
//! 11. A disk is taken out whose data others need, or before Ceph was told to wait.
//! 12. Anything at all is done while the kill switch is pulled.
//! 13. A locate LED that a human lit is put out by pitlane.
//! 14. A silence is set that is no lease; one that a human set or changed is ended.
//! 15. A running guest that sees its node's own processor is sent live to a node that lacks one of its features.
//!
//! Facts are held against pitlane only once they have been visible for [`NOTICE_SECS`]: it may act on readings that are
//! this old. What it did itself counts at once. Nothing here looks at why pitlane did it, and no rule is shared with
//! the code that decides.

use serde::{Deserialize, Serialize};

use std::collections::BTreeSet;

use crate::model::ids::{GuestId, HostName, NodeName};
use crate::model::observed::Power;
use crate::model::step::Switch;
use crate::model::time::{Time, age};

use super::ceph::Ceph;
use super::migrate::MigrateCall;
use super::task::Work;
use super::{Actor, Guest, Node, NodeState, Refusal, Run, World};

/// A reading may be so old when it is acted on.
pub const NOTICE_SECS: u64 = 15;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Safety {
    /// Nodes out at once, the one under maintenance included.
    pub nodes_out_max: usize,
    /// pitlane's own migrations at once, from one node and to one node.
    pub slots_out: usize,
    pub slots_in: usize,
    /// Guests that a policy and a person allowed to shut down.
    pub may_shut_down: BTreeSet<GuestId>,
    /// Marks of pitlane's that a human took away, and that it has not given back itself: asked for again, they are no further
    /// node out.
    #[serde(default)]
    pub undone: BTreeSet<(Mark, NodeName)>,
    /// What was violated. A panic may be swallowed by a task; this is not.
    pub violations: Vec<String>,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            nodes_out_max: 1,
            slots_out: 3,
            slots_in: 2,
            may_shut_down: BTreeSet::new(),
            undone: BTreeSet::new(),
            violations: Vec::new(),
        }
    }
}

/// What is held of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mark {
    Maintenance,
    Noout,
}

impl World {
    /// Remembers which of pitlane's marks a human takes away. `owner`: who had set it until now.
    fn keep_account(&mut self, by: Actor, owner: Option<Actor>, to: Switch, mark: Mark, node: &NodeName) {
        match (by, to) {
            (Actor::Human, Switch::Off) if owner == Some(Actor::Pitlane) => {
                self.safety.undone.insert((mark, node.clone()));
            }
            (Actor::Pitlane, Switch::Off) => {
                self.safety.undone.remove(&(mark, node.clone()));
            }
            _ => {}
        }
    }

    pub(crate) fn forbid(&mut self, broken: bool, words: impl FnOnce() -> String) {
        if broken {
            let words = format!("unsafe at {}: {}", self.now, words());
            self.safety.violations.push(words.clone());
            panic!("{words}");
        }
    }

    pub(super) fn forbid_killed(&mut self, what: &str) {
        self.forbid(self.kill_switch, || format!("{what} while the kill switch is pulled"));
    }

    pub(super) fn forbid_killed_by(&mut self, by: Actor, what: &str) {
        if by == Actor::Pitlane {
            self.forbid_killed(what);
        }
    }

    fn noticed(&self, since: Time) -> bool {
        age(self.now, since).as_secs() >= NOTICE_SECS
    }

    /// Off or cut for so long that everybody knows. A node that boots was off before.
    fn known_gone(&self, node: &Node) -> bool {
        let booting = matches!(node.state, NodeState::Booting { .. });
        !node.joined() && (booting || self.noticed(node.since.max(node.cut_since)))
    }

    pub(super) fn forbid_move(&mut self, by: Actor, call: &MigrateCall) {
        if by != Actor::Pitlane {
            return;
        }
        let (id, to) = (call.guest, call.target.clone());
        self.forbid_killed("moving a guest");
        let target = self.nodes.get(&to);
        let open = target.is_some_and(|n| n.technician);
        let gone = target.is_some_and(|n| self.known_gone(n));
        self.forbid(open, || format!("guest {id} is sent to {to}, whose chassis is open"));
        self.forbid(gone, || format!("guest {id} is sent to {to}, which is offline"));
        let maintained = self
            .ha
            .maintenance_by
            .get(&to)
            .is_some_and(|(who, since)| *who == Actor::Pitlane || self.noticed(*since));
        self.forbid(maintained, || format!("guest {id} is sent to {to}, which is under maintenance"));
        self.forbid_unlike(call);
        if self.ha.manages(id) {
            return;
        }
        self.forbid_crowd(call);
        let need = self.guests.get(&id).filter(|g| g.run == Run::Running).map_or(0, |g| g.memory);
        let full = self.nodes.get(&to).map_or(0, |n| n.memory);
        let taken = self.memory_bound(&to);
        self.forbid(need > 0 && taken + need > full, || {
            format!("guest {id} needs {need} bytes on {to}, where {taken} of {full} are taken")
        });
    }

    /// It arrives well, and dies later.
    fn forbid_unlike(&mut self, call: &MigrateCall) {
        let (id, to) = (call.guest, &call.target);
        let native = |guest: &&Guest| matches!(guest.cpu.as_deref(), Some("host" | "max"));
        let lacking =
            self.guests.get(&id).filter(native).filter(|guest| call.online && guest.aboard()).and_then(
                |guest| {
                    let (from, to) = (self.nodes.get(&guest.node)?, self.nodes.get(to)?);
                    from.machine.flags.difference(&to.machine.flags).next().cloned()
                },
            );
        let words = format!(
            "guest {id} sees its node's own processor and is sent live to {to}, which lacks {lacking:?}"
        );
        self.forbid(lacking.is_some(), || words);
    }

    /// Memory of what runs on a node and of what is on its way there, as far as anybody can know.
    fn memory_bound(&self, node: &NodeName) -> u64 {
        let aboard: u64 = self.running_on(node).map(|(_, g)| g.memory).sum();
        let coming: u64 = self
            .tasks
            .iter()
            .filter(|t| t.runs() && (t.by == Actor::Pitlane || self.noticed(t.started)))
            .filter_map(|t| match &t.work {
                Work::Moving(m) if &m.call.target == node && m.was_running => self.guests.get(&m.call.guest),
                _ => None,
            })
            .filter(|g| &g.node != node)
            .map(|g| g.memory)
            .sum();
        aboard + coming
    }

    fn forbid_crowd(&mut self, call: &MigrateCall) {
        let ours: Vec<(NodeName, NodeName)> = self
            .tasks
            .iter()
            .filter(|t| t.runs() && t.by == Actor::Pitlane)
            .filter_map(|t| match &t.work {
                Work::Moving(m) if m.call.guest != call.guest => {
                    Some((m.call.node.clone(), m.call.target.clone()))
                }
                _ => None,
            })
            .collect();
        let out = ours.iter().filter(|(from, _)| from == &call.node).count();
        let r#in = ours.iter().filter(|(_, to)| to == &call.target).count();
        let (slots_out, slots_in) = (self.safety.slots_out, self.safety.slots_in);
        self.forbid(out >= slots_out, || {
            format!("a migration from {}, where {out} of ours run already", call.node)
        });
        self.forbid(r#in >= slots_in, || {
            format!("a migration to {}, where {} of ours run already", call.target, r#in)
        });
    }

    pub(super) fn forbid_shutdown(&mut self, by: Actor, guest: GuestId) {
        if by == Actor::Pitlane {
            self.forbid_killed("shutting down a guest");
            let allowed = self.safety.may_shut_down.contains(&guest);
            self.forbid(!allowed, || format!("guest {guest} is shut down, and nobody allowed it"));
        }
    }

    pub(super) fn forbid_maintenance(&mut self, by: Actor, node: &NodeName, to: Switch) {
        let owner = self.ha.maintenance_by.get(node).map(|(who, _)| *who);
        self.keep_account(by, owner, to, Mark::Maintenance, node);
        if by != Actor::Pitlane {
            return;
        }
        self.forbid_killed("changing HA maintenance");
        if to == Switch::On {
            let others = self.out_beside(node);
            let max = self.safety.nodes_out_max;
            let already = owner.is_some() || self.safety.undone.contains(&(Mark::Maintenance, node.clone()));
            self.forbid(!already && others.len() >= max, || {
                format!("maintenance for {node} while {others:?} are out already")
            });
        } else {
            self.forbid(owner == Some(Actor::Human), || {
                format!("maintenance of {node} is taken back, and a human had set it")
            });
            let open = self.nodes.get(node).is_some_and(|n| n.technician);
            self.forbid(open, || format!("maintenance of {node} is ended while its chassis is open"));
        }
    }

    pub(super) fn forbid_noout(&mut self, by: Actor, host: &HostName, to: Switch) {
        let Some(ceph) = &self.ceph else { return };
        let owner = ceph.host_noout.get(host).map(|(who, _)| *who);
        let node = ceph.hosts.get(host).cloned().unwrap_or_else(|| NodeName(host.0.clone()));
        self.keep_account(by, owner, to, Mark::Noout, &node);
        if by != Actor::Pitlane {
            return;
        }
        self.forbid_killed("changing noout");
        if to == Switch::On {
            let others = self.out_beside(&node);
            let max = self.safety.nodes_out_max;
            let already = owner.is_some() || self.safety.undone.contains(&(Mark::Noout, node.clone()));
            self.forbid(!already && others.len() >= max, || {
                format!("noout for {host} while {others:?} are out already")
            });
        } else {
            self.forbid(owner == Some(Actor::Human), || {
                format!("noout of {host} is taken back, and a human had set it")
            });
        }
    }

    /// Nodes out of service beside this one, whoever caused it: offline, in maintenance, with noout, with an OSD down.
    pub fn out_beside(&self, node: &NodeName) -> BTreeSet<NodeName> {
        let visible = |(who, since): &(Actor, Time)| *who == Actor::Pitlane || self.noticed(*since);
        let mut out: BTreeSet<NodeName> =
            self.nodes.iter().filter(|(_, n)| self.known_gone(n)).map(|(name, _)| name.clone()).collect();
        out.extend(
            self.ha.maintenance_by.iter().filter(|(_, set)| visible(set)).map(|(name, _)| name.clone()),
        );
        if let Some(ceph) = &self.ceph {
            let noout = ceph.host_noout.iter().filter(|(_, set)| visible(set)).map(|(host, _)| host);
            let down = ceph.osds.values().filter(|o| !o.up && self.noticed(o.since)).map(|o| &o.host);
            out.extend(noout.chain(down).filter_map(|host| ceph.hosts.get(host)).cloned());
        }
        out.remove(node);
        out
    }

    pub(super) fn forbid_power_off(&mut self, by: Actor, node: &NodeName) {
        if by == Actor::Pitlane {
            self.forbid_killed("shutting down a node");
            self.forbid_aboard(node, "is shut down");
        }
    }

    fn forbid_aboard(&mut self, node: &NodeName, what: &str) {
        let aboard: Vec<GuestId> = self.running_on(node).map(|(id, _)| *id).collect();
        self.forbid(!aboard.is_empty(), || format!("{node} {what} with guests aboard: {aboard:?}"));
        let coming: Vec<GuestId> = self
            .tasks
            .iter()
            .filter(|t| t.runs())
            .filter_map(|t| match &t.work {
                Work::Moving(m) if &m.call.target == node => Some(m.call.guest),
                _ => None,
            })
            .collect();
        self.forbid(!coming.is_empty(), || format!("{node} {what} with guests on their way in: {coming:?}"));
    }

    /// What went down a moment ago nobody can know: it counts as up.
    pub(super) fn as_noticed(&self, ceph: &Ceph) -> Ceph {
        let mut known = ceph.clone();
        for osd in known.osds.values_mut().filter(|osd| !osd.up && !self.noticed(osd.since)) {
            osd.up = true;
        }
        known
    }

    /// The technician pulls the plug and opens the chassis, because pitlane said that the node is theirs.
    ///
    /// # Panics
    /// Somebody was still aboard, or the data behind its OSDs was needed.
    pub fn technician_opens(&mut self, node: &NodeName) {
        self.forbid_aboard(node, "is opened");
        if let Some(ceph) = &self.ceph {
            let host = ceph.host_of(node).cloned();
            let osds = ceph.osds.iter().filter(|(_, o)| Some(&o.host) == host.as_ref()).map(|(id, _)| *id);
            let answer = self.as_noticed(ceph).stoppable(&osds.collect());
            let noticed = self.noticed(ceph.mons_since);
            let stay = ceph.quorum_was.iter().filter(|mon| ceph.mons.get(*mon) != Some(node)).count();
            let needed = ceph.quorate() && noticed && stay * 2 <= ceph.mons.len();
            self.forbid(!answer.ok, || format!("{node} is opened and {} PGs stop", answer.bad_pgs));
            self.forbid(needed, || format!("{node} is opened and {stay} monitors are no majority"));
        }
        self.power_cut(node, true);
        if let Some(node) = self.nodes.get_mut(node) {
            node.technician = true;
        }
    }

    /// The chassis is closed, power is back on: the node boots.
    pub fn technician_closes(&mut self, node: &NodeName) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.technician = false;
        }
        self.node_boots(node);
    }

    /// May this caller do that? People and HA are root.
    pub(in crate::sim) fn allow(&self, by: Actor, path: &str, privilege: &str) -> Result<(), Refusal> {
        if by != Actor::Pitlane || self.may(path, privilege) {
            return Ok(());
        }
        Err(Refusal::forbidden(path, privilege))
    }

    /// The token's right on a path: the deepest entry that covers it counts, alone.
    pub fn may(&self, path: &str, privilege: &str) -> bool {
        self.token
            .iter()
            .filter(|(at, _)| at.as_str() == "/" || path == *at || path.starts_with(&format!("{at}/")))
            .max_by_key(|(at, _)| if at.as_str() == "/" { 0 } else { at.len() })
            .is_some_and(|(_, rights)| rights.contains(privilege))
    }

    /// Is the guest where it was when the world was made, and as it was?
    pub fn at_home(&self, guest: GuestId) -> bool {
        let Some((node, power)) = self.origin.get(&guest) else { return false };
        let run = if *power == Power::Stopped { Run::Stopped } else { Run::Running };
        self.guests.get(&guest).is_some_and(|g| &g.node == node && g.lock.is_none() && g.run == run)
    }
}
